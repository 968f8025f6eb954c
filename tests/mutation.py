"""Changes the checks of a family, one operator at a time, and counts how many changes its page examples and tests notice.

`poe mutate` (or `poe mutate dmarc headers`). cosmic-ray makes the changes; mutmut 3 was tried, and it leaves decorated functions
alone, which all checks are. cosmic-ray's own runner starts pytest anew for each change, seconds of imports for a fraction of a
second of tests: here everything but the checks is imported once, and each change gets a fork. It works in a copy of the
checkout, and hands the changed source to the import system: no file is ever changed.
"""

import argparse
import importlib
import importlib.abc
import importlib.util
import os
import pkgutil
import re
import shutil
import signal
import sys
import tempfile
import time
import tomllib
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parents[1]
COPIED = ("src", "tests", "rules", "pyproject.toml", "README.md", "hatch_build.py")
SETTINGS = tomllib.loads((HERE / "tests" / "mutation.toml").read_text(encoding="utf-8"))
FLOOR = 85  # per cent of the changes of a family that must be noticed: issue 3
SLACK, GRACE = 8, 10  # a change takes too long, and is noticed, after 8 times what the tests take, and 10 seconds

_RULE = re.compile(r'@rule\("([^"]+)"\)')

KILLED, SURVIVED, STILLBORN, EQUIVALENT = "killed", "survived", "stillborn", "equivalent"
_STILLBORN = 90  # exit status: the module could not even be imported, which says nothing about the tests


@dataclass(frozen=True)
class Mutant:
    """One change: the module, its whole source, and the first line that differs, before and after."""

    module: str
    path: Path
    line: int
    operator: str
    source: str
    before: str
    after: str

    @property
    def why_equivalent(self) -> str | None:
        """Why nobody could notice it, if the settings say so."""
        for each in SETTINGS.get("equivalent", ()):
            if self.module.endswith(f".{each['module']}") and each["before"] == self.before and self.after in each["after"]:
                return str(each["why"])
        return None

    def __str__(self) -> str:
        return f"{'/'.join(self.path.parts[-2:])}:{self.line} {self.operator}\n    - {self.before}\n    + {self.after}"


def modules(family: str) -> dict[str, Path]:
    """Name and file of each module of a family."""
    checks = Path("src/delivcheck/checks").resolve()
    if not (checks / family).is_dir():
        return {f"delivcheck.checks.{family}": checks / f"{family}.py"}
    return {
        f"delivcheck.checks.{family}" + ("" if path.stem == "__init__" else f".{path.stem}"): path
        for path in sorted((checks / family).glob("*.py"))
    }


def mutants(family: str) -> Iterator[Mutant]:
    """All changes of a family that compile, without the operators that the settings leave out."""
    from cosmic_ray.ast import ast_nodes, get_ast
    from cosmic_ray.mutating import mutate_code
    from cosmic_ray.plugins import get_operator, operator_names

    left_out = tuple(name for each in SETTINGS["left-out"] for name in each["operators"])
    for module, path in modules(family).items():
        source = path.read_text(encoding="utf-8")
        nodes = list(ast_nodes(get_ast(source)))
        for name in operator_names():
            short = name.partition("/")[2]
            if get_operator(name).arguments() or short.startswith(left_out):
                continue
            operator = get_operator(name)()
            for occurrence in range(sum(1 for node in nodes for _ in operator.mutation_positions(node))):
                changed = mutate_code(source, operator, occurrence)
                if changed is not None and changed != source and _compiles(changed):
                    pairs = zip(source.splitlines(), changed.splitlines(), strict=False)
                    line, before, after = next((n, a, b) for n, (a, b) in enumerate(pairs, 1) if a != b)
                    yield Mutant(module, path, line, short, changed, before.strip(), after.strip())


def _compiles(source: str) -> bool:
    try:
        with warnings.catch_warnings(action="ignore"):  # "is" with a literal
            compile(source, "mutant", "exec")
    except SyntaxError:
        return False
    return True


# --- one change, in a process of its own -------------------------------------------------------------------------


class Changed(importlib.abc.MetaPathFinder, importlib.abc.InspectLoader):
    """Offers one module with another source."""

    def __init__(self, mutant: Mutant) -> None:
        self.mutant = mutant

    def find_spec(self, name, path=None, target=None):
        if name != self.mutant.module:
            return None
        where = self.mutant.path
        package = where.name == "__init__.py"
        spec = importlib.util.spec_from_loader(name, self, origin=str(where), is_package=package)
        spec.has_location = True
        if package:
            spec.submodule_search_locations = [str(where.parent)]
        return spec

    def get_source(self, name):
        return self.mutant.source


def start(family: str, mutant: Mutant | None, seconds: float) -> int:
    """Fork a process that runs the family's tests over a change (None: none); give its id back."""
    child = os.fork()
    if child:
        return child
    status = 99
    try:
        signal.setitimer(signal.ITIMER_REAL, seconds)  # SIGALRM ends the process
        silence = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silence, 1)
        os.dup2(silence, 2)
        status = _judge(family, mutant)
    finally:
        os._exit(status)


def _judge(family: str, mutant: Mutant | None) -> int:
    import pytest

    if mutant is not None:
        sys.meta_path.insert(0, Changed(mutant))
        try:
            importlib.import_module(mutant.module)
        except Exception:  # noqa: BLE001 -- whatever a changed module may raise
            return _STILLBORN
    own = Path("tests/checks") / f"test_{family}.py"
    files = ["tests/test_examples.py", *([str(own)] if own.exists() else [])]
    words = " or ".join([f"{family}/", *(Path(path).stem for path in files[1:])])
    quick = ["-x", "-q", "-n", "0", "--assert=plain", "-p", "no:randomly", "-p", "no:cacheprovider"]
    chosen = f"({words}) and not hostile"  # those measure time, seconds of it, and what is said they do not look at
    return int(pytest.main([*quick, "-k", chosen, *files], plugins=[NearestFirst(mutant)]))


class NearestFirst:
    """Runs the examples of the rule that was changed before the others: there most changes are noticed."""

    def __init__(self, mutant: Mutant | None) -> None:
        above = mutant.source.splitlines()[: mutant.line] if mutant is not None else []
        self.rule = next((found[1] for line in reversed(above) if (found := _RULE.match(line))), "")

    def pytest_collection_modifyitems(self, items):
        items.sort(key=lambda item: f"[{self.rule}:" not in item.nodeid)


def warm(family: str) -> None:
    """Import what every run needs, but no check of the family: those are imported with the change in place."""
    import hypothesis.strategies  # noqa: F401 -- half a second
    import pytest  # noqa: F401

    from delivcheck import checks, facts, mime, net, records
    from tests import examples, keys  # noqa: F401

    own = set(modules(family))
    for package in (facts, mime, net, records, checks):
        for info in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            before = set(sys.modules)
            importlib.import_module(info.name)
            if own & set(sys.modules):  # it is the family, or built on it
                for name in set(sys.modules) - before:
                    if name.startswith(checks.__name__):
                        del sys.modules[name]
    importlib.import_module("cryptography.hazmat.primitives.serialization")


# --- all of them -------------------------------------------------------------------------------------------------


def hunt(family: str, jobs: int) -> Counter[str]:
    """How many changes had which fate; those that nobody noticed are printed."""
    began = time.monotonic()
    _, status = os.waitpid(start(family, None, 600), 0)
    if status:
        sys.exit(f"{family}: its tests do not pass as it is")
    seconds = SLACK * (time.monotonic() - began) + GRACE
    fates: Counter[str] = Counter()
    running: dict[int, Mutant] = {}
    waiting = _counted(mutants(family), fates)
    while True:
        while len(running) < jobs and (one := next(waiting, None)) is not None:
            running[start(family, one, seconds)] = one
        if not running:
            return fates
        child, status = os.wait()
        one = running.pop(child)
        code = os.waitstatus_to_exitcode(status)
        fate = SURVIVED if code == 0 else STILLBORN if code == _STILLBORN else KILLED
        fates[fate] += 1
        if fate == SURVIVED:
            print(one, flush=True)


def _counted(made: Iterator[Mutant], fates: Counter[str]) -> Iterator[Mutant]:
    """Those that a test could notice; the others go into the count."""
    for one in made:
        if one.why_equivalent is None:
            yield one
        else:
            fates[EQUIVALENT] += 1


def main() -> None:
    arguments = argparse.ArgumentParser(prog="poe mutate", description=__doc__.partition("\n")[0])
    arguments.add_argument("families", nargs="*", default=SETTINGS["families"])
    arguments.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    given = arguments.parse_args()
    low = []
    with tempfile.TemporaryDirectory() as folder:
        for name in COPIED:
            source = HERE / name
            (shutil.copytree if source.is_dir() else shutil.copy)(source, Path(folder) / name)
        os.chdir(folder)
        sys.dont_write_bytecode = True
        os.environ["PYTHONPATH"] = f"{folder}/src"
        sys.path[:] = [f"{folder}/src", folder, *(path for path in sys.path if Path(path).resolve() != HERE)]
        for family in given.families:
            if child := os.fork():  # each family has other modules that must not be there yet
                low += [family] if os.waitpid(child, 0)[1] else []
            else:
                warm(family)
                os._exit(0 if report(family, given.jobs) else 1)
        os.chdir(HERE)
    if low:
        sys.exit(f"below {FLOOR} %: {', '.join(low)}")


def report(family: str, jobs: int) -> bool:
    """Print the figures; tell whether enough was noticed."""
    began = time.monotonic()
    fates = hunt(family, jobs)
    judged = fates[KILLED] + fates[SURVIVED]
    score = 100 * fates[KILLED] / judged
    print(
        f"{family}: {fates[KILLED]} of {judged} killed ({score:.1f} %), {fates[SURVIVED]} survived; {fates[EQUIVALENT]} argued to be"
        f" equivalent, {fates[STILLBORN]} could not be imported; {time.monotonic() - began:.0f} s",
        flush=True,
    )
    return score >= FLOOR


if __name__ == "__main__":
    main()
