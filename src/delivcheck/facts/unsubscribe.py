"""What the message offers to those who want to leave its list: the two header fields, and whether mail to them arrives."""

from dataclasses import dataclass

from ..engine import fact
from ..mime.headers import HeaderError, parse_mailbox
from ..mime.message import Field, Message
from ..model import Dns, NotApplicable, Unavailable, Where
from ..records.unsubscribe import ListedUri, UnsubscribeError, UnsubscribeList, parse_post, scan_list_unsubscribe
from .answers import who_takes_mail
from .headers import first, host_of

MAX_MAILTO = 10  # addresses asked about; real mail has one


@dataclass(frozen=True, slots=True)
class ListUnsubscribe:
    """The first List-Unsubscribe field, read."""

    field: Field
    list: UnsubscribeList

    def where(self, uri: ListedUri) -> Where:
        """The place of one URI."""
        return self.field.where(*uri.span)


@dataclass(frozen=True, slots=True)
class OneClick:
    """The first List-Unsubscribe-Post field; `fault` is why its value is not the one it may have."""

    field: Field
    fault: UnsubscribeError | None = None


@dataclass(frozen=True, slots=True)
class MailtoAddress:
    """One address that a mailto URI writes to. `takes_mail` is None where the address is none: `fault` says why."""

    uri: ListedUri
    address: str
    domain: str | None
    takes_mail: bool | Unavailable | None
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class MailtoAddresses:
    """All addresses of all mailto URIs of List-Unsubscribe."""

    each: tuple[MailtoAddress, ...]


@fact
def list_unsubscribe(message: Message) -> ListUnsubscribe:
    """Read the field as far as it can be read."""
    field = first(message, "List-Unsubscribe")
    return ListUnsubscribe(field, scan_list_unsubscribe(field.text))


@fact
def one_click(message: Message) -> OneClick:
    """Hold the field against RFC 8058."""
    field = first(message, "List-Unsubscribe-Post")
    try:
        parse_post(field.text)
    except UnsubscribeError as error:
        return OneClick(field, error)
    return OneClick(field)


@fact
async def mailto_addresses(found: ListUnsubscribe, dns: Dns) -> MailtoAddresses:
    """Ask whether the domain of each address takes mail. NotApplicable without a mailto URI."""
    written = [(uri, address) for uri in found.list.of("mailto") for address in uri.addresses][:MAX_MAILTO]
    if not written:
        raise NotApplicable("List-Unsubscribe has no mailto address")
    domains: dict[str, str] = {}
    for _, address in written:
        try:
            domain = host_of(parse_mailbox(address))
        except HeaderError:
            continue
        if domain is not None:
            domains[address] = domain
    known = await who_takes_mail(dns, list(dict.fromkeys(domains.values())))
    return MailtoAddresses(
        tuple(
            MailtoAddress(uri, address, domains[address], known[domains[address]])
            if address in domains
            else MailtoAddress(uri, address, None, None, f"“{address[:60]}” is no mail address")
            for uri, address in written
        )
    )
