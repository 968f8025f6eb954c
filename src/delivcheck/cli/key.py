"""`delivcheck key`: makes a DKIM key, and prints the DNS record that publishes one; `key api` is about another kind."""

from __future__ import annotations

import os
from pathlib import Path

import click

from . import apikey

MODE = 0o600  # the owner's own: OpenDKIM and Postfix ask for the same of private keys


@click.group(name="key")
def command() -> None:
    """Make a DKIM key, or show the DNS record that belongs to one. `api`: keys of the Web Service.

    Exit codes: 0 done, 2 usage, 3 the key file cannot be read.
    """


command.add_command(apikey.command)


@command.command(name="new")
@click.argument("domain", metavar="DOMAIN")
@click.option(
    "--selector", "-s", metavar="NAME", required=True, help="The selector: the record goes to NAME._domainkey.DOMAIN."
)
@click.option("--type", "kind", type=click.Choice(["rsa", "ed25519"]), default="rsa", show_default=True)
@click.option("--bits", type=int, metavar="N", help="Size of an RSA key [default: 2048].")
@click.option(
    "--out", "-o", metavar="FILE", required=True, help="Where the private key goes; a file that is there is not touched."
)
def new(domain: str, selector: str, kind: str, bits: int | None, out: str) -> int:
    """Make a private key and print the record to publish, for a zone file and for a provider's form."""
    from ..facts.signing import SigningError, SigningKey
    from ..gate.prepare import PreparationError, keys

    context = click.get_current_context()
    if bits is not None and kind != "rsa":
        raise click.UsageError("--bits is for RSA keys", context)
    try:
        # The names are judged before the key is made, and nothing is written for a key that could not sign.
        pem = keys.new(kind, bits or keys.USUAL_BITS)
        key = keys.usable(SigningKey(*_names(domain, selector), pem))
    except (SigningError, PreparationError) as error:
        raise click.UsageError(str(error), context) from None
    _save(Path(out), pem)
    _print(key.name, key.record)
    return 0


@command.command(name="show")
@click.argument("file", metavar="FILE")
@click.option("--domain", "-d", metavar="DOMAIN", help="The domain, to print the whole record.")
@click.option("--selector", "-s", metavar="NAME", help="The selector, to print the whole record.")
def show(file: str, domain: str | None, selector: str | None) -> int:
    """Print the record of a private key; without --domain and --selector only its text, in one line."""
    from ..facts.signing import SigningError, load_private
    from ..gate.prepare import PreparationError, keys
    from ..gate.settings import Secret
    from ..records.dkim import key_name
    from . import output
    from .faults import say

    if (domain is None) != (selector is None):
        raise click.UsageError("--domain and --selector go together", click.get_current_context())
    try:
        text = keys.record(load_private(keys.read(Secret(file=Path(file))))[0])
    except (SigningError, PreparationError) as error:
        why = str(error)
        say(why if why.startswith(file) else f"{file}: {why}")
        return 3
    if domain is None or selector is None:
        output.write(text + "\n")
    else:
        name, below = _names(domain, selector)
        _print(key_name(below, name), text)
    return 0


def _names(domain: str, selector: str) -> tuple[str, str]:
    """Domain and selector as DNS has them. Raises UsageError."""
    from ..records.names import BadName, to_ascii

    named: list[str] = []
    for what, text in (("domain", domain), ("selector", selector)):
        try:
            named.append(to_ascii(text))
        except BadName as error:
            raise click.UsageError(f"{text!r} is no {what}: {error}", click.get_current_context()) from None
    return named[0], named[1]


def _save(path: Path, pem: bytes) -> None:
    """Write a new file that only its owner can read; a key that is in use is never overwritten. Raises UsageError."""
    context = click.get_current_context()
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, MODE)
    except FileExistsError:
        raise click.UsageError(f"{path} is there already, and a key is never overwritten", context) from None
    except OSError as error:
        raise click.UsageError(f"{path} cannot be written: {error.strerror or error}", context) from None
    try:
        with os.fdopen(handle, "wb") as file:
            if os.geteuid() == 0:  # the gate does not run as root: what root makes belongs to the folder's owner, as users do
                above = path.parent.stat()
                os.fchown(handle, above.st_uid, above.st_gid)
            file.write(pem)
            file.flush()
            os.fsync(file.fileno())  # its record is published next: the key must outlive a power cut
    except OSError as error:
        path.unlink(missing_ok=True)
        raise click.UsageError(f"{path} cannot be written: {error.strerror or error}", context) from None


def _print(name: str, text: str) -> None:
    from ..gate.prepare.keys import form_lines, zone_line
    from . import output

    output.write(f"{zone_line(name, text)}\n\n{form_lines(name, text)}\n")
