"""TXT records as lines of a zone file."""

import dns.rdata
import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivcheck.records.zonetext import chunks, quoted, txt_line


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("v=spf1 -all", 'a.example. TXT "v=spf1 -all"'),
        ("", 'a.example. TXT ""'),
        ('say "x" \\ y', 'a.example. TXT "say \\"x\\" \\\\ y"'),
        ("é\t", 'a.example. TXT "\\195\\169\\009"'),
        ("a" * 256, f'a.example. TXT "{"a" * 255}" "a"'),
        ("a" * 254 + "\\b", 'a.example. TXT "' + "a" * 254 + '\\\\" "b"'),
        ("é" * 128, 'a.example. TXT "' + "\\195\\169" * 127 + '\\195" "\\169"'),
    ],
)
def test_a_text_is_cut_in_octets_before_it_is_escaped(text, line):
    assert txt_line("a.example", text) == line


@given(st.text())
def test_dnspython_reads_back_what_was_written(text):
    read = dns.rdata.from_text("IN", "TXT", " ".join(map(quoted, chunks(text))))
    assert read.strings == chunks(text)
    assert b"".join(read.strings) == text.encode()
