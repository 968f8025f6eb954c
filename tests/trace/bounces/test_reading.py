"""Reports of real servers and those of the RFCs are read to recipient, status and cause; nothing else is taken for a bounce."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivcheck.rulefiles import load
from delivcheck.trace.bounces import blocks, causes, codes, mtas, postfix
from delivcheck.trace.bounces.model import PASSING, Action, Cause, ReportError, What
from delivcheck.trace.bounces.reading import read
from tests.mta import needs_postfix
from tests.trace.bounces import make_corpus
from tests.trace.bounces.score import corpus, ours, theirs
from tests.trace.bounces.written import PAT, one, report, words

READ = list(corpus())


def test_the_corpus_has_a_hundred_reports_of_three_real_servers():
    names = [name.partition("-")[0] for name, _, _ in READ]
    assert len(READ) >= 150
    assert min(names.count(server) for server in ("postfix", "exim", "opensmtpd")) >= 40


def test_at_least_95_of_100_are_read_to_recipient_status_and_cause():
    wrong = [
        name for name, octets, meaning in READ
        if any(ours(octets, meaning).get(key) != meaning[key] for key in ("recipient", "status", "cause"))
    ]  # fmt: skip
    assert len(wrong) <= len(READ) * 0.05, wrong


def test_none_is_wrongly_permanent_and_no_action_is_wrong():
    for name, octets, meaning in READ:
        found = ours(octets, meaning)
        assert found["permanent"] <= meaning["permanent"], name
        assert found["action"] == meaning["action"], name


def test_no_other_reader_of_bounces_finds_more_recipients():
    mine = sum(bool(ours(octets, meaning)) for _, octets, meaning in READ)
    others = sum(meaning["recipient"].lower() in set().union(*theirs(octets)) for _, octets, meaning in READ)
    assert mine >= others


def test_a_report_on_several_recipients_says_of_each_its_own():
    found = read(
        report(
            one("a@x.example", "failed", "5.1.1"),
            one("b@x.example", "delayed", "4.2.2"),
            one("c@x.example", "delivered", "2.0.0"),
        )
    )
    assert [(fate.recipient, fate.action) for fate in found.fates] == [
        ("a@x.example", Action.FAILED), ("b@x.example", Action.DELAYED), ("c@x.example", Action.DELIVERED),
    ]  # fmt: skip


def test_exims_action_before_its_recipient_is_that_recipients():
    first = [("Action", "failed"), ("Final-Recipient", "rfc822;a@x.example"), ("Status", "4.0.0")]
    second = [("Action", "delayed"), ("Final-Recipient", "rfc822;b@x.example"), ("Status", "4.0.0")]
    assert [fate.action for fate in read(report(first, second)).fates] == [Action.FAILED, Action.DELAYED]


@pytest.mark.parametrize(
    ("header", "text"),
    [
        ((("Auto-Submitted", "auto-replied"),), "I am away. Your mail got 550 5.1.1 user unknown last week, sorry."),
        ((("X-Autoreply", "yes"),), f"<{PAT}>: 550 5.1.1 nobody"),
        ((("Precedence", "auto_reply"),), "Back on Monday."),
    ],
)
def test_a_vacation_message_is_no_bounce_whatever_it_quotes(header, text):
    found = read(words(text, subject="Out of office", header=header))
    assert (found.what, found.fates) == (What.AUTOMATIC, ())


def test_a_receipt_is_no_bounce():
    octets = report(
        [("Final-Recipient", f"rfc822; {PAT}"), ("Disposition", "automatic-action/MDN-sent-automatically; deleted"), ("Failure", "5.1.1")],
        kind="multipart/report; report-type=disposition-notification", status_type="message/disposition-notification",
    )  # fmt: skip
    assert (read(octets).what, read(octets).fates) == (What.RECEIPT, ())


def test_ordinary_mail_is_nothing():
    assert read(words("The address pat@example.net: 550 5.1.1 user unknown", subject="Re: a question")).what is What.OTHER


def arf(*fields, returned=("From: a@sender.example",), kind="message/feedback-report"):
    lines = [
        "From: fbl@provider.example",
        "MIME-Version: 1.0",
        'Content-Type: multipart/report; report-type=feedback-report; boundary="b"',
    ]
    lines += ["", "--b", "Content-Type: text/plain", "", "A complaint.", "--b", f"Content-Type: {kind}", ""]
    lines += [
        *(f"{name}: {value}" for name, value in fields),
        "",
        "--b",
        "Content-Type: message/rfc822",
        "",
        *returned,
        "",
        "x",
        "--b--",
        "",
    ]
    return "\r\n".join(lines).encode()


def test_a_complaint_is_read_with_its_type_and_the_recipients_that_are_not_redacted():
    fields = (
        ("Feedback-Type", "abuse"),
        ("User-Agent", "Yahoo!-Mail-Feedback/2.0"),
        ("Version", "0.1"),
        ("Original-Rcpt-To", "redacted@x.example"),
    )
    found = read(arf(*fields))
    assert found.what is What.COMPLAINT
    assert found.complaint.feedback == "abuse"
    assert found.complaint.recipients == ()


def test_microsofts_complaints_have_no_feedback_report_and_are_known_by_their_field():
    octets = b"From: staff@hotmail.com\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nX-HmXmrOriginalRecipient: <pat@hotmail.example>\r\nFrom: a@sender.example\r\n\r\nx\r\n--b--\r\n"
    assert read(octets).complaint.recipients == ("pat@hotmail.example",)


def test_every_code_names_rules_of_the_book_and_a_source():
    book = load()
    data = book["data"]["bounces"]
    for code in data["code"]:
        assert set(code["rules"]) <= set(book["pages"]), code
        assert code["source"] in data["sources"], code
        assert Cause(code["cause"])


@pytest.mark.parametrize(
    ("reply", "cause", "rule"),
    [
        (
            "550-5.7.26 Your email has been blocked because the sender is unauthenticated. gsmtp",
            Cause.AUTH,
            "spf/not-authorised",
        ),
        ("421-4.7.40 no DMARC policy - gsmtp", Cause.AUTH, "dmarc/no-record"),
        (
            "550 5.7.515 Access denied, sending domain does not meet the required authentication level",
            Cause.AUTH,
            "spf/no-record",
        ),
        ("421 4.7.0 [TSS04] Messages from 192.0.2.1 temporarily deferred", Cause.REPUTATION, "reputation/many-complaints"),
        ("550 5.7.1 part of their network is on our block list (S3150). outlook.com", Cause.REPUTATION, "reputation/ip-listed"),
        ("550 5.7.1 [CS01] Message rejected due to local policy.", Cause.CONTENT, "links/listed-host"),
        ("550 Reject due to SPF policy", Cause.AUTH, "spf/not-authorised"),
    ],
)
def test_a_providers_code_leads_to_the_rule_that_would_have_told(reply, cause, rule):
    said = codes.reply(reply)
    found = causes.why(said.status, said.code, reply)
    assert found.cause is cause
    assert rule in found.rules


def test_only_a_mailbox_that_is_not_there_or_disabled_suppresses():
    statuses = {f"{kind}.{subject}.{detail}" for kind in (4, 5) for subject in range(8) for detail in range(31)}
    suppressing = {
        (status, cause) for status in statuses for cause in Cause if causes.suppresses(status, cause, permanent=True)
    }
    assert {status for status, _ in suppressing} == {"5.1.1", "5.1.3", "5.1.6", "5.1.10", "5.2.1"}
    assert {cause for _, cause in suppressing} == {Cause.BAD_MAILBOX, Cause.DISABLED}
    assert not any(causes.suppresses(status, cause, permanent=False) for status, cause in suppressing)


@given(st.binary(max_size=2_000))
def test_reading_returns_or_raises_a_report_error(octets):
    try:
        found = read(octets)
    except ReportError:
        return
    assert all(not fate.permanent or fate.cause not in PASSING for fate in found.fates)


_FIELDS = st.lists(
    st.tuples(
        st.sampled_from(["Final-Recipient", "Original-Recipient", "Action", "Status", "Diagnostic-Code", "Remote-MTA", "Reporting-MTA", ""]),
        st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=60) | st.sampled_from(["rfc822; a@b.example", "failed", "5.1.1", "smtp; 550 x"]),
    ),
    max_size=12,
)  # fmt: skip


@given(st.lists(_FIELDS, max_size=5), st.sampled_from(["\n\n", "\n"]))
def test_whatever_stands_in_the_fields_a_fate_has_a_recipient_and_one_line(groups, glue):
    for fate in read(report(*groups, glue=glue)).fates:
        assert fate.recipient
        assert (fate.recipient + fate.diagnostic + fate.remote_mta).isprintable() or not any(
            ord(character) < 32 for character in fate.recipient + fate.diagnostic + fate.remote_mta
        )


@given(st.text(max_size=3_000))
def test_texts_are_read_without_an_error(text):
    blocks.groups(text)
    mtas.read(text, ("a@b.example",))
    codes.reply(text)
    postfix.read(text)
    causes.why("5.7.1", 550, text)


@pytest.mark.parametrize(
    "piece",
    ["a@b.example:\n", "5.1.1 ", "<", "-- ", "Final-Recipient: ", " x\n", "\\x{41}", "to=<", "550 ", "-", "<a", "----- ", "'"],
)
def test_a_large_hostile_text_is_read_at_once(piece):
    octets = report(one(PAT, "failed", "5.1.1"), text=piece * 50_000)
    assert read(octets).fates[0].recipient == PAT
    read(report([("Final-Recipient", "rfc822; " + piece.replace("\n", "") * 20_000)], text=piece * 50_000))


@needs_postfix
def test_what_the_postfix_of_today_reports_is_read_as_well(soak):
    if not soak:
        pytest.skip("the kept corpus is what it made; made anew with --soak")
    made = list(make_corpus.postfix())
    assert len(made) >= 40
    assert [name for name, octets, meaning in made if ours(octets, meaning) != meaning] == []
