"""The rule about the one-click endpoint itself, tried under the user's own test token."""

from collections.abc import Iterator

from ...engine import rule
from ...facts.one_click_endpoint import OneClickAnswer, OneClickAnswers
from ...model import Findings, HttpAnswer, ProbeFailed, Problem, Undetermined
from ...saying import shortened

_LONGEST_SHOWN = 200  # characters of an address in a message

# "Not now" (RFC 9110 sections 15.5.9 and 15.6.4; RFC 6585 section 4; RFC 8470 section 5.2): no evidence of other times.
_LATER = frozenset({408, 425, 429, 503})


@rule("unsubscribe/one-click-fails")
def one_click_fails(found: OneClickAnswers) -> Findings:
    said: dict[str, list[str]] = {}
    later: set[int] = set()
    for one in found.each:
        if isinstance(one.answer, ProbeFailed) and not one.answer.is_evidence:
            yield Undetermined(f"{shortened(found.url, _LONGEST_SHOWN)}: {one.answer}")
            continue
        status = one.answer.status
        if status in _LATER:
            if status not in later:
                later.add(status)
                yield Undetermined(f"{shortened(found.url, _LONGEST_SHOWN)} answers {status}, perhaps only for now")
            continue
        for what in _wrong(one):
            said.setdefault(what, []).append(one.encoding)
    for what, encodings in said.items():
        how = f" ({encodings[0]})" if len(encodings) < len(found.each) else ""
        yield Problem(f"a POST to {shortened(found.url, _LONGEST_SHOWN)} {what}{how}", found.at)


def _wrong(one: OneClickAnswer) -> Iterator[str]:
    answer = one.answer
    if isinstance(answer, HttpAnswer):
        if 300 <= answer.status < 400:  # RFC 8058 section 3.1: "MUST NOT return an HTTPS redirect"
            yield f"is redirected to {shortened(answer.header('location') or 'nowhere', _LONGEST_SHOWN)}"
        elif not 200 <= answer.status < 300:
            yield f"is answered {answer.status}"
        elif one.asks is not None:
            yield f"is answered with a page that asks for {one.asks}"
    else:
        yield f"fails: {answer}"
