"""One line a problem."""

import msgspec

from delivcheck.model import Problem, Where
from delivcheck.report import concise
from tests.report import made


def test_a_problem_is_a_line_with_its_place_first():
    lines = concise.target(made.newsletter()).splitlines()
    assert lines[0].startswith("newsletter.eml:3:2: error unsubscribe/post-not-signed List-Unsubscribe-Post is not among")
    assert lines[1] == "newsletter.eml:7:10: error template/unrendered-code {{first_name}} stands in the subject"
    assert lines[3] == "newsletter.eml part 1: warning mime/latin-1 the text part declares iso-8859-1"


def test_a_dns_place_names_the_domain_that_was_audited():
    lines = concise.target(made.silent_domain()).splitlines()
    assert lines[0] == "bücher.example: unknown dkim/revoked google._domainkey.bücher.example TXT: no answer (timeout)"
    assert lines[3].startswith("bücher.example xn--bcher-kva.example TXT: warning spf/too-many-lookups 9 of 10")


def test_a_problem_without_a_place_has_the_target():
    assert concise.target(made.receipt()).startswith("receipt.eml: warning class/undeclared whether")


def test_a_problem_never_breaks_its_line():
    problem = Problem("a\nb\x1b[2J", Where(file="x\n.eml", line=1, column=2))
    assert concise.target(made.failing("a/b", problem)) == "x␊.eml:1:2: error a/b a␊b␛[2J\n"


def test_what_is_undecided_stands_where_its_place_is():
    target = made.silent_domain()
    first = msgspec.structs.replace(target.results[0], where=Where(file="a.eml", line=7, column=1))
    target = msgspec.structs.replace(target, target="a.eml", results=(first,))
    assert concise.target(target).startswith("a.eml:7:1: unknown dkim/revoked ")


def test_a_header_is_named_where_there_is_no_line():
    target = made.failing("a/b", Problem("gone", Where(header="Date")))
    assert concise.target(target) == "newsletter.eml header Date: error a/b gone\n"


def test_a_place_that_is_only_near_has_no_column_and_says_so():
    problem = Problem("no alt", Where(file="a.html", line=7, column=4, approximate=True), data="missing\n.json")
    line = concise.target(made.failing("a/b", problem))
    assert line == "a.html:7: error a/b no alt (near this line, with missing␊.json)\n"


def test_the_data_that_it_takes_to_show_is_told():
    problem = Problem("no alt", Where(file="a.html", line=7, column=4), data="missing.json")
    assert concise.target(made.failing("a/b", problem)) == "a.html:7:4: error a/b no alt (with missing.json)\n"
