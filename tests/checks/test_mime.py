"""MIME and size rules where a page example would be too long, or shows only a sub-case."""

import base64
import io
import time
import zipfile

import pytest

from delivcheck.checks import size
from delivcheck.checks.mime import attachments, structure
from delivcheck.facts import archives
from delivcheck.mime.message import parse
from delivcheck.model import Level, Outcome
from tests.checks.content_world import BOOK, html, judge, mixed, said, text

PLAIN = "Content-Type: text/plain\n\nHello"
RICH = "Content-Type: text/html\n\n<p>Hello</p>"


def attached(name, data, kind="application/octet-stream"):
    encoded = base64.encodebytes(data).decode().strip()
    return f"Content-Type: {kind}\nContent-Disposition: attachment; {name}\nContent-Transfer-Encoding: base64\n\n{encoded}"


def zipped(*names):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name in names:
            archive.writestr(name, b"x")
    return out.getvalue()


# --- floods: each of these took minutes --------------------------------------------------------------------------


def took(rule, data):
    started = time.process_time()
    outcome = judge(rule, data).outcome
    return time.process_time() - started, outcome


@pytest.mark.parametrize(
    ("rule", "outcome"),
    [("mime/html-only", Outcome.PASS), ("mime/text-alternative-unrelated", Outcome.UNKNOWN), ("mime/latin-1", Outcome.PASS)],
)
def test_thousands_of_alternatives_take_linear_time(rule, outcome):
    seconds, judged = took(rule, mixed(*[PLAIN, RICH] * 2000, kind="alternative"))
    assert (judged, seconds < 50) == (outcome, True)


def test_thousands_of_faulty_parameters_take_linear_time():
    seconds, judged = took("mime/bad-content-type", b"From: a@b.com\nContent-Type: text/plain; " + b"a=b; " * 20_000 + b"\n\nx")
    assert (judged, seconds < 50) == (Outcome.FAIL, True)


def test_thousands_of_images_with_identifiers_take_linear_time():
    images = "".join(f"<img src='cid:{number}@x'>" for number in range(3000))
    parts = [f"Content-Type: image/png\nContent-ID: <{number}@x>\n\nx" for number in range(3000)]
    seconds, judged = took("mime/unresolved-cid", mixed(f"Content-Type: text/html\n\n{images}", *parts, kind="related"))
    assert (judged, seconds < 50) == (Outcome.PASS, True)


def test_a_name_of_nothing_but_spaces_takes_linear_time():
    data = mixed(PLAIN, attached('filename="' + " " * 200_000 + 'x .exe"', b"x"))
    assert took("mime/deceptive-filename", data)[0] < 5


# --- what one reader sees and another does not -------------------------------------------------------------------


@pytest.mark.parametrize(
    "header",
    [
        "Content-Type: application/octet-stream; name=run.exe\nContent-Disposition: attachment; filename=a.txt",
        "Content-Type: application/octet-stream\nContent-Disposition: attachment; filename*=utf-8''a.txt; filename=run.exe",
        "Content-Type: application/octet-stream; name=\"=?utf-8?Q?run.exe?=\"; name*=utf-8''a.txt",
    ],
)
def test_a_program_cannot_hide_behind_a_second_name(header):
    assert judge("mime/blocked-attachment", mixed(PLAIN, f"{header}\n\nMZ")).outcome is Outcome.FAIL


@pytest.mark.parametrize(
    "part",
    [
        "Content-Type: application/octet-stream; name='run.exe'\n\nMZ",
        'Content-Disposition: attachment; x=(; filename="run.exe"\n\nMZ',
        "Content-Disposition: attachment; filename*0=run; filename*2=.exe\n\nMZ",
        "Content-Disposition: attachment; filename=a.txt\nContent-Disposition: attachment; filename=run.exe\n\nMZ",
        'Content-Type: multipart/mixed; name=run.exe; boundary="none"\n\nMZ',
        'Content-Type: text/plain\n\nbegin 644 a.zip\n"35H\n`\nend\nbegin-base64 600 run.exe\nTVo=\n====\n',
        "Content-Type: message/rfc822\n\nSubject: x\n\nbegin 644 run.exe\n" + '"35H\n`\nend\n',
    ],
)
def test_a_program_cannot_hide_from_us_where_another_reader_finds_it(part):
    assert judge("mime/blocked-attachment", mixed(PLAIN, part)).outcome is Outcome.FAIL


@pytest.mark.parametrize(
    ("part", "why"),
    [
        (
            "Content-Type: multipart/mixed; boundary=b2; boundary=b3\n\n--b2\n\nx\n--b2--",
            "boundary of a multipart is not plain",
        ),
        ("Content-Type: multipart/mixed; boundary=b 2\n\n--b 2\n\nx\n--b 2--", "boundary of a multipart is not plain"),
        ("Content-Type: text/plain\nContent-Type: multipart/mixed; boundary=b2\n\nx", "several Content-Type fields"),
        ("Content-Type: message/partial; id=a; number=1\n\nx", "of the type message/partial"),
        ("Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nU3ViamVjdDogeA==", "has the transfer encoding"),
        ("Content-Type: multipart/mixed; boundary=b2\n\nx", "no delimiter line --b2"),
        (
            "\nx\n" + "begin 644 a.txt\n" + '"35H\n`\nend\n' * 1 + ('begin 644 a.txt\n"35H\n`\nend\n') * 250,
            "250 uuencoded files",
        ),
    ],
)
def test_what_another_reader_may_find_is_undecided(part, why):
    judged = judge("mime/blocked-attachment", mixed(PLAIN, part))
    assert judged.outcome is Outcome.UNKNOWN
    assert why in judged.reason
    assert judged.where is not None


@pytest.mark.parametrize(
    "part",
    [
        "Content-Type: multipart/mixed; boundary=----=_b2;\n\n------=_b2\n\nx\n------=_b2--",  # as Outlook Express wrote it
        "Content-Type: message/delivery-status\n\nReporting-MTA: dns; a.example\n",
        "Content-Type: text/plain\nContent-Type: text/plain\n\nx",
        "Content-Type: multipart/mixed; boundary=b2; type=\n\n--b2\n\nx\n--b2--",
        'Content-Type: text/plain\nContent-Disposition: attachment; filename=a.txt\n\nbegin 644 run.exe\n"35H\n`\nend\n',
        "Content-Type: text/plain\n\nx\n--b1--\n--b1\nContent-Type: text/plain\n\nlate\n",
        "Content-Type: text/plain\n\nx\n--b1--\n--b1\nContent-Disposition: attachment; filename=a.txt\n\nlate\n",
    ],
)
def test_what_all_readers_read_alike_is_passed(part):
    judged = judge("mime/blocked-attachment", mixed(PLAIN, part))
    assert judged.outcome is Outcome.PASS, (judged.problems, judged.reason)


def test_late_attachments_are_no_attachments_to_other_rules():
    late = f"{PLAIN}\n--b1--\n" + "".join(f"--b1\n{attached('filename=a.pdf.exe', b'x')}\n" for _ in range(300))
    data = mixed(late)
    assert {problem.level for problem in judge("mime/blocked-attachment", data).problems} == {Level.WARNING}
    assert not said("mime/deceptive-filename", data)
    assert not said("mime/too-deep-or-wide", data)


def test_names_that_disagree_are_told_by_what_they_are():
    def told(*parameters):
        one = attached("; ".join(parameters[1:]), b"x").replace("octet-stream", f"octet-stream; name={parameters[0]}")
        return [(problem.message, problem.level) for problem in judge("mime/deceptive-filename", mixed(PLAIN, one)).problems]

    assert told("a.exe", "filename=a.txt") == [("a.txt is called a.exe by another parameter", None)]
    assert told("a.txt", "filename=a.exe") == [("a.exe is called a.txt by another parameter", None)]
    assert told("a.exe", "filename=a") == [("a is called a.exe by another parameter", None)]
    assert told("a.docm", "filename=a.docx") == [("a.docx is called a.docm by another parameter", None)]
    assert told("a.gif", "filename=a.png") == [("a.png is called a.gif by another parameter", Level.NOTE)]
    assert told("a", "filename=a.png") == told("a.png", "filename=a") == told("a.jpeg", "filename=a.jpg") == []
    assert told('"=?utf-8?q?b=2Epng?="', "filename=a.png") == []


def test_parts_past_the_limits_are_undecided_not_harmless():
    data = mixed(*["\nx"] * 10_001, attached("filename=run.exe", b"x"))
    judged = judge("mime/blocked-attachment", data)
    assert judged.outcome is Outcome.UNKNOWN
    assert "more than 10000 parts" in judged.reason


# --- structure ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "message"),
    [
        ("1.0", None),
        (" 1.0 (made by hand)", None),
        ("1 . 0", None),
        ("1.0 1.0", "is 1.0 1.0"),
        ("1.0 (open", "cannot be read"),
        ("", "is empty"),
        ("1.0;x", "is 1.0;x"),
    ],
)
def test_mime_version_is_read_without_comments(version, message):
    found = said("mime/version-missing", f"From: a@b.com\nMIME-Version: {version}\n\nx".encode())
    assert [message in one for one in found] == ([] if message is None else [True])


def test_faults_of_rfc_2231_are_not_those_of_content_type():
    data = b"From: a@b.com\nContent-Type: text/plain; name*=utf-8''%zz; charset=us-ascii\n\nx"
    assert judge("mime/bad-content-type", data).outcome is Outcome.PASS


@pytest.mark.parametrize(
    ("parameters", "what"),
    [
        ("boundary=b1; boundary=b2", "stands twice"),
        ("boundary=b1; boundary*=''b2", "in two forms"),
        ("boundary*0=b1; boundary*0=b2", "stands twice"),
        ("boundary*0=b1; boundary*2=b2", "lacks one of its sections"),
        ("boundary*=b1", "no charset'language'value"),
        ("boundary*=klingon''b1", "names a charset that is unknown"),
        ("boundary*=utf-8''b1%ff", "not in the charset it names"),
        ('boundary="b\u00fc"', "is not ASCII"),
        ('boundary="=?utf-8?q?b1?="', "has an encoded-word"),
    ],
)
def test_a_boundary_that_readers_take_differently_is_no_proper_type(parameters, what):
    data = f"From: a@b.com\nContent-Type: multipart/mixed; {parameters}\n\n--b1\n\nx\n--b1--\n".encode()
    assert any(what in one for one in said("mime/bad-content-type", data))


def test_each_defect_of_a_boundary_is_told():
    head = b'From: a@b.com\nContent-Type: multipart/mixed; boundary="a$"\n\n'
    data = head + b"--a$\nContent-Type: multipart/x; a=\n\nx\n--a$ b\n--a$--\n"
    found = said("mime/broken-boundary", data)
    assert len(found) == 3
    assert any("characters it may not have" in one for one in found)
    assert any("begins with the boundary and goes on" in one for one in found)


def test_alternatives_inside_related_are_found():
    related = "Content-Type: multipart/related; boundary=b2\n\n--b2\nContent-Type: text/html\n\n<p>x</p>\n--b2--"
    assert said("mime/alternatives-out-of-order", mixed(related, PLAIN, kind="alternative"))
    assert not said("mime/alternatives-out-of-order", mixed(PLAIN, related, kind="alternative"))
    assert not said("mime/html-only", mixed(PLAIN, related, kind="alternative"))


def test_amp_alone_stands_outside_of_everything():
    amp = "Content-Type: text/x-amp-html\n\n<html amp4email></html>"
    assert said("mime/amp-without-fallback", mixed(amp)) == ["text/x-amp-html stands outside multipart/alternative"]
    assert said("mime/amp-without-fallback", amp.encode()) == ["text/x-amp-html stands outside multipart/alternative"]


def test_a_multipart_without_parts_is_empty_whatever_it_is():
    data = b"From: a@example.org\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b1\r\n\r\nno delimiter\r\n"

    assert judge("mime/empty-body", data).outcome is Outcome.FAIL


def test_html_that_is_too_large_to_be_read_is_not_empty(monkeypatch):
    monkeypatch.setattr("delivcheck.mime.html.MAX_HTML", 10)
    data = html("<p></p>" * 10)
    assert judge("mime/empty-body", data).outcome is Outcome.PASS
    assert judge("html/form", data).outcome is Outcome.UNKNOWN
    assert judge("links/plain-http", data).outcome is Outcome.UNKNOWN
    assert judge("html/clipped-by-gmail", data, warn_octets=20, max_octets=60).outcome is Outcome.FAIL


def test_what_the_parser_gave_up_on_is_told():
    deep = b"From: a@b.com\nContent-Type: message/rfc822\n\n" + b"Content-Type: message/rfc822\n\n" * 150 + b"x"
    found = said("mime/too-deep-or-wide", deep)
    assert found[0].startswith("parts are nested more than")
    assert "messages stand inside one another" in found[-1]


def test_the_limits_of_the_tree_are_those_of_exchange_online():
    assert not said("mime/too-deep-or-wide", mixed(*[PLAIN] * (structure.MAX_PARTS - 1)))
    assert said("mime/too-deep-or-wide", mixed(*[PLAIN] * structure.MAX_PARTS)) == [
        f"the message has {structure.MAX_PARTS + 1} parts, {structure.MAX_PARTS} are accepted"
    ]


# --- alternatives ------------------------------------------------------------------------------------------------

LONG = (
    "Garden chairs made of larch, tables for six and for eight, and lamps that need no socket at all, from Monday to Saturday"
)


def test_other_alternatives_than_plain_text_are_not_compared():
    calendar = "Content-Type: text/calendar; method=REQUEST\n\nBEGIN:VCALENDAR"
    assert not said(
        "mime/text-alternative-unrelated", mixed(calendar, f"Content-Type: text/html\n\n<p>{LONG * 3}</p>", kind="alternative")
    )


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        (LONG, LONG.upper(), True),
        (
            "私たちの新しい庭の椅子は今月の終わりまで無料で配達されます",
            "私たちの新しい庭の椅子は今月の終わりまで無料で配達されます。",
            True,
        ),
        (f"{LONG} https://x.org/a-very-long-address-of-words", LONG, True),
        ("The minutes of yesterday are ready now, please send all corrections before Thursday noon to us", LONG, False),
    ],
)
def test_words_in_common_are_counted_in_every_script(one, other, alike):
    plain = f"Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n{one}"
    rich = f"Content-Type: text/html; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n<p>{other}</p>"
    assert (not said("mime/text-alternative-unrelated", mixed(plain, rich, kind="alternative"))) is alike


IMAGE = "Content-Type: image/png\nContent-ID: <logo>\n\nx"
SHOWING = 'Content-Type: text/html\n\n<img src="cid:logo" alt=""><img src="cid:logo" alt="">'


def test_a_part_outside_the_related_is_found_by_most_clients():
    problems = judge("mime/unresolved-cid", mixed(SHOWING, IMAGE)).problems
    assert [(one.message, one.level) for one in problems] == [
        ("cid:logo names a part outside the multipart/related of the HTML", Level.NOTE)
    ]
    inner = "Content-Type: multipart/alternative; boundary=b2\n\n--b2\n" + SHOWING + "\n--b2--"
    assert not said("mime/unresolved-cid", mixed(inner, IMAGE, kind="related"))


def test_an_unknown_cid_is_told_once():
    assert said("mime/unresolved-cid", mixed(SHOWING)) == ["cid:logo names no part of the message"]


# --- attachments -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameter", "fix"),
    [
        ('filename="=?utf-8?B?YcOxby5wZGY=?="', "filename*=utf-8''a%C3%B1o.pdf"),
        ("filename=my report.pdf", 'filename="my report.pdf"'),
        ('filename="C:\\\\files\\\\a.pdf"', 'filename="a.pdf"'),
        ("filename*=utf-8''a%00b.pdf", 'filename="ab.pdf"'),
    ],
)
def test_the_right_way_to_write_a_name_is_computed(parameter, fix):
    problems = judge("mime/filename-encoding", mixed(PLAIN, attached(parameter, b"x"))).problems
    assert {one.fix for one in problems} == {fix}


def test_a_name_without_quotes_in_content_type_is_told_once():
    data = b"From: a@b.com\nMIME-Version: 1.0\nContent-Type: application/pdf; name=my report.pdf\n\nx"
    assert said("mime/bad-content-type", data)
    assert not said("mime/filename-encoding", data)


def test_each_fault_of_a_name_is_told_once():
    data = mixed(PLAIN, attached("filename*0*=utf-8''a%zz; filename*1*=b%zz", b"x"))
    assert said("mime/filename-encoding", data) == ["filename* is no charset'language'value"]


def test_an_archive_with_too_many_files_leaves_the_rule_undecided(monkeypatch):
    monkeypatch.setattr(archives, "MAX_MEMBERS", 1)
    data = mixed(PLAIN, attached("filename=a.zip", zipped("a", "b")))
    assert judge("mime/blocked-attachment", data).outcome is Outcome.UNKNOWN
    assert judge("mime/opaque-archive", data).outcome is Outcome.UNKNOWN


def test_attachments_of_a_forwarded_message_count():
    forwarded = "Content-Type: message/rfc822\n\n" + mixed(PLAIN, attached("filename=run.exe", b"x")).decode().replace(
        "b1", "b2"
    )
    assert said("mime/blocked-attachment", mixed(PLAIN, forwarded)) == ["run.exe is of a type that Gmail refuses (.exe)"]


def test_a_part_without_a_name_has_no_deceptive_one():
    data = mixed(PLAIN, "Content-Type: application/octet-stream\n\nMZ")
    assert not said("mime/deceptive-filename", data)


@pytest.mark.parametrize(
    ("octets", "what"),
    [
        (b"\x7fELF\x02", "a Linux program"),
        (b"\xca\xfe\xba\xbe\x00", "a Java or macOS program"),
        (b"\xcf\xfa\xed\xfe\x07", "a macOS program"),
        (b"MZ is how this text begins, and it goes on for more than sixty-four characters", None),
        (b"MZ", None),
        (b"%PDF-1.4", None),
    ],
)
def test_programs_are_known_by_their_first_octets(octets, what):
    found = said("mime/deceptive-filename", mixed(PLAIN, attached("filename=a.pdf", octets)))
    assert found == ([] if what is None else [f"a.pdf is {what} by its content"])


def test_characters_that_turn_the_writing_round_are_spelled_out():
    shown = attachments._shown("a\u202egpj.exe" + "x" * 100)
    assert shown.startswith("a<U+202E>gpj.exe")
    assert shown.endswith("…")


def test_lists_of_types_are_kept_apart():
    assert "exe" in attachments.BLOCKED_BY_GMAIL & attachments.BLOCKED_BY_OUTLOOK
    assert not attachments.BLOCKED_BY_GMAIL & attachments.DOCUMENTS
    assert not attachments.MACROS & attachments.BLOCKED_BY_GMAIL


# --- charset -----------------------------------------------------------------------------------------------------


def test_attached_texts_and_ascii_under_an_unknown_name_are_warnings():
    csv = "Content-Type: text/csv\nContent-Disposition: attachment; filename=a.csv\nContent-Transfer-Encoding: base64\n\nw6k="
    assert [one.level for one in judge("mime/wrong-charset", mixed(PLAIN, csv)).problems] == [Level.WARNING]
    unknown = b"From: a@b.com\nMIME-Version: 1.0\nContent-Type: text/plain; charset=klingon\n\nHello"
    assert [one.level for one in judge("mime/wrong-charset", unknown).problems] == [Level.WARNING]


def test_parts_that_are_no_text_and_broken_encodings_have_no_charset_to_judge():
    image = "Content-Type: image/png; charset=klingon\nContent-Transfer-Encoding: base64\n\n@@@@"
    broken = "Content-Type: text/plain\nContent-Transfer-Encoding: base64\n\n@@@@"
    assert not said("mime/wrong-charset", mixed(image, broken))


def test_control_characters_of_windows_are_told_where_they_stand():
    (problem,) = judge("mime/latin-1", html("<p>it\u0092s</p>")).problems
    assert "U+0092" in problem.message
    assert (problem.where.line, problem.where.column) == (7, 6)


# --- encoding ----------------------------------------------------------------------------------------------------


def test_long_lines_of_the_header_and_harmless_ones_are_passed_over():
    data = b"From: a@b.com\nX-Long: " + b"x" * 1200 + b"\n\nshort\n" + b"y" * 999 + b"\n"
    (problem,) = judge("mime/line-too-long", data).problems
    assert problem.where.line == 5
    assert judge("mime/line-too-long", b"From: a@b.com\n\n").outcome is Outcome.PASS


def test_all_long_encoded_lines_of_a_part_are_one_problem():
    head = b"From: a@b.com\nMIME-Version: 1.0\nContent-Transfer-Encoding: quoted-printable\n\n"
    (problem,) = judge(
        "mime/quoted-printable-faults", head + b"a" * 78 + b"\n" + b"b" * 90 + b"\n" + b"c" * 77 + b"\n"
    ).problems
    assert problem.message == "an encoded line has 90 characters, 76 are allowed, and 2 more lines are too long"
    assert problem.where.line == 6
    assert problem.level is None


# --- size --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("megabytes", "takers"), [(26, "iCloud and Yahoo"), (51, "Yahoo and Gmail")])
def test_gmail_is_named_only_above_what_gmail_receives(megabytes, takers):
    message = parse(b"From: news@example.org\r\n\r\n" + (b"x" * 998 + b"\r\n") * (megabytes * 1000))

    (problem,) = size.too_large.function(message)
    assert takers in problem.message
    assert ("Gmail" in problem.message) == (megabytes > 50)


def test_the_providers_that_refuse_a_size_are_named(monkeypatch):
    monkeypatch.setattr(
        size, "_BOOK", {"limit": {"a": {"title": "Ours", "octets": 10}, "b": {"title": "Theirs", "octets": 10**9}}}
    )
    assert "more than Ours take" in said("size/too-large", text("x"), max_octets=30)[0]


def test_limits_come_from_the_dated_file():
    options = BOOK.checks["size/too-large"].options
    assert options == {"max-octets": 25_000_000}
    assert BOOK.checks["size/too-large-for-icloud"].options == {"max-octets": 20_000_000}


def test_a_message_with_nothing_but_a_text_has_nothing_to_tell_of():
    """Plain text in 7bit, defects of another kind, a link that is no cid: none of these rules has a say."""
    data = text("Hello https://www.shop.com/").replace(b"8bit", b"7bit").replace(b"Subject", b"Subject ")
    for rule in sorted(set(BOOK.checks) & set(BOOK.rules)):
        if rule.startswith("mime/"):
            assert judge(rule, data).outcome in {Outcome.PASS, Outcome.NOT_APPLICABLE}, rule
    assert not said("mime/unresolved-cid", html('<a href="https://shop.com/">x</a>'))
    assert not said("mime/opaque-archive", mixed(PLAIN, attached("filename=a.pdf", b"%PDF")))


def test_an_opaque_archive_is_no_blocked_one():
    data = mixed(PLAIN, attached("filename=a.zip", b"no archive"))
    assert judge("mime/blocked-attachment", data).outcome is Outcome.PASS
    assert said("mime/opaque-archive", data) == ["a.zip cannot be opened"]


def test_a_part_that_declares_nothing_is_placed_by_itself():
    data = mixed("\n" + "x" * 400)
    (problem,) = judge("size/too-large", data, max_octets=30).problems
    assert problem.where.part == "1"
    assert problem.where.line == 6
