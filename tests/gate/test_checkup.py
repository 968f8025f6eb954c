"""`delivcheck gate --check`: every fault of the configuration and the wiring is one line, and the exit code says what kind it is."""

import asyncio
import contextlib
import datetime as dt
import getpass
import os
import socket
import ssl
import subprocess
import sys
import threading

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from delivcheck import config
from delivcheck.cli import main
from delivcheck.gate import reading
from delivcheck.gate.serve import checkup
from delivcheck.gate.serve.checkup import State
from delivcheck.gate.serve.checkup.here import _covers
from delivcheck.gate.serve.presence import Presence
from delivcheck.gate.serve.worker import Loaded
from delivcheck.gate.users import User, file
from delivcheck.net.snapshot import from_mapping
from tests import keys
from tests.gate.next_hop import ALL, SILENCE, NextHop
from tests.servers import free_port, loopback

IP = "192.0.2.25"
DNS = {
    "example.com TXT": f"v=spf1 ip4:{IP} -all",
    "example.net TXT": "v=spf1 -all",
    "s1._domainkey.example.com TXT": keys.record("rsa2048"),
    "other._domainkey.example.com TXT": keys.record("rsa1024"),
    "revoked._domainkey.example.com TXT": "v=DKIM1; p=",
    "broken._domainkey.example.com TXT": "v=DKIM1; p=%%%",
    "testing._domainkey.example.com TXT": keys.record("rsa2048").replace("v=DKIM1;", "v=DKIM1; t=y;"),
    "two._domainkey.example.com TXT": [keys.record("rsa2048"), keys.record("rsa1024")],
    "lost._domainkey.example.com TXT": "TIMEOUT",
}


@pytest.fixture
def here(tmp_path):
    """A folder with everything that a gate needs."""
    tmp_path.chmod(0o755)  # pytest's own keep others from the socket in it
    (tmp_path / "state").mkdir()
    (tmp_path / "key.pem").write_bytes(keys.pem("rsa2048"))
    return tmp_path


def certified(folder, names=("gate.example.com",), begins=-1, ends=90):
    """A certificate that signs itself, and its key; `begins` and `ends` in days from now."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, names[0])])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + dt.timedelta(begins))
        .not_valid_after(now + dt.timedelta(ends))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(each) for each in names]), critical=False)
        .sign(key, hashes.SHA256())
    )
    encoding = serialization.Encoding.PEM
    (folder / "chain.pem").write_bytes(made.public_bytes(encoding))
    (folder / "tls.pem").write_bytes(
        key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )


MILTER = """\
[[gate.listen]]
kind = "milter"
address = "unix:milter.sock"
"""


def smtp(port, more=""):
    return f'[[gate.listen]]\nkind = "smtp"\naddress = "{loopback()}:{port}"\ntrusted = ["127.0.0.0/8"]\n{more}'


def tls(port):
    return smtp(port, 'certificate = "chain.pem"\nkey = "tls.pem"\n')


def hop(to, more=""):
    return f'[[gate.next-hop]]\nname = "hop"\naddress = "{to.host}:{to.port}"\n{more}\n'


def sign(selector, key="key.pem"):
    return f'[[gate.sign]]\ndomain = "example.com"\nselector = "{selector}"\nkey-file = "{key}"\n'


def loaded(folder, listeners, gate="", top='owned-domains = ["example.com"]'):
    path = folder / "delivcheck.toml"
    path.write_text(f'{top}\n[gate]\nname = "gate.example.com"\nstate = "state"\negress = ["{IP}"]\n{gate}\n{listeners}')
    found = config.load(path)
    made = reading.read(found)
    return Loaded(found, made, reading.warnings(found, made))


def looked(one, dns=DNS):
    """The findings as {what: (state, text)}; of several on one thing, the worst."""

    async def run():
        return [each async for each in checkup.findings(one.config, one.gate, from_mapping(dns))]

    return asyncio.run(run())


def worst(findings, what):
    order = list(State)
    return max((one for one in findings if one.what == what), key=lambda one: order.index(one.state))


def with_hop(folder, make, **options):
    """Check while a next hop listens; `make` gives the configuration for it."""

    async def run():
        async with NextHop(**options) as there:
            one = make(there)
            return [each async for each in checkup.findings(one.config, one.gate, from_mapping(DNS))], there

    return asyncio.run(run())


# --- all is well -----------------------------------------------------------------------------------------------------


def test_what_works_is_all_ok_and_leaves_nothing_behind(here):
    certified(here)
    with file.changing(here / "users.json") as known:
        known["shop"] = User(name="shop", password="$argon2id$v=19$m=8,t=1,p=1$YWFhYWFhYWE$YWFhYWFhYWE")

    def make(there):
        text = tls(free_port(loopback())) + MILTER + hop(there) + sign("s1")
        return loaded(here, text, f'users = "users.json"\nadmin = "{loopback()}:{free_port(loopback())}"')

    found, there = with_hop(here, make)
    assert {one.state for one in found} == {State.OK}
    assert [one.what for one in found] == [
        "policy",
        "state",
        "users",
        f"certificate {here}/chain.pem",
        "listener smtp",
        "listener milter",
        "admin",
        "next hop hop",
        "DKIM key s1._domainkey.example.com",
        "SPF of example.com",
    ]
    assert checkup.exit_code(found) == 0
    assert not (here / "milter.sock").exists()
    assert there.sessions[0].verbs == ["EHLO", "QUIT"]


def test_each_finding_is_a_printed_line_and_the_warnings_of_the_configuration_stand_above(here, capsys):
    one = loaded(here, MILTER)
    one = Loaded(one.config, one.gate, ("delivcheck.toml:3: gate.x: hardly meant\x1b[31m",))
    assert checkup.run(one, from_mapping({})) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("warning  configuration: delivcheck.toml:3: gate.x: hardly meant")
    assert "\x1b" not in lines[0]
    assert lines[1].startswith("ok       policy: ")
    assert lines[-2].startswith("problem  SPF of example.com: 192.0.2.25: none")
    assert lines[-1] == "The gate would start, but mail would be refused or have to wait: see the problems above."


# --- it would not start ----------------------------------------------------------------------------------------------


def expired(folder):
    certified(folder, begins=-90, ends=-1)


def unreadable_chain(folder):
    certified(folder)
    (folder / "chain.pem").unlink()


def broken_chain(folder):
    certified(folder)
    (folder / "chain.pem").write_text("-----BEGIN CERTIFICATE-----\nrubbish\n")


def foreign_key(folder):
    certified(folder)
    chain = (folder / "chain.pem").read_bytes()
    certified(folder)
    (folder / "chain.pem").write_bytes(chain)


@pytest.mark.parametrize(
    ("breaking", "state", "says"),
    [
        (unreadable_chain, State.BROKEN, "chain.pem: No such file or directory"),
        (broken_chain, State.BROKEN, "chain.pem"),
        (foreign_key, State.BROKEN, "the certificate and the key do not belong together: "),
        (expired, State.PROBLEM, "expired on "),
        (lambda folder: certified(folder, begins=1), State.PROBLEM, "holds only from "),
        (lambda folder: certified(folder, ends=5), State.WARNING, "expires on "),
        (
            lambda folder: certified(folder, ["www.example.com"]),
            State.WARNING,
            "is for www.example.com, not for gate.example.com",
        ),
        (lambda folder: certified(folder, ["*.example.com"]), State.OK, "holds until "),
    ],
    ids=["unreadable", "broken", "another's key", "expired", "not yet", "soon", "another name", "wildcard"],
)
def test_a_certificate_is_looked_at_as_the_server_and_its_clients_will(here, breaking, state, says):
    breaking(here)
    port = free_port(loopback())
    found, _ = with_hop(here, lambda there: loaded(here, tls(port) + hop(there)))
    line = next(one for one in found if one.what.startswith("certificate"))
    assert (line.state, says in line.text) == (state, True), line


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("missing.pem", "DKIM key s1._domainkey.example.com: {here}/missing.pem cannot be read: No such file or directory"),
        ("state", "cannot be read: Is a directory"),
        ("chain.pem", "the private key cannot be read"),
    ],
    ids=["missing", "a folder", "no key"],
)
def test_a_signing_key_that_cannot_be_used_keeps_the_gate_from_starting(here, text, says):
    certified(here)
    found = looked(loaded(here, MILTER + sign("s1", text)))
    assert says.format(here=here) in worst(found, "signing").text
    assert checkup.exit_code(found) == 2


def test_a_state_folder_that_is_not_there_keeps_the_gate_from_starting(here):
    (here / "state").rmdir()
    found, _ = with_hop(here, lambda there: loaded(here, smtp(free_port(loopback())) + hop(there)))
    whose = "delivcheck" if os.geteuid() == 0 else getpass.getuser()  # root only looks; the service is another
    line = f"{here}/state: no such folder; make it with: install -d -o {whose} -m 0700 {here}/state"
    assert worst(found, "state") == checkup.Finding(State.BROKEN, "state", line)
    found = worst(looked(loaded(here, MILTER)), "state")
    assert (found.state, "what DNS said before" in found.text) == (State.WARNING, True), "a milter can do without"


def test_a_port_that_another_has_keeps_the_gate_from_starting(here):
    with socket.create_server((loopback(), 0)) as taken:
        threading.Thread(target=_say, args=(taken, b"220 other.example.com ESMTP\r\n"), daemon=True).start()
        port = taken.getsockname()[1]
        found, _ = with_hop(here, lambda there: loaded(here, smtp(port) + hop(there)))
    line = worst(found, "listener smtp")
    assert (line.state, line.text) == (State.BROKEN, f"{loopback()}:{port}: address already in use, by another program")
    assert checkup.exit_code(found) == 2


@contextlib.contextmanager
def told(state, address):
    """A gate that runs and listens there, as far as the state folder knows."""
    one = Presence(state)
    one.tell([address])
    try:
        yield
    finally:
        one.close()


def test_a_port_that_the_running_gate_has_is_fine(here):
    with socket.create_server((loopback(), 0)) as taken:
        port = taken.getsockname()[1]
        with told(here / "state", f"{loopback()}:{port}"):
            found, _ = with_hop(here, lambda there: loaded(here, smtp(port) + hop(there)))
    line = worst(found, "listener smtp")
    assert (line.state, line.text.endswith(f"listens there (process {os.getpid()})")) == (State.OK, True)


@pytest.mark.parametrize("says", [b"220 gate.example.com ESMTP\r\n", b"HTTP/1.0 200 OK\r\n\r\n"])
def test_another_program_is_not_taken_for_us_whatever_it_says(here, says):
    with socket.create_server((loopback(), 0)) as taken, socket.create_server((loopback(), 0)) as other:
        for one in (taken, other):
            threading.Thread(target=_say, args=(one, says), daemon=True).start()
        admin = f'admin = "{loopback()}:{other.getsockname()[1]}"'
        found, _ = with_hop(here, lambda there: loaded(here, smtp(taken.getsockname()[1]) + hop(there), admin))
        for one in (taken, other):
            socket.create_connection(one.getsockname()).close()  # for the thread
    assert worst(found, "listener smtp").state is worst(found, "admin").state is State.BROKEN


@pytest.mark.parametrize(("state", "found"), [(True, State.OK), (False, State.WARNING)])
def test_the_running_gates_milter_socket_is_left_alone(here, state, found):
    path = here / "milter.sock"
    with socket.socket(socket.AF_UNIX) as taken:
        taken.bind(str(path))
        taken.listen()
        before = path.stat().st_ino
        with told(here / "state", f"unix:{path}") if state else contextlib.nullcontext():
            if not state:
                (here / "state").rmdir()
            line = worst(looked(loaded(here, MILTER)), "listener milter")
        assert line.state is found, line
        assert path.stat().st_ino == before


def _say(listening, octets):
    with contextlib.suppress(OSError):
        connection, _ = listening.accept()
        with connection:
            connection.sendall(octets)
            connection.settimeout(5)
            while connection.recv(100):
                pass


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ('group = "no-such-group"', "there is no group 'no-such-group' on this machine"),
        ("", "no such folder"),
    ],
    ids=["group", "folder"],
)
def test_a_milter_socket_that_cannot_be_made_keeps_the_gate_from_starting(here, more, says):
    text = MILTER if more else MILTER.replace("milter.sock", "missing/milter.sock")
    line = worst(looked(loaded(here, f"{text}{more}\n")), "listener milter")
    assert (line.state, says in line.text) == (State.BROKEN, True), line


def test_a_folder_that_keeps_the_mta_from_the_socket_is_a_warning(here):
    (here / "run").mkdir(mode=0o700)
    line = worst(looked(loaded(here, MILTER.replace("milter.sock", "run/milter.sock"))), "listener milter")
    assert (line.state, line.text) == (State.WARNING, f"{here}/run: mode 0700 keeps others from the socket in it")


def test_house_rules_that_cannot_be_used_keep_the_gate_from_starting(here):
    (here / "house.toml").write_text('extends = "bulk"\n[rules]\n"spf/no-such-rule" = "error"\n')
    found = looked(loaded(here, MILTER, top='policy = "house.toml"\n'))
    assert (worst(found, "policy").state, checkup.exit_code(found)) == (State.BROKEN, 2)


# --- mail would be refused or wait -----------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [0o600, 0o644])
def test_a_users_file_that_cannot_be_used_is_a_problem(here, mode):
    if mode == 0o644:
        (here / "users.json").write_text('{"version": 1, "users": []}')
        (here / "users.json").chmod(mode)
    line = worst(looked(loaded(here, MILTER, 'users = "users.json"')), "users")
    assert line.state is State.PROBLEM
    assert "every login will be told to come again" in line.text


def test_a_stream_of_users_that_the_configuration_does_not_have_is_a_problem(here):
    known = "$argon2id$v=19$m=8,t=1,p=1$YWFhYWFhYWE$YWFhYWFhYWE"
    with file.changing(here / "users.json") as users:
        for name, streams in (("ok", ("news",)), ("old", ("news", "newz")), ("older", ("newz",)), ("none", ())):
            users[name] = User(name=name, password=known, streams=streams)
    found = looked(loaded(here, MILTER + '[streams.news]\nclass = "bulk"\n', 'users = "users.json"'))
    (line,) = [one.text for one in found if one.what == "users" and one.state is State.PROBLEM]
    assert line.endswith("users.json: old, older may use the stream 'newz', which is not configured; did you mean news?")
    assert checkup.exit_code(found) == 1


@pytest.mark.parametrize(
    ("selector", "state", "says"),
    [
        ("s1", State.OK, "rsa-sha256, 2048 bits, as published"),
        ("missing", State.PROBLEM, "is not published; publish v=DKIM1; k=rsa; p="),
        ("other", State.PROBLEM, "another key is published"),
        ("revoked", State.PROBLEM, "is revoked (empty p=)"),
        ("broken", State.PROBLEM, "what is published is no key"),
        ("two", State.PROBLEM, "2 keys are published"),
        ("testing", State.WARNING, "t=y"),
        ("lost", State.PROBLEM, "DNS did not answer"),
    ],
)
def test_a_signing_key_is_held_against_what_dns_has(here, selector, state, says):
    found = looked(loaded(here, MILTER + sign(selector)))
    line = worst(found, f"DKIM key {selector}._domainkey.example.com")
    assert (line.state, says in line.text) == (state, True), line
    assert checkup.exit_code(found) == (1 if state is State.PROBLEM else 0)


def test_an_ed25519_key_is_held_against_dns_as_well(here):
    (here / "key.pem").write_bytes(keys.pem("ed25519"))
    records = {**DNS, "s1._domainkey.example.com TXT": keys.record("ed25519")}
    line = worst(looked(loaded(here, MILTER + sign("s1")), records), "DKIM key s1._domainkey.example.com")
    assert (line.state, line.text) == (State.OK, "ed25519-sha256, 256 bits, as published")


@pytest.mark.parametrize(
    ("domain", "state", "says"),
    [
        ("example.com", State.OK, "192.0.2.25: pass (ip4:192.0.2.25)"),
        ("example.net", State.PROBLEM, "192.0.2.25: fail (-all)"),
        ("example.org", State.PROBLEM, "192.0.2.25: none"),
    ],
)
def test_egress_addresses_are_held_against_the_spf_of_owned_domains(here, domain, state, says):
    line = worst(looked(loaded(here, MILTER, top=f'owned-domains = ["{domain}"]')), f"SPF of {domain}")
    assert (line.state, says in line.text) == (state, True), line


def test_dns_that_does_not_answer_for_spf_is_told_as_that(here):
    line = worst(looked(loaded(here, MILTER), {"example.com TXT": "TIMEOUT"}), "SPF of example.com")
    assert line.state is State.PROBLEM
    assert "fail" not in line.text


def test_spf_of_providers_addresses_is_not_ours(here):
    found, _ = with_hop(here, lambda there: loaded(here, smtp(free_port(loopback())) + hop(there, 'profile = "amazon-ses"')))
    assert not [one for one in found if one.what.startswith("SPF")]
    assert worst(found, "egress").state is State.OK


def test_without_owned_domains_there_is_no_spf_to_look_at(here):
    assert worst(looked(loaded(here, MILTER, top="")), "egress").state is State.WARNING


# --- next hops -------------------------------------------------------------------------------------------------------


def _hop(here, more="", **options):
    port = free_port(loopback())
    found, there = with_hop(here, lambda there: loaded(here, smtp(port) + hop(there, more)), **options)
    return worst(found, "next hop hop"), there


def test_a_next_hop_that_nobody_listens_at_is_a_problem(here):
    class Nobody:
        host, port = loopback(), free_port(loopback())

    line = worst(looked(loaded(here, smtp(free_port(loopback())) + hop(Nobody))), "next hop hop")
    assert line.state is State.PROBLEM
    assert line.text.startswith(f"{Nobody.host}:{Nobody.port}: ")


@pytest.mark.parametrize(
    ("says", "told"),
    [({"BANNER": "554 5.7.1 go away"}, "554"), ({"EHLO": "550 no", "HELO": "550 no"}, "550"), ({"BANNER": "rubbish"}, "")],
    ids=["banner", "greeting", "rubbish"],
)
def test_a_next_hop_that_does_not_want_us_is_a_problem(here, says, told):
    line, _ = _hop(here, says=says)
    assert (line.state, told in line.text) == (State.PROBLEM, True), line


def test_a_next_hop_that_says_nothing_is_given_up(here, monkeypatch):
    monkeypatch.setattr("delivcheck.gate.serve.checkup.beyond.PATIENCE", 0.2)
    line, _ = _hop(here, says={"BANNER": SILENCE})
    assert (line.state, line.text.endswith(": nothing within 0.2 s")) == (State.PROBLEM, True), line


@pytest.mark.parametrize(
    ("extensions", "says"),
    [
        ([one for one in ALL if one != "8BITMIME"], "offers no 8BITMIME"),
        (["8BITMIME", "SIZE 1000"], "takes 1000 octets at most"),
    ],
    ids=["8BITMIME", "SIZE"],
)
def test_what_a_next_hop_lacks_is_a_warning(here, extensions, says):
    line, _ = _hop(here, extensions=extensions)
    assert (line.state, says in line.text) == (State.WARNING, True), line


def _context(folder):
    certified(folder, [loopback()])
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(folder / "chain.pem", folder / "tls.pem")
    return made


@pytest.mark.attack(25)
def test_a_next_hop_whose_certificate_is_wrong_gets_no_password(here):
    """Attack 25."""
    more = 'security = "required"\nuser = "shop"\npassword-file = "password"'
    (here / "password").write_text("hunter2")
    line, there = _hop(here, more, extensions=[*ALL, "STARTTLS"], tls=_context(here), users={"shop": "hunter2"})
    assert line.state is State.PROBLEM
    assert "certificate" in line.text.lower()
    assert [session.user for session in there.sessions] == [None]


@pytest.mark.attack(25)
def test_a_next_hop_that_offers_no_tls_where_it_is_required_is_a_problem(here):
    """Attack 25: stripped."""
    line, _ = _hop(here, 'security = "required"')
    assert (line.state, "TLS is required and not offered" in line.text) == (State.PROBLEM, True), line


@pytest.mark.parametrize(("password", "state"), [("hunter2", State.OK), ("wrong", State.PROBLEM)])
def test_the_login_at_a_next_hop_is_tried(here, password, state):
    (here / "password").write_text(password)
    line, _ = _hop(
        here, 'user = "shop"\npassword-file = "password"', extensions=[*ALL, "AUTH PLAIN LOGIN"], users={"shop": "hunter2"}
    )
    assert line.state is state, line
    assert "hunter2" not in line.text


def test_a_ca_file_that_is_not_there_keeps_the_gate_from_starting(here):
    line, _ = _hop(here, 'ca-file = "missing.pem"')
    assert (line.state, line.text) == (State.BROKEN, f"{here}/missing.pem: No such file or directory")


# --- small things ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "name", "covers"),
    [
        ("gate.example.com", "gate.example.com", True),
        ("*.example.com", "gate.example.com", True),
        ("*.example.com", "a.gate.example.com", False),
        ("*.example.com", "example.com", False),
    ],
)
def test_a_star_in_a_certificate_is_one_label(pattern, name, covers):
    """RFC 9525 section 6.3."""
    assert _covers(pattern, name) is covers


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_state_folder_that_we_may_not_write_to_keeps_the_gate_from_starting(here):
    (here / "state").chmod(0o500)
    found, _ = with_hop(here, lambda there: loaded(here, smtp(free_port(loopback())) + hop(there)))
    assert worst(found, "state").state is State.BROKEN


# --- the command -----------------------------------------------------------------------------------------------------


def _started(folder):
    """`delivcheck gate` in a process of its own, which must end: exit code, standard output and error."""
    command = [sys.executable, "-m", "delivcheck", "gate", "--config", str(folder / "delivcheck.toml")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout, done.stderr


FAULTS = {  # what is wrong: (how it comes about, the configuration, what the line says)
    "no listener": (None, "", "delivcheck.toml:2: gate: a gate without listeners"),
    "a key that does not exist": (None, MILTER + "grup = 'postfix'\n", "gate.listen.grup: no such key; did you mean group?"),
    "a policy that does not exist": (None, "policy", "no policy 'bulkk'"),
    "a missing signing key": (
        None,
        MILTER + sign("s1", "missing.pem"),
        "missing.pem cannot be read: No such file or directory",
    ),
    "an unreadable certificate": (unreadable_chain, "tls", "chain.pem: No such file or directory"),
    "another's key for the certificate": (foreign_key, "tls", "the certificate and the key do not belong together: "),
    "an occupied port": (None, "occupied", "address already in use"),
    "a socket's folder that is not there": (None, MILTER.replace("milter.sock", "no/milter.sock"), "no such f"),
    "no folder for the state": (lambda folder: (folder / "state").rmdir(), "tls", "no such folder"),
}
STARTED = ("a key that does not exist", "a missing signing key", "an unreadable certificate", "an occupied port")


@contextlib.contextmanager
def faulty(folder, fault):
    """A configuration with one fault, and what is told of it."""
    breaking, text, says = FAULTS[fault]
    certified(folder)
    if breaking is not None:
        breaking(folder)
    nowhere = NextHop()
    nowhere.host, nowhere.port = loopback(), free_port(loopback())
    with socket.create_server((loopback(), 0)) as taken:
        text = {
            "tls": MILTER + tls(free_port(loopback())) + hop(nowhere),
            "occupied": MILTER + smtp(taken.getsockname()[1]) + hop(nowhere),
            "policy": MILTER,
        }.get(text, text)
        top = 'policy = "bulkk"' if "bulkk" in says else 'nameservers = ["127.0.0.1"]'
        (folder / "delivcheck.toml").write_text(f'{top}\n[gate]\nname = "gate.example.com"\nstate = "state"\n{text}')
        yield says


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found_by_the_check_in_one_line_and_nothing_is_left(here, fault, capsys, monkeypatch):
    monkeypatch.setattr("delivcheck.gate.serve.checkup.beyond.PATIENCE", 0.2)
    with faulty(here, fault) as says:
        code = main(["gate", "--check", "--config", str(here / "delivcheck.toml")])
    seen = capsys.readouterr()
    told = [line for line in (seen.out + seen.err).splitlines() if says in line]
    assert (code, len(told)) == (2, 1), seen
    assert not (here / "milter.sock").exists()


@pytest.mark.parametrize("fault", STARTED)
def test_a_gate_that_cannot_start_ends_with_one_line_and_leaves_nothing(here, fault):
    with faulty(here, fault) as says:
        code, out, err = _started(here)
    told = [line for line in err.splitlines() if line.startswith("delivcheck:")]
    assert (code, out, len(told)) == (2, "", 1), err
    assert says in told[0]
    assert not (here / "milter.sock").exists()
