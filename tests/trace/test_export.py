"""What is exported is all that is there, whole, and acts in no spreadsheet."""

import csv
import io
import json
import tracemalloc

import msgspec
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivcheck.trace import export, messages, shapes
from delivcheck.trace.export import Format, delimited
from delivcheck.trace.export.rows import EVENTS, MESSAGES, Choice, Type
from delivcheck.trace.model import Kind
from delivcheck.trace.queries import parse_query
from tests.trace.told import ADA, BOB, NOON, event, message, refused, sent, tell


@pytest.fixture
def told(store, monkeypatch):
    monkeypatch.setattr(messages, "MAX_EVENT_LIMIT", 7)  # several pages
    monkeypatch.setattr("delivcheck.trace.export.rows.PAGE", 2)
    records = []
    for number in range(4):
        records += sent(message(number, NOON + number, to=(BOB, ADA), subject='=HYPERLINK("https://evil.example")'))
    records += [event(message(0), Kind.BOUNCED, BOB, 500, text="@SUM(1+1)", status="5.1.1"), *refused(9, NOON + 9)]
    return store, tell(store, records)


def table(octets):
    return list(csv.DictReader(io.StringIO(octets.decode(), newline="")))


def test_events_are_the_same_in_every_format(told):
    store, tenant = told
    with store.read() as db:
        told_in_full, after = [], 0
        while page := messages.events(db, tenant, after, 7):
            told_in_full += [msgspec.to_builtins(shapes.event(one)) for one in page]
            after = page[-1].seq
    assert len(told_in_full) == 27
    lines = b"".join(export.events(store, tenant, Format.JSONL))
    assert [json.loads(line) for line in lines.splitlines()] == told_in_full
    rows = table(b"".join(export.events(store, tenant, Format.CSV)))
    assert [row["event_id"] for row in rows] == [one["event_id"] for one in told_in_full]
    assert list(rows[0]) == list(EVENTS) == list(told_in_full[0])
    parquet = pq.read_table(io.BytesIO(b"".join(export.events(store, tenant, Format.PARQUET))))
    assert parquet.column_names == list(EVENTS)
    assert parquet["event_id"].to_pylist() == [one["event_id"] for one in told_in_full]
    assert parquet["tags"].to_pylist()[0] == ["eu"]
    assert parquet["ts"].to_pylist()[0].isoformat(timespec="milliseconds").replace("+00:00", "Z") == told_in_full[0]["ts"]
    assert [json.loads(detail) for detail in parquet["detail"].to_pylist()] == [one["detail"] for one in told_in_full]


def test_events_can_be_chosen(told):
    store, tenant = told
    only = b"".join(export.events(store, tenant, Format.JSONL, Choice((Kind.BOUNCED,))))
    assert [json.loads(line)["rcpt"] for line in only.splitlines()] == [BOB]
    assert b"".join(export.events(store, tenant, Format.JSONL, Choice(until=NOON))) == b""
    assert b"".join(export.events(store, tenant + 1, Format.JSONL)) == b""


def test_messages_have_a_row_for_each_recipient(told):
    store, tenant = told
    rows = table(b"".join(export.messages(store, tenant, Format.CSV)))
    assert list(rows[0]) == list(MESSAGES)
    assert [row["rcpt"] for row in rows] == [BOB, *[BOB, ADA] * 4]
    assert [row["state"] for row in rows] == ["refused", *["sent"] * 6, "bounced", "sent"]
    lines = b"".join(export.messages(store, tenant, Format.JSONL, parse_query("status:bounced"))).splitlines()
    assert [json.loads(line)["rcpt"] for line in lines] == [BOB, ADA]  # of each message that is found
    assert len(table(b"".join(export.messages(store, tenant, Format.CSV, most=3)))) == 5
    parquet = pq.read_table(io.BytesIO(b"".join(export.messages(store, tenant, Format.PARQUET))))
    assert parquet["seen"].to_pylist()[0] == ["accepted", "refused"]


def test_nothing_is_a_file_with_its_columns_all_the_same(told):
    store, tenant = told
    nothing = parse_query("tag:gone")
    assert b"".join(export.messages(store, tenant, Format.CSV, nothing)).split(b"\r\n")[0].split(b",")[0] == b"message_id"
    assert b"".join(export.messages(store, tenant, Format.JSONL, nothing)) == b""
    assert pq.read_table(io.BytesIO(b"".join(export.messages(store, tenant, Format.PARQUET, nothing)))).num_rows == 0


def test_no_cell_of_csv_is_a_formula(told):
    store, tenant = told
    rows = table(b"".join(export.messages(store, tenant, Format.CSV, parse_query("tag:eu stream:receipts to:@gmail.com"))))
    assert {row["subject"] for row in rows} == {'\'=HYPERLINK("https://evil.example")'}


@given(st.text(max_size=20) | st.sampled_from(["=1", "+1", "-1", "@x", "\t=1", " =1", "\r=1", "\n=1", "＝1", "\ufeff=1", "\0"]))
def test_whatever_stands_in_a_cell_comes_back_as_text_and_does_not_act(text):
    octets = b"".join(delimited.write(iter([{"a": text, "b": 1}]), {"a": Type.TEXT, "b": Type.NUMBER}))
    (row,) = table(octets)
    cell = row["a"]
    assert not cell.lstrip(" \xa0\ufeff").startswith(("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠"))
    assert cell.removeprefix("'") in {text.replace("\0", "�"), text.replace("\0", "�").removeprefix("'")}
    assert row["b"] == "1"


@pytest.mark.parametrize("form", Format)
def test_memory_does_not_grow_with_the_number_of_rows(form, monkeypatch):
    monkeypatch.setattr("delivcheck.trace.export.columns.GROUP", 500)
    shape = {
        **dict.fromkeys(EVENTS, "x" * 50),
        "v": 1,
        "cursor": 1,
        "tags": ["a"],
        "ts": "2026-11-18T12:00:00.000Z",
        "detail": {},
    }

    def peak(number):
        tracemalloc.start()
        for _ in export.write((dict(shape) for _ in range(number)), EVENTS, form):
            pass
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    peak(600)  # what is made once
    assert peak(6_000) < 1.5 * peak(1_500) + 100_000
