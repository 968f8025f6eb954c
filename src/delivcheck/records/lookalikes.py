"""Domain names that look like others: whole-script confusables and the skeletons of UTS #39 section 4.

Reduced to what a domain name can have and a reader takes for Latin; the table is `rules/data/lookalikes.toml`.
"""

from functools import lru_cache

from ..rulefiles import data
from .names import psl_organizational_domain
from .scripts import u_label

MAX_NAME = 253  # characters looked at; RFC 1035 section 2.3.4
_FOREIGN = ("Cyrillic", "Greek", "Armenian")


@lru_cache(maxsize=1)
def _letters() -> dict[str, str]:
    book = data("lookalikes")["letters"]
    return {letter: latin for script in (*_FOREIGN, "Latin") for letter, latin in book[script].items()}


@lru_cache(maxsize=1)
def _imitated() -> dict[str, str]:
    return {skeleton(name): name for name in data("lookalikes")["imitated"]["names"]}


@lru_cache(maxsize=4096)
def skeleton(name: str) -> str:
    """What a name is taken for at a glance: two names with the same skeleton can be mistaken for one another."""
    letters = _letters()
    shown = ".".join(u_label(label) for label in name[:MAX_NAME].split("."))
    text = "".join(letters.get(character, character) for character in shown)
    for pair, single in data("lookalikes")["ascii"]["pairs"].items():
        text = text.replace(pair, single)
    return text


@lru_cache(maxsize=4096)
def imitates(host: str, own: tuple[str, ...] = ()) -> str | None:
    """The name that the organization of a host (A-labels) looks like and is not: of `own`, or one that is imitated often."""
    domain = psl_organizational_domain(host)
    if domain in own:
        return None
    taken_for = skeleton(domain)
    found = next((name for name in own if skeleton(name) == taken_for), None) or _imitated().get(taken_for)
    return None if found == domain else found


@lru_cache(maxsize=4096)
def whole_script(host: str) -> tuple[str, str, str] | None:
    """The first label that looks Latin throughout and is of another script: label, its script and what it looks like.

    Labels under top-level domains where the script is at home are what they seem, as browsers have it.
    """
    labels = host[:MAX_NAME].split(".")
    top = labels[-1]
    if top.startswith("xn--"):
        return None
    book = data("lookalikes")
    for label in labels[:-1]:
        shown = u_label(label)
        if shown.isascii():
            continue
        for script in _FOREIGN:
            letters = book["letters"][script]
            if top not in book["where"][script] and all(one in letters or one in "-0123456789" for one in shown):
                return shown, script, "".join(letters.get(one, one) for one in shown)
    return None
