"""The JSON Schema of `delivcheck/1`, generated from the structs that are serialised.

The packaged file `delivcheck-1.schema.json` is this function's answer; a test holds the two equal. A whole report is checked
against the schema itself, a line of `--format jsonl` against its `$defs/TargetReport`.
"""

import json
from importlib.resources import files
from typing import Any

import msgspec

from ..facts.dnssec import DnssecState
from ..facts.mends.provider import Mends
from ..facts.received import CameIn
from ..facts.receiver_results import AuthComparison
from ..facts.verdicts import DkimResult, DmarcResult, SpfResult
from ..model import Report, TargetReport, Verdict

FILE = "delivcheck-1.schema.json"
DIALECT = "https://json-schema.org/draft/2020-12/schema"

OUTLOOKS = ("no-known-blocker", "may-junk", "would-defer", "would-reject", "unknown")


def json_schema() -> dict[str, Any]:
    """Make the schema: no object may have a field that this page does not name, but for `facts`, which grows."""
    kinds = [Report, TargetReport, CameIn, AuthComparison, Mends]
    (top, *_), parts = msgspec.json.schema_components(kinds, ref_template="#/$defs/{name}")
    for part in parts.values():
        part["description"] = " ".join(part["description"].split())
        if part.get("type") == "object":
            part["additionalProperties"] = False
    report, target = parts["Report"]["properties"], parts["TargetReport"]["properties"]
    report["schema"] = {"const": "delivcheck/1"}
    parts["Report"]["required"] = sorted({*parts["Report"]["required"], "schema"})
    for name in (
        "Result",
        "Counts",
        "Outlook",
        "PostmasterRow",
        "DeclaredClass",
        "DnsUse",
    ):  # msgspec writes their defaults too
        parts[name]["required"] = sorted(key for key in parts[name]["properties"] if key not in {"bug", "because", "where"})
    parts["Outlook"]["properties"]["outlook"] = {"enum": list(OUTLOOKS)}
    parts["PostmasterRow"]["properties"]["state"] = {"enum": ["compliant", "needs-work", "unknown"]}
    for count in parts["Counts"]["properties"].values():
        count["minimum"] = 0
    for place in ("line", "column", "end_column"):
        for choice in parts["Where"]["properties"][place]["anyOf"]:
            if choice.get("type") == "integer":
                choice["minimum"] = 1
    target["facts"] = _facts()
    return {
        "$schema": DIALECT,
        "$id": "urn:delivcheck:1",
        "title": "What delivcheck prints with --format json; a line of --format jsonl is a $defs/TargetReport",
        **top,
        "$defs": dict(sorted(parts.items())),
    }


def text() -> str:
    """The schema as the packaged file has it."""
    return json.dumps(json_schema(), indent=1, ensure_ascii=False) + "\n"


def packaged() -> dict[str, Any]:
    """The schema as this installation ships it."""
    return json.loads(files(__package__).joinpath(FILE).read_text(encoding="utf-8"))  # type: ignore[no-any-return]


def _facts() -> dict[str, Any]:
    """Verdicts for a message; for a domain without one, what it publishes (`result` null)."""
    text, maybe, count = {"type": "string"}, {"type": ["string", "null"]}, {"type": "integer", "minimum": 0}
    spf = {"domain": text, "identity": {"enum": ["mailfrom", "helo"]}, "lookups": count, "voids": count}
    dkim = {
        "result": {"enum": [*DkimResult, None]},
        **dict.fromkeys(("domain", "selector", "algorithm", "reason"), maybe),
        "bits": {"type": ["integer", "null"], "minimum": 0},
    }
    dmarc = {"domain": text, "policy": {"enum": ["none", "quarantine", "reject", None]}, "organizational_domain": maybe}
    aligned = {"type": ["boolean", "null"]}
    return {
        "type": "object",
        "properties": {
            "spf": _any_of(
                {"result": {"enum": list(SpfResult)}, **spf},
                {"result": {"type": "null"}, "record": maybe, **spf},
            ),
            "dkim": {"anyOf": [_unknown(), {"type": "array", "items": _all_of(dkim)}]},
            "dmarc": _any_of(
                {
                    "result": {"enum": list(DmarcResult)},
                    **dmarc,
                    "spf_aligned": aligned,
                    "dkim_aligned": aligned,
                    "rfc7489_result": {"enum": list(DmarcResult)},
                },
                {"result": {"type": "null"}, **dmarc, "record": maybe, "record_at": maybe},
            ),
            "bimi": _any_of(
                {"result": {"type": "null"}, "domain": text, "selector": text, "record": maybe, "record_at": maybe},
            ),
            "recipients": {
                "type": "array",
                "items": _all_of({"domain": text, "provider": maybe, "hosted": {"type": "boolean"}, "unknown": maybe}),
            },
            "dnssec": _any_of({"result": {"enum": list(DnssecState)}, "domain": text, "at": text}),
            "reverse": _any_of(
                {"ip": text, "names": {"type": "array", "items": _all_of({"name": text, "confirmed": aligned})}},
            ),
            "second_opinion": {"anyOf": [_unknown(), _opinions()]},
            # of a message that came in (--received)
            "received": {"anyOf": [_unknown(), {"$ref": "#/$defs/CameIn"}]},
            "authentication_results": {"anyOf": [_unknown(), {"$ref": "#/$defs/AuthComparison"}]},
            "mends": {"anyOf": [_unknown(), {"$ref": "#/$defs/Mends"}]},
        },
        "additionalProperties": True,
    }


def _opinions() -> dict[str, Any]:
    """The version of checkdmarc, and its opinion by subject with ours beside it."""
    one = _all_of(
        {
            "valid": {"type": "boolean"},
            "error": {"type": ["string", "null"]},
            "warnings": {"type": "array", "items": {"type": "string"}},
            "ours": {"enum": [*Verdict, None]},
            "agrees": {"type": ["boolean", "null"]},
        }
    )
    return {
        "type": "object",
        "properties": {"checkdmarc": {"type": "string"}},
        "required": ["checkdmarc"],
        "additionalProperties": one,
    }


def _all_of(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": sorted(properties), "additionalProperties": False}


def _unknown() -> dict[str, Any]:
    return _all_of({"unknown": {"type": "string"}})


def _any_of(*shapes: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [_unknown(), *map(_all_of, shapes)]}
