"""Runs one example of a rule's page through the same pipeline the product uses, with a closed DNS world."""

import asyncio
import gzip
from dataclasses import replace
from datetime import datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from delivcheck import catalog, policy
from delivcheck.api import Checker, Options
from delivcheck.facts.roots import Envelope, Origin, ReaderClients, Sender, Session, Stream
from delivcheck.model import Example, Level, MessageClass, Result, Rule, Stage, TargetKind, Volume, Where
from delivcheck.records.feed import parse_feed
from delivcheck.records.identities import author, sending_address

NOW = "2026-11-23T12:00:00+00:00"  # when an example does not say


def octets(example: Example, rule: Rule) -> bytes | None:
    """The example's message: text with LF sent as CRLF, `raw` with its escapes as Latin-1 octets, or a file beside the page."""
    if example.message is not None:
        return example.message.removeprefix("\n").replace("\n", "\r\n").encode()
    if example.raw is not None:
        return example.raw.encode("latin-1")
    if example.file is not None:
        return (Path("rules") / rule.family / example.file).read_bytes()
    return None


def run(book: catalog.Catalog, rule: Rule, example: Example) -> tuple[Result, list[str]]:
    """The result of this rule alone, and the DNS questions that it asked."""
    from delivcheck.net.snapshot import from_mapping
    from delivcheck.net.zone import overlay_of_text

    now = datetime.fromisoformat(example.now or NOW)
    data = octets(example, rule)
    zone = dict(example.dns)
    if example.sign is not None:
        from tests.keys import sign_example

        assert data is not None
        for spec in (example.sign,) if isinstance(example.sign, dict) else example.sign:
            data, published = sign_example(data, spec, now)
            zone = {**published, **zone}
    world = from_mapping(zone)
    dns = world if example.zone is None else overlay_of_text(example.zone, world)
    if example.before:
        from tests.caching import Changed

        dns = Changed(from_mapping(example.before), world)
    declared = example.declared
    probe = _probe(example)
    options = Options(
        policy=_policy(rule).with_settings([policy.Setting(rule.id, options=example.options)] if example.options else []),
        dns=dns,
        message_class=MessageClass(declared["class"]) if "class" in declared else rule.class_,
        volume=Volume(declared["volume"]) if "volume" in declared else None,
        stream=declared.get("stream"),
        now=None if example.received and example.now is None else now,
        owned_domains=tuple(declared.get("owned-domains", ())),
        jurisdictions=tuple(declared.get("jurisdictions", ())),
        sender=Sender(
            **{
                key.replace("-", "_"): tuple(value) if isinstance(value, list) else value
                for key, value in example.sender.items()
            }
        ),
        clients=ReaderClients(example.clients) if example.clients else None,
        trust_class_header=declared.get("trust-class-header", False),
        probe=probe,
        authoritative=_authoritative(example),
        blocklists=example.blocklists,
        feed=None if example.feed is None else parse_feed(example.feed.removeprefix("\n").encode(), "feed"),
        streams=tuple(_stream(name, said) for name, said in example.streams.items()),
        unsubscribe_test_url=example.unsubscribe_test_url,
    )
    checker = Checker(options, catalog.Catalog({rule.id: rule}, book.checks, book.providers), shown={})
    session = None if example.ip is None else Session(ip_address(example.ip), example.ehlo, example.envelope.get("tls"))
    envelope = None
    if "mail-from" in example.envelope:
        envelope = Envelope(
            example.envelope["mail-from"],
            tuple(example.envelope.get("rcpt", ())),
            bool(example.envelope.get("smtputf8", False)),
        )
    for number, before in enumerate(example.earlier, 1):
        asyncio.run(checker.message(before.removeprefix("\n").replace("\n", "\r\n").encode(), name=f"earlier-{number}.eml"))
    if example.rendering or example.data:
        from tests.rehearsals import rehearse

        work = rehearse(checker, example, data)
    elif data is not None:
        work = checker.message(
            data,
            envelope=envelope,
            session=session,
            selectors=example.selectors,
            stage=Stage(example.stage or "post-sign"),
            origin=Origin.AS_RECEIVED if example.received else Origin.AS_SENT,
        )
    elif example.template is not None and rule.id.endswith("-suppression"):
        from tests.rehearsed import silenced

        work = silenced(options, book, rule, example)
    elif example.template is not None:
        source = example.template.removeprefix("\n")
        work = checker.template(source, engine=example.engine, plain=example.plain, required=example.required)
    else:
        assert example.domain is not None, "an example needs a message, a template or a domain"
        work = checker.domain(example.domain, session=session, envelope=envelope, selectors=example.selectors)
    report = asyncio.run(work)
    assert report.results, f"{rule.id} does not inspect a {report.kind}"
    if example.probes is not None:
        assert sorted(getattr(probe, "asked", ())) == sorted(example.probes)
    return report.results[0], [str(question) for question in world.asked]


def _policy(rule: Rule) -> policy.Policy:
    """The strictest column; for a rule that only another column turns on, that one."""
    bulk = policy.load("bulk")
    return replace(bulk, column=next(iter(rule.levels))) if rule.level is Level.OFF else bulk


def _stream(name: str, said: dict[str, Any]) -> Stream:
    """A stream as the configuration has it, without its file."""
    return Stream(
        name,
        MessageClass(said["class"]) if "class" in said else None,
        tuple(map(author, said.get("from", ()))),
        tuple(map(sending_address, said.get("ip", ()))),
        tuple(said.get("dkim-domain", ())),
        Where(file="delivcheck.toml", line=said.get("line")),
    )


def _probe(example: Example) -> object | None:
    if not example.http and not example.smtp:
        return None
    from delivcheck.net.probe import scripted

    return scripted({url: _web(answer, example.http) for url, answer in example.http.items()}, example.smtp)


def _authoritative(example: Example) -> object | None:
    if not example.servers:
        return None
    from delivcheck.net.authoritative import scripted

    return scripted(example.servers)


def _web(answer: object, http: dict[str, object]) -> object:
    """The answer of an example with the body that is made at test time, if it asks for one."""
    if not isinstance(answer, dict):
        return answer
    if "mark-certificate" in answer:
        from tests.mark_certificates import made

        return {**answer, "body": made(answer["mark-certificate"], http)}
    if answer.get("gzip"):
        return {**answer, "body": gzip.compress(answer["body"].encode(), mtime=0)}
    return answer


def inspects(rule: Rule, kind: TargetKind) -> bool:
    """Whether the page names this kind of target."""
    return kind in rule.targets
