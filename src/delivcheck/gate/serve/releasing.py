"""Builds what `delivcheck held release` needs: pipeline, next hops and journal as a worker has them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ...config import Config
from ...net import dns as live
from ...net.lasting import Lasting
from ...net.outside import Outside
from ..held import HeldStore
from ..journal import Journal
from ..ports import Watch, unwatched
from ..relay.relay import NextHops
from ..release import Releaser
from ..settings import Gate, Hold
from . import memory
from .building import pipeline_of
from .returns import signer
from .ruling import routing_of


@asynccontextmanager
async def releaser(config: Config, gate: Gate, watch: Watch = unwatched) -> AsyncIterator[Releaser]:
    """What releases, as long as it is used. Raises as `pipeline_of` does, OSError for an unreadable CA file."""
    dns = Lasting(Outside(live.Live([live.nameserver(text) for text in config.nameservers] or None)))
    dns.remember(memory.load(gate.state))
    routing = routing_of(gate, watch)
    try:
        pipeline = pipeline_of(config, gate, dns, watch, routing)
        relay = NextHops(gate.next_hops, gate.name, watch)
        try:
            async with Journal(gate.state) as journal:
                await journal.recover()
                yield Releaser(
                    store=HeldStore(gate.state, gate.hold or Hold()),
                    pipeline=pipeline,
                    relay=relay,
                    journal=journal,
                    watch=watch,
                    at_most_once=gate.at_most_once,
                    return_paths=signer(gate),
                    deadline=gate.deadline,
                )
        finally:
            await relay.close()
    finally:
        routing.close()
        await dns.close()
