"""Asks `delivcheck daemon` whether a message may be sent: a program of its own, and the client's side of the protocol.

    python -I -S hook.py [options] [--then COMMAND ARGUMENT…] < message

It imports nothing of ours, and of the standard library what costs next to nothing: an interpreter alone takes 9 ms here,
`socket` would add 9 more, `json` as many again, `os` 1.4. The protocol is text, so that none of them is needed:

    CHECK/1 <octets>                    one request after the other on a connection, each of so many octets
    mail-from: bounces@example.org      then as many lines as there are things to say; what is not printable, and "%", is %XX,
    rcpt-to: pat@example.net            in octets of UTF-8; rcpt-to and rule may come several times
                                        an empty line, and the octets of the message, with CRLF
    refuse fail 550 5.7.1 01K…          what is wanted (send, refuse, defer, fault), the verdict, a reply's code and enhanced
    text: …                             code ("-": none), and the trace's id; then lines as above, the last of which may be
    report: <octets>                    the length of the report, which follows the empty line
    error …                             instead of all this: no request of this protocol; the connection is closed
"""

import sys
import time

try:
    import posix as system
except ImportError:  # an interpreter that has it under its public name only
    import os as system  # type: ignore[no-redef]
try:
    import _socket as socket
except ImportError:
    import socket  # type: ignore[no-redef]

VERSION = "CHECK/1"
SOCKET = "/run/delivcheck-daemon/socket"
DEADLINE = 10.0  # seconds a caller is kept waiting for the verdict
SPARE = 1.0  # seconds beyond it, for a daemon that is busy with others' messages
MAX_LINE = 2048  # octets of a line of a request; Postfix's line_length_limit. An address has up to 320, three times that as %XX
MAX_LINES = 5_000  # of a request: recipients, nearly all of them; five times Postfix's smtpd_recipient_limit
MAX_HEAD = 1_048_576  # octets of an answer before its report; a reason may name many rules
FULL = 0.01  # seconds until a daemon is tried again that has its queue full
SENT_BEFORE = (BrokenPipeError, ConnectionResetError)  # the daemon answers what is too large before it has it all

REFUSED, USAGE, SOFTWARE, UNREAD, TEMPFAIL = 1, 2, 70, 74, 75  # the last three are of sysexits.h

HELP = """\
usage: python -I -S hook.py [options] [--then COMMAND ARGUMENT...] < message

Asks `delivcheck daemon` whether the message on standard input may be sent. With --then COMMAND gets it, with CRLF as it was
judged, on its own standard input, if it may be sent.

  --mail-from ADDRESS       the envelope's sender
  --rcpt-to ADDRESS         a recipient; repeat it
  --stream NAME             the configuration's name for this kind of mail
  --policy NAME             a policy of ours, or one that the daemon's configuration names
  --class bulk|transactional
  --rule ID=LEVEL           a rule's level; repeat it
  --signed-later yes|no     whether the next hop signs [default: what carries no DKIM-Signature is signed]
  --smtputf8                the envelope says SMTPUTF8
  --observe                 judge and record; never stop anything
  --on-unknown send|raise   what was not judged, or could not be: send and record it [default], or exit with 75
  --record FILE             append a line of JSON for each message that is refused, or sent without a pass
  --deadline SECONDS        wait so long for the verdict [default: 10]
  --socket PATH             the daemon's [default: $DELIVCHECK_SOCKET, else /run/delivcheck-daemon/socket]
  --as-given                COMMAND gets the octets as they came in: sendmail(8) wants lines that end in LF
  --then COMMAND ...        all that follows is the command

Exit codes: 0 it may be sent (with --then: the command's own), 1 it is refused, 75 not now, 2 usage, 74 the message cannot be
read, 70 our own fault. Words are on stderr.
"""


class ProtocolError(ValueError):
    """What was said is not in the protocol, or the daemon says so of us."""


# --- the protocol ------------------------------------------------------------------------------------------------


def escaped(text: str) -> bytes:
    """A value as it stands in a line."""
    octets = text.encode("utf-8", "surrogatepass")
    if text.isprintable() and "%" not in text:
        return octets
    return b"".join(b"%%%02X" % one if one < 32 or one in b"\x7f%" else bytes((one,)) for one in octets)


def unescaped(octets: bytes) -> str:
    """The value. Raises ProtocolError."""
    first, *others = octets.split(b"%")
    try:
        return b"".join([first, *map(_one, others)]).decode("utf-8", "surrogatepass")
    except ValueError:
        raise ProtocolError(f"not UTF-8 with %XX: {octets[:60]!r}") from None


def _one(octets: bytes) -> bytes:
    """What stands between two "%": the escaped octet and the plain ones. Raises ValueError."""
    if not octets[:2].isalnum() or len(octets) < 2:  # fromhex passes blanks by
        raise ValueError("no hexadecimal digits")
    return bytes.fromhex(octets[:2].decode("ascii")) + octets[2:]


def head(octets: int, fields: "list[tuple[str, str]]") -> bytes:
    """A request without its message. Raises ProtocolError for what the daemon would not take."""
    lines = [b"%s: %s" % (name.encode("ascii"), escaped(value)) for name, value in fields]
    if len(lines) > MAX_LINES:
        raise ProtocolError(f"{len(lines)} recipients and rules; the daemon takes {MAX_LINES}")
    if max(map(len, lines), default=0) > MAX_LINE:
        raise ProtocolError(f"an address or name is too long; the daemon takes lines of {MAX_LINE} octets")
    return b"\n".join([b"%s %d" % (VERSION.encode("ascii"), octets), *lines, b"", b""])


class Answer:
    """What the daemon says of one message, field by field as `integrations.ruling.Ruling` has it."""

    def __init__(self, lines: "list[bytes]") -> None:
        """Read from the lines before the empty one. Raises ProtocolError."""
        first, *fields = lines
        words = unescaped(first).split(" ")
        if words[0] == "error":
            raise ProtocolError(f"the daemon says: {' '.join(words[1:])}")
        if len(words) != 5 or words[0] not in ("send", "refuse", "defer", "fault") or not words[2].isdecimal():
            raise ProtocolError(f"not the daemon's answer: {first[:60]!r}")
        said = {}
        for line in fields:
            name, colon, value = line.partition(b": ")
            if not colon:
                raise ProtocolError(f"not a line of the daemon's: {line[:60]!r}")
            said[name] = unescaped(value)
        self.wanted, self.verdict, self.code, self.trace = words[0], words[1], int(words[2]), words[4]
        self.enhanced = "" if words[3] == "-" else words[3]
        self.text, self.reason, self.bypass = said.get(b"text", ""), said.get(b"reason", ""), said.get(b"bypass")
        self.rules = said.get(b"rules", "").split()
        self.report = b""
        length = said.get(b"report", "0")
        if not length.isdecimal():
            raise ProtocolError(f"not the length of a report: {length[:60]!r}")
        self.length = int(length)


def ask(path: str, octets: bytes, fields: "list[tuple[str, str]]", deadline: float) -> Answer:
    """Ask about one message, to be judged within so many seconds. Raises OSError, ValueError (ProtocolError is one)."""
    end = time.monotonic() + deadline + SPARE
    first = head(len(octets), [*fields, ("deadline", f"{deadline:.3f}")])
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _connect(connection, path, end)
        try:
            _timed(connection, end).sendall(first)
            _timed(connection, end).sendall(octets)
        except SENT_BEFORE:
            pass
        return _read(connection, end)
    finally:
        connection.close()


def _timed(connection: "socket.socket", end: float) -> "socket.socket":
    left = end - time.monotonic()
    if left <= 0:
        raise TimeoutError("no answer in time")
    connection.settimeout(left)
    return connection


def _connect(connection: "socket.socket", path: str, end: float) -> None:
    while True:
        try:
            return _timed(connection, end).connect(path)
        except BlockingIOError:  # the queue is full; with a time limit Linux does not wait for room in it
            time.sleep(FULL)


def _read(connection: "socket.socket", end: float) -> Answer:
    got = b""
    while b"\n\n" not in got and len(got) <= MAX_HEAD:
        more = _timed(connection, end).recv(65536)
        if not more:
            break
        got += more
    before, empty, report = got.partition(b"\n\n")
    answer = Answer((before if empty else before.rstrip(b"\n")).split(b"\n"))  # raises for one that is an error, or cut off
    if not empty:
        raise ProtocolError("the daemon hung up in the middle of its answer")
    parts = [report]
    missing = answer.length - len(report)
    while missing > 0:
        more = _timed(connection, end).recv(min(missing, 1 << 20))
        if not more:
            raise ProtocolError("the daemon hung up in the middle of its report")
        parts.append(more)
        missing -= len(more)
    answer.report = b"".join(parts)
    return answer


# --- the program -------------------------------------------------------------------------------------------------


class UsageError(Exception):
    """Words of the command line that are not understood."""


class Options:
    """What the command line says."""

    def __init__(self, arguments: "list[str]") -> None:
        """Read it. Raises UsageError."""
        self.fields: list[tuple[str, str]] = []
        self.socket = self.record = ""
        self.observe = self.stop = self.as_given = False
        self.deadline = DEADLINE
        self.then: list[str] = []
        rest = list(reversed(arguments))
        while rest:
            name, equals, value = rest.pop().partition("=")
            if name == "--then" and not equals:
                self.then = rest[::-1]
                if not self.then:
                    raise UsageError("--then: a command is wanted")
                return
            if name in ("--observe", "--as-given", "--smtputf8") and not equals:
                self._flag(name)
                continue
            if name not in _VALUES:
                raise UsageError(f"{name}{equals}{value}: no such option")
            if not equals:
                if not rest:
                    raise UsageError(f"{name}: a value is wanted")
                value = rest.pop()
            self._value(name, value)

    def _flag(self, name: str) -> None:
        if name == "--observe":
            self.observe = True
        elif name == "--as-given":
            self.as_given = True
        else:
            self.fields.append(("smtputf8", "yes"))

    def _value(self, name: str, value: str) -> None:
        if _VALUES[name] and value not in _VALUES[name]:
            raise UsageError(f"{name}: {' or '.join(_VALUES[name])}, not {value!r}")
        if name == "--socket":
            self.socket = value
        elif name == "--record":
            self.record = value
        elif name == "--on-unknown":
            self.stop = value == "raise"
        elif name == "--deadline":
            try:
                self.deadline = float(value)
            except ValueError:
                self.deadline = -1.0
            if not 0 < self.deadline < 600:
                raise UsageError(f"{name}: seconds above 0 and below 600, not {value!r}")
        else:
            self.fields.append((name[2:], value))

    def first(self, name: str) -> "str | None":
        """What was said last under a name; None where nothing was."""
        return next((value for key, value in reversed(self.fields) if key == name), None)


_VALUES = {  # option: the words it takes, none for any
    "--socket": (),
    "--mail-from": (),
    "--rcpt-to": (),
    "--stream": (),
    "--policy": (),
    "--class": ("bulk", "transactional"),
    "--rule": (),
    "--signed-later": ("yes", "no"),
    "--on-unknown": ("send", "raise"),
    "--record": (),
    "--deadline": (),
}


def wire(message: bytes) -> bytes:
    """The octets to judge and to send, as `integrations.case.wire` makes them."""
    if b"\r" not in message:
        message = message.replace(b"\n", b"\r\n")
    return message if message.endswith(b"\r\n") else message + b"\r\n"


def main(arguments: "list[str]") -> int:
    """Judge what is on standard input; the exit code, unless another program has taken our place."""
    if arguments[:1] in (["-h"], ["--help"]):
        sys.stdout.write(HELP)
        return 0
    try:
        options = Options(arguments)
    except UsageError as error:
        say(f"{error} (see --help)")
        return USAGE
    try:
        if sys.stdin is None:
            raise OSError(0, "standard input is closed")
        given = sys.stdin.buffer.read()
        octets = wire(given)
    except (OSError, MemoryError) as error:
        say(f"the message cannot be read: {getattr(error, 'strerror', None) or type(error).__name__}")
        return UNREAD
    path = options.socket or system.environ.get(b"DELIVCHECK_SOCKET", SOCKET)
    path = path if isinstance(path, str) else path.decode("utf-8", "surrogateescape")
    try:
        answer = ask(path, octets, options.fields, options.deadline)
    except Exception as error:  # noqa: BLE001 -- no daemon, a slow one, another program there, no memory: a fault like others
        answer = _fault(f"{path}: {getattr(error, 'strerror', None) or str(error) or type(error).__name__}")
    what, reason, code = _follows(answer, options)
    if what:
        words = {"bypassed": "sent without a pass", "deferred": "not now"}.get(what, what)
        said = f"{answer.code} {answer.enhanced} {answer.text}" if code else f"{reason} ({answer.trace})"
        say(f"{words}: {said}{f' [{reason}]' if what == 'deferred' else ''}")
        if options.record:
            _write(options, answer, what, reason)
    return _then(options.then, given if options.as_given else octets) if options.then and not code else code


def _follows(answer: Answer, options: Options) -> "tuple[str, str, int]":
    """What becomes of the message ("" where it passed), why, and the exit code; as `integrations.guard` has it."""
    reason = answer.reason or answer.text
    if answer.wanted == "send":
        return ("", "", 0) if answer.bypass is None else ("bypassed", f"{answer.bypass}: {reason}", 0)
    if options.observe:
        return "bypassed", f"observe: {answer.wanted}: {reason}", 0
    if answer.wanted == "refuse":
        return "refused", reason, REFUSED
    if not options.stop and answer.verdict == "unknown":
        return "bypassed", f"{'fault' if answer.wanted == 'fault' else 'unknown'}: {reason}", 0
    return "deferred", reason, TEMPFAIL


def _fault(reason: str) -> Answer:
    trace = _ulid()
    made = Answer([b"fault unknown 451 4.3.0 " + trace.encode("ascii")])
    made.text, made.reason = f"it could not be checked just now, please try again ({trace})", reason
    return made


def _ulid() -> str:
    """A new id, as `delivcheck.ulid` makes them."""
    number = (time.time_ns() // 1_000_000) << 80 | int.from_bytes(system.urandom(10), "big")
    return "".join("0123456789ABCDEFGHJKMNPQRSTVWXYZ"[number >> shift & 31] for shift in range(125, -1, -5))


def say(line: str) -> None:
    """One line on stderr; nothing in it acts on a terminal."""
    try:
        sys.stderr.write(f"delivcheck: {''.join(one if one.isprintable() else ascii(one)[1:-1] for one in line)}\n")
        sys.stderr.flush()
    except (OSError, AttributeError):  # nobody listens, or there is no stderr
        return


def _write(options: Options, answer: Answer, what: str, reason: str) -> None:
    """Append the event, in one write, in the form of `integrations.bypass`."""
    now = time.time()
    recipients = [value for name, value in options.fields if name == "rcpt-to"][:100]
    event = {
        "event": what,
        "at": f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(now))}.{int(now % 1 * 1000):03}Z",
        "trace": answer.trace,
        "hook": "hook",
        "reason": reason,
        "verdict": answer.verdict,
        "rules": answer.rules,
        "mail_from": options.first("mail-from") or "",
        "rcpt_to": recipients,
        "stream": options.first("stream"),
        "policy": options.first("policy"),
    }
    line = "{" + ",".join(f"{_json(name)}:{_json(value)}" for name, value in event.items()) + "}\n"
    try:
        flags = system.O_WRONLY | system.O_APPEND | system.O_CREAT | system.O_CLOEXEC | system.O_NONBLOCK
        descriptor = system.open(options.record, flags, 0o640)
        try:
            if system.write(descriptor, line.encode("ascii")) < len(line):
                raise OSError(0, "only the beginning of the line found room")
        finally:
            system.close(descriptor)
    except (OSError, ValueError) as error:
        say(f"{options.record}: {getattr(error, 'strerror', None) or error}; not recorded: {answer.trace}")


def _json(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, list):
        return f"[{','.join(map(_json, value))}]"
    units = str(value).encode("utf-16-be", "surrogatepass")
    made = ""
    for at in range(0, len(units), 2):
        one = units[at] << 8 | units[at + 1]
        made += chr(one) if 32 <= one < 127 and one not in b'"\\' else f"\\u{one:04x}"
    return f'"{made}"'


def _then(command: "list[str]", octets: bytes) -> int:
    """Become the command, with the octets on its standard input."""
    import os
    from _signal import SIG_DFL, SIGPIPE, SIGXFSZ, signal  # type: ignore[import-not-found] # `signal` without its enums, 3 ms

    try:
        os.dup2(_held(octets), 0)
    except OSError as error:
        say(f"--then {command[0]}: the message cannot be handed on: {error.strerror}")
        return TEMPFAIL
    for number in (SIGPIPE, SIGXFSZ):  # Python ignores them, and what is ignored stays so
        signal(number, SIG_DFL)
    try:
        os.execvp(command[0], command)  # noqa: S606 -- what the user asked for, without a shell
    except (OSError, ValueError) as error:
        say(f"--then {command[0]}: {getattr(error, 'strerror', None) or error}")
        return 127 if isinstance(error, FileNotFoundError) else 126


def _held(octets: bytes) -> int:
    """A descriptor to read the octets from: in memory, where that may be, else a pipe that a child fills. Raises OSError."""
    try:
        made = system.memfd_create("message")
        _fill(made, octets)
        system.lseek(made, 0, 0)
        return made
    except (AttributeError, OSError):  # a system without, one that forbids it, a limit to the size of files
        reading, writing = system.pipe()
    if system.fork():
        system.close(writing)
        return reading
    system.close(reading)
    code = 0
    try:
        _fill(writing, octets)
    except OSError:  # the command has ended without reading it all
        code = 1
    system._exit(code)


def _fill(descriptor: int, octets: bytes) -> None:
    left = memoryview(octets)
    while left:
        left = left[system.write(descriptor, left) :]


def run() -> int:
    """`main`, with an exit code of its own for a bug: that of Python is ours for "refused"."""
    try:
        return main(sys.argv[1:])
    except Exception as error:  # noqa: BLE001 -- as it says
        say(f"our own fault: {type(error).__name__}: {error}")
        return SOFTWARE


if __name__ == "__main__":
    sys.exit(run())
