"""Rules about what is in an AMP part; where it stands is `structure`'s."""

import re
from collections.abc import Iterator

from ...engine import rule
from ...facts.amp import AmpParts
from ...facts.content import place
from ...mime.html import Element, HtmlDocument
from ...model import Findings, Problem, Unavailable, Undetermined

MAX_OCTETS = 200_000  # AMP for Email Format, "Required markup": bytes, not 200 KiB

RUNTIME = "https://cdn.ampproject.org/v0.js"
_DOCTYPE = re.compile(r"\ufeff?\s*<!doctype\s+html\s*>", re.IGNORECASE)


@rule("mime/amp-invalid")
def amp_invalid(amp: AmpParts, *, max_octets: int = MAX_OCTETS) -> Findings:
    for one in amp.each:
        if one.octets > max_octets:
            what = f"the AMP part has {one.octets} octets, {max_octets} are allowed"
            yield Problem(what, place(one.part, "content-type"))
        if isinstance(one.document, Unavailable):
            yield Undetermined(one.document.reason, one.document.where)
            continue
        for what in _lacking(one.document):
            yield Problem(f"the AMP part {what}", one.part.where_text(0))


def _lacking(document: HtmlDocument) -> Iterator[str]:
    """What the format says that a document MUST have and this one has not."""
    if not _DOCTYPE.match(document.source):
        yield "does not begin with <!doctype html>"
    if not any(_is_amp(name) for top in document.all("html") for name, _ in top.attributes):
        yield "has no <html ⚡4email>"
    head = next(document.all("head"), None)
    inside = () if head is None else head.descendants
    if not any(_is_runtime(element) for element in inside):
        yield f'has no <script async src="{RUNTIME}"> in its head'
    if not any(element.tag == "style" and element.get("amp4email-boilerplate") is not None for element in inside):
        yield "has no <style amp4email-boilerplate> in its head"
    if not any((element.get("charset") or "").strip().lower() == "utf-8" for element in inside if element.tag == "meta"):
        yield 'has no <meta charset="utf-8"> in its head'


def _is_amp(name: str) -> bool:
    # The sign with or without the selector that makes it colourful: keyboards differ, and validators take both.
    return name in {"amp4email", "⚡4email", "⚡\ufe0f4email"}


def _is_runtime(element: Element) -> bool:
    return element.tag == "script" and element.get("async") is not None and (element.get("src") or "").strip() == RUNTIME
