"""`delivcheck domain`: audit the DNS of sender domains."""

from __future__ import annotations

import re
import sys
from collections.abc import Awaitable, Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from . import options

if TYPE_CHECKING:
    from .. import api
    from ..model import TargetReport
    from .running import Job

JOBS = 10  # domains side by side; each asks some forty questions, the DNS client limits those in flight

_URL = re.compile(r"(?i)[a-z][a-z0-9+.-]*://(?:[^/?#@]*@)?(?P<host>[^/?#:]*)")


@click.command(name="domain")
@click.argument("domains", nargs=-1, metavar="DOMAIN...|-")
@options.group(
    click.option("--selector", "selectors", metavar="NAME", multiple=True, help="A DKIM selector that is in use (repeatable)."),
    click.option("--ip", metavar="ADDRESS", help="The address the mail leaves from."),
    click.option("--ehlo", metavar="NAME", help="The EHLO name given with --ip."),
    options.TLS,
    click.option("--mail-from", metavar="ADDRESS", help="MAIL FROM, where it is at another domain."),
    click.option("--from-file", metavar="FILE", type=click.Path(), help="Names from a file, one a line; # begins a comment."),
    click.option("--jobs", "-j", type=click.IntRange(1, 1000), default=JOBS, show_default=True, help="Domains side by side."),
    *options.CHECKING,
)
def command(domains: tuple[str, ...], **given: Any) -> int:
    """Audit sender domains: SPF, DKIM keys, DMARC, and the DNS that mail needs; - reads names from standard input."""
    if not domains and given["from_file"] is None:
        raise click.UsageError("which domain? Name one, or - for names on standard input", click.get_current_context())
    settings: dict[str, Any] = {
        "envelope": options.envelope(given["mail_from"]),
        "session": options.session(given["ip"], given["ehlo"], given["tls"]),
    }
    run = options.read(given)
    run.sink.keep_off([given["from_file"]])

    from . import running

    settings["selectors"] = (*options.words("--selector", given["selectors"]), *run.config.selectors)
    return running.check(_jobs(domains, given["from_file"], settings), run, given["jobs"])


def _jobs(domains: tuple[str, ...], from_file: str | None, settings: dict[str, Any]) -> Iterator[Job]:
    for name in domains:
        if name == "-":
            yield from _listed("standard input", _stdin_lines(), settings)
        else:
            yield _job(name, settings)
    if from_file is not None:
        from ..model import TargetKind
        from .inputs import printable
        from .running import Job

        try:
            with Path(from_file).open("rb") as lines:
                yield from _listed(printable(from_file), lines, settings)
        except OSError as error:
            text = error.strerror or str(error)
            yield Job(printable(from_file), TargetKind.DOMAIN, error=text[:1].lower() + text[1:])


def _stdin_lines() -> Iterator[bytes]:
    """The lines of standard input, each as soon as it is there."""
    from .inputs import stdin_chunks

    rest = b""
    for chunk in stdin_chunks() if sys.stdin is not None else ():
        *lines, rest = (rest + chunk).split(b"\n")
        yield from lines
    yield rest


def _listed(name: str, lines: Iterable[bytes], settings: dict[str, Any]) -> Iterator[Job]:
    """The names in a list: one a line, `#` begins a comment."""
    from ..model import TargetKind
    from .running import Job

    found = False
    for line in lines:
        text = line.decode("utf-8-sig", "backslashreplace").partition("#")[0].strip()
        if text:
            found = True
            yield _job(text, settings)
    if not found:
        yield Job(name, TargetKind.DOMAIN, error="there is no domain name in it")


def _job(text: str, settings: dict[str, Any]) -> Job:
    from ..model import TargetKind
    from ..report.text import Given
    from .inputs import printable
    from .running import Job

    name = printable(text.strip())
    why = no_domain(name)
    if why is not None:
        return Job(name, TargetKind.DOMAIN, error=why)
    envelope, session = settings["envelope"], settings["session"]
    given = Given(
        None,
        None if envelope is None else envelope.mail_from,
        None if session is None else str(session.ip),
    )
    return Job(name, TargetKind.DOMAIN, _examine(name, settings), given=given)


def no_domain(text: str) -> str | None:
    """What was given in the place of a domain name, where that can be told; None if it may be one."""
    if not text:
        return "the name is empty"
    url = _URL.match(text)
    if url:
        return f"this is a URL, not a domain; say {url['host']}" if url["host"] else "this is a URL, not a domain"
    if "@" in text:
        after = text.rpartition("@")[2].strip("<> ")
        return f"this is an e-mail address, not a domain; say {after}" if after else "this is an e-mail address, not a domain"
    if any(character.isspace() for character in text):
        return "not a domain name: there is a space in it"
    if "/" in text:
        return f"not a domain name: there is a path in it; say {text.partition('/')[0]}"
    return None


def _examine(name: str, settings: dict[str, Any]) -> Callable[[api.Checker], Awaitable[TargetReport]]:
    return lambda checker: checker.domain(name, **settings)
