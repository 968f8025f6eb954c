"""What providers make of DNS answers, said in one way: that there was none, whether a name exists, which addresses it has."""

import ipaddress

from ..model import Answer, Failed, Found, IPAddress, NoSuchName, Question, Unavailable, Where
from ..records.names import unmapped


def no_answer(question: Question, failure: Failed) -> Unavailable:
    """A question without an answer, as the reason why something is unknown."""
    return Unavailable(f"no answer for {question}: {failure}", Where(name=question.name, type=question.type))


def proves_name(answer: Answer) -> bool | None:
    """Whether an answer shows that its name exists; None for no answer.

    Only NXDOMAIN denies it (RFC 8020), and not where a CNAME stood at the name and its target is what does not exist: the
    response code is about the last name of a chain (RFC 6604 section 3).
    """
    if isinstance(answer, Failed):
        return None
    return not isinstance(answer, NoSuchName) or bool(answer.aliases)


def addresses(name: str, a: Answer, aaaa: Answer) -> tuple[IPAddress, ...] | Unavailable:
    """The addresses of a name, IPv4 first; Unavailable when none is known and one question was not answered."""
    found = tuple(
        unmapped(ipaddress.ip_address(text)) for answer in (a, aaaa) if isinstance(answer, Found) for text in answer.records
    )
    for answer, kind in ((a, "A"), (aaaa, "AAAA")):
        if not found and isinstance(answer, Failed):
            return no_answer(Question(name, kind), answer)
    return found
