"""SASL PLAIN (RFC 4616) and LOGIN (draft-murchison-sasl-login-00), the server's side, without any I/O."""

import base64
import binascii
from dataclasses import dataclass, field

from .syntax import BadCommand

MECHANISMS = ("PLAIN", "LOGIN")
MAX_NAME = 255  # octets of user or password: RFC 4616 section 2 allows 1,024, argon2 need not be fed megabytes


@dataclass(frozen=True, slots=True)
class Password:
    """What a client claims. Its text never has the password."""

    user: str
    password: str = field(repr=False)


class Exchange:
    """One AUTH command: `step` takes each of the client's responses and says what to ask next, or what was claimed."""

    def __init__(self, mechanism: str) -> None:
        if mechanism.upper() not in MECHANISMS:  # names are case-insensitive: RFC 4422 section 3.1
            raise BadCommand(504, "5.5.4", "PLAIN and LOGIN are possible")
        self._login = mechanism.upper() == "LOGIN"
        self._user: str | None = None

    def start(self, initial: str | None) -> str | Password:
        """The first challenge (base64), or the claim where an initial response has it all. Raises BadCommand."""
        if initial is None:
            return _encoded("Username:") if self._login else ""
        return self.step("" if initial == "=" else initial)  # "=" is the empty response, RFC 4954 section 4

    def step(self, response: str) -> str | Password:
        """The next challenge (base64), or the claim. Raises BadCommand."""
        if response == "*":
            raise BadCommand(501, "5.7.0", "cancelled")  # RFC 4954 section 4
        octets = _decoded(response)
        if not self._login:
            return _plain(octets)
        if self._user is None:
            self._user = _text(octets)
            return _encoded("Password:")
        return Password(self._user, _text(octets))


def _plain(octets: bytes) -> Password:
    parts = octets.split(b"\0")
    if len(parts) != 3:
        raise BadCommand(501, "5.5.2", "bad response")
    acting, user, password = map(_text, parts)
    if acting and acting != user:  # acting for others is not possible here
        raise BadCommand(535, "5.7.8", "user or password is wrong")
    return Password(user, password)


def _text(octets: bytes) -> str:
    try:
        text = octets.decode("utf-8")
    except UnicodeDecodeError:
        raise BadCommand(501, "5.5.2", "bad response") from None
    if len(octets) > MAX_NAME or "\0" in text:
        raise BadCommand(501, "5.5.2", "bad response")
    return text


def _decoded(response: str) -> bytes:
    try:
        return base64.b64decode(response, validate=True)
    except (binascii.Error, ValueError):
        raise BadCommand(501, "5.5.2", "bad base64") from None


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
