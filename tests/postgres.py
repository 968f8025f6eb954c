"""PostgreSQL for the tests: a cluster of its own in a temporary folder, reached by a UNIX socket in it, and by nobody else."""

import contextlib
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from tests import servers

USER = "delivcheck"
GUARDED = "guarded"  # a user who needs a password
PASSWORD = "correct-horse"
ACCOUNTS = ("postgres", "nobody")  # PostgreSQL refuses to run as root: the first of these that there is runs it
OPTIONS = {  # of a server whose data nobody will miss
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "listen_addresses": "",
    "max_connections": "50",
    "shared_buffers": "64MB",
    "max_wal_size": "4GB",
    "autovacuum_naptime": "5s",
}
HBA = f"local all {GUARDED} scram-sha-256\nlocal all all trust\n"


class Postgres:
    """A running server, which can be stopped and started again under its clients."""

    def __init__(self, folder: Path, options: dict[str, str], account: pwd.struct_passwd | None) -> None:
        self.folder = folder
        self._options, self._account = options, account
        self._numbers = itertools.count()
        self._running: contextlib.ExitStack | None = None
        self._tool(
            "initdb", "--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C", f"--username={USER}", str(self._data)
        )
        (self._data / "pg_hba.conf").write_text(HBA)
        self.start()
        self.sql(f"CREATE ROLE {GUARDED} LOGIN PASSWORD '{PASSWORD}'")

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def start(self) -> None:
        log = self.folder.parent / "log"
        options = [f"--{name}={value}" for name, value in self._options.items()]
        command = [servers.program("postgres"), "-D", str(self._data), f"--unix_socket_directories={self.folder}", *options]
        with contextlib.ExitStack() as stack:
            process = stack.enter_context(servers.running(self._as_user(command), log, self._answers))
            # Told to terminate, it would wait for its clients; this is its "fast" shutdown, which does not.
            stack.callback(partial(self._interrupt, process))
            self._running = stack.pop_all()

    def stop(self) -> None:
        if self._running is not None:
            self._running.close()
            self._running = None

    def restart(self) -> None:
        self.stop()
        self.start()

    def url(self, database: str = "postgres", *, user: str = USER, password: str = "") -> str:
        """SQLAlchemy's."""
        secret = f":{password}" if password else ""
        return f"postgresql+psycopg://{user}{secret}@/{database}?host={self.folder}"

    def create(self, template: str = "template0") -> str:
        """A new database's name."""
        name = f"test_{next(self._numbers)}"
        self.sql(f"CREATE DATABASE {name} TEMPLATE {template}")
        return name

    def drop(self, name: str) -> None:
        self.sql(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def sql(self, statement: str, database: str = "postgres") -> None:
        import psycopg  # an extra: other tests do without

        with psycopg.connect(host=str(self.folder), user=USER, dbname=database, autocommit=True) as connection:
            connection.execute(statement)

    def _answers(self) -> bool:
        import psycopg  # an extra: other tests do without

        try:
            self.sql("SELECT 1")
        except psycopg.OperationalError:
            return False
        return True

    def _interrupt(self, process: "subprocess.Popen[bytes]") -> None:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)

    def _tool(self, name: str, *arguments: str) -> None:
        subprocess.run(self._as_user([servers.program(name), *arguments]), check=True, capture_output=True, cwd="/")

    def _as_user(self, command: Sequence[str | None]) -> list[str]:
        assert command[0] is not None
        if self._account is None:
            return [str(part) for part in command]
        return [
            "setpriv",
            f"--reuid={self._account.pw_uid}",
            f"--regid={self._account.pw_gid}",
            "--clear-groups",
            "--pdeathsig=INT",
            *map(str, command),
        ]


@contextmanager
def postgres(**options: str) -> Iterator[Postgres]:
    """A server for as long as the block lasts. Its folder is not pytest's, which only root may enter where root runs the tests."""
    account = _account() if os.geteuid() == 0 else None
    top = Path(tempfile.mkdtemp(prefix="delivcheck-pg-"))
    top.chmod(0o711)
    folder = top / "pg"
    server = None
    try:
        folder.mkdir(mode=0o700)
        if account is not None:
            os.chown(folder, account.pw_uid, account.pw_gid)
        server = Postgres(folder, OPTIONS | options, account)
        yield server
    finally:
        if server is not None:
            server.stop()
        shutil.rmtree(top, ignore_errors=True)


def _account() -> pwd.struct_passwd:
    for name in ACCOUNTS:
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise servers.NotStartedError("PostgreSQL does not run as root, and there is none of: " + ", ".join(ACCOUNTS))
