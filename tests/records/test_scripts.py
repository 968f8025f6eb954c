"""Scripts of domain labels: which mixtures are below "highly restrictive"."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivcheck.records.scripts import letters_by_script, mixed_scripts, u_label


@pytest.mark.parametrize(
    "name",
    [
        "example.com",
        "münchen.de",
        "xn--mnchen-3ya.de",
        "xn--e1afmkfd.xn--p1ai",  # a Cyrillic name under a Cyrillic domain
        "пример.com",  # labels are judged one by one
        "日本ラーメン.jp",
        "exampleカナ漢字.com",
        "日本한국abc.com",
        "注音ㄅㄆabc.tw",
        "a1-b2.example",
        "cafe\u0301.example",  # a combining accent has the script of its letter
        "xn--99999999999.com",  # no punycode
        "xn--" + "a" * 70 + ".com",
        "",
    ],
)
def test_one_script_or_a_usual_mixture_is_fine(name):
    assert mixed_scripts(name) is None


@pytest.mark.parametrize(
    ("name", "label", "scripts"),
    [
        ("xn--ample-ywe6i.com", "ехample", ("Cyrillic", "Latin")),
        ("www.paypαl.com", "paypαl", ("Greek", "Latin")),
        ("ラー한.jp", "ラー한", ("Hangul", "Katakana")),
        ("\u3007а.cn", "\u3007а", ("Cyrillic", "Han")),
    ],
)
def test_other_mixtures_are_found(name, label, scripts):
    assert mixed_scripts(name) == (label, scripts)


def test_an_a_label_is_shown_as_what_it_stands_for():
    assert u_label("XN--mnchen-3ya") == "münchen"


@given(st.text(max_size=80))
def test_any_name_is_judged(name):
    found = mixed_scripts(name)
    assert found is None or len(found[1]) > 1


def test_letters_are_counted_by_script_and_what_all_scripts_share_is_not():
    assert letters_by_script("Gruß, мир! 7 日本 カー") == {"Latin": 4, "Cyrillic": 3, "Han": 2, "Katakana": 1}
