"""Held mail where a key is configured: nothing of it lies on the disk in the clear, and it comes back as it was."""

from datetime import UTC, datetime, timedelta

import pytest

from delivcheck.gate import sealing
from delivcheck.gate.held import Damaged, HeldError, HeldStore, LockedError
from delivcheck.gate.settings import Hold, Secret
from tests.gate.test_held import OCTETS, RECIPIENTS, hold


@pytest.fixture
def keys(tmp_path):
    path = tmp_path / "held.key"
    path.write_text(f"{'ab' * 32}\n")
    return path


@pytest.fixture
def state(tmp_path):
    (tmp_path / "state").mkdir()
    return tmp_path / "state"


def opened(state, keys=None):
    return HeldStore(state, Hold(key=None if keys is None else Secret(file=keys)))


def test_nothing_of_the_message_is_on_the_disk(state, keys):
    store = opened(state, keys)
    entry = hold(store)
    written = b"".join(path.read_bytes() for path in store.folder.iterdir())
    for piece in (b"ada@example.com", b"lunch", b"noon", b"bob@example.org", b"192.0.2.1", b"no-signature", b"submission"):
        assert piece not in written
    assert entry.sealed
    assert store.entries() == [entry]
    assert store.octets(entry) == OCTETS
    assert store.beginning(entry, 5) == OCTETS[:5]


def test_without_the_key_it_is_counted_listed_discarded_and_expired_and_the_rest_says_why(state, keys):
    hold(opened(state, keys))
    store = opened(state)
    (one,) = store.entries()
    assert isinstance(one, Damaged)
    assert one.reason.endswith("it is encrypted, and [gate.hold] names no key")
    assert store.usage().messages == 1
    for work in (store.entry, lambda trace: store.claimed(trace).__enter__()):
        with pytest.raises(LockedError):
            work(one.trace)
    assert store.expire(datetime.now(UTC)) == []
    store.discard(one.trace)
    assert store.usage().messages == 0
    later = hold(opened(state, keys)).trace
    assert store.expire(datetime.now(UTC) + timedelta(days=31)) == [later]


@pytest.mark.parametrize(
    ("text", "said"),
    [(None, "cannot be read"), ("zz", "no file of keys"), (f"{'cd' * 32}", "not among ours"), ("", "gives nothing")],
)
def test_a_key_that_is_missing_or_wrong_is_one_line_and_holds_nothing(state, keys, text, said):
    trace = hold(opened(state, keys)).trace
    if text is None:
        keys.unlink()
    else:
        keys.write_text(text)
    store = opened(state, keys)
    with pytest.raises(LockedError, match=said) as caught:
        store.entry(trace)
    assert "\n" not in str(caught.value)
    if said != "not among ours":
        with pytest.raises(HeldError, match="not held: the key of held mail"):
            hold(store)
        assert store.usage().messages == 1


def test_an_altered_file_or_one_of_another_entry_is_not_read(state, keys):
    store = opened(state, keys)
    one, other = hold(store), hold(store)
    path = store.folder / f"{one.trace}.eml"
    kept = path.read_bytes()
    path.write_bytes(kept[:-1] + bytes([kept[-1] ^ 1]))
    with pytest.raises(HeldError, match="altered"):
        store.octets(one)
    path.write_bytes((store.folder / f"{other.trace}.eml").read_bytes())
    with pytest.raises(HeldError, match="another's"):
        store.octets(one)
    (store.folder / f"{one.trace}.json").write_bytes((store.folder / f"{other.trace}.json").read_bytes())
    with pytest.raises(HeldError, match="another's"):
        store.entry(one.trace)
    (store.folder / f"{other.trace}.eml").write_bytes(OCTETS)
    with pytest.raises(HeldError, match="cut short"):
        store.octets(other)


def test_keys_rotate_while_we_run(state, keys, monkeypatch):
    monkeypatch.setattr(sealing, "AGAIN", 0.0)
    store = opened(state, keys)
    before = hold(store)
    keys.write_text(f"{'cd' * 32}\n{keys.read_text()}")
    after = hold(opened(state, keys))
    assert store.entries() == [before, after]
    keys.write_text(f"{'cd' * 32}\n")
    assert store.octets(before) == OCTETS, "keys that we have are not forgotten"
    fresh = opened(state, keys)
    assert fresh.octets(fresh.entry(after.trace)) == OCTETS
    with pytest.raises(LockedError, match="not among ours"):
        fresh.entry(before.trace)


def test_what_was_held_before_there_was_a_key_stays_readable_and_is_narrowed_encrypted(state, keys):
    before = hold(opened(state))
    store = opened(state, keys)
    after = hold(store)
    assert store.entries() == [before, after]
    assert not before.sealed
    with store.claimed(before.trace) as entry:
        store.narrow(entry, RECIPIENTS[:1], "later")
    narrowed = store.entry(before.trace)
    assert [one.address for one in narrowed.recipients] == ["bob@example.org"]
    assert store.octets(narrowed) == OCTETS
    assert b"bob@example.org" not in (store.folder / f"{before.trace}.json").read_bytes()
    with pytest.raises(LockedError):
        opened(state).entry(before.trace)


def test_a_message_that_looks_encrypted_is_held_as_it_is(state, keys):
    piece = (opened(state, keys), hold(opened(state, keys)))[0].folder.glob("*.eml").__next__().read_bytes()
    store = opened(state)
    entry = hold(store, piece)
    assert store.octets(store.entry(entry.trace)) == piece
    sealed = opened(state, keys)
    assert sealed.octets(sealed.entry(hold(sealed, piece).trace)) == piece


def test_keys_that_cannot_be_had_are_not_looked_for_again_at_once(state, tmp_path):
    count = tmp_path / "count"
    store = HeldStore(state, Hold(key=Secret(command=("sh", "-c", f"echo x >> {count}; exit 1"))))
    for _ in range(3):
        with pytest.raises(HeldError, match="ended with 1"):
            hold(store)
    assert count.read_text() == "x\n"
