"""Leftovers of templates: found in every syntax, not found in what people write, in linear time."""

import time
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivcheck.facts.leftovers import (
    _patterns,
    code_in,
    code_in_url,
    drafts_in,
    has_code,
    nobody_in,
    nothing_in,
    nothing_in_url,
)


@pytest.mark.parametrize(
    "code",
    [
        *("{{ name }}", "{{name}}", "{{{raw}}}", "{{#if a}}", "{{/each}}", "{{> footer}}", "{{- x -}}", "{{ имя }}", "{{}}"),
        *("{{name}", "{{ order.total | money }}", "{{ 'a' }}"),
        *("{% if x %}", "{%- endif -%}", "{# note #}"),
        *("*|FNAME|*", "*|LIST:COMPANY|*", "*|IF:X|*"),
        *("%%name%%", "%%=v(@name)=%%", "<%= order.id %>", "<% if x %>", "<%@ include view='x' %>"),
        *("${name}", "$!{name}", "${order.total!0}", "#{name}", "[[name]]", "[[ name ]]", '[[data:name:""]]', "[[${name}]]"),
        *("%FIRSTNAME%", "%FIRST_NAME%", "%ACCOUNT-NAME%", "%recipient.name%", "%recipient_email%", "@@NAME@@"),
    ],
)
def test_each_syntax_is_found_in_a_sentence(code):
    (found,) = code_in(f"Dear {code}, hello")
    assert found.text == code
    assert f"Dear {code}, hello"[found.start : found.end] == code


def test_code_marks_make_a_sample_in_plain_text_alone():
    words = "`{{ name }}` stands for the name, and ```\n{% if x %}\n``` too"
    assert not list(code_in(words, markdown=True))
    assert [one.text for one in code_in(words)] == ["{{ name }}", "{% if x %}"]


@pytest.mark.parametrize(
    "words",
    [
        "Save 20% or 30%, that is 100%PURE%",
        "10 % off, 5% more %",
        "{ a: 1 }, {name} and }}",
        "[[Main Page]] was changed",
        "{{|)?[%\\}",
        "C# and $5 {or so}, #1",
        "a*|b and |*c",
        "mail me @home @@ work",
        "%%%%%%",
    ],
)
def test_what_people_write_is_no_code(words):
    assert not list(code_in(words))


def test_fields_of_ones_own_count_in_single_braces():
    found = code_in("Hi {FirstName} {Other} {{FirstName}}", ["FirstName"])
    assert [one.text for one in found] == ["{{FirstName}}", "{FirstName}"]


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("https://a.org/{{ id }}", ["{{ id }}"]),
        ("https://a.org/%7B%7Bid%7D%7D", ["{{id}}"]),
        ("https://a.org/%%id%%", ["%%id%%"]),
        ("https://a.org/?e=%EMAIL%", ["%EMAIL%"]),
        ("https://a.org/?q=%E2%82%AC%20FACE%20%AB%CD%EF", []),
        ("https://a.org/100%25/%20OFF%20", []),
        ("*|UNSUB|*", ["*|UNSUB|*"]),
    ],
)
def test_percent_codes_of_urls_are_no_code(url, found):
    assert [one.text for one in code_in_url(url)] == found


@pytest.mark.parametrize(
    "line",
    [
        "Hi None,",
        "Dear null",
        "Hello undefined!",
        "Liebe NaN,",
        "> Hi None,",
        "Hello\xa0undefined ,",
        "Dear None Smith,",
        "Total: $NaN",
        "Order #undefined",
        "We ship to [object Object]",
    ],
)
def test_a_missing_value_is_found_in_text(line):
    assert list(nothing_in(f"Our shop\r\n{line}\r\nmore"))


@pytest.mark.parametrize(
    "line",
    [
        "None of us knows",
        "Allergies: None",
        "Hi Noneta,",
        "this is null and void",
        "Welcome null safety fans",
        "undefined behaviour",
        "hi none,",
    ],
)
def test_words_are_words_in_text(line):
    assert not list(nothing_in(f"Our shop\r\n{line}\r\nmore"))


@pytest.mark.parametrize(
    ("subject", "is_missing"),
    [
        ("None, your order has shipped", True),
        ("Thanks for coming, None!", True),
        ("Your order #undefined", True),
        ("Order undefined has shipped", True),
        ("Invoice: None", True),
        ("None's cart is waiting", True),
        ("Hello null", True),
        ("Re: [object Object]", True),
        ("None of our prices go up", False),
        ("Why null is not undefined", False),
        ("Invoices null and void", False),
        ("NaN for beginners", False),
        ("News from the shop", False),
    ],
)
def test_a_subject_has_more_places_for_a_missing_value(subject, is_missing):
    assert bool(list(nothing_in(subject, subject=True))) is is_missing


@pytest.mark.parametrize(
    ("url", "part"),
    [
        ("https://a.org/?user=undefined&x=1", "user=undefined"),
        ("https://a.org/?user=[object%20Object]", "user=[object Object]"),
        ("https://a.org/undefined/orders", "undefined"),
        ("https://a.org/None", "None"),
        ("https://a.org/docs/null", None),
        ("https://a.org/?filter=null", None),
        ("https://a.org/?q=how+undefined+is+it", None),
        ("https://[a", None),
        ("mailto:a@b.org", None),
    ],
)
def test_a_missing_value_in_a_url_is_a_whole_segment_or_value(url, part):
    assert nothing_in_url(url) == part


@pytest.mark.parametrize(
    ("words", "subject", "found"),
    [
        ("Hi ,", False, ["Hi ,"]),
        ("Text\nLiebe ,\nmehr", False, ["Liebe ,"]),
        ("Hello,\nHi Ana,\nBonjour !", False, []),
        (", your order", True, [","]),
        ("Welcome back, !", True, [", !"]),
        ("One, two, three", True, []),
        ("No comma", True, []),
    ],
)
def test_a_greeting_to_nobody(words, subject, found):
    assert [one.text for one in nobody_in(words, subject=subject)] == found


@pytest.mark.parametrize(
    ("words", "subject", "found"),
    [
        ("Lorem ipsum dolor sit amet", False, ["Lorem ipsum"]),
        ("TODO: prices", False, ["TODO"]),
        ("[TODO prices]", False, ["[TODO"]),
        ("FIXME", True, ["FIXME"]),
        ("Price XXXX euros", False, ["XXXX"]),
        ("[Test] May", True, ["[Test]"]),
        ("[Test] May", False, []),
        ("test", True, ["test"]),
        ("This is a test e-mail", True, ["This is a test e-mail"]),
        ("just a test test", False, ["test test"]),
        ("Your headline goes here", False, ["Your headline goes here"]),
        ("Write to me@mail.example.com.", False, ["me@mail.example.com"]),
        ("TODO A MITAD DE PRECIO", True, []),
        ("Card XXXX XXXX XXXX 1234, XXXX-1234, XXXXL", False, []),
        ("Test drive our new car", True, []),
        ("me@example.community", False, []),
    ],
)
def test_what_only_a_draft_says(words, subject, found):
    assert [one.text for one, _ in drafts_in(words, subject=subject)] == found


SEARCHES = [
    code_in,
    lambda text: code_in(text, markdown=True),
    code_in_url,
    nothing_in,
    lambda text: nothing_in(text, subject=True),
    lambda text: nobody_in(text, subject=True),
    lambda text: (found for found, _ in drafts_in(text)),
]
HOSTILE = [
    "{{",
    "{{a",
    "{%a",
    "*|a",
    "%%a",
    "%A",
    "%a.b",
    "${a",
    "[[a",
    "<%a",
    "`",
    "```",
    "Hi ",
    "Hi None A",
    "None ",
    "X",
    "a@",
    "\n>",
    ", ",
]


@pytest.mark.parametrize("piece", HOSTILE)
def test_a_hostile_text_takes_linear_time(piece):
    started = time.monotonic()
    for search in SEARCHES:
        list(search(piece * (200_000 // len(piece))))
    assert time.monotonic() - started < 50


@given(st.lists(st.sampled_from([*"{}%*|[]<>$#@`, \nHiNonea7B", "Hi ", "None", "{{", "}}"]), max_size=60).map("".join))
def test_a_span_is_the_text_it_tells_of(text):
    for search in SEARCHES:
        if search is code_in_url:
            list(search(text))
            continue
        for found in search(text):
            assert found.text in text
            assert text[found.start : found.end].strip() in found.text or found.text in text[found.start : found.end]


DRAFTS = [one for one in _patterns().drafts if one.markers]


@pytest.mark.parametrize("one", DRAFTS, ids=lambda one: one.what)
@given(data=st.data())
def test_a_draft_has_one_of_its_markers_in_whatever_case(one, data):
    """A text without any is not searched."""
    text = data.draw(st.from_regex(one.pattern))
    found = one.pattern.search(text)
    told = [each.text for each, _ in drafts_in(text, subject=one.place == "subject") if each.what == one.what]
    assert told == [found[0]]


@pytest.mark.parametrize("words", ["LOREM \u0130PSUM", "dolor \u017fit amet", "lorem \u0131psum", "hello@\u212aa.example.com"])
def test_letters_that_only_a_pattern_takes_for_ascii_are_found_all_the_same(words):
    assert [one for one, _ in drafts_in(words)]


URLS = st.lists(st.sampled_from([*"{}%*|[]<>$#@=/?&ab7B", "{{", "}}", "%7B", "%%", "https://x.example/"]), max_size=20)


@given(URLS.map("".join))
def test_a_url_is_searched_wherever_it_could_have_code(url):
    """The mark that is looked for first is in every URL in which the patterns find something."""
    patterns = _patterns()
    sought = [(patterns.raw_urls, url), (patterns.code_in_urls, unquote(url))]
    anything = any(one.marker in text and one.pattern.search(text) for each, text in sought for one in each)
    assert has_code(url) == anything


@given(st.text(st.sampled_from("/?&=undefiobjctNaNl#.x \t\n"), max_size=30) | st.sampled_from(["/und\nefined/x", "?a=N\taN"]))
def test_a_url_without_the_words_has_nothing_missing(url):
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = urlsplit("")
    first = parts.path.partition("/")[2].partition("/")[0]
    values = [value for _, value in parse_qsl(parts.query)]
    expected = first in {"undefined", "null", "None", "NaN"} or any(
        v in {"undefined", "NaN", "[object Object]"} for v in values
    )
    assert (nothing_in_url(url) is not None) == expected
