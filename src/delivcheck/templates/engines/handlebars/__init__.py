"""Handlebars, as handlebars.js 4.7 renders it, and with it what SendGrid and Postmark make of it."""

from ...model import Engine, Host


def make(name: str, host: Host) -> Engine:
    """The engine."""
    from .engine import Handlebars

    return Handlebars(name, host)
