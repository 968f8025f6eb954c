"""`delivcheck message`: check messages as they will be sent, or as they came in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, Any

import click

from . import options

if TYPE_CHECKING:
    from .. import api
    from ..model import TargetReport
    from .running import Job

AT_ONCE = 8  # messages side by side: while one waits for DNS the others are judged


@click.command(name="message")
@click.argument("files", nargs=-1, required=True, metavar="FILE...|-", type=click.Path())
@options.group(
    click.option("--mail-from", metavar="ADDRESS", help="MAIL FROM of the envelope; '<>' is the null sender."),
    click.option("--rcpt", metavar="ADDRESS", multiple=True, help="A recipient of the envelope (repeatable)."),
    click.option("--ip", metavar="ADDRESS", help="The address the mail leaves from."),
    click.option("--ehlo", metavar="NAME", help="The EHLO name given with --ip."),
    options.TLS,
    click.option("--selector", "selectors", metavar="NAME", multiple=True, help="A DKIM selector that is in use (repeatable)."),
    click.option("--pre-sign", is_flag=True, help="The message is not signed yet: leave out what is judged on signatures."),
    click.option(
        "--received",
        is_flag=True,
        help="The message came in: take client, envelope and time from its header, and say what would mend SPF, DKIM, DMARC.",
    ),
    click.option(
        "--trusted-hop",
        metavar="N",
        type=click.IntRange(1),
        help="With --received: the Received field to go by, counted from the top [default: the receiver's border].",
    ),
    click.option(
        "--authserv-id",
        metavar="NAME",
        help="With --received: whose Authentication-Results to compare with [default: the receiver's].",
    ),
    click.option(
        "--jurisdiction",
        "jurisdictions",
        metavar="CODE",
        multiple=True,
        help="A country where recipients live, or EU (repeatable); never guessed.",
    ),
    click.option(
        "--trust-class-header",
        is_flag=True,
        help="Take the class from X-Delivcheck-Class where nothing else declares it.",
    ),
    click.option(
        "--unsubscribe-test-url",
        metavar="URL",
        help="With --probe: the https address of yours under which nobody is subscribed, to post to as one click does.",
    ),
    click.option(
        "--profile",
        is_flag=True,
        help="Instead of a report: what each fact and each rule costs, in µs of the processor's time (text or json).",
    ),
    *options.CHECKING[:-1],
    click.option("--second-opinion", is_flag=True, hidden=True),  # taken only to say which command has it
)
def command(files: tuple[str, ...], **given: Any) -> int:
    """Check messages: .eml files, mboxes, Maildirs, directories of .eml files, or - for standard input."""
    context = click.get_current_context()
    if given["received"] and given["ip"] is not None:
        why = "--received takes the address from the message: drop --ip, or name another Received field with --trusted-hop"
        raise click.UsageError(why, context)
    if given["received"] and given["pre_sign"]:
        raise click.UsageError("--received and --pre-sign contradict each other: what came in has been sent", context)
    for option in ("trusted_hop", "authserv_id"):
        if given[option] is not None and not given["received"]:
            raise click.UsageError(f"--{option.replace('_', '-')} says nothing without --received", context)
    if given["second_opinion"]:
        raise click.UsageError("--second-opinion is about a domain: delivcheck domain DOMAIN --second-opinion", context)
    if given["profile"] and (given["format"] not in {"text", "json"} or given["outputs"]):
        raise click.UsageError("--profile prints text or, with --format json, JSON; nothing else", context)
    envelope = options.envelope(given["mail_from"], given["rcpt"])
    session = options.session(given["ip"], given["ehlo"], given["tls"])
    options.words("--authserv-id", [given["authserv_id"]] if given["authserv_id"] else [])
    run = options.read(given)
    run.sink.keep_off(files)

    from ..facts.roots import AsReceived, Origin
    from ..model import Stage
    from . import running

    settings = {
        "envelope": envelope,
        "session": session,
        "selectors": (*options.words("--selector", given["selectors"]), *run.config.selectors),
        "stage": Stage.PRE_SIGN if given["pre_sign"] else Stage.POST_SIGN,
        "origin": Origin.AS_RECEIVED if given["received"] else Origin.AS_SENT,
        "came_in": AsReceived(given["trusted_hop"], given["authserv_id"]),
    }
    if given["profile"]:
        from . import profiling

        return profiling.profile(files, settings, run, given)
    return running.check(_jobs(files, settings), run, AT_ONCE)


def _jobs(files: tuple[str, ...], settings: dict[str, Any]) -> Iterator[Job]:
    """The messages to check, each read when it is its turn."""
    from ..mime.storage import with_crlf
    from ..model import TargetKind
    from ..report.text import Given
    from . import inputs
    from .running import Job

    envelope, session = settings["envelope"], settings["session"]
    for one in inputs.messages(files):
        if one.error is not None:
            yield Job(one.name, TargetKind.MESSAGE, error=one.error)
            continue
        given = Given(
            with_crlf(one.data)[0],
            None if envelope is None else envelope.mail_from,
            None if session is None else str(session.ip),
        )
        yield Job(
            one.name,
            TargetKind.MESSAGE,
            _examine(one.name, one.data, settings),
            given=given,
            path=one.path,
        )


def _examine(name: str, data: bytes, settings: dict[str, Any]) -> Callable[[api.Checker], Awaitable[TargetReport]]:
    return lambda checker: checker.message(data, name=name, **settings)
