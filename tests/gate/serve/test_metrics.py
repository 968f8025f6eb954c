"""Metrics in processes of their own: the library decides for a whole process how values are kept."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import json, os, sys
from pathlib import Path
from delivcheck.gate.serve import metrics
folder = Path(sys.argv[1])
for slot, events in json.load(sys.stdin):
    if os.fork() == 0:
        made = metrics.Metrics(folder, slot)
        for event, fields in events:
            made(event, **fields)
        os._exit(0)
    os.wait()
sys.stdout.write(metrics.exposition(folder, {}).decode())
"""

MESSAGE = {
    "framing": "ESMTPSA",
    "listener": "a",
    "mode": "enforce",
    "action": "refuse",
    "size": 100,
    "ms": 30.0,
    "judge_ms": 20.0,
    "rules": ["spf/none"],
    "bypass": "",
}


def counted(folder, *workers):
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(folder)], input=json.dumps(workers), capture_output=True, text=True, check=True
    )
    return {
        line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in done.stdout.splitlines() if not line.startswith("#")
    }


def test_workers_are_added_up_and_a_successor_counts_on(tmp_path):
    one = [("message", MESSAGE)]
    found = counted(tmp_path, ("w0", one), ("w1", one), ("w0", one))
    assert found['delivcheck_messages_total{action="refuse",framing="smtp",listener="a",mode="enforce"}'] == 3
    assert found['delivcheck_rule_failures_total{rule="spf/none"}'] == 3
    assert found['delivcheck_message_seconds_bucket{framing="smtp",le="0.025"}'] == 0
    assert found['delivcheck_message_seconds_bucket{framing="smtp",le="0.05"}'] == 3
    assert found["delivcheck_message_octets_total"] == 300
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        f"{kind}_{slot}.db" for kind in ("counter", "gauge_livesum", "histogram") for slot in ("w0", "w1")
    ]


def test_what_a_dead_worker_had_open_is_forgotten(tmp_path):
    opened = ("connection", {"listener": "a", "what": "open", "client": "x"})
    found = counted(tmp_path, ("w0", [opened]), ("w1", [opened, opened]), ("w0", []))
    assert found['delivcheck_open_connections{listener="a"}'] == 2
    assert found['delivcheck_connections_total{listener="a",what="open"}'] == 3


def test_labels_from_outside_cannot_fill_the_files(tmp_path):
    events = [("message", MESSAGE | {"rules": [f"rule/{n}"], "bypass": f"{n}: x", "mode": f"m{n}"}) for n in range(3000)]
    events += [("fault", {"where": f"{'x' * 500}{n}"}) for n in range(3000)]
    events += [("relay", {"next_hop": f"hop{n}", "what": f"what{n}"}) for n in range(300)]
    found = counted(tmp_path, ("w0", events))
    assert found['delivcheck_rule_failures_total{rule="other"}'] == 2600
    assert sum(value for name, value in found.items() if name.startswith("delivcheck_faults_total")) == 3000
    assert {path.stat().st_size for path in tmp_path.iterdir()} == {512 * 1024}


@pytest.mark.parametrize("fields", [{}, {"listener": None}, {"framing": 1, "rules": 3}])
def test_an_event_with_missing_fields_is_counted_as_a_fault_and_nothing_more(tmp_path, fields):
    found = counted(tmp_path, ("w0", [("message", fields), ("nonsense", fields)]))
    assert found['delivcheck_faults_total{where="metrics"}'] == 1


def test_other_outcomes(tmp_path):
    events = [
        ("sent", {"next_hop": "out", "what": "accepted", "code": 250}),
        ("sent", {"next_hop": "out", "what": "deferred", "code": 451}),
        ("sent", {"next_hop": "out", "what": "uncertain", "code": None}),
        ("auth", {"listener": "a", "ok": False}),
        ("uncertain", {"next_hop": "out"}),
        ("dns", {"what": "stale", "count": 7}),
        ("worker", {"what": "killed"}),
        ("message", MESSAGE | {"framing": "UTF8LMTP", "bypass": "fault: x: y"}),
        ("message", MESSAGE | {"framing": "milter"}),
    ]
    found = counted(tmp_path, ("w0", events))
    assert found['delivcheck_sent_total{code_class="2xx",next_hop="out",what="accepted"}'] == 1
    assert found['delivcheck_sent_total{code_class="4xx",next_hop="out",what="deferred"}'] == 1
    assert found['delivcheck_sent_total{code_class="none",next_hop="out",what="uncertain"}'] == 1
    assert found['delivcheck_logins_total{listener="a",ok="false"}'] == 1
    assert found['delivcheck_uncertain_total{next_hop="out"}'] == 1
    assert found['delivcheck_dns_total{what="stale"}'] == 7
    assert found['delivcheck_workers_total{what="killed"}'] == 1
    assert found['delivcheck_bypasses_total{cause="fault"}'] == 1
    assert found['delivcheck_messages_total{action="refuse",framing="lmtp",listener="a",mode="enforce"}'] == 1
    assert found['delivcheck_messages_total{action="refuse",framing="milter",listener="a",mode="enforce"}'] == 1


def test_a_folder_that_cannot_be_made_is_one_line(monkeypatch):
    from delivcheck.gate.serve import metrics

    monkeypatch.setattr(metrics.tempfile, "mkdtemp", lambda **_: Path("/nowhere/x").read_bytes())
    with pytest.raises(metrics.MetricsError, match="no folder for metrics in /nowhere/x: No such file or directory"):
        metrics.open_folder({})


def test_what_a_killed_gate_left_behind_is_removed_and_what_others_use_is_not(tmp_path):
    from delivcheck.gate.serve import metrics

    ended = subprocess.Popen(["/bin/true"])
    ended.wait()
    names = (f"delivcheck-metrics-{ended.pid}-x", f"delivcheck-metrics-{os.getppid()}-x", "delivcheck-metrics-of-somebody-else")
    for name in names:
        (tmp_path / name).mkdir()
    made = metrics.open_folder({"RUNTIME_DIRECTORY": str(tmp_path)})
    assert {path.name for path in tmp_path.iterdir()} == {made.name, *names[1:]}


def test_what_the_desk_tells_is_counted(tmp_path):
    found = counted(
        tmp_path,
        ("w0", [("message", {**MESSAGE, "sending_rules": ["staging"]}), ("limited", {"rule": "hourly"})]),
        (
            "w1",
            [
                ("ingest", {"count": 3}),
                ("outbox", {"waiting": 7, "behind": 1.5}),
                ("store", {"what": "failed", "where": "webhooks", "reason": "x"}),
                ("webhook", {"what": "done", "count": 2}),
                ("webhook", {"what": "disabled", "count": 1, "webhook": "x", "reason": "y"}),
                ("http", {"route": "/v1/messages", "method": "POST", "status": 200, "ms": 12.0}),
                ("http", {"route": "other", "method": "BREW", "status": 0, "ms": 1.0}),
                ("dropped", {"count": 4}),
                ("suppressed", {"trace": "x", "reason": "complaint"}),
            ],
        ),
    )
    assert found["delivcheck_ingested_total"] == 3
    assert (found["delivcheck_outbox_records"], found["delivcheck_outbox_seconds"]) == (7, 1.5)
    assert found['delivcheck_store_errors_total{where="webhooks"}'] == 1
    assert found['delivcheck_webhook_deliveries_total{what="done"}'] == 2
    assert found['delivcheck_webhook_deliveries_total{what="disabled"}'] == 1
    assert found['delivcheck_http_requests_total{method="POST",route="/v1/messages",status="200"}'] == 1
    assert found['delivcheck_http_requests_total{method="other",route="other",status="none"}'] == 1
    assert found["delivcheck_tracking_dropped_total"] == 4
    assert found['delivcheck_suppressed_total{reason="complaint"}'] == 1
    assert found['delivcheck_rate_limited_total{rule="hourly"}'] == 1
    assert found['delivcheck_sending_rules_total{rule="staging"}'] == 1


def test_labels_of_requests_do_not_grow_without_end(tmp_path):
    routes = [("http", {"route": f"/{number}", "method": "GET", "status": 200, "ms": 1.0}) for number in range(300)]
    found = counted(tmp_path, ("w0", routes))
    assert sum(line.startswith("delivcheck_http_requests_total{") for line in found) == 101
    assert found['delivcheck_http_requests_total{method="GET",route="other",status="200"}'] == 200
