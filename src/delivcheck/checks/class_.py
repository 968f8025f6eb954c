"""Rules about what the sender declares."""

from ..engine import rule
from ..facts.roots import Declared, Octets
from ..model import Findings, Problem


@rule("class/undeclared")
def undeclared(declared: Declared, octets: Octets) -> Findings:  # noqa: ARG001 -- only a message has a class
    # Catalogue T077: words do not tell a receipt from a newsletter. Without this warning a newsletter that
    # lacks what bulk mail needs would come out as a pass.
    if declared.message_class is None:
        yield Problem(
            "whether this mail is bulk or transactional was not declared, so what only one of them needs is undecided"
        )
