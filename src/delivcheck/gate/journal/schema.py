"""The journal's tables, and how an older file becomes what this version reads."""

import sqlite3

from .facts import JournalError

APPLICATION_ID = 0x44435054  # "DCPT": what `file` and SQLite's `application_id` call it by

# What a later submission of the same mail still depends on. The partial indexes hold nothing else, so they stay small however
# much history the table has; SQLite uses them only where a query has these very words.
OPEN = "(followed IS NULL AND (state IN ('dot', 'uncertain') OR (state IN ('accepted', 'held') AND peer <> 'answered')))"

# Each brings a file from the version of its index to the next. Never change one that was released: add another.
MIGRATIONS = (
    f"""
    CREATE TABLE attempt (
      trace      TEXT    NOT NULL PRIMARY KEY, -- ULID, so rows lie in the order of time
      key        BLOB    NOT NULL,             -- SHA-256 of octets as received, sender and credential
      explicit   BLOB,                         -- SHA-256 of the client's own key
      digest     BLOB    NOT NULL,             -- SHA-256 of the octets that were judged and sent
      size       INTEGER NOT NULL,
      mail_from  TEXT    NOT NULL,
      rcpt_to    TEXT    NOT NULL,             -- JSON, in the order of RCPT
      credential TEXT,
      next_hop   TEXT    NOT NULL,
      owner      TEXT    NOT NULL,             -- the worker
      state      TEXT    NOT NULL,
      peer       TEXT    NOT NULL,
      replies    TEXT    NOT NULL,             -- JSON: [code, enhanced, text]
      dot        INTEGER NOT NULL,             -- Unix time in milliseconds
      replied    INTEGER,
      told       INTEGER,                      -- when our reply was written
      follows    TEXT,                         -- JSON: the attempts that this one repeats, or may repeat
      followed   TEXT,                         -- and the other way round: the one that did so for all its recipients
      claim      TEXT                          -- the submission that is being answered from this row
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX open_by_key ON attempt (key) WHERE {OPEN};
    CREATE INDEX open_by_owner ON attempt (owner) WHERE {OPEN};
    CREATE INDEX by_explicit ON attempt (explicit) WHERE explicit IS NOT NULL;
    """,
    # What the trace is told: a record, or (none) that the state of an attempt is another, however that came about.
    """
    CREATE TABLE outbox (
      seq    INTEGER PRIMARY KEY AUTOINCREMENT,
      trace  TEXT,
      record BLOB
    ) STRICT;
    ALTER TABLE attempt ADD COLUMN traced INTEGER NOT NULL DEFAULT 0;
    CREATE TRIGGER told AFTER UPDATE OF state ON attempt WHEN new.traced AND new.state <> old.state
    BEGIN INSERT INTO outbox (trace) VALUES (new.trace); END;
    """,
)


def migrate(connection: sqlite3.Connection) -> None:
    """Bring the file to this version, whoever comes first; another worker waits. Raises JournalError, sqlite3.Error."""
    if _version(connection) == len(MIGRATIONS):
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        version = _version(connection)  # again, now that nobody else is at it
        if version > len(MIGRATIONS):
            raise JournalError(
                f"the journal was written by a later delivcheck (version {version}, this one knows {len(MIGRATIONS)})"
            )
        if version == 0 and connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone():
            raise JournalError("the journal's file is some other SQLite database")
        for number, script in enumerate(MIGRATIONS[version:], start=version + 1):
            for statement in script.split(";\n"):  # not executescript, which commits first
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {number}")
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _version(connection: sqlite3.Connection) -> int:
    found: int = connection.execute("PRAGMA user_version").fetchone()[0]
    if found and connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
        raise JournalError("the journal's file is some other SQLite database")
    return found
