"""The engine of Jinja2 templates, with an exact way back to their sources."""

from .engine import Jinja, make

__all__ = ["Jinja", "make"]
