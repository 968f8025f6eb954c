"""iCalendar: lines, folds, components; hostile calendars."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivcheck.mime.icalendar import MAX_DEPTH, MAX_FAULTS, MAX_PROPERTIES, CalendarFault, scan_calendar

EVENT = "BEGIN:VCALENDAR\r\nMETHOD:REQUEST\r\nBEGIN:VEVENT\r\nUID:1\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"


def faults(text):
    return [flaw.fault for flaw in scan_calendar(text).flaws]


def test_properties_know_their_component_and_place():
    found = scan_calendar(EVENT)
    assert found.components == ("VCALENDAR", "VEVENT")
    assert [(one.name, one.value, one.inside, EVENT[one.start : one.end]) for one in found.properties] == [
        ("METHOD", "REQUEST", "VCALENDAR", "METHOD:REQUEST"),
        ("UID", "1", "VEVENT", "UID:1"),
    ]
    assert found.method.value == "REQUEST"
    assert found.flaws == ()


def test_a_method_inside_an_event_is_not_the_calendars():
    assert scan_calendar("BEGIN:VCALENDAR\nBEGIN:VEVENT\nMETHOD:REQUEST\nEND:VEVENT\nEND:VCALENDAR\n").method is None


@pytest.mark.parametrize("fold", ["\r\n ", "\n ", "\r\n\t"])
def test_folded_lines_are_one(fold):
    found = scan_calendar(f"BEGIN:VCALENDAR\r\nMETHOD:RE{fold}QUEST\r\nEND:VCALENDAR")
    assert found.method.value == "REQUEST"


def test_parameters_may_have_colons_and_semicolons_in_quotes():
    line = 'ORGANIZER;CN="a; b: c";X=1,"2,3":mailto:a@example.org'
    (found,) = scan_calendar(f"BEGIN:VCALENDAR\n{line}\nEND:VCALENDAR").properties
    assert found.parameters == (("CN", '"a; b: c"'), ("X", '1,"2,3"'))
    assert found.value == "mailto:a@example.org"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", [CalendarFault.NO_CALENDAR]),
        ("Hello\nBEGIN:VCALENDAR\nEND:VCALENDAR", []),
        ("\ufeffBEGIN:VCALENDAR\n\n\nEND:VCALENDAR\n\n", []),
        ("BEGIN:VEVENT\nEND:VEVENT", [CalendarFault.NO_CALENDAR]),
        ("BEGIN:VCALENDAR\nUID\nEND:VCALENDAR", [CalendarFault.NO_COLON]),
        ("BEGIN:VCALENDAR\nX;a b:1\nEND:VCALENDAR", [CalendarFault.NO_COLON]),
        ("BEGIN:VCALENDAR\n!\nEND:VCALENDAR", [CalendarFault.NO_COLON]),
        ("BEGIN:VCALENDAR", [CalendarFault.NOT_CLOSED]),
        ("BEGIN:VCALENDAR\nEND:VEVENT\nEND:VCALENDAR", [CalendarFault.WRONG_END]),
        ("BEGIN:VCALENDAR\nEND:VCALENDAR\nEND:VCALENDAR", [CalendarFault.WRONG_END]),
        ("BEGIN:VCALENDAR\n" * (MAX_DEPTH + 1), [CalendarFault.TOO_DEEP]),
        ("BEGIN:VCALENDAR\n" + "X:1\n" * MAX_PROPERTIES, [CalendarFault.TOO_LARGE]),
        ("BEGIN:VCALENDAR\n" + "x\n" * 1000 + "END:VCALENDAR", [CalendarFault.NO_COLON] * MAX_FAULTS),
    ],
)
def test_faults(text, wanted):
    assert faults(text) == wanted


@given(st.text(st.sampled_from('BEGIN:VCALENDAR\r\n \t;="a,é\ufeff'), max_size=300) | st.text(max_size=300))
def test_it_returns(text):
    found = scan_calendar(text)
    assert all(0 <= one.start < one.end <= len(text) for one in found.properties)


@pytest.mark.parametrize(
    "text",
    [
        "a" * 2_000_000,
        "a\r\n " * 500_000,
        "\n" * 2_000_000,
        "BEGIN:VCALENDAR\nX" + ";a=b" * 400_000,
        "BEGIN:VCALENDAR\nX" + ';a="' * 400_000,
        "BEGIN:VCALENDAR\nX;a=" + "," * 1_000_000,
        "BEGIN:VCALENDAR\n" + "x\n" * 900_000,
    ],
    ids=range(7),
)
def test_it_takes_time_in_proportion(text):
    start = time.process_time()
    scan_calendar(text)
    assert time.process_time() - start < 5
