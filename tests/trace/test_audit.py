"""What operators did is written down with who did it, and read again by its tenant alone."""

from delivcheck.trace import audit


def test_notes_are_read_newest_first_page_by_page(store):
    with store.write() as db:
        tenant, other = store.tenant(db), store.tenant(db, "other")
        for number in range(5):
            audit.note(db, tenant, "cli:root", "held.release", f"trace{number}", {"number": number}, at=number)
        audit.note(db, tenant, "key:app", "heldout", "x")
        audit.note(db, other, "cli:eve", "held.release", "y")
    with store.read() as db:
        assert [one.object for one in audit.read(db, tenant)] == ["x", "trace4", "trace3", "trace2", "trace1", "trace0"]
        first = audit.read(db, tenant, action="held", limit=2)
        assert [(one.object, one.detail, one.who) for one in first] == [
            ("trace4", {"number": 4}, "cli:root"), ("trace3", {"number": 3}, "cli:root"),
        ]  # fmt: skip
        then = audit.read(db, tenant, action="held.release", before=first[-1].id)
        assert [one.object for one in then] == ["trace2", "trace1", "trace0"]
        assert [one.object for one in audit.read(db, tenant, object="trace2")] == ["trace2"]
        assert [one.object for one in audit.read(db, other)] == ["y"]


def test_what_a_database_does_not_take_does_not_stop_the_action(store):
    with store.write() as db:
        tenant = store.tenant(db)
        audit.note(db, tenant, "proxy:\0\ud800", "x" * 100, "\0" * 2_000, {"text": "y" * 10_000})
    with store.read() as db:
        (one,) = audit.read(db, tenant)
    assert one.who == "proxy:�?"
    assert (len(one.action), len(one.object), list(one.detail)) == (64, 1_000, ["cut"])


def test_a_note_of_an_action_that_fails_is_not_kept(store):
    try:
        with store.write() as db:
            audit.note(db, store.tenant(db), "cli:root", "erase")
            raise KeyError
    except KeyError:
        pass
    with store.write() as db:
        assert audit.read(db, store.tenant(db)) == []
