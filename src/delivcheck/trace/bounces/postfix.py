"""Postfix's log, line by line: what became of a message in its queue, and under which name it is there. Pure, linear.

A line is believed as far as the log is: any local user can write to syslog, which is why nothing here suppresses anybody.
"""

import re
from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

MAX_LINE = 8_192  # characters; Postfix cuts its own at 2,048
MAX_KNOWN = 200_000  # queue ids that are remembered, some 40 MB: two days of a message a second

# Nov 23 17:50:38 host postfix/smtp[123]: 4F1A…: to=<pat@example.net>, relay=mx[1.2.3.4]:25, delay=…, dsn=2.0.0, status=sent (…)
_LINE = re.compile(
    r"(?P<when>[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:?\d\d)) "
    r"\S{1,255} (?P<tag>[A-Za-z0-9._/-]{1,100})\[\d+\]: (?P<rest>.*)",
    re.ASCII | re.DOTALL,
)
_REST = re.compile(r"(?P<id>[0-9A-Za-z]{6,20}): to=<(?P<to>[^<>]{1,400})>, (?P<more>.*)", re.DOTALL)
_STATUS = re.compile(r"(?:\A|, )status=(sent|deferred|bounced|expired|undeliverable) \(")
_ORIGINAL = re.compile(r"orig_to=<([^<>]{1,400})>, ")
_RELAY = re.compile(r"(?:\A|, )relay=([^,]{1,400})")
_DSN = re.compile(r"(?:\A|, )dsn=(\d\.\d{1,3}\.\d{1,3})")
QUEUED = re.compile(r"\bqueued as ([0-9A-Za-z]{6,20})\b")
_LOOPBACK = re.compile(r"\[(?:127\.\d+\.\d+\.\d+|::1)\]|^(?:local|private/|/)")
_DELIVERING = frozenset({"smtp", "lmtp", "local", "virtual", "pipe", "relay"})


@dataclass(frozen=True, slots=True)
class Line:
    """What one line says. `status`: sent, deferred or bounced. `onward`: to a filter on this machine, and back into a queue."""

    queue_id: str
    recipient: str
    original: str
    status: str
    dsn: str
    relay: str
    text: str
    when: str
    service: str

    @property
    def onward(self) -> str:
        """The queue id that it has behind a filter, "" where it went elsewhere."""
        found = QUEUED.search(self.text) if self.status == "sent" and _LOOPBACK.search(self.relay) else None
        return found[1] if found else ""


def read(line: str) -> Line | None:
    """A line that says what became of a recipient; None for all others. Never raises."""
    begins = _LINE.fullmatch(line[:MAX_LINE].rstrip("\r\n"))
    if begins is None or "postfix" not in begins["tag"]:
        return None
    rest = _REST.fullmatch(begins["rest"])
    if rest is None:
        return None
    more = rest["more"]
    found = _STATUS.search(more)
    if found is None or found[1] in {"expired", "undeliverable"}:
        return None
    head, text = more[: found.start()], more[found.end() :].removesuffix(")")
    original, relay, dsn = _ORIGINAL.match(more), _RELAY.search(head), _DSN.search(head)
    return Line(
        rest["id"],
        rest["to"],
        original[1] if original else "",
        found[1],
        dsn[1] if dsn else "",
        relay[1] if relay else "",
        text,
        begins["when"],
        begins["tag"].rpartition("/")[2],
    )


def delivers(line: Line) -> bool:
    """Whether "sent" means that it has left this machine, or lies in a mailbox."""
    return line.status == "sent" and line.service in _DELIVERING and not line.onward


def moment(when: str, now: datetime) -> int:
    """The time of a line in Unix milliseconds. The old form has no year, and is local time: the last such day before `now`.

    `now` has its time zone. What cannot be read is now.
    """
    try:
        if when[:1].isdigit():
            return int(datetime.fromisoformat(when).timestamp() * 1000)
        found = datetime.strptime(f"{now.year} {when}", "%Y %b %d %H:%M:%S").replace(tzinfo=now.tzinfo or UTC)
        if found > now + timedelta(days=1):
            found = found.replace(year=now.year - 1)
        return int(found.timestamp() * 1000)
    except (ValueError, OverflowError):
        return int(now.timestamp() * 1000)


class Known:
    """Which message has which queue id at the next hop; the newest ones only."""

    def __init__(self, most: int = MAX_KNOWN) -> None:
        self._most = most
        self._found: OrderedDict[str, str] = OrderedDict()

    def __len__(self) -> int:
        return len(self._found)

    def learn(self, queue_id: str, trace: str) -> None:
        """It has this id now. Ids come again some day: the last word counts."""
        self._found[queue_id] = trace
        self._found.move_to_end(queue_id)
        while len(self._found) > self._most:
            self._found.popitem(last=False)

    def trace(self, line: Line) -> str | None:
        """The message that a line is about; a filter's second queue id is learnt on the way."""
        found = self._found.get(line.queue_id)
        if found is not None and line.onward:
            self.learn(line.onward, found)
        return found


def queue_id_of(reply: str) -> str:
    """The queue id that a next hop gave in its reply to the final dot, "" where it named none."""
    found = QUEUED.search(reply[:MAX_LINE])
    return found[1] if found else ""
