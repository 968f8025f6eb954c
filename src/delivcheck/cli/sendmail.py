"""`delivcheck sendmail`: sendmail(8) for programs that hand their mail to that command."""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING

import click

from .faults import say

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class _AsItStands(click.Command):
    """A command whose arguments are sendmail's: click would take `--` out, and knows neither -oi nor `-f ''`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Leave all of them alone, but for a lone --help."""
        if args == ["--help"]:
            return super().parse_args(ctx, args)
        ctx.params = {"argv": tuple(args)}
        return []


@click.command(name="sendmail", cls=_AsItStands, options_metavar="", context_settings={"help_option_names": ["--help"]})
@click.argument("argv", nargs=-1, metavar="[OWN OPTIONS] [SENDMAIL'S OPTIONS] [--] [RECIPIENT]...")
def command(argv: Sequence[str]) -> int:
    """Check the message on standard input and hand it on, as sendmail(8) would.

    Known are -t, -i, -f, -r, -F, -N, -R, -V, -B, -bm, -bs, -v and -o, with what callers add to them. Our own options stand in
    front: --config FILE, --policy NAME, --stream NAME, --mode observe|enforce, --on-unknown send|raise, --next-hop URL; or
    DELIVCHECK_CONFIG and so on in the environment. The next hop stands in [sendmail] of the configuration.

    Exit codes are those of sysexits.h: 0 sent, 64 usage, 65 message, 67 no such recipient, 69 refused by a rule or by the next
    hop, 70 our own fault, 75 not now, 78 configuration.
    """
    import sys

    from ..integrations.sendmail import running
    from ..integrations.sendmail.sysexits import Exit

    if sys.stdin is None:
        say("sendmail: standard input is closed")
        return Exit.IOERR
    with _told():
        return running.run(argv, sys.stdin.buffer, say)


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """What the log is told goes to the system's log of mail, as from every sendmail.

    And nowhere else: a check that failed, or a record that cannot be written, must not be the exit code of mail that was sent.
    """
    logger = logging.getLogger("delivcheck")
    before, level = logger.handlers, logger.level
    logger.handlers = [_Syslog(logging.WARNING)]
    logger.setLevel(logging.WARNING)  # whatever the program around it wants of its own log
    try:
        yield
    finally:
        logger.handlers = before
        logger.setLevel(level)


class _Syslog(logging.Handler):
    """syslog(3), facility mail."""

    def emit(self, record: logging.LogRecord) -> None:
        """One line; where no log is listening it is lost."""
        import syslog

        level = syslog.LOG_ERR if record.levelno >= logging.ERROR else syslog.LOG_WARNING
        with contextlib.suppress(ValueError):
            syslog.openlog("delivcheck", syslog.LOG_PID, syslog.LOG_MAIL)
            syslog.syslog(level, record.getMessage().replace("\0", "?"))
