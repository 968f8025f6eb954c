"""Tells an OpenTelemetry collector (OTLP over HTTP): one span for each message, and counts. Off unless `[gate.otel]` is there.

The trace id of a span is the message's own: a ULID has the 128 bits that W3C's trace-id has, so what stands in the log and in
replies as 01J… is found there, in hexadecimal. Exporting is done in threads of the library's; when the collector is away, spans
are dropped and mail goes on.
"""

import os
import time
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from ...ulid import valid
from ...version import __version__
from ..settings import Otel
from .metrics import _few, _framing, _word

MAX_PENDING = 10_000  # messages whose next hop has not answered yet; what is older is told without its answer
MAX_VALUES = 32  # of one attribute of a metric, as in `metrics`
TIMEOUT = 10.0  # seconds for one export; the specification's default
CLOSING = 5_000  # milliseconds to tell what is left at the end
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # of a ULID, Crockford's

Fields = Mapping[str, Any]


class OtelError(Exception):
    """The libraries are missing; one line."""


class Telemetry:
    """A `Watch`, for one process, made after the fork. Never raises when told something. Raises OtelError."""

    def __init__(self, settings: Otel, *, instance: str = "") -> None:
        try:
            from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
            from opentelemetry.sdk.metrics import MeterProvider
            from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
            from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
            from opentelemetry.trace import SpanKind, Status, StatusCode
        except ImportError as error:
            raise OtelError(f"[gate.otel] needs {error.name}: pip install 'delivcheck[otel]'") from None

        class Ids(RandomIdGenerator):
            """The next span's trace id is the message's."""

            wanted: int | None = None

            def generate_trace_id(self) -> int:
                wanted, self.wanted = self.wanted, None
                return wanted or super().generate_trace_id()

        self._kind, self._error = SpanKind.SERVER, Status(StatusCode.ERROR)
        self._ids = Ids()
        resource = Resource.create(
            {
                "service.name": settings.service_name,
                "service.version": __version__,
                "service.instance.id": instance or str(os.getpid()),
            }
        )
        self._spans = TracerProvider(resource=resource, id_generator=self._ids, shutdown_on_exit=False)
        exporter = OTLPSpanExporter(f"{settings.endpoint}/v1/traces", timeout=TIMEOUT)
        self._spans.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._spans.get_tracer("delivcheck", __version__)
        reader = PeriodicExportingMetricReader(
            OTLPMetricExporter(f"{settings.endpoint}/v1/metrics", timeout=TIMEOUT), settings.interval * 1000
        )
        self._meters = MeterProvider([reader], resource, shutdown_on_exit=False)
        meter = self._meters.get_meter("delivcheck", __version__)
        self._messages = meter.create_counter("delivcheck.messages", "{message}", "Messages judged")
        self._duration = meter.create_histogram("delivcheck.message.duration", "s", "From the end of a message to our decision")
        self._sent = meter.create_counter("delivcheck.sent", "{message}", "What became of messages behind SMTP")
        self._faults = meter.create_counter("delivcheck.faults", "{fault}", "Faults of our own, or of what we need")
        self._few = {name: _few(MAX_VALUES) for name in ("listener", "next_hop", "where")}
        self._pending: OrderedDict[str, tuple[Fields, int]] = OrderedDict()
        self._handlers = {"message": self._message, "sent": self._sent_on, "fault": self._fault}

    def __call__(self, event: str, /, **fields: Any) -> None:
        """Note one event."""
        handler = self._handlers.get(event)
        if handler is None:
            return
        try:
            handler(fields)
        except Exception:  # noqa: BLE001 -- a Watch never raises: a field that is not there must not cost a message
            self._faults.add(1, {"where": "otel"})

    def close(self) -> None:
        """Tell what is left, if that is quick. Blocks."""
        while self._pending:
            self._finish(self._pending.popitem(last=False)[1], {})
        self._spans.force_flush(CLOSING)
        self._spans.shutdown()
        self._meters.shutdown(CLOSING)

    def _message(self, told: Fields) -> None:
        framing = _framing(told["framing"])
        common = {"framing": framing, "listener": self._few["listener"](told["listener"]), "action": _word(told["action"])}
        self._messages.add(1, common)
        self._duration.record(told["ms"] / 1000, {"framing": framing})
        judged = (told, time.time_ns())
        if told["action"] != "send" or framing == "milter":  # nothing more will be told of it
            self._finish(judged, {})
            return
        self._pending[told["trace"]] = judged
        if len(self._pending) > MAX_PENDING:
            self._finish(self._pending.popitem(last=False)[1], {})

    def _sent_on(self, told: Fields) -> None:
        self._sent.add(1, {"next_hop": self._few["next_hop"](told.get("next_hop")), "what": _word(told["what"])})
        judged = self._pending.pop(told["trace"], None)
        if judged is not None:
            self._finish(judged, told)

    def _fault(self, told: Fields) -> None:
        self._faults.add(1, {"where": self._few["where"](told.get("where"))})

    def _finish(self, judged: tuple[Fields, int], sent: Fields) -> None:
        """One span. No address and no subject is in it: collectors keep and pass on what they get."""
        told, decided = judged
        self._ids.wanted = number_of(told["trace"])
        span = self._tracer.start_span(
            "message", kind=self._kind, start_time=decided - int(told["ms"] * 1_000_000), attributes=_attributes(told, sent)
        )
        if sent.get("what") in ("refused", "uncertain") or told["action"] == "defer":
            span.set_status(self._error)
        span.add_event("judged", {"delivcheck.judge_ms": told["judge_ms"]}, decided)
        span.end(time.time_ns() if sent else decided)


def _attributes(told: Fields, sent: Fields) -> dict[str, Any]:
    found = {
        "delivcheck.message.id": told["trace"],
        "delivcheck.framing": told["framing"],
        "delivcheck.listener": told["listener"],
        "delivcheck.stream": told.get("stream"),
        "delivcheck.action": str(told["action"]),
        "delivcheck.rules": [str(rule) for rule in told["rules"]],
        "delivcheck.mode": str(told["mode"]),
        "delivcheck.bypass": told.get("bypass"),
        "delivcheck.size": told["size"],
        "delivcheck.recipients": len(told["rcpt_to"]),
        "delivcheck.next_hop": sent.get("next_hop") or told.get("next_hop"),
        "delivcheck.sent": sent.get("what"),
        "delivcheck.code": sent.get("code"),
    }
    return {name: value for name, value in found.items() if value not in (None, "", [])}


def number_of(trace: str) -> int | None:
    """A ULID's 128 bits; None for what is none."""
    if not valid(trace):
        return None
    number = 0
    for letter in trace:
        number = number * 32 + _ALPHABET.index(letter)
    return number
