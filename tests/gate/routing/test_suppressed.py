"""What an entry of the suppression list keeps back."""

from delivcheck.gate.routing.suppressed import Entry, for_stream

ENTRY = Entry("", "bounce", 1_780_000_000_000)


def test_an_entry_for_a_stream_keeps_only_mail_of_that_stream():
    weekly, ended = Entry("weekly", "unsubscribe", 0), Entry("", "bounce", 0, until=5_000)
    assert for_stream([weekly], "weekly", 1) is weekly
    assert for_stream([weekly], "", 1) is None
    assert for_stream([weekly], "resets", 1) is None
    assert for_stream([weekly, ended], "resets", 1) is ended
    assert for_stream([weekly, ended], "resets", 6) is None


def test_what_is_said_names_day_and_reason():
    assert ENTRY.said == "suppressed since 2026-05-28 (bounce)"
