"""Codes of the countries that the sender declares its recipients to live in."""

import difflib
from collections.abc import Iterable

from ..rulefiles import data
from .errors import ParseError

MAX_CODE = 60  # characters of what was given that are compared with names; the longest name has 40


class BadJurisdiction(ParseError):  # noqa: N818 -- as BadName
    """What was given is neither an ISO 3166-1 code nor a group of countries; the text ends with the nearest, if one is near."""


def parse(text: str) -> str:
    """The code of a country or group, in upper case; "uk" is GB. Raises BadJurisdiction."""
    book = data("jurisdictions")
    given = text.strip().upper()
    code = book["also"].get(given, given) if len(given) <= len("UAE") else given
    if code in book["names"] or code in book["groups"]:
        return str(code)
    raise BadJurisdiction(f"{text[:MAX_CODE]!r} is no code of a country such as DE, US or EU{_nearest(given)}", (0, len(text)))


def _nearest(given: str) -> str:
    """`; did you mean DE (Germany)?` for the name of a country; two letters that are no code are near to nothing."""
    book = data("jurisdictions")
    codes = {**{name.upper(): code for code, name in book["names"].items()}, **book["also"]}
    near = difflib.get_close_matches(given[:MAX_CODE], codes, 1, 0.75)
    if not near:
        return ""
    code = codes[near[0]]
    return f"; did you mean {code} ({book['names'].get(code, 'European Union')})?"


def spread(codes: Iterable[str]) -> frozenset[str]:
    """The codes, the members of groups among them, and the groups that countries among them belong to."""
    declared = frozenset(codes)
    found = set(declared)
    for group, members in data("jurisdictions")["groups"].items():
        if group in declared:
            found.update(members)
        elif not declared.isdisjoint(members):
            found.add(group)
    return frozenset(found)
