"""What MJML templates include, found without reading them as MJML: another language may have to write them first."""

import re
from collections.abc import Iterator

from ..model import Source, Sources, TemplateFault

SUFFIXES = ("", ".mjml")  # mjml's own: the suffix may be left out
MAX_FOUND = 1_000  # files

_INCLUDE = re.compile(r"<mj-include\b[^<>]{0,2000}?\bpath\s{0,9}=\s{0,9}[\"']([^\"'<>]{1,1000})[\"']", re.IGNORECASE)


def included(source: Source, sources: Sources) -> Iterator[Source]:
    """The files that a template includes, and those that they do, each once; what is not found is told when it is rendered."""
    waiting, seen = [source], {source.name}
    while waiting and len(seen) <= MAX_FOUND:
        one = waiting.pop()
        for name in _INCLUDE.findall(one.text):
            try:
                found = sources.find(name, one, SUFFIXES)
            except TemplateFault:
                continue
            if found.name not in seen:
                seen.add(found.name)
                waiting.append(found)
                yield found
