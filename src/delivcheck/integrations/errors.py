"""What a hook raises instead of sending. `except smtplib.SMTPException`, which callers have already, catches all of it."""

from smtplib import SMTPDataError
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..model import Report
    from .ruling import Ruling


class MessageStopped(SMTPDataError):  # noqa: N818 -- as smtplib's own SMTPServerDisconnected: what happened, in words
    """A message was not sent: nothing of it has left.

    `smtp_code` and `smtp_error` (bytes, with the enhanced status code) are what the gate would have answered at the end of
    DATA; `rules` are the ids that decided; `trace` stands in the log and in the record. `report` is None where there is none.
    """

    def __init__(self, ruling: "Ruling | int", error: bytes | str = b"") -> None:
        """Told by what was ruled; or by code and text, as smtplib's are: queues that keep results in JSON hand on no more."""
        if isinstance(ruling, int):
            ruling = _retold(ruling, error)
        super().__init__(ruling.code, f"{ruling.enhanced} {ruling.text}".encode("ascii", "replace"))
        self.ruling = ruling
        self.rules, self.reason, self.trace = ruling.rules, ruling.reason, ruling.trace

    @property
    def report(self) -> "Report | None":
        """The whole report, as `delivcheck.check_message` gives it."""
        return self.ruling.report()

    def __str__(self) -> str:
        """One line, as a log wants it."""
        return f"{self.smtp_code} {self.ruling.enhanced} {self.ruling.text}"

    def __reduce__(self) -> Any:
        """Pickled by what was ruled: queues hand exceptions from process to process."""
        return type(self), (self.ruling,)


class MessageRefused(MessageStopped):
    """A rule says that this message must not be sent as it is. Sending it again changes nothing: do not retry."""


class MessageUndetermined(MessageStopped):
    """It could not be found out now whether it may be sent (DNS, time, a fault of ours). Try it again later."""


def _retold(code: int, error: bytes | str) -> "Ruling":
    """As much of a ruling as code and text tell: its rules are in the text alone."""
    from .ruling import Ruling, Wanted

    enhanced, _, text = (error.decode("ascii", "replace") if isinstance(error, bytes) else error).partition(" ")
    wanted, verdict = (Wanted.REFUSE, "fail") if code >= 500 else (Wanted.DEFER, "unknown")
    return Ruling(wanted, verdict, code, enhanced, text, trace="", reason=text)
