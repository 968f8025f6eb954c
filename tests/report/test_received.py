"""The blocks of a message that came in, as text."""

from delivcheck.report import received
from delivcheck.report.paint import Paint

HOP = {"ip": "192.0.2.25", "ehlo": "a.example", "name": None, "by": "mx.b.example", "tls": None, "encrypted": True}
HOP |= {"time": None, "hop": 1, "line": 3, "basis": "first-public"}
UNKNOWN = {"unknown": "no answer\x1b[31m"}


def row(**more):
    return {
        "method": "spf",
        "domain": "a.example",
        "selector": None,
        "theirs": "pass",
        "ours": "fail",
        "same": False,
        "reason": "why",
        **more,
    }


def results(*rows, **more):
    return {
        "authentication_results": {
            "authserv_id": "mx.b.example",
            "line": 1,
            "results": rows,
            "ignored": 0,
            "ignored_ids": (),
            **more,
        }
    }


def mend(*names, smallest=(), **more):
    proof = {"spf": None, "dkim": (), "dmarc": "pass"}
    step = {"kind": "dns", "where": "a.example TXT", "before": "old", "after": "new"}
    return {
        "mends": names,
        "smallest_for": smallest,
        "changes": (step,),
        "because": None,
        "assumes": (),
        "proof": proof,
        **more,
    }


def flat(text):
    return " ".join(text.split())


def lines(block, facts, **paint):
    return block(facts, Paint(**paint))


def test_nothing_is_said_of_what_is_not_there_and_the_unknown_is_named():
    for block in (received.came_in, received.compared, received.mends):
        assert lines(block, {}) == []
    assert lines(received.came_in, {"received": UNKNOWN}) == []
    assert "unknown: no answer" in lines(received.compared, {"authentication_results": UNKNOWN})[0]
    said = lines(received.mends, {"mends": UNKNOWN})[0]
    assert said.startswith("What would mend it: unknown")
    assert "\x1b" not in said


def test_the_hop_in_one_sentence():
    said = " ".join(lines(received.came_in, {"received": HOP}))
    assert flat(said) == "Received from 192.0.2.25 (EHLO a.example) by mx.b.example, TLS (Received field 1, line 3)"
    plain = " ".join(
        lines(received.came_in, {"received": {**HOP, "ehlo": None, "by": None, "encrypted": None, "time": "2026"}})
    )
    assert flat(plain) == "Received from 192.0.2.25, TLS not told, 2026 (Received field 1, line 3)"


def test_results_stand_in_columns_and_a_difference_is_told():
    said = lines(
        received.compared,
        results(
            row(), row(method="dkim", selector="s", theirs=None, same=None, reason=None), ignored=2, ignored_ids=("x.example",)
        ),
    )
    assert said == [
        "What mx.b.example found, and what we find now:",
        "      then  now",
        "SPF   pass  fail  differs  a.example: why",
        "DKIM  -     fail  -        s._domainkey.a.example",
        "ignored: 2 Authentication-Results fields that anybody may have written",
        "  (x.example)",
    ]
    assert lines(received.compared, results()) == ["mx.b.example says nothing of SPF, DKIM or DMARC."]
    bare = lines(received.compared, results(row(domain=None, reason=None, same=True), authserv_id="", ignored=1))
    assert bare[0] == "What the receiver found, and what we find now:"
    assert bare[2] == "SPF  pass  fail  same"


def test_the_smallest_change_comes_with_its_proof():
    taken = {"spf": "pass", "dkim": ({"domain": None, "selector": None, "result": "pass", "taken": True},), "dmarc": "pass"}
    found = {
        "failures": ("spf", "dkim s._domainkey.a.example", "dmarc"),
        "mends": (
            mend("spf", "dmarc", smallest=("spf", "dmarc"), because="so it is", assumes=("this", "that")),
            mend("dmarc", proof=taken),
            mend("dmarc"),
            mend("dmarc"),
            mend("spf"),
        ),
        "not_mended": ({"failure": "dkim s._domainkey.a.example", "reason": "the body was changed"},),
    }
    said = " ".join(lines(received.mends, {"mends": found}))
    flat = " ".join(said.split())
    assert flat.startswith(
        "To make SPF and DMARC pass: a.example TXT new now: old "
        "proved: SPF not judged, DKIM none, DMARC pass; so it is; if this and that Or, for DMARC:"
    )
    assert "DKIM no domain pass (taken to verify)" in flat
    assert flat.count("Or, for") == received.MAX_ALTERNATIVES
    assert flat.endswith("DKIM (s._domainkey.a.example) cannot be mended here: the body was changed")
