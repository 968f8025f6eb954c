"""`assert_deliverable`: a message must pass, or the test fails with what the command line would show."""

import os
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from .octets import Outgoing, outgoing

if TYPE_CHECKING:
    from ...checker import DnsMode
    from ...config import Config
    from ...model import Report
    from ...net.client import Client
    from .examine import Examined

tally: Counter[str] = Counter()  # messages of this process: checked, and how many of them offline


class NotDeliverable(AssertionError):  # noqa: N818 -- what is wrong, in words
    """A message does not pass. `report` is the whole report, `rules` are the ids that decided; `text` makes what is shown."""

    def __init__(self, examined: "Examined") -> None:
        """Told by what came out."""
        super().__init__(examined.text())
        self.report: Report = examined.report
        self.rules: tuple[str, ...] = examined.deciding
        self.text = examined.text


class UnusedIgnore(UserWarning):
    """An `ignore` that ignores nothing any more: take it away, or the next fault of this kind passes unseen."""


for _one in (NotDeliverable, UnusedIgnore):
    _one.__module__ = "delivcheck.testing"  # where they are imported from: pytest prints it, and warning filters name it


def assert_deliverable(
    message: Any,
    policy: str | None = None,
    ignore: Iterable[str] = (),
    *,
    mail_from: str | None = None,
    rcpt_to: Sequence[str] = (),
    stream: str | None = None,
    dns: "Client | DnsMode | Mapping[str, Any] | os.PathLike[str] | None" = None,
    fail_on: str = "error",
    config: "str | os.PathLike[str] | Literal[False] | None" = None,
) -> "Report":
    """Fail unless the message would be sent; returns its report.

    `message` is an EmailMessage (or the older Message), bytes, str, the path of an .eml file, a Django EmailMessage, or one
    that `capture` took. The policy is the one named here, or else that of the stream, of the configuration, "transactional".
    `ignore` are ids or patterns of rules that may fail here; one that ignores nothing is warned of (UnusedIgnore). `mail_from`
    and `rcpt_to` are the envelope, where the message does not know its own. `fail_on` is the lowest level that fails: error,
    warning or note.

    Without `dns` nothing is asked, and rules that need DNS do not apply. It may be "live", a client, the path of a snapshot,
    or a mapping such as {"example.org TXT": "v=spf1 -all"}, beside which no name exists. What then stays open fails, too.

    `config` is a file (None: found from the working directory up) or False for none. Raises NotDeliverable, which is an
    AssertionError; PolicyError for a policy or an ignored rule that does not exist; ConfigError; SnapshotError; ValueError.
    """
    __tracebackhide__ = True
    taken = enveloped(outgoing(message), mail_from, rcpt_to)
    return hold([taken], policy, ignore, stream=stream, dns=dns, fail_on=fail_on, config=config)


def enveloped(message: Outgoing, mail_from: str | None, rcpt_to: Sequence[str]) -> Outgoing:
    """The message with the envelope that was given, as far as it was. Raises ValueError for recipients without a sender."""
    if mail_from is None and not rcpt_to:
        return message
    recipients = (rcpt_to,) if isinstance(rcpt_to, str) else tuple(rcpt_to)
    sender = message.mail_from if mail_from is None else mail_from
    if sender is None:
        raise ValueError("rcpt_to needs mail_from (the null sender is '')")
    utf8 = not "".join((sender, *recipients)).isascii()
    return replace(message, mail_from=sender, rcpt_to=recipients or message.rcpt_to, smtputf8=utf8 or message.smtputf8)


def hold(
    messages: Sequence[Outgoing],
    policy: str | None = None,
    ignore: Iterable[str] = (),
    *,
    standing: Iterable[str] = (),
    stream: str | None = None,
    dns: "Client | DnsMode | Mapping[str, Any] | os.PathLike[str] | None" = None,
    fail_on: str = "error",
    config: "Config | str | os.PathLike[str] | Literal[False] | None" = None,
    noticed: "Callable[[Examined], object] | None" = None,
    stacklevel: int = 3,
) -> "Report":
    """`assert_deliverable` for several messages of one run; what is `standing` is ignored, too, and never warned of."""
    __tracebackhide__ = True
    from .examine import Asked, examine

    given = (ignore,) if isinstance(ignore, str) else tuple(ignore)
    examined = examine(messages, Asked(policy, (*given, *standing), stream, dns, fail_on, config))
    tally["checked"] += len(messages)
    tally["offline"] += len(messages) if dns is None or dns == "offline" else 0
    if noticed is not None:
        noticed(examined)
    if not examined.passed:
        raise NotDeliverable(examined)
    for pattern in given:
        if pattern in examined.idle:
            warnings.warn(f"ignore: {pattern}: nothing to ignore here", UnusedIgnore, stacklevel)
    return examined.report
