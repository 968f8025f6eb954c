"""`[gate.tracking]` and `[gate.unsubscribe]` as the configuration has them."""

import pytest

from delivcheck.gate import reading, settings
from delivcheck.tables import ConfigError
from delivcheck.trace.model import Tracking
from tests.gate.world import configuration

BASE = """
[streams.news]
class = "bulk"
[gate]
name = "gate.example.org"
[[gate.listen]]
kind = "milter"
address = "127.0.0.1:0"
"""
AROUND = BASE + '[gate.trace]\n[gate.http]\npublic-url = "https://mail.example.org/t/"\n'


def read(folder, text, base=AROUND):
    return reading.read(configuration(folder, base + text))


def test_it_is_off_unless_somebody_asks(tmp_path):
    gate = read(tmp_path, "", BASE)
    assert gate.tracking == settings.Tracking()
    assert gate.tracking.mode_of("news") is Tracking.NONE
    assert gate.unsubscribe is None
    assert not gate.personal


def test_every_key_is_read(tmp_path):
    gate = read(
        tmp_path,
        """
[gate.tracking]
mode = "aggregate"
links = true
pixel = false
exclude = ["*.Bank.example", "https://example.com/my/*"]
attribution-days = 30
[gate.tracking.streams]
news = "identified"
[gate.unsubscribe]
mailto = "@u.example.org"
streams = ["news"]
""",
    )
    assert gate.tracking == settings.Tracking(
        Tracking.AGGREGATE,
        {"news": Tracking.IDENTIFIED},
        pixel=False,
        exclude=("*.bank.example", "https://example.com/my/*"),
        attribution_days=30,
    )
    assert gate.tracking.mode_of("news") is Tracking.IDENTIFIED
    assert gate.tracking.mode_of(None) is Tracking.AGGREGATE
    assert gate.unsubscribe == settings.Unsubscribe("@u.example.org", ("news",))
    assert gate.personal


@pytest.mark.parametrize(
    ("text", "base", "says"),
    [
        ('[gate.tracking]\nmode = "aggregate"\n', BASE, "public-url"),
        ('[gate.tracking.streams]\nnews = "aggregate"\n', BASE, "public-url"),
        ("[gate.unsubscribe]\n", BASE, "public-url"),
        ("[gate.unsubscribe]\n", AROUND.replace("[gate.trace]", ""), "[gate.trace]"),
        ('[gate.tracking.streams]\nnewz = "aggregate"\n', AROUND, "did you mean news?"),
        ('[gate.unsubscribe]\nstreams = ["x"]\n', AROUND, "no stream 'x'"),
        ('[gate.tracking]\nmode = "full"\n', AROUND, "full"),
        ('[gate.tracking]\nexclude = ["bank.example/x"]\n', AROUND, "begins with https://"),
        ('[gate.tracking]\nexclude = ["*"]\n', AROUND, "no pattern"),
        ('[gate.unsubscribe]\nmailto = "nobody"\n', AROUND, "no mailbox"),
        ('[gate.unsubscribe]\nmailto = "a b@example.org"\n', AROUND, "no mailbox"),
        ('[gate.unsubscribe]\n[gate.prepare]\nlist-unsubscribe = "https://example.org/u"\n', AROUND, "one of the two"),
    ],
)
def test_what_cannot_work_is_refused_with_its_line(tmp_path, text, base, says):
    with pytest.raises(ConfigError, match=r"delivcheck\.toml:\d+") as error:
        read(tmp_path, text, base)
    assert says in str(error.value)
    assert "\n" not in str(error.value)
