"""The paths of the command line → templates, each with its HTML, its plain-text twin and its subject."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..facts.roots import TemplateRole
from .engines.registry import ELSEWHERE, PARTS, SUFFIXES
from .links import followed
from .settings import Settings
from .sources import below, shown

NO_TEMPLATES = re.compile(
    r"(?:readme|license|licence|copying|changelog|changes|requirements[\w.-]*|robots|notice|authors)\.txt\Z"
)
_SAYS_SUBJECT = re.compile(r"(?:(.*)[._-])?(?:subject|subj)\Z")
_SAYS_PART = re.compile(r"(.+)[._-](?:html|htm|(text|txt|plain|plaintext)|body|message)\Z")
_NAMELESS = frozenset({"body", "html", "text", "content", "message", "mail", "email", "template", "index"})  # a folder each
_STRIPPED = frozenset({*SUFFIXES, *PARTS, ".subject", ".subj", ".tpl", *ELSEWHERE})


@dataclass(frozen=True)
class Template:
    """Files that become one message. `named`: the user said its name, rather than that of a folder."""

    name: str
    files: Mapping[TemplateRole, Path]
    named: bool = True
    error: str | None = None
    stem: str = ""  # its name without suffixes and without what says its part

    @property
    def names(self) -> tuple[str, ...]:
        """What files of data beside it may be called: as it is, or as one of its files without suffixes."""
        bare = (path.name[: len(_bare(path.name))] for path in self.files.values())
        return tuple(name for name in dict.fromkeys((self.stem, *bare)) if name)

    @property
    def path(self) -> Path:
        """The file that it is called by: the HTML before the plain text before the subject."""
        return next(self.files[role] for role in _ORDER if role in self.files)


_ORDER = (TemplateRole.HTML, TemplateRole.PLAIN, TemplateRole.SUBJECT)


@dataclass
class _Group:
    """Files of one folder with the same stem."""

    files: dict[TemplateRole, list[Path]] = field(default_factory=dict)


_Groups = dict[tuple[Path, str], _Group]  # by folder and stem


def templates(given: Iterable[str], settings: Settings) -> Iterator[Template]:
    """The templates of files and folders, in that order, each once. What cannot be read is told in `error`."""
    seen: set[Path] = set()
    listed: dict[Path, _Groups] = {}
    for name in given:
        path = Path(name)
        try:
            if path.is_dir():
                found = list(_in_folder(path, settings))
                if not found:
                    yield Template(shown(path), {}, error="a directory without templates")
            elif path.exists():
                found = list(_named(path, settings, listed))
            else:
                found = []
                yield Template(shown(path), {}, error="no such file or directory")
        except (OSError, ValueError) as error:  # ValueError: a NUL in the path
            yield Template(repr(name)[1:-1], {}, error=getattr(error, "strerror", None) or str(error))
            continue
        for one in found:
            real = followed(one.path)
            if real not in seen:
                seen.update(map(followed, one.files.values()))
                yield one


def from_here(path: Path) -> str:
    """A path as the user would write it: from where they stand, if it is below."""
    here = Path.cwd()
    return shown(path.relative_to(here) if path.is_relative_to(here) else path)


# --- one file ----------------------------------------------------------------------------------------------------


def stem_of(name: str) -> str:
    """A file's name without the suffixes that say its engine and its part: "welcome" of `welcome.subject.txt.j2`."""
    return _read_name(name)[0]


def _read_name(name: str) -> tuple[str, TemplateRole | None]:
    """The stem, in lower case, and what the file becomes as far as its name tells."""
    stem = _bare(name)
    role: TemplateRole | None = None
    for suffix in reversed(name[len(stem) :].lower().split(".")):
        if suffix in {"html", "htm", "xhtml", "mjml"}:
            role = TemplateRole.HTML
        elif suffix in {"txt", "text"} and role is None:
            role = TemplateRole.PLAIN
        elif suffix in {"subject", "subj"}:
            return stem, TemplateRole.SUBJECT
    if (found := _SAYS_SUBJECT.match(stem)) is not None and role is not TemplateRole.HTML:
        return found[1] or "", TemplateRole.SUBJECT
    if (said := _SAYS_PART.match(stem)) is not None:
        stem = said[1]
        role = TemplateRole.PLAIN if role is None and said[2] else role
    return "" if stem in _NAMELESS else stem, role


def _bare(name: str) -> str:
    """A name without suffixes of ours, in lower case."""
    stem = name.lower()
    while True:
        rest, dot, last = stem.rpartition(".")
        if not rest or dot + last not in _STRIPPED:
            return stem
        stem = rest


def _named(path: Path, settings: Settings, listed: dict[Path, _Groups]) -> Iterator[Template]:
    """The template that a file belongs to: its own part, and what stands beside it. Folders are `listed` once a run."""
    stem, role = _read_name(path.name)
    if path.parent not in listed:
        listed[path.parent] = _groups(one for one in sorted(path.parent.iterdir()) if _is_template(one, settings))
    group = listed[path.parent].get((path.parent, stem), _Group())
    others = {found: files[0] for found, files in group.files.items() if path not in files}
    own = role or TemplateRole.HTML
    if own is TemplateRole.SUBJECT and others:
        yield from _sets(group, stem, settings, named=True)
        return
    if own is TemplateRole.PLAIN and TemplateRole.HTML in others:
        yield from _sets(group, stem, settings, named=True)
        return
    others.pop(own, None)
    yield _with_twins(own, path, others, stem, settings, named=True)


# --- folders -----------------------------------------------------------------------------------------------------


def _in_folder(folder: Path, settings: Settings) -> Iterator[Template]:
    wanted = (one for one in below(folder) if _is_template(one, settings) and not settings.is_partial(one, folder))
    for (_, stem), group in _groups(wanted).items():
        yield from _sets(group, stem, settings, named=False)


def _is_template(path: Path, settings: Settings) -> bool:
    name = path.name.lower()
    suffixes = {suffix.lower() for suffix in path.suffixes}
    if NO_TEMPLATES.match(name) or name.startswith("."):
        return False
    if not suffixes.isdisjoint(_OURS) or name.endswith(".subject"):
        return path.suffix.lower() not in _OTHERS
    return not suffixes.isdisjoint(ELSEWHERE) and settings.at(path).render is not None


_OURS = frozenset({*SUFFIXES, *PARTS})
_OTHERS = frozenset({".json", ".yaml", ".yml", ".toml", ".py", ".js", ".css", ".map", ".bak", ".orig"})


def _groups(paths: Iterable[Path]) -> _Groups:
    groups: _Groups = {}
    for path in paths:
        if path.is_file():
            stem, role = _read_name(path.name)
            group = groups.setdefault((path.parent, stem), _Group())
            group.files.setdefault(role or TemplateRole.HTML, []).append(path)
    return groups


def _sets(group: _Group, stem: str, settings: Settings, *, named: bool) -> Iterator[Template]:
    """One template for each HTML, all with the first of the other parts; without HTML one for each plain text."""
    leading = next(role for role in _ORDER if role in group.files)
    others = {role: files[0] for role, files in group.files.items() if role is not leading}
    for path in group.files[leading]:
        yield _with_twins(leading, path, others, stem, settings, named=named)


def _with_twins(
    role: TemplateRole, path: Path, others: Mapping[TemplateRole, Path], stem: str, settings: Settings, *, named: bool
) -> Template:
    """A template with the twins that the configuration names, or else those that stand beside it."""
    chosen, files = settings.at(path), {role: path, **others}
    for twin, pattern in ((TemplateRole.SUBJECT, chosen.subject), (TemplateRole.PLAIN, chosen.text)):
        if pattern is not None and twin is not role:
            written = pattern.replace("{stem}", path.name[: len(stem or _bare(path.name))])
            at = next((folder / written for folder in (path.parent, settings.folder) if (folder / written).is_file()), None)
            if at is None:
                return Template(shown(path), {role: path}, named, f"{twin} {written}: no such file", stem)
            files[twin] = at
    return Template(shown(path), files, named, None, path.name[: len(stem)])
