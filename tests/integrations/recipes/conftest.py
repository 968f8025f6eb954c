"""A submission server with STARTTLS and AUTH, and a folder with the configuration that the page shows."""

import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from delivcheck.integrations import guard as guarding
from tests.gate.next_hop import ALL
from tests.gate.smtp.support import issue
from tests.integrations import house
from tests.integrations.recipes import page
from tests.servers import loopback

USER, PASSWORD = "shop", "correct horse battery"
TIMEOUT = {"alive": 8.0, "dead": 0.2}  # seconds that DNS has: a dead one takes all of them, one on a busy machine some


@pytest.fixture(scope="session")
def _certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("certificate")
    issue(folder, "smtp.example.org", (loopback(),))
    return folder


@contextmanager
def submission(certificate: Path) -> Iterator[house.Sink]:
    """What the recipes send to: as smtp.example.org:587 would be, with a certificate that is trusted here."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate / "chain.pem", certificate / "key.pem")
    with (
        pytest.MonkeyPatch.context() as patch,
        house.sink(tls=context, users={USER: PASSWORD}, extensions=(*ALL, "STARTTLS", "AUTH PLAIN LOGIN")) as made,
    ):
        patch.setenv("SSL_CERT_FILE", str(certificate / "chain.pem"))
        patch.setenv("SMTP_PASSWORD", PASSWORD)
        yield made
        for session in made.hop.sessions:
            assert (session.user, bool(session.tls)) == (USER, True)


@pytest.fixture
def sink(_certificate: Path) -> Iterator[house.Sink]:
    with submission(_certificate) as made:
        yield made


@pytest.fixture(scope="module")
def module_sink(_certificate: Path) -> Iterator[house.Sink]:
    """One for all tests of a file."""
    with submission(_certificate) as made:
        yield made


def configuration(
    nameserver: str, mode: str = "enforce", on_unknown: str | None = None, timeout: float = TIMEOUT["alive"]
) -> str:
    """The page's delivcheck.toml, with a name server of ours."""
    shown = page.block("What all Python recipes share", "toml", {'"observe"': f'"{mode}"'})
    more = f'on-unknown = "{on_unknown}"\n' if on_unknown else ""
    return f'nameservers = ["{nameserver}"]\ntimeout = {timeout}\n{shown}{more}'


@pytest.fixture(scope="session")
def _dns() -> Iterator[dict[str, str]]:
    with house.name_server() as alive, house.dead_name_server() as dead:
        yield {"alive": alive.address, "dead": dead.address}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, _dns: dict[str, str]) -> Iterator[Callable[..., Path]]:
    """Make the page's delivcheck.toml in an empty folder, and go there: `here(dns="dead", mode="enforce")`. Gives the record."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(guarding, "_default", None)  # another test's configuration was read from another folder
    monkeypatch.setattr(guarding, "_unmade", None)

    def make(*, dns: str = "alive", mode: str = "enforce", on_unknown: str | None = None) -> Path:
        Path("delivcheck.toml").write_text(configuration(_dns[dns], mode, on_unknown, TIMEOUT[dns]))
        return tmp_path / "delivcheck.jsonl"

    yield make
    if guarding._default is not None:
        guarding._default.close()
