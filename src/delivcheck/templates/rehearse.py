"""One template rendered with one data set: its parts, the message they make, and why not where it does not render."""

import contextlib
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

from ..facts.roots import RenderedHeader, RenderFault, TemplateRole, TemplateSource, TemplateText
from ..model import Where
from ..tables import ConfigError
from . import message
from .data.completing import completed
from .data.files import DataSet
from .data.made_up import as_objects, as_records, made_up
from .data.plain import MAX_DEPTH
from .engines import registry
from .engines.included import included
from .find import Template
from .front import split
from .links import followed
from .model import Engine, Host, Rendered, Source, TemplateFault, Variable
from .settings import Settings
from .sources import FileSources, below, shown

MAX_BESIDE = 200  # files of a folder that are asked which language they are in


class Unreadable(Exception):  # noqa: N818 -- an input that cannot be examined, told as its target's error
    """A file of a template that is no text, too large or gone; one line."""


@dataclass(frozen=True)
class Part:
    """A part of a template: its source without front matter, and the engine that it is written for."""

    role: TemplateRole
    source: Source
    engine: Engine
    written: Source  # the source as it stands in the file


@dataclass(frozen=True)
class Script:
    """A template that was read: its parts, what it takes from its data, and why some of it cannot be rendered at all."""

    template: Template
    settings: Settings
    parts: tuple[Part, ...]
    variables: tuple[Variable, ...] = ()
    faults: tuple[RenderFault, ...] = ()

    @property
    def main(self) -> Part | None:
        """The part that the template is called by."""
        return next((part for part in self.parts if part.written.path == self.template.path), None)

    def source(self, files: Mapping[str, Source]) -> TemplateSource | None:
        """The template as rules about sources see it; `files` are all that it is made of."""
        texts = {part.role: part for part in self.parts}
        if not texts:
            return None
        engine = self.parts[0].engine.name.partition(registry.SEPARATOR)[0]
        own = {part.written.name for part in self.parts}
        return TemplateSource(
            tuple(TemplateText(part.written.text, role, part.written.name) for role, part in texts.items()),
            engine,
            self.settings.required,
            tuple(source.text for name, source in files.items() if name not in own),
        )


@dataclass(frozen=True)
class Performance:
    """What came of rendering a script once: the message, the headers as they were rendered, or why there is none."""

    built: message.Built | None = None
    headers: tuple[RenderedHeader, ...] = ()
    faults: tuple[RenderFault, ...] = ()
    sources: Mapping[str, Source] = field(default_factory=dict)
    parts: Mapping[TemplateRole, str] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The text of all parts."""
        return "\n".join(self.parts.values())


@dataclass
class Stage:
    """Reads and renders the templates of a run; engines and files are kept from one to the next."""

    sources: FileSources
    chosen_engine: str | None = None  # --engine
    _engines: dict[tuple[str, str | None, int], Engine] = field(default_factory=dict)
    _hosts: list[Host] = field(default_factory=list)  # kept, so that their ids stay theirs
    _votes: dict[Path, Counter[str]] = field(default_factory=dict)
    _commands: dict[tuple[tuple[str, ...] | str, str | None], Engine] = field(default_factory=dict)

    def forget(self) -> None:
        """Run commands again that have rendered everything."""
        self._commands.clear()

    def read(self, template: Template, settings: Settings) -> Script:
        """Open a template's files and find out what they need. Raises Unreadable, EngineMissing."""
        parts: list[Part] = []
        faults: list[RenderFault] = []
        variables: list[Variable] = []
        for role, path in template.files.items():
            said = template.named and path == template.path  # what stands beside it nobody named
            if not said and not self.sources.within(path):
                raise Unreadable(f"a link out of the folders that were given, to {shown(followed(path))}")
            source = self._open(path)
            plain = role is TemplateRole.PLAIN
            body, subject = split(source, plain=plain)
            try:
                engine = self._engine_of(source, settings)
                found = [Part(role, body, engine, source)]
                if subject is not None and TemplateRole.SUBJECT not in {*template.files, *(one.role for one in parts)}:
                    found.append(Part(TemplateRole.SUBJECT, subject, self._first(engine, settings), source))
                for part in found:
                    variables += part.engine.variables(part.source, self.sources)
                if (
                    titled := self._with_subject(found[0], settings)
                ) is not None and TemplateRole.SUBJECT not in template.files:
                    found.append(titled)
                    variables += titled.engine.variables(titled.source, self.sources)
                parts += found
            except TemplateFault as fault:
                faults.append(_fault(fault, source))
        reached = (one for one in variables if len(one.path) <= MAX_DEPTH)  # no data go deeper
        return Script(template, settings, tuple(parts), tuple(dict.fromkeys(reached)), tuple(dict.fromkeys(faults)))

    def perform(self, script: Script, given: DataSet) -> Performance:
        """Render with one data set."""
        data = _handed_over(script, given)
        rendered: dict[TemplateRole, Rendered] = {}
        faults: list[RenderFault] = []
        for part in script.parts:
            try:
                made = part.engine.render(part.source, data, self.sources, html=_escapes(part))
            except TemplateFault as fault:
                faults.append(_fault(fault, part.source))
                continue
            blank = len(made.text) - len(made.text.lstrip("\r\n \t")) if part.source is not part.written else 0
            rendered[part.role] = made.without(blank) if blank else made
        sources = {name: source for made in rendered.values() for name, source in made.sources.items()}
        sources |= {part.written.name: part.written for part in script.parts}
        if faults:
            return Performance(faults=tuple(dict.fromkeys(faults)), sources=sources)
        headers = tuple(
            RenderedHeader("Subject", made.text, made.where) for role, made in rendered.items() if role is TemplateRole.SUBJECT
        )
        built = message.build(rendered, script.settings.author)
        return Performance(built, headers, (), sources, {role: made.text for role, made in rendered.items()})

    # --- engines

    def _open(self, path: Path) -> Source:
        try:
            return self.sources.open(path, shown(path))
        except TemplateFault as fault:
            raise Unreadable(fault.message.removeprefix(f"{shown(path)}: ")) from None

    def _engine_of(self, source: Source, settings: Settings) -> Engine:
        if settings.render is not None and self.chosen_engine is None:
            return self._command(settings.render, settings)
        suffix = source.path.suffix.lower() if source.path is not None else ""
        chosen = self.chosen_engine or settings.engine
        if chosen is None and suffix in registry.ELSEWHERE:
            language = registry.ELSEWHERE[suffix]
            raise TemplateFault(
                f'{language} is not rendered here: set render = "your command" in [templates], or check what it builds'
            )
        name = chosen or registry.of(source.name, source.text, lambda: self._beside(source))
        return self._engine(self._written_by(source) if chosen is None and name == "mjml" else name, settings)

    def _written_by(self, source: Source) -> str:
        """MJML, with the language of what it includes before it, if there is one."""
        languages = (registry.guess(one.text) for one in included(source, self.sources))
        first = next((one for one in languages if one not in {"html", "mjml"}), None)
        return "mjml" if first is None else f"{first}{registry.SEPARATOR}mjml"

    def _beside(self, source: Source) -> Counter[str]:
        """What the other texts of its folder say about the language."""
        from .engines.guessing import votes_for

        if source.path is None:
            return Counter()
        folder = source.path.parent
        if folder not in self._votes:
            self._votes[folder] = Counter()
            for path in islice(below(folder), MAX_BESIDE):
                if path.suffix.lower() in registry.PARTS and self.sources.within(path):
                    with contextlib.suppress(TemplateFault):
                        self._votes[folder] += votes_for(self.sources.open(path, shown(path)).text)
        return self._votes[folder]

    def _with_subject(self, part: Part, settings: Settings) -> Part | None:
        """The subject that a macro of a template gives, its own or of one that it extends."""
        if settings.subject_macro is None or part.engine.name != "jinja2" or part.source.path is None:
            return None
        defined = re.compile(rf"\bmacro\s+{settings.subject_macro}\b")
        files = map(self.sources.known, self.sources.needed_by(part.source.path))
        if not any(source is not None and defined.search(source.text) for source in files):
            return None
        return Part(TemplateRole.SUBJECT, part.source, self._engine("jinja2", settings, settings.subject_macro), part.written)

    def _engine(self, name: str, settings: Settings, macro: str | None = None) -> Engine:
        macro = macro or settings.text_macro
        key = (name, macro, id(settings.host))
        if key not in self._engines:
            host = settings.host
            self._hosts.append(host)
            if macro is not None and name.startswith("jinja2"):
                host = replace(host, options={**host.options, "macro": macro})
            try:
                self._engines[key] = registry.engine(name, host)
            except ValueError as error:  # an option that the engine does not have
                raise ConfigError(f"options in [templates]: {error}") from None
        return self._engines[key]

    def _command(self, command: tuple[str, ...] | str, settings: Settings) -> Engine:
        """The command of the configuration; one that renders everything at once does so once."""
        from .engines.command import Command

        key = (command, settings.output)
        if key not in self._commands:
            self._commands[key] = Command(command, settings.folder, settings.output)
        return self._commands[key]

    def _first(self, engine: Engine, settings: Settings) -> Engine:
        """The engine for a subject in front matter: that of the template's own code."""
        first = engine.name.partition(registry.SEPARATOR)[0]
        return self._engine("html" if first == "mjml" else first, settings) if first in registry.NAMES else engine


def _escapes(part: Part) -> bool:
    """Whether values are escaped for HTML: Django does so whatever becomes of the text."""
    return part.role is TemplateRole.HTML or part.engine.name == "django"


_PYTHON = frozenset({"jinja2", "django"})  # engines whose programs hand over objects


def _handed_over(script: Script, given: DataSet) -> Mapping[str, Any]:
    """The data as the program that sends would give it to the engine."""
    in_python = any(part.engine.name.partition(registry.SEPARATOR)[0] in _PYTHON for part in script.parts)
    if given.made_up:
        return as_objects(script.variables, given.data) if in_python else given.data
    more = made_up(given.lacking).data if given.lacking else {}
    if not in_python:
        plain: dict[str, Any] = completed(given.data, more)
        return plain
    made: dict[str, Any] = completed(as_records(given.data), more, as_objects(given.lacking, more))
    return made


def _fault(fault: TemplateFault, source: Source) -> RenderFault:
    where = fault.where or Where(file=source.name, line=1)
    return RenderFault(fault.message, where if where.file is not None else source.where(0), _stub(fault.message))


# What the engines say of a name that the program adds to the language: Jinja2 and Liquid, Django, Jinja2, Handlebars.
_UNKNOWN = (
    (re.compile(r"\bfilter (?:named )?'([\w.]{1,60})'|[Ii]nvalid filter: '(\w{1,60})'|unknown filter '?(\w{1,60})"), "filters"),
    (re.compile(r"\btest (?:named )?'([\w.]{1,60})'"), "tests"),
    (re.compile(r"unknown tag '(\w{1,60})'|[Ii]nvalid block tag[^']{0,60}'(\w{1,60})'|unexpected tag '(\w{1,60})'"), "tags"),
)


def _stub(message: str) -> str | None:
    """The lines of the configuration that stand in for a filter, test or tag of the program."""
    for pattern, kind in _UNKNOWN:
        if found := pattern.search(message):
            name = next(group for group in found.groups() if group)
            return f'[templates.stubs]\n{kind} = ["{name}"]'
    return None


def placed(built: message.Built, name: str) -> Callable[[Where], Where]:
    """Gives the template's place for one in its message; one that is nowhere in it is the template's as a whole."""

    def place(where: Where) -> Where:
        found = built.place(where)
        return Where(file=name, line=1, approximate=True, header=found.header) if found.file is None else found

    return place
