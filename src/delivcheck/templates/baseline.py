"""Findings that were there when delivcheck came: a file names them, they are not told, and the file only ever shrinks.

A finding is recognised by its rule, its file and its words without digits, and counted: the line may move, a second one like it
is new. The file is JSON, sorted, a line each, so that a reviewer sees in the diff what was mended.
"""

import json
import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from ..model import Outcome, Problem, Result
from ..policy import with_problems
from ..tables import ConfigError

SCHEMA = "delivcheck-baseline/1"
MAX_FILE = 67_108_864  # octets, 64 MB: half a million findings
REASON = "in the baseline"

Key = tuple[str, str, str]  # rule, file, message

_NUMBER = re.compile(r"[0-9]+")


class Baseline:
    """The findings of a file, and which of them a run has met. Without a file nothing is in it."""

    def __init__(self, path: Path | None = None, *, make: bool = False) -> None:
        """Read the file; with `make` it need not exist yet, and takes in what the first run finds. Raises ConfigError."""
        self.path = path
        self.new = path is not None and make and not path.exists()
        self._known: Counter[Key] = Counter() if path is None or self.new else _read(path)
        self._met: Counter[Key] = Counter()
        self._examined: set[str] = set()  # files

    def quiet(self, results: Sequence[Result], main: str, files: Iterable[str] = ()) -> tuple[list[Result], int]:
        """The results of a target without what is known, and how many rules that silenced altogether.

        `files` are the names of the files that it is made of. What several templates include is counted in each of them, and
        the most counts: one more that includes an old finding brings no new one.
        """
        if self.path is None:
            return list(results), 0
        self._examined.update(map(self._file, (main, *files)))
        made, count, met = [], 0, Counter[Key]()
        for result in results:
            left = [problem for problem in result.problems if not self._knows(self._key(result, problem, main), met)]
            if len(left) == len(result.problems):
                made.append(result)
            elif left or result.outcome is not Outcome.FAIL:
                made.append(with_problems(result, left))
            else:
                count += 1
                made.append(Result(result.rule, Outcome.NOT_APPLICABLE, result.level, REASON, result.covers))
        self._met |= met
        return made, count

    def _knows(self, key: Key, met: Counter[Key]) -> bool:
        met[key] += 1
        return self.new or met[key] <= self._known[key]

    def _key(self, result: Result, problem: Problem, main: str) -> Key:
        where = problem.where
        name = where.file if where is not None and where.file is not None else main
        return result.rule, self._file(name), _NUMBER.sub("0", " ".join(problem.message.split()))

    def _file(self, name: str) -> str:
        """A file from where the baseline stands, which does not depend on where the run was started."""
        assert self.path is not None
        return os.path.relpath(os.path.realpath(name), self._folder).replace(os.sep, "/")

    @cached_property
    def _folder(self) -> str:
        assert self.path is not None
        return os.path.realpath(self.path.parent)

    @property
    def mended(self) -> int:
        """How many of its findings the run has not met."""
        return sum((self._known - self._left()).values())

    def _left(self) -> Counter[Key]:
        """What the run has met of it, and what it could not meet: findings in files that it did not look at, unless gone."""
        unseen = {
            key: count
            for key, count in self._known.items()
            if key[1] not in self._examined and os.path.exists(os.path.join(self._folder, key[1]))  # noqa: PTH110, PTH118 -- false for a name that is too long
        }
        return (self._known & self._met) | Counter(unseen)

    def write(self) -> int:
        """Write what is left of it, or make it. Returns how many findings it has. Raises ConfigError."""
        assert self.path is not None
        kept = self._met if self.new else self._left()
        findings = [
            {"rule": rule, "file": file, "message": message, "count": count}
            for (rule, file, message), count in sorted(kept.items())
        ]
        lines = ",\n".join("    " + json.dumps(one, ensure_ascii=False) for one in findings)
        text = f'{{\n  "schema": "{SCHEMA}",\n  "findings": [\n{lines}\n  ]\n}}\n'
        beside = self.path.with_name(f"{self.path.name}.new")
        try:
            beside.unlink(missing_ok=True)  # one that was left behind, or a link that would be written through
            with beside.open("x", encoding="utf-8", errors="backslashreplace") as file:  # JSON's own way to write surrogates
                file.write(text)
            beside.replace(self.path)
        except OSError as error:
            raise ConfigError(f"{self.path}: {error.strerror or error}") from None
        return sum(kept.values())


def _read(path: Path) -> Counter[Key]:
    try:
        with path.open("rb") as file:
            octets = file.read(MAX_FILE + 1)
    except OSError as error:
        hint = "; --write-baseline makes it" if isinstance(error, FileNotFoundError) else ""
        raise ConfigError(f"{path}: {error.strerror or error}{hint}") from None
    try:
        raw = json.loads(octets) if len(octets) <= MAX_FILE else None
    except (ValueError, RecursionError):
        raw = None
    if not isinstance(raw, Mapping) or raw.get("schema") != SCHEMA or not isinstance(raw.get("findings"), list):
        raise ConfigError(f"{path}: no baseline of delivcheck's (schema {SCHEMA})")
    known: Counter[Key] = Counter()
    for number, one in enumerate(raw["findings"], 1):
        key, count = _finding(one)
        if key is None:
            raise ConfigError(f"{path}: finding {number}: rule, file, message and count are wanted")
        known[key] += count
    return known


def _finding(one: Any) -> tuple[Key | None, int]:
    if not isinstance(one, Mapping):
        return None, 0
    words = [one.get("rule"), one.get("file"), one.get("message")]
    count = one.get("count", 1)
    if not all(isinstance(word, str) for word in words) or type(count) is not int or count < 1:
        return None, 0
    return (str(words[0]), str(words[1]), str(words[2])), count
