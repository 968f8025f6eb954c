"""What stands before a template's body: front matter between two lines of hyphens, or a first line `Subject: …`.

Both are cut off by blanks in their place, so that every offset stays what it is.
"""

import re
from dataclasses import replace

from ..facts.template_source import MAX_FRONT_MATTER
from .model import Source

_OPENED = re.compile(r"\A---[ \t]*\r?\n")  # as Jekyll, Maizzle and MJML's own previews have it
_CLOSED = re.compile(r"^---[ \t]*\r?$", re.MULTILINE)
_SUBJECT = re.compile(r"^subject[ \t]{0,9}:(?P<value>[^\r\n]*)", re.IGNORECASE | re.MULTILINE)
_FIRST_LINE = re.compile(r"\A\s{0,100}subject:(?P<value>[^\r\n]*)(?:\r?\n|\Z)", re.IGNORECASE)
_VISIBLE = re.compile(r"[^\r\n]")


def split(source: Source, *, plain: bool) -> tuple[Source, Source | None]:
    """The body, and the subject where the template brings one; a plain text may have it as its first line."""
    text = source.text
    opened = _OPENED.match(text)
    if opened is not None:
        closed = _CLOSED.search(text, opened.end(), opened.end() + MAX_FRONT_MATTER)
        if closed is None:
            return source, None
        subject = _SUBJECT.search(text, opened.end(), closed.start())
        return _from(source, closed.end()), _only(source, subject)
    if plain and (first := _FIRST_LINE.match(text)) is not None:
        return _from(source, first.end()), _only(source, first)
    return source, None


def _from(source: Source, at: int) -> Source:
    return replace(source, text=_VISIBLE.sub(" ", source.text[:at]) + source.text[at:])


def _only(source: Source, found: re.Match[str] | None) -> Source | None:
    """Nothing but the value, without the quotes that YAML may put around it."""
    if found is None:
        return None
    start, end = found.span("value")
    value = source.text[start:end]
    start, end = start + len(value) - len(value.lstrip()), start + len(value.rstrip())
    value = source.text[start:end]
    if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
        start, end = start + 1, end - 1
    return replace(source, text=_VISIBLE.sub(" ", source.text[:start]) + source.text[start:end])
