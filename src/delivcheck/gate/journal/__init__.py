"""The journal: what became of each message whose final dot was sent, so that a retry is not sent twice (DESIGN section 8).

One SQLite file, `<state>/journal.sqlite`, shared by all workers. It holds facts about mail, never mail.
"""

from .facts import (
    Attempt,
    Conflict,
    Earlier,
    InProgress,
    JournalError,
    Known,
    OvertakenError,
    Peer,
    Record,
    State,
    explicit_key,
    fingerprint,
)
from .journal import Journal, Recovered

__all__ = [
    "Attempt",
    "Conflict",
    "Earlier",
    "InProgress",
    "Journal",
    "JournalError",
    "Known",
    "OvertakenError",
    "Peer",
    "Record",
    "Recovered",
    "State",
    "explicit_key",
    "fingerprint",
]
