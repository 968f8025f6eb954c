"""Looking for one of many words at once finds what looking for each finds."""

from hypothesis import given
from hypothesis import strategies as st

from delivcheck.facts import any_of
from delivcheck.facts.any_of import AnyOf, AnyPhrase

LETTERS = st.text(st.sampled_from("abc.é|("), max_size=6)
WORDS = st.lists(st.text(st.sampled_from("abé"), min_size=1, max_size=3), max_size=12)


@given(st.lists(LETTERS, max_size=6), st.text(st.sampled_from("abc.é|("), max_size=30))
def test_it_finds_what_each_word_by_itself_finds(words, text):
    assert AnyOf(words).stands_in(text) == any(word in text for word in words)


@given(st.lists(WORDS.filter(bool).map(lambda words: " ".join(words[:3])), max_size=6), st.lists(WORDS, max_size=4))
def test_a_phrase_is_found_where_it_stands_whatever_was_seen_before(phrases, texts):
    looking = AnyPhrase(phrases)
    for words in [*texts, *texts]:
        assert looking.stand_in(words) == any(phrase in " ".join(words) for phrase in phrases)


def test_what_is_remembered_of_other_peoples_words_has_a_bound(monkeypatch):
    monkeypatch.setattr(any_of, "MAX_KNOWN", 5)
    looking = AnyPhrase(["opt out"])
    for number in range(50):
        assert not looking.stand_in([f"word{number}", "x" * 100])
        assert len(looking._known) <= 5
    assert looking.stand_in(["word1", "opt", "out."])
