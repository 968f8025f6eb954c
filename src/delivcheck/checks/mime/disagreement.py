"""Rules about two versions of one message that do not say the same."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice

from ...engine import rule
from ...facts.message import HtmlParts, Links, TextParts
from ...facts.stated_values import MAX_TEXT, Stated, amounts_in, bare, codes_in, dates_in, numbers_in, same, speaks_of_code
from ...memo import lazy
from ...mime.html import HtmlDocument
from ...mime.links import Link, LinkKind
from ...mime.message import Message, Part
from ...model import Findings, Problem, Where
from ...records.names import psl_organizational_domain
from ...saying import in_one_line, shortened
from ..html import unread
from . import Beside

MAX_TEXTS = 10  # plain texts beside one HTML; every honest message has one
MAX_COMPARED = 200  # different values of a kind in each; ours
MAX_EVERYTHING = 2_000_000  # characters of text and attributes in which a code is looked for before "nowhere" is said
MIN_PATH = 8  # characters of a path that is the same by intention; ours

# Kinds of value in words, and how they are found. Codes and numbers have a word before them that says what they are.
_FINDERS: dict[str, Callable[[str], Iterator[Stated]]] = {
    "code": codes_in,
    "number": numbers_in,
    "amount": amounts_in,
    "date": dates_in,
}
_NAMED, _COUNTED = ("code", "number"), ("amount", "date")


class _Version:
    """One version of the message: what it shows, each kind of value found but once, its links by path."""

    def __init__(self, shown: str, links: Iterable[Link], document: HtmlDocument | None = None) -> None:
        self.shown = shown[:MAX_TEXT]
        self._links = links
        self._document = document
        self._found: dict[str, list[Stated]] = {}

    def all(self, kind: str) -> list[Stated]:
        """The values of a kind in order."""
        if kind not in self._found:
            self._found[kind] = list(_FINDERS[kind](self.shown))
        return self._found[kind]

    def distinct(self, kind: str) -> list[Stated]:
        """The different ones."""
        known: set[object] = set()
        kept = []
        for one in self.all(kind):
            if known.isdisjoint(one.readings):
                kept.append(one)
            known |= one.readings
        return kept[:MAX_COMPARED]

    @lazy
    def everything(self) -> str:
        """Letters and digits of all of it: of HTML hidden texts, links and what replaces images, too."""
        if self._document is None:
            return bare(self.shown)
        pieces = [text.data for text in self._document.texts]
        for element in self._document.elements:
            pieces += [value for name, value in element.attributes if name in {"href", "alt", "title", "value", "aria-label"}]
        return bare("\n".join(pieces)[:MAX_EVERYTHING])

    def lacks(self, value: Stated) -> bool:
        """Whether a code stands nowhere in it."""
        return bare(value.written) not in self.everything

    @lazy
    def by_path(self) -> dict[str, list[Link]]:
        """Its web links by their path, short paths left out."""
        found: dict[str, list[Link]] = {}
        for link in self._links:
            url = link.url
            if link.kind is not LinkKind.LINK or url.scheme not in {"http", "https"} or not url.host_ascii:
                continue
            path = url.path.rstrip("/")
            if len(path) >= MIN_PATH:
                found.setdefault(path, []).append(link)
        return found


@rule("mime/parts-disagree")
def parts_disagree(message: Message, texts: TextParts, html: HtmlParts, links: Links) -> Findings:
    yield from unread(html)
    of_part: dict[Part | None, list[Link]] = {}
    for link in links.each:
        of_part.setdefault(link.part, []).append(link)
    beside = Beside(message)
    plain = {text.part: _Version(text.text, of_part.get(text.part, ())) for text in texts.each}
    for shown, document in html.readable:
        rich = _Version(document.visible_text, of_part.get(shown.part, ()), document)
        parts = [part for part in islice(beside.of(shown.part, "text/plain"), MAX_TEXTS) if part in plain]
        if len(parts) == 1:  # of several each may be a piece of the text
            yield from _codes(parts[0], plain[parts[0]], shown.part, rich)
            yield from _values(parts[0], plain[parts[0]], rich)
            yield from _hosts(plain[parts[0]], rich)


# --- values ------------------------------------------------------------------------------------------------------


def _codes(text: Part, plain: _Version, html: Part, rich: _Version) -> Iterator[Problem]:
    """A code in one part, and in the other the words that lead to one and then none."""
    mine, theirs = _only_there("code", plain, rich)
    if mine and not rich.all("code") and mine[0].written.isdigit() and speaks_of_code(rich.shown):
        what = f"the plain text has the code {mine[0].written}, the HTML speaks of a code and has none"
        yield Problem(what, html.where_text(0))
    elif theirs and not plain.all("code") and theirs[0].written.isdigit() and speaks_of_code(plain.shown):
        what = f"the HTML has the code {theirs[0].written}, the plain text speaks of a code and has none"
        yield Problem(what, text.where_text(0))


def _values(text: Part, plain: _Version, rich: _Version) -> Iterator[Problem]:
    """A value of each part that the other has not. To have more than the other is no contradiction."""
    for kind in _NAMED:
        yield from _told(kind, text, *_only_there(kind, plain, rich))
    for kind in _COUNTED:
        here, there = plain.distinct(kind), rich.distinct(kind)
        if len(here) == len(there):  # a shorter text may leave out half of the prices; of as many none is left out
            mine = [one for one in here if not any(same(one, other) for other in there)]
            theirs = [one for one in there if not any(same(one, other) for other in here)]
            yield from _told(kind, text, mine, theirs)


def _only_there(kind: str, plain: _Version, rich: _Version) -> tuple[Sequence[Stated], Sequence[Stated]]:
    """The values of each that the other has nowhere."""
    return [one for one in plain.all(kind) if rich.lacks(one)], [one for one in rich.all(kind) if plain.lacks(one)]


def _told(kind: str, text: Part, mine: Sequence[Stated], theirs: Sequence[Stated]) -> Iterator[Problem]:
    if mine and theirs:
        here, there = mine[0], theirs[0]
        message = (
            f"the plain text has the {kind} {in_one_line(here.written, 60)}, the HTML has {in_one_line(there.written, 60)}"
        )
        yield Problem(message, _at(text, here))


def _at(part: Part, value: Stated) -> Where:
    return part.where_text(value.start, value.end)


# --- links -------------------------------------------------------------------------------------------------------


def _hosts(plain: _Version, rich: _Version) -> Iterator[Problem]:
    """The same long path at two hosts: one part was made with another base address.

    Links are not compared as sets. Click tracking rewrites those of the HTML alone, and a text may have fewer.
    """
    for path, here in plain.by_path.items():
        there = rich.by_path.get(path)
        if there is not None and _sites(here).isdisjoint(_sites(there)) and _is_one_page(path, here[0], there[0]):
            told = f"the plain text links to {shortened(path, 60)} at {here[0].host_ascii}, the HTML at {there[0].host_ascii}"
            yield Problem(told, here[0].at)
            return


def _sites(links: Iterable[Link]) -> set[str]:
    return {(link.host_ascii or "").rstrip(".").removeprefix("www.") for link in links}


def _is_one_page(path: str, here: Link, there: Link) -> bool:
    """Whether two links are meant to be one: of one organisation, or with a path that two do not come upon by chance."""
    names = {psl_organizational_domain((link.host_ascii or "").rstrip(".")) for link in (here, there)}
    return len(names) == 1 or (path.count("/") > 1 and any(map(str.isdigit, path)))
