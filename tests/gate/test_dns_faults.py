"""DNS that fails, floods or goes in circles, seen from the gate: later where it proves nothing, refused where it does (attack 59)."""

import pytest

from delivcheck.gate.model import Action
from tests.gate import world
from tests.gate.test_pipeline import incoming, pipeline

SPF, DMARC, KEY = "example.org TXT", "_dmarc.example.org TXT", "s1._domainkey.example.org TXT"
INCLUDES = {f"i{number}.example.org TXT": f"v=spf1 include:i{number + 1}.example.org -all" for number in range(12)}
VOID = " ".join(f"a:v{number}.example.org" for number in range(5))


@pytest.mark.attack(59)
@pytest.mark.parametrize(
    ("records", "action", "rule"),
    [
        ({SPF: "TIMEOUT"}, Action.DEFER, "spf/"),
        ({SPF: "SERVFAIL"}, Action.DEFER, "spf/"),
        ({DMARC: "TIMEOUT"}, Action.DEFER, "dmarc/"),
        ({DMARC: "SERVFAIL"}, Action.DEFER, "dmarc/"),
        ({KEY: "TIMEOUT"}, Action.DEFER, "dkim/"),
        ({KEY: "SERVFAIL"}, Action.DEFER, "dkim/"),
        ({SPF: "v=spf1 include:i0.example.org -all", **INCLUDES}, Action.REFUSE, "spf/"),
        ({SPF: f"v=spf1 {VOID} -all"}, Action.REFUSE, "spf/"),
        ({SPF: "v=spf1 include:example.org -all"}, Action.REFUSE, "spf/"),
        ({SPF: ["v=spf1 -all", f"v=spf1 ip4:{world.IP} -all"]}, Action.REFUSE, "spf/"),
        ({SPF: [*(f"x{number}" for number in range(10_000)), f"v=spf1 ip4:{world.IP} -all"]}, Action.SEND, None),
        ({SPF: f"v=spf1 ip4:{world.IP} " + "ip4:192.0.2.1 " * 5_000 + "-all"}, Action.SEND, None),
        ({SPF: f"v=spf1 ip4:{world.IP} -all", "example.org MX": [f"10 mx{n}.example.org." for n in range(500)]}, None, None),
    ],
    ids=["SPF late", "SPF broken", "DMARC late", "DMARC broken", "key late", "key broken", "12 includes", "voids", "a circle", "two records", "10,000 texts", "a long record", "500 MX"],
)  # fmt: skip
async def test_what_dns_does_not_say_is_asked_again_and_what_it_says_wrong_is_refused(tmp_path, records, action, rule):
    octets, zone = world.signed()
    line = pipeline(tmp_path, {**zone, **records})
    outcome = await line.process(incoming(octets))
    assert not line.watch.of("fault")
    assert action is None or outcome.decision.action is action, (outcome.decision.rules, str(outcome.decision.reply))
    assert rule is None or any(one.startswith(rule) for one in outcome.decision.rules), outcome.decision.rules
    if action is Action.DEFER:
        assert (outcome.decision.reply.code, outcome.decision.reply.enhanced[:2]) == (451, "4.")
