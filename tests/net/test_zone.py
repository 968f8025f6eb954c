"""Zone files, and what they do to the answers beneath."""

import asyncio
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivcheck.model import DnsUse, Failed, Failure, Found, NoData, NoSuchName, Question
from delivcheck.net import wire
from delivcheck.net import zone as module
from delivcheck.net.client import Closed, labels, normal, upward
from delivcheck.net.snapshot import Replay, Snapshot, from_mapping
from delivcheck.net.zone import TTL, Zone, ZoneError, ZoneOverlay, overlay_of_text, parse_zone
from delivcheck.net.zonefile import read
from tests.net.values import asked, names


def ask(client, question):
    return asyncio.run(client.ask(*question.rsplit(" ", 1)))


# --- files -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "file", "origin", "records"),
    [
        ("$ORIGIN o.test.\n@ TXT x\nwww A 192.0.2.1\n", "z", "o.test", {"o.test TXT": (b"x",), "www.o.test A": "192.0.2.1"}),
        ("www A 192.0.2.1\n", "o.test.zone", "o.test", {"www.o.test A": "192.0.2.1"}),
        ("www A 192.0.2.1\n", "/etc/bind/db.o.test", "o.test", {"www.o.test A": "192.0.2.1"}),
        ("www A 192.0.2.1\n", "O.Test", "o.test", {"www.o.test A": "192.0.2.1"}),
        ("www A 192.0.2.1\n", "o.test.db.txt", "o.test", {"www.o.test A": "192.0.2.1"}),
        (
            "o.test. SOA n. h. 1 2 3 4 5\nm MX 5 x\n",
            "f",
            "o.test",
            {"o.test SOA": ("n", "h", 1, 2, 3, 4, 5), "m.o.test MX": (5, "x.o.test")},
        ),
        ("www.o.test. A 192.0.2.1\n", "changes", "", {"www.o.test A": "192.0.2.1"}),
        ('a.test. TXT "relative\\000name" ""\n', "z", "", {"a.test TXT": (b"relative\0name", b"")}),
        ("a.test. A 192.0.2.1\nb.test. CNAME a.test.\n", "z", "", {"a.test A": "192.0.2.1", "b.test CNAME": "a.test"}),
        ('$ORIGIN o.test.\na 60 IN TXT (\n "x"\n y ) ; z\n', "f", "o.test", {"a.o.test TXT": (b"x", b"y")}),
        ("$ORIGIN o.test.\n$ORIGIN sub\na TXT x", "f", "o.test", {"a.sub.o.test TXT": (b"x",)}),
        ("$ORIGIN o.test.\nbücher TXT ä", "f", "o.test", {"xn--bcher-kva.o.test TXT": ("ä".encode(),)}),
        ("$ORIGIN o.test.\n_x TYPE999 \\# 2 abcd", "f", "o.test", {"_x.o.test TYPE999": "\\# 2 abcd"}),
        ("", "f", "", {}),
        ("; nothing\n\n", "f", "", {}),
    ],
)
def test_a_zone_file_is_read_with_or_without_soa(text, file, origin, records):
    zone = parse_zone(text, file)
    assert zone.origin == origin
    assert zone.records == {
        tuple(key.split()): Found((value,), zone.records[tuple(key.split())].ttl) for key, value in records.items()
    }


@pytest.mark.parametrize(
    ("text", "ttls"),
    [
        ("a TXT x", [TTL]),
        ("a 60 TXT x\nb TXT y", [60, 60]),
        ("$TTL 1h\na TXT x", [3600]),
        ("a 600 TXT x\na 60 TXT y", [60]),
        ("$TTL 9\n@ SOA n. h. 1 2 3 4 5\n", [9]),
        ("a 99999999 TXT x", [604_800]),
    ],
)
def test_the_ttl_is_as_stated(text, ttls):
    assert [found.ttl for found in parse_zone("$ORIGIN o.test.\n" + text).records.values()] == ttls


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("www A 192.0.2.1", "z:1: a relative name, and neither $ORIGIN, an SOA nor the file's name says relative to what"),
        ("\na.test. MX 10 mail\n", "z:2: a relative name"),
        ("@ SOA n. h. 1 2 3 4 5", "z:1: a relative name"),
        ("$ORIGIN relative\n", "z:1: "),
        ("a.test. A 192.0.2.256\n\n", "z:1: Text input is malformed: 'a.test. A 192.0.2.256'"),
        ("; c\na.test. FOO x\n", "z:2: unknown rdatatype 'FOO'"),
        ("a.test. TXT (\n x\n y\n", "z:1: "),
        ("b.test. TXT x\na.test. TXT (\n x\n y ) (", "z:2: "),
        ('a.test. TXT "x\n', "z:1: newline in quoted string"),
        ("a.test. TXT " + "x" * 256, "z:1: string too long"),
        ("a.test. CH TXT x", "z:1: RR class is not zone's class"),
        ("$INCLUDE /etc/passwd", "z:1: zone file directive '$INCLUDE' is not allowed"),
        ("$GENERATE 1-1000000000 a$ A 192.0.2.1", "z:1: zone file directive '$GENERATE' is not allowed"),
        ("a..test. A 192.0.2.1", "z:1: "),
        (("x" * 64) + ". A 192.0.2.1", "z:1: "),
        ("a.test. CNAME b.test.\na.test. TXT x", "z:2: a.test has a TXT record, and a CNAME in line 1"),
        ("a.test. CNAME b.test.\na.test. CNAME c.test.", "z:1: a.test has several CNAME records"),
        ("a.test. SOA n. h. 1 2 3 4 5\na.test. SOA n. h. 1 2 3 4 6", "z:1: a.test has several SOA records"),
    ],
)
def test_a_zone_file_that_cannot_be_used_is_one_line_with_its_place(text, says):
    with pytest.raises(ZoneError) as caught:
        parse_zone(text, "z")
    assert str(caught.value).startswith(says)
    assert "\n" not in str(caught.value)


def test_an_origin_can_be_given():
    assert parse_zone("@ TXT x", origin="O.test.").records == {("o.test", "TXT"): Found(((b"x",),), TTL)}
    with pytest.raises(ZoneError, match="no domain name"):
        parse_zone("@ TXT x", origin="a..b")


@pytest.mark.parametrize(
    ("octets", "says"), [(None, "No such file"), (b"a.test. TXT \xff", ":1: not UTF-8"), (b"\n\n\xe4", ":3: not UTF-8")]
)
def test_a_file_that_cannot_be_read_is_said_so(tmp_path, octets, says):
    path = tmp_path / "o.test.zone"
    if octets is not None:
        path.write_bytes(octets)
    with pytest.raises(ZoneError, match=says):
        read(path)


def test_a_file_is_read_from_disk(tmp_path):
    path = tmp_path / "o.test.zone"
    path.write_text("\ufeffwww A 192.0.2.1", encoding="utf-8")
    assert ask(ZoneOverlay([read(path)], Closed()), "www.o.test A") == Found(("192.0.2.1",), TTL)


def test_a_file_that_is_too_large_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MAX_ZONE", 10)
    path = tmp_path / "o.test.zone"
    path.write_text("www A 192.0.2.1")
    with pytest.raises(ZoneError, match="longer than 10"):
        read(path)
    with pytest.raises(ZoneError, match="longer than 10"):
        parse_zone("www A 192.0.2.1")


TYPES = ["A", "AAAA", "TXT", "MX", "SOA", "NS", "CNAME", "CAA"]
WORDS = [
    "\n",
    "a.test.",
    "@",
    "IN",
    "CH",
    "$TTL",
    "$ORIGIN",
    "60",
    "1h",
    "192.0.2.1",
    "::",
    "(",
    ")",
    '"',
    "x",
    ";",
    "\\#",
    *TYPES,
]


def returns_or_raises_one_line(text):
    said = ""
    try:
        parse_zone(text)
    except ZoneError as error:
        said = str(error)
    assert "\n" not in said


def test_many_records_at_one_name_take_time_in_proportion():
    def took(count):
        text = "\n".join(f"a.test. A 10.{n >> 16 & 255}.{n >> 8 & 255}.{n & 255}" for n in range(count))
        began = time.process_time()
        parse_zone(text)
        return time.process_time() - began

    few, many = (min(took(count) for _ in range(3)) for count in (500, 8000))
    assert many < 64 * few  # 16 times the records; quadratic time would be 256 times as long


@given(st.text('ab@*.$;()"\\ \n\t01\0ä', max_size=60), st.sampled_from(["", "$ORIGIN o.test.\n", "a.test. TXT "]))
def test_any_text_is_a_zone_or_the_one_error(text, head):
    returns_or_raises_one_line(head + text)


@given(st.lists(st.sampled_from(WORDS)))
def test_any_words_are_a_zone_or_the_one_error(words):
    returns_or_raises_one_line(" ".join(words))


@given(st.lists(asked(), max_size=5))
def test_records_written_to_a_file_are_read_again(cases):
    records = {}
    for question, answer in cases:
        alone = question.type == "CNAME" or (question.name, "CNAME") in records or len(getattr(answer, "records", ())) != 1
        if isinstance(answer, Found) and not (alone and any(name == question.name for name, _ in records)):
            records[question.name, question.type] = answer
    text = "".join(
        f"{name}. {found.ttl} IN {type_} {wire.rdata_of(type_, value).to_text()}\n"
        for (name, type_), found in records.items()
        for value in found.records
    )
    assert parse_zone(text).records == {key: Found(found.records, found.ttl) for key, found in records.items()}


# --- overlay -----------------------------------------------------------------------------------------------------

PUBLISHED = {
    "o.test SOA": "ns.test. hm.test. 1 2 3 4 5",
    "o.test TXT": "published",
    "o.test MX": "10 mx.o.test.",
    "www.o.test CNAME": "old.cdn.test.",
    "old.cdn.test A": "192.0.2.9",
    "s1._domainkey.o.test CNAME": "s1.esp.test.",
    "s1.esp.test TXT": "old key",
    "s2._domainkey.o.test CNAME": "mid.esp.test.",
    "mid.esp.test CNAME": "end.esp.test.",
    "end.esp.test TXT": "end",
    "host.o.test A": "192.0.2.3",
    "down.o.test TXT": "SERVFAIL",
    "child.sub.full.test A": "192.0.2.4",
    "*.w.o.test TXT": "old wild",
    "real.w.o.test TXT": "real",
    "other.w.o.test A": "192.0.2.5",
}

CHANGES = """
$ORIGIN o.test.
@ 60 TXT "new"
www CNAME new.cdn.test.
new.cdn.test. A 192.0.2.10
s1.esp.test. TXT "new key"
end.esp.test. CNAME far.test.
_dmarc.young TXT "v=DMARC1"
*.w TXT "new wild"
*.v TXT "first wild"
*.c CNAME host
chain CNAME s1._domainkey
loop CNAME loop2
loop2 CNAME loop
lost CNAME nowhere.o.test.
unknown CNAME down
"""

FULL = """
$ORIGIN full.test.
@ 600 SOA ns hm 1 2 3 4 60
@ NS ns
a TXT "a"
deep.ent TXT "e"
* MX 10 mx
*.c CNAME a
sub NS ns.elsewhere.test.
sub DS 1 8 2 0000000000000000000000000000000000000000000000000000000000000000
glue.sub A 192.0.2.8
up CNAME host.o.test.
"""


@pytest.fixture(scope="module")
def overlay():
    return ZoneOverlay([parse_zone(CHANGES), parse_zone(FULL)], from_mapping(PUBLISHED))


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        # a file of changes
        ("o.test TXT", Found(((b"new",),), 60)),
        ("O.TEST. txt", Found(((b"new",),), 60)),
        ("o.test MX", Found(((10, "mx.o.test"),))),
        ("nope.o.test TXT", NoSuchName()),
        ("www.o.test A", Found(("192.0.2.10",), 60, aliases=("new.cdn.test",))),
        ("www.o.test CNAME", Found(("new.cdn.test",), 60)),
        ("www.o.test MX", NoData(60, ("new.cdn.test",))),
        ("young.o.test TXT", NoData()),
        ("down.o.test TXT", Failed(Failure.SERVFAIL)),
        # from a published alias into the file, and from the file's alias to what is published
        ("s1._domainkey.o.test TXT", Found(((b"new key",),), 60, aliases=("s1.esp.test",))),
        ("s2._domainkey.o.test TXT", NoSuchName(60, ("mid.esp.test", "end.esp.test", "far.test"))),
        ("chain.o.test TXT", Found(((b"new key",),), 60, aliases=("s1._domainkey.o.test", "s1.esp.test"))),
        ("loop.o.test A", Failed(Failure.SERVFAIL, "the CNAME records of loop.o.test lead back to loop.o.test")),
        ("lost.o.test A", NoSuchName(60, ("nowhere.o.test",))),
        ("unknown.o.test TXT", Failed(Failure.SERVFAIL, "servfail at its CNAME target down.o.test")),
        # wildcards of a zone that we do not have
        ("x.v.o.test TXT", Found(((b"first wild",),), 60)),
        ("x.y.v.o.test TXT", Found(((b"first wild",),), 60)),
        ("x.v.o.test A", NoSuchName()),
        ("x.w.o.test TXT", Found(((b"new wild",),), 60)),
        ("real.w.o.test TXT", Found(((b"real",),))),
        ("x.c.o.test A", Found(("192.0.2.3",), 60, aliases=("host.o.test",))),
        # a whole zone
        ("a.full.test TXT", Found(((b"a",),), 600)),
        ("a.full.test A", NoData(60)),
        ("ent.full.test TXT", NoData(60)),
        ("full.test SOA", Found((("ns.full.test", "hm.full.test", 1, 2, 3, 4, 60),), 600)),
        ("full.test NS", Found(("ns.full.test",), 600)),
        ("x.full.test MX", Found(((10, "mx.full.test"),), 600)),
        ("x.full.test TXT", NoData(60)),
        ("x.ent.full.test MX", NoSuchName(60)),
        ("x.c.full.test TXT", Found(((b"a",),), 600, aliases=("a.full.test",))),
        ("up.full.test A", Found(("192.0.2.3",), 300, aliases=("host.o.test",))),
        # below a delegation others know
        ("child.sub.full.test A", Found(("192.0.2.4",))),
        ("nope.sub.full.test A", NoSuchName()),
        ("glue.sub.full.test A", Found(("192.0.2.8",), 600)),
        ("sub.full.test NS", Found(("ns.elsewhere.test",), 600)),
        ("sub.full.test TXT", NoData()),
    ],
)
def test_the_files_lie_over_what_is_published(overlay, question, answer):
    assert ask(overlay, question) == answer


def test_ds_at_a_delegation_is_the_parents(overlay):
    assert ask(overlay, "sub.full.test DS") == Found(("1 8 2 " + "0" * 64,), 600)


def test_with_nothing_beneath_only_what_is_listed_exists():
    client = overlay_of_text("$ORIGIN o.test.\n_dmarc TXT x\nc CNAME gone", Closed())
    assert ask(client, "_dmarc.o.test TXT") == Found(((b"x",),), TTL)
    assert ask(client, "_dmarc.o.test A") == NoData()
    assert ask(client, "o.test TXT") == NoData()
    assert ask(client, "x.o.test TXT") == NoSuchName()
    assert ask(client, "c.o.test TXT") == NoSuchName(300, ("gone.o.test",))
    assert (client.use(), client.snapshot_age_s) == (DnsUse(), None)


def test_what_a_wildcard_would_hide_is_unknown_when_dns_does_not_answer():
    client = overlay_of_text("*.o.test. TXT x", from_mapping({"a.o.test TXT": "TIMEOUT"}))
    assert ask(client, "a.o.test TXT") == Failed(Failure.TIMEOUT)


def test_a_type_added_to_a_published_wildcard_counts():
    client = overlay_of_text("*.o.test. TXT x", from_mapping({"*.o.test A": "192.0.2.1"}))
    assert ask(client, "a.o.test TXT") == Found(((b"x",),), TTL)


def test_a_chain_through_files_and_dns_has_one_limit():
    links = {f"l{n}.test CNAME": f"l{n + 1}.test" for n in range(8)}
    published = from_mapping(links | {"l8.test A": "192.0.2.1"})
    assert ask(published, "l0.test A").aliases == tuple(f"l{n}.test" for n in range(1, 9))
    assert ask(overlay_of_text("a.test. CNAME l0.test.", published), "a.test A") == Failed(
        Failure.SERVFAIL, "more than 8 CNAME records follow on a.test"
    )


def test_a_later_file_stands_for_an_earlier_one():
    one = parse_zone("a.test. TXT one\na.test. A 192.0.2.1\nb.test. CNAME a.test.\nc.test. TXT one")
    two = parse_zone("a.test. TXT two\nb.test. TXT two\nc.test. CNAME a.test.")
    client = ZoneOverlay([one, two], Closed())
    assert ask(client, "a.test TXT") == Found(((b"two",),), TTL)
    assert ask(client, "a.test A") == Found(("192.0.2.1",), TTL)
    assert ask(client, "b.test TXT") == Found(((b"two",),), TTL)
    assert ask(client, "c.test TXT") == Found(((b"two",),), TTL, aliases=("a.test",))


def test_a_snapshot_beneath_keeps_its_age():
    snapshot = Snapshot.parse('{"format": "delivcheck-dns/1", "taken": "2020-01-01T00:00:00Z", "answers": {}}')
    assert ZoneOverlay([], Replay(snapshot)).snapshot_age_s > 10**8


@given(st.lists(asked(), max_size=6), asked())
def test_an_overlay_answers_its_own_record_sets_and_leaves_the_rest_alone(cases, other):
    records = {
        (question.name, question.type): answer for question, answer in cases if isinstance(answer, Found) and not answer.aliases
    }
    zone = Zone("", {key: found for key, found in records.items() if key[1] not in ("CNAME", "SOA") and "*" not in key[0]})
    question, beneath = other

    class Beneath(Closed):
        async def ask(self, name, type):  # noqa: A002
            return beneath if normal(name, type) == question else NoSuchName()

    client = ZoneOverlay([zone], Beneath())
    for (name, type_), found in zone.records.items():
        assert asyncio.run(client.ask(name, type_)) == found
    if not any(name == question.name or name.endswith("." + question.name) for name, _ in zone.records) and not getattr(
        beneath, "aliases", ()
    ):
        assert asyncio.run(client.ask(question.name, question.type)) == beneath


# --- names -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("", []),
        ("a", ["a"]),
        ("a.b", ["a", "b"]),
        ("a\\.b.c", ["a\\.b", "c"]),
        ("a\\\\.b", ["a\\\\", "b"]),
        ("\\046.b", ["\\046", "b"]),
    ],
)
def test_a_dot_after_a_backslash_is_in_a_label(name, expected):
    assert labels(name) == expected


@pytest.mark.parametrize(
    ("name", "expected"), [(".", ""), ("A.b.", "a.b"), ("a\\.", "a\\."), ("a\\\\.", "a\\\\"), ("", ""), ("a..", "a.")]
)
def test_one_final_dot_is_dropped(name, expected):
    assert normal(name, "txt") == Question(expected, "TXT")


@given(names)
def test_upward_leads_to_the_root(name):
    above = list(upward(name))
    assert above[0] == name
    assert above[-1] == ""
    assert len(above) == len(labels(name)) + 1
