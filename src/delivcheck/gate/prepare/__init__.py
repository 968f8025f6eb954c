"""What is done to a message before it is judged: fields removed, fields added, signatures."""

from .errors import LoopError, NotPreparedError, PreparationError
from .preparer import Prepared, Preparer, load
from .strip import idempotency_key

__all__ = ["LoopError", "NotPreparedError", "PreparationError", "Prepared", "Preparer", "idempotency_key", "load"]
