"""Rules about DMARC: the record and its policy, where its reports go, and whether this message is aligned.

Which record counts, and what aligns with what, is decided by the facts; here it is said what that means for the mail.
"""

from ...facts.alignment import Alignment, Identifier, Mechanism
from ...facts.dmarc_discovery import DmarcDiscovery
from ...model import NotApplicable, Unavailable, Where
from ...records.dmarc import DmarcRecord

_SHOWN = 5  # identifiers told in one message; the rest is counted


def the_record(discovery: DmarcDiscovery) -> tuple[str, DmarcRecord]:
    """The domain whose record applies, and the record. NotApplicable where there is none: dmarc/no-record says so."""
    if discovery.record is None or discovery.found_at is None:
        raise NotApplicable("no DMARC record applies")
    return discovery.found_at, discovery.record


def at(discovery: DmarcDiscovery, span: tuple[int, int] | None) -> Where:
    """A place in the record that applies; the version tag where nothing else can be pointed at."""
    _, record = the_record(discovery)
    return Where(name=discovery.at.name, type="TXT", record=record.text, span=span or record.tags.tags[0].whole)


def tag_span(record: DmarcRecord, name: str) -> tuple[int, int] | None:
    """Where a tag stands, from its name to the end of its value."""
    tag = record.tags.get(name)
    return tag.whole if tag else None


def belongs(one: Identifier) -> str:
    """Whose an identifier is, by tree walk."""
    if isinstance(one.organizational_domain, Unavailable):
        return "belongs to an organization that could not be found out"
    return f"belongs to {one.organizational_domain}"


def described(one: Identifier, found: Alignment) -> str:
    """What one identifier brings, and why it does not count."""
    who = f"SPF for {one.domain}" if one.mechanism is Mechanism.SPF else f"the signature d={one.domain} s={one.selector}"
    if one.passes is not True:
        outcome = f"does not pass ({one.reason})" if one.passes is False else f"could not be judged ({one.reason})"
        return f"{who} {outcome}" if one.aligned else f"{who} {outcome} and {belongs(one)}"
    if one.relaxed and one.aligned is False:
        return f"{who} passes, but strict alignment asks for {found.author} itself"
    return f"{who} passes and {belongs(one)}"


def all_described(found: Alignment) -> str:
    """Every identifier in one clause, SPF first."""
    each = [described(one, found) for one in found.identifiers]
    if not found.by(Mechanism.DKIM) and not any(one.mechanism is Mechanism.DKIM for one in found.unseen):
        each.append("there is no DKIM signature")
    return "; ".join(each[:_SHOWN]) + (f"; and {len(each) - _SHOWN} more" if len(each) > _SHOWN else "")
