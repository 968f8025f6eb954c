"""Which format a file has, by what is in it; and what edits, deletions and whole zones do to the answers beneath."""

import asyncio
import os
import threading

import pytest

from delivcheck.model import Failed, Failure, Found, NoData, NoSuchName
from delivcheck.net import zonefile
from delivcheck.net.names import Alias, Edit
from delivcheck.net.snapshot import from_mapping
from delivcheck.net.zone import Zone, ZoneError, ZoneOverlay
from delivcheck.net.zonefile import parse, read

BENEATH = {
    "example.org TXT": ["v=spf1 -all", "verification=x"],
    "example.org MX": "10 mx.example.org.",
    "mx.example.org A": "192.0.2.1",
    "old.example.org CNAME": "there.example.net.",
    "there.example.net TXT": "there",
    "there.example.net A": "192.0.2.7",
    "*.wild.example.org TXT": "star",
    "*.wild.example.org A": "192.0.2.8",
    "slow.example.org TXT": "TIMEOUT",
}


def over(records, **more):
    records = {tuple(key.split()): held for key, held in records.items()}
    client = ZoneOverlay([Zone("example.org", records, **more)], from_mapping(BENEATH))
    return lambda question: asyncio.run(client.ask(*question.split()))


# --- formats -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "file", "kind"),
    [
        ("$ORIGIN example.org.\n@ TXT x\n", "a", "zone file"),
        ("; comment\nexample.org. TXT x\n", "a.yaml", "zone file"),
        ("example.org. 60 IN TXT x\n", "example.org.yaml", "zone file"),
        ('_dmarc.example.org. IN TXT "v=DMARC1: no"\n', "a", "zone file"),
        ("", "a", "zone file"),
        ("# nothing\n", "example.org.yaml", "octoDNS file"),
        ("---\nwww: {type: A, value: 192.0.2.1}\n", "example.org.zone.yml", "octoDNS file"),
        ("# made by octodns-dump\n'':\n  type: A\n  value: 192.0.2.1\n", "example.org.yaml", "octoDNS file"),
        ("? ''\n: type: A\n  value: 192.0.2.1\n", "example.org./x.yaml", "octoDNS file"),
        ('"*":\n  type: A\n  value: 192.0.2.1\n', "example.org.yaml", "octoDNS file"),
        ("_dmarc: {type: TXT, value: x}", "example.org.yaml", "octoDNS file"),
        ('\ufeff  {"format_version": "1.2", "planned_values": {}}', "a.yaml", "Terraform plan"),
    ],
)
def test_the_format_shows_in_the_content_whatever_the_file_is_called(text, file, kind):
    assert parse(text.encode(), file).kind == kind
    assert parse(text, file).kind == kind


@pytest.mark.parametrize(
    ("octets", "says"),
    [
        (b"PK\x03\x04...", "a binary plan, or a ZIP archive"),
        (b"\x1f\x8b...", "gzip-compressed"),
        ("x".encode("utf-16"), "stored as UTF-16"),
        (b"a\n\n\xff", ":3: not UTF-8"),
        (b'{"a": "\xff"}', ":1: not UTF-8"),
        (b"---\na: \xff", ":2: not UTF-8"),
        ("---\na: \ud800", ":2: not UTF-8"),
    ],
)
def test_what_is_no_text_is_told(octets, says):
    with pytest.raises(ZoneError, match=says):
        parse(octets, "a")


def test_files_that_cannot_be_read_are_told(tmp_path, monkeypatch):
    for path, says in ((tmp_path, "Is a directory"), (tmp_path / "none", "No such file"), ("a\0b", "null byte")):
        with pytest.raises(ZoneError, match=says):
            read(path)
    monkeypatch.setattr(zonefile, "MAX_FILE", 10)
    (tmp_path / "large").write_text("; " * 10)
    with pytest.raises(ZoneError, match="longer than 10 octets"):
        read(tmp_path / "large")
    with pytest.raises(ZoneError, match="longer than 10 octets"):
        parse("; " * 10)


def test_endless_files_are_read_to_the_limit_and_pipes_to_their_end(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "pipe")
    writing = threading.Thread(target=lambda: (tmp_path / "pipe").write_text("example.org. TXT x\n"))
    writing.start()
    assert list(read(tmp_path / "pipe").records) == [("example.org", "TXT")]
    writing.join()
    monkeypatch.setattr(zonefile, "MAX_FILE", 100_000)
    with pytest.raises(ZoneError, match="longer than"):
        read("/dev/zero")


# --- what they do ------------------------------------------------------------------------------------------------


def test_a_deleted_set_is_gone_and_the_others_of_its_name_are_there():
    ask = over({"example.org TXT": NoData()})
    assert isinstance(ask("example.org TXT"), NoData)
    assert ask("example.org MX").records == ((10, "mx.example.org"),)


def test_a_deleted_cname_leads_nowhere_for_any_type():
    ask = over({"old.example.org CNAME": NoData(), "old.example.org A": Found(("192.0.2.9",))})
    assert isinstance(ask("old.example.org TXT"), NoData)
    assert ask("old.example.org A").records == ("192.0.2.9",)
    ask = over({"old.example.org CNAME": NoData(), "old.example.org TXT": Edit((), ((b"own",),), 60)})
    assert ask("old.example.org TXT") == Found(((b"own",),), 60)


def test_an_edit_takes_out_and_puts_in_single_records():
    edit = Edit(((b"v=spf1", b" -all"), (b"not there",)), ((b"v=spf1 ~all",),), 60)
    ask = over({"example.org TXT": edit})
    assert ask("example.org TXT") == Found(((b"v=spf1 ~all",), (b"verification=x",)), 60), "cut elsewhere is the same record"
    assert isinstance(over({"example.org MX": Edit(((10, "mx.example.org"),), (), 60)})("example.org MX"), NoData)
    assert over({"new.example.org TXT": Edit((), ((b"x",),), 60)})("new.example.org TXT").records == ((b"x",),)
    assert over({"slow.example.org TXT": Edit((), ((b"x",),), 60)})("slow.example.org TXT").kind is Failure.TIMEOUT


def test_what_will_be_unknown_is_unknown():
    failed = Failed(Failure.REFUSED, "known after apply")
    assert over({"example.org TXT": failed})("example.org TXT") == failed
    assert isinstance(over({"new.example.org CNAME": failed})("new.example.org TXT"), Failed)


def test_a_flat_alias_shows_the_targets_records_and_no_cname():
    ask = over(
        {
            "example.org A": Alias("there.example.net", 30, flat=True),
            "example.org AAAA": Alias("there.example.net", 30, flat=True),
        }
    )
    assert ask("example.org A") == Found(("192.0.2.7",), 30)
    assert ask("example.org AAAA") == NoData(30)
    assert over({"a.example.org A": Alias("nowhere.example.net", 30, flat=True)})("a.example.org A") == NoData(30)
    assert isinstance(over({"a.example.org TXT": Alias("slow.example.org", 30, flat=True)})("a.example.org TXT"), Failed)
    looping = over(
        {"a.example.org A": Alias("b.example.org", 30, flat=True), "b.example.org A": Alias("a.example.org", 30, flat=True)}
    )
    assert "aliases lead to" in looping("a.example.org A").detail


def test_wildcards_are_edited_and_deleted_too():
    ask = over({"*.wild.example.org TXT": Edit(((b"star",),), ((b"new",),), 60)})
    assert ask("x.wild.example.org TXT") == Found(((b"new",),), 60)
    assert ask("x.wild.example.org A").records == ("192.0.2.8",)
    ask = over({"*.wild.example.org TXT": NoData()})
    assert isinstance(ask("x.wild.example.org TXT"), NoSuchName)
    assert ask("x.wild.example.org A").records == ("192.0.2.8",)


def test_a_whole_zone_has_nothing_but_what_it_lists_and_leaves_open():
    records = {"example.org TXT": Found(((b"x",),)), "sub.example.org NS": Found(("ns.example.net",))}
    opened = frozenset({("example.org", "MX"), ("old.example.org", "CNAME")})
    ask = over(records, whole=True, open=opened)
    assert isinstance(ask("mx.example.org A"), NoSuchName)
    assert isinstance(ask("example.org A"), NoData)
    assert ask("example.org MX").records == ((10, "mx.example.org"),)
    assert ask("old.example.org TXT").records == ((b"there",),)
    assert ask("there.example.net A").records == ("192.0.2.7",), "another zone"
    assert isinstance(ask("x.sub.example.org A"), NoSuchName), "delegated, so the DNS was asked"


@pytest.mark.parametrize(
    ("first", "second", "holds"),
    [
        (Found(((b"a",), (b"b",)), 60), Edit(((b"a",),), ((b"c",),), 9), Found(((b"b",), (b"c",)), 9)),
        (Found(((b"a",),), 60), Edit(((b"a",),), (), 9), NoData(9)),
        (NoData(), Edit((), ((b"c",),), 9), Found(((b"c",),), 9)),
        (Failed(Failure.REFUSED), Edit((), ((b"c",),), 9), Failed(Failure.REFUSED)),
        (Edit((), ((b"a",), (b"b",)), 60), Edit(((b"a",),), ((b"c",),), 9), Found(((b"b",), (b"c",), (b"v=spf1 -all",), (b"verification=x",)), 9)),
        (Edit((), ((b"a",),), 60), Found(((b"z",),), 9), Found(((b"z",),), 9)),
        (Alias("a.example", 9, flat=True), Edit((), ((b"c",),), 9), Found(((b"c",), (b"v=spf1 -all",), (b"verification=x",)), 9)),
    ],
)  # fmt: skip
def test_a_later_file_changes_what_an_earlier_one_said(first, second, holds):
    zones = [Zone("", {("example.org", "TXT"): held}) for held in (first, second)]
    assert asyncio.run(ZoneOverlay(zones, from_mapping(BENEATH)).ask("example.org", "TXT")) == holds
