"""What the hooks import, and what they do not."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEAVY = {
    "asyncio",
    "logging",
    "json",
    "dns",
    "spf",
    "dkim",
    "msgspec",
    "cryptography",
    "turbohtml",
    "concurrent.futures",
    "tomllib",
}
HOSTS = {"django", "flask_mail", "fastapi", "fastapi_mail", "redmail", "celery", "pytest", "aiosmtplib", "anymail"}


def imported(*statements):
    """The modules of a process that runs these, beyond those of a bare `import smtplib`."""
    text = (
        "import sys, smtplib; before = set(sys.modules)\n"
        + "\n".join(statements)
        + "\nprint(*sorted(set(sys.modules) - before))"
    )
    run = subprocess.run([sys.executable, "-c", text], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(run.stdout.split())


@pytest.mark.parametrize("module", ["delivcheck.smtplib", "delivcheck.integrations.guard", "delivcheck.integrations.wrapping"])
def test_until_something_is_judged_little_is_imported(module):
    found = imported(f"import {module}")
    assert not found & HEAVY
    assert not found & HOSTS
    ours = {name for name in found if name.startswith("delivcheck.")}
    assert not {
        name for name in ours if name.startswith(("delivcheck.gate", "delivcheck.facts", "delivcheck.net", "delivcheck.config"))
    }


def test_the_names_of_the_package_are_imported_when_they_are_used():
    assert not {name for name in imported("import delivcheck") if name.startswith("delivcheck.integrations")}
    found = imported(
        "import delivcheck", "delivcheck.guard, delivcheck.MessageRefused, delivcheck.MessageUndetermined, delivcheck.Guard"
    )
    assert not found & (HEAVY | HOSTS)


def test_judging_imports_no_host():
    found = imported(
        "import delivcheck",
        "delivcheck.Guard(config=False, dns='offline', mode='observe').check(b'From: a@example.org\\r\\n\\r\\n', 'a@example.org')",
    )
    assert "delivcheck.engine" in found
    assert not found & HOSTS
    assert not found & {"uvicorn", "sqlalchemy", "starlette", "jinja2", "checkdmarc", "click", "rich"}


def test_aiosmtp_imports_aiosmtplib_and_no_other_host():
    found = imported("import delivcheck.aiosmtp")
    assert "aiosmtplib" in found
    assert not found & (HOSTS - {"aiosmtplib"})
    assert not found & {"dns", "msgspec", "cryptography"}
