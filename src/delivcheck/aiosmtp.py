"""A drop-in for aiosmtplib that checks every message first; see `integrations.aiosmtp`."""

from .integrations.aiosmtp import *  # noqa: F403 -- all of it, under the shorter name
from .integrations.aiosmtp import __all__, __getattr__  # noqa: F401 -- and what else theirs has
