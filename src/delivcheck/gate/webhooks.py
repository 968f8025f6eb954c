"""Webhooks as the gate's configuration has them: into which networks they may go, and the key of their secrets."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

from ..config import Config
from ..net import dns as live
from ..net.lasting import Lasting
from ..net.outside import Outside
from ..net.poster import Poster
from ..trace.store import Store
from ..trace.webhooks.deliveries import Settled
from ..trace.webhooks.sender import Sender
from .desk import Desk
from .ports import Watch
from .sealing import Sealing
from .settings import Gate


def sealer(gate: Gate) -> Sealing | None:
    """What encrypts webhooks' secrets in the store, where a key is named."""
    return None if gate.webhooks.key is None else Sealing(gate.webhooks.key)


def resolver(config: Config) -> Lasting:
    """A DNS client of its own. Raises net.dns.NoNameservers."""
    return Lasting(Outside(live.Live([live.nameserver(text) for text in config.nameservers] or None)))


@contextlib.asynccontextmanager
async def sender(config: Config, gate: Gate, store: Store, watch: Watch) -> AsyncIterator[Sender]:
    """What tells webhooks, as long as it is used. Raises net.dns.NoNameservers."""
    dns = resolver(config)
    try:
        async with Poster(dns, gate.webhooks.networks) as poster:
            yield Sender(store, poster, sealer(gate), _Told(watch))
    finally:
        await dns.close()


async def run(desk: Desk) -> None:
    """The clerk's task: tell webhooks of what happens, until it is cancelled."""
    async with sender(desk.config, desk.gate, desk.store, desk.watch) as one:
        await one.run()


@dataclass(frozen=True, slots=True)
class _Told:
    """Tells the watch."""

    watch: Watch

    def settled(self, settled: Settled) -> None:
        """What became of deliveries."""
        if settled.done:
            self.watch("webhook", what="done", count=settled.done)
        if settled.failed:
            self.watch("webhook", what="failed", count=settled.failed)
        if settled.dead:
            self.watch("webhook", what="dead", count=settled.dead)
        for name, why in settled.disabled:
            self.watch("webhook", what="disabled", count=1, webhook=name, reason=why)

    def failed(self, reason: str) -> None:
        """The store cannot be had just now."""
        self.watch("store", what="failed", where="webhooks", reason=reason)
