"""Which keys sign a message, which fields they cover, and the DKIM-Signature fields that come of it."""

from collections.abc import Sequence
from dataclasses import dataclass

from ...facts.dkim import MAX_SIGNATURES, DkimKeys, DkimSignatures, PublishedKey, SignatureField, Via, published
from ...facts.dkim_verdict import judge
from ...facts.signing import default_headers, sign_fields
from ...facts.verdicts import DkimResult
from ...mime.fields import Field
from ...mime.headers import HeaderError, parse_addresses
from ...model import Found, Unavailable
from ...records.dkim import DkimSyntaxError, parse_signature
from ...records.names import BadName, is_within, to_ascii
from ..model import Credential, Incoming, Insert
from .header import Header
from .keys import Key, Keyring

NAME = b"DKIM-Signature"


@dataclass(frozen=True, slots=True)
class Signed:
    """The fields to put on top, the topmost last; or in words why there are none. Both empty: no key is configured."""

    insertions: tuple[Insert, ...] = ()
    why_not: str | None = None


def signatures(
    header: Header,
    kept: Sequence[Field],
    added: Sequence[Insert],
    incoming: Incoming,
    keyring: Keyring,
    *,
    not_signed: frozenset[str] = frozenset(),
    again: bool = False,
) -> Signed:
    """Sign the message that has the fields `kept`, then `added`, and the body, with every key of the author's domain.

    `not_signed`: names (lower case) that the next hop rewrites. `again`: also where a good signature of the same key stands.
    """
    if not keyring:
        return Signed()
    client = incoming.client
    if incoming.signed_later:
        return Signed(why_not="a signer comes after the gate")
    if client.protocol == "milter" and client.credential is None:
        # The MTA may well show us mail from the Internet, too; who signed that would make forgeries of the domain genuine.
        return Signed(why_not="the client is not known, so nothing is signed in its name")
    keys, why_not = _keys(header, client.credential, keyring)
    if not keys:
        return Signed(why_not=why_not)
    draft = _Draft(header, kept, added, incoming)
    signed = tuple(name for name in default_headers(draft.names) if name == "from" or name not in not_signed)
    if not again:
        have = draft.signed_by(keys, signed)
        keys = [key for key in keys if key.name not in have]
    made = []
    for key in reversed(keys):
        written = sign_fields(draft.fields, draft.body, key.signing, incoming.received, signed)
        made.append(Insert(NAME, written.removeprefix(NAME + b": ").removesuffix(b"\r\n")))
    return Signed(tuple(made))


class _Draft:
    """The message as it is about to be signed."""

    def __init__(self, header: Header, kept: Sequence[Field], added: Sequence[Insert], incoming: Incoming) -> None:
        from ...facts.dkim_crypto import Bodies

        self.fields = [(field.name.encode("ascii"), field.raw) for field in kept]
        self.fields += [(one.name, b" " + one.value) for one in added]
        self.names = [name.decode("ascii").lower() for name, _ in self.fields]
        self.added = frozenset(one.name.decode("ascii").lower() for one in added)
        self.body = Bodies(incoming.octets, header.body)
        self.standing = header.all("dkim-signature")[:MAX_SIGNATURES]
        self.now = int(incoming.received.timestamp())

    def signed_by(self, keys: Sequence[Key], signed: Sequence[str]) -> set[str]:
        """The names of those keys of which a signature stands already, is good now, and covers what was added (of `signed`)."""
        names = {key.name: key for key in keys}
        records: dict[tuple[str, str], PublishedKey | Unavailable] = {}
        standing: list[SignatureField] = []
        must = self.added.intersection(signed)
        for index, field in enumerate(self.standing):
            try:
                one = parse_signature(field.text)
            except DkimSyntaxError:
                continue
            key = names.get(one.key_name.lower())
            if key is None or not must.issubset(one.signed):
                continue
            answer = Found(((key.record.encode("ascii"),),), 0)
            records[one.selector, one.domain] = published(one.selector, one.domain, Via.NAMED, answer)
            standing.append(SignatureField(index, field, one.tags, one))
        if not standing:
            return set()
        verdicts = judge(self.fields, self.body, DkimSignatures(tuple(standing)), DkimKeys(records), self.now)
        return {
            field.label.lower() for field, one in zip(standing, verdicts.each, strict=True) if one.result is DkimResult.PASS
        }


def _keys(header: Header, credential: Credential | None, keyring: Keyring) -> tuple[list[Key], str | None]:
    """The keys of the author's domain, or in words why none is taken."""
    authors = header.all("from")
    if len(authors) != 1:  # RFC 5322 section 3.6 wants one; of several each reader picks another (attack 37)
        return [], f"there are {len(authors)} From fields"
    try:
        domains = {to_ascii(box.domain) for box in parse_addresses(authors[0].text).mailboxes}
    except (HeaderError, BadName) as error:
        return [], f"the From field cannot be read: {error}"
    chosen = {keyring.nearest(domain) for domain in domains}
    if len(chosen) != 1:
        return [], "the authors' domains have different keys" if chosen else "the From field names no mailbox"
    if credential is not None and credential.domains:
        for domain in sorted(domains):
            if not any(is_within(domain, own) for own in credential.domains):
                return [], f"{credential.name} may not send for {domain}"
    keys = chosen.pop()
    return list(keys), None if keys else f"there is no key for {min(domains)} or a domain above it"
