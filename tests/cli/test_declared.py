"""What the sender declares on the command line and in the configuration: countries, itself, the class in a header."""

import pytest

from tests.cli.conftest import MESSAGE

LEGAL = "legal/sender-not-named"


def outcomes(ran):
    return {result["rule"]: (result["outcome"], result["reason"]) for result in ran.json["targets"][0]["results"]}


@pytest.mark.parametrize(
    ("code", "complaint"),
    [
        ("Germany", "--jurisdiction: 'Germany' is no code of a country such as DE, US or EU; did you mean DE (Germany)?"),
        ("XX", "--jurisdiction: 'XX' is no code of a country such as DE, US or EU"),
        ("D\udcffE", "is not UTF-8"),
    ],
)
def test_a_country_that_is_none_is_a_usage_error(run, message, code, complaint):
    ran = run("message", message, "--offline", "--jurisdiction", code)
    assert ran.code == 2
    assert complaint in " ".join(ran.err.split())


def test_no_country_is_guessed(run, message):
    ran = run("message", message, "--offline", "--class", "bulk", "-v", "-f", "json")
    assert outcomes(ran)[LEGAL] == ("not-applicable", "no jurisdiction of the recipients was declared (--jurisdiction)")


def test_the_command_lines_countries_go_before_the_files(run, message, tmp_path):
    (tmp_path / "delivcheck.toml").write_text('class = "bulk"\njurisdictions = ["gb"]\n[sender]\nlegal-name = "Ada Ltd"\n')
    options = ("message", message, "--offline", "-v", "-f", "json")
    assert outcomes(run(*options))[LEGAL][0] == "fail"
    assert outcomes(run(*options, "--jurisdiction", "US", "--jurisdiction", "us"))[LEGAL] == (
        "not-applicable",
        "not asked for by the laws that delivcheck knows of US",
    )
    assert outcomes(run(*options, "--jurisdiction", "eu"))[LEGAL][0] == "fail"


def test_a_class_in_a_header_counts_if_it_is_trusted(run, tmp_path):
    (tmp_path / "a.eml").write_bytes(MESSAGE.replace(b"Subject", b"X-Delivcheck-Class: transactional\nSubject"))
    untrusted = run("message", "a.eml", "--offline", "-f", "json")
    assert untrusted.json["targets"][0]["declared"]["class"] is None
    assert {"class/undeclared", "class/header-not-trusted"} <= set(outcomes(untrusted))
    trusted = run("message", "a.eml", "--offline", "-f", "json", "--trust-class-header")
    assert trusted.json["targets"][0]["declared"]["class"] == "transactional"
    assert not {"class/undeclared", "class/header-not-trusted"} & set(outcomes(trusted))
    beaten = run("message", "a.eml", "--offline", "-f", "json", "--trust-class-header", "--class", "bulk")
    assert beaten.json["targets"][0]["declared"]["class"] == "bulk"
    assert outcomes(beaten)["class/header-disagrees"][0] == "fail"
