"""The options that commands share, and what they come to: a policy, a DNS client, formats, colours.

Only click is imported here; the rest when a command runs, so that `--help` stays fast.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

import click

from .formats import FORMATS

if TYPE_CHECKING:
    from ..api import Options
    from ..config import Config
    from ..facts.roots import Envelope, Session
    from .output import Sink

F = TypeVar("F", bound=Callable[..., Any])

LEVELS = ("error", "warning", "note", "never")


# --- the options, as decorators ----------------------------------------------------------------------------------


def _complete_policy(_ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    from .. import rulefiles

    return [name for name in rulefiles.load()["policies"] if name.startswith(incomplete)]


CONFIG = click.option(
    "--config",
    metavar="FILE",
    type=click.Path(),
    help="Configuration [default: the nearest delivcheck.toml or pyproject.toml].",
)

TLS_VERSIONS = ("none", "SSLv3", "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3")  # as Postfix and OpenSSL write them

TLS = click.option(
    "--tls", type=click.Choice(TLS_VERSIONS), help="The TLS version of the session from --ip, as the log has it."
)

JUDGING = (
    click.option(
        "--policy", metavar="NAME|FILE", shell_complete=_complete_policy, help="Which rules at which level [default: bulk]."
    ),
    click.option(
        "--class",
        "message_class",
        type=click.Choice(["bulk", "transactional"]),
        help="What kind of mail this is; never guessed.",
    ),
    click.option("--volume", type=click.Choice(["bulk", "low"]), help="Whether the domain is a bulk sender [default: bulk]."),
    click.option("--stream", metavar="NAME", help="A stream of the configuration: its class, volume, policy and rules."),
    click.option(
        "--rule",
        "rules",
        metavar="ID=LEVEL",
        multiple=True,
        help="Set a rule's level: error, warning, note or off (repeatable).",
    ),
    click.option(
        "--fail-on", type=click.Choice(LEVELS), default="error", show_default=True, help="The lowest level that fails the run."
    ),
    click.option("--now", metavar="TIME", help="Judge as of this ISO time; UTC unless it has a zone."),
    CONFIG,
)

COLOR = click.option(
    "--color", type=click.Choice(["auto", "always", "never"]), default="auto", help="Colour; NO_COLOR is honoured."
)

PRINTING = (
    click.option("-q", "--quiet", is_flag=True, help="Only verdicts and errors."),
    click.option("-v", "--verbose", is_flag=True, help="Every result with its reason."),
    COLOR,
)

FORMATTING = (
    click.option(
        "--format",
        "-f",
        "format",
        type=click.Choice(FORMATS),
        default="text",
        show_default=True,
        help="What stdout gets; from sarif on, formats for CI.",
    ),
    click.option(
        "--output", "-o", "outputs", metavar="FORMAT=FILE", multiple=True, help="Write a format to a file as well (repeatable)."
    ),
    click.option("--exit-zero", is_flag=True, help="Return 0 whatever the verdict."),
)

ZONES = click.option(
    "--zone",
    "zones",
    metavar="FILE",
    type=click.Path(),
    multiple=True,
    help="Lay a zone file, octoDNS YAML or a Terraform plan over the DNS (repeatable).",
)
ZONE_ONLY = click.option("--zone-only", is_flag=True, help="What the zone files do not have does not exist.")
OFFLINE = click.option("--offline", is_flag=True, help="Ask no DNS; rules that need it do not apply.")

RESOLVING = (
    click.option(
        "--nameserver", "nameservers", metavar="HOST[:PORT]", multiple=True, help="Ask this name server (repeatable)."
    ),
    ZONES,
    ZONE_ONLY,
    click.option("--snapshot", metavar="FILE", type=click.Path(), help="Answer from a file written by --save-snapshot."),
    click.option("--save-snapshot", metavar="FILE", type=click.Path(), help="Keep every DNS answer of this run in a file."),
    OFFLINE,
    click.option("--timeout", metavar="SECONDS", type=float, help="For all DNS of one target [default: 15]."),
)

LIVE = (
    click.option("--probe", is_flag=True, help="Also fetch policies and linked pages, and speak to the mail servers."),
    click.option("--blocklists", is_flag=True, help="Also ask block lists: those of the configuration, or Spamhaus's."),
    click.option(
        "--feed",
        metavar="FILE",
        type=click.Path(),
        help="Complaint, bounce and volume figures: CSV, JSON, Google's Postmaster API.",
    ),
    click.option("--second-opinion", is_flag=True, help="Also ask checkdmarc about the domain."),
)

CHECKING = (*JUDGING, *FORMATTING, *PRINTING, *RESOLVING, *LIVE)


def group(*decorators: Callable[[F], F]) -> Callable[[F], F]:
    """Put options on a command in the order they are listed."""

    def put(function: F) -> F:
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return put


# --- what they come to -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Run:
    """A checking command's shared options, read and held against one another."""

    options: Options
    config: Config
    sink: Sink
    at: Callable[[str], Options]
    save_snapshot: Callable[[], None] | None = None
    overridden: tuple[Options, ...] = ()  # what each override comes to by itself, matched by a file or not


def read(given: Mapping[str, Any]) -> Run:
    """Make a run of parsed options. Raises UsageError, ConfigError, PolicyError, ZoneError, SnapshotError, NoNameservers."""
    from .. import api, config, policy
    from ..model import Level, MessageClass, Volume
    from . import asking, resolving
    from .output import Sink

    if given["quiet"] and given["verbose"]:
        raise click.UsageError("--quiet and --verbose contradict each other", click.get_current_context())
    found = config.discover(given["config"])
    asked = config.Layer(
        given["policy"],
        MessageClass(given["message_class"]) if given["message_class"] else None,
        Volume(given["volume"]) if given["volume"] else None,
        tuple(policy.parse_setting(text) for text in given["rules"]),
    )
    stream = [found.stream(given["stream"])] if given["stream"] else []
    settled = config.settled([asked, *stream, found.layer])
    sink = Sink(given, settled.policy.name, None if given["fail_on"] == "never" else Level(given["fail_on"]))
    timeout = seconds(given["timeout"]) or found.timeout or api.DEFAULT_TIMEOUT
    dns = resolving.client(given, found.nameservers)
    options = api.Options(
        policy=settled.policy,
        dns=dns.client,
        message_class=settled.message_class,
        volume=settled.volume,
        stream=given["stream"],
        now=moment(given["now"]),
        fail_on=sink.fail_on,
        timeout=timeout,
        probe=resolving.probe(dns.client) if given["probe"] and dns.client != "offline" else None,
        second_opinion=given["second_opinion"],
        owned_domains=found.owned_domains,
        jurisdictions=jurisdictions(given.get("jurisdictions", ())) or found.jurisdictions,
        sender=found.sender,
        clients=found.clients,
        trust_class_header=given.get("trust_class_header", False),
        **asking.asked_for(given, found),
    )
    by_overrides: dict[tuple[int, ...], api.Options] = {(): options}  # by the identities of the overrides that hold

    def under(overrides: tuple[config.Override, ...]) -> api.Options:
        """What holds under overrides: they lie under what the command line says, and over the rest of the file."""
        key = tuple(map(id, overrides))
        if key not in by_overrides:
            between = [layer for one in overrides for layer in (one.layer, *([found.stream(one.stream)] if one.stream else []))]
            own = config.settled([asked, *stream, *between, found.layer])
            named = given["stream"] or next((one.stream for one in overrides if one.stream), None)
            by_overrides[key] = replace(
                options, policy=own.policy, message_class=own.message_class, volume=own.volume, stream=named
            )
        return by_overrides[key]

    overridden = tuple(under((one,)) for one in found.overrides)
    return Run(options, found, sink, lambda name: under(found.at(name)), dns.save, overridden)


def jurisdictions(given: Iterable[str]) -> tuple[str, ...]:
    """The codes that --jurisdiction was given. Raises UsageError."""
    from ..records.jurisdictions import BadJurisdiction, parse

    try:
        return tuple(dict.fromkeys(parse(text) for text in words("--jurisdiction", given)))
    except BadJurisdiction as error:
        raise click.UsageError(f"--jurisdiction: {error}", click.get_current_context()) from None


def seconds(value: float | None) -> float | None:
    """A number of seconds above 0. Raises UsageError."""
    if value is not None and not 0 < value < float("inf"):
        raise click.UsageError(f"--timeout: a number of seconds above 0, not {value:g}", click.get_current_context())
    return value


def moment(text: str | None) -> datetime | None:
    """An ISO 8601 time; one without a zone means UTC. Raises UsageError."""
    if text is None:
        return None
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise click.UsageError(
            f"--now: {text!r} is no ISO time such as 2026-11-23T12:00:00+01:00", click.get_current_context()
        ) from None
    return time if time.tzinfo is not None else time.replace(tzinfo=UTC)


def session(ip: str | None, ehlo: str | None, tls: str | None = None) -> Session | None:
    """The session that --ip, --ehlo and --tls describe. Raises UsageError."""
    import ipaddress

    from ..facts.roots import Session

    words("--ehlo", [ehlo] if ehlo is not None else [])
    if ip is None:
        if ehlo is not None:
            raise click.UsageError("--ehlo says nothing without --ip, the address it is said from", click.get_current_context())
        if tls is not None:
            raise click.UsageError("--tls says nothing without --ip, the address of the session", click.get_current_context())
        return None
    try:
        return Session(ipaddress.ip_address(ip), ehlo, tls)
    except ValueError:
        raise click.UsageError(f"--ip: {ip!r} is no IP address", click.get_current_context()) from None


def envelope(mail_from: str | None, rcpt: Iterable[str] = ()) -> Envelope | None:
    """The envelope that --mail-from and --rcpt describe; <> and the empty string are the null sender. Raises UsageError."""
    from ..facts.roots import Envelope

    to = words("--rcpt", [_bare(address) for address in rcpt])
    if mail_from is None:
        if to:
            raise click.UsageError("--rcpt needs --mail-from (the null sender is '<>')", click.get_current_context())
        return None
    (sender,) = words("--mail-from", [_bare(mail_from)])
    for option, address in (("--mail-from", sender), *(("--rcpt", one) for one in to)):
        if (address or option == "--rcpt") and (not address.rpartition("@")[0] or not address.rpartition("@")[2]):
            raise click.UsageError(f"{option}: {address!r} is no address", click.get_current_context())
    ascii_only = all(address.isascii() for address in (sender, *to))
    return Envelope(sender, to, smtputf8=not ascii_only)  # RFC 6531 section 3.4


def words(option: str, given: Iterable[str]) -> tuple[str, ...]:
    """What was given for an option, if it is text: it goes into reports. Raises UsageError for octets that are not UTF-8."""
    kept = tuple(given)
    for word in kept:
        if any("\ud800" <= character <= "\udfff" for character in word):
            raise click.UsageError(f"{option}: {word!r} is not UTF-8", click.get_current_context())
    return kept


def _bare(address: str) -> str:
    """An address without the angle brackets that it has in SMTP."""
    text = address.strip()
    return text[1:-1] if text.startswith("<") and text.endswith(">") else text
