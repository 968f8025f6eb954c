"""Text without code is its own rendering; platforms' tags become values that mislead no rule."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivcheck.templates.data.values import SITE
from delivcheck.templates.engines.plain import make
from delivcheck.templates.model import Host, Source

CORPORA = Path(__file__).parents[4] / "shared/corpora"
PLATFORMS = ("html", "mailchimp", "sendgrid", "salesforce", "braze")


def render(text, engine="html", data=None):
    return make(engine, Host()).render(Source("a.html", text), data or {}, None, html=True)


def check(rendered):
    """Every character has a piece, and copied ones equal the source."""
    at, source = 0, rendered.sources["a.html"].text
    for piece in rendered.pieces:
        assert piece.start == at < piece.end
        assert piece.exact
        if piece.copied:
            assert rendered.text[piece.start : piece.end] == source[piece.at : piece.until]
        at = piece.end
    assert at == len(rendered.text)


@pytest.mark.parametrize("text", ["", "<p>é</p>\r\n", "{{ x }} {% if %} <% erb %> -word- 100%% 5 * 3 | 2", "{{!-- -}}"])
def test_text_without_tags_is_itself(text):
    rendered = render(text)
    assert rendered.text == text
    assert len(rendered.pieces) == bool(text)
    check(rendered)


@pytest.mark.parametrize(
    ("engine", "text", "want"),
    [
        ("mailchimp", "Hi *|FNAME|*, *|MC:SUBJECT|*", "Hi Pat, Your order has shipped"),
        ("mailchimp", '<a href="*|UNSUB|*">a</a>', f'<a href="{SITE}/unsubscribe/u7">a</a>'),
        ("mailchimp", '<a href="*|ARCHIVE|*">a</a>', f'<a href="{SITE}/view/u7">a</a>'),
        ("mailchimp", "<a href='*|MMERGE7|*'><img src=*|MMERGE8|*>", f"<a href='{SITE}/mmerge7'><img src={SITE}/images/mmerge8.png>"),
        ("mailchimp", '<a href="https://a.example/?e=*|EMAIL|*&n=*|LNAME|* *|FULL_NAME|*">', '<a href="https://a.example/?e=pat.sample@example.email&n=Sample Pat-Sample">'),
        ("mailchimp", "see https://a.example/*|ARCHIVE|*?x", "see https://a.example/view-u7?x"),
        ("mailchimp", "*|LIST:ADDRESSLINE|* *|DATE:d/m/Y|*", "Gartenweg 7, 1010 Vienna, Austria 23 November 2026"),
        ("mailchimp", "*|IF:VIP|*<b>*|ELSEIF:NEW|*<i>*|ELSE:|*<u>*|END:IF|*text", "<b>text"),
        ("mailchimp", "*|IF:A|*1*|IFNOT:B|*2*|ELSE:|*3*|END:IF|*4*|ELSE:|*5*|END:IF|*6*|END:IF|*", "1246"),
        ("mailchimp", "*|IF:A|*1*|ELSE:|*2*|FNAME|*", "12Pat"),
        ("mailchimp", "*|INTERESTED:G:a|*x*|END:INTERESTED|*", "x"),
        ("salesforce", "%%[ SET @a = v ]%%%%=v(@firstName)=%% %%Member_Busname%% *|FNAME|*", "Pat Garden Shop Ltd *|FNAME|*"),
        ("salesforce", "%%[ IF @a THEN ]%%1%%[ ELSE ]%%2%%[ ENDIF ]%%3", "13"),
        ("salesforce", '<a href="%%unsub_center_url%%">', f'<a href="{SITE}/unsubscribe/u7">'),
        ("sendgrid", "-first_name- [%city%] <%asm_group_unsubscribe_raw_url%> well-known-name", f"Pat Vienna {SITE}/unsubscribe/u7 well-known-name"),
        ("sendgrid", "{{#if a}}1{{else}}2{{/if}}{{first_name}}{{! no }}", "1Pat"),
        ("braze", "{{${first_name} | default: 'x'}}{% if a %}1{% elsif b %}2{% else %}3{% endif %}{% comment %}4{% endcomment %}", "Pat1"),
        ("braze", '{{content_blocks.${footer}}}<a href="{{${set_user_to_unsubscribed_url}}}">', f'<a href="{SITE}/unsubscribe/u7">'),
        ("html", "*|FNAME|* %%first_name%% [%city%] {{${first_name}}} {{ theirs }}", "Pat Pat Vienna Pat {{ theirs }}"),
    ],
)  # fmt: skip
def test_a_tag_becomes_a_value_that_fits_its_place(engine, text, want):
    rendered = render(text, engine)
    assert rendered.text == want
    check(rendered)


def test_a_value_leads_to_its_tag():
    rendered = render("é *|IF:A|*\n <b>*|FNAME|*</b>")
    at = rendered.text.index("Pat")
    where = rendered.where(at)
    assert (where.line, where.column, where.end_column, where.approximate) == (2, 5, 14, False)


def test_data_beside_the_template_come_first():
    assert render("*|FNAME|* *|N|* *|L|*", data={"FNAME": "Kim", "N": 3, "L": []}).text == "Kim 3 L"


def test_there_are_no_variables():
    assert make("mailchimp", Host()).variables(Source("a", "*|FNAME|*"), None) == ()


_PARTS = st.sampled_from([
    "*|IF:A|*", "*|ELSE:|*", "*|END:IF|*", "*|UNSUB|*", "%%a%%", "%%[ IF ]%%", "-x-", "{{${x}}}", "{{", "}}", "{%", "%}", "*|", "|*", "<a href=",
    '"', "https://", " ", "\r\n", "é", "<%", "%>", "{% if a %}", "{% else %}", "{% endif %}", "{{#if a}}", "{{/if}}", "{% comment %}", "{{{{", "[%", "%]",
])  # fmt: skip


@given(st.lists(_PARTS, max_size=30).map("".join) | st.text(), st.sampled_from(PLATFORMS))
def test_every_character_comes_from_somewhere(text, engine):
    check(render(text, engine))


@pytest.mark.skipif(not CORPORA.exists(), reason="the corpora are not here")
def test_the_corpora_keep_no_tag_of_mailchimp():
    seen = 0
    for path in sorted(CORPORA.glob("tpl-*/**/*.html")):
        text = path.read_text("utf-8", "replace")
        if "*|" in text and "|*" in text:
            rendered = render(text)
            check(rendered)
            assert "|*" not in rendered.text
            seen += 1
    assert seen >= 19
