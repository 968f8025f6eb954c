"""The facts a report shows beside its results: SPF, DKIM and DMARC in the shape of the JSON."""

from collections.abc import Mapping
from typing import Any

from ..model import NotApplicable, TargetKind, Unavailable
from .dkim import DomainSelectors, PublishedKey
from .dmarc_discovery import DmarcDiscovery
from .spf import SpfTree
from .verdicts import DkimVerdict, DkimVerdicts, DmarcVerdict, SpfVerdict

VERDICTS: tuple[type, ...] = (SpfVerdict, DkimVerdicts, DmarcVerdict)
PUBLISHED: tuple[type, ...] = (SpfTree, DomainSelectors, DmarcDiscovery)

SHOWN: Mapping[TargetKind, tuple[type, ...]] = {
    TargetKind.MESSAGE: VERDICTS,
    TargetKind.DOMAIN: (*VERDICTS, *PUBLISHED),
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


_SHAPES: Mapping[str, tuple[tuple[type, Any], ...]] = {
    "spf": ((SpfVerdict, _spf), (SpfTree, _spf_published)),
    "dkim": ((DkimVerdicts, lambda dkim: [_dkim(one) for one in dkim.each]), (DomainSelectors, _dkim_published)),
    "dmarc": ((DmarcVerdict, _dmarc), (DmarcDiscovery, _dmarc_published)),
}
