"""Names and passwords in the form in which they are compared (RFC 8265), so that what two keyboards write is the same.

Names: NFC, case kept (UsernameCasePreserved, section 3.4), but any printable characters: mail addresses are names here.
Passwords: OpaqueString (section 4.2): other blanks become a space, NFC, no control characters.
"""

import unicodedata

MAX_TEXT = 255  # octets of UTF-8: RFC 4616 section 2 has to take that many, and `smtp.auth` takes no more
MIN_PASSWORD = 8  # characters, NIST SP 800-63B section 5.1.1.1


class BadText(ValueError):  # noqa: N818 -- reads well in an except clause
    """No name or password; the text says why and does not show it."""


def prepared_name(text: str) -> str:
    """A user's name as it is compared. Raises BadText."""
    found = _short_enough(unicodedata.normalize("NFC", text))
    if any(character.isspace() or not character.isprintable() for character in found):
        raise BadText("has blanks or characters that cannot be printed")
    return found


def prepared_password(text: str) -> str:
    """A password as it is hashed. Raises BadText."""
    spaced = "".join(" " if unicodedata.category(character) == "Zs" else character for character in text)
    found = _short_enough(unicodedata.normalize("NFC", spaced))
    if any(unicodedata.category(character) in {"Cc", "Cn"} for character in found):
        raise BadText("has control characters")
    return found


def _short_enough(text: str) -> str:
    try:
        octets = len(text.encode())
    except UnicodeEncodeError:
        raise BadText("is not UTF-8") from None
    if not 0 < octets <= MAX_TEXT:
        raise BadText(f"has {octets} octets, 1 to {MAX_TEXT} are possible")
    return text
