"""Real clients log in over TLS and send: what is judged arrives, what is refused is told, a wrong password is told."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.gate.clients import programs
from tests.gate.clients.place import faulty, letter
from tests.gate.clients.programs import CLIENTS

EVERY = pytest.mark.parametrize("client", CLIENTS)
# Its own end of line goes below what it is given; all others send the very octets.
ADDS = {"swaks": b"\r\n"}
# Lines with dots are dot-stuffed on the way; 8 bits go as they are.
TEXT = ".\r\n..two\r\n.end\r\nGrüße, 多謝"


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
@pytest.mark.parametrize("listener", ["submission", "submissions"])
@EVERY
def test_what_it_sends_arrives_as_it_was_judged(rich, client, listener, mechanism):
    sent = letter(TEXT, to=("pat@example.net", "kim@example.net"))
    said = CLIENTS[client](rich.way(listener, mechanism=mechanism), sent)
    assert said.ok, said.text
    got = rich.arrived(sent)
    assert got.octets.endswith(sent.octets + ADDS.get(client, b""))
    assert got.mail_from.startswith(b"MAIL FROM:<orders@example.com>")
    assert got.rcpt_to == [b"RCPT TO:<pat@example.net>", b"RCPT TO:<kim@example.net>"]
    (judged,) = rich.judged(sent)
    assert (judged["user"], judged["listener"]) == ("shop", listener)
    assert f"with {'UTF8' * sent.utf8}ESMTPSA" in got.octets.decode()


@EVERY
def test_a_refusal_shows_its_user_the_rule_and_the_trace(rich, client):
    sent = faulty()
    said = CLIENTS[client](rich.way("submission"), sent)
    assert not said.ok
    (judged,) = rich.gate.wait(lambda: rich.judged(sent))
    assert judged["action"] == "refuse"
    assert "headers/from-repeated" in said.text
    assert "550" in said.text
    assert judged["trace"] in said.text
    rich.never(sent)


@EVERY
def test_two_thousand_lines_arrive_whole(rich, client):
    sent = letter("\r\n".join(f"line {number} of many, so that it takes several segments" for number in range(2_000)))
    said = CLIENTS[client](rich.way("submissions"), sent)
    assert said.ok, said.text
    assert rich.arrived(sent).octets.endswith(sent.octets + ADDS.get(client, b""))


@pytest.mark.attack(26)
@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_a_wrong_password_is_told_by_every_client_and_nothing_is_sent(rich, mechanism):
    there = {name: send for name, send in CLIENTS.items() if programs.there(name)}
    sent = letter()
    way = rich.way("submission", mechanism=mechanism, password="not the right one")
    with ThreadPoolExecutor(len(there)) as pool:  # each is made to wait for its answer
        said = dict(zip(there, pool.map(lambda send: send(way, sent), there.values()), strict=True))
    for name, one in said.items():
        assert not one.ok, name
        assert "535" in one.text, (name, one.text)
        assert "user or password is wrong" in one.text, (name, one.text)
    rich.never(sent)


@pytest.mark.parametrize("client", ["curl"])
@pytest.mark.parametrize(
    ("security", "told"),
    [(["--ssl-reqd"], "530 5.7.0 authentication is required"), ([], "530 5.7.0 say STARTTLS first")],
    ids=["without login", "without TLS"],
)
def test_who_does_not_log_in_may_not_send(rich, client, security, told):
    way = rich.way("submission")
    envelope = ["--mail-from", "orders@example.com", "--mail-rcpt", "pat@example.net", "--upload-file", "-"]
    command = [client, "-sS", "-v", *security, "--cacert", str(way.authority), *envelope, f"smtp://{way.host}:{way.port}"]
    sent = letter()
    said = programs.run(command, sent.octets)
    assert not said.ok
    assert told in said.text
    rich.never(sent)


@pytest.mark.parametrize("client", ["curl"])
def test_no_password_goes_over_a_connection_without_tls(rich, client):
    host, port = rich.gate.address("submission")
    envelope = ["--mail-from", "orders@example.com", "--mail-rcpt", "pat@example.net", "--upload-file", "-"]
    said = programs.run([client, "-sS", "-v", "--user", "shop:secret", *envelope, f"smtp://{host}:{port}"], letter().octets)
    assert not said.ok
    assert "STARTTLS" in said.text
    assert "250-AUTH" not in said.text
    assert "> AUTH" not in said.text


@pytest.mark.parametrize("client", ["swaks"])
def test_a_client_that_pipelines_is_served(rich, client):
    sent = letter(to=("pat@example.net", "kim@example.net", "lee@example.net"))
    said = programs.swaks(rich.way("submission"), sent, "--pipeline")
    assert said.ok, said.text
    assert len(rich.arrived(sent).rcpt_to) == 3
    assert said.text.index("RCPT TO:<lee") < said.text.index("250 2.1.0 go on")


@pytest.mark.parametrize("chunk", [1, 500, 1 << 20])
@pytest.mark.parametrize("client", ["openssl"])
def test_chunks_arrive_as_the_message_they_are_pieces_of(rich, client, chunk):
    sent = letter(TEXT)
    said = programs.openssl(rich.way("submission"), sent, chunk=chunk)
    assert said.ok, said.text
    assert rich.arrived(sent).octets.endswith(sent.octets)


def test_delivery_status_notifications_are_asked_for_at_the_next_hop(rich):
    sent = letter()
    asked = ["RET=HDRS", "ENVID=QQ314159"]
    said = programs.python_smtplib(
        rich.way("submission"), sent, asked, ["NOTIFY=SUCCESS,FAILURE", "ORCPT=rfc822;pat@example.net"]
    )
    assert said.ok, said.text
    got = rich.arrived(sent)
    assert got.mail_from.endswith(b"RET=HDRS ENVID=QQ314159")
    assert got.rcpt_to == [b"RCPT TO:<pat@example.net> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;pat@example.net"]


@pytest.mark.parametrize("client", ["curl"])
def test_a_certificate_for_another_name_is_noticed_by_the_client(rich, client):
    host, port = rich.gate.address("submissions")
    there = ["--resolve", f"wrong.example:{port}:{host}", f"smtps://wrong.example:{port}"]
    said = programs.run([client, "-sS", "--cacert", str(rich.authority), *there])
    assert not said.ok
    assert "certificate" in said.text
