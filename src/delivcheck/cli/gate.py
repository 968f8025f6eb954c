"""`delivcheck gate`: sends only what passes, as an SMTP or LMTP server or as a milter."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from . import options
from .faults import BUG, USAGE, say

if TYPE_CHECKING:
    from ..gate.http.app import Router
    from ..gate.ports import Watch
    from ..gate.serve.worker import Counting, Loaded, Running


@click.command(name="gate")
@options.CONFIG
@click.option("--check", "only_check", is_flag=True, help="Check the configuration and what it is wired to, then end.")
@click.option("--demo", is_flag=True, help="Run one with a world of its own, to look at; needs no configuration.")
def command(config: str | None, only_check: bool, demo: bool) -> int:
    """Run the gate that [gate] in the configuration describes, until SIGTERM; SIGHUP reads the configuration again.

    Exit codes: 0 stopped as asked, 2 it cannot start, 70 our own fault. With --check: 0 all is well, 1 it would start, and mail
    would be refused or have to wait, 2 it cannot start.
    """
    if only_check:
        from ..gate.serve import checkup

        return checkup.run(_load(config))
    try:
        return _run(config, demo=demo)
    except ModuleNotFoundError as error:
        if str(error.name).partition(".")[0] == "delivcheck":
            raise
        say(f"the gate needs {error.name}: pip install 'delivcheck[gate]'")
        return USAGE


def _run(config: str | None, *, demo: bool) -> int:
    if demo:
        if config is not None:
            raise click.UsageError("--demo brings its own configuration")
        from . import showcase

        return showcase.run(lambda path: _serve(str(path)))
    return _serve(config)


def _serve(config: str | None) -> int:
    from ..gate.serve.building import build
    from ..gate.serve.supervisor import CannotStart, Supervisor
    from ..gate.serve.warming import warm

    warm()
    try:
        Supervisor(lambda: _load(config), build, clerk=_clerk).run()
    except CannotStart as error:
        say(str(error))
        return BUG if error.ours else USAGE
    return 0


async def _clerk(loaded: Loaded, watch: Watch, counting: Counting | None) -> Running:
    """What keeps the trace and serves HTTP. Raises CannotServe."""
    from ..gate.serve.worker import CannotServe

    try:
        from ..gate.serve import clerk
    except ImportError as error:
        raise CannotServe(f"trace: {error.name} is missing: pip install 'delivcheck[gate]'") from None
    return await clerk.build(loaded, watch, counting, pages=_pages())


def _pages() -> list[Router]:
    """The pages, where they are installed ([web])."""
    try:
        from ..web.app import router
    except ImportError:
        return []
    return [router]


def _load(path: str | None) -> Loaded:
    """Read the configuration. Raises ConfigError."""
    from .. import config
    from ..gate import reading
    from ..gate.serve import exposure
    from ..gate.serve.worker import Loaded

    found = config.discover(path, system=config.SYSTEM_FILE)
    gate = reading.read(found)
    try:
        exposed = tuple(exposure.warnings(gate))
    except exposure.WritableError as error:
        raise config.ConfigError(str(error)) from None
    return Loaded(found, gate, (*reading.warnings(found, gate), *exposed))
