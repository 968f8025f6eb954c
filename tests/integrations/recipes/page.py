"""docs/hooks/recipes.md, read: the tests run what stands there, with hosts, ports, paths and passwords exchanged."""

import re
from functools import cache
from itertools import count
from pathlib import Path
from types import ModuleType

from markdown_it import MarkdownIt

_numbers = count(1)
PAGE = Path(__file__).parents[3] / "docs" / "hooks" / "recipes.md"


@cache
def sections() -> dict[str, dict[str, list[str]]]:
    """The fenced blocks of each section, by language. Keys are in the page's order; a section without blocks has {}."""
    found: dict[str, dict[str, list[str]]] = {}
    tokens = MarkdownIt().parse(PAGE.read_text())
    heading = ""
    for before, token in zip([tokens[0], *tokens], tokens, strict=False):
        if token.type == "inline" and before.type == "heading_open":
            heading = token.content
            found[heading] = {}
        elif token.type == "fence":
            found[heading].setdefault(token.info, []).append(token.content)
    return found


def prose(section: str) -> str:
    """The section as it is written."""
    made = re.search(rf"(?ms)^#+ {re.escape(section)}\n(.*?)(?=^#+ |\Z)", re.sub(r"(?ms)^```.*?^```$", "", PAGE.read_text()))
    assert made is not None, section
    return made[1]


def block(section: str, language: str, exchange: dict[str, object] | None = None, number: int = 0) -> str:
    """A block of a section, with some words exchanged; each must be there, or the test would not run what is documented."""
    text = sections()[section][language][number]
    for old, new in (exchange or {}).items():
        assert old in text, f"{section}: {old!r} is not on the page any more"
        text = text.replace(old, str(new))
    return text


def module(section: str, exchange: dict[str, object] | None = None, **names: object) -> ModuleType:
    """The section's first Python, run as a module with a name of its own, which Celery remembers; `names` are there before."""
    made = ModuleType(f"recipe_{re.sub(r'[^a-z]+', '_', section.lower())}_{next(_numbers)}")
    vars(made).update(names)
    exec(compile(block(section, "python", exchange), f"{PAGE}: {section}", "exec"), vars(made))
    return made
