"""What the check says of one thing."""

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """How one thing is."""

    OK = "ok"
    WARNING = "warning"  # works, and is hardly meant
    PROBLEM = "problem"  # the gate starts, and mail is refused or deferred for it, or what becomes of mail is not known
    BROKEN = "broken"  # the gate does not start


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: how it is, what was looked at, and what was found. The texts may come from anywhere."""

    state: State
    what: str
    text: str

    def __str__(self) -> str:
        """As it is printed, the state in a column of its own."""
        return f"{self.state:<8} {self.what}: {self.text}"
