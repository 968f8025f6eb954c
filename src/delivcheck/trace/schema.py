"""The tables, in SQLAlchemy Core, the same on SQLite and PostgreSQL. Migrations bring a database here; `tests` hold them equal.

Times are Unix milliseconds, hours are Unix hours, JSON is text. Every table that an operator's data stands in has its tenant.

Until the first release a table is changed here, and `python -m tests.trace.first_migration` writes the migration anew.
"""

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData(
    naming_convention={"ix": "ix_%(table_name)s_%(column_0_N_name)s", "uq": "uq_%(table_name)s_%(column_0_N_name)s"}
)

# SQLite counts by itself only where the type is INTEGER.
Number = BigInteger().with_variant(Integer, "sqlite")

tenant = Table(
    "tenant",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(64), nullable=False, unique=True),
)

message = Table(
    "message",
    metadata,
    Column("id", String(26), primary_key=True),  # the trace, a ULID: rows lie in the order of time
    Column("tenant", Integer, ForeignKey("tenant.id"), nullable=False),
    Column("received", BigInteger, nullable=False),
    Column("gate", Text, nullable=False, default=""),
    Column("framing", String(16), nullable=False, default=""),
    Column("listener", String(64), nullable=False, default=""),
    Column("client", Text, nullable=False, default=""),
    Column("stream", Text, nullable=False, default=""),
    Column("class", String(16), nullable=False, default=""),
    Column("template", Text, nullable=False, default=""),
    Column("mail_from", Text, nullable=False, default=""),
    Column("from_domain", Text, nullable=False, default=""),
    Column("subject", Text, nullable=False, default=""),
    Column("message_id", Text, nullable=False, default=""),
    Column("queue_id", Text, nullable=False, default=""),
    Column("size", BigInteger, nullable=False, default=0),
    Column("sha256", String(64), nullable=False, default=""),
    Column("verdict", String(8), nullable=False, default=""),
    Column("policy", Text, nullable=False, default=""),
    Column("action", String(8), nullable=False, default=""),
    Column("rules", Text, nullable=False, default="[]"),  # JSON
    Column("reason", Text, nullable=False, default=""),
    Column("bypass", Text, nullable=False, default=""),
    Column("mode", String(8), nullable=False, default=""),
    Column("next_hop", Text, nullable=False, default=""),
    Column("judge_ms", Float, nullable=False, default=0.0),
    Column("tracking", String(12), nullable=False, default="none"),
    Column("held", String(26), nullable=False, default=""),  # the trace under which it was held, of a release
    Column("headers", LargeBinary),  # NULL: not kept
    Column("body", LargeBinary),
    Column("known", SmallInteger, nullable=False, default=2),  # 0: events only, 1: the envelope only, 2: as it was judged
    Index(None, "tenant", "id"),
    Index(None, "tenant", "message_id"),
    Index(None, "queue_id"),
)

tag = Table(
    "tag",
    metadata,
    Column("message", String(26), ForeignKey("message.id", ondelete="CASCADE"), primary_key=True),
    Column("tag", String(128), primary_key=True),
    Column("tenant", Integer, nullable=False),
    Index(None, "tenant", "tag", "message"),
)

recipient = Table(
    "recipient",
    metadata,
    Column("id", Number, primary_key=True),
    Column("message", String(26), ForeignKey("message.id", ondelete="CASCADE"), nullable=False),
    Column("tenant", Integer, nullable=False),
    Column("number", Integer, nullable=False),  # its place in the envelope, from 0; `ingest.OUTSIDE` for one that was not in it
    Column("address", Text, nullable=False),  # as it came; "": nobody in particular (aggregate tracking)
    Column("normal", Text, nullable=False),  # model.normal
    Column("provider", String(32), nullable=False, default=""),
    Column("state", String(12), nullable=False, default=""),  # the kind that says most of where it stands
    Column("updated", BigInteger, nullable=False),
    Column(
        "seen", Integer, nullable=False, default=0
    ),  # Kind.bit of everything that ever happened to it; above: `tallies.ACTED`
    UniqueConstraint("message", "normal"),
    Index(None, "tenant", "normal", "message"),
    Index(None, "tenant", "state", "message"),
)

event = Table(
    "event",
    metadata,
    Column("seq", Number, primary_key=True),  # in the order of commits: the cursor of /v1/events
    Column("id", String(32), nullable=False, unique=True),  # records.event_id
    Column("tenant", Integer, nullable=False),
    Column("message", String(26), ForeignKey("message.id", ondelete="CASCADE"), nullable=False),
    Column("recipient", BigInteger, ForeignKey("recipient.id", ondelete="CASCADE"), nullable=False),
    Column("kind", String(12), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("source", String(32), nullable=False, default="gate"),
    Column("actor", String(12)),
    Column("detail", Text, nullable=False, default="{}"),  # JSON
    Index(None, "message"),
    Index(None, "recipient"),
    Index(None, "tenant", "seq"),
    sqlite_autoincrement=True,  # a number never comes twice, not even the last one after its row is deleted: cursors hold it
)

waiting = Table(  # what happened to all recipients of a message of which not all is known yet (`ingest`)
    "waiting",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("message", String(26), ForeignKey("message.id", ondelete="CASCADE"), nullable=False),
    Column("record", LargeBinary, nullable=False),  # records.encode
    Index(None, "message"),
)

result = Table(
    "result",
    metadata,
    Column("message", String(26), ForeignKey("message.id", ondelete="CASCADE"), primary_key=True),
    Column("rule", String(128), primary_key=True),
    Column("tenant", Integer, nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("level", String(8), nullable=False),
    Column("problems", Text, nullable=False, default="[]"),  # JSON
    Index(None, "tenant", "rule", "message"),
)

link = Table(
    "link",
    metadata,
    Column("message", String(26), ForeignKey("message.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("url", Text, nullable=False),
)

suppression = Table(
    "suppression",
    metadata,
    Column("id", Number, primary_key=True),
    Column("tenant", Integer, ForeignKey("tenant.id"), nullable=False),
    Column("address", Text, nullable=False),  # model.normal
    Column("stream", Text, nullable=False, default=""),  # "": all
    Column("reason", String(12), nullable=False),
    Column("event", String(32)),  # the event that led to it
    Column("note", Text, nullable=False, default=""),
    Column("since", BigInteger, nullable=False),
    Column("until", BigInteger),  # NULL: for good
    UniqueConstraint("tenant", "address", "stream"),
)

tally = Table(
    "tally",
    metadata,
    Column("tenant", Integer, nullable=False),
    Column("hour", Integer, nullable=False),  # of the message's `received`: a funnel is about the mail of that time
    Column("dimension", String(16), nullable=False),  # tallies.DIMENSIONS: "all", "stream", "tag", "template" …
    Column("value", String(255), nullable=False),  # "" for "all", and for mail without any
    Column("kind", String(16), nullable=False),  # a Kind, or "opened.machine", "clicked.machine" …
    Column("events", BigInteger, nullable=False, default=0),  # how often it happened
    Column("recipients", BigInteger, nullable=False, default=0),  # to how many it happened at all
    Column("weight", SmallInteger, nullable=False, default=0),  # 0: an hour, 1: rolled up to a day (hour is its first)
    # A plot asks for one dimension over some hours: they lie side by side, and on SQLite in the key itself.
    PrimaryKeyConstraint("tenant", "dimension", "hour", "value", "kind"),
    sqlite_with_rowid=False,
)

audit = Table(
    "audit",
    metadata,
    Column("id", Number, primary_key=True),
    Column("tenant", Integer, ForeignKey("tenant.id"), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("who", Text, nullable=False),  # "cli:root", "key:NAME", "proxy:USER"
    Column("action", String(64), nullable=False),  # "held.release", "suppression.remove", "key.revoke", "erase" …
    Column("object", Text, nullable=False, default=""),
    Column("detail", Text, nullable=False, default="{}"),  # JSON
    Index(None, "tenant", "at"),
)

api_key = Table(
    "api_key",
    metadata,
    Column("id", String(16), primary_key=True),  # its public part
    Column("tenant", Integer, ForeignKey("tenant.id"), nullable=False),
    Column("name", String(64), nullable=False),
    Column("hash", String(128), nullable=False),
    Column("scopes", Text, nullable=False),  # JSON
    Column("domains", Text, nullable=False, default="[]"),  # JSON: may send as these; []: no limit
    Column("streams", Text, nullable=False, default="[]"),  # JSON
    Column("created", BigInteger, nullable=False),
    Column("expires", BigInteger),
    Column("revoked", BigInteger),
    Column("used", BigInteger),
    UniqueConstraint("tenant", "name"),
)

answered = Table(  # requests with an Idempotency-Key, for a day: the same one again is told the same, another one 409
    "answered",
    metadata,
    Column("api_key", String(16), primary_key=True),
    Column("key", String(64), primary_key=True),  # SHA-256 of what the client gave
    Column("request", String(64), nullable=False),  # SHA-256 of the body, and of what else says what is sent
    Column("at", BigInteger, nullable=False),
    Column("status", SmallInteger),  # NULL: it is at work, or was when its process died
    Column("answer", Text),  # JSON
    Index(None, "at"),
)

webhook = Table(
    "webhook",
    metadata,
    Column("id", String(26), primary_key=True),
    Column("tenant", Integer, ForeignKey("tenant.id"), nullable=False),
    Column("url", Text, nullable=False),
    Column("kinds", Text, nullable=False, default="[]"),  # JSON; []: all
    Column("secret", LargeBinary, nullable=False),  # encrypted with the store's key where there is one
    Column("created", BigInteger, nullable=False),
    Column("disabled", BigInteger),
    Column("failing", BigInteger),  # since when every attempt failed; NULL: the last one did not
    Column("cursor", BigInteger, nullable=False, default=0),  # event.seq up to which deliveries were made out
    Column("note", Text, nullable=False, default=""),
)

delivery = Table(
    "delivery",
    metadata,
    Column("id", Number, primary_key=True),
    Column("webhook", String(26), ForeignKey("webhook.id", ondelete="CASCADE"), nullable=False),
    Column("event", BigInteger, ForeignKey("event.seq", ondelete="CASCADE"), nullable=False),
    Column("state", String(8), nullable=False, default="waiting"),  # waiting, done, dead
    Column("attempts", Integer, nullable=False, default=0),
    Column("due", BigInteger, nullable=False),
    Column("status", Integer),
    Column("error", Text, nullable=False, default=""),
    Column("updated", BigInteger, nullable=False),
    UniqueConstraint("webhook", "event"),
    Index(None, "webhook", "state", "due"),
    Index(None, "event"),  # events that are erased or too old take their deliveries along
)

position = Table(  # how far something was read (a log, a Maildir, a journal), so that a restart goes on there
    "position",
    metadata,
    Column("name", String(255), primary_key=True),
    Column("value", Text, nullable=False),
)

postmaster = Table(  # imported from Google Postmaster Tools: Gmail sends no complaint reports
    "postmaster",
    metadata,
    Column("tenant", Integer, primary_key=True),
    Column("domain", String(255), primary_key=True),
    Column("day", Integer, primary_key=True),  # Unix days
    Column("spam_rate", Float),
    Column("detail", Text, nullable=False, default="{}"),  # JSON
)
