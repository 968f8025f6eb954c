"""How a run ends that does not end well: one line on stderr and the exit code that says whose fault it was."""

import contextlib
import logging
import os
import sys
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import click

# The numbers of report.words.Exit, which is not imported on the way to --help.
USAGE, BUG, INTERRUPTED, PIPE = 2, 70, 130, 141

_USERS_OWN = {  # errors that say in one line what the user gave wrongly; looked up only among modules that are loaded already
    "delivcheck.policy": ("PolicyError",),
    "delivcheck.rulefiles": ("RuleFileError",),
    "delivcheck.config": ("ConfigError",),
    "delivcheck.checker": ("InputError",),
    "delivcheck.net.zone": ("ZoneError",),
    "delivcheck.net.snapshot": ("SnapshotError",),
    "delivcheck.net.dns": ("NoNameservers",),
    "delivcheck.gate.users": ("UsersError",),
    "delivcheck.gate.prepare.errors": ("PreparationError",),
}

_LOGGER = "delivcheck"


class OutputError(Exception):
    """Standard output or a file of --output takes no more: a full disk, say."""


class ReaderGone(Exception):  # noqa: N818 -- reads well in an except clause
    """Who reads our standard output has closed it. No BrokenPipeError: click would make its own end of that."""


@dataclass
class Ending:
    """What a run comes to, and the faults of our own that the engine survived."""

    code: int = 0
    bugs: list[str] = field(default_factory=list)


class _Survived(logging.Handler):
    """Keeps what the engine logs about checks and providers that raised, instead of printing tracebacks between reports."""

    def __init__(self, ending: Ending) -> None:
        super().__init__(logging.ERROR)
        self.ending = ending

    def emit(self, record: logging.LogRecord) -> None:
        """Keep message and traceback."""
        text = record.getMessage()
        if record.exc_info:
            text += "\n" + "".join(traceback.format_exception(*record.exc_info))
        self.ending.bugs.append(text.rstrip())


class _Said(logging.Handler):
    """Says what was passed by while the configuration was looked for."""

    def emit(self, record: logging.LogRecord) -> None:
        """One line."""
        say(record.getMessage())


@contextlib.contextmanager
def gathered(arguments: Sequence[str]) -> Iterator[Ending]:
    """Run a command inside; what it raises becomes a code and at most one line, and under -v a traceback of our own faults."""
    ending = Ending()
    handler = _Survived(ending)
    logger = logging.getLogger(_LOGGER)
    before = logger.propagate
    logger.addHandler(handler)
    of_configuration, said = logging.getLogger(f"{_LOGGER}.config"), _Said()
    of_configuration.addHandler(said)
    logger.propagate = False  # or logging's handler of last resort prints them as well
    try:
        yield ending
    except click.exceptions.NoArgsIsHelpError as error:
        sys.stderr.write(error.format_message() + "\n")
        ending.code = USAGE
    except click.ClickException as error:
        say(_one_line(error))
        ending.code = USAGE
    except (click.Abort, KeyboardInterrupt):
        say("interrupted")
        ending.code = INTERRUPTED
    except (ReaderGone, BrokenPipeError):
        ending.code = PIPE
        _let_go_of_stdout()
    except OutputError as error:
        say(str(error))
        ending.code = USAGE
        _let_go_of_stdout()
    except Exception as error:  # noqa: BLE001 -- the outermost one: nothing may reach the user as a bare traceback
        if isinstance(error, _users_own()):
            say(str(error))
            ending.code = USAGE
        else:
            ending.bugs.append(f"{type(error).__name__}: {error}\n{''.join(traceback.format_exception(error))}".rstrip())
            ending.code = BUG
    finally:
        logger.removeHandler(handler)
        of_configuration.removeHandler(said)
        logger.propagate = before
    if ending.bugs:
        _ask_for_a_report(ending.bugs, verbose=_verbose(arguments))
        ending.code = BUG


def say(line: str) -> None:
    """One line on stderr, in our name; what a file name or a record put into it cannot act on the terminal."""
    from ..report.paint import visible

    if sys.stderr is None:
        return
    text = f"delivcheck: {visible(line)}\n"
    encoding = sys.stderr.encoding or "ascii"
    with contextlib.suppress(OSError):
        sys.stderr.write(text.encode(encoding, "backslashreplace").decode(encoding))


def _ask_for_a_report(bugs: list[str], *, verbose: bool) -> None:
    first = bugs[0].partition("\n")[0]
    more = f" (and {len(bugs) - 1} more)" if len(bugs) > 1 else ""
    if verbose:
        for bug in bugs:
            for line in bug.split("\n"):
                say(line)
    ask = "please report this, with the lines above" if verbose else "please report this, with what `delivcheck -v ...` adds"
    say(f"a fault of delivcheck itself: {first}{more}; {ask}")


def _verbose(arguments: Sequence[str]) -> bool:
    """Whether -v was given, told from the words: the options may never have been parsed."""
    return any(word == "--verbose" or (word[:1] == "-" != word[1:2] and "v" in word) for word in arguments)


def _one_line(error: click.ClickException) -> str:
    text = " ".join(error.format_message().split()).removesuffix(".")
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "delivcheck"
    first = text.partition(" ")[0]
    if first[1:] == first[1:].lower():  # a sentence's capital goes; URL and PostgreSQL keep theirs
        text = f"{text[:1].lower()}{text[1:]}"
    return f"{text} (see {path} --help)"


def _users_own() -> tuple[type[BaseException], ...]:
    return tuple(
        getattr(sys.modules[module], name) for module, names in _USERS_OWN.items() if module in sys.modules for name in names
    )


def _let_go_of_stdout() -> None:
    """Who reads us has gone: what is still buffered goes nowhere, and the interpreter's own flush at exit stays silent."""
    if sys.stdout is None:
        return
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
