"""Several gates over one PostgreSQL behind HAProxy: what is shared and what is each one's own, and how one of them goes."""

import http.client
import json
import re
import ssl
import threading
import time
import tomllib

import pytest
import yaml

from delivcheck import config
from delivcheck.gate import reading
from tests.conftest import require
from tests.gate.deploy.several import CLIENT, HAPROXY, PORTS, host_of, settle, site
from tests.gate.deploy.site import DEPLOY, GUIDE, ROOT, message
from tests.gate.serve.running import http as asked
from tests.gate.serve.test_gate import next_hop
from tests.soak.queueing import Mail, Queue, Refused, Session

COMPOSE = yaml.safe_load((DEPLOY / "compose" / "compose.yaml").read_text())
DOCKERFILE = (DEPLOY / "compose" / "Dockerfile").read_text()
HOLD = """
extends = "transactional"
on-fail = "hold"
"""


@pytest.fixture(scope="module")
def two(tmp_path_factory, postgres):
    """The site with a next hop, and an API key of every scope."""
    require("haproxy")
    folder = tmp_path_factory.mktemp("two")
    name = postgres.create()
    with next_hop() as hop, site(folder, postgres.url(name), (hop.host, hop.port), policy=HOLD) as running:
        made = running.delivcheck("gate-a", "key", "api", "add", "shop", "--scope", "admin")
        assert made.returncode == 0, made.stderr
        running.hop, running.key = hop, re.search(r"dc_\S+", made.stdout)[0]
        yield running
    postgres.drop(name)


def mail(name, text="Your order has been sent.", to="pat@example.net"):
    return Mail(name, message(text, name=name), "bounces@example.com", (to,))


def trace_of(reply):
    return re.search(r"[0-9A-Z]{26}", reply)[0]


def sent(two, one, gate=None):
    """Send by SMTP, over the balancer, or as it would send to one of the gates; the reply."""
    if gate is None:
        with Session(two.smtp, source=(CLIENT, 0)) as session:
            return session.send(one)
    with Direct(two, gate) as session:
        return session.send(one)


class Direct(Session):
    """A client that says itself what HAProxy says for others."""

    def __init__(self, two, gate):
        super().__init__((host_of(gate), two.port["25"]), greeting="EHLO client.example.org")

    def want(self, first):
        if not hasattr(self, "offers") and not hasattr(self, "told"):
            self.told = True
            self.socket.sendall(f"PROXY TCP4 {CLIENT} 127.0.0.1 1025 25\r\n".encode())
        return super().want(first)


def web(two, method, path, body=None, gate=None, **fields):
    """The Web Service over the balancer, or at one of the gates: status, header fields, JSON."""
    if gate is None:
        context = ssl.create_default_context(cafile=str(two.pem))
        context.check_hostname = False
        connection = http.client.HTTPSConnection(two.host, two.front["443"], context=context, timeout=30)
    else:
        connection = http.client.HTTPConnection(host_of(gate), two.port["8025"], timeout=30, source_address=("127.0.0.1", 0))
    fields = {"Authorization": f"Bearer {two.key}", **{name.replace("_", "-"): value for name, value in fields.items()}}
    if body is not None:
        fields["Content-Type"] = "application/json"
    connection.request(method, path, None if body is None else json.dumps(body), fields)
    answer = connection.getresponse()
    octets = answer.read()
    connection.close()
    return answer.status, dict(answer.getheaders()), json.loads(octets) if octets else None


ORDER = {
    "from": "Shop <orders@example.com>",
    "to": "Pat <pat@example.net>",
    "subject": "Your order",
    "text": "It has been sent.",
}


# --- what passes ----------------------------------------------------------------------------------------------------------


def test_mail_and_requests_reach_both_gates_with_the_address_of_the_client(two):
    traces = {trace_of(sent(two, mail(f"each-{number}"))) for number in range(6)}
    assert len(traces) == 6
    for one in two.gates.values():
        assert {told["client"] for told in one.events.wait_for("message", listener="smtp")} == {CLIENT}
    settle(lambda: all(web(two, "GET", f"/v1/messages/{trace}")[0] == 200 for trace in traces), "all in one trace")


def test_who_is_not_trusted_is_not_for_coming_by_the_balancer(two):
    with Session(two.smtp, source=("127.0.9.9", 0)) as session, pytest.raises(Refused, match=r"^5"):
        session.begin(mail("x"))


# --- what is shared, and what is not --------------------------------------------------------------------------------------


def test_what_is_suppressed_at_one_is_refused_at_the_other_within_seconds(two):
    assert web(two, "POST", "/v1/suppressions", {"addresses": ["eve@example.net"]}, gate="gate-a")[0] == 200

    def refused(gate):
        try:
            sent(two, mail(f"eve-{gate}-{time.monotonic()}", to="eve@example.net"), gate)
        except Refused as no:
            return no.code == 550
        return False

    settle(lambda: refused("gate-a") and refused("gate-b"), "refused by both")
    assert web(two, "DELETE", "/v1/suppressions?address=eve@example.net", gate="gate-b")[0] in {200, 204}
    settle(lambda: not refused("gate-a"), "sent again")


def test_a_request_of_one_is_answered_by_the_other_under_its_idempotency_key(two):
    before = len(two.hop.messages)
    code, _, first = web(two, "POST", "/v1/messages", ORDER, gate="gate-a", Idempotency_Key="order-4711")
    assert code == 200, first
    again, fields, second = web(two, "POST", "/v1/messages", ORDER, gate="gate-b", Idempotency_Key="order-4711")
    assert (again, second) == (200, first)
    assert {name.lower(): value for name, value in fields.items()}["idempotency-replayed"] == "true"
    assert len(two.hop.messages) == before + 1
    other = web(two, "POST", "/v1/messages", {**ORDER, "subject": "Another"}, gate="gate-b", Idempotency_Key="order-4711")
    assert other[0] == 409


def test_held_mail_is_on_the_disk_of_one_and_the_trace_says_of_which(two):
    reply = sent(two, mail("held", "http://localhost/x"), "gate-a")
    assert "held" in reply
    trace = trace_of(reply)
    assert web(two, "GET", f"/v1/held/{trace}", gate="gate-a")[0] == 200
    settle(lambda: web(two, "GET", f"/v1/messages/{trace}", gate="gate-b")[0] == 200, "in the trace")
    assert web(two, "GET", f"/v1/messages/{trace}", gate="gate-b")[2]["gate"] == "gate-a.example.com"
    code, _, body = web(two, "POST", f"/v1/held/{trace}/release", gate="gate-b")
    assert (code, body["detail"]) == (404, "gate-a.example.com holds it: ask there")
    there = two.delivcheck("gate-b", "held", "release", trace)
    assert there.returncode == 3
    assert two.delivcheck("gate-a", "held", "show", trace).returncode == 0
    assert web(two, "DELETE", f"/v1/held/{trace}", gate="gate-a")[0] == 204
    settle(lambda: not web(two, "GET", f"/v1/held/{trace}", gate="gate-b")[2].get("detail"), "nobody holds it")


def test_a_key_that_is_revoked_at_one_opens_nothing_at_the_other(two):
    made = two.delivcheck("gate-a", "key", "api", "add", "brief", "--scope", "read").stdout
    brief = re.search(r"dc_\S+", made)[0]
    assert web(two, "GET", "/v1/stats", gate="gate-b", Authorization=f"Bearer {brief}")[0] == 200
    assert two.delivcheck("gate-a", "key", "api", "revoke", "brief").returncode == 0
    settle(lambda: web(two, "GET", "/v1/stats", gate="gate-b", Authorization=f"Bearer {brief}")[0] == 401, "revoked")


# --- one of them goes -----------------------------------------------------------------------------------------------------


class Load:
    """Clients that send and hang up, one mail a connection: every other end than 250 is an error."""

    def __init__(self, two, clients=3):
        self._two, self._over = two, threading.Event()
        self.sent, self.errors = 0, []
        self._threads = [threading.Thread(target=self._work, args=(number,)) for number in range(clients)]

    def _work(self, number):
        count = 0
        while not self._over.is_set():
            count += 1
            try:
                with Session(self._two.smtp, source=(CLIENT, 0)) as session:
                    session.send(mail(f"load-{number}-{count}"))
                    session.say("QUIT")
                self.sent += 1
            except (OSError, EOFError, Refused) as error:
                self.errors.append(repr(error))

    def __enter__(self):
        for one in self._threads:
            one.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        for one in self._threads:
            one.join()


def test_a_gate_that_is_stopped_and_started_again_costs_no_client_anything(two):
    gone = two.gates["gate-b"]
    with Load(two) as load:
        assert gone.stop() == 0
        before = load.sent
        settle(lambda: load.sent > before + 5, "mail without it")
        assert load.errors == []
        gone.start().wait()
        seen = len(gone.events.events("message"))
        settle(lambda: len(gone.events.events("message")) > seen, "mail by it again")
    assert load.errors == []


def test_where_a_gate_is_dead_its_mail_goes_to_the_other(two):
    gone = two.gates["gate-b"]
    gone.kill(again=False)
    client = Queue(two.smtp, sessions=2, per_session=1, source=(CLIENT, 0))
    client.run([mail(f"dead-{number}") for number in range(10)], 30)
    assert len(client.acknowledged) == 10
    gone.start().wait()
    settle(lambda: asked(_admin(two), b"GET /ready HTTP/1.1\r\n\r\n")[0] == 200, "ready")


def _admin(two):
    return host_of("gate-b"), two.port["9125"]


# --- the files ------------------------------------------------------------------------------------------------------------


def test_the_two_gates_differ_in_their_name_alone():
    a, b = (
        re.sub(r"(?m)#.*$", "", (HAPROXY / f"gate-{one}.toml").read_text()).replace(f"gate-{one}.example.com", "")
        for one in "ab"
    )
    assert a == b
    for one in "ab":
        found = config.load(HAPROXY / f"gate-{one}.toml")
        assert reading.warnings(found, reading.read(found)) == ()


def test_a_gate_goes_later_than_the_balancer_has_noticed():
    said = (HAPROXY / "haproxy.cfg").read_text()
    gate = reading.read(config.load(HAPROXY / "gate-a.toml"))
    inter, fall, check = (int(re.search(rf"{key} (\d+)", said)[1]) for key in ("inter", "fall", "timeout check"))
    assert gate.notice >= inter * fall
    assert check < gate.notice
    assert set(re.findall(r"gate-a:(\d+)", said)) | {re.search(r"check port (\d+)", said)[1]} == set(PORTS)


def test_compose_gives_the_gates_what_they_read():
    gate = reading.read(config.load(HAPROXY / "gate-a.toml"))
    services, secrets = COMPOSE["services"], COMPOSE["secrets"]
    for name in ("gate-a", "gate-b"):
        one = services[name]
        assert (one["read_only"], one["cap_drop"], one["user"]) == (True, ["ALL"], "10025:10025")
        assert int(one["stop_grace_period"].rstrip("s")) > gate.farewell + gate.drain + 10
        given = {f"/run/secrets/{each}" if isinstance(each, str) else each["target"] for each in one["secrets"]}
        read = {gate.trace.password.file, gate.keys[0].secret.file, gate.listeners[1].certificate.key}
        assert {str(path) for path in read | {gate.listeners[1].certificate.chain}} <= given
        assert str(gate.state / "tokens.key") in given
        mounts = dict(reversed(each.split(":")[:2]) for each in one["volumes"])
        assert mounts["/etc/delivcheck/delivcheck.toml"] == f"../haproxy/{name}.toml"
        assert str(gate.users.parent) in mounts
        assert mounts[str(gate.state)] in COMPOSE["volumes"]
        assert f":{gate.admin.port}/health" in one["healthcheck"]["test"][-1]
    assert {path["file"] for path in secrets.values()} == {f"secrets/{name}" for name in secrets}
    assert services["haproxy"]["volumes"][0].startswith("../haproxy/haproxy.cfg:")
    published = {each.partition(":")[2] for each in services["haproxy"]["ports"]}
    assert published == set(re.findall(r"bind :(\d+)", (HAPROXY / "haproxy.cfg").read_text()))
    subnet = COMPOSE["networks"]["default"]["ipam"]["config"][0]["subnet"]
    assert {str(gate.http.trusted_proxies[0]), str(gate.listeners[0].proxy[0])} == {subnet}
    database = services["postgres"]["environment"]
    assert gate.trace.url == f"postgresql://{database['POSTGRES_USER']}@postgres/{database['POSTGRES_DB']}"


def test_the_image_has_what_is_copied_and_runs_what_there_is():
    for line in re.findall(r"^COPY (.+)$", DOCKERFILE, re.MULTILINE):
        for source in line.split()[:-1]:
            assert (ROOT / source).exists(), source
    extras = re.search(r'"/src\[(.+?)\]"', DOCKERFILE)[1].split(",")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert set(extras) <= set(project["project"]["optional-dependencies"])
    assert "delivcheck" in project["project"]["scripts"]
    assert json.loads(re.search(r"^CMD (.+)$", DOCKERFILE, re.MULTILINE)[1])[0] == "gate"
    gate = reading.read(config.load(HAPROXY / "gate-a.toml"))
    ports = {str(one.address.port) for one in gate.listeners} | {str(gate.admin.port)}
    assert set(re.search(r"^EXPOSE (.+)$", DOCKERFILE, re.MULTILINE)[1].split()) == ports
    assert f"VOLUME {gate.state}\n" in DOCKERFILE
    assert "USER 10025:10025\n" in DOCKERFILE


def test_the_guide_says_whose_everything_is():
    assert "## 6. Several gates" in GUIDE.read_text()
