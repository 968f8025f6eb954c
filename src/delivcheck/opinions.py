"""What checkdmarc says of a domain, beside what we say of the same subject."""

from collections.abc import Sequence
from typing import Any

from . import policy
from .facts.second_opinion import SecondOpinion
from .model import Level, Result, Unavailable, Verdict

_SAME_SUBJECT = {"spf": "spf", "dmarc": "dmarc", "mx": "dns"}  # checkdmarc's subject: our rule family


def beside(second: object, results: Sequence[Result]) -> dict[str, Any]:
    """What checkdmarc says, for the report, each with ours beside it; `agrees` is None where ours is open or there is none."""
    if isinstance(second, Unavailable):
        return {"second_opinion": {"unknown": second.reason}}
    if not isinstance(second, SecondOpinion):
        return {}
    shown: dict[str, Any] = {"checkdmarc": second.version}
    for opinion in second.each:
        family = _SAME_SUBJECT.get(opinion.subject)
        deciding = [one for one in results if one.rule.partition("/")[0] == family and one.level is Level.ERROR]
        ours = policy.verdict(deciding) if family else None
        agrees = None if ours in {None, Verdict.UNKNOWN} else (ours is Verdict.PASS) == opinion.valid
        shown[opinion.subject] = {
            "valid": opinion.valid,
            "error": opinion.error,
            "warnings": list(opinion.warnings),
            "ours": ours,
            "agrees": agrees,
        }
    return {"second_opinion": shown}
