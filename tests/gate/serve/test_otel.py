"""OpenTelemetry: what a real receiver of OTLP over HTTP hears of messages, and that nothing is imported without it."""

import contextlib
import http.server
import subprocess
import sys
import threading

import pytest

from delivcheck import ulid
from delivcheck.gate.settings import Otel

pytest.importorskip("opentelemetry.exporter.otlp.proto.http")

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from delivcheck.gate.serve.otel import MAX_PENDING, Telemetry, number_of

MESSAGE = {
    "framing": "ESMTPSA",
    "listener": "submission",
    "mode": "enforce",
    "action": "send",
    "size": 100,
    "ms": 30.0,
    "judge_ms": 20.0,
    "rules": [],
    "bypass": "",
    "rcpt_to": ["pat@example.net"],
    "mail_from": "ada@example.com",
    "stream": "receipts",
}


@contextlib.contextmanager
def receiver():
    """A collector; what it got by path."""
    got = {"/v1/traces": [], "/v1/metrics": []}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            octets = self.rfile.read(int(self.headers["content-length"]))
            kind = ExportTraceServiceRequest if self.path == "/v1/traces" else ExportMetricsServiceRequest
            got[self.path].append((kind.FromString(octets), octets))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", got
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def plain(attributes):
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in attributes}


def spans(got):
    return [
        (span, plain(resource.resource.attributes))
        for request, _ in got["/v1/traces"]
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


def test_one_span_a_message_with_verdict_and_next_hop_under_its_own_id():
    sent, refused = ulid.new(), ulid.new()
    with receiver() as (url, got):
        watch = Telemetry(Otel(url, "shop-gate"), instance="w0")
        watch("message", **MESSAGE, trace=sent)
        watch("sent", trace=sent, what="accepted", next_hop="ses", code=250, reply="ok", ms=3.0)
        watch("message", **{**MESSAGE, "action": "refuse", "rules": ["spf/none"], "trace": refused})
        watch("fault", where="journal", reason="x")
        watch("message", nothing="that is known")
        watch.close()
        by_id = {span.trace_id: (span, resource) for span, resource in spans(got)}
    assert set(by_id) == {number_of(one).to_bytes(16) for one in (sent, refused)}
    span, resource = by_id[number_of(sent).to_bytes(16)]
    assert (resource["service.name"], resource["service.instance.id"]) == ("shop-gate", "w0")
    told = plain(span.attributes)
    assert told["delivcheck.message.id"] == sent
    assert (told["delivcheck.action"], told["delivcheck.next_hop"], told["delivcheck.code"]) == ("send", "ses", 250)
    assert span.end_time_unix_nano - span.start_time_unix_nano >= 30_000_000
    other = plain(by_id[number_of(refused).to_bytes(16)][0].attributes)
    assert [one.string_value for one in other["delivcheck.rules"].values] == ["spf/none"]
    assert not any(b"pat@" in octets or b"ada@" in octets for _, octets in got["/v1/traces"]), "no addresses"
    metrics = {
        metric.name: metric
        for request, _ in got["/v1/metrics"]
        for resource in request.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }
    assert sum(point.as_int for point in metrics["delivcheck.messages"].sum.data_points) == 2
    assert metrics["delivcheck.message.duration"].histogram.data_points[0].count == 2
    assert {plain(point.attributes)["where"] for point in metrics["delivcheck.faults"].sum.data_points} == {"journal", "otel"}


def test_messages_without_an_answer_are_told_in_the_end_and_never_kept_without_bound(monkeypatch):
    monkeypatch.setattr("delivcheck.gate.serve.otel.MAX_PENDING", 3)
    with receiver() as (url, got):
        watch = Telemetry(Otel(url))
        for _ in range(10):
            watch("message", **MESSAGE, trace=ulid.new())
        assert len(watch._pending) == 3 < MAX_PENDING
        watch.close()
        assert len(spans(got)) == 10


def test_an_id_is_the_same_number():
    assert number_of("7ZZZZZZZZZZZZZZZZZZZZZZZZZ") == 2**128 - 1
    assert number_of("00000000000000000000000001") == 1
    assert number_of("x") is None


def test_nothing_of_it_is_imported_without_configuration():
    code = "import sys; import delivcheck.gate.serve.worker, delivcheck.gate.serve.building, delivcheck.gate.serve.otel"
    check = "; sys.exit(any(name.startswith('opentelemetry') for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code + check], check=False).returncode == 0
