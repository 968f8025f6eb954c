"""The e-mail templates of a project: where Django's engines look, which files there become mail, and in which language."""

import glob
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from django.template import engines
from django.template.backends.django import DjangoTemplates

from ...templates.engines.registry import PARTS, SUFFIXES
from ...templates.sources import below

if TYPE_CHECKING:
    from ...templates.run import Run
    from ...templates.settings import Settings

INSTALLED = frozenset({"site-packages", "dist-packages"})  # folders of packages that somebody else mends
# What projects call the folders and files of their mail; the folders of cookiecutter-django, django-allauth, Oscar among them.
MAIL = frozenset(
    {"email", "emails", "mail", "mails", "mailing", "mailings", "mailer", "newsletter", "newsletters", "message_email"}
)
_WORDS = re.compile(r"[^a-z0-9]+")


def folders() -> dict[Path, str]:
    """The folders of templates that there are, each with the engine that reads them; those of installed packages last."""
    found: dict[Path, str] = {}
    for engine in engines.all():
        name = "django" if isinstance(engine, DjangoTemplates) else "jinja2"
        for folder in map(Path, engine.template_dirs):
            if folder.is_dir():
                found.setdefault(folder.resolve(), name)
    return dict(sorted(found.items(), key=lambda one: not _is_own(one[0])))


def adapt(known: dict[Path, str], templates: "Run", paths: tuple[str, ...]) -> tuple[str, ...]:
    """Look for includes in the `known` folders, read files in the language of their engine, find mail if no path is named."""
    templates.settings = _settings(templates.settings, known)
    if paths:
        return tuple(_placed(path, known) for path in paths)
    return templates.paths or tuple(_mail(known, templates.settings))


def _settings(before: "Settings", known: dict[Path, str]) -> "Settings":
    # What the project's own configuration says goes before this.
    ours = tuple((_patterns(folder, before.folder), {"engine": name}) for folder, name in known.items())
    overrides = before.overrides if before.engine is not None else (*ours, *before.overrides)
    return replace(before, roots=(*before.roots, *map(str, known)), overrides=overrides)


def _patterns(folder: Path, base: Path) -> tuple[str, ...]:
    """Patterns for the files of a folder whose names say nothing of a language, as `Settings.at` compares them."""
    base = base.resolve()
    name = folder.relative_to(base).as_posix() if folder.is_relative_to(base) else folder.as_posix()
    before = "" if name == "." else f"{glob.escape(name)}/"
    return tuple(f"{before}*{part}" for part in (*PARTS, ".subject"))


def _placed(path: str, known: dict[Path, str]) -> str:
    """A path from where the user stands, or the name of a template as Django has it."""
    if Path(path).exists():
        return path
    return next((str(folder / path) for folder in known if (folder / path).exists()), path)


def _mail(known: dict[Path, str], settings: "Settings") -> Iterator[str]:
    """Folders and files of the project's own that are called as mail is; nothing twice."""
    for folder in filter(_is_own, known):
        seen: set[Path] = set()
        for path in below(folder):
            parents = [
                folder.joinpath(*path.relative_to(folder).parts[:depth])
                for depth in range(1, len(path.relative_to(folder).parts))
            ]
            whole = next((one for one in parents if _is_mail(one.name)), None)
            if whole is None and _is_mail_file(path) and not settings.is_partial(path, folder):
                yield _shown(path)
            elif whole is not None and whole not in seen:
                seen.add(whole)
                yield _shown(whole)


def _is_mail_file(path: Path) -> bool:
    suffixes = {suffix.lower() for suffix in path.suffixes}
    return not suffixes.isdisjoint({*PARTS, *SUFFIXES}) and (_is_mail(path.name) or ".mjml" in suffixes)


def _is_mail(name: str) -> bool:
    return not MAIL.isdisjoint(_WORDS.split(name.lower()))


def _is_own(folder: Path) -> bool:
    return INSTALLED.isdisjoint(folder.parts)


def _shown(path: Path) -> str:
    here = Path.cwd().resolve()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)
