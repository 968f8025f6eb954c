"""SVG Tiny Portable/Secure, the one image format of BIMI: octets to what is wrong with the logo.

By draft-svg-tiny-ps-abrotman-12 section 2 and RFC 6170 section 5.2. The file is anybody's: it is unpacked and parsed within
limits, a declaration of an entity or of attributes ends the reading, and nothing that it refers to is looked at.
"""

import re
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import NoReturn
from xml.parsers import expat

from ..saying import shortened

MAX_OCTETS = 32_768  # unpacked; "should not exceed 32 kilobytes", and Mail::BIMI's svg_max_size
MAX_READ = 1 << 20  # octets that are unpacked and parsed at all; beyond, only the size is told
MAX_DEPTH = 64  # elements inside one another; drawings have about ten
MAX_FAULTS = 50  # different ones that are told
MAX_TITLE = 64  # characters of the title that are kept

_SHOWN = 60  # characters of a name or value in a message

SVG = "http://www.w3.org/2000/svg"
_XLINK_HREF = "http://www.w3.org/1999/xlink href"
_GZIP = b"\x1f\x8b"  # RFC 1952 section 2.3.1

# All elements that are left of SVG Tiny 1.2 (section 2 of the draft, and the RELAX NG schema that goes with it)
ELEMENTS = frozenset(
    {
        *("svg", "title", "desc", "metadata", "defs", "g", "use"),
        *("path", "rect", "circle", "ellipse", "line", "polyline", "polygon", "text", "textArea"),
        *("solidColor", "linearGradient", "radialGradient", "stop"),
        *("font", "font-face", "glyph", "hkern"),
    }
)
_WHAT_IT_IS = {
    "script": "a script",
    "handler": "a script",
    "listener": "a script",
    "image": "a raster image or another file",
    "foreignObject": "content that is no SVG",
    "video": "a video",
    "audio": "sound",
    "style": "a style sheet",
    "a": "a link",
    **dict.fromkeys(("animate", "animateColor", "animateMotion", "animateTransform", "animation", "set", "mpath"), "animation"),
}
_URL = re.compile(r"url\(\s*[\"']?\s*([^)\"'\s]{0,200})", re.IGNORECASE)
_NUMBER = re.compile(r"[+-]?(?:[0-9]{1,15}(?:\.[0-9]{0,15})?|\.[0-9]{1,15})(?:[eE][+-]?[0-9]{1,3})?")
_SEPARATOR = re.compile(r"[\s,]+")


class SvgError(ValueError):
    """The octets are no SVG document that can be read. `line` counts from 1, None where there is none."""

    def __init__(self, message: str, line: int | None = None) -> None:
        """Keep the message, one clause without a final stop, and the line."""
        super().__init__(message)
        self.message = message
        self.line = line


@dataclass(frozen=True, slots=True)
class SvgFault:
    """One thing that the profile does not allow. `kind` is a stable word; one of each kind and message is kept."""

    message: str
    kind: str
    line: int | None = None


@dataclass(frozen=True, slots=True)
class Logo:
    """A logo. `octets` are unpacked; `title` is the text of the root's title element, None without one."""

    octets: bytes
    compressed: bool = False
    title: str | None = None
    faults: tuple[SvgFault, ...] = ()

    @property
    def canonical(self) -> bytes:
        """With every line end as LF, as it is hashed for a certificate (RFC 6170 section 5.2)."""
        return self.octets.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def unpack(octets: bytes, limit: int = MAX_READ) -> bytes:
    """Undo gzip, which BIMI allows as SVGZ (its draft, section 4.3.2); anything else is given back. Raises SvgError."""
    if not octets.startswith(_GZIP):
        return octets
    unzip = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    try:
        plain = unzip.decompress(octets, limit + 1)
    except zlib.error as error:
        raise SvgError(f"it begins like gzip and cannot be unpacked: {error}") from None
    if len(plain) > limit:
        raise SvgError(f"it unpacks to more than {limit:,} octets")
    if not unzip.eof:
        raise SvgError("it is gzip that breaks off")
    return plain


def read(octets: bytes) -> Logo:
    """Read a logo as it was served and hold it against the profile, except for its size. Raises SvgError when it is no SVG."""
    plain = unpack(octets)
    if len(plain) > MAX_READ:
        raise SvgError(f"it has {len(plain):,} octets, too many to read")
    reader = _Reader()
    reader.read(plain)
    return Logo(plain, octets.startswith(_GZIP), reader.title, tuple(reader.faults))


class _Reader:
    """Follows the parser through one document."""

    def __init__(self) -> None:
        self.faults: list[SvgFault] = []
        self.title: str | None = None
        self._path: list[str] = []  # local names of the elements that are open
        self._title: list[str] | None = None
        self._seen: set[tuple[str, str]] = set()
        self._parser = expat.ParserCreate(namespace_separator=" ")
        self._parser.buffer_text = True
        handlers: Mapping[str, Callable[..., object]] = {
            "StartElementHandler": self._start,
            "EndElementHandler": self._end,
            "CharacterDataHandler": self._text,
            "StartDoctypeDeclHandler": self._doctype,
            "EntityDeclHandler": self._entity,
            "AttlistDeclHandler": self._attribute_list,
            "ProcessingInstructionHandler": self._instruction,
        }
        for name, handler in handlers.items():
            setattr(self._parser, name, handler)

    def read(self, octets: bytes) -> None:
        try:
            self._parser.Parse(octets, True)
        except expat.ExpatError as error:
            raise SvgError(f"it is no XML: {expat.ErrorString(error.code)}", error.lineno) from None
        except (LookupError, ValueError) as error:  # an encoding that Python does not know, or that is no encoding of text
            raise error if isinstance(error, SvgError) else SvgError(f"its encoding cannot be read: {error}") from None
        if self.title is None:
            self._fault("it has no <title> with text in it", "title", line=False)

    def _fault(self, message: str, kind: str, *, line: bool = True) -> None:
        if (kind, message) not in self._seen and len(self.faults) < MAX_FAULTS:
            self._seen.add((kind, message))
            self.faults.append(SvgFault(message, kind, self._parser.CurrentLineNumber if line else None))

    # --- what the parser comes across

    def _doctype(self, name: str, system: str | None, public: str | None, internal: int) -> None:  # noqa: ARG002 -- expat's signature
        if system is not None:
            self._fault(f"its document type refers to {shortened(system, _SHOWN)}", "doctype")

    def _entity(self, name: str, *_: object) -> NoReturn:
        raise SvgError(f"it declares the entity {shortened(name, _SHOWN)}", self._parser.CurrentLineNumber)

    def _attribute_list(self, element: str, *_: object) -> NoReturn:
        """Default values multiply: every such element would bring all of them."""
        raise SvgError(f"it declares attributes of <{shortened(element, _SHOWN)}>", self._parser.CurrentLineNumber)

    def _instruction(self, target: str, data: str) -> None:  # noqa: ARG002 -- as above
        self._fault(f"it has a processing instruction, {shortened(target, _SHOWN)}", "reference")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        namespace, _, local = name.rpartition(" ")
        if len(self._path) >= MAX_DEPTH:
            raise SvgError(f"its elements are more than {MAX_DEPTH} deep", self._parser.CurrentLineNumber)
        if not self._path:
            self._root(namespace, local, attributes)
        elif namespace != SVG:
            self._fault(f"<{shortened(local, _SHOWN)}> is no SVG element", "element")
        elif local == "svg" or local not in ELEMENTS:
            what = _WHAT_IT_IS.get(local)
            self._fault(f"<{shortened(local, _SHOWN)}> is not in the profile" + (f": it is {what}" if what else ""), "element")
        if local == "title" and namespace == SVG and len(self._path) == 1 and self.title is None:
            self._title = []
        self._path.append(local)
        for attribute, value in attributes.items():
            self._attribute(local, attribute, value)

    def _root(self, namespace: str, local: str, attributes: dict[str, str]) -> None:
        if local != "svg" or namespace != SVG:
            where = f" in the name space {shortened(namespace, _SHOWN)}" if namespace else ""
            raise SvgError(
                f"its root is <{shortened(local, _SHOWN)}>{where} and not SVG's <svg>", self._parser.CurrentLineNumber
            )
        for name, wanted in (("version", "1.2"), ("baseProfile", "tiny-ps")):
            found = attributes.get(name)
            if found is None:
                self._fault(f"its root has no {name}, which should be {wanted}", "profile")
            elif found != wanted:
                self._fault(f"its {name} is {shortened(found, _SHOWN)} and not {wanted}", "profile")
        for name in ("x", "y"):
            if name in attributes:
                self._fault(f"its root has the attribute {name}", "root")
        self._shape(attributes)

    def _shape(self, attributes: dict[str, str]) -> None:
        """Mailbox providers show logos in a square or a circle; what is not square is cut or refused."""
        box = attributes.get("viewBox")
        if box is None:
            self._fault("its root has no viewBox", "no-view-box")
            return
        numbers = _SEPARATOR.split(box.strip()[:200])
        if len(numbers) != 4 or not all(_NUMBER.fullmatch(number) and isfinite(float(number)) for number in numbers):
            self._fault(f"its viewBox “{shortened(box, _SHOWN)}” is not four numbers", "view-box")
            return
        width, height = float(numbers[2]), float(numbers[3])
        if width <= 0 or height <= 0:  # SVG Tiny 1.2 section 7.9: negative is unsupported, zero "disables rendering"
            self._fault(f"its viewBox is {numbers[2]} wide and {numbers[3]} high, which shows nothing", "view-box")
        elif width != height:
            self._fault(f"its viewBox is {numbers[2]} wide and {numbers[3]} high, not square", "not-square")

    def _attribute(self, element: str, name: str, value: str) -> None:
        local = name.rpartition(" ")[2]
        targets = [value.strip()] if name in {"href", _XLINK_HREF} else _URL.findall(value)
        for target in targets:
            if target and not target.startswith("#"):
                what = "embeds a data: URI" if target.lower().startswith("data:") else f"refers to {shortened(target, _SHOWN)}"
                self._fault(f"<{shortened(element, _SHOWN)}> {what}", "reference")
        if name == "style":
            self._fault(f"<{shortened(element, _SHOWN)}> has a style attribute", "attribute")
        elif local.lower().startswith("on") and " " not in name:
            self._fault(f"<{shortened(element, _SHOWN)}> has the event handler {shortened(local, _SHOWN)}", "attribute")

    def _text(self, text: str) -> None:
        if self._title is not None:
            self._title.append(text[:MAX_TITLE])

    def _end(self, name: str) -> None:  # noqa: ARG002 -- expat's signature
        self._path.pop()
        if self._title is not None and len(self._path) == 1:
            self.title = "".join(self._title).strip()[:MAX_TITLE] or None
            self._title = None
