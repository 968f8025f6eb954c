"""Counts what happens, for Prometheus: every worker in files of its own, which the one that is asked adds up.

prometheus-client's multi-process mode writes counters into mapped files. Two things it leaves to its user are settled here:

* A file is named after a worker's slot, not its pid, so that the successor of a dead worker counts on in the same file. Totals
  never go back, and the files do not grow in number with every restart.
* The files have all their room from the start. A mapped file with holes on a disk that fills up ends the process that writes to
  it (SIGBUS); and the room is never exceeded, since no label takes values without end.
"""

import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

ROOM = 512 * 1024  # octets of a file: some 2,000 series of 250 octets; the limits on label values below come to fewer
_PREFIX = "delivcheck-metrics-"  # and the process id of the gate
KINDS = ("counter", "histogram", "gauge_livesum")
MAX_LISTENERS, MAX_RULES, MAX_CAUSES = 32, 400, 40  # values of one label; what comes later is counted as "other"
MAX_ROUTES = 100  # of the Web Service and the pages: there are some 60, by their patterns

# Seconds. A message costs 1 to 50 ms of ours (research/gate.md section 3.4); the gate's own deadline is 25 s.
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25)


class MetricsError(Exception):
    """Metrics cannot be kept: the library or the room for the files is missing; one line."""


# --- the folder ------------------------------------------------------------------------------------------------------


def open_folder(environment: Mapping[str, str]) -> Path:
    """A new folder for the files of this run: in systemd's runtime directory or in memory. Raises MetricsError."""
    try:
        import prometheus_client  # noqa: F401 -- asked here, before anything is opened
    except ImportError:
        raise MetricsError("metrics need prometheus-client: pip install 'delivcheck[gate]'") from None
    runtime = environment.get("RUNTIME_DIRECTORY", "").partition(":")[0]
    memory = (runtime, "/dev/shm")  # noqa: S108 -- the folder is made by mkdtemp, readable for us alone
    parent = next((one for one in memory if one and os.access(one, os.W_OK)), tempfile.gettempdir())
    _sweep(Path(parent))
    try:
        return Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=parent))
    except OSError as error:
        raise MetricsError(f"no folder for metrics in {error.filename}: {error.strerror}") from None


def _sweep(parent: Path) -> None:
    """Remove what gates left behind that were killed."""
    for one in parent.glob(f"{_PREFIX}*-*"):
        pid = one.name.removeprefix(_PREFIX).partition("-")[0]
        with suppress(OSError):
            if pid.isdecimal() and one.lstat().st_uid == os.geteuid() and not _alive(int(pid)):
                remove_folder(one)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def remove_folder(folder: Path) -> None:
    """Take the files of this run away."""
    shutil.rmtree(folder, ignore_errors=True)


def forget_worker(folder: Path, slot: str) -> None:
    """A worker is dead: what it had open is closed. Its counts stay."""
    (folder / f"gauge_livesum_{slot}.db").unlink(missing_ok=True)


def _reserve(folder: Path, slot: str) -> None:
    """Give the slot's files all the room they will ever need. Raises MetricsError on a full disk."""
    forget_worker(folder, slot)
    for kind in KINDS:
        path = folder / f"{kind}_{slot}.db"
        try:
            with path.open("ab") as file:
                os.posix_fallocate(file.fileno(), 0, ROOM)
        except OSError as error:
            with suppress(OSError):
                path.unlink()
            raise MetricsError(f"no room for metrics in {folder}: {error.strerror}") from None


# --- counting --------------------------------------------------------------------------------------------------------


class Metrics:
    """A `Watch` that counts, for one process: `slot` names its files. Made after the fork. Raises MetricsError."""

    def __init__(self, folder: Path, slot: str) -> None:
        _reserve(folder, slot)
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)
        from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, values

        # The library looks at these two when a metric is made; by itself it would use the pid.
        values.ValueClass = values.MultiProcessValue(lambda: slot)  # type: ignore[no-untyped-call] # as its manual says
        registry = CollectorRegistry()

        def counter(name: str, what: str, *labels: str) -> Any:
            return Counter(f"delivcheck_{name}", what, labels, registry=registry)

        def seconds(name: str, what: str, *labels: str) -> Any:
            return Histogram(f"delivcheck_{name}_seconds", what, labels, registry=registry, buckets=BUCKETS)

        def gauge(name: str, what: str, *labels: str) -> Any:
            return Gauge(f"delivcheck_{name}", what, labels, registry=registry, multiprocess_mode="livesum")

        self._messages = counter("messages", "Messages judged", "framing", "listener", "mode", "action")
        self._bypasses = counter("bypasses", "Messages sent though not passed", "cause")
        self._rules = counter("rule_failures", "Messages that a rule decided against", "rule")
        self._octets = counter("message_octets", "Octets of messages judged")
        self._whole = seconds("message", "From the end of a message to our decision", "framing")
        self._judging = seconds("judging", "Gathering facts and judging, of that")
        self._connections = counter("connections", "Connections, by what became of them", "listener", "what")
        self._open = gauge("open_connections", "Connections open now", "listener")
        self._in_flight = gauge("messages_in_flight", "Messages between their end and our answer")
        self._logins = counter("logins", "AUTH, by outcome", "listener", "ok")
        self._sent = counter("sent", "What became of messages behind SMTP", "next_hop", "what", "code_class")
        self._next_hops = counter("next_hop_connections", "Connections to next hops", "next_hop", "what")
        self._uncertain = counter("uncertain", "Messages whose final dot was not answered", "next_hop")
        self._faults = counter("faults", "Faults of our own, or of what we need", "where")
        self._dns = counter(
            "dns",
            "DNS that does not answer: stale answers served, and how often that began and ended for domains of ours",
            "what",
        )
        self._workers = counter("workers", "Workers started, ended, killed", "what")
        self._ingested = counter("ingested", "Records brought into the trace")
        self._waiting = gauge("outbox_records", "Records that wait for the trace's store")
        self._behind = gauge("outbox_seconds", "Seconds since nothing waited for it")
        self._store = counter("store_errors", "Times that the trace's store could not be had", "where")
        self._webhooks = counter("webhook_deliveries", "Attempts to tell webhooks, and webhooks disabled", "what")
        self._requests = counter("http_requests", "HTTP requests", "route", "method", "status")
        self._answering = seconds("http_request", "From the first octet of a request to the end of its answer")
        self._dropped = counter("tracking_dropped", "Opens and clicks that were not counted")
        self._suppressed = counter("suppressed", "Recipients refused since they are on the suppression list", "reason")
        self._limited = counter("rate_limited", "Recipients told to come later by a sending rule's limit", "rule")
        self._hits = counter("sending_rules", "Messages that a sending rule matched", "rule")

        self._listener, self._rule = _few(MAX_LISTENERS), _few(MAX_RULES)
        self._next_hop, self._cause, self._where = _few(MAX_LISTENERS), _few(MAX_CAUSES), _few(MAX_CAUSES)
        self._route, self._sending = _few(MAX_ROUTES), _few(MAX_RULES)
        self._handlers: Mapping[str, Callable[[Mapping[str, Any]], None]] = {
            "message": self._message,
            "sent": self._sent_on,
            "bypass": self._bypass,
            "connection": self._connection,
            "auth": lambda told: self._logins.labels(self._listener(told["listener"]), str(bool(told["ok"])).lower()).inc(),
            "relay": lambda told: self._next_hops.labels(self._next_hop(told["next_hop"]), _word(told["what"])).inc(),
            "uncertain": lambda told: self._uncertain.labels(self._next_hop(told.get("next_hop"))).inc(),
            "fault": lambda told: self._faults.labels(self._where(told.get("where"))).inc(),
            "dns": lambda told: self._dns.labels(_word(told["what"])).inc(told.get("count", 1)),
            "worker": lambda told: self._workers.labels(_word(told["what"])).inc(),
            "ingest": lambda told: self._ingested.inc(told["count"]),
            "outbox": self._outbox,
            "store": lambda told: self._store.labels(self._where(told.get("where"))).inc(),
            "webhook": lambda told: self._webhooks.labels(_word(told["what"])).inc(told["count"]),
            "http": self._request,
            "dropped": lambda told: self._dropped.inc(told["count"]),
            "suppressed": lambda told: self._suppressed.labels(_word(told["reason"])).inc(),
            "limited": lambda told: self._limited.labels(self._sending(told["rule"])).inc(),
        }

    def __call__(self, event: str, /, **fields: Any) -> None:
        """Count one event."""
        handler = self._handlers.get(event)
        if handler is None:
            return
        try:
            handler(fields)
        except Exception:  # noqa: BLE001 -- a Watch never raises: a field that is not there must not cost a message
            self._faults.labels("metrics").inc()

    def began(self) -> None:
        """A message is complete, and our answer is awaited."""
        self._in_flight.inc()

    def ended(self) -> None:
        """It was decided about."""
        self._in_flight.dec()

    def _message(self, told: Mapping[str, Any]) -> None:
        framing = _framing(told["framing"])
        self._messages.labels(framing, self._listener(told["listener"]), _word(told["mode"]), _word(told["action"])).inc()
        self._octets.inc(told["size"])
        self._whole.labels(framing).observe(told["ms"] / 1000)
        self._judging.observe(told["judge_ms"] / 1000)
        if told.get("bypass"):
            self._bypasses.labels(self._cause(told["bypass"].partition(":")[0])).inc()
        for rule in told["rules"]:
            self._rules.labels(self._rule(rule)).inc()
        for rule in told.get("sending_rules", ()):
            self._hits.labels(self._sending(rule)).inc()

    def _bypass(self, told: Mapping[str, Any]) -> None:
        self._bypasses.labels(self._cause(told["cause"])).inc()

    def _sent_on(self, told: Mapping[str, Any]) -> None:
        code = int(told.get("code") or 0)
        code_class = f"{code // 100}xx" if 200 <= code <= 599 else "none"
        self._sent.labels(self._next_hop(told.get("next_hop")), _word(told["what"]), code_class).inc()

    def _outbox(self, told: Mapping[str, Any]) -> None:
        self._waiting.set(told["waiting"])
        self._behind.set(told["behind"])

    def _request(self, told: Mapping[str, Any]) -> None:
        status = int(told["status"])
        shown = str(status) if 100 <= status <= 599 else "none"
        self._requests.labels(self._route(told["route"]), _word(told["method"]), shown).inc()
        self._answering.observe(told["ms"] / 1000)

    def _connection(self, told: Mapping[str, Any]) -> None:
        listener, what = self._listener(told["listener"]), _word(told["what"])
        self._connections.labels(listener, what).inc()
        if what == "open":
            self._open.labels(listener).inc()
        elif what == "close":
            self._open.labels(listener).dec()


_WORDS = frozenset(
    {
        *("send", "refuse", "defer", "hold", "observe", "enforce"),
        *("open", "close", "refused", "fault"),
        *("accepted", "deferred", "uncertain", "replayed", "held"),
        *("connected", "failed", "reused", "tls", "late"),
        *("start", "stop", "ended", "killed", "drain", "reload"),
        *("stale", "lost", "back", "served"),
        *("done", "dead", "disabled"),
        *("bounce", "complaint", "unsubscribe", "manual"),
        *("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"),
    }
)


def _word(value: Any) -> str:
    """A word of ours, as a label."""
    text = str(value)
    return text if text in _WORDS else "other"


def _framing(protocol: Any) -> str:
    """SMTP, LMTP or milter, without what RFC 3848 adds for TLS and AUTH."""
    text = str(protocol)
    return "milter" if text == "milter" else "lmtp" if "LMTP" in text else "smtp" if "SMTP" in text else "other"


def _few(most: int) -> Callable[[Any], str]:
    """A label's values, no more than so many: what comes later is "other"."""
    known: set[str] = set()

    @lru_cache(most)
    def few(value: Any) -> str:
        text = str(value or "none")[:100]
        if text in known or len(known) < most:
            known.add(text)
            return text
        return "other"

    return few


# --- telling ---------------------------------------------------------------------------------------------------------


# What is looked at when somebody asks: it changes without us, too (`delivcheck held release`).
_NOW = {"held_messages": "Messages held now", "held_octets": "Octets on the disk for them"}


def exposition(folder: Path, now: Mapping[str, float]) -> bytes:
    """All workers' counts and what is so `now`, in Prometheus' text format.

    Raises OSError, RuntimeError, ValueError where files are damaged.
    """
    from prometheus_client import CollectorRegistry, generate_latest
    from prometheus_client.multiprocess import MultiProcessCollector

    registry = CollectorRegistry()
    MultiProcessCollector(registry, str(folder))  # type: ignore[no-untyped-call] # the library's own lack
    lines = [
        f"# HELP delivcheck_{name} {_NOW[name]}\n# TYPE delivcheck_{name} gauge\ndelivcheck_{name} {value:g}\n"
        for name, value in now.items()
    ]
    return generate_latest(registry) + "".join(lines).encode("ascii")
