import grp
import os
import resource
import signal
import socket
import stat
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from delivcheck.gate.serve.admin import MAX_CONNECTIONS
from tests import servers
from tests.gate.serve.running import Client, gate, http

pytestmark = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc, to see who is whose child")


def free_address() -> str:
    host = servers.loopback()
    return f"{host}:{servers.free_port(host)}"


# --- start ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loop", ["asyncio", "the best"])
def test_all_workers_serve_and_a_stop_leaves_nothing(tmp_path, loop):
    path = tmp_path / "gate.sock"
    with gate(tmp_path, listeners={"a": f"{servers.loopback()}:0", "u": f"unix:{path}"}, loop=loop) as running:
        with ExitStack() as stack:
            pids = {stack.enter_context(running.client()).say("PID") for _ in range(20)}
        assert {int(pid) for pid in pids} <= running.workers()
        assert len(running.workers()) == 2
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(path))
            with Client(connection) as client:
                assert int(client.say("PID")) in running.workers()
        address = running.address("a")
        running.signal(signal.SIGTERM)
        assert running.ended() == 0
        assert not path.exists()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(address)


def test_an_occupied_port_is_exit_2_with_one_line_and_nothing_left(tmp_path):
    path, address = tmp_path / "gate.sock", free_address()
    host, _, port = address.partition(":")
    taken = socket.create_server((host, int(port)))
    with taken, gate(tmp_path, ready=False, listeners={"u": f"unix:{path}", "mail": address}) as running:
        assert running.ended() == 2
    assert running.stderr.read_text() == f"delivcheck: listener mail: {address}: address already in use\n"
    assert not path.exists()


@pytest.mark.parametrize(
    ("fault", "line"),
    [
        ({"build": "error"}, "delivcheck: key /nowhere/key.pem: no such file"),
        ({"build": "bug"}, "delivcheck: a fault of delivcheck itself: KeyError: 'a bug of ours'"),
        ({"build": "die"}, "delivcheck: a worker cannot be built: exit code 7"),
        ({"load": "bug"}, "delivcheck: a fault of delivcheck itself: KeyError: 'a bug of ours'"),
        ({"group": "no-such-group"}, "delivcheck: listener u: there is no group 'no-such-group' on this machine"),
        ({"listeners": {"admin": "127.0.0.1:0"}, "admin": "127.0.0.1:0"}, "delivcheck: listener admin: the name belongs to"),
    ],
)
def test_what_cannot_be_built_is_exit_2_and_nothing_is_left(tmp_path, fault, line):
    path = tmp_path / "gate.sock"
    with gate(tmp_path, ready=False, **{"listeners": {"u": f"unix:{path}"}, **fault}) as running:
        assert running.ended() == (70 if "fault of delivcheck itself" in line else 2)
    assert running.stderr.read_text().splitlines()[-1].startswith(line)
    assert not path.exists()


def test_a_configuration_that_is_none_is_exit_2(tmp_path):
    (tmp_path / "broken").mkdir()
    broken = tmp_path / "broken.json"
    broken.write_text("{")
    from tests.gate.serve.running import command

    with gate(tmp_path, ready=False, program=command(broken)) as running:
        assert running.ended() == 2
    assert running.stderr.read_text().startswith(f"delivcheck: {broken}: ")


@pytest.mark.parametrize("slow", [{"load": "hang"}, {"build": "hang"}])
def test_a_stop_while_starting_is_a_stop(tmp_path, slow):
    path = tmp_path / "gate.sock"
    with gate(tmp_path, ready=False, listeners={"u": f"unix:{path}"}, **slow) as running:
        running.wait(lambda: running.workers() and ("load" in slow or path.exists()))
        running.signal(signal.SIGTERM)
        assert running.ended() == 0
    assert not path.exists()


@pytest.mark.parametrize(
    ("slow", "line"),
    [
        ({"load": "hang", "load_limit": 0.5}, "the configuration could not be read within 0.5 seconds"),
        ({"build": "hang", "start_limit": 0.5}, "not built within 0.5 seconds"),
    ],
)
def test_a_start_that_takes_too_long_is_exit_2(tmp_path, slow, line):
    with gate(tmp_path, ready=False, **slow) as running:
        assert running.ended() == 2
    assert running.stderr.read_text().splitlines()[-1] == f"delivcheck: {line}"


# --- UNIX sockets ----------------------------------------------------------------------------------------------------


def test_a_stale_socket_file_is_replaced_and_an_occupied_one_is_an_error(tmp_path):
    path = tmp_path / "gate.sock"
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))
    with gate(tmp_path, listeners={"u": f"unix:{path}"}):
        before = path.stat().st_ino
        (tmp_path / "second").mkdir()
        with gate(tmp_path / "second", ready=False, listeners={"u": f"unix:{path}"}) as second:
            assert second.ended() == 2
        assert "address already in use" in second.stderr.read_text()
        assert path.stat().st_ino == before


def test_a_file_that_is_no_socket_is_left_alone(tmp_path):
    path = tmp_path / "gate.sock"
    path.write_text("precious")
    with gate(tmp_path, ready=False, listeners={"u": f"unix:{path}"}) as running:
        assert running.ended() == 2
    assert path.read_text() == "precious"


def test_a_socket_that_somebody_else_put_in_our_place_stays(tmp_path):
    path = tmp_path / "gate.sock"
    with gate(tmp_path, listeners={"u": f"unix:{path}"}) as running:
        path.unlink()
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(str(path))
            running.signal(signal.SIGTERM)
            assert running.ended() == 0
            assert path.exists()


def test_a_unix_socket_has_the_group_and_mode_that_were_configured(tmp_path):
    path, group = tmp_path / "gate.sock", grp.getgrgid(os.getgid()).gr_name
    with gate(tmp_path, listeners={"u": f"unix:{path}"}, group=group, socket_mode=0o620):
        found = path.stat()
    assert stat.S_IMODE(found.st_mode) == 0o620
    assert found.st_gid == os.getgid()


# --- workers that die or hang ----------------------------------------------------------------------------------------


def test_a_killed_worker_is_replaced_and_service_goes_on(tmp_path):
    with gate(tmp_path) as running:
        for round_ in range(3):
            victim = int(running.say("PID"))
            os.kill(victim, signal.SIGKILL)
            assert int(running.say("PID"))  # at once: whoever is left has the queue
            running.wait_for("worker", 3 + round_, what="start")
            assert victim not in running.workers()
        assert running.events("worker", what="ended", reason="killed by SIGKILL")


@pytest.mark.attack(70)
def test_a_check_that_hangs_costs_its_worker_alone_and_the_log_says_where(tmp_path):
    with gate(tmp_path, watchdog=1.5) as running, running.client() as client:
        victim = int(client.say("PID"))
        client.send("HANG")
        running.wait_for("hanging")
        assert {int(running.say("PID")) for _ in range(5)} == running.workers() - {victim}
        (killed,) = running.wait_for("worker", what="killed")
        assert killed["pid"] == victim
        assert any("hang_here" in line for line in killed["traceback"])
        assert client.read() == ""  # its connection is gone, unanswered: the client comes again
        running.wait_for("worker", 3, what="start")


@pytest.mark.attack(70)
def test_a_stopped_worker_gets_no_new_connections_and_is_replaced(tmp_path):
    with gate(tmp_path, watchdog=1.5) as running:
        victim = int(running.say("PID"))
        os.kill(victim, signal.SIGSTOP)
        others = running.workers() - {victim}
        assert {int(running.say("PID")) for _ in range(10)} <= others
        running.wait_for("worker", what="killed", pid=victim)
        running.wait_for("worker", 3, what="start")
        assert len(running.workers()) == 2


@pytest.mark.attack(70)
def test_a_worker_that_keeps_dying_comes_back_each_time(tmp_path):
    with gate(tmp_path, workers=1) as running:
        for _ in range(4):
            assert running.say("DIE") == ""
            assert int(running.say("PID"))  # waits in the queue until the next one serves


def test_a_worker_that_cannot_be_built_again_is_told_and_the_others_serve(tmp_path):
    marker = tmp_path / "marker"
    with gate(tmp_path, build="error later", marker=str(marker)) as running:
        marker.touch()
        victim = int(running.say("PID"))
        os.kill(victim, signal.SIGKILL)
        running.wait_for("worker", 3, what="ended")
        assert running.events("worker", what="ended", reason="the key went away")
        assert int(running.say("PID"))
        marker.unlink()
        running.wait_for("worker", 3, what="start")


def test_workers_end_when_the_supervisor_is_killed(tmp_path):
    path = tmp_path / "gate.sock"
    with gate(tmp_path, listeners={"u": f"unix:{path}"}) as running:
        workers = running.workers()
        running.signal(signal.SIGKILL)
        running.ended()
        running.wait(
            lambda: all(not Path(f"/proc/{pid}").exists() or _is_zombie(pid) for pid in workers), "the end of the workers"
        )
    with gate(tmp_path, listeners={"u": f"unix:{path}"}):  # and the next gate takes the socket that was left
        pass


def _is_zombie(pid: int) -> bool:
    try:
        return ") Z" in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return True


# --- drain -----------------------------------------------------------------------------------------------------------


@pytest.mark.attack(61)
def test_sigterm_ends_idle_connections_and_finishes_messages_in_flight(tmp_path):
    with gate(tmp_path, rules="old") as running, ExitStack() as stack:
        busy = [stack.enter_context(running.client()) for _ in range(10)]
        idle = stack.enter_context(running.client())
        idle.say("PID")
        for client in busy:
            client.send("SLEEP 0.8")
        time.sleep(0.2)
        running.signal(signal.SIGTERM)
        assert idle.read() == "421 4.3.2"
        running.wait_for("worker", 3, what="drain")  # the supervisor and both workers have closed theirs
        with pytest.raises(ConnectionRefusedError):
            running.client()
        assert [client.read() for client in busy] == ["250 old"] * 10
        assert running.ended() == 0
    assert not running.events("worker", what="ended")


@pytest.mark.attack(61)
def test_the_drain_has_an_end(tmp_path):
    with gate(tmp_path, drain=0.5) as running, running.client() as client:
        client.say("PID")
        client.send("SLEEP 60")
        time.sleep(0.1)
        running.signal(signal.SIGTERM)
        assert running.ended() == 0
        assert client.read() == ""
    assert any("cut" in one["reason"] for one in running.events("worker", what="stop"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_worker_that_does_not_end_is_ended(tmp_path, number):
    with gate(tmp_path, drain=0.1, grace=0.3, close="hang") as running:
        before = running.workers()
        running.change(close=None)
        running.signal(number)
        running.wait(lambda: not {pid for pid in before if Path(f"/proc/{pid}").exists()}, "the end of the workers")
        if number == signal.SIGTERM:
            assert running.ended() == 0
        else:
            assert running.say("PID")


def test_a_second_sigterm_is_the_end_at_once(tmp_path):
    with gate(tmp_path, drain=60.0) as running, running.client() as client:
        client.say("PID")
        client.send("SLEEP 60")
        running.signal(signal.SIGTERM)
        running.wait_for("worker", what="drain", reason="SIGTERM")
        running.signal(signal.SIGTERM)
        assert running.ended() == 0


# --- reload ----------------------------------------------------------------------------------------------------------


@pytest.mark.attack(61)
def test_a_reload_brings_new_rules_and_messages_in_flight_keep_the_old(tmp_path):
    with gate(tmp_path, rules="old") as running, running.client() as client:
        assert client.say("RULES") == "old"
        before = running.workers()
        client.send("SLEEP 1.0")
        time.sleep(0.1)
        running.change(rules="new")
        running.signal(signal.SIGHUP)
        running.wait(lambda: {running.say("RULES") for _ in range(6)} == {"new"}, "the new rules")
        assert client.read() == "250 old"
        running.wait(lambda: not before & running.workers(), "the end of the old workers")
        assert len(running.workers()) == 2
        assert not running.events("worker", what="ended")


@pytest.mark.parametrize("bad", [{"build": "error"}, {"build": "die"}, {"load": "bug"}, {"occupied": True}])
def test_a_bad_configuration_changes_nothing(tmp_path, bad):
    with gate(tmp_path, rules="old") as running, socket.create_server((servers.loopback(), 0)) as occupied:
        before = running.workers()
        listeners = {"a": f"{servers.loopback()}:0", "more": free_address()}
        if bad.pop("occupied", None):
            listeners["b"] = f"{servers.loopback()}:{occupied.getsockname()[1]}"
        running.change(rules="new", listeners=listeners, **bad)
        running.signal(signal.SIGHUP)
        (refused,) = running.wait_for("configuration", what="refused")
        assert refused["reason"].endswith("; the old one stays")
        assert running.say("RULES") == "old"
        assert running.workers() == before
        host, _, port = listeners["more"].partition(":")
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((host, int(port)))
        running.change(build=None, load=None, listeners={"a": f"{servers.loopback()}:0"})
        running.signal(signal.SIGHUP)
        running.wait(lambda: running.say("RULES") == "new", "the new rules")


def test_a_reload_opens_new_listeners_and_closes_those_that_are_gone(tmp_path):
    path, more = tmp_path / "gate.sock", free_address()
    with gate(tmp_path, listeners={"a": f"{servers.loopback()}:0", "u": f"unix:{path}"}) as running:
        address = running.address("a")
        running.change(listeners={"a": f"{servers.loopback()}:0", "b": more})
        running.signal(signal.SIGHUP)
        running.wait_for("worker", what="reload")
        running.wait(lambda: running.events("listener", listener="b"))
        assert running.say("PID", "b")
        assert running.address("a") == address
        assert not path.exists()


def test_a_stop_during_a_reload_is_a_stop(tmp_path):
    with gate(tmp_path) as running:
        before = running.workers()
        running.change(load="hang")
        running.signal(signal.SIGHUP)
        running.wait(lambda: running.workers() - before, "who reads the configuration")
        running.signal(signal.SIGTERM)
        assert running.ended() == 0


def test_reloads_that_come_fast_are_not_lost(tmp_path):
    with gate(tmp_path, rules="0") as running:
        for number in range(1, 6):
            running.change(rules=str(number))
            running.signal(signal.SIGHUP)
            time.sleep(0.05)
        running.wait(lambda: running.say("RULES") == "5", "the last configuration")


# --- systemd ---------------------------------------------------------------------------------------------------------


def test_sockets_of_systemd_are_taken_by_name_and_by_address_and_stay(tmp_path):
    host = servers.loopback()
    with socket.create_server((host, 0)) as first, socket.create_server((host, 0)) as second:
        port = second.getsockname()[1]
        read, write = os.pipe()  # no socket: passed by

        def before() -> None:
            spare = [os.dup(one) for one in (first.fileno(), second.fileno(), read)]
            for index, one in enumerate(spare):
                os.dup2(one, 3 + index)
            os.environ["LISTEN_PID"] = str(os.getpid())

        script = (
            "import os, sys; os.environ['LISTEN_PID'] = str(os.getpid());"
            "from tests.gate.serve.stand_in import main; sys.exit(main())"
        )
        import sys

        program = [sys.executable, "-c", script, str(tmp_path / "settings.json")]
        with gate(
            tmp_path,
            before=before,
            program=program,
            pass_fds=(3, 4, 5),
            environment={"LISTEN_FDS": "3", "LISTEN_FDNAMES": "by-name:other"},
            listeners={"by-name": "127.0.0.1:1", "by-address": f"{host}:{port}"},
        ) as running:
            for one in (first, second):
                with Client(socket.create_connection(one.getsockname(), 5)) as client:
                    assert int(client.say("PID")) in running.workers()
            running.signal(signal.SIGHUP)
            running.wait_for("worker", what="reload")
            with Client(socket.create_connection(first.getsockname(), 5)) as client:
                assert int(client.say("PID")) in running.workers()
            running.signal(signal.SIGTERM)
            assert running.ended() == 0
        os.close(read)
        os.close(write)
        socket.create_connection(first.getsockname(), 5).close()  # theirs, so still open


@pytest.mark.parametrize("abstract", [False, True])
def test_systemd_is_told_ready_reloading_stopping_and_alive(tmp_path, abstract):
    name = f"\0delivcheck-test-{os.getpid()}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(name)
        manager.settimeout(10)
        told: list[str] = []

        def until(start: str) -> str:
            while not told or not told[-1].startswith(start):
                told.append(manager.recv(4096).decode())
            return told[-1]

        environment = {"NOTIFY_SOCKET": name.replace("\0", "@"), "WATCHDOG_USEC": "400000"}
        with gate(tmp_path, environment=environment) as running:
            assert until("READY=1").endswith("STATUS=2 workers, listeners: a")
            until("WATCHDOG=1")
            running.signal(signal.SIGHUP)
            assert "MONOTONIC_USEC=" in until("RELOADING=1")
            until("READY=1")
            running.signal(signal.SIGTERM)
            until("STOPPING=1")
            assert running.ended() == 0


# --- descriptors -----------------------------------------------------------------------------------------------------


@pytest.mark.attack(48)
def test_without_descriptors_accepting_pauses_and_goes_on_later(tmp_path):
    def before() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))

    with gate(tmp_path, before=before, workers=1) as running, ExitStack() as stack:
        clients = [stack.enter_context(running.client()) for _ in range(60)]
        (pid,) = running.workers()
        running.wait(lambda: any("accepting pauses" in one["reason"] for one in running.events("connection", what="refused")))
        spent = _cpu(pid)
        time.sleep(0.5)
        assert _cpu(pid) - spent < 0.2  # it waits, and does not spin
        assert clients[0].say("PID") == str(pid)  # whoever is in goes on
        for client in clients[:40]:
            client.connection.close()
            client.file.close()
        assert clients[-1].say("PID") == str(pid)  # and who waited gets in


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


# --- metrics and health ----------------------------------------------------------------------------------------------


def test_metrics_are_those_of_all_workers_and_outlive_them(tmp_path):
    with gate(tmp_path, admin=f"{servers.loopback()}:0") as running:
        pids = set()
        while len(pids) < 2:
            with running.client() as client:
                pids.add(client.say("PID"))
                client.say("SLEEP 0")
        sent = running.metric("delivcheck_messages_total", action="send", listener="a", mode="enforce", framing="smtp")
        assert sent >= 2
        assert running.metric("delivcheck_rule_failures_total", rule="spf/none") == sent
        assert running.metric("delivcheck_bypasses_total", cause="fault") == sent
        assert running.metric("delivcheck_message_seconds_count") == sent
        assert running.metric("delivcheck_judging_seconds_bucket", le="0.001") == sent
        assert running.metric("delivcheck_connections_total", what="open") >= sent
        with running.client() as client:
            victim = client.say("PID")
            assert running.metric("delivcheck_open_connections") == 1
            client.send("SLEEP 60")
            running.wait(lambda: running.metric("delivcheck_messages_in_flight") == 1)
            os.kill(int(victim), signal.SIGKILL)
            running.wait_for("worker", 3, what="start")
        running.wait(lambda: running.metric("delivcheck_open_connections") == 0)
        assert running.metric("delivcheck_messages_in_flight") == 0
        assert running.metric("delivcheck_messages_total") == sent  # a dead worker's counts stay
        assert running.metric("delivcheck_workers_total", what="ended") == 1
        running.say("SLEEP 0")
        assert running.metric("delivcheck_messages_total") == sent + 1


def test_the_metrics_of_a_run_are_removed_with_it(tmp_path):
    with gate(tmp_path, admin=f"{servers.loopback()}:0", environment={"RUNTIME_DIRECTORY": str(tmp_path)}) as running:
        (folder,) = tmp_path.glob("delivcheck-metrics-*")
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        running.signal(signal.SIGTERM)
        assert running.ended() == 0
    assert not folder.exists()


def test_without_room_for_metrics_mail_goes_on(tmp_path):
    def before() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    with gate(
        tmp_path, admin=f"{servers.loopback()}:0", environment={"RUNTIME_DIRECTORY": str(tmp_path)}, before=before
    ) as running:
        victim = int(running.say("PID"))
        (folder,) = tmp_path.glob("delivcheck-metrics-*")
        for one in folder.glob("counter_w*.db"):  # a folder in the file's place is as little use as a full disk
            one.unlink()
            one.mkdir()
        os.kill(victim, signal.SIGKILL)
        running.wait_for("worker", 3, what="start")
        assert running.events("fault", where="metrics")
        assert {running.say("SLEEP 0") for _ in range(4)} == {"250 None"}


def test_a_draining_gate_is_not_ready(tmp_path):
    with gate(tmp_path, admin=f"{servers.loopback()}:0") as running, running.client() as client:
        assert running.get("/ready") == (200, "ready\n")
        assert running.get("/health") == (200, "alive\n")
        address = running.address("admin")
        client.say("PID")
        client.send("SLEEP 1")
        time.sleep(0.1)
        running.signal(signal.SIGTERM)
        running.wait_for("worker", what="stop", reason="drained")  # the idle one; who still works answers
        assert http(address, b"GET /ready HTTP/1.1\r\n\r\n") == (503, "draining\n")
        assert client.read() == "250 None"


def test_not_ready_is_503(tmp_path):
    with gate(tmp_path, admin=f"{servers.loopback()}:0", unready=["journal: disk full"]) as running:
        assert running.get("/ready") == (503, "journal: disk full\n")
        assert running.get("/health")[0] == 200


def test_what_one_worker_cannot_reach_every_worker_tells(tmp_path):
    with gate(tmp_path, admin=f"{servers.loopback()}:0") as running:
        assert running.say("LACK next hop out: refused") == "250"
        running.wait(lambda: all(running.get("/ready") == (503, "next hop out: refused\n") for _ in range(6)), "503 everywhere")
        while running.say("LACK") == "250":  # whichever worker it is
            if running.get("/ready")[0] == 200:
                break
            time.sleep(0.05)
        running.wait(lambda: all(running.get("/ready")[0] == 200 for _ in range(6)), "200 everywhere")


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (b"GET /metrics?x=1 HTTP/1.1\r\n\r\n", 200),
        (b"HEAD /health HTTP/1.0\r\n\r\n", 200),
        (b"POST /health HTTP/1.1\r\n\r\n", 405),
        (b"GET /../etc/passwd HTTP/1.1\r\n\r\n", 404),
        (b"GET /\r\n\r\n", 400),
        (b"EHLO x\r\n\r\n", 400),
        (b"\0\xff\r\n\r\n", 400),
        (b"GET /health HTTP/1.1\r\nX: " + b"x" * 20_000, 431),
        (b"GET /health HTTP/1.1\r\n", 0),
        (b"", 0),
    ],
)
def test_the_admin_address_answers_or_hangs_up(admin_gate, request_, code):
    assert http(admin_gate.address("admin"), request_)[0] == code


def test_connections_that_ask_nothing_keep_nobody_from_asking(tmp_path):
    with gate(tmp_path, workers=1, admin=f"{servers.loopback()}:0") as running, ExitStack() as stack:
        address = running.address("admin")
        silent = [stack.enter_context(socket.create_connection(address, 30)) for _ in range(MAX_CONNECTIONS + 8)]
        silent[-1].sendall(b"GET /health HTTP/1.1\r\n")  # half a request
        assert running.get("/ready") == (200, "ready\n")
        assert [one.recv(1) for one in silent[:9]] == [b""] * 9, "the oldest made room"
        silent[-1].sendall(b"\r\n")
        assert silent[-1].recv(100).startswith(b"HTTP/1.1 200 "), "and the youngest did not"


@pytest.fixture(scope="module")
def admin_gate(tmp_path_factory):
    with gate(tmp_path_factory.mktemp("admin"), admin=f"{servers.loopback()}:0") as running:
        yield running


def test_an_outage_of_dns_is_told_once_whichever_workers_notice_it(tmp_path):
    with gate(tmp_path) as running, ExitStack() as stack:
        clients: dict[str, Client] = {}
        while len(clients) < 2:
            client = stack.enter_context(running.client())
            clients.setdefault(client.say("PID"), client)
        for client in clients.values():
            assert client.say("DNS stale example.org") == "250"
        (told,) = running.wait_for("dns", what="stale")
        assert (told["names"], told["level"]) == (["example.org"], "warning")
        one, other = clients.values()
        one.say("DNS lost example.org example.com")
        assert running.wait_for("dns", what="lost")[0]["names"] == ["example.com", "example.org"]
        one.say("DNS well")
        running.wait_for("dns", 2, what="stale")  # of the other one
        os.kill(int(next(iter(clients))), signal.SIGKILL)  # whose successor knows nothing yet
        running.wait_for("worker", 3, what="start")
        assert not running.events("dns", what="back")
        other.say("DNS well")
        running.wait_for("dns", what="back", level="warning")
        assert len(running.events("dns")) == 4
