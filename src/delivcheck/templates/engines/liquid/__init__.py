"""Liquid, rendered by python-liquid 2: Shopify's language, with the tags for layouts that LiquidJS and python-liquid add."""

import liquid as _library  # noqa: F401 -- the registry says what to install where this fails

from ...model import Engine, Host


def make(name: str, host: Host) -> Engine:
    """The engine."""
    from .engine import Liquid

    return Liquid(name, host)
