"""Until when an address works, as far as it says so."""

import base64
import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivcheck.records.expiry import expiries

DAY = datetime(2026, 11, 24, tzinfo=UTC)


def token(claims):
    body = base64.urlsafe_b64encode(claims if isinstance(claims, bytes) else json.dumps(claims).encode()).decode().rstrip("=")
    return f"eyJhbGciOiJIUzI1NiJ9.{body}.c2lnbmF0dXJl"


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("https://e.example/u?exp=1795478400", [("exp=1795478400", DAY)]),
        ("https://e.example/u?a=1&Expires=1795478400000", [("Expires=1795478400000", DAY)]),
        ("https://e.example/u?expires=2026-11-24", [("expires=2026-11-24", DAY)]),
        ("https://e.example/u?expires=20261124", [("expires=20261124", DAY)]),
        ("https://e.example/u?valid_until=2026-11-24T01%3A00%3A00%2B01%3A00", [("valid_until=2026-11-24T01:00:00+01:00", DAY)]),
        (f"https://e.example/u/{token({'exp': 1795478400})}", [("exp of its token", DAY)]),
        (f"https://e.example/u?t={token({'exp': 1795478400.5})}", [("exp of its token", DAY)]),
        ("https://e.example/u?exp=3600", []),
        ("https://e.example/u?exp=never", []),
        ("https://e.example/u?t=1795478400", []),
        ("https://e.example/u?exp=١٧٩٥٤٧٨٤٠٠", []),
        ("https://e.example/u#exp=1795478400", []),
        (f"https://e.example/u/{token({'exp': True})}", []),
        (f"https://e.example/u/{token({'exp': 1e300})}", []),
        (f"https://e.example/u/{token({'exp': 'soon'})}", []),
        (f"https://e.example/u/{token({'sub': 1})}", []),
        (f"https://e.example/u/{token([1795478400])}", []),
        (f"https://e.example/u/{token(b'[' * 2500)}", []),
        (f"https://e.example/u/{token(b'no json')}", []),
        ("https://e.example/u/aaaa.bbbbb.cccc", []),
        ("", []),
    ],
)
def test_a_time_is_found_where_it_is_told(url, found):
    assert list(expiries(url)) == found


@given(st.one_of(st.text(max_size=300), st.text(alphabet="exp=&?./0123456789-T:Z%", max_size=80).map("https://e/?".__add__)))
def test_any_address_has_times_with_a_zone_or_none(url):
    assert all(time.tzinfo is not None for _, time in expiries(url))
