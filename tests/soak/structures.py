"""Messages with a program hidden in them, made from a number: each way of writing a name, a boundary or a part that readers differ on.

What a number makes never changes, so that a failing one can be named.
"""

from random import Random

PROGRAM = "TVqQAAMAAAAEAAAA//8AALgAAAAA"
NAME = "setup.exe"


def message(number: int) -> bytes:
    """One message with CRLF line ends, mostly."""
    made = _Maker(Random(number))
    lines = ["From: news@example.org", "To: joe@example.net", "Subject: Hello", "MIME-Version: 1.0"]
    made.random.shuffle(lines)
    lines += made.entity(0)
    made.spoil(lines)
    text = "\r\n".join(lines) + made.pick(["\r\n", "\r\n", "\r\n", ""])
    if made.rarely():
        text = text.replace("\r\n", "\n")
    return text.encode("utf-8", "surrogateescape")


class _Maker:
    """Makes the pieces, each in one of many forms."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.pick = random.choice

    def rarely(self) -> bool:
        return self.random.random() < 0.1

    def often(self) -> bool:
        return self.random.random() < 0.6

    # --- parts

    def entity(self, depth: int) -> list[str]:
        """Header and body of a part."""
        kind = self.pick(["multipart", "multipart", "program", "program", "text", "message"])
        if depth == 0 and self.often():
            kind = "multipart"
        if depth > 3 and kind in {"multipart", "message"}:
            kind = "program"
        return getattr(self, f"_{kind}")(depth)  # type: ignore[no-any-return]

    def _multipart(self, depth: int) -> list[str]:
        boundary = self.pick(["b", "b", f"b{depth}", f"b{depth}", "=_b", "a b", "b--", "-", "B", "=?us-ascii?Q?b?="])
        written = self.boundary(boundary)
        lines = [f"Content-Type: multipart/{self.pick(['mixed', 'alternative', 'related', 'digest', 'x'])}{written}"]
        if self.rarely():
            lines.insert(self.pick([0, 1]), f"Content-Type: multipart/mixed; boundary={self.pick(['other', 'b'])}")
        lines += ["", *self.pick([[], ["A preamble"], self.entity(9)])]
        for _ in range(self.random.randrange(1, 4)):
            lines += [self.delimiter(boundary), *self.entity(depth + 1)]
        if self.often():
            lines.append(self.delimiter(f"{boundary}--"))
            if self.often():
                lines += self.pick([["An epilogue"], self.entity(9), [self.delimiter(boundary), *self.entity(depth + 1)]])
                lines += self.pick([[], [self.delimiter(f"{boundary}--")]])
        return lines

    def _program(self, depth: int) -> list[str]:
        lines = []
        if self.often():
            lines.append(
                f"Content-Disposition: {self.pick(['attachment', 'inline', 'x', 'ATTACHMENT (c)'])}{self.name('filename')}"
            )
        kind = self.pick(["application/octet-stream", "text/plain", "image/png", "application", "message/x", "text/html"])
        if self.often() or not lines:
            lines.append(f"Content-Type: {kind}{self.name(self.pick(['name', 'name', 'filename']))}")
        if self.rarely():
            lines.append(f"Content-Disposition: attachment{self.name('filename')}")
        lines.append(
            f"Content-Transfer-Encoding: {self.pick(['base64', 'base64', '7bit', 'x-uuencode', 'BASE64 (c)', '', 'binary'])}"
        )
        self.random.shuffle(lines)
        return [*lines, "", PROGRAM]

    def _text(self, depth: int) -> list[str]:
        kind = self.pick(["text/plain", "text/plain; charset=utf-8", "text/html", "text/plain; format=flowed"])
        encoded = [f"begin {self.pick(['644', '0755', '66'])} {self.pick([NAME, 'a.txt'])}", '"35H', "`", "end"]
        return [f"Content-Type: {kind}", "", "Hello", *self.pick([[], [], encoded, ["=3D=C3=A9=", "x"]])]

    def _message(self, depth: int) -> list[str]:
        kind = self.pick(["message/rfc822", "message/rfc822", "message/global", "message/partial; id=a; number=1"])
        encoding = ["Content-Transfer-Encoding: base64"] if self.rarely() else []
        return [f"Content-Type: {kind}", *encoding, "", "From: a@example.org", *self.entity(depth + 1)]

    def delimiter(self, boundary: str) -> str:
        """A delimiter line, sometimes one that only some take for it."""
        return self.pick([""] * 12 + [" ", "x"]) + "--" + boundary + self.pick([""] * 12 + [" ", "\t", "x", " x", "\r"])

    # --- parameters

    def boundary(self, boundary: str) -> str:
        """The parameter, in one of its forms, sometimes beside another."""
        forms = [
            f'; boundary="{boundary}"',
            f'; boundary="{boundary}"',
            f'; boundary="{boundary}"',
            f"; boundary={boundary}",
            f'; boundary="{boundary}"; boundary=other',
            f'; boundary=other; boundary="{boundary}"',
            f'; boundary*0="{boundary[:1]}"; boundary*1="{boundary[1:]}"',
            f'; boundary*0=ot; boundary*1=her; boundary="{boundary}"',
            f'; boundary="{boundary}"; boundary*0=ot; boundary*1=her',
            f"; boundary*=us-ascii''{boundary}",
            f'; boundary((c))="{boundary}"; boundary=other',
            f'; charset=x boundary="{boundary}"',
            f';boundary = "{boundary}" (comment; boundary=other)',
            f'; (boundary=other) boundary="{boundary}"',
            f';\r\n boundary="{boundary}"',
            f'; BOUNDARY="{boundary}";',
            f'; x="a\\"; boundary=other; y="; boundary="{boundary}"',
            f"; boundary='{boundary}'",
            f'; boundary="{boundary} "',
        ]
        return self.pick(forms)

    def name(self, parameter: str) -> str:
        """A file name parameter, in one of its forms, mostly that of the program."""
        stem, dot, ending = NAME.partition(".")
        forms = [
            f'; {parameter}="{NAME}"',
            f"; {parameter}={NAME}",
            f'; {parameter}="a.txt"; {parameter}="{NAME}"',
            f'; {parameter}="{NAME}"; {parameter}="a.txt"',
            f"; {parameter}*=utf-8''{NAME}; {parameter}=a.txt",
            f"; {parameter}*=utf-8''a.txt; {parameter}={NAME}",
            f"; {parameter}*0={stem}; {parameter}*1={dot}{ending}",
            f"; {parameter}*1={dot}{ending}; {parameter}*0={stem}",
            f"; {parameter}*0=a.txt; {parameter}*0={stem}; {parameter}*1={dot}{ending}",
            f"; {parameter}*0={stem}; {parameter}*2={dot}{ending}",
            f"; {parameter}*0*=utf-8''{stem}; {parameter}*1*=%2E{ending}",
            f"; {parameter}*1={stem}; {parameter}*2={dot}{ending}",
            f'; {parameter}="=?utf-8?Q?{stem}=2E{ending}?="',
            f'; {parameter}="=?utf-8?B?c2V0dXAuZXhl?="',
            f"; {parameter}==?utf-8?Q?{stem}=2E{ending}?=",
            f'; {parameter}="=?utf-8?Q?{stem}?= =?utf-8?Q?=2E{ending}?="',
            f"; {parameter}*=\"utf-8''{NAME}\"",
            f"; {parameter}*=utf-8'{NAME}",
            f"; {parameter}*=x-none''{stem}%2E{ending}",
            f'; {parameter}="{NAME}. "',
            f'; {parameter}="a\\\\{NAME}"',
            f'; {parameter}="{stem}\\{dot}{ending}"',
            f'; {parameter}="{NAME}',
            f'; {parameter}="a.txt" {parameter}="{NAME}"',
            f'; {parameter}(c)="{NAME}"',
            f'; {parameter}="{NAME.upper()}" (a.txt)',
            f'; {parameter} = "{NAME}"',
            f'; {parameter}="{stem}\r\n {dot}{ending}"',
            f'; x=(; {parameter}="{NAME}"',
            f'; x="y\\"; {parameter}="{NAME}"',
            f"; {parameter}={stem} {NAME}",
            f"; {parameter}='{NAME}'",
            f'; {parameter}="{stem}{dot}{ending}\x00"',
            "",
        ]
        return self.pick(forms)

    # --- lines

    def spoil(self, lines: list[str]) -> None:
        """Sometimes lose, repeat, swap or break a line."""
        while self.rarely() and len(lines) > 4:
            at = self.random.randrange(len(lines) - 1)
            how = self.random.randrange(6)
            if how == 0:
                del lines[at]
            elif how == 1:
                lines.insert(at, lines[at])
            elif how == 2:
                lines[at], lines[at + 1] = lines[at + 1], lines[at]
            elif how == 3:
                lines[at] = " " + lines[at]
            elif how == 4:
                lines[at] = lines[at].replace(":", " :", 1)
            else:
                lines[at] += self.pick(["\x00", "\x0b", "\x0c", "\x85", "é", "\ufeff"])
