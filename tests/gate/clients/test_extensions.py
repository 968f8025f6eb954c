"""What a next hop cannot, the gate does not offer: each real client's 8-bit and internationalized mail, and that nothing is converted."""

import pytest

from tests.gate.clients import programs
from tests.gate.clients.place import letter
from tests.gate.clients.programs import CLIENTS

EVERY = pytest.mark.parametrize("client", CLIENTS)
EIGHT_BIT = "Grüße, 多謝"
UTF8 = ("jürgen@example.net",)
# Of these clients none but the four below has SMTPUTF8; all others say the address as it is, and hear 553.
SPEAKS_UTF8 = {"smtplib", "aiosmtplib", "nodemailer", "curl"}


def offered(said: programs.Said) -> set[str]:
    """The keywords of the EHLO's answer that came last, as `openssl` and `curl` show it."""
    return {
        line.removeprefix("< ")[4:].split(" ")[0].strip()
        for line in said.text.splitlines()
        if line.removeprefix("< ").startswith(("250-", "250 "))
    }


@pytest.mark.attack(41)
def test_what_the_next_hop_cannot_is_not_offered(rich, poor):
    keywords = {"8BITMIME", "SMTPUTF8", "DSN"}
    assert keywords <= offered(programs.openssl(rich.way("submission"), letter()))
    assert not keywords & offered(programs.openssl(poor.way("submission"), letter()))


# None of them converts: each sends 8 bits whether they are offered or not, and the next hop sees no DATA of it.
@pytest.mark.attack(41)
@EVERY
def test_eight_bits_are_refused_where_the_next_hop_takes_none(poor, client):
    sent = letter(EIGHT_BIT)
    said = CLIENTS[client](poor.way("submission"), sent)
    assert not said.ok
    assert "554" in said.text
    assert "5.6.3 the next hop takes no 8-bit mail" in said.text
    poor.never(sent)
    assert all(session.lines[-1:] != [b"DATA"] for session in poor.hop.sessions)


@pytest.mark.attack(41)
@EVERY
def test_an_internationalized_address_is_refused_where_the_next_hop_takes_none(poor, client):
    sent = letter(to=UTF8)
    said = CLIENTS[client](poor.way("submission"), sent)
    assert not said.ok
    # Python's two do not get as far: without the extension they write commands in ASCII.
    assert ("UnicodeEncodeError" if client in {"smtplib", "aiosmtplib"} else "553") in said.text
    poor.never(sent)


@pytest.mark.attack(41)
@EVERY
def test_an_internationalized_address_goes_where_client_and_next_hop_know_it(rich, client):
    sent = letter(EIGHT_BIT, to=UTF8)
    said = CLIENTS[client](rich.way("submission"), sent)
    assert said.ok == (client in SPEAKS_UTF8), said.text
    if said.ok:
        got = rich.arrived(sent)
        assert got.octets.endswith(sent.octets)
        assert got.rcpt_to == ["RCPT TO:<jürgen@example.net>".encode()]
        assert b"SMTPUTF8" in got.mail_from
    else:
        assert "553 5.6.7" in said.text
        rich.never(sent)


@pytest.mark.attack(41)
@pytest.mark.parametrize(
    ("options", "recipient", "told"),
    [
        (["BODY=8BITMIME"], [], "5.5.4 BODY was not offered"),
        (["SMTPUTF8"], [], "SMTPUTF8 not supported by server"),  # says smtplib itself
        (["RET=FULL"], [], "5.5.4 DSN was not offered"),
        ([], ["NOTIFY=SUCCESS"], "5.5.4 DSN was not offered"),
    ],
    ids=["8BITMIME", "SMTPUTF8", "DSN of MAIL", "DSN of RCPT"],
)
def test_a_parameter_that_was_not_offered_ends_it_before_the_content(poor, options, recipient, told):
    sent = letter()
    said = programs.python_smtplib(poor.way("submission"), sent, options, recipient)
    assert not said.ok
    assert told in said.text
    poor.never(sent)


@EVERY
def test_plain_mail_goes_through_a_poor_next_hop(poor, client):
    sent = letter("nothing but ASCII")
    said = CLIENTS[client](poor.way("submissions"), sent)
    assert said.ok, said.text
    got = poor.arrived(sent)
    assert not any(word in got.mail_from for word in (b"BODY", b"SMTPUTF8", b"RET"))
