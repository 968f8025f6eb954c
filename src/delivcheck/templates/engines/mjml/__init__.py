"""MJML by mrml, with the way back to the components, their attributes and the HTML within them.

mrml reads no file and opens no socket here: includes are put in place before, so that it never sees one.
"""

import re
from collections.abc import Mapping
from typing import Any

import mrml

from ...model import Host, Rendered, Source, Sources, TemplateFault, Variable
from ..included import included
from .including import assemble
from .inlining import inlined
from .marking import Marked
from .reading import Node
from .unmarking import Unmarked, unmarked


def make(name: str, host: Host) -> "Mjml":
    """The engine; MJML has no names of a host's."""
    del name, host
    return Mjml()


class Mjml:
    """MJML 4 without values of its own; what mrml warns of, unknown and repeated attributes, is passed over."""

    name = "mjml"

    def variables(self, source: Source, sources: Sources) -> tuple[Variable, ...]:
        """None: MJML has none. What it includes is asked for, so that it is known to belong to this template."""
        for _ in included(source, sources):
            pass
        return ()

    def render(self, source: Source, data: Mapping[str, Any], sources: Sources, *, html: bool) -> Rendered:
        """Render one template with what it includes. Raises TemplateFault."""
        del data, html
        root = assemble(source, sources)
        found = _sources(root, source)
        prefix = _prefix(found)
        marked = Marked(prefix, with_classes=True)
        marked.write(root)
        text = unmarked(_html(marked.plain, marked, root), marked, root)
        made = _marked(marked, root)
        if made is None or made.text != text:  # a class of ours can be in the way where the values are not
            marked = Marked(prefix, with_classes=False)
            marked.write(root)
            made = _marked(marked, root)
        if made is None or made.text != text:
            made = Unmarked(_html(marked.plain, marked, root), marked, root)
        rendered = Rendered(made.text, tuple(made.pieces), found)
        return inlined(rendered, marked.styles) if marked.styles else rendered


def _marked(marked: Marked, root: Node) -> Unmarked | None:
    try:
        return Unmarked(_html(marked.document, marked, root), marked, root)
    except TemplateFault:
        return None


_POSITION = re.compile(r" in root template(?: at position (\d+):\d+)?\Z")


def _html(document: str, marked: Marked, root: Node) -> str:
    """What mrml makes of a document. Raises TemplateFault, placed as if it was the plain one."""
    try:
        return mrml.to_html(document).content
    except OSError as error:  # what mrml raises for everything
        message = str(error)
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # pyo3's, which derives from BaseException and cannot be imported
            raise
        message = f"mrml gave up: {error}"
    found = _POSITION.search(message)
    item = marked.place(int(found[1])) if found and found[1] else None
    item = item or root
    what = f": <{item.tag}>" if isinstance(item, Node) else ""
    where = item.source.where(item.start, item.name_end if isinstance(item, Node) else item.end)
    raise TemplateFault(" ".join((_POSITION.sub("", message) + what).split()), where)


def _sources(root: Node, first: Source) -> dict[str, Source]:
    found = {first.name: first}
    waiting = [root]
    while waiting:
        node = waiting.pop()
        found.setdefault(node.source.name, node.source)
        for child in node.children:
            found.setdefault(child.source.name, child.source)
            if isinstance(child, Node):
                waiting.append(child)
    return found


def _prefix(sources: Mapping[str, Source]) -> str:
    """The beginning of a word that no source has."""
    number = 0
    while any(f"Zq{number}x" in one.text for one in sources.values()):
        number += 1
    return f"Zq{number}x"
