"""The `[gate]` table of the configuration, read strictly into `settings.Gate`.

`keys` has a table for each table of the file: key, how it is read, what it means. `values` reads single values, `crosswise`
holds them against one another and against the rest of the configuration.

Raises ConfigError, and nothing else, with file, line and key.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from ...config import FILE, Config
from ...tables import ConfigError, Keys, Reader, Section
from .. import settings
from . import crosswise, keys, rules, values

__all__ = ["read", "warnings"]


def read(found: Config) -> settings.Gate:
    """What the operator chose for the gate. Raises ConfigError, also where there is no `[gate]`."""
    section = found.gate
    if section is None:
        raise ConfigError(
            f"{found.path}: there is no [gate] table" if found.path else f"there is no {FILE} with a [gate] table"
        )
    gate = _gate(section)
    crosswise.hold_against(section, gate, found)
    return gate


def warnings(found: Config, gate: settings.Gate) -> tuple[str, ...]:
    """What works, and is hardly meant; a line each, that names file, line and key. `gate` is what `read` made of `found`."""
    return () if found.gate is None else tuple(crosswise.warnings(found.gate, gate, found))


def _gate(section: Section) -> settings.Gate:
    reader, at = section.reader, section.keys
    given = keys.said(reader, at, section.raw, keys.GATE, keys.SUBTABLES)
    table: Mapping[str, Any] = section.raw
    if "name" not in given:
        raise reader.fail(at, 'name: our fully qualified host name is wanted, name = "gate.example.com"')
    listeners = [_listener(reader, (*at, "listen", n), one) for n, one in _array(reader, (*at, "listen"), table)]
    if not listeners:
        raise reader.fail(at, "a gate without listeners: at least one [[gate.listen]] is wanted")
    hops = [_next_hop(reader, (*at, "next-hop", n), one) for n, one in _array(reader, (*at, "next-hop"), table)]
    parts: dict[str, Any] = {
        "listeners": _named(listeners),
        "next_hops": tuple(hops),
        "keys": tuple(_key(reader, (*at, "sign", n), one) for n, one in _array(reader, (*at, "sign"), table)),
        "rules": rules.read(reader, (*at, "rule"), reader.tables((*at, "rule"), table.get("rule", []))),
        "credentials": _credentials(reader, (*at, "credentials"), table.get("credentials", {})),
    }
    if "prepare" in table:
        parts["additions"] = settings.Additions(**keys.said(reader, (*at, "prepare"), table["prepare"], keys.PREPARE))
    if "limits" in table:
        parts["limits"] = settings.Limits(**keys.said(reader, (*at, "limits"), table["limits"], keys.LIMITS))
    if "hold" in table:
        parts["hold"] = _hold(reader, (*at, "hold"), table["hold"])
    if "webhooks" in table:
        parts["webhooks"] = _webhooks(reader, (*at, "webhooks"), table["webhooks"])
    if "otel" in table:
        parts["otel"] = _otel(reader, (*at, "otel"), table["otel"])
    if "trace" in table:
        parts["trace"] = _trace(reader, (*at, "trace"), table["trace"])
    if "http" in table:
        parts["http"] = settings.Http(**keys.said(reader, (*at, "http"), table["http"], keys.HTTP))
    if "tracking" in table:
        parts["tracking"] = settings.Tracking(**keys.said(reader, (*at, "tracking"), table["tracking"], keys.TRACKING))
    if "unsubscribe" in table:
        leaving = keys.said(reader, (*at, "unsubscribe"), table["unsubscribe"], keys.UNSUBSCRIBE)
        parts["unsubscribe"] = settings.Unsubscribe(**leaving)
    if "bounces" in table:
        parts["bounces"] = _bounces(reader, (*at, "bounces"), table["bounces"])
    if "reports" in table:
        parts["reports"] = _reports(reader, (*at, "reports"), table["reports"])
    return settings.Gate(**given, **parts)


def _bounces(reader: Reader, at: Keys, raw: Any) -> settings.Bounces:
    given = keys.said(reader, at, raw, keys.BOUNCES)
    if "domain" not in given:
        raise reader.fail(at, f"domain: {keys.BOUNCES['domain'].means}")
    return settings.Bounces(**given)


_ONLY_OF = {"user": settings.Provider.POSTMARK, "topics": settings.Provider.SES, "subscribe": settings.Provider.SES}


def _reports(reader: Reader, at: Keys, raw: Any) -> tuple[settings.Reports, ...]:
    found = []
    for name, one in reader.table(at, raw, None).items():
        here = (*at, name)
        reader.each_as(here, [name], values.name)
        given = keys.said(reader, here, one, keys.REPORTS, ("secret",))
        if "provider" not in given:
            raise reader.fail(here, f"provider: {keys.REPORTS['provider'].means}")
        secret = _secret(reader, here, given, one, "secret")
        ses = given["provider"] is settings.Provider.SES
        for key, whose in _ONLY_OF.items():
            if key in given and given["provider"] is not whose:
                raise reader.fail((*here, key), f"only for {whose}")
        if ses and not given.get("topics"):
            raise reader.fail(here, f"topics: {keys.REPORTS['topics'].means}; anybody can make a topic that Amazon signs for")
        if ses and secret is not None:
            raise reader.fail(here, "ses has no secret: Amazon signs what it reports, and topics say whose it is")
        if not ses and secret is None:
            raise reader.fail(here, "secret-file, secret-env or secret-command: what proves who reports")
        found.append(settings.Reports(name, secret=secret, **given))
    return tuple(found)


def _hold(reader: Reader, at: Keys, raw: Any) -> settings.Hold:
    given = keys.said(reader, at, raw, keys.HOLD, ("key",))
    secret = _secret(reader, at, given, raw, "key")
    return settings.Hold(**given, key=secret)


def _webhooks(reader: Reader, at: Keys, raw: Any) -> settings.Webhooks:
    given = keys.said(reader, at, raw, keys.WEBHOOKS, ("key",))
    secret = _secret(reader, at, given, raw, "key")
    return settings.Webhooks(**given, key=secret)


def _otel(reader: Reader, at: Keys, raw: Any) -> settings.Otel:
    given = keys.said(reader, at, raw, keys.OTEL)
    if "endpoint" not in given:
        raise reader.fail(at, f"endpoint: {keys.OTEL['endpoint'].means}")
    return settings.Otel(**given)


def _trace(reader: Reader, at: Keys, raw: Any) -> settings.Trace:
    given = keys.said(reader, at, raw, keys.TRACE, ("password",))
    secret = _secret(reader, at, given, raw, "password")
    return settings.Trace(**given, password=secret)


def _array(reader: Reader, at: Keys, table: Mapping[str, Any]) -> Iterable[tuple[int, Any]]:
    return enumerate(reader.tables(at, table.get(str(at[-1]), [])))


def _listener(reader: Reader, at: Keys, raw: Any) -> settings.Listener:
    given = keys.said(reader, at, raw, keys.LISTEN)
    for wanted in ("kind", "address"):
        if wanted not in given:
            raise reader.fail(at, f"{wanted}: {keys.LISTEN[wanted].means}")
    chain, key = given.pop("certificate", None), given.pop("key", None)
    if key is not None and chain is None:
        raise reader.fail((*at, "key"), "a key without its certificate")
    certificate = None if chain is None else settings.Certificate(chain, key or chain)
    return settings.Listener(**{"name": "", **given}, certificate=certificate)


def _named(listeners: list[settings.Listener]) -> tuple[settings.Listener, ...]:
    """Listeners without a name get that of their kind, with the address where there are several of it."""
    kinds = [one.kind for one in listeners]
    return tuple(
        one if one.name else replace(one, name=str(one.kind) if kinds.count(one.kind) == 1 else f"{one.kind}@{one.address}")
        for one in listeners
    )


def _next_hop(reader: Reader, at: Keys, raw: Any) -> settings.NextHop:
    given = keys.said(reader, at, raw, keys.NEXT_HOP, ("password",))
    if "address" not in given:
        raise reader.fail(at, f"address: {keys.NEXT_HOP['address'].means}")
    secret = _secret(reader, at, given, raw, "password")
    if given["address"].path is not None:
        given.setdefault("security", settings.Security.NONE)  # nobody listens in on a UNIX socket
    given.setdefault("name", str(given["address"]))
    return settings.NextHop(**given, secret=secret)


def _key(reader: Reader, at: Keys, raw: Any) -> settings.SigningKey:
    given = keys.said(reader, at, raw, keys.SIGN, ("key",))
    for wanted in ("domain", "selector"):
        if wanted not in given:
            raise reader.fail(at, f"{wanted}: {keys.SIGN[wanted].means}")
    secret = _secret(reader, at, given, raw, "key")
    if secret is None:
        raise reader.fail(at, "key-file, key-env or key-command: where the private key is")
    return settings.SigningKey(**given, secret=secret)


def _secret(reader: Reader, at: Keys, given: dict[str, Any], raw: Any, prefix: str) -> settings.Secret | None:
    """Take the three ways to name a secret out of what was given. Nothing here shows a secret that was written by mistake."""
    ways = {f"{prefix}-file": "file", f"{prefix}-env": "environment", f"{prefix}-command": "command"}
    if prefix in raw:
        raise reader.fail((*at, prefix), f"secrets do not stand in the configuration; name {', '.join(ways)}")
    found = {way: given.pop(key.replace("-", "_")) for key, way in ways.items() if key in raw}
    if len(found) > 1:
        raise reader.fail(at, f"one of {', '.join(ways)} is wanted, not {len(found)}")
    return settings.Secret(**found) if found else None


def _credentials(reader: Reader, at: Keys, raw: Any) -> Mapping[str, settings.CredentialSettings]:
    return {
        name: settings.CredentialSettings(**keys.said(reader, (*at, name), one, keys.CREDENTIAL))
        for name, one in reader.table(at, raw, None).items()
    }
