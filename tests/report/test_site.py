"""The rule book as a site: whole, linked within itself, and safe whatever a page says."""

import re
from html.parser import HTMLParser
from pathlib import PurePosixPath

import msgspec
import pytest

from delivcheck import catalog, mailboxes
from delivcheck.cli.explain import levels
from delivcheck.model import Example, Source
from delivcheck.report.site import prose, site
from tests.report import made

BOOK = dict(catalog.pages())
FILES = dict(site(BOOK, {name: levels(rule) for name, rule in BOOK.items()}, mailboxes.tables(), "0.1"))


class Links(HTMLParser):
    """Every link of a page, every name that a link can lead to, and tags that are not closed."""

    VOID = frozenset({"meta", "link", "br"})

    def __init__(self, text):
        super().__init__()
        self.links, self.anchors, self.tags, self.open = [], set(), set(), []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        self.links += [value for name, value in attributes if name in {"href", "src"}]
        self.anchors |= {value for name, value in attributes if name == "id"}
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_every_rule_and_every_provider_has_a_page():
    assert {f"{name}.html" for name in BOOK} <= set(FILES)
    assert {f"providers/{name}.html" for name in mailboxes.tables()} <= set(FILES)


def test_every_link_leads_somewhere_and_nothing_is_fetched_from_elsewhere():
    pages = {path: Links(text) for path, text in FILES.items() if path.endswith(".html")}
    for path, page in pages.items():
        assert page.open == [], path
        assert "script" not in page.tags
        for link in page.links:
            if link.startswith(("https://", "http://")):
                continue
            target, _, anchor = link.partition("#")
            parts = []
            for part in (
                (*PurePosixPath(path).parent.parts, *PurePosixPath(target).parts) if target else PurePosixPath(path).parts
            ):
                parts = parts[:-1] if part == ".." else [*parts, part]
            found = "/".join(parts)
            assert found in FILES, (path, link)
            assert not anchor or anchor in pages[found].anchors, (path, link)


def test_the_page_has_what_explain_has():
    text = re.sub(r"<[^>]+>", "", FILES["dmarc/no-record.html"])
    for part in (
        "error in bulk",
        "v=DMARC1; p=none; rua=mailto:postmaster@example.com",
        "550-5.7.40",
        "RFC 9989 section 4.10.1",
    ):
        assert part in text


HOSTILE = "<script>alert(1)</script> & `<b>`"


def test_what_a_page_says_is_escaped():
    rule = msgspec.structs.replace(
        made.RULES["spf/too-many-lookups"],
        title=HOSTILE,
        why=HOSTILE,
        fix="    " + HOSTILE,
        source=(Source(HOSTILE, made.RULES["spf/too-many-lookups"].source[0].checked, "javascript:alert(1)"),),
        example=(
            Example(name=HOSTILE, is_="fail", domain=HOSTILE, dns={HOSTILE: HOSTILE}, message=HOSTILE + "\x1b", says=HOSTILE),
        ),
    )
    text = dict(site({rule.id: rule}, {rule.id: {}}, {}, HOSTILE))[f"{rule.id}.html"]
    assert "<script" not in text
    assert "javascript:" not in text
    assert "\x1b" not in text
    assert "<b>" not in text


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("One\nline.\n\nTwo `code` and `.", ["<p>One line.</p>", "<p>Two <code>code</code> and `.</p>"]),
        ('Add:\n\n    a TXT "x"\n    b\n\nDone.', ["<p>Add:</p>", "<pre>a TXT &quot;x&quot;\nb</pre>", "<p>Done.</p>"]),
    ],
)
def test_prose_has_paragraphs_code_and_spans(text, html):
    assert list(prose(text)) == html
