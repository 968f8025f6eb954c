"""The messages and templates beside the checkout, written by others; tests that read them skip when they are not there."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from delivcheck.mime.storage import with_crlf

FOLDER = Path(__file__).parents[3] / "shared" / "corpora"
SAMPLE = 7  # of so many files a normal run reads one

needs_corpora = pytest.mark.skipif(not FOLDER.is_dir(), reason="../shared/corpora is not there")


def messages(*, soak: bool) -> Iterator[tuple[str, bytes]]:
    """Name and CRLF octets of each message that is not empty."""
    for path in _files("msg-*", soak=soak):
        data, _ = with_crlf(path.read_bytes())
        if data.strip(b"\r\n"):
            yield str(path.relative_to(FOLDER)), data


def documents(*, soak: bool) -> Iterator[tuple[str, str]]:
    """Name and text of each template and HTML file."""
    for path in _files("*", soak=soak):
        if path.suffix in {".html", ".hbs", ".mjml", ".txt", ".tpl"}:
            yield str(path.relative_to(FOLDER)), path.read_bytes().decode("utf-8", "replace")


def _files(pattern: str, *, soak: bool) -> list[Path]:
    found = sorted(path for folder in FOLDER.glob(pattern) if folder.is_dir() for path in folder.rglob("*") if path.is_file())
    return found if soak else found[::SAMPLE]
