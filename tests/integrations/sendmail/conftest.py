"""The one fixture of these tests."""

import pytest

from tests.integrations.sendmail.place import place as made


@pytest.fixture
def place(tmp_path):
    with made(tmp_path) as one:
        yield one
