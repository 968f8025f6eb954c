"""Structured data for machines in the HTML: the JSON-LD that Gmail and others make buttons and cards of."""

import json
from dataclasses import dataclass
from typing import Any

from ..engine import fact
from ..mime.html import Element
from ..model import NotApplicable, Unavailable, Where
from .message import HtmlPart, HtmlParts

MAX_SCRIPT = 200_000  # characters of one script that are parsed; twice what Gmail shows of a whole mail
MAX_SCRIPTS = 100  # of one part; a promotion has three (organization, offer, card)


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a script is no JSON, in words that follow "it", and the character at fault."""

    reason: str
    position: int = 0


@dataclass(frozen=True, slots=True)
class Script:
    """One script of the type application/ld+json: its value, or why it has none."""

    html: HtmlPart
    element: Element
    value: Any | Fault

    @property
    def at(self) -> Where:
        """The place of the element, or of the character at fault."""
        if isinstance(self.value, Fault) and self.element.texts:
            return self.html.where(self.element.texts[0].offset_of(self.value.position))
        return self.html.where(max(self.element.offset, 0))


@dataclass(frozen=True, slots=True)
class StructuredData:
    """All such scripts in the order of the message; `unavailable` tells of parts that were not read."""

    each: tuple[Script, ...]
    unavailable: tuple[Unavailable, ...] = ()


@fact
def structured_data(html: HtmlParts) -> StructuredData:
    """Find and parse them. NotApplicable without any."""
    found: list[Script] = []
    for part, document in html.readable:
        scripts = [each for each in document.all("script") if _is_json_ld(each)][:MAX_SCRIPTS]
        found += [Script(part, element, parse(element.text)) for element in scripts]
    if not found and not html.unavailable:
        raise NotApplicable("the HTML has no JSON-LD")
    return StructuredData(tuple(found), html.unavailable)


def _is_json_ld(element: Element) -> bool:
    return (element.get("type") or "").partition(";")[0].strip().lower() == "application/ld+json"


def parse(text: str) -> Any | Fault:
    """The JSON value of a script's text, or what is wrong with it. Never raises."""
    if len(text) > MAX_SCRIPT:
        return Fault(f"has {len(text)} characters, {MAX_SCRIPT} are read")
    if not text.strip():
        return Fault("is empty")
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        return Fault(f"is no JSON: {error.msg[:1].lower()}{error.msg[1:]}", min(error.pos, len(text) - 1))
    except (ValueError, RecursionError):  # a number of thousands of digits, brackets nested a thousand deep
        return Fault("is no JSON that a program would write")
