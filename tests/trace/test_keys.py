"""Keys of the Web Service: found by their id, known by their secret, and gone when revoked; nothing of a secret is stored."""

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from delivcheck.trace import keys, schema
from delivcheck.trace.keys import BadKey, Scope


def made(store, name="app", tenant="default", **more):
    with store.write() as db:
        return keys.add(db, store.tenant(db, tenant), name, more.pop("scopes", [Scope.SEND]), **more)


def test_a_token_is_known_by_its_secret_alone(store):
    key, token = made(store, domains=("example.org",), streams=("news",), expires=keys.now() + 60_000)
    _, other = made(store, "other")
    with store.read() as db:
        known = keys.usable(db)
    named, secret = keys.parts(token)
    assert known[named] == key
    assert (key.scopes, key.domains, key.streams, key.tenant_name) == ({Scope.SEND}, ("example.org",), ("news",), "default")
    assert keys.matches(key, secret)
    assert not keys.matches(key, keys.parts(other)[1])
    assert not keys.matches(key, "")
    assert not keys.matches(None, secret)


def test_no_secret_is_stored(store):
    _, token = made(store)
    secret = keys.parts(token)[1]
    with store.read() as db:
        assert secret not in str(db.execute(sa.select(schema.api_key)).all())


def test_revoked_and_expired_keys_are_no_good_and_their_names_are_free(store):
    now = keys.now()
    key, _ = made(store, expires=now + 60_000)
    assert key.good(now)
    assert not key.good(now + 60_000)
    with pytest.raises(BadKey, match="there is a key"):
        made(store)
    with store.write() as db:
        keys.revoke(db, key.tenant, "app")
    with store.write() as db, pytest.raises(BadKey, match="no key"):
        keys.revoke(db, key.tenant, key.id)
    with store.read() as db:
        assert keys.usable(db) == {}
        (shown,) = keys.listing(db, key.tenant)
    assert shown.revoked is not None
    assert not shown.good(now)
    assert made(store)[0].id != key.id


def test_a_tenant_sees_and_revokes_its_own(store):
    mine, _ = made(store)
    theirs, _ = made(store, tenant="acme")
    with store.read() as db:
        assert [one.id for one in keys.listing(db, mine.tenant)] == [mine.id]
        assert keys.usable(db)[theirs.id].tenant_name == "acme"
    with store.write() as db, pytest.raises(BadKey):
        keys.revoke(db, mine.tenant, theirs.id)


def test_when_it_was_used_is_kept(store):
    key, _ = made(store)
    with store.write() as db:
        keys.touched(db, {key.id: 1_700_000_000_000, "nobody": 1})
    with store.read() as db:
        assert keys.listing(db, key.tenant)[0].used == 1_700_000_000_000


@pytest.mark.parametrize(
    ("name", "more", "why"),
    [
        ("", {}, "no name"),
        ("a b", {}, "no name"),
        ("x" * 65, {}, "no name"),
        ("a", {"scopes": []}, "scope"),
        ("a", {"expires": 5}, "expired"),
    ],
    ids=str,
)
def test_what_is_no_key_is_not_made(sqlite_store, name, more, why):
    with pytest.raises(BadKey, match=why):
        made(sqlite_store, name, **more)


def test_admin_may_all():
    one = {"id": "a", "tenant": 1, "tenant_name": "default", "name": "a"}
    assert all(keys.Key(**one, scopes=frozenset([Scope.ADMIN])).may(scope) for scope in Scope)
    assert [scope for scope in Scope if keys.Key(**one, scopes=frozenset([Scope.READ])).may(scope)] == [Scope.READ]


@given(st.text() | st.from_regex(r"dc_[a-z2-7]{10,14}_[a-z2-7]{50,54}", fullmatch=True))
def test_parts_returns_two_or_none(token):
    found = keys.parts(token)
    assert found is None or f"dc_{found[0]}_{found[1]}" == token
