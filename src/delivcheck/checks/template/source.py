"""Rules about a template's source, before it is rendered: variables without a default, without encoding, and the way out."""

import re
from collections.abc import Iterator

from ...engine import rule
from ...facts.roots import TemplateRole
from ...facts.template_source import MASK, Context, TemplateBodies, Used
from ...model import Findings, Level, NotApplicable, Problem, Undetermined
from ...records.placeholders import Kind
from ...rulefiles import data

_PARTS = {TemplateRole.HTML: "HTML", TemplateRole.PLAIN: "plain text"}


def _variables(bodies: TemplateBodies) -> Iterator[Used]:
    """The outputs that are one plain variable of the sender's, where a reader or a program at the other end gets them."""
    always = frozenset(data("templates")["names"]["always"])
    for one in bodies.used:
        name = one.placeholder.name
        known = name is None or name.split(".")[0].lower() in always
        if one.placeholder.kind is Kind.OUTPUT and not known and one.context is not Context.UNSEEN:
            yield one


# --- defaults ----------------------------------------------------------------------------------------------------


@rule("template/merge-field-without-default")
def merge_field_without_default(bodies: TemplateBodies) -> Findings:
    told: set[tuple[str, str]] = set()
    for one in _variables(bodies):
        name = one.placeholder.name or ""
        where = _place(one)
        if where is None or one.placeholder.sure or one.placeholder.has_default or (name, where) in told:
            continue
        if bodies.required.isdisjoint((name, name.partition(".")[0])):
            told.add((name, where))
            # Hardly anybody gives a link a default; that it is missing is told by the rendered message.
            level = Level.NOTE if one.context is Context.URL else None
            yield Problem(f"{one.text} in {where} has no default", one.at, level)


def _place(one: Used) -> str | None:
    """The place in words, None where a missing value does little harm."""
    if one.context is Context.SUBJECT:
        return "the subject"
    if one.greeted:
        return "the greeting"
    return one.attribute if one.context is Context.URL and not one.before else None


# --- encoding ----------------------------------------------------------------------------------------------------

_AUTHORITY = re.compile(
    rf"\A\s*(?:https?:)?//[^/?#]*\Z|\A\s*{MASK}[^?#]*\Z|\A\s*(?:mailto|tel|sms|cid|data|javascript):[^?]*\Z", re.IGNORECASE
)


@rule("template/unescaped-value")
def unescaped_value(bodies: TemplateBodies) -> Findings:
    told: set[tuple[str | None, str]] = set()
    for one in _variables(bodies):
        found = _in_url(one) if one.context is Context.URL else _in_html(one)
        if found is not None and (one.placeholder.name, found[0]) not in told:
            told.add((one.placeholder.name, found[0]))
            yield Problem(f"{one.text} {found[0]}", one.at, found[1])


def _in_url(one: Used) -> tuple[str, Level | None] | None:
    """What is wrong with a variable in a URL; one that begins the URL, or is its host, must not be encoded."""
    names = data("templates")["names"]
    last = one.placeholder.last_name
    if not one.before.strip() or not set(data("templates")["filters"]["url"]).isdisjoint(one.placeholder.filters):
        return None
    if any(last == name or last.endswith(f"_{name}") for name in names["plain"]):
        return None
    if "?" in one.before:
        return f"in the query of {one.attribute} is not URL-encoded", None
    if _AUTHORITY.match(one.before) or any(last == name or last.endswith(f"_{name}") for name in names["url"]):
        return None
    return f"in the path of {one.attribute} is not URL-encoded", Level.NOTE


def _in_html(one: Used) -> tuple[str, Level | None] | None:
    """What is wrong with a variable in the text: it goes unescaped, and its name does not say that it is HTML."""
    if not one.placeholder.raw or one.context is Context.SUBJECT or not one.in_html:
        return None
    last = one.placeholder.last_name
    if any(last == name or last.endswith(f"_{name}") for name in data("templates")["names"]["html"]):
        return None
    return "goes into the HTML unescaped", None


# --- the way out -------------------------------------------------------------------------------------------------


@rule("template/no-unsubscribe-variable")
def no_unsubscribe_variable(bodies: TemplateBodies, *, tags: tuple[str, ...] = ()) -> Findings:
    readable = [body for body in bodies.each if body.source.role in _PARTS]
    if not readable:
        raise NotApplicable("there is a subject only")
    for body in readable:
        if body.leaves or any(tag in body.source.text for tag in tags):
            continue
        what = f"the {_PARTS[body.source.role]} has no variable, tag or link for unsubscribing"
        if body.includes:
            yield Undetermined(f"{what}; the templates that it includes were not read", body.at)
        else:
            yield Problem(what, body.at)
