"""The rule book as a site: static pages from the same data as `explain`, without scripts or fetches from elsewhere.

Everything that comes from a page or a table is escaped: a folder of rules may be anybody's.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from html import escape
from itertools import groupby

from ..mailboxes import MailboxProvider, Told, answers_to
from ..model import Example, Level, Rule, Source
from .page import BASES, OUTCOMES, STAGES, answered, given
from .prose import blocks

STYLE_FILE = "style.css"
_STYLE = """\
:root { color-scheme: light dark }
:root { --ink: #1b1f24; --paper: #fff; --soft: #57606a; --line: #d8dee4; --box: #f6f8fa; --link: #0550ae }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6edf3; --paper: #0d1117; --soft: #9aa4af; --line: #30363d; --box: #161b22; --link: #79b8ff }
}
body { margin: 0 auto; max-width: 60rem; padding: 1.5rem; background: var(--paper); color: var(--ink) }
body { font: 1rem/1.55 system-ui, sans-serif }
a { color: var(--link) }
nav { margin-bottom: 1.5rem; color: var(--soft) }
h1 { font-size: 1.6rem; line-height: 1.25 }
h2 { font-size: 1.15rem; margin-top: 2rem; border-bottom: 1px solid var(--line); padding-bottom: .25rem }
h3 { font-size: 1rem; margin: 1.5rem 0 .5rem }
pre, code { font: .875rem/1.45 ui-monospace, monospace }
pre { background: var(--box); border: 1px solid var(--line); border-radius: 4px; padding: .75rem; overflow-x: auto }
code { overflow-wrap: anywhere }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; vertical-align: top; padding: .3rem .75rem .3rem 0; border-bottom: 1px solid var(--line) }
.scroll { overflow-x: auto }
.level { white-space: nowrap; font-weight: 600 }
.id { color: var(--soft) }
"""


def site(
    rules: Mapping[str, Rule], levels: Mapping[str, Mapping[str, Level]], tables: Mapping[str, MailboxProvider], version: str
) -> Iterator[tuple[str, str]]:
    """Every file of the site by its path. `levels` are each rule's under each shipped policy."""
    yield STYLE_FILE, _STYLE
    yield "index.html", _index(rules, levels, tables, version)
    for rule in rules.values():
        yield f"{rule.id}.html", _rule(rule, rules, levels[rule.id], list(answers_to(rule.id)))
    for name, one in tables.items():
        yield f"providers/{name}.html", _provider(one, rules)


def _document(title: str, body: Iterable[str], depth: int, trail: str = "") -> str:
    """One page; `depth` is how many folders it lies below the index."""
    up = "../" * depth
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(title)}</title>",
            f'<link rel="stylesheet" href="{up}{STYLE_FILE}">',
            "</head>",
            "<body>",
            f'<nav><a href="{up}index.html">delivcheck rule book</a>{trail}</nav>',
            *body,
            "</body>",
            "</html>",
            "",
        ]
    )


# --- the index ---------------------------------------------------------------------------------------------------


def _index(
    rules: Mapping[str, Rule], levels: Mapping[str, Mapping[str, Level]], tables: Mapping[str, MailboxProvider], version: str
) -> str:
    families = [(family, list(each)) for family, each in groupby(rules.values(), key=lambda rule: rule.family)]
    body = [
        "<h1>The rules of delivcheck</h1>",
        f"<p>{len(rules)} rules of version {escape(version)}, with the level each has under the policy <code>bulk</code>.</p>",
        "<p>" + " · ".join(f'<a href="#{escape(family)}">{escape(family)}</a>' for family, _ in families) + "</p>",
        "<h2>What mailbox providers answer</h2>",
        "<p>"
        + " · ".join(f'<a href="providers/{escape(name)}.html">{escape(one.title)}</a>' for name, one in tables.items())
        + "</p>",
    ]
    for family, each in families:
        body += [f'<h2 id="{escape(family)}">{escape(family)}</h2>', '<div class="scroll"><table>']
        for rule in each:
            level = levels[rule.id].get("bulk", rule.level)
            body.append(
                f'<tr><td class="level">{level}</td><td><a href="{escape(rule.id)}.html">{_spans(rule.title)}</a><br>'
                f'<code class="id">{escape(rule.id)}</code></td></tr>'
            )
        body.append("</table></div>")
    return _document("The rules of delivcheck", body, 0)


# --- a rule ------------------------------------------------------------------------------------------------------


def _rule(rule: Rule, rules: Mapping[str, Rule], levels: Mapping[str, Level], answers: list[Told]) -> str:
    body = [f"<h1>{_spans(rule.title)}</h1>", f"<p><code>{escape(rule.id)}</code></p>", *_facts(rule, levels)]
    for heading, text in (("Why", rule.why), ("Fix", rule.fix)):
        body += [f"<h2>{heading}</h2>", *prose(text)]
    if answers:
        said = [f"<li>{_linked(one)}</li>" for one in answers]
        body += ["<h2>What providers answer</h2>", "<ul>", *said, "</ul>"]
    body += ["<h2>Sources</h2>", "<ul>"]
    for source in rule.source:
        name = _source(source)
        body.append(f"<li>{name}, read {source.checked}</li>")
    body.append("</ul>")
    if rule.example:
        body.append("<h2>Examples</h2>")
        for example in rule.example:
            body += _example(example)
    linked = [name for name in (*rule.see, *rule.explains) if name in rules]
    if linked:
        body += [
            "<h2>See also</h2>",
            "<p>" + ", ".join(f'<a href="../{escape(name)}.html">{escape(name)}</a>' for name in linked) + "</p>",
        ]
    trail = f' › <a href="../index.html#{escape(rule.family)}">{escape(rule.family)}</a>'
    return _document(f"{rule.id}: {rule.title}", body, 1, trail)


def _linked(told: Told) -> str:
    """A provider's answer, its name linked to the table."""
    rest = escape(answered(told)[len(told.title) :])
    return f'<a href="../providers/{escape(told.provider)}.html">{escape(told.title)}</a>{rest}'


def _source(source: Source) -> str:
    """Its name, linked where the address opens a page: another's folder of rules could name `javascript:`."""
    if source.url is None or not source.url.startswith(("https://", "http://")):
        return escape(source.name)
    return f'<a href="{escape(source.url)}">{escape(source.name)}</a>'


def _facts(rule: Rule, levels: Mapping[str, Level]) -> list[str]:
    by_level: dict[Level, list[str]] = {}
    for policy, level in levels.items():
        by_level.setdefault(level, []).append(policy)
    said = "; ".join(
        f"{level} in {', '.join(names)}" for level, names in sorted(by_level.items(), key=lambda one: -one[0].rank)
    )
    rows = [
        ("Level", said),
        ("Basis", BASES[rule.basis]),
        ("Inspects", ", ".join(rule.targets)),
        ("Judged", STAGES[rule.stage]),
    ]
    rows += [("Class", f"{rule.class_} mail only")] if rule.class_ is not None else []
    rows += [("Volume", f"{rule.volume}-volume senders only")] if rule.volume is not None else []
    rows += [("SpamAssassin", ", ".join(rule.spamassassin))] if rule.spamassassin else []
    rows += [("rspamd", ", ".join(rule.rspamd))] if rule.rspamd else []
    rows += [("Since", rule.since)] if rule.since else []
    return [
        '<div class="scroll"><table>',
        *(f"<tr><th>{name}</th><td>{escape(text)}</td></tr>" for name, text in rows),
        "</table></div>",
    ]


def _example(example: Example) -> list[str]:
    lines = [f"<h3>{OUTCOMES.get(example.is_, example.is_).capitalize()}: {escape(example.name)}</h3>"]
    shown = [*([f"domain {example.domain}"] if example.domain else []), *(f"{name}: {value}" for name, value in given(example))]
    shown += [
        f"{question}  {record}"
        for question, answer in example.dns.items()
        for record in (answer if isinstance(answer, list) else [answer])
    ]
    shown += example.zone.strip("\n").split("\n") if example.zone else []
    text = next((one for one in (example.message, example.raw, example.template) if one is not None), None)
    shown += [*([""] if shown else []), *text.strip("\n").split("\n")] if text is not None else []
    if shown:
        lines.append(f"<pre>{escape(_CONTROL.sub('�', chr(10).join(map(str, shown))))}</pre>")
    return [*lines, f"<p>Says: {escape(example.says)}</p>"] if example.says else lines


_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


# --- a provider --------------------------------------------------------------------------------------------------


def _provider(one: MailboxProvider, rules: Mapping[str, Rule]) -> str:
    body = [f"<h1>What {escape(one.title)} answers</h1>", f"<p>{escape(one.who[:1].upper() + one.who[1:])}.</p>"]
    body += ['<div class="scroll"><table>', "<tr><th>Answer</th><th>To</th><th>Source</th></tr>"]
    for answer in one.answer:
        codes = ", ".join(f"<code>{escape(code)}</code>" for code in ((answer.code, *answer.also) if answer.code else ()))
        words = f"“{escape(answer.text)}”" if answer.text else ""
        whose = ", ".join(
            filter(
                None,
                [f"{answer.volume}-volume senders" if answer.volume else "", f"{answer.class_} mail" if answer.class_ else ""],
            )
        )
        to = ", ".join(
            f'<a href="../{escape(name)}.html">{escape(name)}</a>' if name in rules else escape(name) for name in answer.names
        )
        source = one.sources[answer.source]
        name = _source(source)
        section = f", {escape(answer.section)}" if answer.section else ""
        what = "<br>".join(filter(None, [f"<strong>{answer.effect}</strong> {codes}", words, whose]))
        to = to or "nothing that can be seen in a message or in DNS"
        body.append(f"<tr><td>{what}</td><td>{to}</td><td>{name}{section}, read {source.checked}</td></tr>")
    body.append("</table></div>")
    if one.row:
        body += ["<h2>Rows of its own compliance page</h2>", '<div class="scroll"><table>']
        body += [f"<tr><th><code>{escape(row.name)}</code></th><td>{escape(', '.join(row.rules))}</td></tr>" for row in one.row]
        body.append("</table></div>")
    return _document(f"What {one.title} answers", body, 1)


# --- prose -------------------------------------------------------------------------------------------------------


def prose(text: str) -> Iterator[str]:
    """A page's little Markdown as HTML: paragraphs, code blocks, code spans."""
    for kind, together in groupby(blocks(text), key=lambda block: block[0]):
        if kind == "code":
            yield f"<pre>{escape(chr(10).join(line for _, lines in together for line in lines))}</pre>"
        elif kind == "paragraph":
            for _, lines in together:
                yield f"<p>{_spans(' '.join(lines))}</p>"


def _spans(text: str) -> str:
    """Escaped text with its code spans marked; a lone backtick stays one."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))
