"""What is kept from one message for the next: equal origins and equal answers, never a guess."""

import asyncio
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import ip_address

import msgspec
import pytest

from delivcheck import recall
from delivcheck.api import Checker, Options
from delivcheck.engine import Planner, Roots, fact, rule
from delivcheck.facts.roots import Envelope, Session
from delivcheck.facts.spf import is_personal
from delivcheck.model import Dns, Failed, Failure, Found, NoData, NotApplicable, Outcome, Problem, Unavailable, Undetermined
from delivcheck.net.snapshot import from_mapping
from delivcheck.policy import load
from delivcheck.recall import Recall
from tests.bench import letters


@dataclass(frozen=True)
class Text:
    """A message, as it were."""

    sender: str
    words: str = ""


@dataclass(frozen=True)
class Author:
    name: object


@dataclass(frozen=True)
class Record:
    text: str


@dataclass(frozen=True)
class Size:
    value: int


@dataclass(frozen=True)
class Sealed:
    """Known only after the record is."""

    by: str


@dataclass(frozen=True)
class Trust:
    value: str


class Zone:
    """Answers from a table, and counts."""

    def __init__(self, **answers):
        self.answers = answers
        self.asked = []
        self.slow = False

    async def ask(self, name, type):  # noqa: A002 -- the DNS word
        self.asked.append(name)
        if self.slow:
            await asyncio.sleep(0)
        return self.answers.get(name, NoData())


def found(text):
    return Found(((text,),))


class World:
    """Providers that note when they are called, two checks, and the memory of their plan."""

    def __init__(self, *, personal=lambda *_: False, author=None, record=None):
        self.made = []

        @fact
        def size(text: Text) -> Size:
            self.made.append("size")
            return Size(len(text.words))

        @fact
        def author_of(text: Text) -> Author:
            return author(text) if author else Author(text.sender)

        @fact(steady=True)
        async def record_of(who: Author, dns: Dns) -> Record:
            self.made.append("record")
            if record:
                return await record(who, dns)
            answer = await dns.ask(who.name, "TXT")
            if isinstance(answer, Failed):
                raise Unavailable("no answer")
            if not isinstance(answer, Found):
                raise NotApplicable(f"{who.name} has none")
            return Record(answer.records[0][0])

        @fact
        def sealed(text: Text, record: Record | NotApplicable) -> Sealed:
            return Sealed(f"{text.sender} {record.text if isinstance(record, Record) else ''}")

        @fact(steady=True)
        def trust(seal: Sealed, record: Record | NotApplicable) -> Trust:
            self.made.append("trust")
            return Trust(seal.by)

        @rule("record/bad")
        def bad(record: Record):
            self.made.append("bad")
            if record.text == "bad":
                yield Problem("a bad record")
            if record.text == "raises":
                raise ZeroDivisionError

        @rule("trust/known")
        def known(trust: Trust, who: Author):
            self.made.append("known")
            yield Undetermined(trust.value)

        @rule("size/large")
        def large(size: Size, record: Record | NotApplicable):
            self.made.append("large")
            if size.value > 3:
                yield Problem(f"{size.value}")

        self.checks = list(enumerate((bad, known, large)))
        self.planner = Planner([size, author_of, record_of, sealed, trust])
        self.personal = personal
        self.memory = None

    def __call__(self, dns, sender, words=""):
        """Judge one message; what was called, and the outcomes."""
        return asyncio.run(self.judged(dns, sender, words))

    async def judged(self, dns, sender, words=""):
        from delivcheck.engine import run

        self.made.clear()
        roots = Roots(Text(sender, words), (Dns, dns))
        if self.memory is None:
            wanted = dict.fromkeys(need.fact for _, check in self.checks for need in check.needs)
            self.memory = Recall(self.planner.plan(wanted, roots), self.checks, self.personal)
        recalled = await self.memory.gather(roots)
        ran = {at: run(check, recalled.facts) for at, check in self.checks if at not in recalled.judged}
        self.memory.learn(recalled, ran)
        return list(self.made), [{**recalled.judged, **ran}[at].outcome for at, _ in self.checks]


EVERYTHING = ["size", "record", "trust", "bad", "known", "large"]
OF_THE_MESSAGE = ["size", "large"]


def made(world, *args):
    return sorted(world(*args)[0])


def test_a_second_message_of_a_sender_is_asked_about_and_not_worked_out_again():
    world, dns = World(), Zone(shop=found("good"))
    assert made(world, dns, "shop") == sorted(EVERYTHING)
    assert made(world, dns, "shop", "abcdef") == OF_THE_MESSAGE[::-1]
    assert dns.asked == ["shop", "shop"]


def test_what_the_message_itself_says_is_judged_each_time():
    world, dns = World(), Zone(shop=found("bad"))
    assert world(dns, "shop")[1] == [Outcome.FAIL, Outcome.UNKNOWN, Outcome.PASS]
    assert world(dns, "shop", "abcdef")[1] == [Outcome.FAIL, Outcome.UNKNOWN, Outcome.FAIL]


def test_another_sender_is_another_matter_and_both_are_remembered():
    world, dns = World(), Zone(shop=found("good"), bank=found("bad"))
    assert world(dns, "shop")[1][0] is Outcome.PASS
    assert world(dns, "bank")[1][0] is Outcome.FAIL
    assert made(world, dns, "shop") == made(world, dns, "bank") == OF_THE_MESSAGE[::-1]
    assert world(dns, "bank")[1][0] is Outcome.FAIL


def test_an_answer_that_changed_makes_everything_anew_that_rests_on_it():
    world, dns = World(), Zone(shop=found("good"))
    world(dns, "shop")
    dns.answers["shop"] = found("bad")
    calls, outcomes = world(dns, "shop")
    assert sorted(calls) == sorted(EVERYTHING)
    assert outcomes[0] is Outcome.FAIL
    assert made(world, dns, "shop") == OF_THE_MESSAGE[::-1]


def test_an_equal_answer_from_another_query_is_the_same_answer():
    world, dns = World(), Zone(shop=found("good"))
    world(dns, "shop")
    dns.answers["shop"] = found("good")
    assert made(world, dns, "shop") == OF_THE_MESSAGE[::-1]


def test_what_is_not_there_is_remembered_with_its_reason():
    world, dns = World(), Zone()
    assert world(dns, "shop")[1][0] is Outcome.NOT_APPLICABLE
    calls, outcomes = world(dns, "shop")
    assert sorted(calls) == OF_THE_MESSAGE[::-1]
    assert outcomes[0] is Outcome.NOT_APPLICABLE


def test_no_answer_is_never_remembered():
    world, dns = World(), Zone(shop=Failed(Failure.TIMEOUT))
    assert world(dns, "shop")[1][0] is Outcome.UNKNOWN
    assert "record" in world(dns, "shop")[0]
    dns.answers["shop"] = found("bad")
    assert world(dns, "shop")[1][0] is Outcome.FAIL


def test_a_part_without_an_answer_is_not_remembered_either():
    async def both(who, dns):
        await dns.ask("lost", "TXT")
        return Record((await dns.ask(who.name, "TXT")).records[0][0])

    world, dns = World(record=both), Zone(shop=found("good"), lost=Failed(Failure.SERVFAIL))
    world(dns, "shop")
    assert "record" in world(dns, "shop")[0]


def test_what_has_to_be_waited_for_is_left_to_the_providers():
    world, dns = World(), Zone(shop=found("good"))
    world(dns, "shop")
    dns.slow = True
    assert made(world, dns, "shop") == sorted(EVERYTHING)


def test_answers_that_differ_within_one_message_are_not_remembered():
    answers = [found("one"), found("two")]

    async def twice(who, dns):
        return Record(str([await dns.ask(who.name, "TXT") for _ in range(2)]))

    class Turning(Zone):
        async def ask(self, name, type):  # noqa: A002 -- the DNS word
            answers.reverse()
            return answers[0]

    world, dns = World(record=twice), Turning()
    world(dns, "shop")
    assert "record" in world(dns, "shop")[0]


def test_what_holds_for_one_message_only_is_not_remembered():
    world, dns = World(personal=lambda kind, answer: kind == "TXT" and answer == found("%{l}")), Zone(shop=found("%{l}"))
    world(dns, "shop")
    assert "record" in world(dns, "shop")[0]


def test_a_fault_of_ours_is_not_remembered():
    world, dns = World(), Zone(shop=found("raises"))
    assert world(dns, "shop")[1][0] is Outcome.UNKNOWN
    assert "bad" in world(dns, "shop")[0]


def test_origins_that_cannot_be_compared_are_not_remembered():
    world = World(author=lambda text: Author([text.sender]), record=_constant)
    world(Zone(), "shop")
    assert "record" in world(Zone(), "shop")[0]


def test_origins_that_are_unknown_are_not_remembered():
    seldom = [Unavailable("who knows")]

    def author(text):
        if seldom:
            raise seldom.pop()
        return Author(text.sender)

    world, dns = World(author=author), Zone(shop=found("good"))
    assert world(dns, "shop")[1] == [Outcome.UNKNOWN, Outcome.UNKNOWN, Outcome.UNKNOWN]
    assert world(dns, "shop")[1] == [Outcome.PASS, Outcome.UNKNOWN, Outcome.PASS]


async def _constant(who, dns):
    return Record("good")


def test_an_origin_that_does_not_apply_is_one_by_its_reason():
    def nobody(text):
        raise NotApplicable(f"no author: {text.words}")

    @fact(steady=True)
    def record_of(who: Author | NotApplicable) -> Record:
        world.made.append("record")
        return Record(str(who))

    world = World(author=nobody)
    world.planner = Planner(
        [record_of, *(one for each in world.planner.facts.values() for one in each if one.makes is not Record)]
    )
    world(Zone(), "shop", "a")
    assert "record" not in world(Zone(), "shop", "a")[0]
    assert "record" in world(Zone(), "shop", "b")[0]


def test_too_many_answers_are_not_asked_again(monkeypatch):
    monkeypatch.setattr(recall, "MAX_TOLD", 0)
    world, dns = World(), Zone(shop=found("good"))
    world(dns, "shop")
    assert "record" in world(dns, "shop")[0]


def test_the_sender_not_met_for_longest_is_forgotten(monkeypatch):
    monkeypatch.setattr(recall, "KEPT", 2)
    monkeypatch.setattr(recall, "MAX_RESTS", 1)
    world, dns = World(), Zone(a=found("good"), b=found("good"), c=found("good"))
    for sender in "abac":
        world(dns, sender)
    assert "record" not in world(dns, "a")[0]
    assert "record" in world(dns, "b")[0]


def test_a_record_that_asks_for_the_senders_address_is_personal():
    assert is_personal("TXT", Found(((b"v=spf1 exists:%", b"{L}._spf.example -all"),)))
    assert not is_personal("TXT", Found(((b"v=spf1 exists:%{i}._spf.example -all",),)))
    assert not is_personal("MX", Found(((10, "mx.example"),)))
    assert not is_personal("TXT", NoData())


# --- whole messages ----------------------------------------------------------------------------------------------


NOW = datetime.now(UTC)
SESSION = Session(ip_address(letters.IP), letters.GATE, tls="TLSv1.3")


def checker(records=letters.RECORDS):
    return Checker(Options(load("bulk"), dns=from_mapping(records), now=NOW))


def judge(one, data, mail_from=letters.SENDER, session=SESSION):
    return msgspec.json.encode(
        asyncio.run(one.message(data, envelope=Envelope(mail_from, (letters.RECIPIENT,)), session=session))
    )


@pytest.fixture(scope="module")
def mails():
    """Letters of one sender, and others that differ in what is remembered."""
    each = letters.letters(3, 3)
    other = [one.replace(b"From: Harbour <news@example.org>", b"From: Harbour <news@mail.example.com>") for one in each[:1]]
    unsigned = letters.letters(3, 1, signed=False)
    folded = [each[0].replace(b"To: Pat", b"X-Odd: 1\r\nTo: Pat"), each[1].replace(b"s=s1;", b"s=s2;")]
    return [
        *each,
        *other,
        *unsigned,
        *folded,
        b"From: a@example.org, b@example.org\r\n\r\nx\r\n",
        b"Subject: x\r\n\r\nx\r\n",
        *each,
    ]


def test_a_message_is_judged_the_same_whatever_went_before(mails):
    warm = checker()
    for _ in range(2):
        for sender in (letters.SENDER, "", "b-17=a@example.org", "x@elsewhere.example"):
            for data in mails:
                one, other = judge(warm, data, sender), judge(checker(), data, sender)
                assert _without_reuse(one) == _without_reuse(other)


def _without_reuse(report):
    """The rule about Message-IDs used twice looks at what went before, as it should."""
    told = msgspec.json.decode(report)
    told["results"] = [one for one in told["results"] if one["rule"] != "headers/message-id-reused"]
    return told


def test_threads_share_what_is_kept(mails):
    warm = checker()
    expected = [_without_reuse(judge(checker(), data)) for data in mails]
    got = {}

    def work(number):
        got[number] = [_without_reuse(judge(warm, data)) for data in mails * 2]

    threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(one == expected * 2 for one in got.values())
    assert len(got) == 3


def test_a_record_with_the_senders_macro_is_evaluated_for_each():
    records = {
        **letters.RECORDS,
        "example.org TXT": "v=spf1 exists:%{l}.who.example.org -all",
        "pat.who.example.org A": "192.0.2.1",
    }
    warm, data = checker(records), letters.letters(3, 1)[0]
    for sender, result in (("pat@example.org", "pass"), ("eve@example.org", "fail"), ("pat@example.org", "pass")):
        assert msgspec.json.decode(judge(warm, data, sender))["facts"]["spf"]["result"] == result
