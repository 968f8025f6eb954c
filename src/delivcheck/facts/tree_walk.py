"""The DNS tree walk of RFC 9989 section 4.10 as pure logic over answers already fetched.

A walk is told by one mapping: for each domain at whose `_dmarc` name exactly one DMARC record stands, the psd flag of that
record ("n", "y" or "u"). Domains without a record, or with several, are absent. Domains whose question was not answered go
into `failed`; a conclusion that no possible answer could change is drawn all the same (`decide`).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import product
from typing import TypeVar

MAX_QUERIES = 8  # RFC 9989 section 4.10: "do not result in more than eight DNS queries"
MAX_GUESSED = 4  # unanswered questions whose possible answers are tried out: 4^4 worlds, below a millisecond a walk

Flags = Mapping[str, str]
T = TypeVar("T")

_POSSIBLE = (None, "u", "n", "y")  # what a question that was not answered could have brought


class Undecided(Exception):  # noqa: N818 -- not an error: an outcome
    """The answers that are missing could change the conclusion. `failed` are the domains they were about, longest first."""

    def __init__(self, failed: Sequence[str]) -> None:
        """Keep the domains."""
        super().__init__(", ".join(failed))
        self.failed = tuple(failed)


def names(domain: str) -> tuple[str, ...]:
    """All domains that a walk from here may ask about, longest first, the top-level domain last; at most eight.

    One label goes at a time, but from eight or more labels the walk jumps to seven (section 4.10 step 4).
    """
    labels = domain.split(".")
    rest = labels[1:] if len(labels) < MAX_QUERIES else labels[-(MAX_QUERIES - 1) :]
    return (domain, *(".".join(rest[index:]) for index in range(len(rest))))


def reached(domain: str, flags: Flags) -> tuple[str, ...]:
    """The domains a walk from here comes to: it stops at a record with psd=n or psd=y (section 4.10 steps 2 and 6)."""
    on_the_way = []
    for name in names(domain):
        on_the_way.append(name)
        if flags.get(name) in {"n", "y"}:
            break
    return tuple(on_the_way)


def organizational_domain(domain: str, flags: Flags) -> str:
    """Select the organizational domain from the records a walk found (section 4.10.2)."""
    with_record = [name for name in reached(domain, flags) if name in flags]
    if not with_record:
        return domain  # "the initial target domain is the Organizational Domain"
    last = with_record[-1]  # the walk stopped here, or no shorter name has a record
    if flags[last] == "y" and last != domain:
        return one_below(last, domain)
    # psd=n: "this is the Organizational Domain"; else "the name with the fewest number of labels", and a record with psd=u,
    # which is the default, counts like any other (editor's answer of 2026-06-20)
    return last


def one_below(suffix: str, domain: str) -> str:
    """The domain one label below a suffix on the way to a domain, even where the walk never asked about it.

    Built from the starting name (editor's answer of 2026-06-20): a walk that jumped from eleven labels to seven and finds psd=y
    there makes the eight-label name the organizational domain.
    """
    return ".".join(domain.split(".")[-(suffix.count(".") + 2) :])


def policy_domain(domain: str, flags: Flags) -> str | None:
    """The domain whose record applies to mail from this author domain (section 4.10.1), or None.

    Author domain before organizational domain before public suffix; a record anywhere else does not apply.
    """
    if domain in flags:
        return domain
    organizational = organizational_domain(domain, flags)
    if organizational in flags:
        return organizational
    return next((name for name in reached(domain, flags) if flags.get(name) == "y"), None)


def same_organization(one: str, other: str, flags: Flags) -> bool:
    """Whether two domains have the same organizational domain: relaxed alignment (section 4.10.2)."""
    return organizational_domain(one, flags) == organizational_domain(other, flags)


def decide(conclude: Callable[[Flags], T], starts: Iterable[str], flags: Flags, failed: Iterable[str]) -> T:
    """Draw a conclusion about walks from some starting domains; raise Undecided if a missing answer could change it.

    A question that failed above a record with psd=n or psd=y does not matter: the walk ends below it.
    """
    starts = tuple(starts)
    without = set(failed)
    matter = list(dict.fromkeys(name for start in starts for name in reached(start, flags) if name in without))
    if not matter:
        return conclude(flags)
    if len(matter) > MAX_GUESSED:
        raise Undecided(matter)
    conclusions = iter([conclude(world) for world in _worlds(flags, matter)])
    first = next(conclusions)
    if any(conclusion != first for conclusion in conclusions):
        raise Undecided(matter)
    return first


def _worlds(flags: Flags, failed: Sequence[str]) -> Iterator[Flags]:
    """Every way the unanswered questions could have been answered."""
    for answers in product(_POSSIBLE, repeat=len(failed)):
        yield {**flags, **{name: flag for name, flag in zip(failed, answers, strict=True) if flag is not None}}
