"""Fixtures for all hooks; what they are made of is in house.py."""

import pytest

from tests.integrations import house


@pytest.fixture
def sink():
    """A real SMTP server that takes everything."""
    with house.sink() as running:
        yield running


@pytest.fixture
def record(tmp_path):
    """Where a guard writes its events: `house.recorded(record)`."""
    return tmp_path / "record"
