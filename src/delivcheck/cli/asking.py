"""What a run asks beyond DNS and the message, or is told: block lists, figures, who sends each stream, the test address."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from ..config import Config
    from ..records.feed import Feed


def asked_for(given: Mapping[str, Any], found: Config) -> dict[str, Any]:
    """The fields of `api.Options` that these options and the configuration come to. Raises UsageError, PolicyError.

    Lists that stand in the configuration are asked in every run; --blocklists alone asks those that `rules/data` names.
    """
    from ..records import blocklists

    context = click.get_current_context()
    if given["offline"] and given["blocklists"]:
        raise click.UsageError("--offline asks no DNS, so --blocklists cannot hold", context)
    path = given["feed"] or found.feed
    return {
        "blocklists": found.blocklists or (blocklists.default() if given["blocklists"] else ()),
        "feed": None if path is None else feed(Path(path)),
        "streams": found.identified,
        "unsubscribe_test_url": test_url(given.get("unsubscribe_test_url")) or found.unsubscribe_test_url,
    }


def feed(path: Path) -> Feed:
    """Read a file of figures. Raises UsageError that names file and line."""
    from ..records.feed import MAX_OCTETS, FeedError, parse_feed
    from .inputs import printable

    name = printable(str(path))
    try:
        with path.open("rb") as file:
            return parse_feed(file.read(MAX_OCTETS + 1), name)
    except OSError as error:
        why = error.strerror or str(error)
    except ValueError as error:  # FeedError, and a path with NUL
        line = error.line if isinstance(error, FeedError) else None
        name, why = f"{name}:{line}" if line else name, str(error)
    raise click.UsageError(f"--feed: {name}: {why}", click.get_current_context())


def test_url(text: str | None) -> str | None:
    """The address that --unsubscribe-test-url was given. Raises UsageError."""
    from ..records.identities import BadIdentity
    from ..records.identities import test_url as read

    try:
        return None if text is None else read(text)
    except BadIdentity as error:
        raise click.UsageError(f"--unsubscribe-test-url: {error}", click.get_current_context()) from None
