"""Each shape of docs/gate.md, with its configurations of deploy/, through a real Postfix and a real `delivcheck gate`."""

import hashlib
import re

import pytest

from tests.conftest import require
from tests.gate.deploy.site import gate_with, message, settings_of, signer
from tests.mta import needs_postfix, postfix, sink, wait_until

SOCKET = "/var/spool/postfix/delivcheck/milter.sock"
SAME_OCTETS = settings_of("same-octets.main.cf")


def send(mta, octets, *, port=None, sender="bounces@example.com", recipients=("pat@example.net",)):
    with mta.smtp(port) as client:
        client.ehlo()
        code, text = client.mail(sender, ["BODY=8BITMIME"])
        if code == 250:
            for one in recipients:
                client.rcpt(one)
            code, text = client.data(octets)
    return code, text.decode()


def without_received(octets):
    return re.sub(rb"\AReceived: .*?\r\n(?![ \t])", b"", octets, count=1, flags=re.DOTALL)


@needs_postfix
def test_a_milter_after_the_signer_judges_what_was_signed(tmp_path):
    require("opendkim")
    with (
        sink() as taken,
        postfix({**settings_of("milter.main.cf"), **SAME_OCTETS, "default_transport": taken.transport}) as mta,
        signer(mta.queue, tmp_path),
        gate_with("milter.toml", tmp_path, {SOCKET: str(mta.queue / "delivcheck" / "milter.sock")}) as running,
    ):
        code, text = send(mta, message("Grüße"))
        assert (code, text) == (250, text), text
        octets = without_received(taken.wait(1)[0].octets)
        assert octets.startswith(b"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/simple; d=example.com; s=s1;")
        [told] = running.wait_for("message")
        assert (told["action"], told["bypass"]) == ("send", "")
        assert told["sha256"] == hashlib.sha256(octets).hexdigest(), "the octets that were judged are those that left"

        code, text = send(mta, message(sender="orders@unsigned.example"))
        assert code == 550, text
        print(text)
