"""The facts a report shows beside its results: SPF, DKIM and DMARC in the shape of the JSON."""

from collections.abc import Mapping
from typing import Any

import msgspec

from ..model import NotApplicable, TargetKind, Unavailable
from ..records.feed import Feed
from .bimi import BimiRecords
from .blocklists import AskedLists
from .dkim import DomainSelectors, PublishedKey
from .dmarc_discovery import DmarcDiscovery
from .dnssec import Dnssec
from .hosts import PtrName, ReverseDns
from .mends.provider import Mends
from .received import CameIn
from .receiver_results import AuthComparison
from .recipients import RecipientProviders
from .second_opinion import SecondOpinion
from .spf import SpfTree
from .verdicts import DkimVerdict, DkimVerdicts, DmarcVerdict, SpfVerdict

VERDICTS: tuple[type, ...] = (SpfVerdict, DkimVerdicts, DmarcVerdict)
ASKED: tuple[type, ...] = (AskedLists,)  # applies only when block lists were asked for
CAME_IN: tuple[type, ...] = (CameIn, AuthComparison, Mends)  # apply to a message that came in, and to no other
PUBLISHED: tuple[type, ...] = (SpfTree, DomainSelectors, DmarcDiscovery, BimiRecords, Dnssec)
SENDS: tuple[type, ...] = (SpfVerdict, ReverseDns)

# What a report needs beside the facts that rules read. The recipients' providers say whose outlook it is.
SHOWN: Mapping[TargetKind, tuple[type, ...]] = {
    TargetKind.MESSAGE: (*VERDICTS, *CAME_IN, *ASKED, RecipientProviders),
    TargetKind.DOMAIN: (*VERDICTS, *PUBLISHED, *ASKED, SecondOpinion),
    TargetKind.SENDING_IP: (*SENDS, *ASKED),
}


def summarise(facts: Mapping[type, Any]) -> dict[str, Any]:
    """One entry for each fact that applies: its values, or {"unknown": reason}.

    For a message these are verdicts; what a domain publishes, with no message to judge, has `result` None and a `record`.
    """
    shown: dict[str, Any] = {}
    for name, shapes in _SHAPES.items():
        for key, shape in shapes:
            value = facts.get(key)
            if value is not None and not isinstance(value, NotApplicable):
                shown[name] = {"unknown": value.reason} if isinstance(value, Unavailable) else shape(value)
                break
    return shown


def _spf(spf: SpfVerdict) -> dict[str, Any]:
    return {
        "result": spf.result,
        "domain": spf.domain,
        "identity": spf.identity,
        "lookups": spf.lookups,
        "voids": spf.voids,
    }


def _spf_published(tree: SpfTree) -> dict[str, Any]:
    record = tree.root.record
    return {
        "result": None,
        "domain": tree.domain,
        "identity": "mailfrom",
        "lookups": tree.lookups,
        "voids": tree.voids,
        "record": None if record is None else record.text,
    }


def _dkim(one: DkimVerdict) -> dict[str, Any]:
    return {
        "result": one.result,
        "domain": one.domain,
        "selector": one.selector,
        "algorithm": one.algorithm,
        "bits": one.bits,
        "reason": one.reason,
    }


def _dkim_published(selectors: DomainSelectors) -> list[dict[str, Any]] | dict[str, str]:
    shown = []
    for key in selectors.keys.values():
        if isinstance(key, PublishedKey) and key.usable:
            first = key.usable[0][1]
            shown.append(
                {
                    "result": None,
                    "domain": selectors.domain,
                    "selector": key.selector,
                    "algorithm": first.kind,
                    "bits": first.bits,
                    "reason": "revoked" if first.revoked else None,
                }
            )
    if not shown:  # "none" would be said of keys that nobody has seen
        silent = [key.reason for key in selectors.keys.values() if isinstance(key, Unavailable)]
        if silent:
            return {"unknown": silent[0]}
        if selectors.unanswered:
            return {"unknown": f"DNS did not answer for {selectors.unanswered} of the usual selectors; --selector names yours"}
    return shown


def _dmarc(dmarc: DmarcVerdict) -> dict[str, Any]:
    return {
        "result": dmarc.result,
        "domain": dmarc.domain,
        "policy": dmarc.policy,
        "organizational_domain": dmarc.organizational_domain,
        "spf_aligned": dmarc.spf_aligned,
        "dkim_aligned": dmarc.dkim_aligned,
        "rfc7489_result": dmarc.rfc7489_result,
    }


def _known(value: Any) -> Any:
    return None if isinstance(value, Unavailable) else value


def _dmarc_published(found: DmarcDiscovery) -> dict[str, Any]:
    return {
        "result": None,
        "domain": found.domain,
        "policy": _known(found.policy),
        "organizational_domain": _known(found.organizational_domain),
        "record": None if found.record is None else found.record.text,
        "record_at": found.found_at,
    }


def _bimi_published(found: BimiRecords) -> dict[str, Any]:
    """The one record that counts; without one, or with several, `record` is None."""
    one = found.texts[0] if len(found.texts) == 1 else None
    return {
        "result": None,
        "domain": found.author,
        "selector": found.selector,
        "record": one,
        "record_at": None if one is None else found.domain,
    }


def _dnssec(found: Dnssec) -> dict[str, Any]:
    return {"result": found.result, "domain": found.domain, "at": found.at}


def _reverse(found: ReverseDns) -> dict[str, Any]:
    """The address and its host names; a name is confirmed when it leads back, and None where that is not known."""

    def one(name: PtrName) -> dict[str, Any]:
        return {"name": name.name, "confirmed": _known(name.confirmed)}

    return {"ip": str(found.ip), "names": [one(name) for name in found.names]}


def _asked_lists(lists: AskedLists) -> list[dict[str, Any]]:
    """Each list as it may be shown, and why it could not be asked."""
    return [
        {"zone": one.list.name, "title": one.list.title, "unknown": None if one.unavailable is None else one.unavailable.reason}
        for one in lists.each
    ]


def _feed(feed: Feed) -> dict[str, Any]:
    days = [row.day for row in feed.rows]
    return {"file": feed.name, "rows": len(days), "first": min(days).isoformat(), "last": max(days).isoformat()}


def _recipients(found: RecipientProviders) -> list[dict[str, Any]]:
    """Each recipient domain with its provider: None for one that no table is about, or a reason where DNS did not say."""
    return [
        {
            "domain": domain,
            "provider": provider if isinstance(provider, str) else None,
            "hosted": isinstance(provider, str) and provider not in found.own,
            "unknown": provider.reason if isinstance(provider, Unavailable) else None,
        }
        for domain, provider in found.by_domain
    ]


_SHAPES: Mapping[str, tuple[tuple[type, Any], ...]] = {
    "received": ((CameIn, msgspec.to_builtins),),
    "spf": ((SpfVerdict, _spf), (SpfTree, _spf_published)),
    "dkim": ((DkimVerdicts, lambda dkim: [_dkim(one) for one in dkim.each]), (DomainSelectors, _dkim_published)),
    "dmarc": ((DmarcVerdict, _dmarc), (DmarcDiscovery, _dmarc_published)),
    "bimi": ((BimiRecords, _bimi_published),),
    "dnssec": ((Dnssec, _dnssec),),
    "reverse": ((ReverseDns, _reverse),),
    "recipients": ((RecipientProviders, _recipients),),
    "blocklists": ((AskedLists, _asked_lists),),
    "feed": ((Feed, _feed),),
    "authentication_results": ((AuthComparison, msgspec.to_builtins),),
    "mends": ((Mends, msgspec.to_builtins),),
}
