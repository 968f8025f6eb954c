"""Rules about what the sender declares the mail to be, and whether it looks like that."""

from ..engine import rule
from ..facts.declared_class import CLASS_FIELD, ClassFields
from ..facts.promotion import Promotion
from ..facts.roots import Declared, Octets
from ..model import Findings, MessageClass, Problem

MIN_SIGNS = 2  # ours (catalogue CLS002)


@rule("class/undeclared")
def undeclared(declared: Declared, octets: Octets) -> Findings:  # noqa: ARG001 -- only a message has a class
    # Catalogue T077: words do not tell a receipt from a newsletter. Without this warning a newsletter that
    # lacks what bulk mail needs would come out as a pass.
    if declared.message_class is None:
        yield Problem(
            "whether this mail is bulk or transactional was not declared, so what only one of them needs is undecided"
        )


@rule("class/promotion-in-transactional")
def promotion_in_transactional(found: Promotion) -> Findings:
    # A receipt has prices, links to what was bought, perhaps List-Unsubscribe: none of it counts without words that sell.
    signs = (*found.words, *found.others)
    if found.words and len(signs) >= MIN_SIGNS:
        told = ", ".join(sign.what for sign in signs)
        yield Problem(f"declared transactional, and shows {len(signs)} signs of promotion: {told}", found.words[0].at)


@rule("class/header-disagrees")
def header_disagrees(fields: ClassFields, declared: Declared) -> Findings:
    named: set[MessageClass] = set()
    for field, message_class in fields.each:
        if message_class is None:
            yield Problem(f"{CLASS_FIELD} names no class: {field.text.strip()[:60]!r}", field.at)
            continue
        named.add(message_class)
        if declared.message_class not in {None, message_class}:
            yield Problem(f"{CLASS_FIELD} says {message_class}, but the mail was declared {declared.message_class}", field.at)
    if len(named) > 1 and declared.message_class is None:
        yield Problem(f"{CLASS_FIELD} says both {' and '.join(sorted(named))}", fields.each[1][0].at)


@rule("class/header-not-trusted")
def header_not_trusted(fields: ClassFields, declared: Declared) -> Findings:
    if not declared.trusts_class_header:
        yield Problem(f"{CLASS_FIELD} was not read, and would leave the house with the message", fields.each[0][0].at)
