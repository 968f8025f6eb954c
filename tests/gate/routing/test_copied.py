"""The workers' copy of the suppression list says what the list says, and never keeps anybody waiting."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from delivcheck.gate.routing.copied import FILE, LOOK, Copied, Listed, kept, written
from delivcheck.gate.routing.suppressed import Entry, NotKnownError
from delivcheck.trace.model import Reason, normal


def find(copied, tenant, address):
    return asyncio.run(copied.find(tenant, address))


@pytest.mark.attack(58)
def test_without_a_copy_nothing_is_known(tmp_path):
    with pytest.raises(NotKnownError):
        find(Copied(tmp_path), "default", "a@example.org")


def test_an_address_is_found_however_it_is_written(tmp_path):
    entry = Entry("", "bounce", 1_700_000_000_000)
    written(tmp_path, [Listed("default", normal("Ada@BÜCHER.example"), entry)])
    copied = Copied(tmp_path)
    assert find(copied, "default", "ada@xn--bcher-kva.example") == [entry]
    assert find(copied, "default", "ada@example.org") == []
    assert find(copied, "other", "ada@xn--bcher-kva.example") == []


def test_an_empty_list_is_a_list(tmp_path):
    assert written(tmp_path, []) == 0
    assert find(Copied(tmp_path), "default", "a@example.org") == []


def test_a_new_list_is_taken_within_moments(tmp_path):
    now = [0.0]
    copied = Copied(tmp_path, lambda: now[0])
    written(tmp_path, [])
    assert find(copied, "default", "a@example.org") == []
    entry = Entry("news", "unsubscribe", 1, 2)
    written(tmp_path, [Listed("default", "a@example.org", entry)])
    now[0] += LOOK
    assert find(copied, "default", "a@example.org") == [entry]


@pytest.mark.parametrize("octets", [b"", b"DCSUPPR1", b"x" * 100, b"DCSUPPR1" + b"\xff" * 16])
def test_a_file_that_is_broken_leaves_the_old_list_in_use(tmp_path, octets):
    now = [0.0]
    copied = Copied(tmp_path, lambda: now[0])
    entry = Entry("", "manual", 1)
    written(tmp_path, [Listed("default", "a@example.org", entry)])
    assert find(copied, "default", "a@example.org") == [entry]
    (tmp_path / FILE).unlink()
    (tmp_path / FILE).write_bytes(octets)
    now[0] += LOOK
    assert find(copied, "default", "a@example.org") == [entry]


ADDRESSES = st.sampled_from([f"{name}@example.{end}" for name in "abcde" for end in ("org", "net")])
ENTRIES = st.builds(
    Entry,
    st.sampled_from(["", "news", "receipts"]),
    st.sampled_from([str(one) for one in Reason]),
    st.integers(0, 2**40),
    st.none() | st.integers(1, 2**40),
)


@settings(deadline=None)
@given(st.lists(st.builds(Listed, st.sampled_from(["default", "acme"]), ADDRESSES, ENTRIES)))
def test_every_entry_is_found_and_no_other(tmp_path_factory, listed):
    folder = tmp_path_factory.mktemp("copy")
    written(folder, listed)
    copied = Copied(folder)
    for tenant in ("default", "acme"):
        for name in "abcde":
            address = f"{name}@example.org"
            wanted = [one.entry for one in listed if (one.tenant, one.address) == (tenant, address)]
            found = find(copied, tenant, address)
            assert sorted(map(repr, found)) == sorted(map(repr, wanted))
    copied.close()


def test_the_copy_names_nobody(tmp_path):
    written(tmp_path, [Listed("default", "ada@example.org", Entry("", "bounce", 1))])
    assert b"ada" not in (tmp_path / FILE).read_bytes()
    assert (tmp_path / FILE).stat().st_mode & 0o077 == 0


@pytest.mark.attack(58)
def test_a_list_that_nobody_could_take_is_seen(tmp_path):
    path = tmp_path / FILE
    assert kept(tmp_path) is None
    written(tmp_path, [Listed("default", "a@example.org", Entry("news", "bounce", 1))], "01K3X9QF00000000000000000")
    assert kept(tmp_path) == ("01K3X9QF00000000000000000", 1)
    whole = path.read_bytes()
    for octets in (b"", b"junk", whole[:-1], whole + b"x", b"X" + whole[1:], whole[:20]):
        path.write_bytes(octets)
        assert kept(tmp_path) is None
    path.unlink()
    (tmp_path / "elsewhere").write_bytes(whole)
    path.symlink_to(tmp_path / "elsewhere")
    assert kept(tmp_path) is None
