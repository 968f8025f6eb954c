"""The facts a report shows beside its results: SPF, DKIM and DMARC in the shape of the JSON."""

from collections.abc import Mapping
from typing import Any

from ..model import NotApplicable, Unavailable
from .verdicts import DkimVerdict, DkimVerdicts, DmarcVerdict, SpfVerdict

SHOWN: tuple[type, ...] = (SpfVerdict, DkimVerdicts, DmarcVerdict)


def summarise(facts: Mapping[type, Any]) -> dict[str, Any]:
    """One entry for each fact that applies: its values, or {"unknown": reason}."""
    shown: dict[str, Any] = {}
    for name, key, shape in (("spf", SpfVerdict, _spf), ("dkim", DkimVerdicts, _dkim_all), ("dmarc", DmarcVerdict, _dmarc)):
        value = facts.get(key)
        if value is None or isinstance(value, NotApplicable):
            continue
        shown[name] = {"unknown": value.reason} if isinstance(value, Unavailable) else shape(value)
    return shown


def _spf(spf: SpfVerdict) -> dict[str, Any]:
    return {"result": spf.result, "domain": spf.domain, "identity": spf.identity, "lookups": spf.lookups, "voids": spf.voids}


def _dkim(one: DkimVerdict) -> dict[str, Any]:
    return {
        "result": one.result,
        "domain": one.domain,
        "selector": one.selector,
        "algorithm": one.algorithm,
        "bits": one.bits,
        "reason": one.reason,
    }


def _dkim_all(dkim: DkimVerdicts) -> list[dict[str, Any]]:
    return [_dkim(one) for one in dkim.each]


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
