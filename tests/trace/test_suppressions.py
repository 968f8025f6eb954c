"""The suppression list, on SQLite and PostgreSQL alike."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivcheck.trace import suppressions
from delivcheck.trace.model import Reason, normal
from delivcheck.trace.suppressions import Suppression, SuppressionError

NOW = 1_800_000_000_000
DAY = 86_400_000


@pytest.fixture
def db(store):
    with store.write() as connection:
        yield connection


@pytest.fixture
def tenant(store, db):
    return store.tenant(db)


def put(db, tenant, address="pat@example.com", reason=Reason.BOUNCE, **more):
    return suppressions.add(db, tenant, address, reason, **{"since": NOW, **more})


@pytest.mark.attack(69)
@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Pat@Example.COM", "pat@example.com"),
        ("jos\u00e9@b\u00fccher.example", "JOSE\u0301@xn--bcher-kva.example"),
        ("stra\u00dfe@example.com", "STRASSE@example.com"),
        ("<pat@example.com>", " pat@example.com "),
    ],
)
def test_an_address_is_found_in_whatever_spelling_it_comes(db, tenant, one, other):
    put(db, tenant, one)
    assert suppressions.find(db, tenant, other.strip(), now=NOW).reason is Reason.BOUNCE
    assert not put(db, tenant, other), "it is the same entry"
    assert suppressions.remove(db, tenant, other) == 1


def test_an_entry_of_a_stream_keeps_mail_of_that_stream_and_one_of_none_all(db, tenant):
    put(db, tenant, stream="weekly", reason=Reason.UNSUBSCRIBE)
    assert suppressions.find(db, tenant, "pat@example.com", "weekly", now=NOW).reason is Reason.UNSUBSCRIBE
    assert suppressions.find(db, tenant, "pat@example.com", "receipts", now=NOW) is None
    assert suppressions.find(db, tenant, "pat@example.com", now=NOW) is None
    put(db, tenant)
    assert suppressions.find(db, tenant, "pat@example.com", "receipts", now=NOW).stream == ""
    assert len(suppressions.of(db, tenant, "pat@example.com", now=NOW)) == 2
    assert suppressions.remove(db, tenant, "pat@example.com", stream="weekly") == 1
    assert suppressions.remove(db, tenant, "pat@example.com") == 1
    assert suppressions.remove(db, tenant, "pat@example.com") == 0


def test_an_entry_ends_by_itself_and_one_that_ended_is_begun_anew(db, tenant):
    assert put(db, tenant, until=NOW + DAY)
    assert suppressions.find(db, tenant, "pat@example.com", now=NOW + DAY - 1)
    assert suppressions.find(db, tenant, "pat@example.com", now=NOW + DAY) is None
    assert put(db, tenant, since=NOW + 2 * DAY, reason=Reason.MANUAL)
    found = suppressions.find(db, tenant, "pat@example.com", now=NOW + 3 * DAY)
    assert (found.since, found.until, found.reason) == (NOW + 2 * DAY, None, Reason.MANUAL)


def test_adding_again_never_weakens_an_entry(db, tenant):
    put(db, tenant, reason=Reason.COMPLAINT, note="first", event="e1")
    assert not put(db, tenant, reason=Reason.BOUNCE, until=NOW + DAY, since=NOW + 5, note="second", event="e2")
    found = suppressions.find(db, tenant, "pat@example.com", now=NOW + 2 * DAY)
    assert (found.reason, found.since, found.until, found.note, found.event) == (Reason.COMPLAINT, NOW, None, "first", "e1")
    put(db, tenant, "ann@example.com", until=NOW + DAY)
    put(db, tenant, "ann@example.com", reason=Reason.COMPLAINT, until=NOW + 2 * DAY)
    found = suppressions.find(db, tenant, "ann@example.com", now=NOW)
    assert (found.reason, found.until) == (Reason.COMPLAINT, NOW + 2 * DAY)


def test_tenants_have_lists_of_their_own(store, db, tenant):
    other = store.tenant(db, "other")
    put(db, tenant)
    assert suppressions.find(db, other, "pat@example.com", now=NOW) is None
    assert suppressions.listed(db, other, now=NOW) == []
    assert list(suppressions.exported(db, other, now=NOW)) == []
    assert suppressions.remove(db, other, "pat@example.com") == 0


def test_the_list_is_searched_filtered_and_paged(db, tenant):
    for number in range(12):
        put(db, tenant, f"user{number}@example.com", Reason.COMPLAINT if number % 2 else Reason.BOUNCE)
    put(db, tenant, "100%_sure@example.net", stream="weekly")
    put(db, tenant, "over@example.net", until=NOW + 1)
    now = NOW + DAY
    assert len(suppressions.listed(db, tenant, now=now)) == 13
    assert len(suppressions.listed(db, tenant, now=now, ended=True)) == 14
    assert len(suppressions.listed(db, tenant, now=now, reason=Reason.COMPLAINT)) == 6
    assert [one.address for one in suppressions.listed(db, tenant, now=now, contains="%_S")] == ["100%_sure@example.net"]
    assert [one.stream for one in suppressions.listed(db, tenant, now=now, stream="weekly")] == ["weekly"]
    first = suppressions.listed(db, tenant, now=now, limit=5)
    second = suppressions.listed(db, tenant, now=now, limit=5, before=first[-1].id)
    assert len({one.address for one in (*first, *second)}) == 10
    assert first[0].id > second[0].id


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_what_is_written_out_comes_in_again_as_it_was(db, tenant, form, monkeypatch):
    monkeypatch.setattr(suppressions, "CHUNK", 3)
    put(db, tenant, note='a "quoted", note')
    put(db, tenant, "=cmd@example.com", Reason.COMPLAINT, stream="weekly")
    put(db, tenant, "'tis@example.com", Reason.MANUAL, until=NOW + DAY)
    for number in range(7):
        put(db, tenant, f"+{number}@example.com")
    before = {
        (one.address, one.stream, one.reason, one.since, one.until, one.note)
        for one in suppressions.exported(db, tenant, now=NOW)
    }
    text = "".join(suppressions.written(suppressions.exported(db, tenant, now=NOW), form))
    for one in list(suppressions.exported(db, tenant, now=NOW)):
        suppressions.remove(db, tenant, one.address)
    assert suppressions.imported(db, tenant, suppressions.parsed(text, now=NOW)) == (10, 0)
    after = {
        (one.address, one.stream, one.reason, one.since, one.until, one.note)
        for one in suppressions.exported(db, tenant, now=NOW)
    }
    assert after == before
    assert suppressions.imported(db, tenant, suppressions.parsed(text, now=NOW)) == (0, 10)
    assert form != "csv" or "\n=" not in text, "no spreadsheet calculates with it"


def test_what_has_ended_is_deleted_when_that_is_asked_for(db, tenant):
    put(db, tenant, until=NOW + 1)
    put(db, tenant, "ann@example.com")
    assert suppressions.expire(db, before=NOW + DAY) == 1
    assert [one.address for one in suppressions.listed(db, tenant, ended=True)] == ["ann@example.com"]


# --- files and addresses, without a database ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("pat@example.com\n\n# gone\nANN@example.com\n", [("pat@example.com", "manual"), ("ann@example.com", "manual")]),
        (
            "EmailAddress,SuppressionReason,CreatedAt\npat@example.com,HardBounce,2026-01-02T03:04:05Z\n",
            [("pat@example.com", "bounce")],
        ),
        ("email,created\npat@example.com,1700000000\n", [("pat@example.com", "manual")]),
        ('\ufeff"address","reason"\r\n"pat@example.com","unsubscribe"\r\n', [("pat@example.com", "unsubscribe")]),
        ('{"email": "pat@example.com", "type": "Spam Complaint", "more": [1]}\n', [("pat@example.com", "complaint")]),
        ("", []),
    ],
    ids=["lines", "postmark", "sendgrid", "excel", "json", "empty"],
)
def test_lists_of_others_are_read(text, found):
    assert [(one.address, str(one.reason)) for one in suppressions.parsed(text, now=NOW)] == found


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("pat@example.com\nnobody\n", "line 2: 'nobody' is no address"),
        ("address,reason\npat@example.com,dislike\n", "line 2: 'dislike' is no reason"),
        ("address,since\npat@example.com,yesterday\n", "line 2: 'yesterday' is no time"),
        ('{"address": ["x"]}', "line 1: address: a text is wanted"),
        ('{"address": "x@example.com"', "line 1: not JSON"),
        ('address,note\n"pat@example.com\n', "line 2: not CSV"),
        ("x" * 20_000, "line 1: more than"),
    ],
    ids=["address", "reason", "time", "shape", "json", "csv", "long"],
)
def test_what_is_no_list_is_told_with_its_line(text, said):
    with pytest.raises(SuppressionError, match=said):
        list(suppressions.parsed(text, now=NOW))


@given(st.text(max_size=200) | st.text("address,{}\":[]\n\r'=@a.b0", max_size=200))
def test_reading_a_list_returns_entries_or_raises_its_one_error(text):
    try:
        for one in suppressions.parsed(text, now=NOW):
            assert suppressions.address_of(one.address) == one.address
            assert one.since <= NOW
    except SuppressionError as error:
        assert str(error).startswith(("line ", "not CSV"))


@given(st.text(max_size=100))
def test_an_address_is_normal_once_and_for_all_or_none(text):
    try:
        found = suppressions.address_of(text)
    except SuppressionError:
        return
    assert suppressions.address_of(found) == found


@given(st.text(max_size=30) | st.integers() | st.floats())
def test_a_time_is_milliseconds_or_the_one_error(value):
    try:
        found = suppressions.moment(value)
    except SuppressionError:
        return
    assert found is None or 0 <= found < 1 << 53


@given(st.builds(Suppression, st.sampled_from(["a@example.com", "=b@example.com"]), st.sampled_from(["", "weekly"]),
                 st.sampled_from(Reason), st.integers(0, NOW // 1000).map(lambda at: at * 1000), st.none(),
                 st.text(max_size=50).map(suppressions._line)))  # fmt: skip
def test_any_entry_survives_being_written_and_read(entry):
    for form in ("csv", "jsonl"):
        assert list(suppressions.parsed("".join(suppressions.written([entry], form)), now=NOW)) == [entry]


@pytest.mark.attack(69)
@pytest.mark.parametrize(
    "spelt", ['"pat"@example.net', '"p\\at"@EXAMPLE.net', '"PAT"@example.net', '"\\p\\a\\t"@example\u3002net']
)
def test_quotation_marks_that_say_nothing_lead_past_no_entry(store, spelt):
    with store.write() as db:
        tenant = store.tenant(db)
        suppressions.add(db, tenant, "pat@example.net", Reason.UNSUBSCRIBE)
        assert suppressions.find(db, tenant, spelt)
        assert not suppressions.find(db, tenant, '"pat "@example.net')
        assert not suppressions.add(db, tenant, spelt, Reason.MANUAL)


@given(st.text('ab \\"@.\0é', max_size=12))
def test_a_quoted_address_is_normal_once_and_for_all(local):
    once = normal(f'"{local}"@example.net')
    assert normal(once) == once
