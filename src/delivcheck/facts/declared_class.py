"""What X-Delivcheck-Class says about the message it stands on."""

from dataclasses import dataclass

from ..engine import fact
from ..mime.headers import display_text
from ..mime.message import Field, Message
from ..model import MessageClass, NotApplicable

CLASS_FIELD = "X-Delivcheck-Class"


@dataclass(frozen=True, slots=True)
class ClassFields:
    """Every X-Delivcheck-Class field and the class it names, None for what is no class. There is at least one."""

    each: tuple[tuple[Field, MessageClass | None], ...]


def _class(field: Field) -> MessageClass | None:
    try:
        return MessageClass(display_text(field).strip().lower())
    except ValueError:
        return None


def class_in(message: Message) -> MessageClass | None:
    """The class that the fields name, None where there is no field, none names a class, or they disagree."""
    named = {_class(field) for field in message.all(CLASS_FIELD)}
    return named.pop() if len(named) == 1 else None


@fact
def class_fields(message: Message) -> ClassFields:
    """Read them all. NotApplicable without one."""
    fields = message.all(CLASS_FIELD)
    if not fields:
        raise NotApplicable(f"there is no {CLASS_FIELD} field")
    return ClassFields(tuple((field, _class(field)) for field in fields))
