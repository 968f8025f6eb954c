"""The rule book: every page with the check behind it, and the facts they can be made from.

Pages are data and may come from any folder; code comes from installed packages only. A package adds rules with an entry point
in the group `delivcheck.rules` (a module with checks and a folder `rules/` of pages beside it) and facts with one in
`delivcheck.facts` (a module with providers).
"""

import importlib
import pkgutil
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

import msgspec

from . import checks, facts, rulefiles
from .engine import Check, Planner, Provider
from .model import Rule

RuleFileError = rulefiles.RuleFileError
T = TypeVar("T", Check, Provider)


@dataclass(frozen=True)
class Catalog:
    """Pages by id in the order of the book, and the check behind each."""

    rules: Mapping[str, Rule]
    checks: Mapping[str, Check]
    providers: tuple[Provider, ...]

    @cached_property
    def planner(self) -> Planner:
        """The planner over all providers."""
        return Planner(self.providers)

    def with_rules(self, more: Iterable[tuple[Rule, Check]]) -> "Catalog":
        """The same book with further rules behind the others. Raises RuleFileError for a name that is taken."""
        more = tuple(more)
        for rule, _ in more:
            if rule.id in self.rules:
                whose = rule.source[0].name if rule.source else "a further rule"
                raise RuleFileError(f"{whose}: {rule.id}: there is a rule of this name already; a level is set under [rules]")
        pages = {**self.rules, **{rule.id: rule for rule, _ in more}}
        return Catalog(pages, {**self.checks, **{check.id: check for _, check in more}}, self.providers)

    @property
    def without_check(self) -> list[str]:
        """Ids of pages that no check is bound to."""
        return [name for name in self.rules if name not in self.checks]

    @property
    def without_page(self) -> list[str]:
        """Ids of checks that have no page."""
        return [name for name in self.checks if name not in self.rules]


_ID = re.compile(r"[a-z0-9-]+(?:/[a-z0-9-]+)*\Z")  # it goes into addresses of the site and into file names


def page(id: str, raw: Mapping[str, Any], path: str) -> Rule:  # noqa: A002 -- the word the pages use
    """Make a rule of a parsed page. Raises RuleFileError naming file and field."""
    if not _ID.match(id):
        raise RuleFileError(f"{path}: a path of a-z, 0-9 and - is expected, not {id!r}")
    if "id" in raw:
        raise RuleFileError(f"{path}: id: the path is the id, the page must not repeat it")
    try:
        return msgspec.convert({"id": id, **raw}, Rule)
    except msgspec.ValidationError as error:
        text, _, field = str(error).partition(" - at `$.")
        raise RuleFileError(f"{path}: {field.rstrip('`') + ': ' if field else ''}{text[:1].lower()}{text[1:]}") from None


def _modules(package: ModuleType) -> list[ModuleType]:
    """All modules of a package, by name; a family may itself be a package. `_private` ones are loaded by whom they serve."""
    names = sorted(info.name for info in pkgutil.walk_packages(package.__path__, package.__name__ + "."))
    return [importlib.import_module(name) for name in names if not name.rpartition(".")[2].startswith("_")]


def collect(modules: Iterable[ModuleType], kind: type[T]) -> list[T]:
    """Every Check or every Provider that the modules define, in order of definition, once."""
    seen: dict[int, T] = {}
    for module in modules:
        for value in vars(module).values():
            if isinstance(value, kind):
                seen.setdefault(id(value), value)
    return list(seen.values())


def _installed(group: str) -> list[ModuleType]:
    """Modules that other packages offer. One that cannot be imported is the user's to know: RuleFileError."""
    modules = []
    for entry in sorted(metadata.entry_points(group=group), key=lambda entry: entry.name):
        try:
            module = entry.load()
        except Exception as error:
            raise RuleFileError(
                f"{group}: {entry.name} ({entry.value}) cannot be loaded: {type(error).__name__}: {error}"
            ) from error
        if not isinstance(module, ModuleType):
            raise RuleFileError(f"{group}: {entry.name} ({entry.value}) names no module")
        modules.append(module)
    return modules


def _pages(rules_folder: Path | None, packages: Iterable[ModuleType]) -> dict[str, Rule]:
    """The pages of a folder (ours, if None is given), then those beside the modules that packages offer."""
    pages = {name: page(name, raw, f"rules/{name}.toml") for name, raw in rulefiles.load(rules_folder)["pages"].items()}
    for module in packages:
        root = Path(str(module.__file__)).parent / "rules"
        for name, raw in rulefiles.load(root)["pages"].items():
            if name in pages:
                raise RuleFileError(f"{root}/{name}.toml: there is a rule of this name already")
            pages[name] = page(name, raw, f"{root}/{name}.toml")
    return pages


def assemble(rules_folder: Path | None = None, *, strict: bool = True) -> Catalog:
    """Read pages, collect checks and providers, hold pages and checks equal. Raises RuleFileError."""
    from_packages = _installed("delivcheck.rules")
    pages = _pages(rules_folder, from_packages)
    bound: dict[str, Check] = {}
    for check in collect([*_modules(checks), *from_packages], Check):
        if check.id in bound:
            raise RuleFileError(f"two checks claim the page {check.id}")
        bound[check.id] = check
    ours = sorted(_modules(facts), key=lambda module: module.__name__.rpartition(".")[2] not in facts.FIRST)
    providers = collect([*ours, *_installed("delivcheck.facts")], Provider)
    catalog = Catalog(pages, bound, tuple(providers))
    if strict and (catalog.without_check or catalog.without_page):
        halves = [f"{name}: page without a check" for name in catalog.without_check]
        halves += [f"{name}: check without a page" for name in catalog.without_page]
        raise RuleFileError("; ".join(halves))
    return catalog


@lru_cache(maxsize=1)
def standard() -> Catalog:
    """The catalog of this installation, read once."""
    return assemble()


@lru_cache(maxsize=1)
def pages() -> Mapping[str, Rule]:
    """All pages, without importing a check of ours: what `explain` and `rules` need."""
    return _pages(None, _installed("delivcheck.rules"))
