"""A return path says which message and which recipient, and nobody else can make one."""

import secrets

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivcheck import ulid
from delivcheck.trace.bounces import paths
from delivcheck.trace.tokens import KEY, BadToken, Tokens

TOKENS = Tokens([secrets.token_bytes(KEY)])
DOMAIN = "bounces.example.com"


@given(st.integers(0, paths.MAX_NUMBER), st.sampled_from([str.lower, str.upper, str.title, str]))
def test_it_opens_to_what_it_was_made_of_whatever_became_of_its_case(number, change):
    trace = ulid.new()
    made = paths.address(TOKENS, DOMAIN, trace, number)
    assert len(made.rpartition("@")[0]) <= 64
    assert paths.opened(TOKENS, change(made), DOMAIN) == (trace, number)


def test_an_altered_or_foreign_one_opens_to_nothing():
    made = paths.address(TOKENS, DOMAIN, ulid.new())
    local, _, domain = made.partition("@")
    flipped = [local[:at] + ("a" if local[at] != "a" else "b") + local[at + 1 :] for at in range(2, len(local))]
    others = [
        paths.address(Tokens([secrets.token_bytes(KEY)]), DOMAIN, ulid.new()),
        f"{local}@other.example",
        local,
        "",
        f"b-@{DOMAIN}",
    ]
    for one in [*(f"{flip}@{domain}" for flip in flipped), *others, f"x{made}", f"{local}a@{domain}"]:
        with pytest.raises(BadToken):
            paths.opened(TOKENS, one, DOMAIN)


def test_one_for_another_purpose_opens_to_nothing():
    token = TOKENS.short("something else", b"\0" * 18)
    with pytest.raises(BadToken):
        paths.opened(TOKENS, f"b-{token}@{DOMAIN}", DOMAIN)


def test_it_is_found_where_receivers_write_it():
    made = paths.address(TOKENS, DOMAIN, ulid.new())
    for text in (
        f"<{made}>",
        f"mx.example; spf=pass smtp.mailfrom={made}; dkim=pass",
        f"pass (x: domain of {made} designates)",
    ):
        assert paths.found_in(text) == [made]


@given(st.text(max_size=500))
def test_any_text_is_looked_at_without_an_error(text):
    paths.found_in(text)
    with pytest.raises(BadToken):
        paths.opened(TOKENS, text, DOMAIN)
