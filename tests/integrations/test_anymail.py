"""The anymail integration in real projects: the tests are in `django/inside`."""

import pytest

from tests.integrations.django import envs


@pytest.mark.parametrize("django", [envs.HERE, envs.NEW])
def test_it_holds_in_a_project(django):
    pytest.importorskip("anymail")
    envs.run(["test_receivers.py"], django)
