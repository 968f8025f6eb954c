"""One call of sendmail: arguments, message, verdict, next hop. Ends in an exit code; where it is not 0, a line says why."""

import asyncio
import os
import pwd
from collections.abc import Callable, Mapping, Sequence
from typing import BinaryIO

from ...config import SYSTEM_FILE, Config, ConfigError, discover
from ...gate.model import RcptTo
from ...gate.reply import Reply
from ...policy import PolicyError
from ..errors import MessageRefused, MessageStopped
from ..guard import Guard, Unmade
from ..settings import Mode, read
from . import addresses, compose, nexthop, settings
from .arguments import Arguments, UsageError, parse
from .sysexits import Exit, NotSent

HOOK = "sendmail"

Say = Callable[[str], None]


def run(argv: Sequence[str], stdin: BinaryIO, say: Say, environment: Mapping[str, str] = os.environ) -> int:
    """Carry out `delivcheck sendmail ARGV`. Returns the exit code; raises nothing but KeyboardInterrupt and faults of ours."""
    temporary: int = Exit.TEMPFAIL
    try:
        asked = parse(argv, environment)
        if not (asked.smtp or asked.from_header or asked.recipients):
            raise UsageError("no recipients: they stand behind the options, or with -t in the message")
        guard, config = _guard(asked)
        try:
            known = settings.read(config, asked.own.get("next-hop"))
            temporary = known.temporary
            done = _session(guard, known) if asked.smtp else _one(asked, guard, known, stdin)
        finally:
            guard.close()
    except UsageError as error:
        say(f"sendmail: {error}")
        return Exit.USAGE
    except (ConfigError, PolicyError, ValueError) as error:
        say(f"sendmail: {error}")
        return Exit.CONFIG
    except NotSent as error:
        say(f"not sent: {error}")
        return temporary if error.code is Exit.TEMPFAIL else error.code
    if done and asked.verbose:
        say(f"sent: {done}")
    return Exit.OK


def _guard(asked: Arguments) -> tuple[Guard | Unmade, Config]:
    """By the file that was named, or the system's; never by one of the working directory, which may be anybody's.

    Where it cannot be made (a policy with a fault, no name servers, no memory), observe mode sends all the same.
    """
    own = asked.own
    file = own.get("config")
    try:
        file = file or (os.fspath(SYSTEM_FILE) if SYSTEM_FILE.is_file() else None)
        guard = Guard(
            config=file or False,
            policy=own.get("policy"),
            stream=own.get("stream"),
            mode=own.get("mode"),
            on_unknown=own.get("on-unknown"),
        )
    except Exception as error:
        if (instead := _observing(file, own.get("mode"), str(error) or type(error).__name__)) is not None:
            return instead
        if isinstance(error, ConfigError | PolicyError | ValueError):
            raise
        raise NotSent(Exit.TEMPFAIL, str(error) or type(error).__name__) from error
    return guard, guard.config


def _observing(file: str | None, mode: str | None, why: str) -> tuple[Unmade, Config] | None:
    """What lets mail go on; None where mail is to be stopped, or where nobody can tell."""
    try:
        config = Config() if file is None else discover(file)
        hooks = read(config)
        wanted = hooks.mode if mode is None else Mode(mode)
    except (ConfigError, ValueError):
        return None
    return (Unmade(why, hooks.record), config) if wanted is Mode.OBSERVE else None


# --- one message -----------------------------------------------------------------------------------------------------


def _one(asked: Arguments, guard: Guard | Unmade, known: settings.Sendmail, stdin: BinaryIO) -> str:
    """The message on stdin. Returns what is to be said of it. Raises NotSent, UsageError."""
    given = _sender(asked, known)
    octets = compose.wire(compose.read(stdin, dot_ends=asked.dot_ends))
    recipients = _recipients(asked, known, octets)
    login, full_name = _user()
    own = f"{login}@{known.domain}"
    sender = given if given is not None else known.sender or own
    name = asked.full_name if asked.full_name is not None else full_name
    octets = compose.completed(octets, compose.Author(sender or own, name, known.domain))
    letter = nexthop.Letter(octets, sender, tuple(RcptTo(one, asked.notify) for one in recipients), asked.ret, asked.envid)
    way = nexthop.way(known)
    try:
        ruling = guard.check(octets, sender, recipients, smtputf8=letter.smtputf8, hook=HOOK)
    except MessageStopped as stopped:
        raise not_sent(stopped) from None
    said = f"{asyncio.run(_sent(way, letter))} ({ruling.trace})"
    return said if ruling.bypass is None else f"{said}; without a pass: {ruling.bypass}"


async def _sent(way: nexthop.Way, letter: nexthop.Letter) -> str:
    try:
        return await way.send(letter)
    finally:
        await way.close()


def not_sent(stopped: MessageStopped) -> NotSent:
    """What a caller is told of a verdict."""
    code = Exit.UNAVAILABLE if isinstance(stopped, MessageRefused) else Exit.TEMPFAIL
    ruling = stopped.ruling
    return NotSent(code, str(stopped), Reply(ruling.code, ruling.enhanced, ruling.text))


def _sender(asked: Arguments, known: settings.Sendmail) -> str | None:
    """The address of -f; None where there is none. Raises UsageError."""
    if not asked.sender:
        return asked.sender
    try:
        return addresses.one(asked.sender, known.domain)
    except addresses.BadAddress as error:
        raise UsageError(f"-f: {error}") from None


def _recipients(asked: Arguments, known: settings.Sendmail, octets: bytes) -> list[str]:
    """Those of the command line, and with -t those of the header before them, as in Postfix. Raises NotSent, UsageError."""
    found = compose.recipients(octets, known.domain) if asked.from_header else []
    for one in asked.recipients:
        try:
            found += addresses.envelope(one, known.domain)
        except addresses.BadAddress as error:
            raise UsageError(str(error)) from None
    if not found:
        raise UsageError("no recipients: neither in To, Cc and Bcc nor behind the options")
    return list(dict.fromkeys(found))


def _user() -> tuple[str, str]:
    """Login and full name, for From: the first part of the comment in passwd, where & is the login name (finger).

    A user that passwd does not know, as in many a container, is called by the number.
    """
    number = os.getuid()
    try:
        user = pwd.getpwuid(number)
    except KeyError:
        return str(number), ""
    name = user.pw_gecos.partition(",")[0].replace("&", user.pw_name.capitalize())
    return user.pw_name, name if name.isprintable() else ""


# --- a session -------------------------------------------------------------------------------------------------------


def _session(guard: Guard | Unmade, known: settings.Sendmail) -> str:
    from . import session

    asyncio.run(session.Session(guard, nexthop.way(known), known.domain).run(0, 1))
    return ""
