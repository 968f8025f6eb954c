"""What the judge says of one message, before the hook's own mode and its way with unknowns: plain values."""

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..model import Report


class Wanted(StrEnum):
    """What the policy, or our own trouble, asks for."""

    SEND = "send"  # it passed, or the policy sends all the same: then `reason` says of what
    REFUSE = "refuse"
    DEFER = "defer"  # undecided, or the policy wants it later
    FAULT = "fault"  # something of ours failed: no verdict


@dataclass(frozen=True, slots=True)
class Ruling:
    """One message's ruling. `text` is printable ASCII and names the trace; `octets` is the report's JSON, b"" for none.

    `reason` is for logs: in a fault it says more than `text`, which callers may show to anybody. `bypass` is set where the
    policy itself sends what did not pass.
    """

    wanted: Wanted
    verdict: str  # pass, fail, unknown
    code: int  # of a reply: 250, 550, 451 …
    enhanced: str
    text: str
    trace: str
    rules: tuple[str, ...] = ()
    reason: str = ""
    bypass: str | None = None
    octets: bytes = b""

    def report(self) -> "Report | None":
        """The report, read from its JSON."""
        if not self.octets:
            return None
        import msgspec

        from ..model import Report

        return msgspec.json.decode(self.octets, type=Report)


def fault(reason: str, trace: str) -> Ruling:
    """No verdict through a fault of ours, or of the machine's."""
    text = f"it could not be checked just now, please try again ({trace})"
    return Ruling(Wanted.FAULT, "unknown", 451, "4.3.0", text, trace, reason=reason)
