"""Changes to SPF records, as text that can be published.

What is proposed here never lets everybody pass: an end in `+all` becomes `~all` along the way.
"""

from collections.abc import Sequence

from .spf import VERSION, SpfRecord, read

OPEN_END = "~all"  # what stands for an end that is in doubt: nobody passes by it, and nobody is refused for it alone


def with_term(record: SpfRecord, term: str, *, first: bool = False) -> str:
    """The record with one more mechanism: before its end, or before everything that could decide otherwise."""
    text = closed(record.text)
    now = read(text)
    end = now.all or now.redirect
    at = len(VERSION) if first else len(text.rstrip()) if end is None else end.span[0] - 1
    return f"{text[:at]} {term}{text[at:]}".rstrip()


def without_term(record: SpfRecord, span: tuple[int, int]) -> str:
    """The record without what stands at `span`."""
    return closed(" ".join(f"{record.text[: span[0]]}{record.text[span[1] :]}".split()))


def ended(record: SpfRecord, end: str) -> str | None:
    """The record with this all at its end, in the place of any other; None when a term was not understood and would be lost."""
    if record.faults:
        return None
    kept = [each.text for each in record.terms if each.name != "all" or not each.qualifier]
    return closed(" ".join([VERSION, *kept, end]))


def merged(texts: Sequence[str]) -> str | None:
    """One record with the terms of all, each once (RFC 7208 section 3.2).

    They keep their common end. Where they differ, or where it would let everybody pass, `~all` takes its place. None where
    redirect= or a fault leaves open what was meant.
    """
    parsed = [read(text) for text in texts]
    if any(record.faults or record.redirect is not None for record in parsed):
        return None
    kept = dict.fromkeys(term.text for record in parsed for term in record.evaluated if term.name != "all")
    ends = {record.all.qualifier for record in parsed if record.all is not None}
    return closed(" ".join([VERSION, *kept, f"{ends.pop()}all" if len(ends) == 1 else OPEN_END]))


def corrected(record: SpfRecord) -> str | None:
    """The record with every fault and mistake put right; None when that is not plain, or there is nothing to correct."""
    wrong = sorted([*record.faults, *record.mistakes], key=lambda fault: fault.whole)
    out, done = [], 0
    for fault in wrong:
        if fault.instead is None:
            return None
        out += [record.text[done : fault.whole[0]], fault.instead]
        done = fault.whole[1]
    text = "".join([*out, record.text[done:]])
    return closed(text) if wrong and not read(text).faults else None


def closed(text: str) -> str:
    """The record with `~all` where its end would let everybody pass."""
    end = read(text).all
    return text if end is None or end.qualifier != "+" else f"{text[: end.span[0]]}{OPEN_END}{text[end.span[1] :]}"
