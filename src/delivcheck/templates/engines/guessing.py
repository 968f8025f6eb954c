"""Which template language a text is written in, where neither its file's name nor the configuration tells.

The languages share their braces. What tells them apart are words that only one of them has: each sign is a vote.
"""

import re
from collections import Counter
from collections.abc import Mapping

MAX_LOOKED_AT = 1_000_000  # characters; the signs of a language stand all over a template

_TAG = re.compile(r"\{%[-+]?\s{0,99}(\w{1,40})")
_OUTPUT = re.compile(r"\{\{\{?([^{}]{0,400})\}\}")
_BARS = re.compile(r"(?<!\\)\{\{\{?~?\s{0,9}([#^/>!&$<=@*]|else\b|\.\./|this\b)([^{}]{0,400})\}\}")

_WORDS: Mapping[str, frozenset[str]] = {
    name: frozenset(words.split())
    for name, words in {
        "jinja2": "set endset macro endmacro call endcall import from do trans endtrans filter elif extends block endblock",
        "django": "load url static blocktrans endblocktrans blocktranslate endblocktranslate translate trans with endwith now "
        "verbatim spaceless widthratio regroup firstof csrf_token ifequal empty autoescape endautoescape "
        "get_current_language language endlanguage filter elif extends block endblock",
        "liquid": "assign capture endcapture case when endcase elsif unless endunless render increment decrement tablerow "
        "endtablerow liquid echo connected_content abort_message layout schema paginate",
    }.items()
}
_LIQUID_FILTERS = (
    r"(?:upcase|downcase|money\w*|append|prepend|plus|minus|times|divided_by|strip_html|newline_to_br|handleize|img_url|image_url|size|"
    r"property_accessor|format_date|titlecase)"
)
_SIGNS: tuple[tuple[str, re.Pattern[str], int], ...] = tuple(
    (name, re.compile(pattern), votes)
    for name, pattern, votes in (
        ("liquid", r"\|\s{0,9}\w{1,40}:\s", 2),  # | date: "%d"
        ("liquid", rf"\|\s{{0,9}}{_LIQUID_FILTERS}\b", 3),
        ("django", r"\|\w{1,40}:[\"'\w]", 3),  # |date:"d"
        ("django", r"\|\s?(?:safe|linebreaks\w*|floatformat|force_escape|escapejs|urlize)\b(?!\()", 1),
        ("jinja2", r"\|\s{0,9}\w{1,40}\(", 3),  # | default("x")
        ("jinja2", r"\w\(", 2),  # a call
        ("jinja2", r"\bloop\.|\bis (?:not )?(?:defined|none)\b|\[[\"']|\s~\s|\belse\b", 2),
        ("jinja2", r"\|\s{0,9}(?:e|upper|lower|title|tojson|safe|trim|int|round)\b", 1),
        ("django", r"\bforloop\.", 1),
        ("liquid", r"\bforloop\.", 1),
        ("jinja2", r"\|", 1),
    )
)
_CODE = re.compile(r"\{[{%]([^{}]{0,400})[%}]\}")
_HELPERS = re.compile(
    r"[#^/]\s{0,9}(?:if|each|unless|with|equals|notEquals|greaterThan|lessThan|and|or|extend|block|content)\b"
)
_CALLED = re.compile(r"\s{0,9}[#A-Za-z_][\w.-]{0,60}\s+(?:[\w.@]{1,60}\s{0,9}=|[\"'(\w@.])")  # {{formatDate date "x"}}
_ELSEWHERE: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("mailchimp", re.compile(r"\*\|[A-Z][\w:=.-]{0,60}\|\*")),
    ("salesforce", re.compile(r"%%(?:=\w{1,40}\(|\[|[A-Za-z_]\w{0,60}%%)")),
    ("sendgrid", re.compile(r"\[%\s{0,9}\w{1,60}\s{0,9}%\]|<%\s{0,9}(?:body|subject|asm_\w{1,40})\s{0,9}%>")),
)
_BRAZE = re.compile(r"\{\{\s{0,9}[\w.]{0,60}\$\{|\{%\s{0,9}(?:connected_content|abort_message)\b[^%]{0,400}\$\{")


CLOSE = 3  # votes between the first and the second language, below which a text alone does not tell
_TAGGED = ("jinja2", "django", "liquid")  # the languages of `{% … %}`


def votes_for(text: str) -> Counter[str]:
    """How much speaks for each of the languages that have `{% … %}`; empty for a text that has none of it."""
    text = text[:MAX_LOOKED_AT]
    tags = Counter(_TAG.findall(text))
    return _votes(text, tags) if tags else Counter()


def asks_neighbours(text: str) -> bool:
    """Whether a text alone does not tell: `{% include "x" %}` is Jinja2, Django and Liquid, `{{ name }}` everybody's."""
    text = text[:MAX_LOOKED_AT]
    if votes := votes_for(text):
        return _is_close(votes)
    return not _BARS.search(text) and _OUTPUT.search(text) is not None


def _is_close(votes: Counter[str]) -> bool:
    first, second, *_ = sorted((votes[name] for name in _TAGGED), reverse=True)
    return first - second < CLOSE


def guess(text: str, near: Counter[str] | None = None) -> str:
    """The engine's name, as the registry has it; "html" where no code of a known language is found.

    `near` are the votes of files beside it, which count where it is close.
    """
    text = text[:MAX_LOOKED_AT]
    if _BRAZE.search(text):
        return "braze"
    tags = Counter(_TAG.findall(text))
    votes = _votes(text, tags)
    if tags:
        if near and _is_close(votes):
            votes += near
        return max(_TAGGED, key=lambda name: votes[name])
    bars = [(sign, rest) for sign, rest in _BARS.findall(text)]
    outputs = _OUTPUT.findall(text)
    if near and outputs and not bars:
        return max(_TAGGED, key=lambda name: votes[name] + near[name])
    if bars or outputs:
        return _bars(bars, outputs, votes)
    return next((name for name, pattern in _ELSEWHERE if pattern.search(text)), "html")


def _votes(text: str, tags: Counter[str]) -> Counter[str]:
    votes: Counter[str] = Counter()
    for name, words in _WORDS.items():
        alone = words.difference(*(others for other, others in _WORDS.items() if other != name))
        votes[name] += sum(count * (5 if word in alone else 1) for word, count in tags.items() if word in words)
    code = "\n".join(_CODE.findall(text))
    for name, pattern, weight in _SIGNS:
        votes[name] += weight * len(pattern.findall(code))
    return votes


def _bars(bars: list[tuple[str, str]], outputs: list[str], votes: Counter[str]) -> str:
    """Where there are only curly brackets. A plain `{{name}}` is every language's: Mustache asks least of names."""
    handlebars = sum(
        sign in {"@", "else", "../", "this", "*"}
        or (sign in "#^/" and _HELPERS.match(sign + rest) is not None)
        or (sign == ">" and "=" in rest)
        or (sign == "#" and rest[:1] in {">", "*"})
        or (sign == "!" and rest.startswith("--"))
        for sign, rest in bars
    )
    if handlebars:
        return "handlebars"
    if bars:
        return "mustache"
    piped = [one for one in outputs if "|" in one or "(" in one]
    if piped:
        return max(_TAGGED, key=lambda name: votes[name])
    return "handlebars" if any(_CALLED.match(one) for one in outputs) else "mustache"
