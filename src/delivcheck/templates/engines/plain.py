"""HTML and text without code, and with tags of mail platforms, which stand for values that only the platform has.

The text is the source. A platform's tag becomes a made-up value, so that no rule takes `*|UNSUB|*` for a broken link; what only
governs the text around it (`*|IF:MEMBER|*`) vanishes, with the branch of it that comes after an "else".
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from ...records.placeholders import Kind, Placeholder, scan
from ...rulefiles import data as rule_data
from ..data.values import SITE, text_for
from ..model import Host, Piece, Rendered, Source, Sources, Variable

MAX_BEFORE = 2_000  # characters before a tag that tell where it stands: the longest URL that Outlook takes whole
MAX_PATH = 60  # characters of a tag's name in a made-up URL

# Of code: what opens a condition, begins its other branch, ends it. Mailchimp, AMPscript, Liquid, Handlebars.
_OPENS = re.compile(r"(?:IFNOT|IF|INTERESTED|RSSITEMS|FEEDITEMS|FEEDBLOCK|UNLESS|CASE)\b", re.IGNORECASE)
_OTHERWISE = re.compile(r"ELS(?:E ?IF|IF|E)\b", re.IGNORECASE)
_ENDS = re.compile(r"END(?::|IF\b|UNLESS\b|CASE\b)|/(?:IF|UNLESS)\b", re.IGNORECASE)
_EVERYWHERE = ("*|", "%%", "[%")  # the openings that mean a platform's tag also where no platform is named
_WORDS = re.compile(r"[^A-Za-z0-9]+")

# Tags whose names say little by themselves: Mailchimp's "All the merge tags", Salesforce's personalization strings.
_NAMED: Mapping[str, str] = {
    "ARCHIVE": f"{SITE}/view/u7",
    "FORWARD": f"{SITE}/forward/u7",
    "UPDATE_PROFILE": f"{SITE}/preferences/u7",
    "MC_PREVIEW_TEXT": text_for(("preview_text",)),
    "LIST:ADDRESS": text_for(("address",)),
    "LIST:ADDRESSLINE": text_for(("address",)),
    "LIST:ADDRESS_HTML": text_for(("address",)),
    "HTML:LIST_ADDRESS_HTML": text_for(("address",)),
    "LIST:COMPANY": text_for(("company",)),
    "MEMBER_BUSNAME": text_for(("company",)),
    "MEMBER_ADDR": text_for(("street",)),
    "MEMBER_POSTALCODE": text_for(("postcode",)),
    "SENDER_ADDRESS": text_for(("street",)),
    "XTYEAR": text_for(("year",)),
    "XTSHORTDATE": text_for(("date",)),
    "XTLONGDATE": text_for(("date",)),
}


class PlainEngine:
    """Text without a language of its own."""

    def __init__(self, name: str) -> None:
        """Take the name of a platform, or "html" for any."""
        self.name = name

    def variables(self, source: Source, sources: Sources) -> tuple[Variable, ...]:  # noqa: ARG002 -- the shape of an engine
        """None: what a platform's tag stands for, and its default, is kept there."""
        return ()

    def render(self, source: Source, data: Mapping[str, Any], sources: Sources, *, html: bool) -> Rendered:  # noqa: ARG002
        """As `model.Engine`; a tag has the value that the data give for its name, or one that is made up."""
        texts: list[str] = []
        pieces: list[Piece] = []
        at = written = 0
        before = ""

        def write(said: str, start: int, end: int, *, copied: bool) -> None:
            nonlocal written, before
            if said:
                pieces.append(Piece(written, written + len(said), source.name, start, end, copied))
                texts.append(said)
                written += len(said)
                before = (before + said[-MAX_BEFORE:])[-MAX_BEFORE:]

        for start, end, tag in _instead(source.text, tuple(_tags(source.text, self.name))):
            write(source.text[at:start], at, start, copied=True)
            if tag is not None:
                write(_value(tag, data, before), start, end, copied=False)
            at = end
        write(source.text[at:], at, len(source.text), copied=True)
        return Rendered("".join(texts), tuple(pieces), {source.name: source})


def make(name: str, host: Host) -> PlainEngine:  # noqa: ARG001 -- every engine's module has one
    """The engine for a run."""
    return PlainEngine(name)


def _tags(text: str, engine: str) -> Iterator[Placeholder]:
    for one in scan(text, engine):
        if engine != "html" or text.startswith(_EVERYWHERE, one.start) or ("${" in one.code and one.kind is Kind.OUTPUT):
            yield one


def _instead(text: str, tags: Sequence[Placeholder]) -> Iterator[tuple[int, int, Placeholder | None]]:
    """Stretches of a text that something else stands for, in order; None where nothing does."""
    dropped = _other_branches(tags)
    at = 0
    for number, one in enumerate(tags):
        if one.start < at:
            continue
        if number in dropped:
            at = tags[dropped[number]].start
            yield one.start, at, None
        else:
            at = one.end
            yield one.start, at, one if _prints(one, text) else None


def _other_branches(tags: Sequence[Placeholder]) -> dict[int, int]:
    """Each first "else" of a condition, and the end of the condition; by their numbers. One without an end has neither."""
    found: dict[int, int] = {}
    opened: list[int | None] = []
    for number, one in enumerate(tags):
        code = one.code.strip("[]# \t\r\n") if one.kind in {Kind.CODE, Kind.OPAQUE} else ""
        if _ENDS.match(code):
            if opened and (other := opened.pop()) is not None:
                found[other] = number
        elif _OTHERWISE.match(code):
            if opened and opened[-1] is None:
                opened[-1] = number
        elif _OPENS.match(code):
            opened.append(None)
    return found


def _prints(one: Placeholder, text: str) -> bool:
    if text.startswith("<%", one.start):  # SendGrid's, whose tags all print; where these are a program's they are left alone
        return one.kind is not Kind.COMMENT
    if one.kind in {Kind.CODE, Kind.COMMENT} or one.includes:
        return False
    code = one.code.strip("[] \t\r\n")
    if text.startswith("%%[", one.start):
        return False
    return not any(word.match(code) for word in (_OPENS, _OTHERWISE, _ENDS))


# --- what is made up ---------------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def _places() -> tuple[re.Pattern[str], re.Pattern[str]]:
    """What stands before the beginning of a URL, and before a place in one; the attribute that it is in."""
    attributes = "|".join(map(re.escape, rule_data("templates")["attributes"]["url"]))
    return (
        re.compile(rf"(?:\b({attributes})\s{{0,9}}=\s{{0,9}}[\"']?|\burl\([\"']?)\s{{0,9}}\Z", re.IGNORECASE),
        re.compile(
            rf"(?:\b(?:{attributes})\s{{0,9}}=\s{{0,9}}(?:\"[^\"<>]*+|'[^'<>]*+)|\bhttps?://[^\s<>\"']*+)\Z", re.IGNORECASE
        ),
    )


@lru_cache(maxsize=1)
def _leaving() -> tuple[str, ...]:
    return tuple(rule_data("templates")["unsubscribe"]["words"])


def _value(tag: Placeholder, data: Mapping[str, Any], before: str) -> str:
    name = tag.name or tag.code
    given = data.get(name)
    if isinstance(given, (str, int, float)):
        return str(given)
    value = _made_up(name, tag.code)
    beginning, inside = _places()
    if found := beginning.search(before[-100:]):
        if value.startswith("https://"):
            return value
        path = _WORDS.sub("-", name.lower()).strip("-")[:MAX_PATH] or "page"
        return f"{SITE}/{path}" if (found[1] or "").lower() in {"href", "action", "formaction"} else f"{SITE}/images/{path}.png"
    if inside.search(before):
        return _WORDS.sub("-", value.removeprefix(SITE)).strip("-") if value.startswith("https://") else _in_url(value)
    return value


def _in_url(value: str) -> str:
    """A value as it can stand in a URL: a domain and an address stay what they are."""
    return re.sub(r"[^A-Za-z0-9.@]+", "-", value).strip("-")


def _made_up(name: str, code: str) -> str:
    known = _NAMED.get(name.upper())
    if known is not None:
        return known
    if name.upper().startswith("DATE:"):
        return text_for(("date",))
    lower = code.lower()
    if any(word in lower for word in _leaving()):
        return text_for(("unsubscribe_url",))
    return text_for((name,))
