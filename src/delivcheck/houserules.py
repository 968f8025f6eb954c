"""House rules: what a policy file may ask for in plain words, without Python.

`[[require]]` and `[[forbid]]` name a header, a link or an attachment that must or must not be there. Nothing cleverer: no
expression language (STYLE.md says when that may change).
"""

import re
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any
from urllib.parse import unquote

from .engine import Check, rule
from .facts.content import Attachments
from .facts.message import Links
from .mime.headers import display_text
from .mime.links import Link, Url
from .mime.message import Message
from .model import Basis, Findings, Level, Problem, Rule, Source, Stage, TargetKind, Undetermined

KINDS = ("header", "link", "attachment")
MAX_MATCHED = 2_048  # characters that a pattern is held against: Postfix's line_length_limit, which bounds body_checks
_KEYS = {"id", "matches", "level", "title", "why", "fix", *KINDS}
_ID = re.compile(r"[a-z0-9][a-z0-9-]*/[a-z0-9][a-z0-9-]*\Z")


class HouseRuleError(ValueError):
    """A house rule that cannot be used; the text names its key."""


def read(raw: Mapping[str, Any], policy: str) -> Iterator[tuple[Rule, Check]]:
    """The house rules of a parsed policy, each as a rule and its check. Raises HouseRuleError."""
    for word in ("require", "forbid"):
        tables = raw.get(word, [])
        if not isinstance(tables, list) or not all(isinstance(table, Mapping) for table in tables):
            raise HouseRuleError(f"{word}: write [[{word}]], once for each house rule")
        for number, table in enumerate(tables, 1):
            yield _made(table, word, f"{word} {number}", policy)


def _made(table: Mapping[str, Any], word: str, place: str, policy: str) -> tuple[Rule, Check]:
    for key in table:
        if key not in _KEYS:
            raise HouseRuleError(f"{place}: {key}: no such key; there are {', '.join(sorted(_KEYS))}")
    named = [kind for kind in KINDS if kind in table]
    if len(named) != 1:
        raise HouseRuleError(f"{place}: name one of {', '.join(KINDS)}")
    for key, value in table.items():
        if not isinstance(value, str):
            raise HouseRuleError(f"{place}: {key}: text is expected, not {value!r}")
    name = table.get("id", "")
    if not _ID.match(name):
        raise HouseRuleError(f"{place}: id: a name like acme/campaign-id is expected, not {name!r}")
    level = table.get("level", "error")
    if level not in list(Level):
        raise HouseRuleError(f"{place}: level: {level!r} is none of {', '.join(Level)}")
    kind = named[0]
    # A header is named and the whole of its value matched; of links and attachments there are no names, so what is named is the
    # pattern, found anywhere in them: `forbid link = "staging"` that had to fit the whole would silently forbid nothing.
    key = "matches" if kind == "header" else kind
    pattern = _pattern(table.get(key, ".*"), f"{place}: {key}")
    subject = table[kind] if kind == "header" else f"{'an' if kind == 'attachment' else 'a'} {kind} matching {table[kind]}"
    asks = f"{'asks for' if word == 'require' else 'forbids'} {subject}"
    form = f" of the form `{pattern.pattern}`" if kind != "header" or "matches" in table else ""
    what = f"the field `{table[kind]}`" if kind == "header" else f"{'an' if kind == 'attachment' else 'a'} {kind}"
    page = Rule(
        id=name,
        title=table.get("title", f"The policy {policy} {asks}"),
        level=Level(level),
        basis=Basis.PRACTICE,
        since="",
        why=table.get("why", f"The policy {policy} {asks}."),
        fix=table.get("fix", f"Add {what}{form}." if word == "require" else "Remove it."),
        targets=(TargetKind.MESSAGE,),
        stage=Stage.PRE_SIGN,
        source=(Source(f"policy {policy}", date.min),),
    )
    make = {"header": _header, "link": _link, "attachment": _attachment}[kind]
    return page, make(name, table[kind], pattern, required=word == "require")


def _pattern(text: str, place: str) -> re.Pattern[str]:
    try:
        return re.compile(
            text, re.DOTALL
        )  # or a line end in a name or URL, which readers never see, would keep it from matching
    except (re.error, RecursionError, OverflowError) as error:
        raise HouseRuleError(f"{place}: not a regular expression: {error}") from None


def _header(name: str, header: str, pattern: re.Pattern[str], *, required: bool) -> Check:
    @rule(name)
    def check(message: Message) -> Findings:
        fields = message.all(header.lower())
        # As it is written or as a reader sees it: encoded-words must not hide what is forbidden.
        texts = [(field.text, display_text(field)) for field in fields]
        short = [(field, each) for field, each in zip(fields, texts, strict=True) if max(map(len, each)) <= MAX_MATCHED]
        fitting = [field for field, each in short if any(map(pattern.fullmatch, each))]
        if required and not fields:
            yield Problem(f"there is no {header} field")
        elif required and short and not fitting:
            yield Problem(f"no {header} field is of the form {pattern.pattern}", fields[0].at)
        elif required:  # a second field beside the good one is read by some, so each has to be good
            strange = (field for field, _ in short if field not in fitting)
            yield from (Problem(f"one {header} field is not of the form {pattern.pattern}", field.at) for field in strange)
        else:
            yield from (Problem(f"there is a {field.name} field", field.at) for field in fitting)
        if len(short) < len(fields):
            yield _too_long(f"a {header} field")

    return check


def _link(name: str, wanted: str, pattern: re.Pattern[str], *, required: bool) -> Check:
    of_hosts = re.compile(pattern.pattern, pattern.flags | re.IGNORECASE)  # RFC 3986 section 3.2.2: hosts have no case

    def fits(link: Link) -> bool:
        place = _place(link.url)
        whole = f"{place}{link.url.path}" + ("" if link.url.query is None else f"?{link.url.query}")
        # As it is written or as a browser takes it: that drops white space inside and around (URL Standard section 4.4).
        forms = (link.raw, link.url.text, whole, unquote(whole))
        return any(pattern.search(form[:MAX_MATCHED]) for form in forms) or of_hosts.search(place[:MAX_MATCHED]) is not None

    @rule(name)
    def check(links: Links) -> Findings:
        fitting = [link for link in links.each if fits(link)]
        longer = any(len(link.raw) > MAX_MATCHED for link in links.each if link not in fitting)
        if required and not fitting:
            if links.unavailable:
                yield Undetermined(links.unavailable[0].reason)
            elif longer:
                yield _too_long("a link")
            else:
                yield Problem(f"no link matches {wanted}")
        elif not required:
            yield from (Problem(f"the link {link.raw} is there", link.at) for link in fitting)
            yield from (Undetermined(one.reason) for one in links.unavailable)
            if longer:
                yield _too_long("a link")

    return check


def _place(url: Url) -> str:
    """Scheme, host and port of a URL as a browser takes them: the host in A-labels and lower case; "" where it has none."""
    host = (url.host_ascii or url.host or "").lower()
    return f"{url.scheme or ''}://{host}{f':{url.port}' if url.port else ''}" if host else f"{url.scheme or ''}:"


def _attachment(name: str, wanted: str, pattern: re.Pattern[str], *, required: bool) -> Check:
    @rule(name)
    def check(attachments: Attachments) -> Findings:
        fitting, longer = [], False
        for one in attachments.each:
            names = (one.name or "", *one.other_names)
            if any(pattern.search(each[:MAX_MATCHED]) for each in names):
                fitting.append(one)
            else:
                longer = longer or any(len(each) > MAX_MATCHED for each in names)
        if required and all(one.part.nested for one in fitting):  # one in a message inside is not the message's own
            yield _too_long("the name of an attachment") if longer else Problem(f"no attachment is named {wanted}")
        elif not required:
            yield from (Problem(f"the attachment {one.name} is there", one.part.at) for one in fitting)
            yield from (Undetermined(one.reason) for one in attachments.unavailable)
            if longer:
                yield _too_long("the name of an attachment")

    return check


def _too_long(what: str) -> Undetermined:
    return Undetermined(f"{what} is longer than the {MAX_MATCHED:,} characters that house rules are matched against")
