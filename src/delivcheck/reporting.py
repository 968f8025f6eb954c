"""Reports of one run put together, and written as the JSON of schema `delivcheck/1`."""

import time
from collections.abc import Sequence
from typing import Any

import msgspec

from .checker import Options
from .model import Counts, DeclaredClass, DnsUse, Outcome, Report, TargetKind, TargetReport, Verdict, worst
from .version import __version__


def unreadable(name: str, kind: TargetKind, why: str, declared: DeclaredClass | None = None) -> TargetReport:
    """The report of a target that could not be examined: it keeps its place among the others."""
    return TargetReport(name, kind, Verdict.UNKNOWN, declared or DeclaredClass(), Counts(), (), {}, {}, error=why)


def report(targets: Sequence[TargetReport], chosen: Options, started: float) -> Report:
    """Put the targets of one run together; `started` is what `time.monotonic` said at its beginning."""
    use = getattr(chosen.dns, "use", DnsUse)()
    elapsed = round((time.monotonic() - started) * 1000)
    return Report(
        version=__version__,
        policy=chosen.policy.name,
        verdict=worst(one.verdict for one in targets),
        elapsed_ms=elapsed,
        dns=use,
        targets=tuple(targets),
    )


def to_json(value: Report | TargetReport, *, every_result: bool = False) -> bytes:
    """Serialise to schema `delivcheck/1`: fails and unknowns, or with `every_result` all results."""
    if not every_result:
        value = only_telling(value)
    return msgspec.json.encode(value)


def only_telling(value: Any) -> Any:
    """The same report without the results that passed or did not apply."""
    if isinstance(value, Report):
        return msgspec.structs.replace(value, targets=tuple(only_telling(one) for one in value.targets))
    kept = tuple(one for one in value.results if one.outcome in {Outcome.FAIL, Outcome.UNKNOWN})
    return msgspec.structs.replace(value, results=kept)
