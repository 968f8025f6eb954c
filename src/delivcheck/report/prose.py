"""The prose of a rule's page on a terminal: paragraphs wrapped, records and code as they are, to be copied.

Pages use a little Markdown: a paragraph, a line indented by four spaces, a fenced block, and a line that is one code span.
"""

from collections.abc import Iterator

from .paint import cells, visible, wrapped

CODE_INDENT = "  "
LEAST_INDENT = "    "  # of code that fits only so: what the terminal breaks is copied broken


def prose(text: str, width: int, first: str, rest: str | None = None, *, airy: bool = False) -> list[str]:
    """Lay out prose; `first` begins its first line, `rest` the others. With `airy`, empty lines between blocks are kept."""
    hang = " " * cells(first) if rest is None else rest
    lines: list[str] = []
    for kind, block in blocks(text):
        if kind == "blank":
            if airy and lines and lines[-1]:
                lines.append("")
        elif kind == "code":
            longest = max(cells(line) for line in block)
            hanging = f"{hang}{CODE_INDENT}"
            fits_only_there = cells(hanging) + longest > width >= cells(LEAST_INDENT) + longest
            lines += [f"{LEAST_INDENT if fits_only_there else hanging}{visible(line)}" for line in block]
        else:
            lines += wrapped(visible(" ".join(block)), width, hang, hang)
    while lines and not lines[-1]:
        lines.pop()
    if lines:
        lines[0] = first + lines[0][len(hang) :]
    return lines


def blocks(text: str) -> Iterator[tuple[str, list[str]]]:
    """The prose as (kind, lines): paragraph, code or blank."""
    running: list[str] = []
    fenced = False
    for line in text.strip("\n").split("\n"):
        bare = line.strip()
        fence = bare.startswith("```")
        code = fenced or line.startswith(("    ", "\t")) or _one_span(bare)
        if (fence or code or not bare) and running:
            yield "paragraph", running
            running = []
        if fence:
            fenced = not fenced
        elif code:
            yield "code", [bare[1:-1] if _one_span(bare) and not fenced else line if fenced else line.removeprefix("    ")]
        elif not bare:
            yield "blank", []
        else:
            running.append(bare)
    if running:
        yield "paragraph", running


def _one_span(line: str) -> bool:
    """Whether a line is nothing but one code span."""
    return len(line) > 2 and line[0] == line[-1] == "`" and "`" not in line[1:-1]
