"""The next hops, as the gate's transaction sees them: what they can, which takes a recipient, a transaction with one."""

import asyncio
from collections.abc import Iterable
from functools import reduce
from operator import and_

from ..model import Client, Extensions, MailFrom
from ..ports import Outgoing, Unready, Watch, unwatched
from ..reply import Reply
from ..settings import NextHop
from .hop import Hop
from .outgoing import begun
from .routes import Routes

_NONE = Reply(451, "4.4.1", "no next hop can be reached just now, please try again")


class NextHops:
    """The `ports.Relay` over the configured next hops. `name` is our EHLO name. Raises OSError for an unreadable CA file."""

    def __init__(self, hops: Iterable[NextHop], name: str, watch: Watch = unwatched) -> None:
        hops = tuple(hops)
        self._hops = {hop.name: Hop(hop, name, watch) for hop in hops}
        self.route = Routes(hops)

    async def extensions(self) -> Extensions:
        """What all next hops can whose EHLO is known. Raises Unready where there are some and none is known.

        To offer nothing then would lose mail: a client with internationalized mail bounces it at once, one with 8-bit mail
        converts it, which breaks its signature.
        """
        asked = await asyncio.gather(*(hop.extensions() for hop in self._hops.values()))
        known = [one for one in asked if one is not None]
        if asked and not known:
            raise Unready(_NONE)
        return reduce(and_, known, known[0]) if known else Extensions()

    async def open(self, next_hop: str, sender: MailFrom, client: Client) -> Outgoing:
        """A transaction on a pooled or new connection. MAIL goes with the first RCPT. Raises Unready."""
        return await begun(self._hops[next_hop], sender, client)

    async def close(self) -> None:
        """Say goodbye on idle connections. Transactions that are open go on."""
        await asyncio.gather(*(hop.pool.close() for hop in self._hops.values()))
