"""Answers with their age as octets, for a client's successor: a snapshot, and beside it when each answer's TTL is over."""

import math
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated

import msgspec

from ..model import Failed
from .lasting import Aged
from .snapshot import Snapshot, SnapshotError

FORMAT = "delivcheck-answers/1"
MOST = 1_000  # answers; a sending domain takes about 20, so that is 50 of them with all that their records lead to
MAX_OCTETS = 4_000_000  # an answer takes 100 to 400, the longest that DNS can give 65,535


class NotRememberedError(Exception):
    """Octets that are no answers of ours; one line."""


class _File(msgspec.Struct):
    format: str
    ends: Annotated[dict[str, float], msgspec.Meta(max_length=MOST)]  # question: seconds since 1970
    answers: msgspec.Raw


def dump(items: Iterable[Aged], now: float) -> bytes:
    """As octets, no more than `MOST` of them and no longer than `MAX_OCTETS`; `now` is `time.time()`."""
    kept = list(items)[:MOST]
    while len(octets := _dumped(kept, now)) > MAX_OCTETS:
        kept = kept[: len(kept) // 2]
    return octets


def _dumped(items: list[Aged], now: float) -> bytes:
    snapshot = Snapshot({one.question: one.answer for one in items}, datetime.fromtimestamp(now, UTC))
    ends = {str(one.question): round(now + one.left, 1) for one in items}
    return msgspec.json.encode(_File(FORMAT, ends, msgspec.Raw(snapshot.dump().encode())))


def parse(octets: bytes, now: float) -> list[Aged]:
    """What `dump` wrote, in its order, with the ages of today. Raises NotRememberedError, nothing else."""
    if len(octets) > MAX_OCTETS:
        raise NotRememberedError(f"longer than {MAX_OCTETS} octets")
    try:
        file = msgspec.json.decode(octets, type=_File)
        if file.format != FORMAT:
            raise NotRememberedError(f"the format is {file.format[:40]!r}, and this version reads {FORMAT}")
        answers = {
            str(question): (question, answer) for question, answer in Snapshot.parse(bytes(file.answers)).answers.items()
        }
    except (ValueError, RecursionError, SnapshotError) as error:  # msgspec's errors are ValueErrors
        raise NotRememberedError(str(error)) from None
    found = []
    for key, end in file.ends.items():
        if key in answers and math.isfinite(end) and not isinstance(answers[key][1], Failed):
            question, answer = answers[key]
            found.append(Aged(question, answer, end - now))
    return found
