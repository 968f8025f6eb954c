"""What a reader gets of a rendered template, to be compared before and after a repair: the words, and where links lead."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ...facts.roots import TemplateRole
from ...mime.html import Element, parse_html
from ...mime.links import links_in_html
from ..rehearse import Performance


@dataclass(frozen=True)
class Read:
    """The visible text of each part, and the address of every link and image in order, without its scheme's "s".

    `pictures` are the descriptions of images in links, whose words they are: an empty one leaves such a link without any.
    """

    texts: tuple[str, ...]
    links: tuple[str, ...]
    pictures: tuple[str | None, ...]
    faults: int


def read(done: Performance) -> Read:
    """What there is to read in what came of rendering."""
    texts: list[str] = []
    links: list[str] = []
    pictures: list[str | None] = []
    for role, text in done.parts.items():
        if role is TemplateRole.HTML:
            document = parse_html(text)
            texts.append(" ".join(document.visible_text.split()))
            links += [_scheme(link.raw) for link in links_in_html(document)]
            pictures += [image.get("alt") for image in document.all("img") if _is_linked(image)]
        else:
            texts.append(text)
    return Read(tuple(texts), tuple(links), tuple(pictures), len(done.faults))


def same(before: Sequence[Read], after: Sequence[Read]) -> bool:
    """Whether a reader gets the same with every data set."""
    return list(before) == list(after)


def _is_linked(element: Element | None) -> bool:
    while element is not None and element.tag != "a":
        element = element.parent
    return element is not None


def _scheme(url: str) -> str:
    return re.sub(r"\Ahttps:", "http:", url.strip(), flags=re.IGNORECASE)
