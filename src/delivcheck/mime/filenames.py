"""The names that readers may give one file: every parameter in every form, as strict and as careless parsers take them."""

import re
from collections.abc import Iterator

from .fields import Field
from .lexer import HeaderError
from .parameters import Parametrized, parse_content_type, parse_disposition, parse_parameters
from .part import Part
from .words import decode_words

_FIELDS = ("content-disposition", "content-type")
_NAMES = frozenset({"filename", "name"})  # clients read either in either field
# What a parser takes that looks for name= and neither for comments nor for quoted-pairs.
_CARELESS = re.compile(r"name[ \t]*(?:\([^()]*\)[ \t]*)?=[ \t]*(?:\"([^\"]*)|([^;]*))", re.IGNORECASE)


def filenames(part: Part) -> tuple[str, ...]:
    """Each name once, the likeliest first; repeated fields and parameters count, encoded-words as written and decoded."""
    found: dict[str, None] = {}
    for field_name in _FIELDS:
        for field in part.all(field_name):
            for written in _written(field):
                for name in (decode_words(written), written):
                    found[name] = found[name.strip(" '")] = None  # single quotes are none, but many readers take them for it
    found.pop("", None)
    return tuple(found)


def _written(field: Field) -> Iterator[str]:
    read = _read(field)
    yield from (one.value for one in (*read.parameters, *read.others) if one.name in _NAMES)
    if read.faults:
        for match in _CARELESS.finditer(field.text):
            yield (match[1] if match[1] is not None else match[2]).strip()


def _read(field: Field) -> Parametrized:
    try:
        return parse_content_type(field.text) if field.lower == "content-type" else parse_disposition(field.text)
    except HeaderError:
        return parse_parameters(field.text)
