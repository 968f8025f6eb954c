"""What is written to a next hop: one line a command, the message with its dots doubled and nothing else."""

import re
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivcheck.gate.model import Client, MailFrom, RcptTo
from delivcheck.gate.relay import commands
from delivcheck.gate.relay.commands import Unspeakable
from delivcheck.gate.relay.protocol import offered
from delivcheck.gate.reply import heard

ALL = offered(heard(250, ["x", "SIZE", "8BITMIME", "SMTPUTF8", "DSN", "PIPELINING"]))
NONE = offered(heard(250, ["x"]))
ADDRESS = st.text(max_size=40) | st.from_regex(r'"[ -~]{0,20}"@[a-z]{1,5}', fullmatch=True)
LINES = st.lists(st.sampled_from([b"", b".", b"..", b"...", b".a", b"a.", b"text", b"\xff."]), max_size=20)
COMMAND = re.compile(rb'(?:MAIL FROM|RCPT TO):<(?:"(?:[^"\\]|\\.)*"|[^"<> ])*>(?: [A-Z0-9]+(?:=[^ ]*)?)*\r\n')


def unstuffed(octets):
    """RFC 5321 section 4.5.2, as a server does it."""
    lines = octets.split(b"\r\n")
    return b"\r\n".join(line.removeprefix(b".") if line.startswith(b".") else line for line in lines)


@pytest.mark.attack(3)
@given(LINES)
def test_dot_stuffing_is_undone_by_the_other_side_and_no_line_is_a_lone_dot(lines):
    octets = b"".join(line + b"\r\n" for line in lines)
    stuffed = commands.dot_stuffed(octets)
    assert unstuffed(stuffed) == octets
    assert not re.search(rb"(?:^|\r\n)\.\r\n", stuffed)


@given(LINES)
def test_only_dots_at_the_start_of_lines_are_added(lines):
    octets = b"".join(line + b"\r\n" for line in lines)
    assert len(commands.dot_stuffed(octets)) - len(octets) == sum(line.startswith(b".") for line in lines)


@pytest.mark.attack(3)
@given(st.lists(st.sampled_from([b"\r\n", b"\r", b"\n", b".", b"a"]), max_size=12).map(b"".join))
def test_relayable_means_no_lone_cr_or_lf_and_an_end_of_line(octets):
    alone = re.search(rb"\r(?!\n)|(?<!\r)\n", octets)
    assert commands.relayable(octets) == (alone is None and octets.endswith(b"\r\n"))


@pytest.mark.attack(3, 15, 17)
@given(ADDRESS, ADDRESS, ADDRESS, st.booleans())
def test_whatever_the_addresses_a_command_is_one_line_with_one_pair_of_brackets(sender, recipient, envid, utf8):
    written = []
    for make in (
        lambda: commands.mail(MailFrom(sender, envid=envid, smtputf8=utf8), ALL),
        lambda: commands.rcpt(RcptTo(recipient, ("NEVER",), ("rfc822", envid)), ALL, utf8=utf8),
    ):
        try:
            written.append(make())
        except Unspeakable:
            continue
    for line in written:
        assert COMMAND.fullmatch(line)
        assert not re.search(rb"[\x00-\x1f\x7f]", line[:-2])


@pytest.mark.attack(15)
@pytest.mark.parametrize(
    "bad", ["a\r\n@b.example", '"a\nb"@c', "a@b.example> SIZE=1", "a b@c", '"a\0"@c', '"a\x7f"@c', "a\x85@c", '"a', "a\ud800@b"]
)
def test_an_address_that_could_hold_a_command_is_never_written(bad):
    with pytest.raises(Unspeakable):
        commands.rcpt(RcptTo(bad), ALL, utf8=True)
    with pytest.raises(Unspeakable):
        commands.mail(MailFrom(bad, smtputf8=True), ALL)


def test_parameters_go_only_where_they_are_offered():
    sender = MailFrom("a@b.example", 100, "7BIT", ret="HDRS", envid="x+y=z é")
    recipient = RcptTo("c@d.example", ("SUCCESS", "FAILURE"), ("rfc822", "c+x@d.example"))
    assert commands.mail(sender, ALL) == b"MAIL FROM:<a@b.example> SIZE=100 BODY=7BIT RET=HDRS ENVID=x+2By+3Dz+20+C3+A9\r\n"
    assert commands.mail(sender, NONE) == b"MAIL FROM:<a@b.example>\r\n"
    assert commands.rcpt(recipient, ALL, utf8=False) == (
        b"RCPT TO:<c@d.example> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;c+2Bx@d.example\r\n"
    )
    assert commands.rcpt(recipient, NONE, utf8=False) == b"RCPT TO:<c@d.example>\r\n"


def test_an_internationalized_original_recipient_is_written_in_ascii():
    recipient = RcptTo("é@d.example", (), ("utf-8", "é+\\@d.example"))
    line = commands.rcpt(recipient, ALL, utf8=True)
    assert line == "RCPT TO:<é@d.example> ORCPT=utf-8;\\x{E9}\\x{2B}\\x{5C}@d.example\r\n".encode()


@given(st.text(max_size=30))
def test_xtext_has_only_its_characters_and_decodes_to_what_it_was(text):
    written = commands.xtext(text)
    assert re.fullmatch(r"(?:[!-*,-<>-~]|\+[0-9A-F]{2})*", written)
    decoded = re.sub(rb"\+([0-9A-F]{2})", lambda found: bytes([int(found[1], 16)]), written.encode())
    assert decoded.decode() == text.encode("utf-8", "replace").decode()


@pytest.mark.attack(41)
@pytest.mark.parametrize(("mail", "needs"), [({"smtputf8": True}, "SMTPUTF8"), ({"body": "8BITMIME"}, "8BITMIME")])
def test_mail_that_needs_what_is_not_offered_is_not_announced(mail, needs):
    with pytest.raises(Unspeakable) as caught:
        commands.mail(MailFrom("a@b.example", **mail), NONE)
    assert caught.value.needs == needs


def test_an_address_beyond_ascii_needs_smtputf8():
    with pytest.raises(Unspeakable) as caught:
        commands.rcpt(RcptTo("é@b.example"), ALL, utf8=False)
    assert caught.value.needs == "SMTPUTF8"


def test_a_command_that_is_too_long_is_not_written():
    with pytest.raises(Unspeakable):
        commands.rcpt(RcptTo("a" * 2048 + "@b.example"), ALL, utf8=False)


# --- XFORWARD ------------------------------------------------------------------------------------------------------

XFORWARD = offered(heard(250, ["x", "XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE"]))


def test_xforward_tells_what_the_client_was():
    client = Client(ip_address("2001:db8::1"), 4711, helo="pc example", protocol="ESMTPSA")
    assert commands.xforward(commands.forwarded(client), XFORWARD) == [
        (
            b"XFORWARD NAME=[UNAVAILABLE] ADDR=IPV6:2001:db8::1 PORT=4711 PROTO=ESMTPSA HELO=pc+20example "
            b"IDENT=[UNAVAILABLE] SOURCE=REMOTE\r\n"
        )
    ]


def test_xforward_hands_on_what_was_forwarded_to_us_and_only_what_is_asked_for():
    client = Client(ip_address("127.0.0.1"), forwarded={"ADDR": "192.0.2.1", "HELO": "x\r\nRSET"})
    assert commands.xforward(commands.forwarded(client), XFORWARD)[0].startswith(b"XFORWARD NAME=[UNAVAILABLE] ADDR=192.0.2.1")
    assert b"HELO=x+0D+0ARSET" in commands.xforward(commands.forwarded(client), XFORWARD)[0]
    assert commands.xforward(commands.forwarded(client), NONE) == []


@given(st.dictionaries(st.sampled_from(["NAME", "ADDR", "HELO", "IDENT"]), st.text(max_size=400)))
def test_xforward_commands_stay_below_their_limit(attributes):
    made = commands.xforward(attributes, XFORWARD)
    assert all(len(line) <= commands.MAX_XFORWARD for line in made)
    assert sum(line.count(b"=") for line in made) == 7


# --- AUTH ----------------------------------------------------------------------------------------------------------


def test_credentials_with_a_nul_or_too_long_are_not_written():
    with pytest.raises(Unspeakable):
        commands.auth("PLAIN", "me", "a\0b")
    with pytest.raises(Unspeakable):
        commands.auth("XOAUTH2", "me", "x" * 12_288)
