"""Mailboxes and groups of From, To, Reply-To and their like (RFC 5322 sections 3.4 and 4.4, RFC 6532, RFC 6854)."""

import ipaddress
import re
from collections.abc import Iterator
from enum import StrEnum
from typing import NamedTuple

from msgspec import Struct

from ..memo import remembered
from ..model import IPAddress
from .lexer import DOT_ATOM, Lexer, quoted, unquoted, within_limit
from .words import decode_words

SENDERS = 1024  # values remembered: From and Reply-To are the same for one message after the other, and each is read twice
LONGEST_SENDER = 320  # characters of such a value, the most of one address (RFC 5321 section 4.5.3.1: 64 and 255, and the @)

_ENCODED_WORD = re.compile(r"=\?[^?\s]+\?[BbQq]\?[^?\s]*\?=")
_IN_PHRASE = re.compile(r"[A-Za-z0-9!*+/=_?-]*\Z")  # RFC 2047 section 5 (3): what a Q word in a phrase may hold
_ATOM = re.compile(r"[^\x00-\x20()<>@,;:\\\".\[\]\x7f]+")
_LITERAL = re.compile(r"\[((?:[^\[\]\\\x00-\x08\x0a-\x1f]|\\.)*+)\]")
_PLAIN_LOCAL = DOT_ATOM


class Obsolete(StrEnum):
    """Forms that RFC 5322 section 4.4 asks to be understood and forbids to be generated, and one that nothing allows."""

    EMPTY_ELEMENT = "empty-element"  # two commas in a row
    ROUTE = "route"  # <@one,@two:user@example.com>
    DOT_IN_PHRASE = "dot-in-phrase"  # John Q. Public, not in quotes
    SPACE_IN_ADDRESS = "space-in-address"  # white space or a comment around a dot or the @
    QUOTED_PIECE = "quoted-piece"  # a local part of quoted strings and atoms
    SPECIAL_IN_WORD = "special-in-word"  # an encoded-word in a phrase with characters it must encode (RFC 2047 section 5)


class Flag(NamedTuple):
    """An obsolete form, and its place in the value."""

    form: Obsolete
    span: tuple[int, int]


class Mailbox(Struct, frozen=True):
    """One mailbox. Spans are places in the value that was parsed.

    `phrase` is what stands before the angle brackets, as written; `display_name` the same without quotes and with encoded-words
    decoded, None where there is none. `local` is without quotes. `domain` is as written, a literal with its brackets.
    `comments` are those before, in and after it, up to the comma; `comment_spans` are their places.
    """

    local: str
    domain: str
    span: tuple[int, int]
    address_span: tuple[int, int]
    domain_span: tuple[int, int]
    display_name: str | None = None
    phrase: str | None = None
    phrase_span: tuple[int, int] | None = None
    comments: tuple[str, ...] = ()
    comment_spans: tuple[tuple[int, int], ...] = ()
    obsolete: tuple[Flag, ...] = ()

    @property
    def address(self) -> str:
        """The addr-spec, the local part quoted where it must be."""
        found = _PLAIN_LOCAL.fullmatch(self.local)
        return f"{self.local if found else quoted(self.local)}@{self.domain}"

    @property
    def literal(self) -> IPAddress | None:
        """The address of a domain literal (RFC 5321 section 4.1.3), None if the domain is a name or no such literal."""
        if not self.domain.startswith("["):
            return None
        text = self.domain[1:-1]
        try:
            return ipaddress.ip_address(text[5:] if text[:5].lower() == "ipv6:" else text)
        except ValueError:
            return None


class Group(Struct, frozen=True):
    """A named group (RFC 5322 section 3.4); in From only since RFC 6854."""

    name: str
    mailboxes: tuple[Mailbox, ...]
    span: tuple[int, int]
    obsolete: tuple[Flag, ...] = ()


class AddressList(Struct, frozen=True):
    """What a field holds, in order. `obsolete` has the flags of the list and of everything in it."""

    items: tuple[Mailbox | Group, ...]
    obsolete: tuple[Flag, ...] = ()

    @property
    def mailboxes(self) -> tuple[Mailbox, ...]:
        """All mailboxes, those inside groups too."""
        return tuple(box for item in self.items for box in (item.mailboxes if isinstance(item, Group) else (item,)))

    @property
    def groups(self) -> tuple[Group, ...]:
        """The groups."""
        return tuple(item for item in self.items if isinstance(item, Group))

    def __iter__(self) -> Iterator[Mailbox | Group]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)


@remembered(SENDERS, LONGEST_SENDER)
def parse_addresses(value: str) -> AddressList:
    """The address-list of To, Cc, Reply-To, From (RFC 6854). Raises HeaderError, also when there is no address."""
    return _Parser(within_limit(value)).address_list()


def parse_mailbox(value: str) -> Mailbox:
    """The one mailbox of Sender. Raises HeaderError."""
    found = parse_addresses(value)
    if len(found) != 1 or isinstance(found.items[0], Group):
        Lexer(value).fail("there must be exactly one mailbox here")
    return found.items[0]


def parse_path(value: str) -> Mailbox | None:
    """The path of Return-Path (RFC 5322 section 3.6.7): a mailbox, or None for `<>`. Raises HeaderError."""
    lexer = Lexer(value)
    lexer.cfws()
    if lexer.take(re.compile(r"<\s*>")):
        lexer.cfws()
        if not lexer.done:
            lexer.fail("something stands after the path")
        return None
    return parse_mailbox(value)


class _Word(NamedTuple):
    """An atom, a quoted string, an encoded-word or a dot."""

    kind: str  # a, q, w, .
    text: str
    start: int
    end: int
    apart: bool  # white space or a comment stands before it


class _Parser:
    """Recursive descent without backtracking: words are collected until the character that says what they were."""

    def __init__(self, value: str) -> None:
        self.lexer = Lexer(value)
        self.flags: list[Flag] = []

    def address_list(self) -> AddressList:
        """RFC 5322 section 3.4, with the empty elements of section 4.4."""
        lexer = self.lexer
        items: list[Mailbox | Group] = []
        comments = 0  # of those before the address that follows
        lexer.cfws()
        while not lexer.done:
            if lexer.next == ",":
                self.flag(Obsolete.EMPTY_ELEMENT, lexer.pos, lexer.pos + 1)
                lexer.pos += 1
                lexer.cfws()
                continue
            items.append(self.address(comments))
            lexer.cfws()
            comments = len(lexer.comments)
            if not lexer.done:
                lexer.expect(",", "a comma should stand between two addresses")
                comma = lexer.pos - 1
                lexer.cfws()
                if lexer.done:
                    self.flag(Obsolete.EMPTY_ELEMENT, comma, comma + 1)
        if not items:
            lexer.fail("there is no address", 0)
        return AddressList(tuple(items), tuple(self.flags))

    def flag(self, form: Obsolete, start: int, end: int) -> None:
        """Note an obsolete form."""
        self.flags.append(Flag(form, (start, end)))

    def address(self, comments: int, *, in_group: bool = False) -> Mailbox | Group:
        """A mailbox, or a group where one may stand; the comments from the given number on are its own."""
        lexer = self.lexer
        flags, start = len(self.flags), lexer.pos
        words = self.words()
        character = lexer.next
        if character == "<":
            local, domain, spans = self.angle_address()
            phrase = self.phrase(words)
            end = lexer.pos
        elif character == "@":
            local, domain, spans = self.addr_spec(words)
            phrase = None
            end = spans[0][1]
        elif character == ":" and words and not in_group:
            return self.group(words, start, flags)
        elif words:
            shown = lexer.text[words[0].start : words[-1].end]
            lexer.fail(f"no @ in the address {shown[:60]!r}" if not lexer.next or lexer.next in ",;" else _unexpected(lexer))
        else:
            lexer.fail(_unexpected(lexer))
        lexer.cfws()
        shown_name, written, phrase_span = phrase or (None, None, None)
        return Mailbox(
            local=local,
            domain=domain,
            span=(start, end),
            address_span=spans[0],
            domain_span=spans[1],
            display_name=shown_name,
            phrase=written,
            phrase_span=phrase_span,
            comments=tuple(lexer.comments[comments:]),
            comment_spans=tuple(lexer.spans[comments:]),
            obsolete=tuple(self.flags[flags:]),
        )

    def group(self, words: list[_Word], start: int, flags: int) -> Group:
        """display-name ":" [group-list] ";"."""
        lexer = self.lexer
        name = self.phrase(words)
        opened = lexer.pos
        lexer.pos += 1
        comments = len(lexer.comments)
        lexer.cfws()
        boxes = []
        while lexer.next != ";":
            if lexer.done:
                lexer.fail("a group is not closed by a semicolon", opened)
            if lexer.next == ",":
                self.flag(Obsolete.EMPTY_ELEMENT, lexer.pos, lexer.pos + 1)
                lexer.pos += 1
                lexer.cfws()
                continue
            box = self.address(comments, in_group=True)
            assert isinstance(box, Mailbox)
            boxes.append(box)
            comments = len(lexer.comments)
            if not lexer.done and lexer.next != ";":
                lexer.expect(",", "a comma should stand between two addresses")
                lexer.cfws()
        lexer.pos += 1
        return Group(name[0] if name else "", tuple(boxes), (start, lexer.pos), tuple(self.flags[flags:]))

    def words(self) -> list[_Word]:
        """Atoms, quoted strings, encoded-words and dots, as far as they go."""
        lexer = self.lexer
        found: list[_Word] = []
        while True:
            apart = lexer.cfws()
            start = lexer.pos
            character = lexer.next
            if character == '"':
                found.append(_Word("q", lexer.quoted(), start, lexer.pos, apart))
            elif character == ".":
                lexer.pos += 1
                found.append(_Word(".", ".", start, lexer.pos, apart))
            elif character == "=" and (word := lexer.take(_ENCODED_WORD)):
                found.append(_Word("w", word[0], start, lexer.pos, apart))
            elif atom := lexer.take(_ATOM):
                found.append(_Word("a", atom[0], start, lexer.pos, apart))
            else:
                return found

    def phrase(self, words: list[_Word]) -> tuple[str, str, tuple[int, int]] | None:
        """The words before an angle address: shown, as written, and where."""
        if not words:
            return None
        pieces = []
        for number, word in enumerate(words):
            if number and word.apart:
                pieces.append((" ", False))
            if word.kind == ".":
                self.flag(Obsolete.DOT_IN_PHRASE, word.start, word.end)
            elif word.kind == "w" and not _IN_PHRASE.match(word.text.rsplit("?", 2)[1]) and word.text.split("?")[2] in "Qq":
                self.flag(Obsolete.SPECIAL_IN_WORD, word.start, word.end)
            pieces.append((word.text, word.kind == "q"))
        shown = []
        run = ""  # text outside quotes: only there encoded-words count (RFC 2047 section 5 (3))
        for text, plain in pieces:
            if plain:
                shown += [decode_words(run), text]
                run = ""
            else:
                run += text
        shown.append(decode_words(run))
        start, end = words[0].start, words[-1].end
        return "".join(shown), self.lexer.text[start:end], (start, end)

    def angle_address(self) -> tuple[str, str, tuple[tuple[int, int], tuple[int, int]]]:
        """[CFWS] "<" addr-spec ">" with the route of RFC 5322 section 4.4."""
        lexer = self.lexer
        opened = lexer.pos
        lexer.pos += 1
        lexer.cfws()
        if lexer.next == "@":
            route = lexer.pos
            while lexer.next == "@":
                lexer.pos += 1
                lexer.cfws()
                self.domain()
                lexer.cfws()
                while lexer.next == ",":
                    lexer.pos += 1
                    lexer.cfws()
            lexer.expect(":", "a route is not followed by a colon")
            self.flag(Obsolete.ROUTE, route, lexer.pos)
            lexer.cfws()
        words = self.words()
        if lexer.next != "@":
            lexer.fail("no @ in the address" if words or lexer.next == ">" else _unexpected(lexer))
        found = self.addr_spec(words)
        lexer.cfws()
        if lexer.next != ">":
            lexer.fail("an angle bracket is not closed" if lexer.done else _unexpected(lexer), opened if lexer.done else None)
        lexer.pos += 1
        return found

    def addr_spec(self, words: list[_Word]) -> tuple[str, str, tuple[tuple[int, int], tuple[int, int]]]:
        """local-part "@" domain (RFC 5322 section 3.4.1), the cursor on the @."""
        lexer = self.lexer
        at = lexer.pos
        if not words:
            lexer.fail("the local part is empty")
        local = self.local_part(words)
        lexer.pos += 1
        if at > words[-1].end or lexer.cfws():
            self.flag(Obsolete.SPACE_IN_ADDRESS, words[-1].end, lexer.pos)
        start = lexer.pos
        domain, end = self.domain()
        return local, domain, ((words[0].start, end), (start, end))

    def local_part(self, words: list[_Word]) -> str:
        """Words with one dot between each two of them."""
        for number, word in enumerate(words):
            if (word.kind == ".") == (number % 2 == 0):
                what = "a dot stands where none may" if word.kind == "." else "the local part is broken in two"
                self.lexer.fail(what, word.start)
            if number and word.apart:
                self.flag(Obsolete.SPACE_IN_ADDRESS, words[number - 1].end, word.start)
        if words[-1].kind == ".":
            self.lexer.fail("the local part ends with a dot", words[-1].start)
        if len(words) > 1 and any(word.kind == "q" for word in words):
            self.flag(Obsolete.QUOTED_PIECE, words[0].start, words[-1].end)
        return "".join(word.text for word in words)

    def domain(self) -> tuple[str, int]:
        """A dot-atom, a literal, or atoms with space around the dots; and where it ends."""
        lexer = self.lexer
        if lexer.next == "[":
            found = lexer.take(_LITERAL)
            if found is None:
                lexer.fail("a domain literal is not closed")
            return f"[{unquoted(found[1])}]", lexer.pos
        pieces: list[str] = []
        while True:
            atom = lexer.take(_ATOM)
            if atom is None:
                lexer.fail("the domain is empty" if not pieces else "the domain has an empty label")
            pieces.append(atom[0])
            end = lexer.pos
            apart = lexer.cfws()
            if lexer.next != ".":
                return "".join(pieces), end
            lexer.pos += 1
            pieces.append(".")
            if lexer.cfws() or apart:
                self.flag(Obsolete.SPACE_IN_ADDRESS, end, lexer.pos)


def _unexpected(lexer: Lexer) -> str:
    return f"an address cannot go on with {lexer.next!r}" if lexer.next else "the address ends too early"
