"""The one call behind every hook, without a hook."""

import ast
import asyncio
import gc
import json
import logging
import os
import pickle
import re
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest

import delivcheck
from delivcheck.integrations import bypass, errors, settings
from delivcheck.integrations import guard as guards
from delivcheck.integrations.judge import Bench
from delivcheck.integrations.ruling import Wanted, fault
from delivcheck.integrations.warm import Warm
from delivcheck.tables import ConfigError
from tests.integrations import house

ROOT = Path(__file__).parents[2]
ENVELOPE = (house.BOUNCES, [house.RECIPIENT])


def python(text, *arguments, folder=ROOT, **environment):
    """What another interpreter prints, all of it, warnings and complaints too."""
    command = [sys.executable, "-W", "error", "-W", "ignore:This process:DeprecationWarning", "-c", textwrap.dedent(text)]
    run = subprocess.run(
        [*command, *map(str, arguments)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return run.stdout + run.stderr


class Broken:
    """A DNS client with a bug."""

    snapshot_age_s = None

    async def ask(self, *_):
        raise RuntimeError("no such thing")

    def use(self):
        return house.DnsUse()


class Waiting(house.Dead):
    """A DNS client that answers nobody, until it is told to."""

    def __init__(self):
        self.asked, self.go = threading.Event(), threading.Event()

    async def ask(self, name, type_):
        self.asked.set()
        while not self.go.is_set():  # noqa: ASYNC110 -- another thread sets it, which asyncio.Event is not for
            await asyncio.sleep(0.005)
        return await house.dns().ask(name, type_)


# --- what it says ------------------------------------------------------------------------------------------------


def test_a_message_that_passes_is_let_through_and_counted():
    guard = house.guard()
    ruling = guard.check(house.good(), *ENVELOPE)
    assert (ruling.wanted, ruling.verdict, ruling.bypass) == (Wanted.SEND, "pass", None)
    assert guard.counts == {"sent": 1}


def test_what_house_calls_bad_fails_one_rule_only():
    with pytest.raises(delivcheck.MessageRefused) as refused:
        house.guard().check(house.bad(), *ENVELOPE)
    assert refused.value.rules == (house.BAD_RULE,)
    assert refused.value.smtp_code == 550
    assert house.BAD_RULE in str(refused.value)
    assert refused.value.report.verdict is delivcheck.Verdict.FAIL
    assert refused.value.report.policy == house.POLICY


@pytest.mark.parametrize("dns", [house.Dead(), Broken()], ids=["unknown", "fault"])
@pytest.mark.parametrize("on_unknown", ["send", "raise"])
def test_what_could_not_be_found_out_is_sent_and_recorded_or_is_for_later(tmp_path, dns, on_unknown):
    guard = house.guard(dns=dns, on_unknown=on_unknown, record=tmp_path / "record")
    if on_unknown == "send":
        assert guard.check(house.good(), *ENVELOPE).bypass
    else:
        with pytest.raises(delivcheck.MessageUndetermined) as deferred:
            guard.check(house.good(), *ENVELOPE)
        assert deferred.value.smtp_code == 451
        assert not isinstance(deferred.value, delivcheck.MessageRefused)
    [event] = house.recorded(tmp_path / "record")
    assert event["event"] == {"send": "bypassed", "raise": "deferred"}[on_unknown]
    assert (event["verdict"], event["hook"], event["mail_from"]) == ("unknown", "guard", house.BOUNCES)
    assert guard.counts == {event["event"]: 1}


def test_something_found_beats_something_unknown():
    with pytest.raises(delivcheck.MessageRefused):
        house.guard(dns=house.Dead()).check(house.bad(), *ENVELOPE)


@pytest.mark.parametrize("dns", [house.dns(), house.Dead(), Broken()], ids=["fail", "unknown", "fault"])
def test_observe_stops_nothing(tmp_path, dns):
    guard = house.guard(dns=dns, mode="observe", on_unknown="raise", record=tmp_path / "record")
    guard.check(house.bad(), *ENVELOPE)
    assert [event["event"] for event in house.recorded(tmp_path / "record")] == ["bypassed"]
    assert house.recorded(tmp_path / "record")[0]["reason"].startswith("observe: ")


def test_a_policy_that_sends_what_failed_is_a_bypass_not_a_pass(tmp_path):
    policy = tmp_path / "lax.toml"
    policy.write_text('extends = "transactional"\non-fail = "send"\n')
    guard = house.guard(policy=str(policy), record=tmp_path / "record")
    assert guard.check(house.bad(), *ENVELOPE).bypass.startswith("policy: fail")
    assert house.recorded(tmp_path / "record")[0]["rules"] == [house.BAD_RULE]


def test_rules_given_go_before_the_policy():
    house.guard(rules={house.BAD_RULE: "off"}).check(house.bad(), *ENVELOPE)


def test_octets_that_are_no_message_are_refused():
    with pytest.raises(delivcheck.MessageRefused):
        house.guard().check(b"\0\r\n" * 10, *ENVELOPE)


def test_a_bug_in_a_rule_is_a_fault_and_not_the_callers(tmp_path, monkeypatch, caplog):
    from delivcheck.mime import message

    def broken(*_args, **_more):
        raise RecursionError("too deep")

    guard = house.guard(record=tmp_path / "record")
    monkeypatch.setattr("delivcheck.integrations.judge.header_of", broken)
    assert message.header_of is not broken
    guard.check(house.good(), *ENVELOPE)
    assert house.recorded(tmp_path / "record")[0]["reason"] == "fault: RecursionError: too deep"


def test_a_hook_that_has_nothing_to_judge_says_so(tmp_path):
    guard = house.guard(record=tmp_path / "record")
    assert guard.unjudged("no message here", hook="mine").bypass == "fault: no message here"
    assert house.recorded(tmp_path / "record")[0]["hook"] == "mine"
    with pytest.raises(delivcheck.MessageUndetermined):
        house.guard(on_unknown="raise").unjudged("no message here", hook="mine")


# --- when it is made ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"mode": "enforced"}, "enforced"),
        ({"on_unknown": "defer"}, "defer"),
        ({"policy": "transactionel"}, "transactionel"),
        ({"stream": "receipts"}, "receipts"),
        ({"message_class": "both"}, "both"),
        ({"rules": {"no/such-rule": "off"}}, "no/such-rule"),
        ({"rules": {house.BAD_RULE: "fatal"}}, "fatal"),
        ({"deadline": 0}, "deadline"),
        ({"config": "/no/such/file.toml"}, "/no/such/file.toml"),
    ],
)
def test_what_is_wrong_with_its_options_is_said_when_it_is_made(options, said):
    from delivcheck.policy import PolicyError

    with pytest.raises((ConfigError, PolicyError, ValueError), match=said):
        house.guard(**options)


def test_a_system_without_name_servers_is_a_configuration_error(tmp_path):
    path = house.configuration(tmp_path, "127.0.0.1:99999")
    with pytest.raises(ConfigError, match="99999"):
        delivcheck.Guard(config=path)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('mode = "enforced"', "enforced"),
        ('on-unknown = "defer"', "defer"),
        ('stream = "receipts"', "receipts"),
        ("deadline = 0", "deadline"),
        ("deadline = 600", "deadline"),
        ("record = 1", "record"),
        ('signed-later = "yes"', "signed-later"),
        ('ip = ["here"]', "here"),
        ("retries = 3", "retries"),
    ],
)
def test_a_fault_in_the_hooks_table_names_the_line(tmp_path, line, said):
    (tmp_path / "delivcheck.toml").write_text(f"[hooks]\n{line}\n")
    with pytest.raises(ConfigError, match=said) as error:
        delivcheck.Guard(config=tmp_path / "delivcheck.toml", dns="offline")
    assert "delivcheck.toml:2" in str(error.value) or "stream" in line


def test_the_hooks_table_is_obeyed(tmp_path):
    path = house.configuration(
        tmp_path,
        mode="observe",
        on_unknown="raise",
        stream="receipts",
        deadline=3.5,
        record="record",
        signed_later=False,
        ip=["192.0.2.25"],
        ehlo="gate.example.org",
        daemon="run/socket",
        text='[streams.receipts]\nclass = "transactional"\n',
    )
    hooks = delivcheck.Guard(config=path).hooks
    assert (hooks.mode, hooks.on_unknown, hooks.stream, hooks.deadline) == ("observe", "raise", "receipts", 3.5)
    assert (hooks.record, hooks.daemon) == (tmp_path / "record", tmp_path / "run" / "socket")
    assert (hooks.signed_later, [str(one) for one in hooks.ips], hooks.ehlo) == (False, ["192.0.2.25"], "gate.example.org")


def test_what_is_given_goes_before_the_table(tmp_path):
    path = house.configuration(tmp_path, mode="observe", on_unknown="raise", deadline=3, daemon="socket")
    hooks = delivcheck.Guard(
        config=path, mode="enforce", on_unknown="send", deadline=4, daemon=False, dns="offline", record=tmp_path / "here"
    ).hooks
    assert (hooks.mode, hooks.on_unknown, hooks.deadline, hooks.daemon) == ("enforce", "send", 4, None)
    assert hooks.record == tmp_path / "here"


def test_every_key_of_the_table_is_documented():
    page = (ROOT / "docs" / "hooks" / "README.md").read_text()
    assert re.findall(r"^\| `([a-z-]+)` \|", page, re.MULTILINE) == list(settings._KEYS)


def test_the_python_pages_examples_are_python():
    page = (ROOT / "docs" / "hooks" / "python.md").read_text()
    examples = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert examples
    for one in examples:
        compile(one, "python.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


def test_the_egress_addresses_of_the_table_are_judged(tmp_path):
    path = house.configuration(tmp_path, ip="203.0.113.9", ehlo="gate.example.org")
    with pytest.raises(delivcheck.MessageRefused) as refused:
        delivcheck.Guard(config=path, dns=house.dns()).check(house.good(), *ENVELOPE)
    assert "spf/not-authorised" in refused.value.rules


def test_over_the_wire_with_the_configurations_name_server(tmp_path):
    with house.name_server() as dns:
        guard = delivcheck.Guard(config=house.configuration(tmp_path, dns.address))
        assert guard.check(house.good(), *ENVELOPE).verdict == "pass"
        guard.close()
    assert house.DOMAIN in dns.asked


# --- threads, loops, time ----------------------------------------------------------------------------------------


def test_threads_share_it():
    guard, wrong = house.guard(), []

    def work():
        for _ in range(10):
            try:
                guard.check(house.good(), *ENVELOPE)
                guard.check(house.bad(), *ENVELOPE)
                wrong.append("sent")
            except delivcheck.MessageRefused as error:
                wrong.extend([] if error.rules == (house.BAD_RULE,) else [error])

    threads = [threading.Thread(target=work) for _ in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert not wrong
    assert guard.counts == {"sent": 80, "refused": 80}
    guard.close()


def test_loops_one_after_the_other_and_side_by_side():
    guard = house.guard()

    async def many():
        rulings = await asyncio.gather(*(guard.check_async(house.good(), *ENVELOPE) for _ in range(5)))
        with pytest.raises(delivcheck.MessageRefused):
            await guard.check_async(house.bad(), *ENVELOPE)
        return {one.verdict for one in rulings}

    assert asyncio.run(many()) == asyncio.run(many()) == {"pass"}
    assert guard.check(house.good(), *ENVELOPE).verdict == "pass"


async def test_a_loop_goes_on_while_a_message_is_judged():
    dns = Waiting()
    guard = house.guard(dns=dns)
    judged = asyncio.create_task(guard.check_async(house.good(), *ENVELOPE))
    await asyncio.to_thread(dns.asked.wait, 30)
    assert not judged.done()  # and this line is run
    dns.go.set()
    assert (await judged).verdict == "pass"


async def test_who_is_cancelled_is_cancelled_and_the_judging_too():
    dns = Waiting()
    guard = house.guard(dns=dns)
    judged = asyncio.create_task(guard.check_async(house.good(), *ENVELOPE))
    await asyncio.to_thread(dns.asked.wait, 30)
    judged.cancel()
    with pytest.raises(asyncio.CancelledError):
        await judged
    assert guard.counts == {}


@pytest.mark.parametrize("how", ["sync", "async"])
def test_the_deadline_holds(tmp_path, how):
    guard = house.guard(dns=Waiting(), deadline=0.05, record=tmp_path / "record")
    if how == "sync":
        guard.check(house.good(), *ENVELOPE)
    else:
        asyncio.run(guard.check_async(house.good(), *ENVELOPE))
    [event] = house.recorded(tmp_path / "record")
    assert event["verdict"] == "unknown"
    assert "time" in event["reason"]


def test_a_rule_that_never_comes_back_holds_nobody_for_ever(tmp_path, monkeypatch):
    release = threading.Event()
    guard = house.guard(deadline=0.05, record=tmp_path / "record")
    guard.check(house.good(), *ENVELOPE)
    monkeypatch.setattr("delivcheck.integrations.judge.header_of", lambda _octets: release.wait(60) and ())
    monkeypatch.setattr(guards, "SPARE", 0.05)
    guard.check(house.good(), *ENVELOPE)
    release.set()
    assert [event["reason"] for event in house.recorded(tmp_path / "record")] == ["fault: not judged in time"]


@pytest.mark.parametrize("how", ["sync", "async"])
def test_a_guard_closed_under_a_message_lets_it_go_on_and_can_be_used_again(tmp_path, how):
    dns = Waiting()
    guard = house.guard(dns=dns, record=tmp_path / "record")
    closing = threading.Thread(target=lambda: dns.asked.wait(30) and guard.close())
    closing.start()
    if how == "sync":
        guard.check(house.good(), *ENVELOPE)
    else:
        asyncio.run(guard.check_async(house.good(), *ENVELOPE))
    closing.join()
    assert [event["reason"] for event in house.recorded(tmp_path / "record")] == [
        "fault: the guard was closed while it was judged"
    ]
    dns.go.set()
    assert guard.check(house.good(), *ENVELOPE).verdict == "pass"


def test_closing_leaves_no_question_behind(tmp_path):
    with house.dead_name_server() as dns:
        guard = delivcheck.Guard(config=house.configuration(tmp_path, dns.address, timeout=0.1))
        guard.check(house.good(), *ENVELOPE)
        guard.close()
        guard.close()
    del guard
    gc.collect()  # warnings are errors: a task left pending would be said here


def test_where_no_thread_can_be_started_mail_goes_on(tmp_path, monkeypatch):
    def none(_self):
        raise RuntimeError("can't start new thread")

    guard = house.guard(record=tmp_path / "record")
    monkeypatch.setattr(threading.Thread, "start", none)
    guard.check(house.good(), *ENVELOPE)
    assert house.recorded(tmp_path / "record")[0]["reason"] == "fault: RuntimeError: can't start new thread"


# --- processes ---------------------------------------------------------------------------------------------------

FORKED = """
import os, sys, threading
from tests.integrations import house
guard = house.guard(record=sys.argv[1], mode="observe")
guard.check(house.bad(), house.BOUNCES, [house.RECIPIENT])
stop = threading.Event()
def busy():  # locks are held now and then while the fork happens
    while not stop.is_set():
        guard.check(house.good(), house.BOUNCES, [house.RECIPIENT])
thread = threading.Thread(target=busy)
thread.start()
children = []
for number in range(4):
    child = os.fork()
    if child == 0:
        for _ in range(5):
            guard.check(house.bad(), house.BOUNCES, [house.RECIPIENT])
        sys.stdout.flush()
        os._exit(0)
    children.append(child)
codes = [os.waitpid(child, 0)[1] for child in children]
stop.set()
thread.join()
guard.check(house.bad(), house.BOUNCES, [house.RECIPIENT])
print(codes)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_children_of_a_fork_judge_for_themselves_and_their_lines_do_not_mix(tmp_path):
    assert "[0, 0, 0, 0]" in python(FORKED, tmp_path / "record")
    events = house.recorded(tmp_path / "record")  # each line is whole JSON
    assert len(events) == 1 + 4 * 5 + 1
    assert len({event["trace"] for event in events}) == len(events)
    assert {event["reason"].split(":")[1] for event in events} == {" refuse"}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forking_program_hears_nothing_of_it(tmp_path):
    quiet = FORKED.replace("import os,", "import logging; logging.disable()\nimport os,")
    assert python(quiet, tmp_path / "record").strip() == "[0, 0, 0, 0]"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_fork_waits_until_the_judging_thread_holds_no_lock(tmp_path):
    said = python(
        """
        import os, threading, time
        from delivcheck.integrations import judge
        from tests.integrations import house
        lock, inside = threading.Lock(), threading.Event()
        def slow(_octets):
            with lock:
                inside.set()
                time.sleep(0.3)
            return ()
        judge.header_of = slow
        guard = house.guard()
        thread = threading.Thread(target=guard.check, args=(house.good(), house.BOUNCES, [house.RECIPIENT]))
        thread.start()
        inside.wait()
        child = os.fork()
        if child == 0:
            os._exit(0 if lock.acquire(blocking=False) else 1)
        code = os.waitpid(child, 0)[1]
        thread.join()
        print(code, dict(guard.counts))
        """
    )
    assert said == "0 {'sent': 1}\n"


def test_an_interpreter_that_ends_while_dns_is_silent_says_nothing(tmp_path):
    with house.dead_name_server() as dns:
        path = house.configuration(tmp_path, dns.address, timeout=0.1)
        said = python(
            """
            import logging, sys, delivcheck
            logging.disable()
            from tests.integrations import house
            guard = delivcheck.Guard(config=sys.argv[1])
            print(guard.check(house.good(), house.BOUNCES, [house.RECIPIENT]).bypass[:8])
            """,
            path,
        )
    assert said == "unknown:\n"


def test_mail_at_the_very_end_of_a_program_is_judged_or_recorded(tmp_path):
    said = python(
        """
        import atexit, logging, sys
        logging.disable()
        from tests.integrations import house
        made = []
        def last():
            made[0].check(house.good(), house.BOUNCES, [house.RECIPIENT])
            print(sum(made[0].counts.values()))
        atexit.register(last)  # before ours, so it runs after it
        import delivcheck
        made.append(house.guard())
        made[0].check(house.good(), house.BOUNCES, [house.RECIPIENT])
        """
    )
    assert said == "2\n"


@pytest.mark.parametrize("kind", [delivcheck.MessageRefused, delivcheck.MessageUndetermined])
def test_errors_are_pickled_whole(kind):
    with pytest.raises(delivcheck.MessageRefused) as refused:
        house.guard().check(house.bad(), *ENVELOPE)
    error = kind(refused.value.ruling)
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is kind
    assert (again.args, str(again), again.rules, again.trace) == (error.args, str(error), error.rules, error.trace)
    assert again.report.verdict is delivcheck.Verdict.FAIL


def test_an_error_without_a_report_has_none():
    assert errors.MessageUndetermined(fault("why", "TRACE")).report is None


# --- what is told ------------------------------------------------------------------------------------------------


def test_a_refusal_is_logged_and_told(caplog):
    told = []
    with caplog.at_level(logging.WARNING, "delivcheck.hooks"), pytest.raises(delivcheck.MessageRefused) as refused:
        house.guard(on_event=told.append).check(house.bad(), *ENVELOPE)
    [record] = caplog.records
    assert refused.value.trace in record.getMessage()
    assert house.BAD_RULE in record.getMessage()
    [event] = told
    assert (event.event, event.rules, event.rcpt_to, event.trace) == (
        "refused",
        (house.BAD_RULE,),
        (house.RECIPIENT,),
        refused.value.trace,
    )


def test_what_passes_is_told_to_nobody(tmp_path, caplog):
    told = []
    house.guard(on_event=told.append, record=tmp_path / "record").check(house.good(), *ENVELOPE)
    assert not told
    assert not caplog.records
    assert not (tmp_path / "record").exists()


def test_a_listener_that_raises_stops_nothing(tmp_path, caplog):
    def listener(_event):
        raise ZeroDivisionError

    guard = house.guard(on_event=listener, record=tmp_path / "record", dns=house.Dead())
    assert guard.check(house.good(), *ENVELOPE).bypass
    assert house.recorded(tmp_path / "record")
    assert "listener" in caplog.text


@pytest.mark.parametrize("record", [None, "no/folder"])
def test_a_log_that_raises_stops_nothing_and_the_listener_is_told(record):
    def broken(_record):
        raise ZeroDivisionError

    def listener(event):
        told.append(event)
        raise ZeroDivisionError

    told = []
    log = logging.getLogger(bypass.LOG)
    log.addFilter(broken)
    try:
        assert house.guard(on_event=listener, record=record, mode="observe").check(house.bad(), *ENVELOPE).bypass
    finally:
        log.removeFilter(broken)
    assert len(told) == 1


def test_a_log_that_mails_from_the_judging_thread_waits_for_nobody(monkeypatch):
    class Mailing(logging.Handler):
        def emit(self, record):
            rulings.append(guard.check(house.good(), *ENVELOPE))

    async def broken(*_):
        raise ZeroDivisionError

    monkeypatch.setattr(Bench, "_ruled", broken)
    guard, rulings, handler = house.guard(deadline=60), [], Mailing()
    log = logging.getLogger(bypass.LOG)
    log.addHandler(handler)
    try:
        guard.check(house.good(), *ENVELOPE)
    finally:
        log.removeHandler(handler)
    assert "sends mail while it is judged" in rulings[0].reason


def test_a_signal_handler_that_mails_finds_no_lock_of_its_own_thread(monkeypatch, nobody):
    def inside(name, called):
        def interrupted(*arguments, **options):
            monkeypatch.setattr(owner, name, called)
            rulings.append(guard.check(house.good(), *ENVELOPE) if owner is Warm else guards.default())
            return called(*arguments, **options)

        return interrupted

    def mail():
        nonlocal owner
        for owner, name in ((Warm, "bench"), (guards, "Guard")):
            monkeypatch.setattr(owner, name, inside(name, getattr(owner, name)))
            rulings.append(guard.check(house.good(), *ENVELOPE) if owner is Warm else guards.default())

    guard, rulings, owner = house.guard(), [], None
    thread = threading.Thread(target=mail, daemon=True)  # as a signal handler does: in the middle of it, on the same thread
    thread.start()
    thread.join(60)
    assert len(rulings) == 4


def test_a_listener_that_mails_has_an_end(tmp_path):
    told = []

    def listener(event):
        told.append(event)
        guard.check(house.bad(), *ENVELOPE)

    guard = house.guard(on_event=listener, record=tmp_path / "record", mode="observe")
    guard.check(house.bad(), *ENVELOPE)
    assert len(told) == 1
    assert len(house.recorded(tmp_path / "record")) == 2


def test_a_record_that_cannot_be_written_stops_nothing(tmp_path, caplog):
    guard = house.guard(record=tmp_path / "no" / "folder", dns=house.Dead())
    assert guard.check(house.good(), *ENVELOPE).bypass
    assert "not recorded" in caplog.text


def test_a_record_that_nobody_reads_holds_nothing_up(tmp_path, caplog):
    os.mkfifo(tmp_path / "record")
    guard = house.guard(record=tmp_path / "record", mode="observe")
    assert guard.check(house.bad(), *ENVELOPE).bypass
    assert "not recorded" in caplog.text


def test_a_record_that_is_cut_off_is_said(tmp_path):
    program = """
        import resource, sys
        from tests.integrations import house
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
        house.guard(record=sys.argv[1], mode="observe").check(house.bad(), "a@example.org", ["b@example.net"])
        """
    said = python(program, tmp_path / "record")
    assert "not recorded" in said
    assert len((tmp_path / "record").read_bytes()) == 100


def test_a_record_is_one_line_however_odd_its_message(tmp_path):
    guard = house.guard(record=tmp_path / "record", mode="observe")
    guard.check(house.bad(), "a\nb@example.org", [f"{number}@example.net" for number in range(500)])
    [line] = (tmp_path / "record").read_text().splitlines()
    assert len(json.loads(line)["rcpt_to"]) == bypass.MAX_RECIPIENTS


# --- the guard of those who made none ----------------------------------------------------------------------------


@pytest.fixture
def nobody(monkeypatch, tmp_path):
    """A process in which no guard was made yet, in a folder of its own."""
    for name, value in (("_default", None), ("_unmade", None), ("_tried", 0.0)):
        monkeypatch.setattr(guards, name, value)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_default_guard_is_one_and_does_what_the_configuration_says(nobody):
    house.configuration(nobody, mode="observe")
    first = guards.default()
    assert first is guards.default()
    assert first.hooks.mode == "observe"


def test_with_a_broken_configuration_mail_goes_on_until_it_is_mended(nobody, monkeypatch, caplog):
    (nobody / "delivcheck.toml").write_text("[hooks]\nmode = 1\n")
    ruling = guards.default().check(house.bad(), *ENVELOPE)
    assert ruling.bypass.startswith("fault: ")
    assert "delivcheck.toml:2" in caplog.text
    assert asyncio.run(guards.default().check_async(house.bad(), *ENVELOPE)).bypass == ruling.bypass
    house.configuration(nobody)
    assert isinstance(guards.default(), guards.Unmade)  # not with every message
    monkeypatch.setattr(guards, "AGAIN", 0.0)
    with pytest.raises(delivcheck.MessageRefused):
        guards.default().check(house.bad(), *ENVELOPE)
