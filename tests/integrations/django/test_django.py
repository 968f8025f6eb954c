"""The Django integration in real projects, of each Django that there is: the tests are in `inside`."""

import subprocess
import sys

import pytest

from tests.integrations.django import envs


@pytest.mark.parametrize("django", [envs.HERE, envs.NEW])
def test_it_holds_in_a_project(django):
    envs.run(["test_backend.py", "test_project.py"], django)


def test_nothing_of_django_is_imported_before_the_integration_is():
    code = (
        "import sys, delivcheck, delivcheck.smtplib, delivcheck.integrations.guard, delivcheck.integrations.testing;"
        "print([one for one in sys.modules if one.partition('.')[0] in {'django', 'anymail'}])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
