"""What the tests of the guide share: the configurations in deploy/, read as their programs read them."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
DEPLOY = ROOT / "deploy"
GUIDE = ROOT / "docs" / "gate.md"


def logical_lines(text):
    """Lines of main.cf or master.cf: comments away, continuations joined (postconf(5))."""
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    return re.sub(r"\n[ \t]+", " ", "\n".join(lines)).splitlines()


def settings_of(name):
    """The settings of a piece of main.cf in deploy/postfix."""
    pairs = (line.partition("=") for line in logical_lines((DEPLOY / "postfix" / name).read_text()))
    return {name.strip(): value.strip() for name, _, value in pairs}
