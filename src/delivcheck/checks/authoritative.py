"""Rules about the name servers of a zone, each asked directly: do they serve it, and do they say the same."""

from typing import Any

from ..engine import rule
from ..facts.authoritative import Served, ServedRecords
from ..model import Answer, Failed, Failure, Findings, Found, Level, Problem, Undetermined, Where

MAX_SHOWN = 80  # characters of one server's answer in a message


@rule("dns/servers-disagree")
def servers_disagree(served: ServedRecords) -> Findings:
    for why in served.unknown:
        yield Undetermined(why.reason, why.where)
    for one in served.each:
        where = Where(name=one.question.name, type=one.question.type)
        said: dict[Any, list[str]] = {}
        for server, answer in one.answers:
            if not isinstance(answer, Failed):
                said.setdefault(_said(one.what, answer), []).append(server)
            elif answer.kind is Failure.TIMEOUT:
                yield Undetermined(f"{server} did not answer ({answer.detail})", where)
        if len(said) > 1:
            # Serials differ for as long as a transfer takes, and for good where two companies serve the zone
            level = Level.NOTE if one.what == "SOA" else None
            yield Problem(f"the name servers of {one.zone.name} disagree on {_title(one)}: {_told(said)}", where, level)


def _title(one: Served) -> str:
    return "the serial of the zone" if one.what == "SOA" else f"{one.question} ({one.what})"


def _said(what: str, answer: Answer) -> tuple[str, ...]:
    """What an answer comes to for mail: the same for the same records in any order, whatever their TTL; empty for none."""
    if not isinstance(answer, Failed) and answer.aliases:
        return (f"alias of {answer.aliases[0]}",)  # what lies beyond is another server's to say
    if not isinstance(answer, Found):
        return ()
    if what == "SOA":
        return (f"serial {answer.records[0][2]}",)
    if what == "MX":
        return tuple(sorted(f"{preference} {host or '.'}" for preference, host in answer.records))
    texts = sorted(b"".join(strings).decode("utf-8", "replace") for strings in answer.records)
    if what == "SPF":  # whatever else stands there is for others (RFC 7208 section 4.5)
        texts = [text for text in texts if text.lower().split(" ")[0] == "v=spf1"]
    return tuple(texts)


def _told(said: dict[tuple[str, ...], list[str]]) -> str:
    return "; ".join(f"{', '.join(servers)}: {_shown(records)}" for records, servers in said.items())


def _shown(records: tuple[str, ...]) -> str:
    text = " and ".join(records) or "no record"
    return text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 1] + "…"


_NO_SERVICE = {Failure.LAME: "lame", Failure.REFUSED: "REFUSED", Failure.SERVFAIL: "SERVFAIL", Failure.BOGUS: "SERVFAIL"}


@rule("dns/lame-server")
def lame_server(served: ServedRecords) -> Findings:
    for why in served.unknown:
        yield Undetermined(why.reason, why.where)
    for (zone, server), said in served.by_server.items():
        where, named = (
            Where(name=zone, type="NS", record=server, span=(0, len(server))),
            f"{server} is named as a server of {zone}",
        )
        failed = [answer for _, answer in said if isinstance(answer, Failed)]
        serves = [one for one in failed if one.kind in _NO_SERVICE]
        if lame := next((one for one in serves if one.kind is Failure.LAME), None):
            yield Problem(f"{named} and has no authority for it: {lame.detail or 'lame'}", where)
        elif serves and len(serves) == len(said):
            yield Problem(f"{named} and answers every question with {_NO_SERVICE[serves[0].kind]}", where)
        elif failed:
            yield Undetermined(f"{server}, a server of {zone}, did not answer ({failed[0]})", where)
