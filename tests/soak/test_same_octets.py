"""The octets that leave are those that were judged, whatever the message, whichever way it came."""

import hashlib
import random
import re

import pytest
from cryptography.hazmat.primitives import serialization

from tests.gate.milter.test_postfix import UNTOUCHED
from tests.keys import rsa_key
from tests.mime.corpora import messages, needs_corpora
from tests.mta import needs_postfix, postfix
from tests.soak.gates import configuration, figures, gate, listen, settle
from tests.soak.queueing import Mail, Refused, Session
from tests.soak.sink import sink

DRESSED = """
[gate.prepare]
date = true
message-id = true
feedback-id = "{stream}:{trace}"
fields = { X-Trace = "{trace}" }
[[gate.sign]]
domain = "example.org"
selector = "s1"
key-file = "s1.pem"
"""
MOST_CHUNKS = 500
USABLE = bytes(set(range(1, 256)) - set(b"\r\n"))  # a NUL is refused, as are a bare CR and LF


def bodies(count, dice):
    """Messages with lines of any octets that a line may have; some end in the middle of one."""
    for number in range(count):
        lines = [dice.choice([b"", b".", b"..", b" ", b"--", b"From "]) + some(dice) for _ in range(dice.randrange(12))]
        fold = dice.choice([b"", b"\r\n ", b"\r\n\t\t", b" \r\n  "])
        head = b"From: a@example.org\r\nSubject: n%d%bend \r\nX-Empty:\r\n\r\n" % (number, fold)
        yield head + b"".join(line + b"\r\n" for line in lines) + dice.choice([b"", b"", b"", b"cut off"])


def some(dice):
    return bytes(dice.choices(USABLE, k=dice.choice([0, 1, 40, 76, dice.randrange(990)])))


@pytest.fixture(params=["as it came", "dressed"])
def more(request, tmp_path):
    """A gate that changes nothing, and one that adds fields and signs."""
    key = rsa_key("rsa2048").private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (tmp_path / "s1.pem").write_bytes(key)
    (tmp_path / "s1.pem").chmod(0o600)
    return "" if request.param == "as it came" else DRESSED


def ways(dice, octets):
    """DATA, one chunk, many chunks."""
    return [("DATA", 0), ("BDAT", 0), ("BDAT", len(octets) // MOST_CHUNKS + dice.randrange(1, 200))]


def through_smtp(folder, more, given, dice, *, every_way):
    """Send all of it, one after the other; returns how many were accepted."""
    accepted, expected = 0, []
    with sink(folder) as hop:
        path = configuration(folder, listen("smtp", received=bool(more)), hop=(hop.host, hop.port), mode="observe", more=more)
        with gate(folder, path) as running:
            session = None
            for number, octets in enumerate(given):
                chosen = ways(dice, octets)
                for how, chunk in chosen if every_way else [chosen[number % len(chosen)]]:
                    session = session or Session(running.address("smtp"))
                    try:
                        said = session.send(Mail("", octets), how, chunk)
                    except (Refused, OSError, EOFError) as no:
                        assert isinstance(no, Refused), (no, octets[:200])
                        assert no.code >= 500, (no, octets[:200])
                        session.close()
                        session = None
                        continue
                    accepted += 1
                    # A client that ends its message in the middle of a line has said so only with BDAT.
                    whole = octets if octets.endswith(b"\r\n") or how == "BDAT" else octets + b"\r\n"
                    expected.append((said.split()[1], hashlib.sha256(whole).hexdigest(), octets))
            if session is not None:
                session.close()
            settle()
            judged = {one["trace"]: one["sha256"] for one in running.events("message")}
        taken = hop.taken
    assert len(taken) == len(expected)
    for (trace, came, octets), got in zip(expected, taken, strict=True):
        assert judged[trace] == got.sha256, octets[:500]
        if not more and octets.endswith(b"\r\n"):
            assert got.sha256 == came, octets[:500]
    figures(f"accepted={accepted}")
    return accepted


@needs_corpora
def test_corpus_messages_behind_data_and_bdat(tmp_path, more, soak):
    given = [octets for _, octets in messages(soak=soak)]
    assert through_smtp(tmp_path, more, given, random.Random(1), every_way=soak) > len(given) / 2


def test_any_body_behind_data_and_bdat(tmp_path, more, soak):
    count = 10_000 if soak else 200
    dice = random.Random(2)
    assert through_smtp(tmp_path, more, bodies(count, dice), dice, every_way=False) > count / 2


def through_postfix(folder, more, given):
    """Send all of it through Postfix, whose milter is the gate; returns how many were accepted."""
    judged_as = {}
    with (
        sink(folder, keep=True) as hop,
        postfix(
            {**UNTOUCHED, "smtpd_milters": "unix:delivcheck/milter.sock", "default_transport": f"smtp:[{hop.host}]:{hop.port}"}
        ) as mta,
    ):
        milter = listen("milter", "milter", f"unix:{mta.queue}/delivcheck/milter.sock", group="postfix")
        with gate(folder, configuration(folder, milter, mode="observe", more=more)) as running:
            session, accepted = None, {}
            for octets in given:
                session = session or Session(mta.address)
                try:
                    accepted[re.search(r"queued as (\w+)", session.send(Mail("", octets)))[1]] = octets
                except Refused as no:
                    assert no.code >= 500, (no, octets[:200])
                    session.close()
                    session = None
            if session is not None:
                session.close()
            running.wait(lambda: len(hop.taken) >= len(accepted) and not mta.queued(), "all of them in the sink")
            judged_as = {one["queue_id"]: one["sha256"] for one in running.events("message")}
        taken = {one.sha256 for one in hop.taken}
        left = dict(accepted)
        for digest in taken:
            octets = (hop.folder / digest).read_bytes()
            queue_id, rest = without_postfix(octets)
            left.pop(queue_id, None)
            # Nothing tells a milter whether a message without a body has the blank line: it always gets one.
            assert judged_as[queue_id] in {hashlib.sha256(one).hexdigest() for one in (rest, rest + b"\r\n")}, octets[:500]
        assert left == {}
    figures(f"accepted={len(accepted)}")
    return len(accepted)


def without_postfix(octets):
    """The queue id, and the message without the one field that no milter sees: Postfix's own Received."""
    own = re.search(
        rb"^Received: from client\.example\.org [^\r]*\r\n(?:[ \t][^\r]*\r\n)*?[^\r]*id (\w+)(?:\r\n[ \t][^\r]*)*\r\n",
        octets,
        re.MULTILINE,
    )
    return own[1].decode(), octets[: own.start()] + octets[own.end() :]


@needs_corpora
@needs_postfix
def test_corpus_messages_behind_postfix(tmp_path, more, soak):
    given = [octets for _, octets in messages(soak=soak)]
    assert through_postfix(tmp_path, more, given) > len(given) / 2


@needs_postfix
def test_any_body_behind_postfix(tmp_path, more, soak):
    count = 10_000 if soak else 100
    assert through_postfix(tmp_path, more, bodies(count, random.Random(3))) > count / 2
