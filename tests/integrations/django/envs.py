"""Djangos to run tests in, each in a process of its own: a project set up in this one would be everybody's.

5.2 is the one of this environment. 6.1 needs Python 3.12: its environment is made in pytest's cache, with CI=true or
DELIVCHECK_INSTALL=1, or by `python -m tests.integrations.django.envs`.
"""

import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests import servers

ROOT = Path(__file__).parents[3]
INSIDE = Path(__file__).parent / "inside"
MARK = "DELIVCHECK_TESTS_INSIDE_DJANGO"
PYTHONS = ("python3.12", "python3.13", "python3.14")
HERE, NEW = "of this environment", "6.1"
CACHE = ROOT / ".pytest_cache" / "d" / f"django-{NEW}"
PATIENCE = 300  # seconds


def run(names: Sequence[str], django: str = HERE) -> None:
    """Run files of `inside`; fail with what pytest says. Skips without that Django."""
    python = sys.executable if django == HERE else str(_new())
    command = [python, "-m", "pytest", "-n", "0", "-q", "-p", "no:cacheprovider", *(str(INSIDE / name) for name in names)]
    environment = {**os.environ, MARK: "1", "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])}
    for unwanted in ("PYTEST_ADDOPTS", "DJANGO_SETTINGS_MODULE"):
        environment.pop(unwanted, None)
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False)
    if done.returncode:
        pytest.fail(f"Django {django}: {done.stdout[-20_000:]}\n{done.stderr[-5_000:]}", pytrace=False)


def _new() -> Path:
    python = CACHE / "bin" / "python"
    if not python.exists():
        if not servers.in_ci() and os.environ.get("DELIVCHECK_INSTALL") != "1":
            pytest.skip(f"there is no Django {NEW}: python -m tests.integrations.django.envs")
        if (why := make()) is not None:
            pytest.skip(why)
    return python


def make() -> str | None:
    """Make the environment of Django 6.1; why it could not be made, None if it was."""
    base = next(filter(None, map(_found, PYTHONS)), None)
    if base is None:
        return f"Django {NEW} needs Python 3.12, which is not here"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    names = ("pytest", "pytest-randomly", "pytest-xdist", "hypothesis", "django-anymail")
    tests = [one for one in extras["dev"] if one.partition(">")[0] in names]
    wanted = [*project["dependencies"], *extras["gate"], *tests, f"django~={NEW}.0"]
    # Beside its place until it is whole: several workers may make it at once.
    making = CACHE.with_name(f"{CACHE.name}.{os.getpid()}")
    for command in ([base, "-m", "venv", str(making)], [f"{making}/bin/pip", "install", "-q", *wanted]):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            shutil.rmtree(making, ignore_errors=True)
            return f"Django {NEW} could not be installed: {done.stderr.strip()[-300:]}"
    if not CACHE.exists():
        making.rename(CACHE)  # `bin/python` is a link to the base's, and finds its packages by its own place
    else:
        shutil.rmtree(making, ignore_errors=True)
    return None


def _found(name: str) -> str | None:
    """A Python by name: on the PATH, or pyenv's."""
    pyenv = sorted((Path.home() / ".pyenv" / "versions").glob(f"{name.removeprefix('python')}.*/bin/{name}"))
    return str(pyenv[-1]) if pyenv else shutil.which(name)


if __name__ == "__main__":
    sys.exit(make())
