"""One tree of a template and all that it includes, as MJML's `mj-include` has it (mjml, html and css)."""

from collections.abc import Iterator, Sequence
from typing import Literal

from ...model import Source, Sources, TemplateFault
from .components import DROPPED
from .reading import MAX_DEPTH, MAX_NODES, Attribute, Node, Words, read

MAX_INCLUDES = 1_000  # of one template: MAX_NODES would stop the rest, but files may be large and empty
MAX_CAROUSEL = 200  # images of carousels: mrml writes a rule for each pair; MJML's documentation shows three

Place = Literal["mjml", "head", "body"]


def assemble(source: Source, sources: Sources) -> Node:
    """The `<mjml>` element with what is included in its places. Raises TemplateFault."""
    items = read(source)
    roots = [one for one in items if isinstance(one, Node) and one.tag == "mjml"]
    if len(roots) != 1:
        at = source.where(roots[1].start, roots[1].name_end) if roots else source.where(0)
        raise TemplateFault("a second <mjml> element" if roots else "there is no <mjml> element", at)
    other = next((one for one in items if one is not roots[0] and not (isinstance(one, Words) and one.comment)), None)
    if other is not None:
        raise TemplateFault("text outside of <mjml>", other.source.where(other.start))
    return _Assembly(sources).root(roots[0])


class _Assembly:
    def __init__(self, sources: Sources) -> None:
        self.sources = sources
        self.read: dict[str, list[Node | Words]] = {}
        self.for_head: list[Node | Words] = []
        self.nodes = self.included = self.images = 0

    def root(self, root: Node) -> Node:
        """Its heads and bodies as one each; what was included in the body for the head comes last in it."""
        children = self.children(root.children, "mjml", (root.source,), 1)
        heads = [one for one in children if isinstance(one, Node) and one.tag == "mj-head"]
        bodies = [one for one in children if isinstance(one, Node) and one.tag == "mj-body"]
        for one in children:
            if one not in heads and one not in bodies and not (isinstance(one, Words) and one.comment):
                what = f"<{one.tag}>" if isinstance(one, Node) else "text"
                raise TemplateFault(f"{what} is neither in <mj-head> nor in <mj-body>", one.source.where(one.start))
        inner = [one for head in heads for one in head.children] + self.for_head
        made: list[Node | Words] = []
        if inner:
            like = heads[0] if heads else root
            made.append(Node("mj-head", like.source, like.start, like.name_end, (), inner))
        if bodies:
            made.append(_with(bodies[0], [one for body in bodies for one in body.children]))
        return _with(root, made)

    def children(
        self, items: Sequence[Node | Words], place: Place, chain: tuple[Source, ...], depth: int
    ) -> list[Node | Words]:
        return [made for item in items for made in self.item(item, place, chain, depth)]

    def item(self, item: Node | Words, place: Place, chain: tuple[Source, ...], depth: int) -> Iterator[Node | Words]:
        self.nodes += 1
        self.images += isinstance(item, Node) and item.tag == "mj-carousel-image"
        if self.nodes > MAX_NODES or self.images > MAX_CAROUSEL or depth > MAX_DEPTH:
            what = f"elements within each other: {MAX_DEPTH}" if depth > MAX_DEPTH else f"components: {MAX_NODES:,}"
            what = f"images in carousels: {MAX_CAROUSEL}" if self.images > MAX_CAROUSEL else what
            raise TemplateFault(f"more than the limit of {what}", item.source.where(item.start))
        if isinstance(item, Words):
            yield item
        elif item.tag == "mj-include":
            yield from self.include(item, place, chain, depth)
        elif item.tag not in DROPPED:
            within: Place = "head" if item.tag == "mj-head" else "body" if item.tag == "mj-body" else place
            yield _with(item, self.children(item.children, within, chain, depth + 1)) if item.children else item

    def include(self, node: Node, place: Place, chain: tuple[Source, ...], depth: int) -> Iterator[Node | Words]:
        path = next((one for one in node.attributes if one.name == "path" and one.value), None)
        if path is None:
            raise TemplateFault("<mj-include> without a path", node.source.where(node.start, node.name_end))
        found = self.find(node, path, chain)
        kind = node.value("type") or "mjml"
        inner = (0, len(found.text)) if found.text.strip() else None
        if kind == "css":
            style = Node("mj-style", found, 0, 0, (), [], inner, node.value("css-inline") == "inline")
            if place == "head":
                yield style
            else:
                self.for_head.append(style)
        elif kind == "html":
            yield Node("mj-raw", found, 0, 0, (), [], inner)
        else:
            yield from self.mjml(found, place, (*chain, found), depth + 1)

    def find(self, node: Node, path: Attribute, chain: tuple[Source, ...]) -> Source:
        assert path.value is not None
        where = node.source.where(*path.value)
        self.included += 1
        if self.included > MAX_INCLUDES:
            raise TemplateFault(f"more than {MAX_INCLUDES:,} files are included", where)
        name = node.source.text[slice(*path.value)]
        try:
            found = self.sources.find(name, node.source, ("", ".mjml"))
        except TemplateFault as fault:
            raise TemplateFault(fault.message, fault.where or where) from None
        if any((found.path or found.name) == (one.path or one.name) for one in chain):
            raise TemplateFault(f"{name} includes itself", where)
        return found

    def mjml(self, found: Source, place: Place, chain: tuple[Source, ...], depth: int) -> Iterator[Node | Words]:
        if found.name not in self.read:
            self.read[found.name] = read(found)
        items = self.read[found.name]
        whole = next((one for one in items if isinstance(one, Node) and one.tag == "mjml"), None)
        for item in whole.children if whole is not None else items:
            tag = item.tag if isinstance(item, Node) else ""
            if place == "mjml" or tag not in {"mj-head", "mj-body"} or isinstance(item, Words):
                yield from self.item(item, place, chain, depth)
            elif tag == "mj-head":
                children = self.children(item.children, "head", chain, depth)
                if place == "head":
                    yield from children
                else:
                    self.for_head.extend(children)
            elif place == "body":
                yield from self.children(item.children, "body", chain, depth)


def _with(node: Node, children: list[Node | Words]) -> Node:
    return Node(node.tag, node.source, node.start, node.name_end, node.attributes, children, node.content, node.inlined)
