"""The DKIM signatures of a message, and the keys in DNS that they, or an audited domain's selectors, point to.

Every key is asked for at once, and each answer stands for itself: a key that timed out is `Unavailable`, the others are there.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any

from ..engine import fact, side_by_side
from ..mime.fields import Field
from ..mime.message import Message
from ..model import Answer, Dns, Failed, Found, NoSuchName, NotApplicable, Unavailable, Where
from ..records.dkim import DkimFault, DkimKey, DkimSignature, DkimSyntaxError, key_name, parse_key, parse_signature, select
from ..records.names import BadName, parents, to_ascii
from ..records.tags import TagList
from ..rulefiles import data, providers
from .answers import ask_about
from .roots import AuditedDomain, Selectors

MAX_SIGNATURES = 32  # looked at, from the top; Apache James jDKIM's limit since October 2026, OpenDKIM stops at 3
CONTROL_SELECTOR = "delivcheck-no-such-selector"  # if this one has a key, a wildcard answers, and guessing shows nothing


# --- signatures --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SignatureField:
    """One DKIM-Signature field: its parsed form, or what is wrong with it. `index` counts from the top, from 0."""

    index: int
    field: Field
    tags: TagList
    signature: DkimSignature | None
    faults: tuple[DkimFault, ...] = ()

    @property
    def at(self) -> Where:
        """The place of the whole field."""
        return self.field.at

    def where(self, tag: str) -> Where:
        """The place of one tag, or of the field where it has none of that name."""
        found = self.tags.get(tag)
        return self.field.where(*found.whole) if found else self.at

    def place(self, fault: DkimFault) -> Where:
        """The place of a fault; of the field where something is missing."""
        start, end = fault.span
        return self.field.where(start, end) if start < end else self.at

    @property
    def label(self) -> str:
        """The signature as a person would name it: "s1._domainkey.example.org", or "signature 2" where that cannot be told."""
        if self.signature is not None:
            return self.signature.key_name
        selector, domain = self.tags.value("s"), self.tags.value("d")
        return key_name(selector, domain) if selector and domain else f"signature {self.index + 1}"


@dataclass(frozen=True, slots=True)
class DkimSignatures:
    """All DKIM-Signature fields, topmost first; empty when the message has none."""

    each: tuple[SignatureField, ...]

    @property
    def readable(self) -> tuple[tuple[SignatureField, DkimSignature], ...]:
        """Those that are well-formed."""
        return tuple((one, one.signature) for one in self.each if one.signature is not None)


@fact
def signatures_of_message(message: Message) -> DkimSignatures:
    """Read every DKIM-Signature field."""
    return DkimSignatures(tuple(_read(index, one) for index, one in enumerate(message.all("dkim-signature"))))


@dataclass(frozen=True, slots=True)
class SigningNames:
    """Whose signatures a message bears, selector and domain of each: of all that are well-formed, and of the `first` fields.

    The same for one message after the other of a sender, so what follows from no more than this is known for the next one.
    """

    readable: tuple[tuple[str, str], ...]
    first: tuple[tuple[str, str], ...]


@fact
def signing_names(signatures: DkimSignatures) -> SigningNames:
    """Take them from the signatures; those behind the first MAX_SIGNATURES fields are not judged."""
    each = [(one.index, (signature.selector, signature.domain)) for one, signature in signatures.readable]
    return SigningNames(tuple(names for _, names in each), tuple(names for index, names in each if index < MAX_SIGNATURES))


def _read(index: int, one: Field) -> SignatureField:
    try:
        signature = parse_signature(one.text)
    except DkimSyntaxError as error:
        return SignatureField(index, one, error.tags, None, error.faults)
    return SignatureField(index, one, signature.tags, signature)


# --- keys --------------------------------------------------------------------------------------------------------


class Via(StrEnum):
    """How we came to ask for a key."""

    SIGNATURE = "signature"  # a message is signed with it
    NAMED = "named"  # the user named the selector
    GUESSED = "guessed"  # a provider's usual selector, or a common one


@dataclass(frozen=True, slots=True)
class PublishedKey:
    """What DNS holds at one selector.

    `texts` are the TXT records that are or try to be keys, their strings joined; `keys` is what each of them is; `others` are
    TXT records of another kind (a wildcard's, often). `aliases` are the CNAME targets passed; `exists` is False for NXDOMAIN.
    """

    selector: str
    domain: str
    via: Via
    texts: tuple[str, ...] = ()
    keys: tuple[DkimKey | DkimSyntaxError, ...] = ()
    others: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    exists: bool = True

    @property
    def name(self) -> str:
        """The DNS name."""
        return key_name(self.selector, self.domain)

    @property
    def at(self) -> Where:
        """The place: the name, and the record if there is one and no more."""
        return Where(name=self.name, type="TXT", record=self.texts[0] if len(self.texts) == 1 else None)

    @property
    def usable(self) -> tuple[tuple[int, DkimKey], ...]:
        """The records that are well-formed keys, with their index."""
        return tuple((index, key) for index, key in enumerate(self.keys) if isinstance(key, DkimKey))

    def where(self, index: int, span: tuple[int, int] | None = None) -> Where:
        """A place in one record; `span` in characters, none for the whole of it."""
        return Where(name=self.name, type="TXT", record=self.texts[index], span=span)


@dataclass(frozen=True, slots=True)
class DkimKeys:
    """The keys in question by (selector, domain), each found, absent, or `Unavailable`."""

    each: Mapping[tuple[str, str], PublishedKey | Unavailable]

    def of(self, signature: DkimSignature) -> PublishedKey | Unavailable:
        """The key of one signature."""
        try:
            return self.each[signature.selector, signature.domain]
        except KeyError:
            return Unavailable(f"only the keys of the first {MAX_SIGNATURES} signatures are asked for")


@fact(steady=True)
async def keys_of_signatures(signing: SigningNames, dns: Dns) -> DkimKeys:
    """Ask for the key of every distinct selector and domain at the same time."""
    return DkimKeys(await _ask_all(dns, dict.fromkeys(signing.first), Via.SIGNATURE))


async def _ask_all(dns: Dns, wanted: Iterable[tuple[str, str]], via: Via) -> dict[tuple[str, str], PublishedKey | Unavailable]:
    pairs = list(wanted)
    found = await side_by_side(*(_ask(dns, selector, domain, via) for selector, domain in pairs))
    return dict(zip(pairs, found, strict=True))


async def _ask(dns: Dns, selector: str, domain: str, via: Via) -> PublishedKey | Unavailable:
    try:
        name = to_ascii(key_name(selector, domain))
    except BadName:  # too long, or no name: DNS cannot have it
        return PublishedKey(selector, domain, via, exists=False)
    return published(selector, domain, via, await dns.ask(name, "TXT"))


def published(selector: str, domain: str, via: Via, answer: Answer) -> PublishedKey | Unavailable:
    """Make of a DNS answer what it says about a key."""
    if isinstance(answer, Failed):
        name = key_name(selector, domain)
        return Unavailable(f"DNS did not answer for the key at {name}: {answer}", Where(name=name, type="TXT"))
    if not isinstance(answer, Found):
        return PublishedKey(selector, domain, via, aliases=answer.aliases, exists=not isinstance(answer, NoSuchName))
    # Strings are joined without anything between them (RFC 6376 section 3.6.2.2).
    texts, others = select(b"".join(strings).decode("utf-8", "replace") for strings in answer.records)
    return PublishedKey(selector, domain, via, texts, tuple(_parsed(text) for text in texts), others, answer.aliases)


def _parsed(text: str) -> DkimKey | DkimSyntaxError:
    try:
        return parse_key(text)
    except DkimSyntaxError as error:
        return error.with_traceback(None)


# --- selectors of a domain ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class DomainSelectors:
    """Which selectors an audited domain is known to have. Not found by guessing proves nothing: they cannot be listed.

    `keys` holds every selector the user named, whatever came of it, and of the guessed ones those that have a key. `guessed`
    are all that were tried, `unanswered` says how many of them DNS did not answer. `below`: whether anything exists below
    `_domainkey` (False: NXDOMAIN there, a hint that nobody signs; None: no answer). `wildcard`: any selector at all has a key,
    and a guess that found that one is no find. `hints`: the providers that SPF and MX name.
    """

    domain: str
    keys: Mapping[tuple[str, str], PublishedKey | Unavailable]
    guessed: tuple[str, ...] = ()
    unanswered: int = 0
    below: bool | None = None
    wildcard: bool = False
    hints: tuple[str, ...] = ()

    @property
    def summary(self) -> str:
        """What guessing came to, one clause."""
        found = [key.selector for key in self.keys.values() if isinstance(key, PublishedKey) and key.via is Via.GUESSED]
        if found:
            return f"selectors found by guessing: {', '.join(found)}; there may be more"
        tried = f"none of {len(self.guessed)} usual selectors has a key, which proves nothing"
        if self.below is False:
            tried += "; nothing exists below _domainkey." + self.domain
        return tried


@fact
async def selectors_of_domain(audited: AuditedDomain, selectors: Selectors | NotApplicable, dns: Dns) -> DomainSelectors:
    """Ask for the named selectors, or for the common ones where none is named, and then for those that SPF and MX hint at.

    Where one of the named has a key, the domain's keys are known and the common ones are not tried: two dozen questions.
    Where none has, they are tried after all, one round later.
    """
    domain = audited.name
    named = () if isinstance(selectors, NotApplicable) else tuple(dict.fromkeys(map(_selector, selectors.names)))
    alone = bool(named) and not (isinstance(selectors, Selectors) and selectors.among_others)
    (keys, (guesses, below)), (control, own) = await side_by_side(
        side_by_side(
            _ask_all(dns, ((name, domain) for name in named), Via.NAMED), _usual(dns, domain, None if alone else named)
        ),
        side_by_side(_ask(dns, CONTROL_SELECTOR, domain, Via.GUESSED), ask_about(dns, domain, ("TXT", "MX"))),
    )
    services = _hinted(own["TXT"], own["MX"])
    hinted = {name: domain for one in services for name in one["selectors"] if name not in named}
    known = any(isinstance(key, PublishedKey) and key.texts for key in keys.values())
    if alone and not known:
        guesses, below = await _usual(dns, domain, named)
    guesses |= await _ask_all(dns, (pair for pair in hinted.items() if pair not in guesses), Via.GUESSED)
    anything = control.texts if isinstance(control, PublishedKey) else ()
    hits = {
        pair: found for pair, found in guesses.items() if isinstance(found, PublishedKey) and found.texts not in {(), anything}
    }
    return DomainSelectors(
        domain=domain,
        keys=keys | hits,
        guessed=tuple(name for name, _ in guesses),
        unanswered=sum(isinstance(found, Unavailable) for found in guesses.values()),
        below=below if not alone or not known else True,  # nothing is below a name that does not exist (RFC 8020)
        wildcard=bool(anything),
        hints=tuple(one["name"] for one in services),
    )


async def _usual(
    dns: Dns, domain: str, named: Collection[str] | None
) -> tuple[dict[tuple[str, str], PublishedKey | Unavailable], bool | None]:
    """What stands at the common selectors that are not named, and whether there is anything at all; None: do not ask."""
    if named is None:
        return {}, None
    common = [name for name in data("selectors")["common"] if name not in named]
    guesses, below = await side_by_side(
        _ask_all(dns, ((name, domain) for name in common), Via.GUESSED), dns.ask(f"_domainkey.{domain}", "TXT")
    )
    return guesses, None if isinstance(below, Failed) else not isinstance(below, NoSuchName)


@fact
def keys_of_domain(found: DomainSelectors) -> DkimKeys:
    """Give the rules about keys what the audit has found. NotApplicable where no selector is known."""
    if found.keys:
        return DkimKeys(found.keys)
    if found.unanswered:
        raise Unavailable(f"no DKIM selector was named, and DNS did not answer for {found.unanswered} of the usual ones")
    raise NotApplicable(f"no DKIM selector was named (--selector), and {found.summary}")


def _selector(name: str) -> str:
    """A selector as DNS has it; one that is no name at all stays as it is, and has no key."""
    try:
        return to_ascii(name)
    except BadName:
        return name


def _hinted(spf: Answer, mx: Answer) -> list[dict[str, Any]]:
    """The providers that the domain's SPF record includes, or that its mail goes to."""
    known = _by_domain()
    found = {
        place for name in (*_included(spf), *_exchanges(mx)) for each in (name, *parents(name)) for place in known.get(each, ())
    }
    return [data("selectors")["provider"][place] for place in sorted(found)]


@lru_cache(maxsize=1)
def _by_domain() -> dict[str, list[int]]:
    """The places of the providers in the table, by the names that tell them."""
    found: dict[str, list[int]] = {}
    for place, provider in enumerate(data("selectors")["provider"]):
        for known in _known_by(provider):
            found.setdefault(known, []).append(place)
    return found


def _known_by(provider: Mapping[str, Any]) -> tuple[str, ...]:
    """The names in SPF records and MX that tell a provider; one that has mailboxes of its own keeps its MX in its table."""
    return (*provider["domains"], *(providers()[provider["table"]]["mx"] if "table" in provider else ()))


def _included(answer: Answer) -> list[str]:
    """The names after include: and redirect= in the domain's own SPF record; a hint needs no parser."""
    if not isinstance(answer, Found):
        return []
    names = []
    for strings in answer.records:
        words = b"".join(strings).decode("ascii", "replace").lower().split()
        if words[:1] == ["v=spf1"]:
            for word in words:
                _, include, name = word.partition("include:")
                _, redirect, target = word.partition("redirect=")
                names += [name] if include else [target] if redirect else []
    return names


def _exchanges(answer: Answer) -> Sequence[str]:
    return [name for _, name in answer.records] if isinstance(answer, Found) else []
