"""BIMI from DNS to the files it names: which record counts, and what is fetched over real HTTPS, from nowhere else."""

import asyncio
import contextlib
import datetime as dt
import gzip
import ssl

import pytest

from delivcheck import catalog, policy
from delivcheck.api import Checker, Options
from delivcheck.engine import Planner, Provider, Roots, gather
from delivcheck.facts import bimi, identity, message, roots
from delivcheck.facts.bimi import MAX_REDIRECTS, BimiAssertion, BimiCertificate, BimiLogo, BimiRecords, BimiSelector, fetch
from delivcheck.facts.roots import AuditedDomain, Octets
from delivcheck.model import Dns, Found, NoSuchName, NotApplicable, Probe, ProbeFailed, ProbeFault, Unavailable
from delivcheck.net.probe import Live, scripted
from delivcheck.net.snapshot import from_mapping
from tests import mark_certificates
from tests.net import https_server

SVG = b'<svg xmlns="http://www.w3.org/2000/svg" version="1.2" baseProfile="tiny-ps" viewBox="0 0 9 9"><title>Example</title></svg>'
PLANNER = Planner(catalog.collect([identity, message, bimi], Provider))

NEWS = AuditedDomain("news.example.org")


def facts(world, *wanted, given=NEWS, probe=None):
    dns = from_mapping(world)
    values = [given, (Dns, dns)]
    if probe is not None:
        values.append((Probe, probe))
    known = Roots(*values, why_absent=roots.WHY_ABSENT)
    found = asyncio.run(gather(PLANNER.plan(wanted, known), known))
    return found[wanted[0]], [str(question) for question in dns.asked]


# --- which record ------------------------------------------------------------------------------------------------


def test_both_places_are_asked_at_once_and_the_author_domains_own_record_counts():
    found, asked = facts(
        {"default._bimi.news.example.org TXT": "v=BIMI1; l=", "default._bimi.example.org TXT": "v=BIMI1; l=oops"}, BimiRecords
    )
    assert (found.domain, found.texts) == ("news.example.org", ("v=BIMI1; l=",))
    assert set(asked) == {"default._bimi.news.example.org TXT", "default._bimi.example.org TXT"}


def test_the_organizational_domain_counts_where_the_author_domain_has_none():
    found, _ = facts(
        {"default._bimi.news.example.org TXT": "v=bimi1; l=", "default._bimi.example.org TXT": "v=BIMI1; l="}, BimiAssertion
    )
    assert found.records.domain == "example.org"
    assert found.where("l").name == "default._bimi.example.org"
    assert found.records.near == (("default._bimi.news.example.org", "v=bimi1; l="),)


def test_a_missing_answer_that_could_be_the_record_leaves_it_unknown():
    silent = {"default._bimi.news.example.org TXT": "TIMEOUT", "default._bimi.example.org TXT": "v=BIMI1; l="}
    assert isinstance(facts(silent, BimiRecords)[0], Unavailable)
    later = {"default._bimi.news.example.org TXT": "v=BIMI1; l=", "default._bimi.example.org TXT": "TIMEOUT"}
    assert facts(later, BimiRecords)[0].domain == "news.example.org"


def test_a_name_too_long_to_exist_is_not_asked_for():
    domain = ".".join(["a" * 60] * 4)
    found, asked = facts({}, BimiRecords, given=AuditedDomain(domain))
    assert found.texts == ()
    assert all(len(name) < 254 for name in asked)


@pytest.mark.parametrize(
    ("header", "selector"),
    [
        ("", "default"),
        ("BIMI-Selector: v=BIMI1; s=Brand\r\n", "brand"),
        ("BIMI-Selector: s=brand\r\n", "default"),
        ("BIMI-Selector: v=BIMI1; s=a\r\nBIMI-Selector: v=BIMI1; s=a\r\n", "default"),
    ],
)
def test_a_message_names_its_selector_or_has_the_default(header, selector):
    octets = Octets(f"{header}From: a@example.org\r\n\r\nHello\r\n".encode())
    assert facts({}, BimiSelector, given=octets)[0] == BimiSelector(selector)


# --- fetching ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tls(tmp_path_factory):
    """(contexts of server and client) for logo.example.org, which vouches for itself."""
    path = https_server.certificate(tmp_path_factory.mktemp("tls"), ("logo.example.org",))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(path)
    return server, ssl.create_default_context(cafile=str(path))


class Zone:
    """Answers for one server on loopback; `records` are TXT by name."""

    def __init__(self, **records):
        self.records = {name.replace("_0_", "."): text for name, text in records.items()}

    async def ask(self, name, type):  # noqa: A002
        if type == "A" and name == "logo.example.org":
            return Found(("127.0.0.1",))
        return Found(((self.records[name].encode(),),)) if type == "TXT" and name in self.records else NoSuchName()


def serving(context, pages, use):
    """Run `use(port)` against an HTTPS server with these pages: path to (status line, extra fields, body)."""

    async def handle(reader, writer):
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            path = (await reader.readuntil(b"\r\n\r\n")).split(b" ")[1].decode()
            status, extra, body = pages.get(path, ("404 Not Found", "", b""))
            writer.write(
                f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n{extra}\r\n".encode() + body
            )
            await writer.drain()
        with contextlib.suppress(OSError, ssl.SSLError):
            writer.close()
            await writer.wait_closed()

    async def main():
        async with await asyncio.start_server(handle, "127.0.0.1", 0, ssl=context) as server:
            return await use(server.sockets[0].getsockname()[1])

    return asyncio.run(main())


def loopback(ip):
    return ip.is_loopback


PAGES = {
    "/moved.svg": ("301 Moved", "Location: /logo.svg\r\n", b""),
    "/logo.svg": ("200 OK", "Content-Type: image/svg+xml\r\n", gzip.compress(SVG)),
    "/vmc.pem": (
        "200 OK",
        "",
        mark_certificates.made({"domains": ["example.org"], "logo": "x"}, {"x": {"body": SVG.decode()}}),
    ),
}


def test_logo_and_certificate_come_over_real_https(tls):
    server, trust = tls

    async def audit(port):
        at = f"https://logo.example.org:{port}"
        zone = Zone(**{"default._bimi.example.org": f"v=BIMI1; l={at}/moved.svg; a={at}/vmc.pem"})
        roots = {"roots": [mark_certificates.ROOT_SHA256]}  # the tests' own mark authority
        chosen = policy.load("bulk").with_settings([policy.Setting("bimi/bad-certificate", options=roots)])
        now = dt.datetime(2026, 11, 23, tzinfo=dt.UTC)
        options = Options(chosen, dns=zone, probe=Live(zone, loopback, trust=trust), now=now)
        book = catalog.assemble(strict=False)
        ours = {name: rule for name, rule in book.rules.items() if rule.family == "bimi"}
        report = await Checker(options, catalog.Catalog(ours, book.checks, book.providers)).domain("example.org")
        return {result.rule: result.outcome for result in report.results}

    results = serving(server, PAGES, audit)
    assert results == {
        "bimi/bad-certificate": "pass",
        "bimi/bad-logo": "pass",
        "bimi/bad-record": "pass",
        "bimi/dmarc-not-enforced": "fail",
        "bimi/logo-unreachable": "pass",
        "bimi/no-certificate": "pass",
    }


def test_the_address_policy_holds_for_every_hop(tls):
    server, trust = tls
    pages = {"/a": ("302 Found", "Location: https://127.0.0.2:1/secret\r\n", b"")}

    def only_the_first(ip):
        return str(ip) == "127.0.0.1"

    def go(port):
        return fetch(Live(Zone(), only_the_first, trust=trust), f"https://logo.example.org:{port}/a")

    found = serving(server, pages, go)
    assert found.body is None
    assert isinstance(found.answer, ProbeFailed)
    assert found.answer.fault is ProbeFault.ADDRESS


def test_a_circle_of_redirects_ends(tls):
    server, trust = tls
    asked = []

    class Counting(Live):
        async def get(self, url):
            asked.append(url)
            return await super().get(url)

    def go(port):
        return fetch(Counting(Zone(), loopback, trust=trust), f"https://logo.example.org:{port}/a")

    found = serving(server, {"/a": ("307 Again", "Location: /a\r\n", b"")}, go)
    assert found.refused == f"redirects more than {MAX_REDIRECTS} times"
    assert len(asked) == MAX_REDIRECTS + 1


@pytest.mark.parametrize("target", ["http://a.example/", "https://[", "ftp://a.example/", "javascript:x"])
def test_a_redirect_out_of_https_is_not_followed(target):
    probe = scripted({"https://a.example/": {"status": 301, "headers": {"Location": target}}}, {})
    found = asyncio.run(fetch(probe, "https://a.example/"))
    assert found.refused == f"redirects to {target}"
    assert found.body is None


RECORD = {"default._bimi.news.example.org TXT": "v=BIMI1; l=https://a.example/l.svg; a=https://a.example/c.pem"}


def test_files_that_are_something_else_are_values_not_errors():
    probe = scripted({"https://a.example/l.svg": {"body": "no"}, "https://a.example/c.pem": {"body": "no"}}, {})
    assert str(facts(RECORD, BimiLogo, probe=probe)[0].logo).startswith("it is no XML: ")
    assert str(facts(RECORD, BimiCertificate, probe=probe)[0].certificate) == "it has no certificate in PEM"


def test_nothing_is_fetched_without_being_asked_for():
    for wanted in (BimiLogo, BimiCertificate):
        found = facts(RECORD, wanted)[0]
        assert isinstance(found, NotApplicable)
        assert found.reason == "live probes were not asked for (--probe)"
