"""Rules about elements that the law of the recipients' countries asks marketing mail for.

They say that an element was found or not, never that a message is lawful or not (catalogue T098).
"""

from ...facts.wording import Wording
from ...model import Finding, Problem, Undetermined

NO_NAME = "no name of the sender was configured ([sender] legal-name, brand-names)"


def missing(what: str, law: str, words: Wording) -> Finding:
    """An element that is not in the text; nothing is known where the words may be elsewhere."""
    if words.doubt is not None:
        return Undetermined(words.doubt)
    return Problem(f"{what} found in the text; asked for by {law}", words.at)
