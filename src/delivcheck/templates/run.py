"""A run over templates: what the user wishes and the configuration says, files found and read, each examined in its turn."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from .. import catalog
from ..config import Config
from ..model import TargetReport
from ..tables import ConfigError
from . import find, links, settings
from .baseline import Baseline
from .data import files as data_files
from .data.completing import lacking
from .data.files import DataSet
from .data.made_up import made_up
from .engines import registry
from .examine import Examiner
from .find import Template
from .links import followed
from .model import Source
from .rehearse import Script, Stage, Unreadable
from .sources import FileSources, below, shown
from .suppress import Silencer

if TYPE_CHECKING:
    from ..api import Checker

MARKS = (".git", ".hg", "delivcheck.toml", "pyproject.toml", "package.json", "manage.py")  # what a project's folder has


@dataclass(frozen=True)
class Wishes:
    """What the command line says; None and () mean that it does not say. Paths from where the user stands."""

    engine: str | None = None
    data: tuple[str, ...] = ()
    roots: tuple[str, ...] = ()
    fuzz: bool | None = None
    baseline: str | None = None
    make_baseline: bool = False


@dataclass(frozen=True)
class Prepared:
    """A template that was read, with its data; or why it cannot be examined."""

    name: str
    path: str | None = None
    script: Script | None = None
    sets: tuple[DataSet, ...] = ()
    error: str | None = None

    @property
    def data(self) -> tuple[Path, ...]:
        """The files that its data stands in."""
        return tuple(given.path for given in self.sets if given.path is not None)


class Run:
    """Everything that the templates of a run share. Raises ConfigError for a configuration or a wish that cannot be."""

    def __init__(self, config: Config, wishes: Wishes, now: datetime | None) -> None:
        """Read the `[templates]` table and the baseline."""
        links.forget()
        self.settings = settings.read(config)
        self.wishes = wishes
        self._config = None if config.path is None else followed(config.path)
        if wishes.engine is not None:
            try:
                registry.known(wishes.engine)
            except registry.UnknownEngine as error:
                raise ConfigError(f"--engine: {error}") from None
        for root in (*wishes.roots, *(str(self.settings.folder / root) for root in self.settings.roots)):
            if not _is_folder(root):
                raise ConfigError(f"{'--root' if root in wishes.roots else 'roots in [templates]'}: {root}: no such directory")
        if wishes.fuzz is False:
            self.settings = replace(self.settings, fuzz=())
        named = wishes.baseline or (
            None if self.settings.baseline is None else str(self.settings.folder / self.settings.baseline)
        )
        if wishes.make_baseline and named is None:
            raise ConfigError("--write-baseline needs --baseline FILE, or baseline in [templates]")
        self.baseline = Baseline(None if named is None else Path(named), make=wishes.make_baseline)
        self.silencer = Silencer((now or datetime.now(UTC)).date(), catalog.standard().rules)
        self.sources = FileSources(())
        self.stage = Stage(self.sources, wishes.engine)
        self.examiner = Examiner(self.stage, self.silencer, self.baseline)
        self._nearby = data_files.Nearby()
        self._searched: tuple[Path, ...] = ()  # folders whose templates are all in the run
        self._users: Counter[Path] = Counter()  # of each file, templates that have it and are still to be examined

    # --- reading

    def prepare(self, paths: Sequence[str]) -> Iterator[Prepared]:
        """The templates of files and folders, in that order; what others include is left to them, unless it was named."""
        self.sources.add_roots(self._roots(paths), [*map(_folder, paths), *map(Path, self.wishes.roots)])
        made = [self._prepare(template) for template in find.templates(paths, self.settings)]
        self._searched = tuple(followed(Path(name)) for name in paths if _is_folder(name))
        included = {path for asked in self.sources.asked.values() for path in asked}
        kept = [template.named or not template.files or followed(template.path) not in included for _, template in made]
        covered = {file for (one, _), keep in zip(made, kept, strict=True) if keep for file in self.files(one)}
        for number, (one, template) in enumerate(made):  # those that only include one another, in a circle, are nobody's part
            if not kept[number] and followed(template.path) not in covered:
                kept[number] = True
                covered |= self.files(one) | {followed(template.path)}
        return self._counted(one for (one, _), keep in zip(made, kept, strict=True) if keep)

    def concerned(self, changed: Sequence[str]) -> Iterator[Prepared]:
        """The templates of the configured paths, or of the folders of the files, that files which changed belong to."""
        folders = self.paths or tuple(dict.fromkeys(str(self._home(Path(name))) for name in changed))
        files = {followed(Path(name)) for name in changed}
        # What is gone cannot be asked for any more, and the configuration is everybody's.
        every = any(not file.exists() for file in files) or (self._config is not None and self._config in files)
        wanted = [one for one in self.prepare(folders) if every or self._belongs(one, files)]
        self._searched = ()
        return self._counted(wanted)

    def _home(self, path: Path) -> Path:
        """The folder that a file's templates are looked for in: that of its own, or above it if that is one of partials."""
        folder = path.parent
        while folder != folder.parent and self.settings.is_partial(folder / path.name, folder.parent):
            folder = folder.parent
        return folder

    def _belongs(self, one: Prepared, files: Collection[Path]) -> bool:
        """Whether a template is made of any of these files; of one that could not be read, nobody knows all that it needs."""
        if one.error is not None:
            beside = None if one.path is None else followed(Path(one.path)).parent
            return beside is not None and any(file.is_relative_to(beside) for file in files)
        return not {*self.files(one), *map(followed, one.data)}.isdisjoint(files)

    @property
    def paths(self) -> tuple[str, ...]:
        """The templates' files and folders that the configuration names, from where the user stands."""
        return tuple(find.from_here(self.settings.folder / path) for path in self.settings.paths)

    def _counted(self, wanted: Iterable[Prepared]) -> Iterator[Prepared]:
        kept = list(wanted)
        self._users = Counter(file for one in kept if one.script is not None for file in self.files(one))
        return iter(kept)

    def files(self, one: Prepared) -> set[Path]:
        """The real paths of all files that a template is made of, includes and parents among them."""
        paths = () if one.script is None else one.script.template.files.values()
        return {file for path in paths for file in self.sources.needed_by(path)}

    def reread(self, one: Prepared) -> Script:
        """The template once more, after some of its files have changed. Raises as `prepare` tells it."""
        assert one.script is not None
        return self.stage.read(one.script.template, one.script.settings)

    def _roots(self, paths: Sequence[str]) -> Iterator[Path]:
        """Where templates may be included from: the folders that were said, those that were given, the project around them."""
        yield from (self.settings.folder / root for root in self.settings.roots)
        yield from map(Path, self.wishes.roots)
        for name in paths:
            folder = _folder(name)
            yield folder
            real = followed(folder)
            if (
                project := next((one for one in (real, *real.parents) if any((one / mark).exists() for mark in MARKS)), None)
            ) is not None:
                yield project

    def _prepare(self, template: Template) -> tuple[Prepared, Template]:
        error = template.error
        script: Script | None = None
        sets: tuple[DataSet, ...] = ()
        if error is None:
            chosen = self.settings.at(template.path)
            try:
                script = self.stage.read(template, chosen)
                sets = self._data(template, chosen)
                needed = lacking(script.variables, [one.data for one in sets])
                sets = tuple(replace(one, lacking=needed) for one in sets) or (made_up(script.variables),)
            except (Unreadable, registry.EngineMissing, data_files.DataError) as fault:
                error = str(fault)
        path = str(template.path) if template.files else None
        return Prepared(template.name, path, script, sets, error), template

    def _data(self, template: Template, chosen: settings.Settings) -> tuple[DataSet, ...]:
        """The template's own data with the shared ones beneath; without own ones, those. Raises DataError."""
        shared = [Path(name) for name in self.wishes.data] or [chosen.folder / name for name in chosen.data]
        common = [one for path in shared for one in data_files.read(path)]
        folder = template.path.parent
        beside = tuple(dict.fromkeys(path for name in template.names for path in self._nearby.of(folder, name)))
        for path in beside:
            if not self.sources.within(path):  # findings quote values, and whoever reads the log would read of the file
                raise data_files.DataError(shown(path), "a link out of the folders that were given")
        own = [one for path in beside for one in data_files.read(path)]
        if not own:
            return tuple(common)
        beneath = {key: value for one in common for key, value in one.data.items()}
        return tuple(replace(one, data={**beneath, **one.data}) for one in own) if beneath else tuple(own)

    def put(self, source: Source, text: str) -> None:
        """Take a text for what a file has from now on."""
        self.sources.put(source, text)
        self.silencer.forget()

    # --- watching

    def watched(self, paths: Sequence[str]) -> Iterator[Path]:
        """All files that may matter: those of the folders that were given, and what the templates have read elsewhere."""
        for name in paths:
            yield from below(_folder(name))
        yield from self.sources.read_so_far
        yield from map(Path, self.wishes.data)
        yield from (self.settings.folder / name for name in self.settings.data)

    def needs(self, paths: Sequence[str]) -> dict[str, frozenset[Path]]:
        """Each template with the real paths of what it is made of, its data among them."""
        return {
            one.name: frozenset(
                [*self.files(one), *map(followed, one.data)]
                if one.script is not None
                else [followed(Path(one.path or one.name))]
            )
            for one in self.prepare(paths)
        }

    def forget(self, changed: Iterable[Path]) -> None:
        """Read these files again when they are wanted."""
        self.sources.forget(changed)
        self.silencer.forget()
        self.stage.forget()
        self._nearby = data_files.Nearby()

    # --- examining

    def _all_known(self, one: Prepared, real: Path | None) -> bool:
        """Whether all templates that use a file are in this run: others than those that were named may include it."""
        return real in _own(one) or (real is not None and any(map(real.is_relative_to, self._searched)))

    async def examine(self, one: Prepared, checker: "Checker", texts: dict[str, str]) -> TargetReport:
        """The report of one template; the texts of the files that it names are put into `texts`."""
        assert one.script is not None
        paths = sorted(self.files(one))
        files = {source.name: source for source in map(self.sources.known, paths) if source is not None}
        self._users.subtract(paths)
        last = {
            name: self._all_known(one, real)
            for name, source in files.items()
            if (real := None if source.path is None else followed(source.path)) is None or self._users[real] <= 0
        }
        report = await self.examiner.examine(one.script, one.sets, checker, files, last)
        texts.update({name: source.text for name, source in files.items()})
        return report


def _own(one: Prepared) -> frozenset[Path]:
    return frozenset() if one.script is None else frozenset(map(followed, one.script.template.files.values()))


def _folder(name: str) -> Path:
    path = Path(name)
    return path if _is_folder(name) else path.parent


def _is_folder(name: str) -> bool:
    try:
        return Path(name).is_dir()
    except OSError:  # a name longer than the file system has; whoever looks for templates tells of it
        return False
