"""A drop-in for the standard library's `smtplib` that checks every message first; see `integrations.smtplib`."""

from .integrations.smtplib import *  # noqa: F403 -- all of it, under the shorter name
from .integrations.smtplib import __all__, __getattr__  # noqa: F401 -- and what else theirs has
