"""Keeping the store: as long and as large as the operator wants it, without people who ask to be forgotten, and restorable."""

from .copying import BackupError, Copied, backup, restore
from .erasure import Erased, erase
from .retention import Kept, expire, octets

__all__ = ["BackupError", "Copied", "Erased", "Kept", "backup", "erase", "expire", "octets", "restore"]
