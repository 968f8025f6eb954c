"""Rules about what gives a mail its structure for those who hear it: headings, tables, a title."""

from itertools import pairwise

from ...engine import rule
from ...facts.accessibility import AccessibilityTree, AccessibilityTrees, Named, Table
from ...model import Findings, Problem, Where
from . import and_more, unread


@rule("a11y/heading-order")
def heading_order(trees: AccessibilityTrees) -> Findings:
    yield from unread(trees)
    for tree in trees.each:
        headings = [heading for heading in tree.headings if heading.name]
        # HTML section 4.3.11: one heading at least has level 1, and none follows a heading more than one level above it.
        if headings and all(heading.level > 1 for heading in headings):
            first = headings[0]
            yield Problem(f"there are headings, and no <h1> among them: the first is an <h{first.level}>", _at(tree, first))
        skips = [(one, after) for one, after in pairwise(headings) if after.level > one.level + 1]
        if skips:
            above, below = skips[0]
            what = f"an <h{below.level}> follows an <h{above.level}>{and_more(len(skips))}"
            yield Problem(what, _at(tree, below))


@rule("a11y/layout-table")
def layout_table(trees: AccessibilityTrees) -> Findings:
    yield from unread(trees)
    for tree in trees.each:
        bare = [table for table in tree.tables if not table.is_explained]
        if bare:
            what = f"a table has neither a role nor header cells{and_more(len(bare))}"
            yield Problem(what, _at(tree, bare[0]))


@rule("a11y/no-title")
def no_title(trees: AccessibilityTrees) -> Findings:
    yield from unread(trees)
    for tree in trees.each:
        document = tree.document
        # A fragment is put into a document that others write.
        whole = next((one for one in document.all("html", "head") if one.offset >= 0), None)
        titles = [one for one in document.all("title") if one.parent is not None and one.parent.tag != "svg"]
        if whole is not None and not any(one.text.strip() for one in titles):
            at = next((one.offset for one in titles if one.offset >= 0), whole.offset)
            yield Problem("the title is empty" if titles else "the HTML has no title", tree.part.where(at))


def _at(tree: AccessibilityTree, what: Named | Table) -> Where:
    return tree.part.where(max(what.element.offset, 0))
