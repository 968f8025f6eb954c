"""Attack 65: a webhook's URL leads nowhere but to public servers and to the networks that the operator named."""

import asyncio
import json
import ssl
import time
from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivcheck.model import Found
from delivcheck.net import poster as module
from delivcheck.net.poster import BadUrl, checked
from delivcheck.trace.webhooks import signing
from tests.net.https_server import certificate
from tests.trace.webhooks.hearing import LOOPBACK, hearing, poster

INSIDE = (
    "http://127.0.0.1/", "https://127.0.0.1/", "https://127.8.9.1/", "https://[::1]/", "https://[::ffff:127.0.0.1]/",
    "https://169.254.169.254/latest/meta-data/", "https://[::ffff:169.254.169.254]/", "https://[64:ff9b::a9fe:a9fe]/",
    "https://[fd00:ec2::254]/", "https://10.0.0.1/", "https://172.16.0.1/", "https://192.168.1.1/", "https://100.64.0.1/",
    "https://0.0.0.0/", "https://[::]/", "https://224.0.0.1/", "https://[fe80::1]/", "https://[2002:7f00:1::]/",
    "https://255.255.255.255/", "https://192.0.2.1/",
)  # fmt: skip
ODD = (
    "http://2130706433/", "https://0x7f.1/", "https://0177.0.0.1/", "https://127.1/", "https://localhost/",
    "https://internal.example.com/", "https://mixed.example.com:8443/x",
)  # fmt: skip
ZONE = {"internal.example.com A": "10.1.2.3", "mixed.example.com AAAA": "::ffff:127.0.0.1", "localhost A": "127.0.0.1"}


@pytest.mark.attack(65)
@pytest.mark.parametrize("url", INSIDE)
def test_addresses_inside_are_refused_at_registration_and_when_connecting(url):
    with pytest.raises(BadUrl):
        checked(url)

    async def go():
        async with poster(networks=()) as out:
            return await out.post(url, {}, b"{}")

    posted = asyncio.run(go())
    assert posted.status is None
    assert "no address that may be probed" in posted.error


@pytest.mark.attack(65)
@pytest.mark.parametrize("url", ODD)
def test_names_and_odd_forms_of_addresses_lead_nowhere_inside(url):
    async def go():
        async with poster(ZONE, networks=()) as out:
            return await out.post(url, {}, b"{}")

    assert asyncio.run(go()).status is None


@pytest.mark.attack(65)
def test_a_name_that_changes_between_two_questions_is_connected_to_as_it_was_checked(monkeypatch):
    """DNS rebinding: public when asked first, loopback the next time. Where it goes is the answer that was checked."""

    class Rebinding:
        def __init__(self):
            self.asked = 0

        async def ask(self, name, type):  # noqa: A002 -- the DNS word
            self.asked += 1
            return Found(("93.184.215.14",) if self.asked <= 2 else ("127.0.0.1",)) if type == "A" else Found(())

    went = []

    async def connect(_, host, port, *rest):
        went.append(host)
        raise module.httpcore.ConnectError("as far as this goes")

    monkeypatch.setattr(module.httpcore.AnyIOBackend, "connect_tcp", connect)

    async def go():
        out = module.Poster(Rebinding())
        async with out:
            await out.post("https://rebind.example.com/", {}, b"")
            return await out.post("https://rebind.example.com/", {}, b"")

    assert asyncio.run(go()).error == "rebind.example.com has no address that may be probed"
    assert went == ["93.184.215.14"]


@pytest.mark.attack(65)
def test_redirects_are_not_followed():
    async def go():
        async with hearing() as inside, poster() as out:
            location = f"HTTP/1.1 307 X\r\nLocation: {inside.url}\r\nContent-Length: 0\r\n\r\n".encode()
            async with hearing(lambda _: location) as heard:
                posted = await out.post(heard.url, {}, b"{}")
            assert (posted.status, posted.ok, inside.requests) == (307, False, [])
            assert "not followed" in posted.error

    asyncio.run(go())


def test_plain_http_is_for_named_networks_only():
    with pytest.raises(BadUrl, match="https is wanted"):
        checked("http://app.example.com/")
    assert checked("http://app.example.com/", LOOPBACK) == "http://app.example.com/"

    async def go():
        async with poster({"app.example.com A": "93.184.215.14"}) as out:
            return await out.post("http://app.example.com/", {}, b"{}")

    assert "no address" in asyncio.run(go()).error


def test_tls_is_verified_for_the_name_in_the_url(tmp_path):
    path = certificate(tmp_path, ("www.example.org",))
    serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    serving.load_cert_chain(path)

    async def go(name, trust):
        async with hearing() as heard:
            server = await asyncio.start_server(heard.serve, "127.0.0.1", 0, ssl=serving)
            port = server.sockets[0].getsockname()[1]
            async with poster({f"{name} A": "127.0.0.1"}, trust=trust) as out:
                posted = await out.post(f"https://{name}:{port}/", {}, b"{}")
            server.close()
            return posted, len(heard.requests)

    trusting = ssl.create_default_context(cafile=path)
    assert asyncio.run(go("www.example.org", trusting))[0].status == 204
    for name, trust in (("other.example", trusting), ("www.example.org", None)):
        posted, requests = asyncio.run(go(name, trust))
        assert (posted.status, requests) == (None, 0)
        assert posted.error


def test_a_server_that_hangs_or_never_stops_talking_is_left_in_time():
    async def hang():
        await asyncio.sleep(30)

    endless = b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n" + bytes(module.MAX_BODY + 1)

    async def go(answer, seconds):
        async with hearing(lambda _: answer() if callable(answer) else answer) as heard, poster(timeout=seconds) as out:
            return await out.post(heard.url, {}, b"{}")

    assert asyncio.run(go(hang, 0.2)).error == "no answer within 0.2 s"
    assert asyncio.run(go(endless, 5)).status == 200


def test_a_server_may_ask_to_wait():
    answer = b"HTTP/1.1 429 X\r\nRetry-After: 120\r\nContent-Length: 0\r\n\r\n"

    async def go():
        async with hearing(lambda _: answer) as heard, poster() as out:
            return await out.post(heard.url, {}, b"{}")

    assert asyncio.run(go()).retry_after == 120


@pytest.mark.parametrize("answer", [b"no HTTP at all\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"])
def test_nonsense_is_a_failure(answer):
    async def go():
        async with hearing(lambda _: answer) as heard, poster(timeout=2) as out:
            return await out.post(heard.url, {}, b"{}")

    assert not asyncio.run(go()).ok


@given(url=st.one_of(st.text(max_size=60), st.from_regex(r"https?://[\[\]:@%0-9a-fx.]{0,30}(/[!-~ ]{0,20})?", fullmatch=True)))
def test_a_url_is_taken_or_refused_in_one_line(url):
    try:
        found = checked(url)
    except BadUrl as error:
        assert "\n" not in str(error)
    else:
        assert checked(found) == found
        assert found.startswith("https://")
        assert found.isascii()


def test_named_networks_alone_open_what_is_inside():
    assert checked("https://10.1.2.3/x", [ip_network("10.1.0.0/16")]) == "https://10.1.2.3/x"
    with pytest.raises(BadUrl):
        checked("https://10.2.2.3/x", [ip_network("10.1.0.0/16")])


@given(body=st.binary(max_size=50), name=st.text(max_size=20), at=st.integers(0, 10**11))
def test_what_is_signed_is_verified_and_nothing_else(body, name, at):
    secret, other = signing.new_secret(), signing.new_secret()
    fields = signing.headers((secret,), name, at, body)
    signing.verify(secret, fields, body, at + signing.TOLERANCE)
    for wrong in (
        (other, fields, body, at),
        (secret, fields, body + b" ", at),
        (secret, {**fields, "webhook-id": name + "x"}, body, at),
        (secret, {**fields, "webhook-signature": fields["webhook-signature"].replace("v1,", "v2,")}, body, at),
        (secret, fields, body, at + signing.TOLERANCE + 1),
        (secret, {**fields, "webhook-timestamp": str(at + 1)}, body, at),
    ):
        with pytest.raises(signing.BadSignature):
            signing.verify(*wrong)


def test_the_example_of_the_standard_is_signed_as_there():
    """Standard Webhooks, "Verifying webhook authenticity": known id, time, body and secret."""
    body = json.dumps({"test": 2432232314}).encode()
    fields = signing.headers(("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",), "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body)
    assert fields["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    signing.verify("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", fields, body, 1614265330)


@given(text=st.one_of(st.text(max_size=80), st.binary(max_size=80).map(lambda octets: "whsec_" + octets.hex())))
def test_a_secret_is_one_or_refused_without_showing_it(text):
    try:
        signing.key_of(text)
    except signing.BadSecret as error:
        assert len(text) < 12 or text not in str(error)


def test_a_signature_is_fresh():
    secret = signing.new_secret()
    fields = signing.headers((secret,), "x", int(time.time()) - 2 * signing.TOLERANCE, b"")
    with pytest.raises(signing.BadSignature, match="too old"):
        signing.verify(secret, fields, b"", time.time())
