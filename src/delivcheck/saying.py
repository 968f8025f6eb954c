"""How a message quotes what others wrote: in few characters, all of which print, with the rest counted or marked.

The texts are other people's and may be megabytes long, turn the writing round or move a terminal's cursor.
"""

from collections.abc import Sequence


def shortened(text: str, most: int) -> str:
    """At most `most` characters of a text, the last of them "…" if it goes on; what does not print is spelled out: <U+202E>."""
    cut = text if len(text) <= most else f"{text[: most - 1]}…"
    return cut if cut.isprintable() else "".join(one if one.isprintable() else f"<U+{ord(one):04X}>" for one in cut)


def in_one_line(text: str, most: int) -> str:
    """The same with white space collapsed: for prose, markup and addresses, where a line's end says nothing."""
    return shortened(" ".join(text.split()), most)


def listed(things: Sequence[str], most: int, between: str = ", ") -> str:
    """The first `most` of several, and how many more there are."""
    more = f" and {len(things) - most} more" if len(things) > most else ""
    return between.join(things[:most]) + more
