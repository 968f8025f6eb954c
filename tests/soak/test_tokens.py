"""What is one recipient's alone is in nobody else's copy, by whichever way two of them come in one transaction."""

import re
import socket

import pytest

from tests.gate.milter import mta_side
from tests.soak.gates import configuration, gate, listen
from tests.soak.queueing import Mail, Refused, Session
from tests.soak.sink import sink

TWO = ("pat@example.net", "kim@example.net")
TOKENS = """
[gate.prepare]
list-unsubscribe = "https://example.org/u/{recipient}"
feedback-id = "{recipient}:x"
fields = { X-For = "{recipient}" }
"""
OCTETS = b"From: a@example.org\r\nSubject: news\r\nMessage-ID: <1@example.org>\r\nX-Number: 1\r\n\r\nhello\r\n"


def set_up(folder, hop, *listeners, hops=""):
    path = configuration(folder, *listeners, hop=(hop.host, hop.port), more=TOKENS, mode="enforce", hops=hops)
    path.write_text('class = "bulk"\n' + path.read_text())
    return path


def names(octets):
    """Whose tokens are in it."""
    return set(re.findall(r"(pat|kim)(?:@|%40)example\.net", octets.decode().split("\r\n\r\n")[0]))


@pytest.mark.parametrize("hop_speaks", ["smtp", "lmtp"])
@pytest.mark.parametrize("kind", ["smtp", "lmtp"])
def test_each_copy_has_its_own_token(tmp_path, kind, hop_speaks):
    lmtp = hop_speaks == "lmtp"
    with sink(tmp_path, keep=True, lmtp=lmtp) as hop:
        socket_path = f"{tmp_path}/l.sock"
        listener = listen("in", "smtp") if kind == "smtp" else listen("in", "lmtp", f"unix:{socket_path}")
        with gate(tmp_path, set_up(tmp_path, hop, listener, hops="lmtp = true" if lmtp else "")) as running:
            address = running.address("in") if kind == "smtp" else socket_path
            greeting = ("LHLO" if kind == "lmtp" else "EHLO") + " client.example.org"
            with Session(address, greeting=greeting) as session:
                for recipient in TWO:  # alone, to begin with
                    session.send(Mail("1", OCTETS, recipients=(recipient,)))
                session.say("MAIL FROM:<bounces@example.org>")
                session.say(f"RCPT TO:<{TWO[0]}>")
                with pytest.raises(Refused, match=r"^452"):
                    session.say(f"RCPT TO:<{TWO[1]}>")
                session.say("DATA", 3)
                session.socket.sendall(OCTETS + b".\r\n")
                session.want(2)
                session.send(Mail("1", OCTETS, recipients=(TWO[1],)))
        copies = [(hop.folder / one.sha256).read_bytes() for one in hop.taken]
    assert [names(one) for one in copies] == [{"pat"}, {"kim"}, {"pat"}, {"kim"}]
    assert all(b"\r\nList-Unsubscribe: <https://example.org/u/" in one for one in copies)
    assert all(b"\r\nX-For: " in one for one in copies)


@pytest.mark.parametrize("recipients", [TWO, TWO[:1]])
def test_behind_a_milter_there_are_no_tokens_at_all(tmp_path, recipients):
    """The MTA may put several transactions' recipients behind one message."""
    with sink(tmp_path) as hop:
        path = set_up(tmp_path, hop, listen("milter", "milter", f"unix:{tmp_path}/m.sock"))
        with gate(tmp_path, path), socket.socket(socket.AF_UNIX) as mta:
            mta.settimeout(20)
            mta.connect(f"{tmp_path}/m.sock")
            mta.sendall(mta_side.offer() + mta_side.SESSION + mta_side.message(recipients=recipients) + mta_side.QUIT)
            octets = b""
            while more := mta.recv(65536):
                octets += more
    commands = mta_side.read(octets)
    assert commands[-1][0] in "ac"
    assert not re.search(rb"pat|kim", octets)
