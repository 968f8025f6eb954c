"""For the tests of a project: `mail.outbox` held against the rules, offline unless DNS is given.

class Receipts(DeliverabilityMixin, TestCase):
    def test_receipt(self):
        send_receipt(order)
        self.assertOutboxDeliverable()
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from django.core import mail

from ..testing import deliverable
from ..testing.octets import outgoing

__unittest = True  # unittest leaves this module's frames out of what it shows


def assert_outbox_deliverable(
    policy: str | None = None, ignore: Iterable[str] = (), *, outbox: Sequence[Any] | None = None, **more: Any
) -> Any:
    """Hold every message of `mail.outbox` against the rules. Takes what `delivcheck.testing.assert_deliverable` takes.

    Raises AssertionError with the findings as the command line shows them, and where there is no message at all.
    """
    __tracebackhide__ = True
    sent = list(getattr(mail, "outbox", ()) if outbox is None else outbox)
    if not sent:
        raise AssertionError("mail.outbox is empty: no mail was sent")
    named = [replace(outgoing(one), name=f"outbox[{number}]") for number, one in enumerate(sent)]
    return deliverable.hold(named, policy, ignore, **more)


class DeliverabilityMixin:
    """For a TestCase: `assertOutboxDeliverable`, with a policy and rules to leave out that hold for the whole class."""

    delivcheck_policy: str | None = None
    delivcheck_ignore: tuple[str, ...] = ()

    def assertOutboxDeliverable(self, policy: str | None = None, ignore: Iterable[str] = (), **more: Any) -> Any:  # noqa: N802 -- unittest's habit
        """As `assert_outbox_deliverable`."""
        __tracebackhide__ = True
        return assert_outbox_deliverable(policy or self.delivcheck_policy, ignore, standing=self.delivcheck_ignore, **more)
