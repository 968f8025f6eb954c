"""A tenant's number in the store of a test."""

import pytest

from delivcheck.trace.model import Kind
from tests.trace.webhooks.hearing import happened


@pytest.fixture
def tenant(store):
    """The default tenant, to whom something happened before any webhook was there."""
    happened(store, Kind.ACCEPTED)
    with store.write() as db:
        return store.tenant(db)
