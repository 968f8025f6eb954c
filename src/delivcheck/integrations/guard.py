"""The one call of every hook: may this message be sent? It returns, or raises `MessageRefused` or `MessageUndetermined`.

What only judging needs (asyncio, the rule book, DNS) is imported when a guard is made, or first used.
"""

import os
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal, Protocol

from .. import ulid
from . import bypass
from .case import Case
from .errors import MessageRefused, MessageUndetermined
from .ruling import Ruling, Wanted, fault
from .warm import LATE, SPARE, Warm

if TYPE_CHECKING:
    from concurrent.futures import Future
    from pathlib import Path

    from ..checker import DnsMode
    from ..model import MessageClass
    from ..net.client import Client
    from .settings import Hooks, Mode, OnUnknown

AGAIN = 10.0  # seconds until a configuration that could not be read is looked at again
CLOSED = "the guard was closed while it was judged"


class Guard:
    """Judges messages before a program sends them. One for a process: threads share it, and a fork makes its own.

    Without arguments the configuration says everything (`[hooks]`, streams, policy). What is given here goes before it:
    `policy` is a name or a file; `rules` are levels by rule id or pattern. `mode` is "enforce" or "observe", `on_unknown` is
    "send" or "raise". `config` is a file (None: found from the working directory up) or False for none. `dns` is a client,
    "live" or "offline". `record` is a file that gets a line of JSON for each message that was refused or sent without a pass,
    `on_event` is called with each. `daemon` is the socket of `delivcheck daemon`, which then judges by its own configuration;
    False: none.

    Raises ConfigError, PolicyError, ValueError when made; after that nothing but the two refusals, whatever breaks.
    """

    def __init__(
        self,
        *,
        policy: str | None = None,
        stream: str | None = None,
        message_class: "MessageClass | str | None" = None,
        rules: Mapping[str, str] | None = None,
        mode: "Mode | str | None" = None,
        on_unknown: "OnUnknown | str | None" = None,
        config: "str | os.PathLike[str] | Literal[False] | None" = None,
        dns: "Client | DnsMode" = "live",
        deadline: float | None = None,
        record: "str | os.PathLike[str] | None" = None,
        daemon: "str | os.PathLike[str] | Literal[False] | None" = None,
        signed_later: bool | None = None,
        on_event: bypass.Listener | None = None,
    ) -> None:
        """Read the configuration and hold what was given against it."""
        from pathlib import Path

        from .. import config as configuration
        from . import settings

        self.config = configuration.Config() if config is False else configuration.discover(_text(config))
        hooks = settings.read(self.config)
        if mode is not None:
            hooks = replace(hooks, mode=settings.Mode(mode))
        if on_unknown is not None:
            hooks = replace(hooks, on_unknown=settings.OnUnknown(on_unknown))
        if deadline is not None:
            if not 0 < deadline < settings.MAX_DEADLINE:
                raise ValueError(f"deadline: seconds above 0 and below {settings.MAX_DEADLINE:g}, not {deadline!r}")
            hooks = replace(hooks, deadline=deadline)
        if record is not None:
            hooks = replace(hooks, record=Path(record))
        if daemon is not None:
            hooks = replace(hooks, daemon=Path(daemon) if daemon else None)
        if signed_later is not None:
            hooks = replace(hooks, signed_later=signed_later)
        self.hooks: Hooks = hooks
        self.on_event = on_event
        self.counts: Counter[str] = Counter()  # messages by what became of them: sent, bypassed, refused, deferred
        given = None if message_class is None else str(message_class)
        levels = tuple((rules or {}).items())
        self._case = Case(b"", "", (), stream or hooks.stream, policy, given, levels, hooks.signed_later)
        self._warm = Warm(self.config, hooks, dns)
        if hooks.daemon is None:
            self._warm.bench().prove(self._case)
        elif policy is not None and (policy.endswith(".toml") or os.sep in policy):
            raise ValueError(f"policy: {policy!r} is a file; a daemon takes the name of a policy that its configuration has")

    def check(
        self, octets: bytes, mail_from: str, rcpt_to: Sequence[str] = (), *, smtputf8: bool = False, hook: str = "guard"
    ) -> Ruling:
        """Return where the message may be sent, with CRLF line ends (`case.wire`) as it will be; waits for it.

        Raises MessageRefused, MessageUndetermined. Not for a running event loop: `check_async` is.
        """
        case = self._case_of(octets, mail_from, rcpt_to, smtputf8)
        return self._done(case, self._rule(case), hook)

    async def check_async(
        self, octets: bytes, mail_from: str, rcpt_to: Sequence[str] = (), *, smtputf8: bool = False, hook: str = "guard"
    ) -> Ruling:
        """`check` for a running event loop, which it does not hold up: judging is done beside it."""
        case = self._case_of(octets, mail_from, rcpt_to, smtputf8)
        return self._done(case, await self._rule_async(case), hook)

    def unjudged(
        self, reason: str, octets: bytes = b"", mail_from: str = "", rcpt_to: Sequence[str] = (), *, hook: str
    ) -> Ruling:
        """For a hook that could not even find out what is to be judged: a fault like others, with what follows from it.

        Returns where the message may be sent all the same, which is recorded then. Raises MessageUndetermined.
        """
        return self._done(self._case_of(octets, mail_from, rcpt_to, smtputf8=False), fault(reason, ulid.new()), hook)

    def close(self) -> None:
        """End the thread that judges. A guard that is used again starts another one."""
        self._warm.close()

    # --- inside

    def _case_of(self, octets: bytes, mail_from: str, rcpt_to: Sequence[str], smtputf8: bool) -> Case:
        return replace(self._case, octets=octets, mail_from=mail_from, rcpt_to=tuple(rcpt_to), smtputf8=smtputf8)

    def _rule(self, case: Case) -> Ruling:
        deadline = self.hooks.deadline
        if self.hooks.daemon is not None:
            from . import asking

            return asking.rule(self.hooks.daemon, case, deadline)
        from concurrent.futures import CancelledError

        future: Future[Ruling] | None = None
        try:
            future = self._warm.submit(case)
            return future.result(deadline + SPARE)
        except TimeoutError:
            return fault(LATE, ulid.new())
        except CancelledError:
            return fault(CLOSED, ulid.new())
        except Exception as error:  # noqa: BLE001 -- no thread, no memory, an interpreter that ends: mail goes on
            return fault(f"{type(error).__name__}: {error}", ulid.new())
        finally:
            if future is not None:
                future.cancel()

    async def _rule_async(self, case: Case) -> Ruling:
        import asyncio

        if self.hooks.daemon is not None:
            return await asyncio.to_thread(self._rule, case)
        future: Future[Ruling] | None = None
        try:
            async with asyncio.timeout(self.hooks.deadline + SPARE):
                future = self._warm.submit(case)
                return await asyncio.wrap_future(future)
        except TimeoutError:
            return fault(LATE, ulid.new())
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if future is None or not future.cancelled() or (task is not None and task.cancelling()):
                raise  # it is the caller who is cancelled, and the judging with it
            return fault(CLOSED, ulid.new())
        except Exception as error:  # noqa: BLE001 -- as above
            return fault(f"{type(error).__name__}: {error}", ulid.new())

    def _done(self, case: Case, ruling: Ruling, hook: str) -> Ruling:
        """What follows from a ruling in this mode."""
        from .settings import Mode, OnUnknown

        observe = self.hooks.mode is Mode.OBSERVE
        reason = ruling.reason or ruling.text
        if ruling.wanted is Wanted.SEND:
            if ruling.bypass is None:
                self._count("sent")
                return ruling
            return self._bypassed(case, ruling, hook, f"{ruling.bypass}: {reason}")
        if observe:
            return self._bypassed(case, ruling, hook, f"observe: {ruling.wanted}: {reason}")
        if ruling.wanted is Wanted.REFUSE:
            self._tell("refused", case, ruling, hook, reason)
            raise MessageRefused(ruling)
        # What failed and is to come later by the policy's word comes later; what is open is the hook's to say.
        if self.hooks.on_unknown is OnUnknown.SEND and ruling.verdict == "unknown":
            return self._bypassed(case, ruling, hook, f"{'fault' if ruling.wanted is Wanted.FAULT else 'unknown'}: {reason}")
        self._tell("deferred", case, ruling, hook, reason)
        raise MessageUndetermined(ruling)

    def _bypassed(self, case: Case, ruling: Ruling, hook: str, reason: str) -> Ruling:
        self._tell("bypassed", case, ruling, hook, reason)
        return replace(ruling, bypass=reason)

    def _tell(self, what: str, case: Case, ruling: Ruling, hook: str, reason: str) -> None:
        self._count(what)
        bypass.tell(bypass.event(what, hook, reason, case, ruling), self.hooks.record, self.on_event)

    def _count(self, what: str) -> None:
        with self._warm.counting:
            self.counts[what] += 1


def _text(path: "str | os.PathLike[str] | None") -> str | None:
    return None if path is None else os.fspath(path)


# --- the guard of those who made none --------------------------------------------------------------------------------


class Checks(Protocol):
    """What a hook needs of a guard."""

    def check(
        self, octets: bytes, mail_from: str, rcpt_to: Sequence[str] = (), *, smtputf8: bool = False, hook: str = "guard"
    ) -> Ruling:
        """As `Guard.check`."""
        ...

    async def check_async(
        self, octets: bytes, mail_from: str, rcpt_to: Sequence[str] = (), *, smtputf8: bool = False, hook: str = "guard"
    ) -> Ruling:
        """As `Guard.check_async`."""
        ...

    def unjudged(
        self, reason: str, octets: bytes = b"", mail_from: str = "", rcpt_to: Sequence[str] = (), *, hook: str
    ) -> Ruling:
        """As `Guard.unjudged`."""
        ...


class Unmade:
    """Stands where no guard can be made: mail goes on, and each message is recorded as not judged, in log and `record`."""

    def __init__(self, why: str, record: "Path | None" = None) -> None:
        self.why, self.record = why, record

    def close(self) -> None:
        """There is no thread."""

    def check(
        self,
        octets: bytes,
        mail_from: str,
        rcpt_to: Sequence[str] = (),
        *,
        smtputf8: bool = False,  # noqa: ARG002 -- the protocol's
        hook: str = "guard",
    ) -> Ruling:
        """Send it."""
        return self.unjudged(self.why, octets, mail_from, rcpt_to, hook=hook)

    async def check_async(
        self,
        octets: bytes,
        mail_from: str,
        rcpt_to: Sequence[str] = (),
        *,
        smtputf8: bool = False,  # noqa: ARG002 -- the protocol's
        hook: str = "guard",
    ) -> Ruling:
        """Send it."""
        return self.unjudged(self.why, octets, mail_from, rcpt_to, hook=hook)

    def unjudged(
        self, reason: str, octets: bytes = b"", mail_from: str = "", rcpt_to: Sequence[str] = (), *, hook: str
    ) -> Ruling:
        """Send it."""
        why, case = f"fault: {reason}", Case(octets, mail_from, tuple(rcpt_to))
        ruling = replace(fault(reason, ulid.new()), bypass=why)
        bypass.tell(bypass.event("bypassed", hook, why, case, ruling), self.record, None)
        return ruling


_default: Guard | None = None
_unmade: Unmade | None = None
_making = threading.RLock()
_tried = 0.0


def _forked() -> None:
    global _making  # noqa: PLW0603 -- a lock that another thread held is never given back in a child
    _making = threading.RLock()


if hasattr(os, "register_at_fork"):  # Windows has no fork
    os.register_at_fork(after_in_child=_forked)


def default() -> Checks:
    """The guard of hooks that were given nothing: what the configuration says, read once a process. Raises nothing.

    A configuration that cannot be read is a fault like others: mail goes on. It is looked at again after `AGAIN` seconds.
    """
    global _default, _unmade, _tried  # noqa: PLW0603 -- one a process, like logging's root
    with _making:
        if _default is not None:
            return _default
        if _unmade is None or time.monotonic() - _tried >= AGAIN:
            _tried, _unmade = time.monotonic(), None
            try:
                _default = Guard()
            except Exception as error:  # noqa: BLE001 -- whatever is wrong with it
                _unmade = Unmade(str(error))
        return _default or _unmade or Unmade("no guard")
