"""DNS that is away while a worker begins: old answers are handed on, /ready tells the truth, the log says it once."""

import json
import os
import signal
import smtplib
import time
from contextlib import contextmanager, suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivcheck.gate.ports import unwatched
from delivcheck.gate.serve import memory
from delivcheck.gate.serve.memory import FILE
from delivcheck.model import Found, NoSuchName, Question
from delivcheck.net import remembered
from delivcheck.net.client import Closed
from delivcheck.net.lasting import Aged, Lasting
from tests import servers
from tests.gate import world
from tests.gate.serve.name_server import name_server
from tests.gate.serve.running import gate
from tests.gate.serve.test_gate import next_hop

HOUR, DAY = 3600, 86_400


def configuration(folder, nameserver, hop_port, *, workers=1):
    host = servers.loopback()
    (folder / "state").mkdir(exist_ok=True)
    path = folder / "delivcheck.toml"
    path.write_text(f"""
policy = "transactional"
owned-domains = ["{world.DOMAIN}"]
nameservers = ["{nameserver}"]
[gate]
name = "gate.example.org"
state = "{folder / "state"}"
workers = {workers}
egress = ["{world.IP}"]
egress-ehlo = "gate.example.org"
log-format = "json"
log-level = "debug"
admin = "{host}:0"
[[gate.listen]]
name = "smtp"
kind = "smtp"
address = "{host}:0"
trusted = ["127.0.0.0/8"]
[[gate.next-hop]]
name = "out"
address = "{host}:{hop_port}"
security = "none"
""")
    return path


@contextmanager
def place(folder, *, dns=True):
    """A gate, its name server, and a way to send it signed mail: what it answers to the last dot."""
    octets, records = world.signed()
    with name_server(records) as names, next_hop() as hop:
        if not dns:
            names.stop()
        path = configuration(folder, names.address, hop.port)
        with gate(folder, arguments=["gate", "--config", str(path)], workers=1) as running:
            yield running, names, lambda: answer(running.address("smtp"), octets)


def answer(address, octets):
    with smtplib.SMTP(*address, timeout=30) as client:
        client.ehlo("client.example.org")
        client.mail("bounces@example.org")
        client.rcpt("pat@example.net")
        return client.data(octets)


def kept(folder):
    try:
        return json.loads((folder / "state" / FILE).read_bytes()).get("ends", {})
    except (OSError, ValueError, RecursionError):
        return {}


def aged(folder, seconds):
    """Let all answers that are kept have been had so much earlier."""
    path = folder / "state" / FILE
    found = json.loads(path.read_bytes())
    found["ends"] = {question: end - seconds for question, end in found["ends"].items()}
    path.write_text(json.dumps(found))


def known(running, folder):
    """Wait until what mail of ours is judged by is in the file."""
    wanted = {"example.org TXT", "_dmarc.example.org TXT", "s1._domainkey.example.org TXT", "example.org MX"}
    running.wait(lambda: wanted <= kept(folder).keys(), "the answers in the file")


def reloaded(running):
    running.signal(signal.SIGHUP)
    running.wait_for("worker", 2, what="start")
    running.wait_for("worker", what="stop")  # the old one takes no connection any more


def killed(running):
    for worker in running.workers():
        os.kill(worker, signal.SIGKILL)
    running.wait_for("worker", 2, what="start")


@pytest.mark.parametrize("renewed", [reloaded, killed])
def test_a_new_worker_judges_by_its_predecessors_answers(tmp_path, renewed):
    with place(tmp_path) as (running, names, send):
        assert send()[0] == 250
        known(running, tmp_path)
        names.stop()
        aged(tmp_path, HOUR)
        renewed(running)
        code, text = send()
        assert code == 250, text
        assert running.get("/ready") == (200, "ready\n")
        told = running.wait_for("dns", what="stale", level="warning")
        assert told[0]["names"] == ["example.org"]
        names.start()
        running.wait_for("dns", what="back")  # though no mail comes
        assert len(running.events("dns", what="stale")) == 1


def test_a_gate_that_is_started_again_without_dns_has_its_answers_and_their_ages(tmp_path):
    with place(tmp_path) as (running, _, send):
        assert send()[0] == 250
        known(running, tmp_path)
    ends = kept(tmp_path)
    with place(tmp_path, dns=False):
        pass
    assert all(kept(tmp_path)[question] <= end + 1 for question, end in ends.items())


def test_an_answer_older_than_the_limit_is_handed_to_nobody_and_ready_says_what_is_missing(tmp_path):
    with place(tmp_path) as (running, names, send):
        assert send()[0] == 250
        known(running, tmp_path)
        names.stop()
        aged(tmp_path, DAY + 400)
        reloaded(running)
        code, text = send()
        assert code == 451
        assert text.startswith(b"4.4.3 DNS of example.org")
        assert b" does not answer (" in text
        assert running.wait(lambda: running.get("/ready")[0] == 503)
        assert running.get("/ready")[1] == "DNS of example.org does not answer\n"
        running.wait_for("dns", what="lost", level="warning")
        names.start()
        running.wait(lambda: running.get("/ready")[0] == 200)


ANSWERS = [
    Aged(Question("example.org", "TXT"), Found(((b"v=spf1 -all",),), 300), 12.5),
    Aged(Question("example.org", "MX"), Found(((10, "mx.example.org"),), 60, authentic=True, aliases=("a.example",)), -600.0),
    Aged(Question("_bimi.example.org", "TXT"), NoSuchName(60), 3.0),
]


def test_what_is_saved_is_loaded_in_its_order_and_several_workers_add_to_it(tmp_path):
    assert memory.save(tmp_path, ANSWERS)
    other = Aged(Question("example.net", "A"), Found(("192.0.2.1",), 60), 50.0)
    assert memory.save(tmp_path, [other])
    found = memory.load(tmp_path)
    assert [(one.question, one.answer) for one in found] == [(one.question, one.answer) for one in [other, *ANSWERS]]
    assert all(abs(one.left - was.left) < 5 for one, was in zip(found, [other, *ANSWERS], strict=True))


@pytest.mark.parametrize("damage", [b"", b"{", b"\xff" * 1000, b"[" * 100_000, b'{"format": "x"}'], ids=len)
def test_a_damaged_file_is_no_file_and_is_replaced(tmp_path, damage):
    (tmp_path / FILE).write_bytes(damage)
    (tmp_path / FILE).chmod(0o600)
    assert memory.load(tmp_path) == []
    assert memory.save(tmp_path, ANSWERS)
    assert len(memory.load(tmp_path)) == len(ANSWERS)


def test_a_file_that_others_could_have_written_is_no_file(tmp_path):
    assert memory.save(tmp_path, ANSWERS)
    path = tmp_path / FILE
    path.chmod(0o620)
    assert memory.load(tmp_path) == []
    path.chmod(0o600)
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    assert memory.load(tmp_path) == []
    path.unlink()
    os.mkfifo(path)
    assert memory.load(tmp_path) == []


def test_what_a_killed_worker_left_half_written_is_taken_away_and_what_is_being_written_is_not(tmp_path):
    old, new = tmp_path / f".{FILE}.0123", tmp_path / f".{FILE}.4567"
    for path in (old, new):
        path.write_bytes(b"{")
    os.utime(old, (1, 1))
    memory.Memory(Lasting(Closed()), tmp_path, unwatched)
    assert (old.exists(), new.exists()) == (False, True)


async def test_a_disk_that_takes_nothing_is_told_once_and_again_after_it_was_well(tmp_path):
    told = []
    dns = Lasting(Closed())
    made = memory.Memory(dns, tmp_path / "state", lambda event, **fields: told.append((event, fields["where"])))
    for _ in range(2):
        dns.news += 1
        await made.save()
    assert told == [("fault", "dns-answers")]
    (tmp_path / "state").mkdir()
    await made.save()
    assert (tmp_path / "state" / FILE).exists()


BEGIN = b'{"format":"delivcheck-answers/1","ends":'


@given(st.binary(max_size=300) | st.text(max_size=50).map(lambda text: BEGIN + text.encode()))
def test_any_octets_are_answers_or_the_declared_error(octets):
    with suppress(remembered.NotRememberedError):
        remembered.parse(octets, 1e9)


def test_a_file_stays_small_however_much_is_known(tmp_path):
    many = [Aged(Question(f"n{n}.example", "TXT"), Found(((b"x" * 255,) * 250,)), 1.0) for n in range(remembered.MOST + 1)]
    assert memory.save(tmp_path, many)
    assert (tmp_path / FILE).stat().st_size <= remembered.MAX_OCTETS
    assert memory.load(tmp_path)[0].question == many[0].question


def test_without_dns_from_the_beginning_ready_says_so_before_any_mail_comes(tmp_path):
    begun = time.time()
    with place(tmp_path, dns=False) as (running, *_):
        running.wait(lambda: running.get("/ready") == (503, "DNS of example.org does not answer\n"))
    assert time.time() - begun < 60
