"""`delivcheck domain` over a zone file, and lists of names."""

import jsonschema
import pytest

from delivcheck.report import schema

WHOLE = jsonschema.Draft202012Validator(schema.packaged())
LINE = jsonschema.Draft202012Validator({**schema.packaged(), "$ref": "#/$defs/TargetReport"})


@pytest.fixture
def audit(run, zone):
    """Audit names over the zone file alone."""

    def go(*arguments, stdin=None):
        return run("domain", *arguments, "--zone", zone, "--zone-only", stdin=stdin)

    return go


def test_an_audit_is_a_report_of_the_kind_domain(audit):
    value = audit("example.com", "-f", "json").json
    WHOLE.validate(value)
    assert [(target["target"], target["kind"]) for target in value["targets"]] == [("example.com", "domain")]


@pytest.mark.parametrize("name", ["EXAMPLE.com", "example.com.", "  example.com  "])
def test_a_name_is_the_same_however_it_is_written(audit, name):
    plain, other = (audit(one, "-f", "json", "-v").json["targets"][0] for one in ("example.com", name))
    assert [(result["rule"], result["outcome"]) for result in other["results"]] == [
        (result["rule"], result["outcome"]) for result in plain["results"]
    ]


def test_names_come_from_standard_input_and_files_with_comments(audit, tmp_path):
    (tmp_path / "names").write_bytes(b"\xef\xbb\xbfone.example # the first\n\n# nothing\n  two.example\r\n")
    ran = audit("zero.example", "-", "--from-file", "names", "-f", "json", stdin=b"mid.example\n#x\n")
    assert [target["target"] for target in ran.json["targets"]] == ["zero.example", "mid.example", "one.example", "two.example"]


def test_jsonl_has_a_line_a_domain_as_soon_as_it_is_known(audit):
    ran = audit("a.example", "news@b.example", "c.example", "-f", "jsonl", "--jobs", "2")
    for line in ran.lines:
        LINE.validate(line)
    assert {line["target"]: "error" in line for line in ran.lines} == {
        "a.example": False,
        "news@b.example": True,
        "c.example": False,
    }
    assert ran.code == 3


def test_text_keeps_the_order_and_ends_in_a_count(audit):
    ran = audit(*(f"{name}.example" for name in "dcba"), "--jobs", "4")
    heads = [line.split(": ")[1] for line in ran.out.splitlines() if line.startswith(("PASS", "FAIL", "UNKNOWN"))]
    assert heads == ["d.example", "c.example", "b.example", "a.example"]
    assert "4 targets: " in ran.out


@pytest.mark.parametrize(
    "more",
    [
        ["--selector", "s1", "--selector", "s2"],
        ["--ip", "192.0.2.7", "--ehlo", "mx.example.com"],
        ["--ip", "2001:db8::1"],
        ["--mail-from", "b@bounce.example.com", "--ip", "192.0.2.7"],
        ["--timeout", "3", "-v"],
        ["--policy", "csa", "--fail-on", "note"],
    ],
    ids=str,
)
def test_options_of_an_audit(audit, more):
    ran = audit("example.com", "-f", "json", *more)
    assert ran.code in {0, 1, 4}
    WHOLE.validate(ran.json)


def test_configured_selectors_and_name_servers_are_used(run, tmp_path, zone):
    (tmp_path / "delivcheck.toml").write_text('selectors = ["s1"]\nnameservers = ["nonsense:0"]\n')
    assert run("domain", "example.com", "--zone", zone, "--zone-only").code in {0, 1, 4}, "a closed world needs no name server"
    ran = run("domain", "example.com")
    assert ran.code == 2
    assert "'nonsense:0'" in ran.err
