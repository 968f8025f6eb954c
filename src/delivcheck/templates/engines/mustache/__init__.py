"""Mustache by its specification 1.4, inheritance and dynamic names included; lambdas are an application's."""

from ...model import Engine, Host


def make(name: str, host: Host) -> Engine:
    """The engine."""
    from .engine import Mustache

    return Mustache(name, host)
