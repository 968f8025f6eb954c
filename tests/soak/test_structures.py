"""No program gets by because another reader takes a message apart otherwise, and nothing that is made so breaks or slows us.

A normal run makes 100 messages; `--soak` 2,500. A failing one is named by its number: `structures.message(number)`.
"""

import email
import email.policy
from email.errors import HeaderParseError
from email.header import decode_header, make_header

import pytest

from delivcheck.facts.archives import extension
from delivcheck.model import Outcome
from tests.soak.structures import NAME, message
from tests.soak.test_survival import examine

EACH, SOAKED = 20, 500


def names(data, policy):
    """The names of files that Python's email package finds, encoded-words decoded as a client would."""
    for part in email.message_from_bytes(data, policy=policy).walk():
        try:
            name = part.get_filename() or ""
        except (HeaderParseError, LookupError, ValueError, AttributeError, IndexError):  # its own faults on such headers
            continue
        try:
            yield str(make_header(decode_header(name)))
        except (HeaderParseError, LookupError, UnicodeError):
            yield name


@pytest.mark.parametrize("batch", range(5))
def test_a_program_that_another_reader_finds_is_never_passed(batch, soak):
    count = SOAKED if soak else EACH
    for number in range(batch * count, (batch + 1) * count):
        data = message(number)
        report = examine(data)
        seen = {extension(name) for policy in (email.policy.compat32, email.policy.default) for name in names(data, policy)}
        if extension(NAME) in seen:
            (blocked,) = (one for one in report.results if one.rule == "mime/blocked-attachment")
            assert blocked.outcome in {Outcome.FAIL, Outcome.UNKNOWN}, number
