"""Whose reply an SMTP reply is, and which answers of the providers' tables it may be."""

import re
from collections.abc import Iterator

from .facts.recipients import provider_of_host
from .mailboxes import Answer, MailboxProvider, Told, tables

MAX_REPLY = 4_096  # characters of a reply looked at; RFC 5321 section 4.5.3.1.5 allows 512 octets a line

_NOT_WORDS = re.compile(r"[^a-z0-9]+")
_CONTINUED = re.compile(r"(?m)(?<=\n)\s*[245]\d\d[ -](?:[245]\.\d{1,3}\.\d{1,3} )?")  # of a further line, RFC 2034 section 4
_SERVER_NUMBER = re.compile(r"\b(OFR|LPN|OUK)(?:AAA|\d{3})?[_-](\d{3})\b", re.IGNORECASE)  # OFR006_102: server, code
_HOST = re.compile(r"(?:[a-z0-9-]{1,63}\.){1,10}[a-z]{2,63}")
_ENHANCED = re.compile(r"[245]\.\d{1,3}\.\d{1,3}")
CODE = re.compile(r"(?<![\w.])[245](?:\d\d|\.\d{1,3}\.\d{1,3})(?![\w.])")  # what tells a reply from a rule's name


def recognise(reply: str) -> list[Told]:
    """The answers that a reply may be: told by its words, else by a tag of the provider, else by code.

    One code stands for several causes (Gmail's 5.7.26 has three texts), and one cause comes under several codes, so words count
    before numbers. `reply` may be a code alone, a reply of several lines, or a line of a log or bounce with the reply in it.
    Where it shows whose it is, by a host or a sign, nobody else's answers are taken for it.
    """
    said, whose = words(unwrapped(reply)), whose_reply(reply)
    found: dict[int, list[Told]] = {}
    for name, one in tables().items():
        if whose and name not in whose:
            continue
        for answer in one.answer:
            strength = max(_strengths(answer, said), default=0)
            if strength:
                found.setdefault(strength, []).append(Told(name, one.title, answer, one.sources[answer.source]))
    return found[max(found)] if found else []


def unwrapped(reply: str) -> str:
    """A reply of several lines without the codes that its further lines repeat, and without the numbers of single servers."""
    return _SERVER_NUMBER.sub(r"\1_\2", _CONTINUED.sub("", reply[:MAX_REPLY]))


def whose_reply(reply: str) -> set[str]:
    """The providers that a reply names: by one of their hosts, or by a sign of theirs."""
    text = unwrapped(reply)
    said = words(text)
    hosts = {provider_of_host(host) for host in _HOST.findall(text.lower())} - {None}
    return {str(name) for name in hosts} | {name for name, one in tables().items() if _signed(one, said)}


def _signed(one: MailboxProvider, said: str) -> bool:
    return any(words(sign) in said for sign in one.signs)


def words(text: str) -> str:
    """Letters and digits in lower case with one blank between and around."""
    return f" {_NOT_WORDS.sub(' ', text.lower()).strip()} "


def _strengths(answer: Answer, said: str) -> Iterator[int]:
    """How surely a reply is this answer: 3 by its words, 2 by a tag in its code, 1 by the numbers."""
    if answer.text and _has(said, answer.text):
        yield 3
    for code in (answer.code, *answer.also):
        if code is None:
            continue
        enhanced = _ENHANCED.search(code)
        tag = words(re.sub(r"^[245]\d\d\b", "", _ENHANCED.sub("", code).strip("- ")))
        if tag.strip():
            if tag in said:
                yield 2
        elif enhanced is not None:
            if words(enhanced[0]) in said:
                yield 1
        elif said == words(code):  # three digits say nothing, unless they are all that is asked
            yield 1


def _has(said: str, text: str) -> bool:
    """Whether a reply has the words of an answer, in order; … in the answer stands for what differs: a domain, an address."""
    place = 0
    for piece in text.split("…"):
        wanted = words(piece)
        found = said.find(wanted, place) if wanted.strip() else place
        if found < 0:
            return False
        place = max(found + len(wanted) - 1, 0)
    return True
