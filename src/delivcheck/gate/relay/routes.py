"""Which next hop takes the mail for a recipient's domain."""

from collections.abc import Iterable, Mapping

from ...records.names import BadName, to_ascii
from ..ports import NoRoute
from ..settings import NextHop

ALL = "*"


class Routes:
    """The domains of all next hops: the exact name, then the nearest "*.parent", then "*", as in Postfix's transport(5)."""

    def __init__(self, hops: Iterable[NextHop]) -> None:
        table: dict[str, str] = {}
        for hop in hops:
            for domain in hop.domains:
                table.setdefault(domain, hop.name)  # the first one named; `reading` complains of a second
        self._table: Mapping[str, str] = table

    def __call__(self, recipient: str) -> str:
        """The next hop's name for an address (no brackets around it). Raises NoRoute."""
        for pattern in _patterns(_domain(recipient)):
            if pattern in self._table:
                return self._table[pattern]
        raise NoRoute(recipient)


def _domain(recipient: str) -> str:
    """The domain as the configuration writes it; "" where there is none ("Postmaster", RFC 5321 section 4.1.1.3)."""
    _, at, domain = recipient.rpartition("@")  # a quoted local part may hold an "@", a domain never
    if not at:
        return ""
    if domain.startswith("["):  # an address literal, taken by its letters
        return domain.lower()
    try:
        return to_ascii(domain)
    except BadName:
        return ""


def _patterns(domain: str) -> Iterable[str]:
    """What to look for, the most exact first."""
    if domain:
        yield domain
        if not domain.startswith("["):
            labels = domain.split(".")
            for index in range(1, len(labels)):
                yield f"*.{'.'.join(labels[index:])}"
    yield ALL
