"""Reads DNS that is not published yet, in whichever format it is written: tells zone files, octoDNS and Terraform apart."""

import re
from pathlib import Path

from .zone import Zone, ZoneError, parse_zone

MAX_FILE = 64_000_000  # octets, as MAX_SNAPSHOT; the formats have smaller limits of their own
HEAD = 65_536  # characters in which the format has to show

_KNOWN = (  # what else gets handed over, by its first octets
    (b"PK\x03\x04", "a binary plan, or a ZIP archive: terraform show -json FILE makes the JSON that is read here"),
    (b"\x1f\x8b", "gzip-compressed: unpack it first"),
    (b"\xff\xfe", "stored as UTF-16: save it as UTF-8"),
    (b"\xfe\xff", "stored as UTF-16: save it as UTF-8"),
)
# The first line that says anything. In a zone file it begins with a name or a directive, and no name ends in a colon; YAML
# begins with a document mark or a key. A comment is ";" there and "#" here.
_YAML = re.compile(r"""\s*(?:---(?:\s|$)|%YAML\s|\?\s|(?:'[^'\n]*'|"[^"\n]*"|[^\s'";#{}:][^\s'"#:]*)\s*:(?:\s|$))""")


def read(path: str | Path, origin: str | None = None) -> Zone:
    """Read a file. Raises ZoneError, nothing else."""
    path = Path(path)
    try:
        with path.open("rb") as file:  # no stat: it may be a pipe, as in <(git show HEAD:example.org.zone)
            data = file.read(MAX_FILE + 1)
    except OSError as error:
        raise ZoneError(f"{path}: {error.strerror}") from None
    except ValueError as error:  # a NUL in the path
        raise ZoneError(f"{str(path)[:80]!r}: {error}") from None
    return parse(data, str(path), origin)


def parse(data: str | bytes, file: str = "zone", origin: str | None = None) -> Zone:
    """Read a file's content. `origin` is the zone where the content does not name it. Raises ZoneError, nothing else."""
    if len(data) > MAX_FILE:
        raise ZoneError(f"{file}: longer than {MAX_FILE} octets")
    octets = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
    for magic, what in _KNOWN:
        if octets.startswith(magic):
            raise ZoneError(f"{file}: {what}")
    try:
        text = octets.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise ZoneError(f"{file}:{line}: not UTF-8") from None
    if text.lstrip()[:1] == "{":
        from . import terraform

        return terraform.parse(text, file, origin)
    if _is_yaml(text, file):
        from . import octodns

        return octodns.parse(text, file, origin)
    return parse_zone(text, file, origin)


def _is_yaml(text: str, file: str) -> bool:
    for line in text[:HEAD].splitlines():
        bare = line.strip()
        if bare[:1] == ";":
            return False
        if bare and bare[0] != "#":
            return _YAML.match(line) is not None
    return file.lower().endswith((".yaml", ".yml"))  # nothing but comments so far
