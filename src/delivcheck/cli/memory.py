"""The garbage collector's pace while a batch is checked: parse trees are large, and hardly any of them has a circle."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

# Of containers made since the last look; mypy's number for its builds. The usual 700 costs a quarter of a run over templates.
SELDOM = 200_000


@contextmanager
def seldom_collected() -> Iterator[None]:
    """Look for garbage seldom, and not at what was there before, which stays anyway: modules, rules, tables."""
    usual = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(SELDOM, *usual[1:])
    try:
        yield
    finally:
        gc.set_threshold(*usual)
        gc.unfreeze()
