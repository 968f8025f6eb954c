"""Rules about List-Unsubscribe, List-Unsubscribe-Post and List-Id themselves."""

from ...engine import rule
from ...facts.headers import RepeatedFields, is_no_reply
from ...facts.unsubscribe import ListUnsubscribe, MailtoAddresses, OneClick
from ...mime.message import Field, Message
from ...mime.words import decode_words
from ...model import Findings, Level, NotApplicable, Problem, Unavailable, Undetermined, Where
from ...records.list_id import ListIdError, parse_list_id
from ...records.unsubscribe import POST_VALUE, UnsubscribeError
from ...saying import shortened

TOP = Where(line=1, column=1)  # the place of what is missing
POST_FIELD = f"List-Unsubscribe-Post: {POST_VALUE}"

# RFC 2369 section 3 and RFC 2919 section 3: no more than one of each in a message
_LIST_FIELDS = frozenset(
    {"list-unsubscribe", "list-unsubscribe-post", "list-id", "list-help", "list-subscribe", "list-post", "list-owner"}
    | {"list-archive"}
)


@rule("unsubscribe/missing")
def missing(message: Message) -> Findings:
    if not message.all("List-Unsubscribe"):
        yield Problem("the message has no List-Unsubscribe field", TOP)


@rule("unsubscribe/no-https-uri")
def no_https_uri(found: ListUnsubscribe) -> Findings:
    uris = found.list.uris
    if not uris:
        raise NotApplicable("List-Unsubscribe has no address that can be read")
    if not found.list.of("https"):
        schemes = " and ".join(dict.fromkeys(uri.scheme for uri in uris))
        yield Problem(f"List-Unsubscribe has only {schemes} addresses", found.where(uris[0]))


@rule("unsubscribe/post-missing")
def post_missing(found: ListUnsubscribe, post: OneClick | NotApplicable) -> Findings:
    if not found.list.of("https"):
        raise NotApplicable("List-Unsubscribe has no https address to post to")
    if isinstance(post, NotApplicable):
        yield Problem("there is no List-Unsubscribe-Post field", found.field.at, fix=POST_FIELD)


@rule("unsubscribe/post-value-wrong")
def post_value_wrong(post: OneClick) -> Findings:
    fault = post.fault
    if fault is not None:
        # Catalogue T072: receivers compare octets, but by the grammar a difference in case is none.
        level = Level.WARNING if fault.kind == "case" else None
        yield Problem(f"List-Unsubscribe-Post: {fault.message}", _at(post.field, fault), level, POST_FIELD)


@rule("unsubscribe/several-web-uris")
def several_web_uris(found: ListUnsubscribe, post: OneClick) -> Findings:  # noqa: ARG001 -- without it any number is fine
    web = found.list.web
    if len(web) > 1:
        yield Problem(f"List-Unsubscribe has {len(web)} web addresses, one-click takes one", found.where(web[1]))


@rule("unsubscribe/plain-http")
def plain_http(found: ListUnsubscribe, post: OneClick) -> Findings:  # noqa: ARG001 -- without it nothing is promised
    web = found.list.web
    if web and all(uri.scheme == "http" for uri in web):
        yield Problem(f"the one-click address is {shortened(web[0].text, 200)}", found.where(web[0]))


@rule("unsubscribe/post-without-web-uri")
def post_without_web_uri(post: OneClick, found: ListUnsubscribe | NotApplicable) -> Findings:
    if isinstance(found, NotApplicable):
        yield Problem("List-Unsubscribe-Post stands there and no List-Unsubscribe field", post.field.at)
    elif not found.list.web:
        yield Problem("List-Unsubscribe-Post stands there and no http or https address to post to", post.field.at)


@rule("unsubscribe/repeated-header")
def repeated_header(repeated: RepeatedFields) -> Findings:
    for fields in repeated.among(_LIST_FIELDS):
        yield Problem(f"{fields[0].name} stands there {len(fields)} times", fields[1].at)


@rule("unsubscribe/malformed")
def malformed(found: ListUnsubscribe) -> Findings:
    for fault in found.list.faults:
        if fault.kind == "encoded-word":
            continue  # unsubscribe/encoded-word
        if fault.kind == "space" and _is_fold(found.field, fault):
            # RFC 2369 section 2: clients should ignore white space that was inserted, and most do
            yield Problem("List-Unsubscribe is folded inside a URI", _at(found.field, fault), Level.WARNING)
            continue
        level = Level.WARNING if fault.kind in {"bracket", "empty-item"} else None
        yield Problem(f"List-Unsubscribe: {fault.message}", _at(found.field, fault), level)


def _is_fold(field: Field, fault: UnsubscribeError) -> bool:
    """Whether the white space is that of a folded line (RFC 5322 section 2.2.3)."""
    place = field.raw_offset(fault.span[0])
    return field.raw[place - 1 : place] == b"\n"  # the offset of white space that a fold leaves is behind the line end


def _at(field: Field, fault: UnsubscribeError) -> Where:
    start, end = fault.span
    return field.where(start, end) if start < end else field.at


@rule("unsubscribe/encoded-word")
def encoded_word(found: ListUnsubscribe) -> Findings:
    for fault in found.list.faults:
        if fault.kind == "encoded-word":
            start, end = fault.span
            meant = decode_words(found.field.text[start:end]).strip(" ,<>")
            yield Problem(f"encoded-words stand where the address {shortened(meant, 100)} belongs", _at(found.field, fault))


@rule("unsubscribe/no-mailto")
def no_mailto(found: ListUnsubscribe) -> Findings:
    if not found.list.of("mailto"):
        yield Problem("List-Unsubscribe has no mailto address", found.field.at)


@rule("unsubscribe/on-transactional")
def on_transactional(message: Message) -> Findings:
    for post in message.all("List-Unsubscribe-Post")[:1]:
        yield Problem("one-click unsubscribe is offered on transactional mail", post.at)


@rule("unsubscribe/no-list-id")
def no_list_id(message: Message) -> Findings:
    if not message.all("List-Id"):
        yield Problem("the message has no List-Id field", TOP)


@rule("unsubscribe/list-id-malformed")
def list_id_malformed(message: Message) -> Findings:
    fields = message.all("List-Id")
    if not fields:
        raise NotApplicable("there is no List-Id field")
    try:
        parse_list_id(fields[0].text)
    except ListIdError as error:
        start, end = error.span
        yield Problem(f"List-Id: {error}", fields[0].where(start, end) if start < end else fields[0].at)


@rule("unsubscribe/mailto-undeliverable")
def mailto_undeliverable(found: ListUnsubscribe, addresses: MailtoAddresses) -> Findings:
    for one in addresses.each:
        where = found.where(one.uri)
        if one.fault is not None:
            yield Problem(one.fault, where)
            continue
        if is_no_reply(one.address):
            yield Problem(f"the unsubscribe address {shortened(one.address, 100)} is a no-reply address", where)
        if isinstance(one.takes_mail, Unavailable):
            yield Undetermined(one.takes_mail.reason, one.takes_mail.where)
        elif not one.takes_mail:
            yield Problem(f"{one.domain} takes no mail, so nobody leaves by {shortened(one.address, 100)}", where)
