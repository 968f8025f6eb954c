"""Looking for one of many words at once finds what looking for each finds."""

from hypothesis import given
from hypothesis import strategies as st

from delivcheck.facts.any_of import AnyOf

LETTERS = st.text(st.sampled_from("abc.é|("), max_size=6)


@given(st.lists(LETTERS, max_size=6), st.text(st.sampled_from("abc.é|("), max_size=30))
def test_it_finds_what_each_word_by_itself_finds(words, text):
    assert AnyOf(words).stands_in(text) == any(word in text for word in words)
