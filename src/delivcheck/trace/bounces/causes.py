"""Why a message was refused: a provider's own code first, then words where a status is vague, then the status.

The codes and words are in `rules/data/bounces.toml`. Everything is a plain search for a text in a reply of bounded length.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from ...rulefiles import data
from . import codes
from .model import Action, Cause

MAX_REPLY = 2_000  # characters of a reply in which words are looked for


@dataclass(frozen=True, slots=True)
class Known:
    """A provider's code: what must be in the reply (`status`, and one of `texts`), and what it means."""

    provider: str
    cause: Cause
    statuses: frozenset[str]
    texts: tuple[str, ...]
    hosts: tuple[str, ...]
    rules: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Why:
    """A cause, with the provider and the rules where the reply has a provider's own code."""

    cause: Cause
    provider: str = ""
    rules: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Book:
    known: tuple[Known, ...]
    words: tuple[tuple[Cause, tuple[str, ...]], ...]
    statuses: Mapping[str, Cause]
    vague: frozenset[str]


def why(status: str, code: int, text: str, *, remote: str = "", action: Action = Action.FAILED) -> Why:
    """Why, as far as it can be told. `remote` is the host that said so, whose provider's codes are its own. Never raises."""
    book = _book()
    low = " ".join(text[:MAX_REPLY].lower().split())
    host = remote.lower().rstrip(".")
    subject = status.partition(".")[2]
    for one in book.known:
        if _matches(one, subject, low, host):
            return Why(one.cause, one.provider, one.rules)
    worded = [cause for cause, words in book.words if any(word in low for word in words)]
    by_words = next(iter(worded), None)
    by_status = book.statuses.get(subject)
    if by_status is None and subject:
        by_status = book.statuses.get(f"{subject.partition('.')[0]}.0")
    if by_status in _ABOUT_THE_ADDRESS and by_words in _ABOUT_US and _ABOUT_THE_ADDRESS.isdisjoint(worded):
        return Why(by_words)  # "5.1.1 blocked for spam": nobody is to be given up for a slip of a server's configuration
    if by_status is not None and subject not in book.vague:
        return Why(by_status)
    if by_words is not None:
        return Why(by_words)
    if by_status is not None:
        return Why(by_status)
    if action is Action.DELAYED:
        return Why(Cause.DELAYED)
    return Why(_BY_CODE.get(code, Cause.UNKNOWN))


_ABOUT_THE_ADDRESS = frozenset({Cause.BAD_MAILBOX, Cause.DISABLED})
_ABOUT_US = frozenset({Cause.AUTH, Cause.REPUTATION, Cause.CONTENT, Cause.THROTTLED, Cause.FULL, Cause.TOO_LARGE})

# RFC 5321 section 4.2.3, for servers that write nothing else. 550 and 554 say everything and nothing.
_BY_CODE = {
    421: Cause.NETWORK,
    452: Cause.FULL,
    552: Cause.FULL,
    551: Cause.BAD_MAILBOX,
    553: Cause.BAD_MAILBOX,
    556: Cause.BAD_DOMAIN,  # RFC 7504
}


def _matches(one: Known, subject: str, low: str, host: str) -> bool:
    if one.statuses and subject not in one.statuses:
        return False
    if one.hosts and not any(host == name or host.endswith(f".{name}") or name in low for name in one.hosts):
        return False
    return not one.texts or any(text in low for text in one.texts)


@lru_cache(maxsize=1)
def _book() -> _Book:
    raw = data("bounces")
    known = tuple(
        Known(
            one["provider"],
            Cause(one["cause"]),
            frozenset(one.get("statuses", ())),
            tuple(text.lower() for text in one.get("texts", ())),
            tuple(one.get("hosts", ())),
            tuple(one.get("rules", ())),
        )
        for one in raw["code"]
    )
    words = tuple((Cause(cause), tuple(text.lower() for text in texts)) for cause, texts in raw["words"].items())
    statuses = {subject: Cause(cause) for cause, subjects in raw["status"].items() for subject in subjects}
    return _Book(known, words, statuses, frozenset(raw["vague"]))


# What a signed report of failure may be taken for: nobody is there, and nobody will be. Not X.1.0 and X.1.4, which say
# nothing for sure; not X.1.2, nor X.1.10 of a domain, as a resolver of ours that fails would speak of every domain like this;
# X.1.7 and X.1.8 are about the sender, X.1.9 about a relay.
_NOBODY = frozenset({"5.1.1", "5.1.3", "5.1.6", "5.1.10"})
_CLOSED = frozenset({"5.2.1"})


def suppresses(status: str, cause: Cause, *, permanent: bool) -> bool:
    """Whether a recipient of whom a signed report says this is not to be written to again.

    Status and words must agree: "5.1.1 blocked for spam" is about us, and so is all of 5.7.x.
    """
    if not permanent:
        return False
    return (status in _NOBODY and cause is Cause.BAD_MAILBOX) or (
        status in _CLOSED and cause in {Cause.DISABLED, Cause.BAD_MAILBOX}
    )


def settled(given: str, said: codes.Reply) -> str:
    """The status to believe: the remote server's own word, unless it has none or only a class of it."""
    if codes.specific(said.status) or not given:
        return said.status or given
    if not codes.specific(given) and said.code and str(said.code)[0] != given[0]:
        return f"{str(said.code)[0]}.0.0"
    return given
