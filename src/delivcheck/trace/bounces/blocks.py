"""The fields of message/delivery-status and message/feedback-report: header fields in groups, as the world writes them."""

import re
from collections.abc import Sequence

MAX_TEXT = 262_144  # characters that are read of one such part; 1,000 recipients with replies of 200
MAX_FIELDS = 20_000  # of all groups together
MAX_VALUE = 4_096  # characters of one value; a reply has lines of 512 (RFC 5321 section 4.5.3.1.5), and a few of them

Group = tuple[tuple[str, str], ...]  # (name in lower case, value), in their order

_NAME = re.compile(r"([A-Za-z][A-Za-z0-9-]{0,60})[ \t]*:[ \t]*")


def groups(text: str) -> list[Group]:
    """Fields in groups, which blank lines part (RFC 3464 section 2.1). What is no field is left out. Never raises."""
    found: list[list[tuple[str, str]]] = [[]]
    count = 0
    for line in text[:MAX_TEXT].splitlines():
        if not line.strip():
            if found[-1]:
                found.append([])
            continue
        if line[0] in " \t":
            if found[-1]:
                name, value = found[-1][-1]
                if len(value) < MAX_VALUE:  # or a value of a million short lines would be copied as often
                    found[-1][-1] = (name, f"{value} {line.strip()}"[:MAX_VALUE])
            continue
        begins = _NAME.match(line)
        if begins is not None and count < MAX_FIELDS:
            count += 1
            found[-1].append((begins[1].lower(), line[begins.end() :].strip()[:MAX_VALUE]))
    return [tuple(one) for one in found if one]


def first(group: Sequence[tuple[str, str]], name: str) -> str:
    """The first value of a name, "" where there is none."""
    return next((value for known, value in group if known == name), "")


def every(group: Sequence[tuple[str, str]], name: str) -> list[str]:
    """All values of a name."""
    return [value for known, value in group if known == name]


def typed(value: str) -> tuple[str, str]:
    """The type in lower case, and the rest, of `rfc822; pat@example.net`; the type is "" where none is written."""
    kind, semicolon, rest = value.partition(";")
    if semicolon and kind.strip().replace("-", "").isalnum():
        return kind.strip().lower(), rest.strip()
    return "", value.strip()
