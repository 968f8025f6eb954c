"""Findings that a template's author silenced on purpose: comments in the engine's own syntax, which are never sent.

    {# delivcheck: ignore-next html/missing-alt, links/* -- the logo is decoration; until=2027-01-31 #}

`ignore` is about its own line, `ignore-next` about the next line that has anything, `ignore-begin` … `ignore-end` about what
stands between, `ignore-file` about the whole file. A rule is an id or a pattern. The reason after the hyphens must be given: a
silence that nobody can explain is the next person's trap. From the day after `until` on it silences nothing.
"""

import fnmatch
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from ..facts.roots import Silence, Silences
from ..model import Outcome, Problem, Result, Where
from ..policy import suggestion, with_problems
from .model import Source

# Comments of Jinja2, Django, Twig · Django, Liquid · Liquid · Handlebars · Mustache · HTML, MJML · ERB, EJS, PHP's short tags.
_OURS = "delivcheck:"
# The word stands right behind a comment's opening, and its end is looked for near it: hostile text with a million openings
# costs a look at each.
_OPENINGS = re.compile(
    rf"(?:(?P<hash>\{{#[-+]?)"
    rf"|(?P<tag>\{{%[-+]?\s{{0,9}}comment\b[^%]{{0,200}}%\}})"
    rf"|(?P<inline>\{{%-?\s{{0,9}}#)"
    rf"|(?P<dashes>\{{\{{~?!--)"
    rf"|(?P<bang>\{{\{{~?!)"
    rf"|(?P<html><!--)"
    rf"|(?P<angle><%[#%]))\s{{0,99}}(?={_OURS})"
)
_CLOSINGS: Mapping[str, re.Pattern[str]] = {  # each begins with what it always has, which is found fast
    "hash": re.compile(r"#\}"),
    "tag": re.compile(r"\{%[-+]?\s{0,9}endcomment\s{0,9}[-+]?%\}"),
    "inline": re.compile(r"%\}"),
    "dashes": re.compile(r"--~?\}\}"),
    "bang": re.compile(r"\}\}"),
    "html": re.compile(r"-->"),
    "angle": re.compile(r"%>"),
}
MAX_LENGTH = 1_000  # characters of one comment
MAX_COMMENTS = 1_000  # of one file, the largest of which have some ten; each is held against every finding
MAX_PATTERN = 100  # characters of a rule's name; the longest has 48
_SAYS = re.compile(rf"\s*{_OURS}\s*(?P<what>[a-z-]*)(?P<rest>.*)\Z", re.DOTALL)
_BETWEEN = re.compile(r"[,;]")
_REASON = re.compile(r"(?<=\s)--")  # after it
_UNTIL = re.compile(r"[;,\s]until\s{0,9}=\s{0,9}(?P<day>[^\s;,]*)")

_ANYTHING = re.compile(r"\S")

_BROKEN = "template/does-not-render"
_SCOPES = ("ignore", "ignore-next", "ignore-begin", "ignore-end", "ignore-file")


@dataclass
class Silencing:
    """One comment, and whether it has silenced anything yet. Lines from 1, both inclusive; None: the whole file."""

    patterns: tuple[str, ...]
    at: Where
    reason: str
    until: date | None = None
    first: int | None = None
    last: int | None = None
    fault: str | None = None
    used: bool = False
    tried: bool = False  # one of its rules has passed or failed, so that it is known whether it is needed

    def has_expired(self, today: date) -> bool:
        """Whether its last day is over."""
        return self.until is not None and self.until < today

    def covers(self, rule: str, where: Where | None) -> bool:
        """Whether it is about a problem of a rule at a place of its own file; a problem without a place is the file's."""
        if self.first is not None and self.last is not None:  # looked at first: a line is compared faster than names
            if where is None or where.line is None:
                return False
            if not self.first <= where.line <= self.last:
                return False
        return any(fnmatch.fnmatchcase(rule, pattern) for pattern in self.patterns)


def read(source: Source, rules: Collection[str]) -> list[Silencing]:
    """The comments of one file that are for us; `rules` are the ids that there are."""
    if _OURS not in source.text:
        return []
    return list(_read(source, rules))


def _read(source: Source, rules: Collection[str]) -> Iterator[Silencing]:
    open_since: list[Silencing] = []
    known: dict[str, bool] = {}
    for number, (start, end, said) in enumerate(_comments(source.text)):
        at = source.where(start, end)
        if number >= MAX_COMMENTS:
            yield Silencing((), at, "", fault=f"more than {MAX_COMMENTS:,} in one file: this one and what follows is not read")
            return
        one = _understood(said, at, rules, known)
        what = one.reason if one.fault is not None else _what(said)
        last = source.line_of(max(end - 1, 0))
        if one.fault is not None:
            yield one
        elif what == "ignore-end":
            if open_since:
                open_since.pop().last = last
            else:
                yield Silencing((), at, "", fault="there is no ignore-begin before this ignore-end")
        else:
            one.first, one.last = _lines(what, source, end, at.line or 1, last)
            if what == "ignore-begin":
                open_since.append(one)
            yield one


def _comments(text: str) -> Iterator[tuple[int, int, str]]:
    """Where each comment that is for us begins and ends, and what it says."""
    at = 0
    while (opening := _OPENINGS.search(text, at)) is not None:
        at = opening.end()
        closing = _CLOSINGS[opening.lastgroup or ""].search(text, at, at + MAX_LENGTH)
        if closing is not None:
            at = closing.end()
            yield opening.start(), at, text[opening.end() : closing.start()].rstrip("-+~")  # which take blanks away


def _what(said: str) -> str:
    found = _SAYS.match(said)
    return found["what"] if found else ""


def _lines(what: str, source: Source, end: int, first: int, last: int) -> tuple[int | None, int | None]:
    if what == "ignore-file":
        return None, None
    if what == "ignore-next":
        below = source.text.find("\n", end)
        following = _ANYTHING.search(source.text, below) if below >= 0 else None
        line = source.line_of(len(source.text) if following is None else following.start())
        return line, line
    if what == "ignore-begin":
        return first, source.line_of(len(source.text))
    return first, last


def _understood(said: str, at: Where, rules: Collection[str], known: dict[str, bool]) -> Silencing:
    found = _SAYS.match(said)
    what = found["what"] if found else ""
    if found is None or what not in _SCOPES:
        return Silencing((), at, what, fault=f"{what or 'nothing'!r} is none of {', '.join(_SCOPES)}")
    day = _UNTIL.search(said)
    until = None
    if day is not None:
        try:
            until = date.fromisoformat(day["day"])
        except ValueError:
            return Silencing((), at, what, fault=f"until={day['day']}: a day is written 2027-01-31")
    rules_said, *reasons = _REASON.split(_UNTIL.sub("", found["rest"]), maxsplit=1)
    reason = " ".join("".join(reasons).split()).strip(" ;,")
    patterns = tuple(_BETWEEN.sub(" ", rules_said).split())
    if what == "ignore-end":
        return Silencing((), at, reason)
    if not patterns:
        return Silencing((), at, what, fault=f"{what} names no rule")
    for pattern in patterns:
        if len(pattern) > MAX_PATTERN:
            return Silencing((), at, what, fault=f"no rule {pattern[:MAX_PATTERN]!r}…")
        if pattern not in known:
            known[pattern] = any(fnmatch.fnmatchcase(rule, pattern) for rule in rules)
        if not known[pattern]:
            return Silencing((), at, what, fault=f"no rule {pattern!r}{suggestion(pattern, rules)}")
    if not reason:
        return Silencing((), at, what, fault=f"{what} {', '.join(patterns)} says no reason (write it after --)")
    return Silencing(patterns, at, reason, until)


def _try(comments: Iterable[Silencing], results: Sequence[Result]) -> None:
    if any(one.rule == _BROKEN and one.outcome is Outcome.FAIL for one in results):
        return  # nobody knows what the rules would have found
    decided = [one.rule for one in results if one.outcome in {Outcome.PASS, Outcome.FAIL}]
    for one in comments:
        one.tried = one.tried or any(fnmatch.filter(decided, pattern) for pattern in one.patterns)


# --- what they silence -------------------------------------------------------------------------------------------


@dataclass
class Silencer:
    """The comments of all files of a run. `today` decides which have expired."""

    today: date
    rules: Collection[str]
    _files: dict[str, list[Silencing]] = field(default_factory=dict)

    def quiet(self, results: Sequence[Result], sources: Mapping[str, Source], main: str) -> tuple[list[Result], int]:
        """The results of a target without what is silenced, and how many rules were silenced altogether."""
        for name, source in sources.items():
            if name not in self._files:
                self._files[name] = read(source, self.rules)
        comments = [one for name in sources for one in self._files[name] if one.fault is None]
        if not comments:
            return list(results), 0
        _try(comments, results)
        made, count = [], 0
        for result in results:
            left, reasons = self._left(result, main)
            if not reasons:
                made.append(result)
            elif left or result.outcome is not Outcome.FAIL:
                made.append(with_problems(result, left))
            else:
                count += 1
                why = f"silenced in the template: {'; '.join(dict.fromkeys(reasons))}"
                made.append(Result(result.rule, Outcome.NOT_APPLICABLE, result.level, why, result.covers))
        return made, count

    def _left(self, result: Result, main: str) -> tuple[list[Problem], list[str]]:
        left, reasons = [], []
        for problem in result.problems:
            where = problem.where
            name = where.file if where is not None and where.file is not None else main
            found = [one for one in self._files.get(name, ()) if one.fault is None and one.covers(result.rule, where)]
            working = [one for one in found if not one.has_expired(self.today)]
            for one in found:
                one.used = True
            if working:
                reasons.append(working[0].reason)
            else:
                left.append(problem)
        return left, reasons

    def forget(self) -> None:
        """Read every file's comments again."""
        self._files.clear()

    def told(self, names: Sequence[str], partly: Collection[str] = ()) -> Silences | None:
        """What is to be said of the comments of these files, once everything that uses them was checked; None without any.

        Of those that `partly` has, not all users are known: theirs are never called unused.
        """
        every = [(one, name not in partly) for name in names for one in self._files.get(name, ())]
        if not every:
            return None
        return Silences(
            tuple(
                Silence(", ".join(one.patterns), one.at, one.until, one.fault)
                for one, whole in every
                if one.fault is not None or one.has_expired(self.today) or (whole and one.tried and not one.used)
            ),
            self.today,
        )
