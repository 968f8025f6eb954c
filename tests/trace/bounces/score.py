"""How many of the corpus are read right, by us and by flufl.bounce.

python -m tests.trace.bounces.score
"""

import email
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from delivcheck.trace.bounces.reading import read

CORPUS = Path(__file__).parent / "corpus"


def corpus() -> Iterator[tuple[str, bytes, dict[str, Any]]]:
    """Kept reports with what they mean, and those made in code."""
    from tests.trace.bounces.written import WRITTEN

    for name, meaning in json.loads((CORPUS / "expected.json").read_text()).items():
        yield name, (CORPUS / f"{name}.eml").read_bytes(), meaning
    yield from WRITTEN


def ours(octets: bytes, meaning: dict[str, Any]) -> dict[str, Any]:
    """What we read of the expected recipient; an empty one where we found nothing of it."""
    for fate in read(octets).fates:
        if fate.recipient == meaning["recipient"]:
            found = {name: getattr(fate, name) for name in ("recipient", "status", "permanent")}
            return {**found, "action": str(fate.action), "cause": str(fate.cause)}
    return {}


def theirs(octets: bytes) -> tuple[set[str], set[str]]:
    """The addresses that flufl.bounce finds: failed for a time, failed for good. It tells no status and no cause."""
    from flufl.bounce import all_failures

    passing, lasting = all_failures(email.message_from_bytes(octets))
    return tuple({one.decode("latin-1").lower() for one in found} for found in (passing, lasting))  # type: ignore[return-value]


if __name__ == "__main__":
    total = right = named = wrongly = 0
    their_named = their_wrongly = 0
    for name, octets, meaning in corpus():
        total += 1
        found = ours(octets, meaning)
        wrong = {key: (found.get(key), value) for key, value in meaning.items() if found.get(key) != value}
        right += not {"recipient", "status", "cause"} & set(wrong)
        named += bool(found)
        wrongly += bool(found.get("permanent")) and not meaning["permanent"]
        passing, lasting = theirs(octets)
        their_named += meaning["recipient"].lower() in passing | lasting
        their_wrongly += meaning["recipient"].lower() in lasting and not meaning["permanent"]
        if wrong:
            sys.stdout.write(f"{name}: {wrong}\n")
    sys.stdout.write(
        f"{total} reports: recipient, status and cause right {right}, recipient {named}, wrongly permanent {wrongly}\n"
    )
    sys.stdout.write(
        f"flufl.bounce: recipient {their_named}, wrongly permanent {their_wrongly}; it tells no status and no cause\n"
    )
