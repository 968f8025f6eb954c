"""One line on stderr that says how far a run is: only on a terminal, and only when it takes longer than half a second."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import time
from types import TracebackType
from typing import Self

PATIENCE = 0.5  # seconds of silence first
EVERY = 0.1  # seconds between two looks


class Progress:
    """Count, name and seconds, drawn over themselves."""

    def __init__(self) -> None:
        """Start the clock; nothing is drawn yet."""
        self.count = 0
        self.name = ""
        self._started = time.monotonic()
        self._drawn = False
        self._wanted = sys.stderr is not None and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.clear()

    async def tick(self) -> None:
        """Draw until cancelled."""
        if not self._wanted:
            return
        await asyncio.sleep(PATIENCE)
        while True:
            self.draw()
            await asyncio.sleep(EVERY)

    def draw(self) -> None:
        """Draw the line, cut to the terminal's width."""
        from ..report.paint import cells, to_ascii, visible

        room = shutil.get_terminal_size().columns - 1
        said = f"{self.count:,} checked, {time.monotonic() - self._started:.0f} s, {visible(self.name)}"
        text = to_ascii(said)[:room] if cells(said) > room or (sys.stderr.encoding or "").lower() != "utf-8" else said
        sys.stderr.write(f"\r\x1b[K{text}")
        sys.stderr.flush()
        self._drawn = True

    def clear(self) -> None:
        """Take the line away, before anything else is printed."""
        if self._drawn:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
            self._drawn = False
