"""The version, where every part can read it without the package itself."""

__version__ = "0.1.0"
