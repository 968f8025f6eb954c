"""docs/webhooks.md: what a receiver is told to do works on what we send, and what it names is there."""

import re
import time
from pathlib import Path

from delivcheck.trace.webhooks import deliveries, signing

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "docs" / "webhooks.md").read_text()


def test_the_receivers_example_takes_our_requests_and_no_others():
    (code,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    names = {}
    exec(code, names)  # our own guide's
    verified = names["verified"]
    secret, old = signing.new_secret(), signing.new_secret()
    now = int(time.time())
    fields = signing.headers((secret, old), "id", now, b"{}")
    assert verified(secret, fields, b"{}")
    assert verified(old, fields, b"{}")
    assert not verified(secret, fields, b"{} ")
    assert not verified(signing.new_secret(), fields, b"{}")
    assert not verified(secret, signing.headers((secret,), "id", now - 400, b"{}"), b"{}")


def test_the_schedule_is_the_one_in_the_guide():
    (said,) = re.findall(r"tried again after (.*?), each", TEXT)
    units = {"s": 1, "min": 60, "h": 3_600}
    assert tuple(int(number) * units[unit] for number, unit in re.findall(r"(\d+) (s|min|h)\b", said)) == deliveries.SCHEDULE


def test_metrics_of_the_guide_are_counted():
    source = (ROOT / "src/delivcheck/gate/serve/metrics.py").read_text()
    kinds = {"counter": "_total", "seconds": "_seconds", "gauge": ""}
    known = {f"delivcheck_{name}{kinds[kind]}" for kind, name in re.findall(r'= (counter|seconds|gauge)\(\s*"(\w+)"', source)}
    assert set(re.findall(r"delivcheck_\w+", TEXT)) <= known
