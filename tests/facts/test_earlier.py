"""What went before is remembered for as many messages as there is room for, and no more."""

import pytest

from delivcheck.facts.earlier import MAX_NAME, Renderings
from delivcheck.facts.roots import Earlier
from delivcheck.mime.message import parse


def message(identifier, body):
    return parse(f"Message-ID: <{identifier}@example.org>\r\n\r\n{body}\r\n".encode())


def test_the_same_id_over_another_body_names_the_first_message():
    seen = Renderings()

    assert seen.meet(message(1, "Anton"), "a.eml") == Earlier()
    assert seen.meet(message(1, "Berta"), "b.eml") == Earlier("a.eml")
    assert seen.meet(message(1, "Carla"), "c.eml") == Earlier("a.eml")
    assert seen.meet(message(1, "Anton\r\n\r\n"), "d.eml") == Earlier()
    assert seen.meet(message(2, "Berta"), "e.eml") == Earlier()


def test_a_run_without_end_does_not_fill_the_memory():
    seen = Renderings(limit=100)
    for number in range(1000):
        seen.meet(message(number, "Anton"), "x" * 10_000)

    assert len(seen._seen) == 100
    assert all(len(name) <= MAX_NAME for _, name in seen._seen.values())


def test_the_id_of_a_whole_campaign_is_not_the_one_forgotten():
    seen = Renderings(limit=2)
    seen.meet(message("campaign", "Anton"), "first.eml")
    for number in range(10):
        seen.meet(message(number, "else"), "other.eml")
        assert seen.meet(message("campaign", f"reader {number}"), "next.eml").name == "first.eml"


@pytest.mark.parametrize("octets", [b"From: a@example.org\r\n\r\nx\r\n", b"Message-ID:\r\n\r\nx\r\n"])
def test_without_an_id_nothing_can_be_the_same(octets):
    seen = Renderings()
    seen.meet(parse(octets), "a.eml")

    assert seen.meet(parse(octets.replace(b"x", b"y")), "b.eml") == Earlier()
