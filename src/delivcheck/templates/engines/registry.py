"""The engines by name: which file's names and texts they belong to, and how each is had.

A name may be a chain: `jinja2+mjml` is MJML that Jinja2 writes.
"""

import difflib
import importlib
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import PurePath

from ..model import Engine, Host, TemplateFault

SEPARATOR = "+"


class UnknownEngine(ValueError):  # noqa: N818 -- a name that somebody wrote
    """A name that is no engine's; one line."""


class EngineMissing(Exception):  # noqa: N818 -- not an error of the template
    """An engine whose package is not installed; one line that says what to install."""


@dataclass(frozen=True, slots=True)
class _Kind:
    """Where an engine is, and the extra of ours that brings its library."""

    module: str
    extra: str | None
    suffixes: tuple[str, ...] = ()


_ENGINES: Mapping[str, _Kind] = {
    "jinja2": _Kind("jinja", "templates", (".j2", ".jinja", ".jinja2")),
    "django": _Kind("django", "django", (".djhtml", ".django")),
    "mjml": _Kind("mjml", "templates", (".mjml",)),
    "liquid": _Kind("liquid", "templates", (".liquid",)),
    "handlebars": _Kind("handlebars", None, (".hbs", ".handlebars")),
    "mustache": _Kind("mustache", None, (".mustache",)),
    "html": _Kind("plain", None),
    "mailchimp": _Kind("plain", None),
    "sendgrid": _Kind("plain", None),
    "salesforce": _Kind("plain", None),
    "braze": _Kind("plain", None),
}
NAMES = tuple(_ENGINES)
SUFFIXES: Mapping[str, str] = {suffix: name for name, kind in _ENGINES.items() for suffix in kind.suffixes}
PARTS = (".html", ".htm", ".xhtml", ".txt", ".text")  # suffixes that say what a file becomes, and nothing of an engine
ELSEWHERE: Mapping[str, str] = {  # what cannot be rendered from Python
    ".tsx": "React", ".jsx": "React", ".vue": "Vue", ".svelte": "Svelte", ".astro": "Astro", ".php": "PHP", ".twig": "Twig",
    ".erb": "ERB", ".ejs": "EJS", ".pug": "Pug", ".haml": "Haml", ".slim": "Slim", ".cshtml": "Razor", ".ftl": "FreeMarker",
    ".gotmpl": "Go", ".tmpl": "Go", ".heex": "HEEx", ".nunjucks": "Nunjucks", ".njk": "Nunjucks",
}  # fmt: skip


def known(name: str) -> str:
    """The name, if it is an engine's or a chain of them. Raises UnknownEngine."""
    for one in name.split(SEPARATOR):
        if one not in _ENGINES:
            near = difflib.get_close_matches(one, NAMES, 1)
            hint = f"; did you mean {near[0]}?" if near else f": there are {', '.join(NAMES)}"
            raise UnknownEngine(f"no template engine {one!r}{hint}")
    return name


def of(name: str, text: str, near: Callable[[], Counter[str]] = Counter) -> str:
    """The engine of a file, by its name and, where that does not tell, by its text; "html" for text without code.

    `near` gives the votes of the files beside it (`guessing.votes_for`), which are asked for where its own are close.
    """
    suffixes = [suffix.lower() for suffix in PurePath(name).suffixes]
    found = [SUFFIXES[suffix] for suffix in suffixes if suffix in SUFFIXES]
    languages = [one for one in reversed(found) if one != "mjml"][:1]  # welcome.mjml.j2: the last one is rendered first
    is_mjml = "mjml" in found or (not found and _MJML.search(text) is not None)
    if is_mjml and not languages and (written := guess(text, near)) not in {"html", "mjml"}:
        languages = [written]
    chain = [*languages, *(["mjml"] if is_mjml else [])]
    return SEPARATOR.join(chain) if chain else guess(text, near)


_MJML = re.compile(r"<mjml\b", re.IGNORECASE)


def guess(text: str, near: Callable[[], Counter[str]] = Counter) -> str:
    """The engine whose code a text has; "html" where it has none that is known, tags of mail platforms included."""
    from . import guessing

    return guessing.guess(text, near() if guessing.asks_neighbours(text) else None)


@cache
def _module(name: str) -> object:
    kind = _ENGINES[name]
    try:
        return importlib.import_module(f"{__package__}.{kind.module}")
    except ImportError as error:
        if kind.extra is None:
            raise
        raise EngineMissing(f"{name} needs {error.name or 'a package'}: pip install 'delivcheck[{kind.extra}]'") from None


def engine(name: str, host: Host) -> Engine:
    """The engine of a name or a chain. Raises UnknownEngine, EngineMissing."""
    from .chain import Chain

    made = [_make(one, host) for one in known(name).split(SEPARATOR)]
    return made[0] if len(made) == 1 else Chain(made)


def _make(name: str, host: Host) -> Engine:
    # Options of all engines, and in a table of its name those of one.
    flat = {key: value for key, value in host.options.items() if not (key in _ENGINES and isinstance(value, Mapping))}
    own = host.options.get(name)
    host = replace(host, options={**flat, **(own if isinstance(own, Mapping) else {})})
    made: Engine = _module(name).make(name, host)  # type: ignore[attr-defined]  # each engine's module has one
    return made


__all__ = [
    "ELSEWHERE",
    "NAMES",
    "PARTS",
    "SUFFIXES",
    "EngineMissing",
    "TemplateFault",
    "UnknownEngine",
    "engine",
    "guess",
    "known",
    "of",
]
