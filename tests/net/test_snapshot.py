"""Answers recorded, replayed and written down by hand."""

import asyncio
import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivcheck.model import DnsUse, Failed, Failure, Found, NoData, NoSuchName, Question
from delivcheck.net import snapshot as module
from delivcheck.net.snapshot import Recorder, Replay, Snapshot, SnapshotError, from_mapping
from tests.net.values import asked

TAKEN = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
HEAD = '{"format": "delivcheck-dns/1", "taken": "2026-11-23T12:00:00Z", "answers": {'


def ask(client, *questions):
    async def run():
        return [await client.ask(*question.rsplit(" ", 1)) for question in questions]

    answers = asyncio.run(run())
    return answers if len(answers) > 1 else answers[0]


def test_a_snapshot_older_than_the_calendar_can_be_kept_again():
    old = Snapshot({Question("a.example", "TXT"): NoData(1)}, datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14))))
    recorder = Recorder(Replay(old))
    ask(recorder, "a.example TXT")
    assert Snapshot.parse(recorder.dump()).answers == old.answers


def test_a_link_in_the_place_of_the_draft_is_not_followed(tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / f".dns.json.{os.getpid()}").symlink_to(victim)
    Snapshot({}, TAKEN).save(tmp_path / "dns.json")
    assert victim.read_text() == "precious"
    assert Snapshot.load(tmp_path / "dns.json").answers == {}


# --- the file ----------------------------------------------------------------------------------------------------


@given(st.lists(asked(), max_size=8))
def test_a_snapshot_comes_back_as_it_was(cases):
    snapshot = Snapshot(dict(cases), TAKEN)
    again = Snapshot.parse(snapshot.dump())
    assert again == snapshot
    assert again.dump() == snapshot.dump()


def test_a_snapshot_is_made_to_be_read_by_people():
    answers = {
        Question("b.test", "TXT"): Found(((b"v=spf1 -all",), ("ä".encode(), b"\xff"))),
        Question("a.test", "MX"): Found(((10, "mx.test"),), 60, authentic=True, aliases=("c.test",)),
        Question("", "NS"): Failed(Failure.TIMEOUT, "silent"),
        Question("x.test", "A"): NoSuchName(60),
        Question("w.test", "A"): NoData(60, ("x.test",)),
    }
    assert Snapshot(answers, TAKEN).dump() == (
        """{
 "format": "delivcheck-dns/1",
 "taken": "2026-11-23T12:00:00Z",
 "answers": {
  ". NS": {"is": "failed", "kind": "timeout", "detail": "silent"},
  "a.test MX": {"is": "found", "records": [[10, "mx.test"]], "ttl": 60, "authentic": true, "aliases": ["c.test"]},
  "b.test TXT": {"is": "found", "records": [["v=spf1 -all"], ["ä", {"hex": "ff"}]], "ttl": 300},
  "w.test A": {"is": "no-data", "ttl": 60, "aliases": ["x.test"]},
  "x.test A": {"is": "no-such-name", "ttl": 60}
 }
}
"""
    )


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "truncated"),
        ("{", "truncated"),
        ("{]", "malformed"),
        ("[]", "array"),
        ('{"answers": {}}', "format"),
        ('{"format": "delivcheck-dns/2", "taken": 5}', "'delivcheck-dns/2', and this version reads delivcheck-dns/1"),
        ('{"format": "delivcheck-dns/1", "answers": {}}', "taken"),
        ('{"format": "delivcheck-dns/1", "taken": "2026-11-23T12:00:00", "answers": {}}', "timezone"),
        (HEAD + '"a.test": {"is": "no-data", "ttl": 1}}}', "'a.test' is no question"),
        (HEAD + '" A": {"is": "no-data", "ttl": 1}}}', "no question"),
        (HEAD + '"a.test A": {"is": "wat"}}}', "wat"),
        (HEAD + '"a.test A": {"is": "no-data", "ttl": -1}}}', ">= 0"),
        (HEAD + '"a.test A": {"is": "failed", "kind": "tired"}}}', "tired"),
        (HEAD + '"a.test A": {"is": "found", "ttl": 1, "records": []}}}', "length >= 1"),
        (HEAD + '"a.test A": {"is": "found", "ttl": 1, "records": ["192.0.2.256"]}}}', "192.0.2.256"),
        (HEAD + '"a.test AAAA": {"is": "found", "ttl": 1, "records": ["192.0.2.2"]}}}', "192.0.2.2"),
        (HEAD + '"a.test A": {"is": "found", "ttl": 1, "records": [7]}}}', "a.test A: 7 is no A record"),
        (HEAD + '"a.test MX": {"is": "found", "ttl": 1, "records": ["10 mx.test"]}}}', "is no "),
        (HEAD + '"a.test SOA": {"is": "found", "ttl": 1, "records": [["a", "b", 1]]}}}', "is no "),
        (HEAD + '"a.test TXT": {"is": "found", "ttl": 1, "records": ["x"]}}}', "is no "),
        (HEAD + '"a.test TXT": {"is": "found", "ttl": 1, "records": [[]]}}}', "is no "),
        (HEAD + '"a.test TXT": {"is": "found", "ttl": 1, "records": [[5]]}}}', "no character-string"),
        (HEAD + '"a.test TXT": {"is": "found", "ttl": 1, "records": [[{"hex": "f"}]]}}}', "a.test TXT"),
        (
            HEAD + '"a.test TXT": {"is": "found", "ttl": 1, "records": [["' + "x" * 256 + '"]]}}}',
            "256 octets, the limit is 255",
        ),
        (HEAD + '"a.test MX": {"is": "found", "ttl": 1, "records": [[true, "x"]]}}}', "no MX record"),
        (HEAD + '"a.test MX": {"is": "found", "ttl": 1, "records": [[65536, "x"]]}}}', "no MX record"),
        (HEAD + '"a.test SOA": {"is": "found", "ttl": 1, "records": [["a", "b", 1, 2, 3, 4, -5]]}}}', "no SOA record"),
        (HEAD + '"a.test CAA": {"is": "found", "ttl": 1, "records": [null]}}}', "is no "),
        (HEAD + '"a.test CAA": {"is": "found", "ttl": 1, "records": [' + "[" * 100_000, "s"),
        ("\ud800", "s"),
    ],
)
def test_a_broken_snapshot_is_one_line(text, says):
    with pytest.raises(SnapshotError) as caught:
        Snapshot.parse(text, "s.json")
    assert str(caught.value).startswith("s.json: ")
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


@given(st.text(max_size=40), st.sampled_from(["", HEAD, HEAD + '"a.test TXT": {"is": "found", "ttl": 1, "records": [']))
def test_any_text_is_a_snapshot_or_the_one_error(text, head):
    returns_or_raises(head + text)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda each: st.lists(each, max_size=3) | st.dictionaries(st.text(max_size=5), each, max_size=3),
)
ENTRY = st.fixed_dictionaries(
    {"is": st.sampled_from(["found", "no-data", "failed"])},
    optional={"records": JSON, "ttl": JSON, "aliases": JSON, "kind": JSON, "detail": JSON, "authentic": JSON},
)


@given(
    st.dictionaries(
        st.sampled_from(["a.test TXT", "a.test MX", "a.test A", "a.test SOA", "x CAA", "y"]), ENTRY | JSON, max_size=2
    ),
    JSON,
)
def test_any_json_is_a_snapshot_or_the_one_error(answers, taken):
    returns_or_raises(json.dumps({"format": "delivcheck-dns/1", "taken": "2026-11-23T12:00:00Z", "answers": answers}))
    returns_or_raises(json.dumps({"format": "delivcheck-dns/1", "taken": taken, "answers": answers}))


def returns_or_raises(text):
    try:
        Snapshot.parse(text)
    except SnapshotError:
        return


def test_files_are_written_whole_and_read(tmp_path):
    path = tmp_path / "dns.json"
    path.write_text("older")
    Snapshot({Question("a.test", "A"): NoData()}, TAKEN).save(path)
    assert Snapshot.load(path).answers == {Question("a.test", "A"): NoData()}
    assert [each.name for each in tmp_path.iterdir()] == ["dns.json"]


def test_files_that_cannot_be_had_are_said_so(tmp_path, monkeypatch):
    with pytest.raises(SnapshotError, match="No such file"):
        Snapshot.load(tmp_path / "none.json")
    with pytest.raises(SnapshotError, match="No such file"):
        Snapshot({}, TAKEN).save(tmp_path / "none" / "dns.json")
    monkeypatch.setattr(module, "MAX_SNAPSHOT", 5)
    (tmp_path / "long.json").write_text("123456")
    with pytest.raises(SnapshotError, match="longer than 5"):
        Snapshot.load(tmp_path / "long.json")


# --- recording and replaying -------------------------------------------------------------------------------------


def test_what_is_recorded_is_replayed_failures_too(tmp_path):
    recorder = Recorder(from_mapping({"a.test TXT": "x", "b.test CNAME": "a.test", "c.test A": "TIMEOUT"}))
    questions = ["a.test TXT", "B.test. txt", "c.test A", "c.test MX", "nope.test A"]
    answers = ask(recorder, *questions)
    recorder.save(tmp_path / "dns.json")
    replay = Replay(Snapshot.load(tmp_path / "dns.json"))
    assert ask(replay, *questions) == answers
    assert [type(answer) for answer in answers] == [Found, Found, Failed, NoData, NoSuchName]
    assert recorder.dump() == recorder.snapshot().dump()


def test_what_was_not_recorded_is_unknown_and_never_absent():
    assert ask(Replay(Snapshot({}, TAKEN)), "a.test A") == Failed(Failure.REFUSED, "not in the snapshot")


def test_a_snapshot_has_an_age():
    replay = Replay(Snapshot({}, datetime.now(UTC) - timedelta(hours=1)))
    assert 3600 <= replay.snapshot_age_s <= 3602
    assert replay.use() == DnsUse(snapshot_age_s=replay.snapshot_age_s)
    assert Replay(Snapshot({}, datetime.now(UTC) + timedelta(hours=1))).snapshot_age_s == 0


def test_recording_a_replay_keeps_the_age():
    recorder = Recorder(Replay(Snapshot({}, datetime.now(UTC) - timedelta(hours=1))))
    ask(recorder, "a.test A")
    assert Replay(recorder.snapshot()).snapshot_age_s >= 3600
    assert recorder.use().snapshot_age_s >= 3600


def test_the_age_counts_from_the_first_answer():
    recorder = Recorder(from_mapping({}))
    assert recorder.snapshot().answers == {}
    ask(recorder, "a.test A")
    assert recorder.snapshot().taken == recorder.snapshot().taken


# --- written down by hand ----------------------------------------------------------------------------------------

WORLD = {
    "o.test TXT": ["v=spf1 -all", "x" * 300],
    "strings.o.test TXT": [["a", "b"], ["c", {"hex": "ff"}]],
    "Empty.o.test. txt": "",
    "umlaut.o.test TXT": "ä" * 200,
    "mx.o.test MX": ["20 b.test.", "10 a.test"],
    "addresses.o.test A": ["192.0.2.2", "192.0.2.1", "192.0.2.2"],
    "alias.o.test CNAME": "strings.o.test.",
    "alias2.o.test CNAME": "alias.o.test",
    "loop.o.test CNAME": "loop.o.test",
    "lost.o.test CNAME": "nowhere.o.test",
    "mute.o.test CNAME": "TIMEOUT",
    "a.t.o.test TXT": "TIMEOUT",
    "a.s.o.test TXT": "SERVFAIL",
    "a.r.o.test TXT": "REFUSED",
    "a.b.o.test TXT": "BOGUS",
    "d.o.test TXT": "NODATA",
    "x.o.test TXT": "NXDOMAIN",
    "*.w.o.test TXT": "wild",
    "here.w.o.test A": "192.0.2.1",
    "_25._tcp.o.test TLSA": {"records": "3 1 0 ab", "ttl": 60, "authentic": True},
    "word.o.test TXT": ["TIMEOUT"],
    "o.test NS": "ns.elsewhere.test",
}


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("o.test TXT", Found(((b"v=spf1 -all",), (b"x" * 255, b"x" * 45)))),
        ("strings.o.test TXT", Found(((b"a", b"b"), (b"c", b"\xff")))),
        ("empty.o.test TXT", Found(((b"",),))),
        ("umlaut.o.test TXT", Found(((("ä" * 200).encode()[:255], ("ä" * 200).encode()[255:]),))),
        ("mx.o.test MX", Found(((10, "a.test"), (20, "b.test")))),
        ("addresses.o.test A", Found(("192.0.2.1", "192.0.2.2"))),
        ("alias2.o.test TXT", Found(((b"a", b"b"), (b"c", b"\xff")), aliases=("alias.o.test", "strings.o.test"))),
        ("alias2.o.test CNAME", Found(("alias.o.test",))),
        ("alias.o.test MX", NoData(aliases=("strings.o.test",))),
        ("loop.o.test A", Failed(Failure.SERVFAIL, "the CNAME records of loop.o.test lead back to loop.o.test")),
        ("lost.o.test A", NoSuchName(aliases=("nowhere.o.test",))),
        ("mute.o.test A", Failed(Failure.TIMEOUT)),
        ("a.t.o.test TXT", Failed(Failure.TIMEOUT)),
        ("a.s.o.test TXT", Failed(Failure.SERVFAIL)),
        ("a.r.o.test TXT", Failed(Failure.REFUSED)),
        ("a.b.o.test TXT", Failed(Failure.BOGUS)),
        ("a.t.o.test A", NoData()),
        ("d.o.test TXT", NoData()),
        ("d.o.test MX", NoData()),
        ("x.o.test TXT", NoSuchName()),
        ("x.o.test A", NoSuchName()),
        ("t.o.test A", NoData()),
        ("test A", NoData()),
        ("nope.o.test A", NoSuchName()),
        ("y.w.o.test TXT", Found(((b"wild",),))),
        ("z.y.w.o.test TXT", Found(((b"wild",),))),
        ("y.w.o.test A", NoData()),
        ("here.w.o.test TXT", NoData()),
        ("y.here.w.o.test TXT", NoSuchName()),
        ("_25._tcp.o.test TLSA", Found(("3 1 0 ab",), 60, authentic=True)),
        ("word.o.test TXT", Found(((b"TIMEOUT",),))),
        ("o.test NS", Found(("ns.elsewhere.test",))),
        ("a..b TXT", NoSuchName()),
    ],
)
def test_a_closed_world_answers_as_dns_would(question, answer):
    assert ask(from_mapping(WORLD), question) == answer


def test_a_closed_world_tells_what_was_asked():
    world = from_mapping(WORLD)
    ask(world, "ALIAS.o.test. txt", "nope.test A", "nope.test A")
    assert [str(question) for question in world.asked] == ["alias.o.test TXT", "nope.test A", "nope.test A"]
    assert (world.use(), world.snapshot_age_s) == (DnsUse(), None)


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("a.test", "x", "no question"),
        ("a.test A", "x", "no A record"),
        ("a.test A", 5, "no text"),
        ("a.test A", [], "NODATA"),
        ("a.test NOPE", "x", "no record type"),
        ("a.test TXT", 5, "no TXT record"),
        ("a.test TXT", [["x" * 256]], "255"),
        ("a.test TXT", [[]], "no TXT record"),
        ("a.test A", {"records": "192.0.2.1", "ttl": "60"}, "a table has"),
        ("a.test A", {"records": "192.0.2.1", "sings": True}, "a table has"),
        ("a.test A", {"ttl": 60}, "NODATA"),
    ],
)
def test_a_wrong_entry_is_named(key, value, says):
    with pytest.raises(SnapshotError, match=says) as caught:
        from_mapping({key: value})
    assert str(caught.value).startswith(key + ": ")


@given(st.dictionaries(st.sampled_from(["a.test TXT", "a.test MX", "*.test A", "test SOA", "x CNAME", "y"]), JSON, max_size=3))
def test_any_mapping_is_a_world_or_the_one_error(mapping):
    try:
        world = from_mapping(mapping)
    except SnapshotError:
        return
    ask(world, "a.test TXT", "b.test A", "x A")


def loads(modules, other):
    code = f"import sys, {modules}; print({other!r} in sys.modules)"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_offline_answers_need_no_dns_library():
    assert loads("delivcheck.net.snapshot, delivcheck.net.deadline", "dns") == "False\n"


def test_a_live_audit_needs_no_more_of_it_than_it_uses():
    for heavy in ("dns.message", "dns.resolver", "dns.query", "httpx"):
        assert loads("delivcheck.net.dns", heavy) == "False\n"
