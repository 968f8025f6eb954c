"""The wall clock jumps, forward and back: no time-out comes too early or never, and signatures made by other clocks pass (attack 60)."""

import time
from datetime import UTC, datetime, timedelta

import pytest

from delivcheck import ulid
from delivcheck.facts.dkim_verdict import CLOCK_SLOP
from tests.gate import world
from tests.gate.attacks.clock import wall_clock
from tests.gate.next_hop import NextHop, Slow
from tests.gate.serve.test_gate import next_hop
from tests.gate.whole import gate as whole_gate
from tests.soak.gates import configuration, gate, listen, settle
from tests.soak.queueing import Mail, Refused, Session, stuffed

DAY, YEARS = 86_400, 5 * 365 * 86_400
JUMPS = (DAY, -DAY, YEARS, -YEARS, 0)  # from each to the next


@pytest.fixture
def place(tmp_path):
    """A gate as a process with a clock of its own, one worker; short patience, so that a time-out that is wrong comes soon."""
    with next_hop() as hop, wall_clock(tmp_path) as clock:
        lines = "deadline = 2\nwatchdog = 5"
        path = configuration(tmp_path, listen("smtp", received=False), hop=(hop.host, hop.port), workers=1, lines=lines)
        with gate(tmp_path, path, workers=1, environment=clock.environment) as running:
            yield running, hop, clock


def letter(number):
    return Mail(str(number), f"From: a@example.org\r\nMessage-ID: <{number}@example.org>\r\n\r\nhello\r\n".encode())


@pytest.mark.attack(60)
def test_a_jump_at_any_point_of_a_dialogue_changes_nothing_of_it(place):
    running, hop, clock = place
    workers = running.workers()
    seen = 0
    with Session(running.address("smtp")) as client:
        for stage in ("idle", "in a command", "before RCPT", "in DATA", "while the next hop thinks"):
            for ahead in JUMPS:

                def now(where, stage=stage, ahead=ahead):
                    if stage == where:
                        clock.set(ahead)
                        time.sleep(0.02)  # so that whatever was going to ring does

                mail = letter(seen)
                now("idle")
                client.socket.sendall(b"MAIL FR")
                now("in a command")
                client.say("OM:<bounces@example.org>")
                now("before RCPT")
                client.say("RCPT TO:<pat@example.net>")
                client.say("DATA", 3)
                client.socket.sendall(mail.octets[:30])
                now("in DATA")
                said = f"250 2.0.0 queued as {seen}"
                hop.says["DOT"] = [Slow(0.2, said) if stage == "while the next hop thinks" else said]
                client.socket.sendall(stuffed(mail.octets)[30:])
                if stage == "while the next hop thinks":
                    running.wait(lambda: sum(one.dots for one in hop.sessions) == seen + 1, "the dot")  # noqa: B023 -- called here
                    now(stage)
                assert client.want(2).endswith(f"queued as {seen}")
                seen += 1
                assert [one.octets for one in hop.messages[seen - 1 :]] == [mail.octets]
    told = running.wait_for("message", seen)
    when = sorted(datetime.fromisoformat(one["time"]) for one in told)
    assert when[-1] - when[0] > timedelta(seconds=2 * YEARS - DAY), "the clock did not jump"
    assert running.workers() == workers
    assert not running.events("fault")
    assert len(hop.sessions) == 1, "the connection to the next hop was kept"
    assert all(0 <= one["ms"] < 5_000 for one in told + running.wait_for("sent", seen))
    # the log tells the clock's time, but ids of one worker rise whatever it says
    traces = [one["trace"] for one in told]
    assert traces == sorted(set(traces))
    assert running.metric("delivcheck_sent_total", code_class="2xx") == seen


@pytest.mark.attack(60)
def test_a_reply_that_was_not_heard_is_told_after_a_jump_and_the_mail_is_not_sent_again(place):
    """Not years on: what was not heard is kept for a day, then the mail is sent again, as nobody knows whose clock is right."""
    running, hop, clock = place
    for number, jump in enumerate((DAY // 2, -DAY, -DAY // 2, -YEARS), 1):
        hop.says["DOT"] = [Slow(0.3, f"250 2.0.0 queued as {number}")]
        with Session(running.address("smtp")) as client:
            client.begin(letter(number))
            client.say("DATA", 3)
            client.socket.sendall(stuffed(letter(number).octets))
            running.wait(lambda: sum(session.dots for session in hop.sessions) == number, "the dot")  # noqa: B023 -- called here
        clock.set(jump)
        with Session(running.address("smtp")) as client:
            with pytest.raises(Refused, match=r"^451 4\.4\.5 "):
                client.send(letter(number))
            running.wait_for("sent", number, what="accepted")
            settle()
            assert client.send(letter(number)).endswith(f"queued as {number}")
            assert len(hop.messages) == number


@pytest.mark.attack(60)
def test_a_slow_client_keeps_its_time_and_a_slow_next_hop_gets_no_more_of_it(place):
    running, hop, clock = place
    with Session(running.address("smtp")) as client:
        client.begin(letter(1))
        client.say("DATA", 3)
        for at, octet in enumerate(letter(1).octets):
            clock.set(JUMPS[at // 10 % len(JUMPS)])
            client.socket.sendall(bytes([octet]))
            time.sleep(0.003)
        client.socket.sendall(b".\r\n")
        client.want(2)
    for now, then in ((YEARS, 0), (0, YEARS)):
        clock.set(now)
        hop.says["DATA"] = [Slow(60, "354 go on")]
        with Session(running.address("smtp")) as client:
            client.begin(letter(2))
            client.say("DATA", 3)
            client.socket.sendall(stuffed(letter(2).octets))
            begun = time.monotonic()
            clock.set(then)
            with pytest.raises(Refused, match=r"^451 4\.4\.5 "):
                client.want(2)
            assert 1 < time.monotonic() - begun < 30, "the deadline is two seconds, whatever the clock says"
    assert len(hop.messages) == 1


# --- signatures, and the clocks of others ------------------------------------------------------------------------------

AN_HOUR = 3_600


@pytest.mark.attack(60)
@pytest.mark.parametrize(
    ("made", "ends", "passes"),
    [
        (0, None, True),
        (CLOCK_SLOP - 60, None, True),  # the signer's clock is ahead of ours, or ours was set back
        (CLOCK_SLOP + 60, None, False),
        (DAY, None, False),
        (-DAY, None, True),
        (-YEARS, None, True),
        (-10 * DAY, -60, False),
        (-10 * DAY, 60, True),
        (-60, 10 * DAY, True),
        (CLOCK_SLOP - 60, 10 * DAY, True),
        (60, 30, False),  # expires before it was made
    ],
)
async def test_a_signature_may_be_an_hour_ahead_and_not_past_its_end(tmp_path, made, ends, passes):
    """RFC 6376 section 3.5: t= in the future MAY be ignored, x= MUST be greater than t=, and past it no signature counts."""
    now = datetime.now(UTC)

    def at(seconds):
        return str(int((now + timedelta(seconds=seconds)).timestamp()))

    octets, records = world.signed(tags={"t": at(made), **({} if ends is None else {"x": at(ends)})})
    async with NextHop() as hop, whole_gate(tmp_path, hop, records) as whole:
        *_, end = await whole.send(octets)
        assert end.startswith("250 " if passes else "550 5.7.20 dkim/"), end
        assert [one.octets for one in hop.messages] == [octets] * passes


@pytest.mark.attack(60)
def test_ids_rise_through_any_jumps(monkeypatch):
    now = time.time_ns()
    monkeypatch.setattr(ulid, "_last", 0)  # and afterwards what it was: ids of years to come would be the other tests'
    made = [ulid.new()]
    for seconds in (YEARS, 0, -YEARS, DAY, -DAY, 0):
        monkeypatch.setattr(ulid.time, "time_ns", lambda seconds=seconds: now + seconds * 1_000_000_000)
        made += [ulid.new() for _ in range(100)]
    assert made == sorted(set(made))
    assert all(map(ulid.valid, made))
