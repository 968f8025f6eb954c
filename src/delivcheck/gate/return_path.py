"""Signed return paths: where reports about a message go, so that each names the message and its recipient, and is no forgery.

Only where a transaction has one recipient, which is every transaction of a stream that has them: the others come again (452).
"""

from dataclasses import dataclass, replace

from ..trace.bounces import paths
from ..trace.tokens import Tokens
from .model import MailFrom
from .settings import Bounces


@dataclass(frozen=True, slots=True)
class ReturnPaths:
    """Makes them, with the gate's token keys."""

    tokens: Tokens
    settings: Bounces

    def wanted(self, sender: MailFrom, stream: str | None) -> bool:
        """Whether mail of this sender has one. The null sender stays: nothing may come back (RFC 5321 section 4.5.5).

        `stream` is what is known of it before the message is there: the listener's, or the first of the credential's.
        """
        streams = self.settings.streams
        return bool(sender.address) and self.settings.return_paths and (streams is None or stream in streams)

    def of(self, sender: MailFrom, trace: str) -> MailFrom:
        """The sender that the one recipient's copy is sent with; all else that MAIL said stays."""
        return replace(sender, address=paths.address(self.tokens, self.settings.domain, trace))
