"""TLS and credentials: nothing that matters goes where it must not."""

import asyncio
import base64
import ssl
import sys

import pytest

from delivcheck.gate import secret, settings
from delivcheck.gate.ports import Unready
from delivcheck.gate.relay.connection import Connection
from delivcheck.gate.relay.dial import MAX_SECRET
from delivcheck.gate.settings import SaslMechanism, Secret, Security
from tests.gate.next_hop import ALL, NextHop
from tests.gate.relay.way import Told, in_loop, relay_to, sent
from tests.net.https_server import certificate

NAME = "hop.example"
WITH_TLS = (*ALL, "STARTTLS")
PASSWORD = "correct horse"


@pytest.fixture(scope="module")
def pem(tmp_path_factory):
    return certificate(tmp_path_factory.mktemp("right"), [NAME])


@pytest.fixture(scope="module")
def foreign(tmp_path_factory):
    """For the right name, of somebody whom nobody trusts."""
    return certificate(tmp_path_factory.mktemp("foreign"), [NAME])


@pytest.fixture(scope="module")
def misnamed(tmp_path_factory):
    return certificate(tmp_path_factory.mktemp("misnamed"), ["other.example"])


def server(pem_, **more):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem_)
    for name, value in more.items():
        setattr(context, name, value)
    return context


async def refused(relay):
    with pytest.raises(Unready) as caught:
        await sent(relay)
    assert caught.value.reply.code == 451
    return str(caught.value)


def mail_was_named(hop):
    return any(line.upper().startswith((b"MAIL", b"RCPT", b"DATA", b"AUTH")) for line in hop.commands)


@pytest.fixture
def far(monkeypatch):
    """The next hop as if it were on another machine."""
    monkeypatch.setattr(Connection, "local", property(lambda _: False))


# --- TLS -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("security", [Security.REQUIRED, Security.IMPLICIT])
@in_loop
async def test_a_verified_certificate_lets_mail_through(pem, security):
    told = Told()
    more = {"security": security, "ca_file": pem, "server_name": NAME}
    async with (
        NextHop(extensions=WITH_TLS, tls=server(pem), implicit=security is Security.IMPLICIT) as hop,
        relay_to(hop, watch=told, **more) as relay,
    ):
        assert (await sent(relay))[0].code == 250
        assert hop.messages[0].session.tls == "TLSv1.3"
        assert told.of("tls")[0]["reason"] == "TLSv1.3"


@pytest.mark.attack(25)
@pytest.mark.parametrize("security", [Security.REQUIRED, Security.IMPLICIT])
@pytest.mark.parametrize("wrong", ["foreign", "misnamed"])
@in_loop
async def test_a_wrong_certificate_is_451_and_nothing_is_named(request, pem, monkeypatch, security, wrong):
    monkeypatch.setenv("HOP_SECRET", PASSWORD)
    shown = request.getfixturevalue(wrong)
    trusted = pem if wrong == "foreign" else shown
    secret_ = Secret(environment="HOP_SECRET")
    more = {"security": security, "ca_file": trusted, "server_name": NAME, "user": "me", "secret": secret_}
    users = {"me": PASSWORD}
    offers = (*WITH_TLS, "AUTH PLAIN")
    async with (
        NextHop(extensions=offers, tls=server(shown), implicit=security is Security.IMPLICIT, users=users) as hop,
        relay_to(hop, **more) as relay,
    ):
        assert "4.7.5" in await refused(relay)
        assert not mail_was_named(hop)


@pytest.mark.attack(25)
@pytest.mark.parametrize("how", ["stripped", "refused", "not tls"])
@in_loop
async def test_without_tls_nothing_is_sent_where_it_is_required(pem, how):
    says = {"stripped": {}, "refused": {"STARTTLS": "454 4.7.0 not now"}, "not tls": {"STARTTLS": "220 go\r\n250 now plain"}}[
        how
    ]
    async with (
        NextHop(extensions=ALL if how == "stripped" else WITH_TLS, says=says, tls=server(pem)) as hop,
        relay_to(hop, security=Security.REQUIRED, ca_file=pem, server_name=NAME) as relay,
    ):
        await refused(relay)
        assert not mail_was_named(hop)


@pytest.mark.attack(25)
@pytest.mark.parametrize("security", [Security.REQUIRED, Security.OPPORTUNISTIC])
@pytest.mark.parametrize("inject", [b"250 2.0.0 injected\r\n", b"250-hop.example\r\n250 AUTH PLAIN\r\n", b"250 half"])
@in_loop
async def test_octets_injected_before_tls_end_the_connection(pem, security, inject):
    async with (
        NextHop(extensions=WITH_TLS, tls=server(pem), inject=inject) as hop,
        relay_to(hop, security=security, ca_file=pem, server_name=NAME) as relay,
    ):
        await refused(relay)
        assert not mail_was_named(hop)
        assert hop.connections == 1


@pytest.mark.attack(25)
@in_loop
async def test_what_was_offered_before_tls_is_forgotten(pem):
    def hello(session, _line):
        return "250-hop.example\r\n250-STARTTLS\r\n250 DSN" if session.tls is None else "250-hop.example\r\n250 8BITMIME"

    async with NextHop(says={"EHLO": hello}, tls=server(pem)) as hop, relay_to(hop) as relay:
        extensions = await relay.extensions()
        assert (extensions.dsn, extensions.eight_bit) == (False, True)


@in_loop
async def test_opportunistic_tls_takes_any_certificate_and_goes_on_without_where_it_breaks(foreign):
    async with NextHop(extensions=WITH_TLS, tls=server(foreign)) as hop, relay_to(hop) as relay:
        await sent(relay)
        assert hop.messages[0].session.tls == "TLSv1.3"
    told = Told()
    broken = server(foreign, minimum_version=ssl.TLSVersion.TLSv1_2)
    broken.set_ciphers("PSK")  # the handshake finds nothing in common
    broken.maximum_version = ssl.TLSVersion.TLSv1_2
    async with NextHop(extensions=WITH_TLS, tls=broken) as hop, relay_to(hop, watch=told) as relay:
        await sent(relay)
        assert hop.messages[0].session.tls is None
        assert "without TLS" in told.of("failed")[0]["reason"]


@in_loop
async def test_security_none_says_no_starttls(pem):
    async with NextHop(extensions=WITH_TLS, tls=server(pem)) as hop, relay_to(hop, security=Security.NONE) as relay:
        await sent(relay)
        assert b"STARTTLS" not in hop.commands


@in_loop
async def test_tls_below_1_2_is_not_spoken(pem):
    old = server(pem)
    with pytest.warns(DeprecationWarning, match="TLSv1"):
        old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    old.set_ciphers("ALL:@SECLEVEL=0")
    async with (
        NextHop(extensions=WITH_TLS, tls=old) as hop,
        relay_to(hop, security=Security.REQUIRED, ca_file=pem, server_name=NAME) as relay,
    ):
        await refused(relay)
        assert not mail_was_named(hop)


def test_an_unreadable_ca_file_is_told_at_the_start(tmp_path):
    from delivcheck.gate.relay.relay import NextHops

    for path in (tmp_path / "none.pem", tmp_path / "empty.pem"):
        if path.name == "empty.pem":
            path.write_text("")
        with pytest.raises(OSError):  # noqa: PT011 -- ssl.SSLError is one
            NextHops([settings.NextHop("hop", settings.Address(host=NAME, port=25), ca_file=path)], "gate.example")


# --- credentials ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mechanism", [*SaslMechanism, None])
@in_loop
async def test_every_mechanism_logs_in(pem, tmp_path, far, mechanism):
    (tmp_path / "secret").write_text(PASSWORD + "\n")
    more = {"user": "me", "secret": Secret(file=tmp_path / "secret"), "mechanism": mechanism}
    more |= {"security": Security.REQUIRED, "ca_file": pem, "server_name": NAME}
    offers = (*WITH_TLS, "AUTH LOGIN PLAIN XOAUTH2")
    told = Told()
    async with (
        NextHop(extensions=offers, tls=server(pem), users={"me": PASSWORD}) as hop,
        relay_to(hop, watch=told, **more) as relay,
    ):
        await sent(relay)
        assert hop.messages[0].session.user == "me"
        assert hop.sessions[0].verbs[:4] == ["EHLO", "STARTTLS", "EHLO", "AUTH"]
    assert PASSWORD not in str(told)


@pytest.mark.attack(23, 25)
@pytest.mark.parametrize("security", [Security.NONE, Security.OPPORTUNISTIC])
@in_loop
async def test_credentials_are_never_sent_without_a_verified_certificate(pem, far, monkeypatch, security):
    monkeypatch.setenv("HOP_SECRET", PASSWORD)
    more = {"user": "me", "secret": Secret(environment="HOP_SECRET"), "security": security, "server_name": NAME}
    async with (
        NextHop(extensions=(*WITH_TLS, "AUTH PLAIN"), tls=server(pem), users={"me": PASSWORD}) as hop,
        relay_to(hop, **more) as relay,  # pem is not trusted
    ):
        await refused(relay)
        assert not mail_was_named(hop)
        assert base64.b64encode(PASSWORD.encode())[:8] not in hop.raw
    async with NextHop(extensions=(*ALL, "AUTH PLAIN"), users={"me": PASSWORD}) as hop, relay_to(hop, **more) as relay:
        await refused(relay)
        assert not mail_was_named(hop)
        assert base64.b64encode(PASSWORD.encode())[:8] not in hop.raw


@in_loop
async def test_on_this_machine_credentials_need_no_tls(monkeypatch, tmp_path):
    monkeypatch.setenv("HOP_SECRET", PASSWORD)
    for path in (None, tmp_path / "hop.sock"):
        async with (
            NextHop(extensions=["AUTH PLAIN"], users={"me": PASSWORD}, path=path) as hop,
            relay_to(hop, user="me", secret=Secret(environment="HOP_SECRET")) as relay,
        ):
            await sent(relay)
            assert hop.messages[0].session.user == "me"


@pytest.mark.parametrize("mechanism", [SaslMechanism.PLAIN, SaslMechanism.XOAUTH2])
@in_loop
async def test_a_secret_that_is_refused_is_read_again_and_tried_once_more(tmp_path, mechanism):
    """A token that expired: the command prints another one."""
    count = tmp_path / "count"
    count.write_text("")
    script = f"import pathlib; c = pathlib.Path({str(count)!r}); c.write_text(c.read_text() + 'x'); print('token', len(c.read_text()))"
    more = {"user": "me", "secret": Secret(command=(sys.executable, "-c", script)), "mechanism": mechanism}
    async with NextHop(extensions=["AUTH PLAIN XOAUTH2"], users={"me": "token 1"}) as hop, relay_to(hop, **more) as relay:
        await sent(relay)
        assert count.read_text() == "x"
        hop.users = {"me": "token 2"}
        hop.says["MAIL"] = ["421 log in again"]
        await sent(relay)
        assert count.read_text() == "xx"
        assert hop.connections == 2
        assert [session.user for session in hop.sessions] == ["me", "me"]


@in_loop
async def test_wrong_credentials_are_tried_once_and_then_not_for_a_while(monkeypatch):
    """Providers lock accounts that keep failing."""
    monkeypatch.setenv("HOP_SECRET", "wrong")
    told = Told()
    async with (
        NextHop(extensions=["AUTH PLAIN"], users={"me": PASSWORD}) as hop,
        relay_to(hop, watch=told, user="me", secret=Secret(environment="HOP_SECRET")) as relay,
    ):
        for _ in range(5):
            assert "4.7.0" in await refused(relay)
        assert hop.connections == 1
        assert hop.sessions[0].verbs.count("AUTH") == 1
    assert "535" in told.of("failed")[0]["reason"]
    assert "wrong" not in str(told)  # neither the secret nor the server's text, which may repeat it


@in_loop
async def test_no_mechanism_in_common_is_451(monkeypatch):
    monkeypatch.setenv("HOP_SECRET", PASSWORD)
    for offers in (["AUTH GSSAPI"], [], ["AUTH XOAUTH2"]):
        async with (
            NextHop(extensions=offers) as hop,
            relay_to(hop, user="me", secret=Secret(environment="HOP_SECRET")) as relay,
        ):
            await refused(relay)
            assert not mail_was_named(hop)


# --- where secrets are -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "where",
    [
        Secret(),
        Secret(environment="DELIVCHECK_NOT_SET"),
        Secret(file="missing"),
        Secret(file="two"),
        Secret(file="empty"),
        Secret(file="octets"),
        Secret(command=("/does/not/exist",)),
        Secret(command=("/bin/sh", "-c", "echo secret; exit 3")),
        Secret(command=("/bin/sh", "-c", "yes secret")),
    ],
    ids=lambda where: str(where.file or where.environment or " ".join(where.command) or "nowhere"),
)
@in_loop
async def test_a_secret_that_cannot_be_had_is_told_without_any_of_it(tmp_path, where):
    (tmp_path / "two").write_text("secret\nsecret\n")
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "octets").write_bytes(b"secret\xff")
    if where.file is not None:
        where = Secret(file=tmp_path / where.file)
    with pytest.raises(secret.NoSecret) as caught:
        await secret.Kept(where, MAX_SECRET).value()
    assert "secret" not in str(caught.value).replace("for the secret", "").replace(str(tmp_path), "")


@in_loop
async def test_a_command_that_hangs_is_killed_with_its_children(monkeypatch):
    monkeypatch.setattr(secret, "COMMAND", 0.1)
    with pytest.raises(secret.NoSecret, match="took more than"):
        await secret.Kept(Secret(command=("/bin/sh", "-c", "sleep 60 & sleep 60")), MAX_SECRET).value()


@in_loop
async def test_a_secret_is_read_once_for_all_who_ask(tmp_path):
    count = tmp_path / "count"
    one = secret.Kept(Secret(command=("/bin/sh", "-c", f"echo x >> {count}; echo token")), MAX_SECRET)
    assert set(await asyncio.gather(*(one.value() for _ in range(5)))) == {"token"}
    assert count.read_text() == "x\n"
    one.forget("another")
    await one.value()
    assert count.read_text() == "x\n"
    one.forget("token")
    await one.value()
    assert count.read_text() == "x\nx\n"
    assert "token" not in repr(one).replace("echo token", "")


# --- servers that are odd about AUTH ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "says", ["454 4.7.0 not now", "334 more\r\n334 and more", "334 \r\n501 5.7.0 cancelled", "250 2.0.0 fine"]
)
@in_loop
async def test_only_235_is_logged_in(monkeypatch, says):
    monkeypatch.setenv("HOP_SECRET", PASSWORD)
    async with (
        NextHop(extensions=["AUTH PLAIN"], says={"AUTH": says}) as hop,
        relay_to(hop, user="me", secret=Secret(environment="HOP_SECRET")) as relay,
    ):
        await refused(relay)
        assert not any(line.startswith(b"MAIL") for line in hop.commands)


@pytest.mark.parametrize("secret", [None, Secret(environment="DELIVCHECK_NOT_SET"), Secret(environment="HUGE")])
@in_loop
async def test_a_user_without_a_usable_secret_is_451(monkeypatch, secret):
    monkeypatch.setenv("HUGE", "x" * 10_000)
    async with NextHop(extensions=["AUTH PLAIN"]) as hop, relay_to(hop, user="me", secret=secret) as relay:
        assert "4.7.0" in await refused(relay)
        assert not mail_was_named(hop)
