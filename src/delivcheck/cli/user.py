"""`delivcheck user`: add, list and revoke the users of the gate."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from . import options

if TYPE_CHECKING:
    from pathlib import Path

    from ..config import Config
    from ..gate.users.file import User

SCHEMA = "delivcheck-users/1"
GENERATED = 24  # octets of randomness in a generated password: 32 characters

FILE = click.option("--file", metavar="FILE", type=click.Path(), help="The users' file [default: `users` of [gate]].")


@click.group(name="user")
def command() -> None:
    """Add, list and revoke the users of the gate.

    They stand in the file that `users` of [gate] names, which only its owner may read. A running gate notices each change:
    whoever is revoked cannot log in any more; a session that is open goes on until it ends.
    """


@command.command(name="add")
@click.argument("name", metavar="NAME")
@options.group(
    click.option(
        "--domain", "domains", metavar="DOMAIN", multiple=True, help="From and MAIL FROM may be here, or below [any]."
    ),
    click.option(
        "--stream", "streams", metavar="NAME", multiple=True, help="Its mail belongs to these; the first by default [any]."
    ),
    click.option(
        "--class",
        "classes",
        multiple=True,
        type=click.Choice(["bulk", "transactional"]),
        help="A header may declare these [any]; see --may-declare.",
    ),
    click.option("--may-declare", is_flag=True, help="X-Delivcheck-Class, -Stream and -Tag are read from its mail."),
    click.option("--password-file", metavar="FILE", type=click.File("rb"), help="Take the password from here; - is stdin."),
    click.option("--generate", is_flag=True, help="Make a password and print it, once."),
    click.option("--replace", is_flag=True, help="Replace the user of this name: password, limits and all."),
    FILE,
    options.CONFIG,
)
def add(name: str, **given: Any) -> int:
    """Add a user. Without limits it may send from any domain, in any stream."""
    from datetime import UTC, datetime

    from ..gate import users
    from ..gate.users import file
    from ..model import MessageClass
    from . import output

    context = click.get_current_context()
    path, found = _where(given)
    try:
        prepared = users.prepared_name(name)
    except users.BadText as error:
        raise click.UsageError(f"NAME: {name!r} {error}", context) from None
    domains = domains_of(given["domains"])
    known_streams(given["streams"], found)
    if file.exists(path) and not given["replace"] and prepared in file.read(path)[1]:  # before a password is asked for
        raise click.UsageError(_taken(prepared), context)
    password = _password(given)
    user = users.User(
        name=prepared,
        password=_hashed(password),
        domains=domains,
        streams=tuple(dict.fromkeys(given["streams"])),
        classes=tuple(MessageClass(word) for word in dict.fromkeys(given["classes"])),
        may_declare=given["may_declare"],
        since=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    with file.changing(path) as known:
        if prepared in known and not given["replace"]:
            raise click.UsageError(_taken(prepared), context)
        known[prepared] = user
    if given["generate"]:
        output.write(f"{password}\n")
    return 0


@command.command(name="list")
@options.group(
    FILE,
    options.CONFIG,
    click.option("--format", "-f", "format", type=click.Choice(["text", "json"]), default="text", show_default=True),
)
def show(**given: Any) -> int:
    """List the users and what they may send; passwords are not known, and their hashes not shown."""
    import msgspec

    from ..gate.users import file
    from ..report.paint import visible
    from . import output

    path, _ = _where(given)
    users = file.read(path)[1] if file.exists(path) else {}
    if given["format"] == "json":
        rows = [{key: value for key, value in msgspec.to_builtins(one).items() if key != "password"} for one in users.values()]
        output.write_octets(output.inert(msgspec.json.encode({"schema": SCHEMA, "users": rows})) + b"\n")
        return 0
    output.write("".join(f"{visible(_row(one))}\n" for one in users.values()))
    output.write(f"{len(users)} {'user' if len(users) == 1 else 'users'} in {visible(str(path))}\n")
    return 0


@command.command(name="revoke")
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@options.group(FILE, options.CONFIG)
def revoke(names: tuple[str, ...], **given: Any) -> int:
    """Take users out of the file: their next login fails. One name that is not there, and nothing is changed."""
    from ..gate import users
    from ..gate.users import file
    from ..tables import nearest

    context = click.get_current_context()
    path, _ = _where(given)
    if not file.exists(path):
        raise click.UsageError(f"there is no {path}", context)
    with file.changing(path) as known:
        for name in names:
            try:
                del known[users.prepared_name(name)]
            except (KeyError, users.BadText):
                raise click.UsageError(f"no user {name!r} in {path}{nearest(name, known)}", context) from None
    return 0


def _where(given: dict[str, Any]) -> tuple[Path, Config]:
    """The users' file, and the configuration. Raises UsageError where nobody says which file."""
    from pathlib import Path

    from .. import config
    from ..gate import reading

    try:
        import argon2  # noqa: F401 -- looked for here, where it can be said in a line what is missing
    except ImportError:
        install = "pip install 'delivcheck[gate]', or '.[gate]' in a checkout"
        raise click.UsageError(f"argon2-cffi is not installed: {install}") from None
    found = config.discover(given["config"], system=config.SYSTEM_FILE)
    if given["file"] is not None:
        return Path(given["file"]), found
    named = reading.read(found).users if found.gate is not None else None
    if named is None:
        where = f"{found.path} has no `users` in [gate]" if found.path is not None else "there is no delivcheck.toml"
        raise click.UsageError(f"which users' file? {where}; name one there, or with --file", click.get_current_context())
    return named, found


def domains_of(given: tuple[str, ...]) -> tuple[str, ...]:
    """Domains as lower-case A-labels. Raises UsageError."""
    from ..records.identities import BadIdentity, own_domain

    try:
        return tuple(dict.fromkeys(map(own_domain, given)))
    except BadIdentity as error:
        raise click.UsageError(f"--domain: {error}", click.get_current_context()) from None


def known_streams(given: tuple[str, ...], found: Config) -> None:
    """A stream that the configuration does not have is a slip. Raises UsageError."""
    from ..tables import nearest

    for stream in given:
        if found.path is not None and stream not in found.streams:
            text = f"--stream: {found.path} has no stream {stream!r}{nearest(stream, found.streams)}"
            raise click.UsageError(text, click.get_current_context())


def _password(given: dict[str, Any]) -> str:
    """The password from where it was said to be; asked for on a terminal. Raises UsageError."""
    from ..gate.users.texts import MAX_TEXT

    context = click.get_current_context()
    if given["generate"] and given["password_file"] is not None:
        raise click.UsageError("--generate and --password-file: one of them", context)
    if given["generate"]:
        import secrets

        return secrets.token_urlsafe(GENERATED)
    if given["password_file"] is not None:
        octets = given["password_file"].read(4 * MAX_TEXT)  # what is longer is refused for it
        try:
            return str(octets.decode().removesuffix("\n").removesuffix("\r"))
        except UnicodeDecodeError:
            raise click.UsageError("--password-file: not UTF-8", context) from None
    if sys.stdin is None or not sys.stdin.isatty():
        raise click.UsageError("no terminal to ask for the password: --password-file or --generate", context)
    return str(click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True))


def _hashed(password: str) -> str:
    from ..gate.users import BadText, hashed
    from ..gate.users.texts import MIN_PASSWORD

    context = click.get_current_context()
    if len(password) < MIN_PASSWORD:
        raise click.UsageError(f"the password has {len(password)} characters, at least {MIN_PASSWORD} are wanted", context)
    try:
        return hashed(password)
    except BadText as error:
        raise click.UsageError(f"the password {error}", context) from None


def _taken(name: str) -> str:
    return f"there is a user {name!r} already; --replace gives a new password and new limits"


def _row(user: User) -> str:
    limits = (("domains", user.domains), ("streams", user.streams), ("classes", user.classes))
    said = [f"{what} {', '.join(some)}" for what, some in limits if some] or ["no limits"]
    if user.may_declare:
        said.append("may declare")
    return f"{user.name}  {'; '.join(said)}"
