"""What is done faster for most texts says the same as what is done for all."""

import re
import unicodedata

from hypothesis import example, given
from hypothesis import strategies as st

from delivcheck.checks.a11y import names
from delivcheck.facts import opt_out, promotion, stated_values, wording
from delivcheck.facts.link_secrets import MAX_PARAMETERS, parameters_of
from delivcheck.facts.opt_out import MAX_SENTENCES
from delivcheck.mime.links import split_url

ASCII = st.text(st.characters(max_codepoint=127), max_size=80)
VALUES = ("USD", "kr", "Euro", "$", "€", "19.99", " ", "1", "20", "12", ".", "/", "=", "AB-12345", "\n", "é")
WORDS = ("order", "number", "code", "unsubscribe", "log in", "to", "please", ",", "or", "opt out")
PIECES = st.lists(st.sampled_from((*VALUES, *WORDS)), max_size=12).map("".join)


@given(ASCII)
def test_an_ascii_text_is_folded_as_any_other_is(text):
    assert wording.folded(text) == " ".join(unicodedata.normalize("NFC", text).casefold().split())
    words = re.findall(r"\w+", text.casefold())
    assert wording.plain(text) == f" {' '.join(words)} "


@given(PIECES)
@example("12 USD")
@example("€ 5")
def test_where_no_amount_is_looked_for_there_is_none(text):
    if stated_values._mark_of_money(text) is None:
        assert stated_values._MONEY.search(text) is None


@given(PIECES)
def test_the_words_with_digits_are_the_same_whatever_finds_them(text):
    found = stated_values._words_with_digits(text)
    assert found is None or list(found) == [each.start() for each in stated_values._DIGITS_AND_MORE.finditer(text)]


@given(st.text(st.sampled_from("129 -A"), max_size=30))
@example("in 2024 and 12024, 2024-19991")
def test_years_and_capitals_of_an_ascii_text_are_those_that_the_patterns_find(text):
    assert list(stated_values._years(text)) == [each.span() for each in stated_values._YEAR.finditer(text)]
    assert (b"AAA" in stated_values._shape(text)) == (stated_values._CAPITALS.search(text) is not None)


@given(
    st.lists(st.sampled_from(("Shop now", "shop", "NOW", " ", "→", "!", ">", "-", "j'achète", "%", "x")), max_size=5).map(
        "".join
    )
)
def test_a_button_that_is_told_by_its_first_word_does_not_sell(text):
    slowly = promotion._SIGNS.sub(" ", wording.folded(text)).strip() in promotion._phrases("buttons")
    assert promotion._sells(text) == slowly


@given(st.text(st.sampled_from("aB_-é1 ."), max_size=20), st.integers(0, 20))
def test_a_word_with_digits_begins_where_the_pattern_says(text, start):
    start = min(start, len(text))
    slowly = stated_values._WORD_BEFORE.search(text, max(0, start - stated_values._DIGIT_FIRST), start)
    assert stated_values._beginning_of_word(text, start) == slowly.start()


@given(st.text(st.characters(max_codepoint=127), max_size=20))
def test_an_ascii_name_loses_what_any_other_does(text):
    said = " ".join(text.casefold().split())
    start, end = 0, len(said)
    while start < end and names._is_aside(said[start]):
        start += 1
    while end > start and names._is_aside(said[end - 1]):
        end -= 1
    assert names._plain(text) == said[start:end]


def test_no_word_that_leads_to_a_number_ends_as_what_never_stands_before_one():
    assert not any(word.endswith(stated_values._NEVER_BEFORE_NUMBER) for word in stated_values._words("number"))


@given(PIECES)
@example("please log in to unsubscribe")
def test_a_paragraph_that_is_passed_over_demands_nothing(text):
    if not opt_out._may_be_of_leaving(text):
        assert not any(map(opt_out._demanded, opt_out._ENDS.split(text)[:MAX_SENTENCES]))


def test_parameters_of_query_fragment_and_path_come_in_this_order_and_are_cut_together():
    url = split_url("https://example.org/a;d=4?a=1&b=x%20y;c=+#e=5")
    assert parameters_of(url) == (("a", "1"), ("b", "x y"), ("c", " "), ("e", "5"), ("d", "4"))
    many = split_url("https://example.org/?" + "&".join(f"n{number}={number}" for number in range(MAX_PARAMETERS + 9)))
    assert parameters_of(many)[-1] == (f"n{MAX_PARAMETERS - 1}", str(MAX_PARAMETERS - 1))
