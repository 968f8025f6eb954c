"""What is done to a message before it is judged: fields removed, fields added, signatures."""

from .errors import LoopError, NotPreparedError, PreparationError
from .preparer import Prepared, Preparer, Read, load
from .strip import idempotency_key

__all__ = ["LoopError", "NotPreparedError", "PreparationError", "Prepared", "Preparer", "Read", "idempotency_key", "load"]
