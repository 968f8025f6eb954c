r"""What mrml is given for a tree, with marks for everything whose place is wanted.

A mark is a word of letters and digits that stands in no source. It stands for

* the HTML of an ending tag, comments, and values that mrml would spoil (it writes attributes as Rust's `{:?}` does, so that a
  no-break space becomes `\u{a0}`): always, since MJML itself does not look into them;
* the value of an attribute that arrives as it was written;
* a component, as a class of its own: what mrml wrote around it is that component's.

With the last two the layout might change; `render` compares with a rendering that has the first only.
"""

import re
from bisect import bisect_right
from dataclasses import dataclass, field
from itertools import accumulate

from ...model import Source, TemplateFault
from .components import CLASSED, OF_ROOT, VERBATIM, VOID
from .reading import Attribute, Node, Words

MAX_COMPUTED = 2_000  # characters of an attribute that mrml computes with and repeats; the longest in the corpus has 66
MAX_SHOWN = 200  # characters of a value that the rendering without marks has itself

_SPOILT = re.compile(r"[^ !#-\[\]-~]")  # beyond printable ASCII, a quotation mark or a backslash


@dataclass(frozen=True, slots=True)
class Mark:
    """What a mark stands for: a range of a source, or a component. `node` is the component on whose markup it is."""

    source: Source
    start: int
    end: int
    node: Node | None
    attribute: Attribute | None = None
    is_class: bool = False

    @property
    def text(self) -> str:
        """What takes its place."""
        return "" if self.is_class else self.source.text[self.start : self.end]


@dataclass
class Marked:
    """Two documents for mrml: with all marks, and with those only that stand in each."""

    prefix: str
    with_classes: bool
    marks: list[Mark] = field(default_factory=list)
    parts: list[str] = field(default_factory=list)
    plain_parts: list[str] = field(default_factory=list)
    places: list[tuple[int, Node | Words]] = field(default_factory=list)  # the part with which each begins
    styles: list[Node] = field(default_factory=list)  # to be inlined: none of mrml's business
    defaults: frozenset[str] = frozenset()

    def write(self, root: Node) -> None:
        """Write both documents. Raises TemplateFault."""
        self.defaults = _classed(root)
        self._item(root, "")

    @property
    def document(self) -> str:
        """The one with all marks."""
        return "".join(self.parts)

    @property
    def plain(self) -> str:
        """The one with nothing that might change the layout."""
        return "".join(self.plain_parts)

    def place(self, octet: int) -> Node | Words | None:
        """What an octet of the plain document was written for."""
        ends = list(accumulate(len(part.encode("utf-8", "replace")) for part in self.plain_parts))
        number = bisect_right(ends, octet)
        return next((item for first, item in reversed(self.places) if first <= number), None)

    # --- writing

    def _put(self, text: str) -> None:
        self.parts.append(text)
        self.plain_parts.append(text)

    def _mark(self, mark: Mark) -> str:
        self.marks.append(mark)
        return f"{self.prefix}{len(self.marks) - 1}z"

    def _item(self, item: Node | Words, parent: str) -> None:
        self.places.append((len(self.parts), item))
        if isinstance(item, Words):
            mark = self._mark(Mark(item.source, item.start, item.end, None))
            self._put(f"<!--{mark}-->" if item.comment else mark)
            return
        if item.inlined:
            self.styles.append(item)
            return
        defaults = parent == "mj-attributes"
        self._put(f"<{item.tag}")
        self._attributes(item, defaults=defaults)
        if item.content is not None and not defaults:
            mark = self._mark(Mark(item.source, *item.content, item))
            self._put(f">{mark}</{item.tag}>")
        elif item.children:
            self._put(">")
            for child in item.children:
                self._item(child, item.tag)
            self._put(f"</{item.tag}>")
        else:
            self._put(" />" if item.tag in VOID or item.tag.startswith("mj") else f"></{item.tag}>")

    def _has_default(self, node: Node) -> bool:
        names = (node.value("mj-class") or "").split()
        return not self.defaults.isdisjoint({"mj-all", node.tag, *(f".{name}" for name in names)})

    def _attributes(self, node: Node, *, defaults: bool) -> None:
        owner = None if defaults else node
        classed = self.with_classes and node.tag in CLASSED and not defaults
        html = not node.tag.startswith("mj")
        text = node.source.text
        for one in node.attributes:
            if one.value is None:
                self._put(f" {one.name}")
                continue
            start, end = one.value
            value = shown = text[start:end]
            if one.name == "css-class" and classed:
                classed = False
                ours = self._mark(Mark(node.source, start, start, node, None, is_class=True))
                value = f"{ours} {self._mark(Mark(node.source, start, end, node, one))}"
            elif value and (html or one.name in VERBATIM or (one.name in OF_ROOT and node.tag == "mjml")):
                value = self._mark(Mark(node.source, start, end, owner, one))
                if len(shown) > MAX_SHOWN or _SPOILT.search(shown):
                    shown = value
            if len(shown) > MAX_COMPUTED:
                where = node.source.where(one.at, one.at + len(one.name))
                raise TemplateFault(f"{one.name} of <{node.tag}> has more than {MAX_COMPUTED:,} characters", where)
            quote = "'" if '"' in value else '"'
            self.parts.append(f" {one.name}={quote}{value}{quote}")
            self.plain_parts.append(f" {one.name}={quote}{shown}{quote}")
        if classed and not (self.defaults and self._has_default(node)):
            mark = self._mark(Mark(node.source, node.start, node.start, node, None, is_class=True))
            self.parts.append(f' css-class="{mark}"')
            self.plain_parts.append("")


def _classed(root: Node) -> frozenset[str]:
    """The elements ("mj-text", "mj-all") and the mj-class names (".big") that have a default for css-class.

    A class of ours would hide it.
    """
    heads = (one for one in root.children if isinstance(one, Node) and one.tag == "mj-head")
    defaults = (one for head in heads for one in head.children if isinstance(one, Node) and one.tag == "mj-attributes")
    found = (one for default in defaults for one in default.children if isinstance(one, Node))
    return frozenset(
        f".{one.value('name')}" if one.tag == "mj-class" else one.tag for one in found if one.value("css-class") is not None
    )
