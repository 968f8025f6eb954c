"""For test suites: `from delivcheck.testing import assert_deliverable`; see `integrations.testing`."""

from .integrations.testing import *  # noqa: F403 -- all of it, under the shorter name
