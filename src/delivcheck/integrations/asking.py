"""Asks the daemon for a ruling; what goes wrong on the way is a fault."""

from pathlib import Path

from .. import hook, ulid
from .case import Case
from .ruling import Ruling, Wanted, fault


def rule(socket: Path, case: Case, deadline: float) -> Ruling:
    """The daemon's ruling, within `deadline` seconds and a little spare. Never raises."""
    try:
        answer = hook.ask(str(socket), case.octets, _fields(case), deadline)
        wanted = Wanted(answer.wanted)
    except Exception as error:  # noqa: BLE001 -- no daemon, a slow one, another program there, no memory: mail goes on
        return fault(f"{socket}: {_why(error)}", ulid.new())
    return Ruling(
        wanted,
        answer.verdict,
        answer.code,
        answer.enhanced,
        answer.text,
        answer.trace,
        tuple(answer.rules),
        answer.reason,
        answer.bypass,
        answer.report,
    )


def _fields(case: Case) -> list[tuple[str, str]]:
    """What is said of a message, where it is said."""
    said = [("mail-from", case.mail_from), *(("rcpt-to", one) for one in case.rcpt_to)]
    named = {"stream": case.stream, "policy": case.policy, "class": case.message_class}
    said += [(name, value) for name, value in named.items() if value is not None]
    said += [("rule", f"{pattern}={level}") for pattern, level in case.rules]
    if case.signed_later is not None:
        said.append(("signed-later", "yes" if case.signed_later else "no"))
    return said + [(name, "yes") for name, wanted in (("smtputf8", case.smtputf8), ("report", case.report)) if wanted]


def _why(error: Exception) -> str:
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return str(error) if isinstance(error, hook.ProtocolError) else f"{type(error).__name__}: {error}"
