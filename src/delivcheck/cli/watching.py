"""`delivcheck template --watch`: check, wait until a file changes, check what it concerns."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ..templates.watch import Watch, concerned
from .faults import say

if TYPE_CHECKING:
    from ..templates.run import Run as Templates
    from .options import Run

PAUSE = 0.3  # seconds between two looks: soon for a person, and nothing for the machine


def watch(paths: Sequence[str], templates: Templates, make: Callable[[], Run]) -> int:
    """Check until Ctrl-C; `make` gives the options, with writers of their own, for each round. Returns 0."""
    from .rendering import check

    watching = Watch()
    known = templates.needs(paths)
    try:
        watching.look(templates.watched(paths))
        check(templates.prepare(paths), templates, make())
        say("watching; Ctrl-C ends it")
        while True:
            time.sleep(PAUSE)
            changed = watching.look(templates.watched(paths))
            if not changed:
                continue
            before = concerned(changed, known)
            templates.forget(changed)
            known = templates.needs(paths)
            again = [name for name in known if name in {*before, *concerned(changed, known)}]
            if again:
                say(f"changed: {', '.join(sorted(path.name for path in changed))}")
                check(templates.prepare(again), templates, make())
                sys.stdout.flush()
    except KeyboardInterrupt:
        return 0
