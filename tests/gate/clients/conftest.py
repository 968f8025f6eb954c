"""One gate before a next hop that can all, and one before a poor one: starting them is what takes time."""

from collections.abc import Iterator

import pytest

from tests.conftest import require
from tests.gate.clients.place import POOR, Place, place
from tests.gate.clients.programs import NEEDS


@pytest.fixture(scope="session")
def rich(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with place(tmp_path_factory.mktemp("rich")) as one:
        yield one


@pytest.fixture(scope="session")
def poor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A next hop without 8BITMIME, SMTPUTF8 and DSN."""
    with place(tmp_path_factory.mktemp("poor"), extensions=POOR) as one:
        yield one


@pytest.fixture(autouse=True)
def _client_there(request: pytest.FixtureRequest) -> None:
    """Skip, or fail in CI, without the program that a test's parameter `client` names."""
    if "client" in request.fixturenames and (name := NEEDS.get(request.getfixturevalue("client"))):
        require(name)
