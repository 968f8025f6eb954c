"""Names for private use are told from public ones, by whole labels."""

import pytest

from delivcheck.facts.reserved import reserved_top


@pytest.mark.parametrize(
    ("name", "top"),
    [
        ("localhost", "localhost"),
        ("app.localhost", "localhost"),
        ("router.home.arpa", "home.arpa"),
        ("mail.corp", "corp"),
        ("mail.mycorp", None),
        ("corp.example.com", None),
        ("1.0.0.10.in-addr.arpa", None),
        ("", None),
    ],
)
def test_a_name_is_reserved_by_whole_labels(name, top):
    assert reserved_top(name) == top
