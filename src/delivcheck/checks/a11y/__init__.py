"""Rules about who cannot read a mail: with a screen reader, with weak sight, from right to left.

A family of its own, not part of `html`: `"a11y/*"` is one line in a policy, and what bars a mail to people stays apart from
what breaks it for machines.
"""

from collections.abc import Iterator

from ...facts.accessibility import AccessibilityTrees
from ...model import Undetermined


def unread(found: AccessibilityTrees) -> Iterator[Undetermined]:
    """What could not be read, so that nothing can be said about it."""
    for each in found.unavailable:
        yield Undetermined(each.reason, each.where)


def and_more(count: int) -> str:
    """How a problem tells of the places after the first: one finding for a kind, since thirty say no more than one."""
    return f", and {count - 1} more" if count > 1 else ""
