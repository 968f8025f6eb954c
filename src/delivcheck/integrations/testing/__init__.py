"""For the test suite of a program that sends mail; nothing of pytest is wanted here, `unittest` does as well.

`assert_deliverable` holds one message against the rules, `capture` takes the mail that a program sends before it leaves.
"""

from .deliverable import NotDeliverable, UnusedIgnore, assert_deliverable
from .mailbox import Sent, SentMail, capture

__all__ = ["NotDeliverable", "Sent", "SentMail", "UnusedIgnore", "assert_deliverable", "capture"]
