"""TXT records as the text of a zone file (RFC 1035 section 5.1)."""

MAX_STRING = 255  # octets of one character-string (RFC 1035 section 3.3)

_NEEDS_BACKSLASH = frozenset(b'"\\')


def txt_line(name: str, text: str) -> str:
    """One TXT record as a line, without the line's end; receivers join its strings without anything between them."""
    return f"{name}. TXT {' '.join(map(quoted, chunks(text)))}"


def chunks(text: str) -> tuple[bytes, ...]:
    """A text as character-strings that DNS takes; at least one, since a TXT record has one or more (section 3.3.14)."""
    octets = text.encode("utf-8", "surrogatepass")
    return tuple(octets[start : start + MAX_STRING] for start in range(0, max(1, len(octets)), MAX_STRING))


def quoted(octets: bytes) -> str:
    r"""One character-string in quotation marks: `\X` for what would end it, `\DDD` for what does not show."""
    return '"' + "".join(map(_shown, octets)) + '"'


def _shown(octet: int) -> str:
    if octet in _NEEDS_BACKSLASH:
        return f"\\{octet:c}"
    return chr(octet) if 32 <= octet < 127 else f"\\{octet:03d}"
