"""The JSON Schema: what is shipped is what the structs say, and it is strict."""

import json
from pathlib import Path

import jsonschema
import msgspec
import pytest

from delivcheck import api
from delivcheck.model import TargetKind
from delivcheck.report import schema
from tests.report import made
from tests.report.test_text import PUBLISHED

SHIPPED = Path(schema.__file__).with_name(schema.FILE)


def test_the_shipped_schema_is_the_generated_one():
    """To update: python -c 'from delivcheck.report import schema; print(schema.text(), end="")' > …"""
    assert SHIPPED.read_text(encoding="utf-8") == schema.text()
    assert schema.packaged() == json.loads(schema.text())


def test_the_schema_is_one():
    jsonschema.Draft202012Validator.check_schema(schema.packaged())


def valid(value):
    return jsonschema.Draft202012Validator(schema.packaged()).is_valid(value)


def valid_line(value):
    return jsonschema.Draft202012Validator({**schema.packaged(), "$ref": "#/$defs/TargetReport"}).is_valid(value)


@pytest.mark.parametrize("target", [made.newsletter, made.silent_domain, made.receipt])
@pytest.mark.parametrize("every", [False, True])
def test_reports_and_lines_keep_to_it(target, every):
    assert valid(json.loads(api.to_json(made.report(target()), every_result=every)))
    assert valid_line(json.loads(api.to_json(target(), every_result=every)))


def test_what_a_domain_publishes_keeps_to_it():
    line = json.loads(api.to_json(msgspec.structs.replace(made.silent_domain(), facts=PUBLISHED)))
    assert valid_line(line)
    line["facts"]["spf"]["result"] = "pass"
    assert not valid_line(line), "a verdict has no record"


def test_what_could_not_be_read_keeps_to_it():
    assert valid_line(json.loads(api.to_json(api.unreadable("x", TargetKind.MESSAGE, "no such file"))))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("schema",), "delivcheck/2"),
        (("colour",), "red"),
        (("verdict",), "maybe"),
        (("elapsed_ms",), "61"),
        (("dns", "rounds"), None),
        (("targets", 0, "kind"), "letter"),
        (("targets", 0, "counts", "fail"), -1),
        (("targets", 0, "counts", "lost"), 1),
        (("targets", 0, "results", 0, "outcome"), "failed"),
        (("targets", 0, "results", 0, "problems", 0, "advice"), "do it"),
        (("targets", 0, "results", 0, "problems", 0, "where", "line"), 0),
        (("targets", 0, "facts", "spf", "result"), "ok"),
        (("targets", 0, "facts", "dkim", 0, "bits"), "2048"),
        (("targets", 0, "facts", "dmarc", "policy"), "p=reject"),
        (("targets", 0, "providers", "gmail", "outlook"), "accepted"),
    ],
    ids=lambda value: "-".join(map(str, value)) if isinstance(value, tuple) else None,
)
def test_it_refuses_what_is_not_in_it(path, value):
    report = json.loads(api.to_json(made.report(made.newsletter())))
    inner = report
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    assert not valid(report)


@pytest.mark.parametrize("key", ["schema", "version", "policy", "verdict", "dns", "targets"])
def test_nothing_may_be_missing(key):
    report = json.loads(api.to_json(made.report(made.newsletter())))
    del report[key]
    assert not valid(report)


def test_a_report_comes_back_from_its_json():
    octets = api.to_json(made.report(made.newsletter()), every_result=True)
    assert msgspec.json.decode(octets, type=api.Report) == made.report(made.newsletter())
