"""Policies: which rules run, at which level, and what follows from how they came out.

The only place that decides about sending. A policy is data (`rules/policies/*.toml` or the user's own file); it extends
another, sets levels and options by rule id or pattern, and may add house rules.
"""

import difflib
import fnmatch
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec

from . import rulefiles
from .engine import Check, Judged
from .facts.roots import Declared, Origin
from .model import (
    Counts,
    Level,
    MessageClass,
    Outcome,
    Problem,
    Result,
    Rule,
    Stage,
    TargetKind,
    Verdict,
    Volume,
)

MAX_EXTENDS = 8  # policies above policies; more is a mistake or a circle

_KEYS = {"title", "extends", "column", "packs", "class", "volume", "on-fail", "on-unknown", "rules", "require", "forbid"}
COLUMNS = ("bulk", "strict", "csa", "parked")  # each a level for every rule; "bulk" reads "low-volume" for a low volume
PACKS = ("orange", "laposte", "gmx", "tonline", "icloud", "mailru", "yandex", "netease", "eu")  # levels above a column's
_ACTIONS = {"on-fail": ("refuse", "hold", "send"), "on-unknown": ("defer", "send", "refuse", "hold")}


class PolicyError(Exception):
    """A policy that cannot be used; the text names the file and the key, and the nearest name where one was meant."""


@dataclass(frozen=True)
class Setting:
    """One line under `[rules]`: a rule id or pattern, and what it sets."""

    pattern: str
    level: Level | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    source: str = ""


@dataclass(frozen=True)
class Policy:
    """A policy with everything it extends folded in. Later settings win."""

    name: str
    title: str = ""
    column: str = "bulk"
    packs: tuple[str, ...] = ()
    message_class: MessageClass | None = None
    volume: Volume | None = None
    on_fail: str = "refuse"
    on_unknown: str = "defer"
    settings: tuple[Setting, ...] = ()
    house: tuple[tuple[Rule, Check], ...] = ()

    def base_level(self, rule: Rule, declared: Declared) -> Level:
        """The page's own word for this column, and for a low-volume sender under it; a regional pack can only raise it."""
        column = "low-volume" if self.column == "bulk" and declared.volume is Volume.LOW else self.column
        base = rule.levels.get(column, rule.level)
        return max((base, *(rule.levels[pack] for pack in self.packs if pack in rule.levels)), key=lambda level: level.rank)

    def level(self, rule: Rule, declared: Declared) -> Level:
        """The level that holds after all settings."""
        level = self.base_level(rule, declared)
        for setting in self.settings:
            if setting.level is not None and fnmatch.fnmatchcase(rule.id, setting.pattern):
                level = setting.level
        return level

    def options(self, rule_id: str) -> dict[str, Any]:
        """The options set for a rule."""
        options: dict[str, Any] = {}
        for setting in self.settings:
            if setting.options and fnmatch.fnmatchcase(rule_id, setting.pattern):
                options.update(setting.options)
        return {name: tuple(value) if isinstance(value, list) else value for name, value in options.items()}

    def with_settings(self, more: Iterable[Setting]) -> "Policy":
        """The same policy with settings laid over it, such as those of `--rule`."""
        return replace(self, settings=(*self.settings, *more))


# --- reading -----------------------------------------------------------------------------------------------------


def _house(name: str, raw: Mapping[str, Any], source: str) -> tuple[tuple[Rule, Check], ...]:
    """The policy's own rules; few have any, and what reads them imports most of the facts."""
    from . import houserules

    try:
        return tuple(houserules.read(raw, name))
    except houserules.HouseRuleError as error:
        raise PolicyError(f"{source}: {error}") from None


def _word(source: str, key: str, value: Any, words: Sequence[str]) -> str:
    if value not in words:
        near = difflib.get_close_matches(str(value), words, 1)
        raise PolicyError(
            f"{source}: {key}: {value!r} is none of {', '.join(words)}{f'; did you mean {near[0]}?' if near else ''}"
        )
    return str(value)


def _setting(source: str, pattern: str, value: Any) -> Setting:
    if isinstance(value, str):
        return Setting(pattern, Level(_word(source, f'rules."{pattern}"', value, list(Level))), source=source)
    if isinstance(value, Mapping):
        options = dict(value)
        level = options.pop("level", None)
        return Setting(
            pattern,
            None if level is None else Level(_word(source, f'rules."{pattern}".level', level, list(Level))),
            options,
            source,
        )
    raise PolicyError(f'{source}: rules."{pattern}": a level, or a table of a level and options')


def parse_setting(text: str, source: str = "--rule") -> Setting:
    """Read `family/name=level`, as `--rule` takes it."""
    pattern, equals, level = text.partition("=")
    if not equals:
        raise PolicyError(f"{source}: {text!r} is not RULE=LEVEL")
    return _setting(source, pattern.strip(), level.strip())


def _shipped() -> Mapping[str, Any]:
    return rulefiles.load()["policies"]  # type: ignore[no-any-return]


def load(name_or_path: str) -> Policy:
    """Read a policy that we ship, by name, or a file. Raises PolicyError."""
    return _load(name_or_path, 0)


def _load(name_or_path: str, depth: int) -> Policy:
    if depth > MAX_EXTENDS:
        raise PolicyError(f"{name_or_path}: policies extend one another more than {MAX_EXTENDS} deep")
    shipped = _shipped()
    if name_or_path in shipped:
        return fold(name_or_path, shipped[name_or_path], f"policies/{name_or_path}.toml", depth)
    path = Path(name_or_path)
    if path.suffix != ".toml" and not path.is_file():
        near = difflib.get_close_matches(name_or_path, shipped, 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise PolicyError(f"no policy {name_or_path!r}: there are {', '.join(sorted(shipped))}, or name a .toml file{hint}")
    try:
        raw = rulefiles.parse(path)
    except rulefiles.RuleFileError as error:
        raise PolicyError(str(error)) from None
    return fold(path.stem, raw, str(path), depth)


def fold(name: str, raw: Mapping[str, Any], source: str, depth: int = 0) -> Policy:
    """Make a policy of a parsed file over the one it extends. Raises PolicyError."""
    for key in raw:
        if key not in _KEYS:
            near = difflib.get_close_matches(key, sorted(_KEYS), 1)
            raise PolicyError(f"{source}: {key}: no such key{f'; did you mean {near[0]}?' if near else ''}")
    base = _load(str(raw["extends"]), depth + 1) if "extends" in raw else Policy(name)
    rules = raw.get("rules", {})
    if not isinstance(rules, Mapping):
        raise PolicyError(f"{source}: rules: a table of rule ids and levels")
    house = _house(name, raw, source) if "require" in raw or "forbid" in raw else ()
    actions = {key: _word(source, key, raw[key], words) for key, words in _ACTIONS.items() if key in raw}
    return replace(
        base,
        name=name,
        title=str(raw.get("title", base.title)),
        column=_word(source, "column", raw["column"], COLUMNS) if "column" in raw else base.column,
        packs=(*base.packs, *_packs(source, raw.get("packs", []))),
        message_class=MessageClass(_word(source, "class", raw["class"], list(MessageClass)))
        if "class" in raw
        else base.message_class,
        volume=Volume(_word(source, "volume", raw["volume"], list(Volume))) if "volume" in raw else base.volume,
        on_fail=actions.get("on-fail", base.on_fail),
        on_unknown=actions.get("on-unknown", base.on_unknown),
        settings=(*base.settings, *(_setting(source, pattern, value) for pattern, value in rules.items())),
        house=(*base.house, *house),
    )


def _packs(source: str, raw: Any) -> tuple[str, ...]:
    if not isinstance(raw, list):
        raise PolicyError(f"{source}: packs: a list of regional packs, of {', '.join(PACKS)}")
    return tuple(_word(source, "packs", one, PACKS) for one in raw)


def hold_against(policy: Policy, rules: Mapping[str, Rule], checks: Mapping[str, Check]) -> None:
    """Raise PolicyError for a setting that names no rule, or an option its rule does not have."""
    for setting in policy.settings:
        named = [name for name in rules if fnmatch.fnmatchcase(name, setting.pattern)]
        if not named:
            raise PolicyError(f"{setting.source}: no rule {setting.pattern!r}{suggestion(setting.pattern, rules)}")
        for option, value in setting.options.items():
            for name in named:
                known = checks[name].options if name in checks else {}
                if option not in known:
                    offers = f"its options: {', '.join(known)}" if known else "it has none"
                    raise PolicyError(f"{setting.source}: {name} has no option {option!r}; {offers}")
                if not _fits(value, known[option]):
                    kind = "a list of texts" if isinstance(known[option], tuple) else type(known[option]).__name__
                    raise PolicyError(f"{setting.source}: {name}: {option} must be {kind}, not {value!r}")


def _fits(value: Any, default: Any) -> bool:
    """Whether an option's value is of the kind its default shows: a tuple stands for a TOML list of texts."""
    if isinstance(default, tuple):
        return isinstance(value, (list, tuple)) and all(isinstance(one, str) for one in value)
    if type(default) is float and type(value) is int:  # nobody writes 3.0 for a factor of three
        return True
    return default is None or type(value) is type(default)


def suggestion(name: str, rules: Iterable[str]) -> str:
    """`; did you mean …?` with the nearest rule id, comparing whole ids and last parts; empty when nothing is near."""
    ids = list(rules)
    near = difflib.get_close_matches(name, ids, 1, 0.6)
    if not near:
        tails = {one.partition("/")[2]: one for one in ids}
        near = [tails[tail] for tail in difflib.get_close_matches(re.sub(r".*/", "", name), tails, 1, 0.6)]
    return f"; did you mean {near[0]}?" if near else ""


# --- what runs ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Circumstances:
    """What decides, beside the facts, whether a rule can be judged on this target."""

    kind: TargetKind
    stage: Stage
    declared: Declared
    origin: Origin = Origin.AS_SENT
    line_ends_converted: bool = False


_READINESS = {Stage.TEMPLATE: 0, Stage.DOMAIN: 0, Stage.LIVE: 0, Stage.PRE_SIGN: 1, Stage.POST_SIGN: 2}


_CHANGED = {  # the words of a page's `not-for`
    "received": "came in",
    "reconstructed": "was put together again from its parts",
    "converted": "is stored with other line ends",
}


def select(policy: Policy, rules: Iterable[Rule], around: Circumstances) -> Iterator[tuple[Rule, Level, str | None]]:
    """Each rule that inspects this kind of target and is not off, its level, and why it cannot apply (None when it runs)."""
    for rule in rules:
        level = policy.level(rule, around.declared)
        if around.kind in rule.targets and level is not Level.OFF:
            yield rule, level, _why_not(rule, around)


def _why_not(rule: Rule, around: Circumstances) -> str | None:
    if around.kind is not TargetKind.DOMAIN and _READINESS[rule.stage] > _READINESS[around.stage]:
        return f"judged on the message as it is {'after' if rule.stage is Stage.POST_SIGN else 'before'} signing"
    changes = (around.origin.value, "converted") if around.line_ends_converted else (around.origin.value,)
    for change in changes:
        if change in rule.not_for:
            return f"the message {_CHANGED[change]}, so its sender's octets are not known"
    declared = around.declared.message_class
    if rule.class_ is not None and declared is not None and declared is not rule.class_:
        return f"asked of {rule.class_} mail; this is declared {declared}"
    if rule.volume is not None and around.declared.volume is not rule.volume:
        return f"asked of {rule.volume}-volume senders"
    return None


# --- what follows ------------------------------------------------------------------------------------------------


def _problem_level(level: Level, problem: Problem) -> Level:
    """A sub-case's own level: lower replaces, higher raises by one step at most (catalogue, severity_override)."""
    if problem.level is None or problem.level is level:
        return level
    if problem.level.rank < level.rank:
        return problem.level
    return next(one for one in (Level.NOTE, Level.WARNING, Level.ERROR) if one.rank == level.rank + 1)


def weigh(rule: Rule, level: Level, judged: Judged, declared: Declared) -> Result:
    """Give a check's outcome its level.

    A rule for one class only, with the class undeclared, does not fail: it is unknown, at note level (DESIGN section 2).
    """
    if judged.outcome not in _DECIDING:  # as nearly all
        return Result(rule.id, judged.outcome, level, judged.reason, rule.covers)
    problems = tuple(replace_level(problem, _problem_level(level, problem)) for problem in judged.problems)
    outcome, reason = judged.outcome, judged.reason
    if outcome is Outcome.FAIL:
        level = max(
            (problem.level for problem in problems if problem.level is not None), key=lambda one: one.rank, default=level
        )
    if rule.class_ is not None and declared.message_class is None and outcome in {Outcome.FAIL, Outcome.UNKNOWN}:
        if outcome is Outcome.FAIL:
            reason = f"fails if this is {rule.class_} mail; its class was not declared"
        outcome, level = Outcome.UNKNOWN, Level.NOTE
    bug, where = judged.bug or msgspec.UNSET, judged.where or msgspec.UNSET
    return Result(rule.id, outcome, level, reason, rule.covers, problems, bug=bug, where=where)


def replace_level(problem: Problem, level: Level) -> Problem:
    """The same problem with its level settled."""
    return Problem(problem.message, problem.where, level, problem.fix)


def with_problems(result: Result, problems: Iterable[Problem]) -> Result:
    """A failed result with only these of its problems: at least one, whose levels decide on its own."""
    left = tuple(problems)
    level = max((one.level for one in left if one.level is not None), key=lambda one: one.rank, default=result.level)
    return msgspec.structs.replace(result, problems=left, level=level if result.outcome is Outcome.FAIL else result.level)


def follow(results: Sequence[Result], rules: Mapping[str, Rule]) -> list[Result]:
    """Name, in every failed result that another failed rule explains, that rule: one cause is told once.

    A cause is worth at least as much as what follows from it, and nothing follows from itself. Outcomes and levels stay.
    """
    failed = {result.rule: result for result in results if result.outcome is _FAIL}
    if len(failed) < 2:
        return list(results)
    because: dict[str, str] = {}

    def first(name: str) -> str:
        """The cause at the beginning of the chain; `because` never has a circle."""
        while name in because:
            name = because[name]
        return name

    for cause, result in failed.items():
        for pattern in rules[cause].explains:
            for name in fnmatch.filter(failed, pattern):
                if name not in because and failed[name].level.rank <= result.level.rank and first(cause) != name:
                    because[name] = cause
    return [
        msgspec.structs.replace(result, because=first(result.rule)) if result.rule in because else result for result in results
    ]


def verdict(results: Iterable[Result], fail_on: Level | None = Level.ERROR) -> Verdict:
    """Only results at `fail_on` or above decide, failed before unknown; with None nothing does.

    Where rules were to run and none could be judged (a domain without DNS), nothing is known: that is no pass.
    """
    if fail_on is None:
        return Verdict.PASS
    deciding: list[Outcome] = []
    nothing = ran = False
    for result in results:
        outcome = result.outcome
        if outcome is _NOT_APPLICABLE:
            nothing = True
            continue
        ran = True
        if outcome is not _PASS and result.level.rank >= fail_on.rank:
            deciding.append(outcome)
    if Outcome.FAIL in deciding:
        return Verdict.FAIL
    return Verdict.UNKNOWN if deciding or (nothing and not ran) else Verdict.PASS


_DECIDING = frozenset({Outcome.FAIL, Outcome.UNKNOWN})
_PASS, _FAIL, _UNKNOWN, _NOT_APPLICABLE = Outcome.PASS, Outcome.FAIL, Outcome.UNKNOWN, Outcome.NOT_APPLICABLE


def count(results: Iterable[Result], suppressed: int = 0) -> Counts:
    """How many rules came out how."""
    outcomes = [result.outcome for result in results]  # an enumeration's members are slow keys
    passed, failed, unknown, nothing = map(outcomes.count, (_PASS, _FAIL, _UNKNOWN, _NOT_APPLICABLE))
    return Counts(passed, failed, unknown, nothing, suppressed)
