"""What a parser makes of anything: a value, or its one declared error as a value; every other exception passes."""

from collections.abc import Callable
from typing import Any

from delivcheck.mime.lexer import HeaderError
from delivcheck.mime.message import MessageError


def outcome(parse: Callable[..., Any], *arguments: Any) -> Any:
    """Call a parser."""
    try:
        return parse(*arguments)
    except (HeaderError, MessageError) as error:
        return error


def is_inside(error: HeaderError, value: str) -> bool:
    """Whether an error says what is wrong, and its position is one of the value."""
    return bool(str(error)) and 0 <= error.position <= len(value)
