"""Sources in a dictionary, and what the tests of several engines ask of a rendering."""

from delivcheck.templates.model import Rendered, Source, TemplateMissing


class Given:
    """Templates by name, as `templates.model.Sources`."""

    def __init__(self, **texts):
        self.texts = texts

    def find(self, name, asked_by=None, suffixes=("",)):
        for suffix in suffixes:
            if name + suffix in self.texts:
                return Source(name + suffix, self.texts[name + suffix])
        raise TemplateMissing(f"template {name} is not found")


def holds(made: Rendered) -> bool:
    """Pieces stand in order and cover all, and copies equal their source."""
    at = 0
    for piece in made.pieces:
        assert piece.start == at < piece.end
        if piece.copied:
            assert made.text[piece.start : piece.end] == made.sources[piece.file].text[piece.at : piece.until]
        at = piece.end
    return at == len(made.text)


def places(made: Rendered, fault: str) -> list[tuple[str, int]]:
    """The file and line of each place at which a fault stands in the rendered text; all are exact."""
    found, at = [], made.text.find(fault)
    while at >= 0:
        where = made.where(at, at + len(fault))
        assert not where.approximate
        found.append((where.file, where.line))
        at = made.text.find(fault, at + 1)
    return found


def lines_with(fault: str, **texts) -> list[tuple[str, int]]:
    """Where a fault was planted."""
    return [(name, number) for name, text in texts.items() for number, line in enumerate(text.split("\n"), 1) if fault in line]
