"""What all tests share: no network but loopback, real servers, and how thorough a run is."""

import asyncio
import inspect
import ipaddress
import os
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

if (root := str(Path(__file__).parent.parent)) not in sys.path:
    sys.path.insert(0, root)  # the `pytest` command does not, `python -m pytest` does

from tests import servers

MISSING = "server missing: "

settings.register_profile("default", max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("soak", settings.get_profile("default"), max_examples=10_000)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--soak", action="store_true", help="the long tests in full: every corpus message, 10,000 Hypothesis examples"
    )


def pytest_configure(config: pytest.Config) -> None:
    settings.load_profile("soak" if config.getoption("--soak") else "default")
    block_network()


def pytest_unconfigure() -> None:
    unblock_network()


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run an `async def` test in an event loop of its own."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    wanted = inspect.signature(pyfuncitem.obj).parameters
    asyncio.run(pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in wanted}))
    return True


@pytest.fixture(scope="session")
def soak(request: pytest.FixtureRequest) -> bool:
    """Whether this run is to be thorough."""
    return bool(request.config.getoption("--soak"))


# --- no network but loopback -------------------------------------------------------------------------------------


class NetworkBlockedError(RuntimeError):
    """A test tried to leave this machine. No OSError, which the code under test may take for a network fault."""


_NUMERIC = (socket.AF_INET, socket.AF_INET6)
_REAL_GETADDRINFO = socket.getaddrinfo
_GUARDED = ("bind", "connect", "connect_ex", "sendto", "sendmsg")


def is_here(host: str | bytes | None) -> bool:
    text = host.decode() if isinstance(host, bytes) else host
    if text in (None, "", "localhost"):
        return True
    try:
        return ipaddress.ip_address(str(text).partition("%")[0]).is_loopback
    except ValueError:
        return False


def _guarded(name: str) -> Callable[..., Any]:
    real = getattr(socket.socket, name)

    def guard(self: socket.socket, *arguments: Any) -> Any:
        # The address is the last argument of all of these, and sendmsg may go without one.
        address = arguments[-1] if arguments else None
        if self.family in _NUMERIC and isinstance(address, tuple) and not is_here(address[0]):
            raise NetworkBlockedError(f"{name} to {address}")
        return real(self, *arguments)

    return guard


def _getaddrinfo(host: Any, *arguments: Any, **options: Any) -> Any:
    if not is_here(host):
        try:
            ipaddress.ip_address(str(host).partition("%")[0])  # turning an address into itself asks nobody
        except ValueError:
            raise NetworkBlockedError(f"getaddrinfo of {host}") from None
    return _REAL_GETADDRINFO(host, *arguments, **options)


def block_network() -> None:
    for name in _GUARDED:
        setattr(socket.socket, name, _guarded(name))
    socket.getaddrinfo = _getaddrinfo


def unblock_network() -> None:
    for name in _GUARDED:
        if name in vars(socket.socket):
            delattr(socket.socket, name)
    socket.getaddrinfo = _REAL_GETADDRINFO


# --- real servers ------------------------------------------------------------------------------------------------


def require(name: str) -> None:
    """Skip without the server; in CI the absence of one that Debian has is a failure, or nobody would ever notice."""
    if servers.program(name) is None:
        if servers.in_ci() and name in servers.PACKAGES:
            pytest.fail(f"{MISSING}{name}", pytrace=False)
        pytest.skip(f"{MISSING}{name}")


@pytest.fixture(scope="session")
def nsd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.Nsd]:
    """A real name server: NSD with eight sender domains and the zones in tests/net/zones."""
    require("nsd")
    with servers.nsd(tmp_path_factory.mktemp("nsd")) as server:
        yield server


@pytest.fixture(scope="session")
def _postfix_there() -> None:
    """For `needs_postfix` of mta.py."""
    require("postfix")
    if os.geteuid() != 0:
        pytest.skip("only root can start Postfix")


@pytest.fixture(scope="session")
def postgres() -> Iterator[Any]:
    """A PostgreSQL of this test process's own; `create` makes databases in it."""
    require("postgres")
    if not servers.in_ci():
        pytest.importorskip("psycopg")  # of the extra; in CI its absence is an error
    from tests.postgres import postgres as running

    with running() as server:
        yield server


@pytest.fixture(scope="session")
def _line(nsd: servers.Nsd, tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.DelayLine]:
    with servers.delay_line(tmp_path_factory.mktemp("line"), nsd.address) as line:
        yield line


@pytest.fixture
def delay_line(_line: servers.DelayLine) -> servers.DelayLine:
    """A line of 20 ms before NSD, its counts at zero."""
    _line.reset()
    return _line


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Name the tests that did not run for want of a server, so that a green run is not taken for more than it is."""
    without: dict[str, list[str]] = {}
    for report in terminalreporter.stats.get("skipped", []):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else ""
        if MISSING in reason:
            without.setdefault(reason.partition(MISSING)[2], []).append(report.nodeid)
    for name, tests in without.items():
        functions = sorted({test.partition("[")[0] for test in tests})
        terminalreporter.write_line(f"{len(tests)} tests skipped because {name} is not installed: {', '.join(functions)}")
