"""List-Unsubscribe and List-Unsubscribe-Post with our own endpoint, one token for each recipient (RFC 8058).

Both are added, or none; before signing, since the signature must cover them (section 4 of the RFC; `sign` sees to that).
"""

from ...model import MessageClass
from ...trace.tokens import Tokens
from ...trace.tracking.leaving import leave, mailto
from ...trace.tracking.marks import LEAVE, sealed
from .. import settings
from ..model import Incoming, Insert
from .additions import HARD, ONE_CLICK
from .header import Header

NAME, POST = b"List-Unsubscribe", b"List-Unsubscribe-Post"


class OneClick:
    """Made once, used for every message."""

    def __init__(self, chosen: settings.Unsubscribe, public_url: str, tokens: Tokens) -> None:
        """`public_url` is without a slash at its end."""
        self.chosen, self.base, self.tokens = chosen, public_url, tokens

    def fields(
        self, header: Header, incoming: Incoming, message_class: MessageClass | None, stream: str | None, tenant: str
    ) -> tuple[list[Insert], list[str]]:
        """The two fields, to go below the others; or in words why not; or neither, where nobody expects them."""
        wanted = stream in self.chosen.streams if self.chosen.streams else message_class is MessageClass.BULK
        if not wanted or header.names & {"list-unsubscribe", "list-unsubscribe-post"}:
            return [], []  # half of somebody else's pair is for the rules to find
        if len(incoming.rcpt_to) != 1 or incoming.client.protocol == "milter":
            return [], ["List-Unsubscribe was not added: it names the recipient, and there is not exactly one"]
        if stream is None:  # what is left is a stream: without one there would be no password resets any more, either
            return [], ["List-Unsubscribe was not added: the mail belongs to no stream, and leaving would stop all mail"]
        token = leave(incoming.trace, incoming.rcpt_to[0], stream, tenant)
        uris = [f"<{self.base}/u/{sealed(self.tokens, LEAVE, token)}>"]
        if self.chosen.mailto is not None:
            uris.append(f"<{mailto(self.tokens, self.chosen.mailto, token)}>")
        value = ",\r\n ".join(uris).encode("ascii")
        if max(map(len, value.split(b"\r\n"))) + len(NAME) + 2 > HARD:
            return [], [f"List-Unsubscribe was not added: its line would have more than {HARD} octets"]
        return [Insert(NAME, value, last=True), Insert(POST, ONE_CLICK, last=True)], []
