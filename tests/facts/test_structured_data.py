"""JSON-LD that programs write and that attackers write."""

import pytest

from delivcheck.facts.structured_data import MAX_SCRIPT, Fault, parse


def test_json_is_parsed():
    assert parse(' {"@type": "Order"} ') == {"@type": "Order"}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is empty"),
        (" \n", "is empty"),
        ("{", "is no JSON: expecting property name enclosed in double quotes"),
        ("{&quot;a&quot;: 1}", "is no JSON: expecting property name enclosed in double quotes"),
        ('{"a": 1} x', "is no JSON: extra data"),
        ("[" * 100_000, "is no JSON that a program would write"),
        ('{"a": ' + "1" * 50_000 + "}", "is no JSON that a program would write"),
        ("1" * (MAX_SCRIPT + 1), f"has {MAX_SCRIPT + 1} characters, {MAX_SCRIPT} are read"),
    ],
)
def test_what_is_no_json(text, reason):
    found = parse(text)
    assert isinstance(found, Fault)
    assert found.reason == reason
    assert 0 <= found.position <= max(len(text) - 1, 0)
