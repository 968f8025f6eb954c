"""Rules about labels that a subject must have, or must not seem to have."""

import re
from functools import lru_cache

from ...engine import rule
from ...facts.headers import Subject
from ...facts.jurisdictions import Jurisdictions
from ...facts.opt_out import OptOutAddresses
from ...facts.roots import Sender
from ...facts.unsubscribe_links import leaving_words
from ...facts.wording import Wording, folded
from ...model import Finding, Findings, NotApplicable, Problem, Unavailable, Undetermined, Where
from ...rulefiles import data
from ...saying import shortened
from ..headers import TOP
from . import NO_NAME, missing

EXPLICIT = "SEXUALLY-EXPLICIT: "  # 16 CFR 316.4(a)(1): "in capital letters as the first nineteen (19) characters"
SINGAPORE = "<ADV> "  # Spam Control Act, Second Schedule paragraph 3(1)(b): "<ADV>" and a space
KOREA = "(광고)"  # Enforcement Decree of the Network Act, Table 6

MaybeSubject = Subject | NotApplicable | Unavailable

_KOREAN_LOOKALIKE = re.compile(r"[(\[{<（［【〔]?\s{0,3}광[\s.·_*~-]{0,3}고\s{0,3}[)\]}>）］】〕]?")
_CHINESE = re.compile(r"(?<![A-Za-z])AD(?![A-Za-z])|广告")  # NetEase: half-width capitals, or the word itself
_AT_SIGN = re.compile(r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,4}")
_TELEPHONE = re.compile(r"(?<![\w.-])(?:\+?82[ -]?)?\(?0?\d{1,3}\)?[ -]\d{3,4}[ -]\d{4}(?!\d)|(?<!\d)1\d{3}-\d{4}(?!\d)")


def _unlabelled(subject: MaybeSubject, label: str, law: str, found: str = "") -> Problem:
    """The subject does not begin with a label; the fix is the subject that does."""
    if not isinstance(subject, Subject):
        return Problem(f"there is no Subject that begins with {label.strip()!r}; asked for by {law}", TOP)
    text = subject.text.strip()
    exact = subject.text == subject.field.text
    at = subject.field.where(0, min(len(subject.text), 20)) if exact and text else subject.field.at
    what = (
        f"the subject begins with {found!r}, not with {label.strip()!r}" if found else f"the subject has no {label.strip()!r}"
    )
    return Problem(f"{what}; asked for by {law}", at, fix=f"Subject: {label}{text}" if not found else None)


def _text(subject: MaybeSubject) -> str:
    return subject.text.lstrip(" \t") if isinstance(subject, Subject) else ""


# --- United States -----------------------------------------------------------------------------------------------


@rule("legal/unlabelled-explicit")
def unlabelled_explicit(where: Jurisdictions, sender: Sender, subject: MaybeSubject) -> Findings:
    if not sender.sexually_oriented:
        raise NotApplicable("the sender declared no sexually oriented mail ([sender] sexually-oriented)")
    law = where.law("explicit-label")
    if not _text(subject).startswith(EXPLICIT):
        yield _unlabelled(subject, EXPLICIT, law)


# --- Singapore ---------------------------------------------------------------------------------------------------


@rule("legal/unlabelled-advertising-singapore")
def unlabelled_advertising_singapore(
    where: Jurisdictions,
    sender: Sender,
    subject: MaybeSubject,
    offered: OptOutAddresses | NotApplicable | Unavailable,
    words: Wording | NotApplicable | Unavailable,
) -> Findings:
    if not sender.unsolicited:
        raise NotApplicable("the sender declared no unsolicited mail ([sender] unsolicited)")
    law = where.law("singapore")
    if not _text(subject).startswith(SINGAPORE):
        yield _unlabelled(subject, SINGAPORE, law)
    if isinstance(offered, OptOutAddresses) and offered.mail:
        return
    if isinstance(words, Wording) and not _written_beside_leaving(words):
        yield missing("no mail address for unsubscribing", law, words)


def _written_beside_leaving(words: Wording) -> bool:
    """Whether a line that speaks of leaving has a mail address."""
    return any(
        _AT_SIGN.search(line) and any(leaving_words(folded(line)))
        for passage in words.each
        for line in passage.text.splitlines()
        if "@" in line
    )


# --- Korea -------------------------------------------------------------------------------------------------------


@rule("legal/unlabelled-advertising-korea")
def unlabelled_advertising_korea(
    where: Jurisdictions,
    sender: Sender,
    subject: MaybeSubject,
    words: Wording | NotApplicable | Unavailable,
) -> Findings:
    law = where.law("korea")
    text = _text(subject)
    if not text.startswith(KOREA):
        variant = _KOREAN_LOOKALIKE.match(text)
        yield _unlabelled(subject, KOREA, law, variant[0] if variant else "")
    if isinstance(words, Wording):
        yield from _korean_items(words, sender, law)


def _korean_items(words: Wording, sender: Sender, law: str) -> Findings:
    if not sender.names:
        yield Undetermined(NO_NAME)
    elif not any(words.has(name) for name in sender.names):
        yield missing("no name of the sender", law, words)
    if not any(_AT_SIGN.search(passage.text) or _TELEPHONE.search(passage.text) for passage in words.each):
        yield missing("no mail address or telephone number", law, words)
    if not words.says(tuple(map(folded, data("unsubscribe-words")["words"]["ko"]))):
        yield missing("no words in Korean for unsubscribing", law, words)


# --- China -------------------------------------------------------------------------------------------------------


@rule("legal/unlabelled-advertising-china")
def unlabelled_advertising_china(
    where: Jurisdictions | NotApplicable, subject: MaybeSubject, *, everywhere: bool = False
) -> Findings:
    law = _law(where, "china", everywhere, "NetEase")
    if not _CHINESE.search(_text(subject)):
        yield _unlabelled(subject, "AD ", law)


def _law(where: Jurisdictions | NotApplicable, element: str, everywhere: bool, otherwise: str) -> str:
    """Who asks: the law of a declared country, or whom the policy speaks for, whose recipients need no declaration."""
    try:
        if isinstance(where, NotApplicable):
            raise where
        return where.law(element)
    except NotApplicable:
        if everywhere:
            return otherwise
        raise


# --- advertising in disguise -------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def _transactional() -> re.Pattern[str]:
    book = data("legal-words")["transactional-subjects"]
    return re.compile("|".join(f"(?:{pattern})" for patterns in book.values() for pattern in patterns), re.IGNORECASE)


@rule("legal/disguised-advertising")
def disguised_advertising(where: Jurisdictions | NotApplicable, subject: Subject, *, everywhere: bool = False) -> Findings:
    law = _law(where, "recognisable", everywhere, "Directive 2000/31/EC art. 6 (EU)")
    found = _transactional().search(subject.text[:1000])
    if found is not None:
        exact = subject.text == subject.field.text
        at = subject.field.where(*found.span()) if exact else subject.field.at
        yield _disguised(found[0].strip(), law, at)


def _disguised(words: str, law: str, at: Where) -> Finding:
    return Problem(
        f"“{shortened(words, 60)}” in the subject of mail declared as bulk; {law} asks that advertising can be told", at
    )
