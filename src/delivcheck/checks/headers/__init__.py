"""Rules about the header: who sends, when, to whom, and whether every line of it can be read."""

from ...engine import MAX_PROBLEMS
from ...mime.message import Field
from ...model import Where

TOP = Where(line=1, column=1)  # the place of a field that is missing


class Places:
    """Places for the first problems of one check: the engine keeps MAX_PROBLEMS, and to find a place takes a look at the field.

    A To field of 20,000 bad addresses would otherwise take time in proportion to its square.
    """

    def __init__(self) -> None:
        self.left = MAX_PROBLEMS

    def __call__(self, field: Field, span: tuple[int, int]) -> Where | None:
        """The place of characters of a field's text, None once nobody will read it."""
        self.left -= 1
        return field.where(*span) if self.left >= 0 else None
