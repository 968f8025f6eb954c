"""Accessibility rules where a page example would be too long, or shows only a sub-case."""

import pytest

from delivcheck import policy
from delivcheck.facts.roots import Declared
from delivcheck.mime.html import MAX_HTML
from delivcheck.model import Level, Outcome
from tests.checks.content_world import BOOK, html, judge, mixed, said

RULES = sorted(rule for rule in BOOK.checks if rule.startswith("a11y/"))
RUSSIAN = "Ваш заказ уже в пути, курьер позвонит вам за час до доставки."
ARABIC = "طلبك رقم في الطريق إليك الآن وسيصل غدا"


def test_all_are_notes_in_every_policy_but_the_one_that_is_named_for_them():
    for name in ("bulk", "transactional", "strict", "csa", "parked", "eu"):
        levels = {policy.load(name).level(BOOK.rules[rule], Declared()) for rule in RULES}
        assert levels == {Level.NOTE}, name
    raised = policy.load("a11y")
    policy.hold_against(raised, BOOK.rules, BOOK.checks)
    levels = {rule: raised.level(BOOK.rules[rule], Declared()) for rule in (*RULES, "html/missing-alt")}
    assert {rule for rule, level in levels.items() if level is Level.NOTE} == {"a11y/no-title"}
    assert levels["html/missing-alt"] is levels["a11y/low-contrast"] is Level.ERROR
    assert levels["a11y/layout-table"] is Level.WARNING


@pytest.mark.parametrize("rule", RULES)
def test_html_that_cannot_be_read_leaves_a_rule_undecided(rule):
    assert judge(rule, html("x" * (MAX_HTML + 1))).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("body", ["", "<p></p>", "<!-- -->", "<html><head><title>x</title></head></html>"])
def test_html_without_anything_in_it_has_no_faults(rule, body):
    assert said(rule, html(body)) == []


def test_each_part_is_judged_for_itself():
    one = "Content-Type: text/html\n\n<p lang=en>Your order is on its way</p>"
    other = "Content-Type: text/html\n\n<p>Your order is on its way</p>"
    assert len(said("a11y/no-language", mixed(one, other))) == 1


# --- language ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("markup", "told"),
    [
        ("<html lang=''><p>Hello</p>", ["nothing says which language the text is in"]),
        ("<html xml:lang=en><p>Hello</p>", ["nothing says which language the text is in"]),
        ("<html lang=und><p>Hello</p>", []),
        ("<p lang=en>Hello everybody, welcome</p><p>x</p>", []),
        ("<p lang=en>Hello</p><p>everybody</p><p>else</p>", ["nothing says which language 'everybody' is in, and 1 more"]),
        ("<img src=a alt=''>", []),
        ("<div lang=en><img src=a alt=Chairs></div>", []),
    ],
)
def test_a_language_is_missed_where_text_has_none(markup, told):
    assert said("a11y/no-language", html(markup)) == told


@pytest.mark.parametrize(
    ("tag", "fix"),
    [
        ("en_US", 'lang="en-US"'),
        ("de_DE.UTF-8", 'lang="de-DE"'),
        ("deutsch", None),
        ("e", None),
        ("en us", None),
    ],
)
def test_what_is_no_language_tag_is_mended_where_it_can_be(tag, fix):
    (problem,) = judge("a11y/wrong-language", html(f"<p lang='{tag}'>x</p><p lang='{tag}'>y</p>")).problems
    assert problem.message == f"{tag!r} is no language tag, and 1 more"
    assert problem.fix == fix


@pytest.mark.parametrize("tag", ["en", "EN-gb", "zh-Hant-TW", "x-klingon", "i-default", "de-1996", "{{ lang }}", "*|LANG|*"])
def test_a_language_tag_is_one(tag):
    assert said("a11y/wrong-language", html(f"<p lang='{tag}'>Grüße</p>")) == []


@pytest.mark.parametrize(
    ("tag", "text", "script"),
    [
        ("en", RUSSIAN, "Cyrillic"),
        ("en-US", ARABIC * 2, "Arabic"),
        ("ru", "Your order is on its way and will be there on Monday.", "Latin"),
        ("ja", "Your order is on its way and will be there on Monday.", "Latin"),
        ("sr-Latn", RUSSIAN, "Cyrillic"),
        ("zh-Latn-pinyin", RUSSIAN, "Cyrillic"),
        ("zh-cmn-Hans", RUSSIAN, "Cyrillic"),
    ],
)
def test_letters_contradict_a_language(tag, text, script):
    (told,) = said("a11y/wrong-language", html(f"<p lang={tag}>{text}</p>"))
    assert told.startswith(f"the language is said to be {tag}, and ")
    assert told.endswith(f" letters are {script}")


@pytest.mark.parametrize(
    ("tag", "text"),
    [
        ("sr", RUSSIAN),
        ("sr-Cyrl", RUSSIAN),
        ("en", "Привет"),  # too little to say
        ("en", f"{RUSSIAN} This is what we have just written to you."),
        ("ja", "ご注文の商品を発送しました Example Parcel Service International"),
        ("tlh", RUSSIAN),  # a language that we do not know
        ("sr-Qaaa", RUSSIAN),  # a script that we do not know
        ("und", RUSSIAN),
    ],
)
def test_letters_that_a_language_may_have_do_not(tag, text):
    assert said("a11y/wrong-language", html(f"<p lang={tag}>{text}</p>")) == []


def test_a_language_inside_another_is_judged_for_itself():
    assert said("a11y/wrong-language", html(f"<body lang=en>Your order is on its way<p lang=ru>{RUSSIAN}</p></body>")) == []


@pytest.mark.parametrize("lang", ["''", "' '", ""])
def test_a_language_that_says_nothing_contradicts_nothing(lang):
    assert said("a11y/wrong-language", html(f"<p lang={lang}>{RUSSIAN}</p><p lang=ru>{RUSSIAN}</p>")) == []


# --- direction ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("markup", "told"),
    [
        (f"<p>{ARABIC}</p><p>{ARABIC}</p>", ", and 1 more"),
        (f"<p dir=ltr>{ARABIC}</p>", ""),
        (f"<p style='direction:ltr'>{ARABIC}</p>", ""),
    ],
)
def test_direction_is_missed(markup, told):
    assert said("a11y/right-to-left-without-dir", html(markup)) == [
        f"text that runs from right to left is set from left to right{told}"
    ]


@pytest.mark.parametrize(
    "markup",
    [
        f"<p style='text-align:right;direction:rtl'>{ARABIC}</p>",
        f"<style>.r {{ direction: RTL }}</style><p class=r>{ARABIC}</p>",
        f"<p>We call it {ARABIC}, as people in Cairo and in Alexandria have done.</p>",
        "<p>العربية</p>",
        f"<p style='display:none'>{ARABIC}</p>",
    ],
)
def test_direction_is_not_missed(markup):
    assert said("a11y/right-to-left-without-dir", html(markup)) == []


# --- structure ---------------------------------------------------------------------------------------------------


def test_several_headings_out_of_order_are_one_finding():
    assert said("a11y/heading-order", html("<h2>a</h2><h4>b</h4><h2>c</h2><h6>d</h6>")) == [
        "there are headings, and no <h1> among them: the first is an <h2>",
        "an <h4> follows an <h2>, and 1 more",
    ]


def test_thirty_tables_are_one_finding():
    assert said("a11y/layout-table", html("<table><tr><td>x</td></tr></table>" * 30)) == [
        "a table has neither a role nor header cells, and 29 more"
    ]


@pytest.mark.parametrize(
    ("markup", "told"),
    [
        ("<html><svg><title>Logo</title></svg></html>", ["the HTML has no title"]),
        ("<head><title> </title></head>", ["the title is empty"]),
        ("<html><title>Your order</title></html>", []),
        ("<body><p>x</p></body>", []),
    ],
)
def test_a_title_is_missed_in_whole_documents(markup, told):
    assert said("a11y/no-title", html(markup)) == told


# --- names -------------------------------------------------------------------------------------------------------


def link(text, href="https://shop.com/a"):
    return f"<a href='{href}'>{text}</a>"


@pytest.mark.parametrize(
    "text", ["HIER", "» Weiterlesen «", "Learn&nbsp;more →", "こちら。", "подробнее…", "(here)", "Click<br>here"]
)
def test_a_link_text_says_nothing_whatever_is_around_it(text):
    assert len(said("a11y/link-text-says-nothing", html(link(text)))) == 1


@pytest.mark.parametrize("text", ["More chairs", "Here we are", "→", "", "https://shop.com", "Mehr Gartenmöbel", "her"])
def test_a_link_text_says_something_or_is_another_rules(text):
    assert said("a11y/link-text-says-nothing", html(link(text))) == []


def test_long_addresses_are_told_once_and_not_beside_a_link_with_words():
    long = "https://shop.com/" + "a" * 40
    other = "https://shop.com/" + "b" * 40
    assert said("a11y/link-text-says-nothing", html(link(long, long) + link("Confirm", long))) == []
    (told,) = said(
        "a11y/link-text-says-nothing", html(link(long, long) + link(other, other) + link("Confirm", "https://x.org"))
    )
    assert told.endswith(", and 1 more")


def test_a_link_that_leads_nowhere_is_told_so():
    assert said("a11y/link-without-text", html("<a href=''></a>")) == ["a link to nowhere holds nothing"]


def test_a_pixel_in_a_link_is_no_words():
    pixel = "<img src=https://shop.com/p.gif width=1 height=1>"
    assert len(said("a11y/link-without-text", html(link(pixel)))) == 1


def test_an_image_without_alt_that_is_a_whole_link_is_told_as_one():
    image = "<img src=https://shop.com/chair.png>"
    assert said("html/missing-alt", html(link(image) + link(image + "Chairs") + image)) == [
        "the image chair.png has no alt attribute, which is all that its link holds",
        "the image chair.png has no alt attribute",
        "the image chair.png has no alt attribute",
    ]
    assert said("a11y/link-without-text", html(link(image))) == []


@pytest.mark.parametrize(
    "alt", ["Oct.jpg", "sales\\oct\\top3.JPG", "my photo.jpeg", "0001", "picture 2", "DSC_1234", "[Image]", "画像"]
)
def test_an_alt_says_nothing(alt):
    assert said("a11y/alt-says-nothing", html(f'<img src=a alt="{alt}">')) == [f"the text for an image is {alt!r}"]


@pytest.mark.parametrize("alt", ["", " ", "50%", "2026", "Image of our shop", "Route 66", "example.com", "-"])
def test_an_alt_says_something_or_is_empty(alt):
    assert said("a11y/alt-says-nothing", html(f'<img src=a alt="{alt}">')) == []


# --- contrast ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("markup", "told"),
    [
        ("<p style='color:#777'>x</p>", "'x' in #777777 on #ffffff has a contrast of 4.47:1, below 4.5:1"),
        ("<p style='color:#777'>x<p style='color:#777'>y", ", and 1 more"),
        ("<body bgcolor=#000000 text=#333333>x</body>", "in #333333 on #000000"),
        ("<div style='background:#eee'><font color=#888888>x</font></div>", "in #888888 on #eeeeee"),
        ("<style>p { color: #999 }</style><p>x</p>", "in #999999"),
        ("<div style='background:#000'><p style='color:#fff;background:rgba(255,255,255,.6)'>x</p></div>", "on #999999"),
        ("<a href=x style='color:#aaa'>x</a>", "in #aaaaaa"),
        ("<style>a { color: #aaa }</style><p><a href=x>x</a></p>", "in #aaaaaa"),
        ("<p style='color:#aaa;font-size:18px'>x</p>", "below 4.5:1"),
        ("<h4 style='color:#888'>x</h4>", "below 4.5:1"),
    ],
)
def test_faint_text_is_told_with_its_colours(markup, told):
    (message,) = said("a11y/low-contrast", html(markup))
    assert told in message


@pytest.mark.parametrize(
    "markup",
    [
        "<p style='color:#888;font-size:14pt'>x</p>",
        "<h1 style='color:#888'>x</h1>",
        "<p style='color:#fafafa'>On its way</p>",  # not meant to be seen
        "<p style='color:#999;display:none'>x</p>",
        "<p style='color:#999;background:url(https://shop.com/a.png)'>x</p>",
        "<p style='color:var(--grey)'>x</p>",
        "<p style='color:#999'>• — |</p>",
        "<p style='color:#999'><a href=x>x</a></p>",  # the client's own colour
        "<a href=x>x</a>",
        "<style>@media (max-width:600px) { p { color: #999 } }</style><p>x</p>",
    ],
)
def test_what_is_large_unseen_or_unknown_is_not_called_faint(markup):
    assert said("a11y/low-contrast", html(markup)) == []


def test_a_pair_of_colours_is_one_finding():
    markup = "<p style='color:#999'>a</p><p style='color:#999'>b</p><p style='color:#888'>c</p>"
    assert len(said("a11y/low-contrast", html(markup))) == 2


def test_styles_too_many_to_be_worked_out_leave_contrast_undecided():
    sheet = "<style>" + "".join(f".a{n} {{ color: #999 }}" for n in range(20_000)) + "</style>"
    assert judge("a11y/low-contrast", html(sheet + "<p class=a1>x</p>")).outcome is Outcome.UNKNOWN
