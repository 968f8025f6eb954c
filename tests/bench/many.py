"""Fills PostgreSQL with as many events as are wanted, made by the server itself: one by one, fifty million would take hours.

What the tables hold afterwards is what `ingest` would have made of such mail: 90 days of it, of three streams, to seven domains,
each recipient with its events, `state`, `seen`, and tallies that agree with them (`consistent` compares).
"""

import sys
import time
from concurrent.futures import ThreadPoolExecutor

import sqlalchemy as sa

from delivcheck.trace import schema
from delivcheck.trace.model import Kind
from delivcheck.trace.store import Store
from delivcheck.trace.tallies import ACTED, DIMENSIONS

DAYS = 90
EACH = 1.4  # recipients of a message: nine of ten have one, the tenth has five
PER_RECIPIENT = 5.6  # events
DOMAINS = ("gmail.com", "yahoo.com", "outlook.com", "web.de", "example.org", "example.net", "corp.example")
PROVIDERS = ("gmail", "yahoo", "microsoft", "1and1", "", "", "")
RULES = ("links/http", "headers/no-list-unsubscribe", "content/image-only", "dmarc/policy-none")
FASTER = {  # a server that is being filled: nothing has to survive it
    "fsync": "off", "wal_level": "minimal", "max_wal_senders": "0", "max_wal_size": "16GB", "checkpoint_timeout": "1h",
    "maintenance_work_mem": "1500MB", "work_mem": "400MB", "shared_buffers": "2GB", "jit": "off", "autovacuum": "off",
}  # fmt: skip

_DIGITS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_TIME = "||".join(f"substr('{_DIGITS}', ((at >> {shift}) & 31)::int + 1, 1)" for shift in range(45, -1, -5))


def _bits(*kinds: Kind) -> int:
    return sum(kind.bit for kind in kinds)


def _literal(values: tuple[str, ...]) -> str:
    return "ARRAY[" + ", ".join(f"'{one}'" for one in values) + "]"


def _statements(events: int, now: int) -> list[tuple[str, str]]:
    messages = int(events / PER_RECIPIENT / EACH)
    begin, span = now - DAYS * 86_400_000, DAYS * 86_400_000
    passed = _bits(Kind.ACCEPTED, Kind.CHECKED, Kind.PASSED, Kind.SENT)
    human, machine, unknown = (ACTED[Kind.OPENED, one][1] for one in _actors())
    clicked = ACTED[Kind.CLICKED, _actors()[0]][1]
    letters = f"""
        CREATE UNLOGGED TABLE letter AS
        SELECT i, {_TIME} || upper(substr(md5(i::text), 1, 16)) AS id, at, CASE WHEN a < 0.9 THEN 1 ELSE 5 END AS many,
               (ARRAY['receipts', 'newsletter', 'alerts'])[1 + (b * 3)::int % 3] AS stream, (c * 10)::int % 10 AS template,
               (d * 20)::int % 20 AS tag, (e * 16)::int % 16 AS failed, f < 0.02 AS refused
        FROM (SELECT i, {begin} + (i::float8 * {span} / {messages})::bigint AS at, random() a, random() b, random() c, random() d,
                     random() * random() e, random() f
              FROM generate_series(0, {messages - 1}) i) made
    """
    people = f"""
        CREATE UNLOGGED TABLE person AS
        SELECT row_number() OVER () AS rid, i, id, at, stream, template, tag, failed, refused, n,
               'user' || (g * 40000)::int * 5 + n || '@' || ({_literal(DOMAINS)})[place] AS address, ({_literal(PROVIDERS)})[place] AS provider,
               CASE WHEN refused THEN {_bits(Kind.ACCEPTED, Kind.CHECKED, Kind.REFUSED)}
                    ELSE {passed} | CASE WHEN h < 0.02 THEN {Kind.BOUNCED.bit}
                         ELSE {Kind.DELIVERED.bit} | CASE WHEN o < 0.3 THEN {Kind.OPENED.bit | human}
                              WHEN o < 0.5 THEN {Kind.OPENED.bit | machine} WHEN o < 0.6 THEN {Kind.OPENED.bit | unknown} ELSE 0 END
                         | CASE WHEN k < 0.1 THEN {Kind.CLICKED.bit | clicked} ELSE 0 END END END AS seen
        FROM (SELECT l.*, n, random() g, 1 + (random() * 7)::int % 7 AS place, random() h, random() o, random() k
              FROM letter l, generate_series(0, l.many - 1) n) every
    """
    message = """
        INSERT INTO message (id, tenant, received, framing, listener, client, stream, class, template, mail_from, from_domain,
            subject, message_id, queue_id, size, sha256, verdict, policy, action, rules, reason, bypass, mode, next_hop, judge_ms,
            tracking, held, known)
        SELECT id, 1, at, 'ESMTP', 'submission', 'shop', stream, '', stream || '-' || template, 'bounces@shop.example',
            'shop.example', 'Your order ' || i, '<' || id || '@shop.example>', '', 2000 + i % 78000, md5(id) || md5(i::text),
            CASE WHEN refused THEN 'fail' ELSE 'pass' END, 'bulk', CASE WHEN refused THEN 'refuse' ELSE 'send' END,
            CASE WHEN refused THEN '["links/http"]' ELSE '[]' END, '', '', 'enforce', 'mx', 12.5, 'none', '', 2
        FROM letter ORDER BY i
    """
    recipient = f"""
        INSERT INTO recipient (id, message, tenant, number, address, normal, provider, state, updated, seen)
        SELECT rid, id, 1, n, address, address, provider,
            CASE WHEN seen & {Kind.REFUSED.bit} > 0 THEN 'refused' WHEN seen & {Kind.BOUNCED.bit} > 0 THEN 'bounced'
                 WHEN seen & {Kind.CLICKED.bit} > 0 THEN 'clicked'
                 WHEN seen & {Kind.OPENED.bit} > 0 AND seen & {machine} = 0 THEN 'opened' ELSE 'delivered' END, at + 60000, seen
        FROM person ORDER BY rid
    """
    happened = ", ".join(
        f"({number}, '{kind}', {kind.bit}, {wait}, '{source}', '{detail}')"
        for number, (kind, wait, source, detail) in enumerate(
            (
                (Kind.ACCEPTED, 0, "gate", "{}"),
                (Kind.CHECKED, 1, "gate", '{"verdict":"pass","rules":[]}'),
                (Kind.PASSED, 2, "gate", "{}"),
                (Kind.REFUSED, 2, "gate", '{"by":"gate","reply":"550 5.7.1 refused"}'),
                (Kind.SENT, 300, "journal", '{"next_hop":"mx","reply":"250 2.0.0 Ok: queued as 4c1Z2x0k8Kz9rWd"}'),
                (Kind.BOUNCED, 5_000, "log", '{"class":"nobody","status":"5.1.1","code":550,"text":"5.1.1 no such user"}'),
                (Kind.DELIVERED, 5_000, "log", '{"next_hop":"mx","reply":"250 2.0.0 Ok: queued as 4c1Z2x0k8Kz9rWd"}'),
                (Kind.OPENED, 60_000, "collector", "{}"),
                (Kind.CLICKED, 60_001, "collector", '{"link":0}'),
            )
        )
    )
    event = f"""
        INSERT INTO event (id, tenant, message, recipient, kind, at, source, actor, detail)
        SELECT md5((p.rid * 16 + k.n)::text), 1, p.id, p.rid, k.kind, p.at + k.wait, k.source,
            CASE WHEN k.bit = {Kind.CLICKED.bit} OR (k.bit = {Kind.OPENED.bit} AND p.seen & {human} > 0) THEN 'human-likely'
                 WHEN k.bit <> {Kind.OPENED.bit} THEN NULL WHEN p.seen & {machine} > 0 THEN 'machine' ELSE 'unknown' END, k.detail
        FROM person p JOIN (VALUES {happened}) k (n, kind, bit, wait, source, detail) ON p.seen & k.bit > 0
    """
    kinds = {str(kind): kind.bit for kind in Kind} | dict(ACTED.values())
    sums = ", ".join(f"count(*) FILTER (WHERE seen & {bit} > 0) AS c{number}" for number, bit in enumerate(kinds.values()))
    rows = ", ".join(f"('{name}', c{number})" for number, name in enumerate(kinds))
    failed = ", ".join(f"({1 << number}, '{name}')" for number, name in enumerate(RULES))
    tally = f"""
        INSERT INTO tally (tenant, hour, dimension, value, kind, events, recipients, weight)
        SELECT 1, hour, dimension, value, kind, happened, happened, 0 FROM (
            SELECT hour, CASE g WHEN 15 THEN 'all' WHEN 7 THEN 'stream' WHEN 11 THEN 'tag' WHEN 13 THEN 'template' ELSE 'provider' END
                AS dimension, coalesce(stream, 'tag' || tag, template, provider, '') AS value, counted.*
            FROM (SELECT at / 3600000 AS hour, stream, tag, stream || '-' || template AS template, provider,
                  grouping(stream, tag, stream || '-' || template, provider) AS g, {sums}
                  FROM person GROUP BY GROUPING SETS ((at / 3600000), (at / 3600000, stream), (at / 3600000, tag),
                      (at / 3600000, stream || '-' || template), (at / 3600000, provider))) counted
            UNION ALL
            SELECT at / 3600000, 'rule', name, at / 3600000, '', 0, '', '', 0, {sums}
            FROM person JOIN (VALUES {failed}) r (bit, name)
              ON CASE WHEN refused THEN name = 'links/http' ELSE failed & bit > 0 END GROUP BY 1, 3
        ) found (hour, dimension, value, hour2, stream, tag, template, provider, g, {", ".join(f"c{n}" for n in range(len(kinds)))}),
        LATERAL (VALUES {rows}) AS each (kind, happened) WHERE happened > 0
    """
    domain = """
        INSERT INTO tally SELECT tenant, hour, 'domain', 'shop.example', kind, events, recipients, 0 FROM tally WHERE dimension = 'all'
    """
    result = f"""
        INSERT INTO result (message, rule, tenant, outcome, level, problems)
        SELECT id, name, 1, 'fail', 'warning', '["one problem", "another one"]'
        FROM letter JOIN (VALUES {failed}) r (bit, name) ON failed & bit > 0 OR (refused AND bit = 1) ORDER BY i
    """
    return [
        ("letters", letters),
        ("people", people),
        ("message", message),
        ("tag", "INSERT INTO tag (message, tag, tenant) SELECT id, 'tag' || tag, 1 FROM letter ORDER BY i"),
        ("result", result),
        (
            "link",
            "INSERT INTO link (message, number, url) SELECT id, 0, 'https://shop.example/order/' || i FROM letter ORDER BY i",
        ),
        ("recipient", recipient),
        ("tally", tally),
        ("tally, domain", domain),
        ("event", event),
        ("numbers", "SELECT setval(pg_get_serial_sequence('recipient', 'id'), (SELECT max(rid) FROM person))"),
    ]


def _actors() -> list[object]:
    return [actor for kind, actor in ACTED if kind is Kind.OPENED]


def fill(store: Store, events: int, now: int | None = None) -> int:
    """Make about so many events in an empty store; how many there are then."""
    with store.write() as db:
        store.tenant(db)
    engine = store._engine
    begun = time.perf_counter()

    def part(works: list[tuple[str, str]], again: list[str], emptied: tuple[str, ...]) -> None:
        # What a transaction emptied, it fills without telling the write-ahead log.
        with engine.connect().execution_options(isolation_level="READ COMMITTED") as db, db.begin():
            for table in emptied:
                db.exec_driver_sql(f"TRUNCATE {table}")
            for name, statement in works:
                db.exec_driver_sql(statement.replace("%", "%%"))
                _told(name, begun)
            for statement in again:
                db.exec_driver_sql(statement)
                _told(statement[:90], begun)

    tables = ("message", "tag", "result", "link", "recipient")
    works = _statements(events, now or time.time_ns() // 1_000_000)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as db:
        last = _bare(db, ("event",))
        again = _bare(db, tables)
    last, foreign = [one for one in last if "FOREIGN" not in one], [one for one in last if "FOREIGN" in one]
    again, foreign = [one for one in again if "FOREIGN" not in one], [*foreign, *(one for one in again if "FOREIGN" in one)]
    part(works[:2], [], ())
    with ThreadPoolExecutor() as both:
        one = both.submit(part, [one for one in works if one[0] == "event"], last, ("event",))
        two = both.submit(part, [one for one in works[2:] if one[0] != "event"], again, tables)
        one.result()
        two.result()
    part([], [*foreign, "DROP TABLE letter, person"], ())
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as db:
        db.exec_driver_sql("VACUUM ANALYZE")
        _told("vacuum analyze", begun)
        return int(db.scalar(sa.select(sa.func.count()).select_from(schema.event)) or 0)


def _bare(db: sa.Connection, tables: tuple[str, ...]) -> list[str]:
    """Take indexes, keys and the foreign keys from and to them away; the statements that bring them back."""
    keys = db.exec_driver_sql(
        "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid), contype FROM pg_constraint WHERE"
        " (contype IN ('p', 'u') AND conrelid::regclass::text = ANY(%s)) OR (contype = 'f' AND"
        " (conrelid::regclass::text = ANY(%s) OR confrelid::regclass::text = ANY(%s))) ORDER BY contype = 'f', contype",
        (list(tables),) * 3,
    ).all()
    for table, name, _, _ in reversed(keys):
        db.exec_driver_sql(f"ALTER TABLE {table} DROP CONSTRAINT {name}")
    indexes = db.exec_driver_sql(
        "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename = ANY(%s)", (list(tables),)
    ).all()
    for name, _ in indexes:
        db.exec_driver_sql(f"DROP INDEX {name}")
    made = [
        f"ALTER TABLE {table} ADD CONSTRAINT {name} {definition}{' NOT VALID' if kind == 'f' else ''}"
        for table, name, definition, kind in keys
    ]
    return [*(definition for _, definition in indexes), *made]


def consistent(store: Store) -> bool:
    """Whether tallies say what events say; reads all of them."""
    with store.read() as db:
        events = dict(db.execute(sa.select(schema.event.c.kind, sa.func.count()).group_by(schema.event.c.kind)).all())
        for dimension in set(DIMENSIONS) - {"rule"}:
            t = schema.tally.c
            told = dict(
                db.execute(
                    sa.select(t.kind, sa.func.sum(t.events))
                    .where(t.dimension == dimension, ~t.kind.contains("."))
                    .group_by(t.kind)
                ).all()
            )
            if {kind: int(number) for kind, number in told.items()} != events:
                return False
    return True


def _told(what: str, begun: float) -> None:
    sys.stdout.write(f"  {time.perf_counter() - begun:7.1f} s  {' '.join(what.split())}\n")
    sys.stdout.flush()
