"""The tables of mailbox providers: every answer has a worked example on its rule's page, and the outlook follows from them."""

import fnmatch

import pytest

from delivcheck import catalog, mailboxes, replies, rulefiles
from delivcheck.facts.roots import Declared
from delivcheck.model import Level, MessageClass, Outcome, Problem, Result, Volume
from delivcheck.records.names import to_ascii
from tests import examples

BOOK = catalog.assemble(strict=False)
TABLES = mailboxes.tables()
ANSWERS = [(name, answer, rule) for name, one in TABLES.items() for answer in one.answer for rule in answer.names]


IDS = [f"{name}-{number}-{rule}" for number, (name, _, rule) in enumerate(ANSWERS)]


@pytest.mark.parametrize(("name", "answer", "rule"), ANSWERS, ids=IDS)
def test_an_answer_is_what_the_report_says_of_a_failing_example(name, answer, rule):
    """The words an answer depends on are words the check says, and the report names the provider's effect, code and text."""
    page = BOOK.rules[rule]
    declared = Declared(answer.class_ or page.class_ or MessageClass.BULK, Volume.BULK)
    one = mailboxes.MailboxProvider(
        title="t", domains=(), mx=(), who="w", sources=TABLES[name].sources, answer=(answer,), bulk_for_hosted=True
    )
    told = []
    for example in page.example:
        if example.is_ != "fail":
            continue
        result, _ = examples.run(BOOK, page, example)
        # An example may be of a lesser sub-case; the level the rule ran at is the page's own.
        got = mailboxes.outlook(one, [result], declared, {rule: page.level})
        told.append((got.outlook, got.code, got.text))
    if page.level.rank < Level.WARNING.rank:
        return  # what is a note without a pack is told by `explain`, not by the outlook
    assert (mailboxes.WORDS[answer.effect], answer.code, answer.text) in told or rule in OUT_OF_PROPORTION


OUT_OF_PROPORTION = {"size/too-large"}  # an example above Gmail's limit would have 50 MB; tests/checks/test_mime.py has one


@pytest.mark.parametrize("name", list(TABLES))
def test_rows_name_real_rules(name):
    for row in TABLES[name].row:
        for pattern in row.rules:
            assert fnmatch.filter(BOOK.rules, pattern), (row.name, pattern)


DATA = rulefiles.load()["data"]


def test_no_mail_server_is_in_two_places():
    """The names in SPF records and MX stand once: in a table, or with the selectors of a service that has no table."""
    every = [name for one in TABLES.values() for name in {*one.mx, *one.hosts}]
    every += [name for one in DATA["selectors"]["provider"] for name in one["domains"] if name not in OWN_MAILBOXES]
    assert [name for name in every if every.count(name) > 1] == []


OWN_MAILBOXES = [name for one in TABLES.values() for name in one.domains]


def test_no_domain_of_mailboxes_is_in_two_places():
    every = list(OWN_MAILBOXES)
    for file, book in DATA.items():
        if file != "selectors":  # names that SPF records include; iCloud's is icloud.com itself
            every += _domains(book)
    assert [name for name in every if every.count(name) > 1] == []


def _domains(book):
    """Every list that is called domains, however deep."""
    if isinstance(book, list):
        return [name for one in book for name in _domains(one)]
    if not isinstance(book, dict):
        return []
    return [*book.get("domains", ()), *(name for one in book.values() for name in _domains(one))]


def test_domains_are_written_as_names_are_compared():
    names = [*OWN_MAILBOXES, *(name for one in TABLES.values() for name in (*one.mx, *one.hosts))]
    assert [name for name in names if to_ascii(name) != name] == []


def test_the_selectors_of_a_provider_with_a_table_say_which():
    named = [one["table"] for one in DATA["selectors"]["provider"] if "table" in one]
    assert named
    assert set(named) <= set(TABLES)


def test_a_bulk_threshold_has_a_source_of_its_table():
    raw = {**rulefiles.providers()["orange"], "bulk": {"volume": 1, "source": "nowhere"}}
    with pytest.raises(rulefiles.RuleFileError, match=r"bulk\.source: 'nowhere' is not in"):
        mailboxes.table("orange", raw)


@pytest.mark.parametrize("name", list(TABLES))
def test_the_same_cause_is_not_in_a_table_twice(name):
    seen = [(answer.effect, answer.code, answer.text, answer.volume, answer.class_) for answer in TABLES[name].answer]
    assert len(seen) == len(set(seen))


def a_table(*answers, **more):
    source = {"codes": {"name": "codes", "checked": "2026-11-22"}}
    raw = {"title": "T", "who": "all", "domains": [], "mx": [], "sources": source, **more}
    return mailboxes.table("made", {**raw, "answer": [{"source": "codes", **answer} for answer in answers]})


REFUSING = a_table(
    {"rules": ["a/reject"], "effect": "reject", "code": "550-5.7.26", "text": "no"},
    {"rules": ["a/defer"], "effect": "defer", "code": "421-4.7.0"},
    {"rules": ["a/junk"], "effect": "junk"},
)


def a_result(outcome, name, level=Level.ERROR, *problems):
    return Result(name, outcome, level, None, (), tuple(Problem(text, level=level) for text in problems))


@pytest.mark.parametrize(
    ("outcomes", "expected", "code"),
    [
        ({}, "no-known-blocker", None),
        ({"a/reject": Outcome.PASS}, "no-known-blocker", None),
        ({"a/reject": Outcome.FAIL}, "would-reject", "550-5.7.26"),
        ({"a/reject": Outcome.FAIL, "a/defer": Outcome.FAIL}, "would-reject", "550-5.7.26"),
        ({"a/defer": Outcome.FAIL, "a/junk": Outcome.FAIL}, "would-defer", "421-4.7.0"),
        ({"a/junk": Outcome.FAIL}, "may-junk", None),
        ({"a/junk": Outcome.FAIL, "a/reject": Outcome.UNKNOWN}, "unknown", None),
        ({"a/reject": Outcome.FAIL, "a/defer": Outcome.UNKNOWN}, "would-reject", "550-5.7.26"),
        ({"a/reject": Outcome.UNKNOWN}, "unknown", None),
    ],
)
def test_the_outlook_follows_the_answers_to_failed_rules(outcomes, expected, code):
    results = [a_result(outcome, name) for name, outcome in outcomes.items()]

    got = mailboxes.outlook(REFUSING, results, Declared(), {})

    assert (got.outlook, got.code) == (expected, code)


def test_a_mere_note_is_no_outlook():
    got = mailboxes.outlook(REFUSING, [a_result(Outcome.FAIL, "a/reject", Level.NOTE)], Declared(), {})
    assert got.outlook == "no-known-blocker"


BULK, RECEIPT, LOW = Declared(MessageClass.BULK), Declared(MessageClass.TRANSACTIONAL), Declared(volume=Volume.LOW)


@pytest.mark.parametrize(
    ("answer", "problem", "level", "declared", "hosted", "expected"),
    [
        ({"volume": "bulk"}, "x", Level.ERROR, BULK, False, "would-reject"),
        ({"volume": "bulk"}, "x", Level.ERROR, LOW, False, "no-known-blocker"),
        # bulk senders' demands hold for the provider's own mailboxes, not for the domains it hosts (trap T100)
        ({"volume": "bulk"}, "x", Level.ERROR, BULK, True, "no-known-blocker"),
        ({}, "x", Level.ERROR, BULK, True, "would-reject"),
        ({}, "x", Level.ERROR, LOW, False, "would-reject"),
        ({"class": "bulk"}, "x", Level.ERROR, BULK, False, "would-reject"),
        ({"class": "bulk"}, "x", Level.ERROR, RECEIPT, False, "no-known-blocker"),
        ({"says": "policy reject"}, "x (policy reject)", Level.ERROR, BULK, False, "would-reject"),
        ({"says": "policy reject"}, "x (policy none)", Level.ERROR, BULK, False, "no-known-blocker"),
        # a sub-case that its page calls less than the rule is not what the provider refuses
        ({}, "x", Level.WARNING, BULK, False, "no-known-blocker"),
        ({"says": "x"}, "x", Level.WARNING, BULK, False, "no-known-blocker"),
    ],
)
def test_an_answer_holds_for_its_volume_its_class_its_words_and_its_level(answer, problem, level, declared, hosted, expected):
    says = answer.pop("says", None) if "says" in (answer := dict(answer)) else None
    rule = {"rule": "a/case", "says": says} if says else "a/case"
    one = a_table({"rules": [rule], "effect": "reject", **answer})

    got = mailboxes.outlook(
        one, [a_result(Outcome.FAIL, "a/case", level, problem)], declared, {"a/case": Level.ERROR}, hosted=hosted
    )

    assert got.outlook == expected


def test_rows_are_compliant_or_need_work_or_are_unknown():
    rows = [{"name": name, "rules": [f"{name.lower()}/*"]} for name in ("SPF", "DKIM", "DMARC", "OTHER")]
    results = [
        a_result(Outcome.PASS, "spf/a"),
        a_result(Outcome.FAIL, "spf/b", Level.NOTE),
        a_result(Outcome.FAIL, "dkim/a"),
        a_result(Outcome.UNKNOWN, "dkim/b"),
        a_result(Outcome.UNKNOWN, "dmarc/a"),
        a_result(Outcome.NOT_APPLICABLE, "other/a"),
    ]

    got = mailboxes.outlook(a_table(row=rows), results, Declared(), {})

    assert [(row.name, row.state, row.rules) for row in got.rows] == [
        ("SPF", "compliant", ()),
        ("DKIM", "needs-work", ("dkim/a",)),
        ("DMARC", "unknown", ()),
    ]


@pytest.mark.parametrize(
    ("raw", "complaint"),
    [
        ({"effect": "bounce"}, "answer[0].effect: invalid enum value 'bounce'"),
        ({"source": "hearsay"}, "answer[0].source: 'hearsay' is not in [sources]"),
        ({"color": "red"}, "answer[0]: object contains unknown field `color`"),
    ],
)
def test_a_broken_table_is_told_by_file_and_field(raw, complaint):
    with pytest.raises(rulefiles.RuleFileError) as error:
        a_table({"rules": ["a/b"], "effect": "reject", **raw})
    assert str(error.value) == f"rules/providers/made.toml: {complaint}"


@pytest.mark.parametrize(
    ("reply", "rules"),
    [
        ("550-5.7.40", {"dmarc/no-record"}),
        ("5.7.40", {"dmarc/no-record"}),
        (
            "550 5.7.515 Access denied, sending domain EXAMPLE.ORG does not meet the required authentication level.",
            {"dmarc/no-record"},
        ),
        (
            (
                "550-5.7.26 Your email has been blocked because the sender is unauthenticated.\n"
                "550-5.7.26 Gmail requires all senders to authenticate with either SPF or\n550 5.7.26 DKIM."
            ),
            {"dkim/unauthenticated"},
        ),
        (
            "554 5.7.1 Your message was rejected due to example.org's DMARC policy. See https://support.apple.com/",
            {"dmarc/not-aligned"},
        ),
        ("550 mwinf5c04 ME Client host blocked for spamming issues. OFR006_102 Ref x [102]", {"reputation/ip-listed"}),
        ("421 4.2.1 LPN006_107", {"dns/no-ptr"}),
        ("<a@gmail.com>: host gmail-smtp-in.l.google.com said: 550-5.7.40 no such words", {"dmarc/no-record"}),
        ("Remote server returned '550 5.7.515 Access denied, sending domain x does not meet it'", {"dmarc/no-record"}),
        ("OFR_517", {"dmarc/not-aligned"}),
        ("554 5.7.1 Client host rejected LPN007_405", set()),  # La Poste's, so none of iCloud's 554 5.7.1
        ("421 4.7.0 [TSS04] deferred, see https://postmaster.yahooinc.com", {"reputation/many-complaints"}),
        ("no such words", set()),
        ("550 5.9.999", set()),
    ],
)
def test_a_reply_is_recognised_by_its_text_and_else_by_its_code(reply, rules):
    found = {name for told in replies.recognise(reply) for name in told.answer.names}
    assert rules <= found
    assert bool(rules) == bool(found)


@pytest.mark.parametrize(
    ("reply", "whose"),
    [
        ("421 4.7.0 [TSS04] see https://postmaster.yahooinc.com", {"yahoo"}),
        ("said: 550 5.1.1 x. - gsmtp", {"gmail"}),
        ("host x.mail.protection.outlook.com said: 550", {"microsoft"}),
        ("550 5.5.0 LPN004_401", {"laposte"}),
        ("550 no", set()),
    ],
)
def test_a_reply_shows_whose_it_is(reply, whose):
    assert replies.whose_reply(reply) == whose


@pytest.mark.parametrize("name", ['x"><script>', "../gmail", "Gmail", "", "gmail\n"])
def test_a_table_whose_name_could_not_stand_in_an_address_is_refused(name):
    with pytest.raises(rulefiles.RuleFileError, match="a name of a-z, 0-9 and - is expected"):
        mailboxes.table(name, {})
