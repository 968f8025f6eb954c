"""The SMTP and LMTP server's side of the dialogue as a state machine, without I/O (RFC 5321, RFC 2033).

    session.receive(octets)              # what came, in any pieces
    event = session.next_event()         # None: more octets are needed, or the last event waits for its answer
    session.answer(reply) …              # each event says which answer it wants
    octets = session.output()            # what to write, whenever it suits

Strictly one command at a time: what was pipelined (RFC 2920) waits until the command before it is answered. Nothing of one
transaction is left when the next begins. Over 500 lines because it is one state machine: every command is a method that looks
at the same dozen attributes, and two files would have to share them all.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import ClassVar

from ..model import Extensions, MailFrom
from ..reply import Reply
from ..settings import Kind, Limits
from . import auth, content, syntax
from .events import Ended, Event, Forward, Hello, Impersonate, Login, Mail, Message, Rcpt, Reset, StartTls, Stranger
from .limits import MAX_AUTH_FAILURES, MAX_AUTH_LINE, MAX_COMMAND, MAX_COMMANDS, MAX_ERRORS, MAX_JUNK, SLACK, SMALL_CHUNK, Load
from .syntax import BadCommand

# What browsers and other protocols begin with; RFC 5321 has no such commands (Postfix smtpd_forbidden_commands, ALPACA).
_FOREIGN = frozenset({b"GET", b"POST", b"PUT", b"HEAD", b"CONNECT", b"OPTIONS", b"PATCH", b"DELETE", b"TRACE", b"PRI", b"USER"})
_CHUNK = b"BDAT"
_NOT_OURS = frozenset({"EXPN", "ETRN", "TURN", "ATRN", "SEND", "SOML", "SAML", "BURL"})
_XCLIENT = ("NAME", "ADDR", "PORT", "PROTO", "HELO")  # LOGIN is left out: a name is no credential of ours
_XFORWARD = ("NAME", "ADDR", "PORT", "PROTO", "HELO", "IDENT", "SOURCE")

_OK = Reply(250, "2.0.0", "Ok")
_SYNC = Reply(554, "5.5.0", "you must wait for our reply before you go on")  # RFC 2920 section 3.1
_BARE_LF = Reply(500, "5.5.2", "lines end in CRLF; goodbye")
_TOO_LONG = Reply(500, "5.5.2", "the line is too long")
_LOG_IN = Reply(530, "5.7.0", "authentication is required")  # RFC 4954 section 6
_NO_MAIL = Reply(503, "5.5.1", "say MAIL first")
_DRAINING = Reply(421, "4.3.2", "going down, please try again")


@dataclass(frozen=True, slots=True)
class Options:
    """What a session may do, by its listener and its client."""

    name: str  # our host name
    kind: Kind
    limits: Limits
    starttls: bool = False  # a certificate is there, and TLS not yet
    secure: bool = False  # nobody listens: TLS from the first octet, or a UNIX socket
    auth: bool = False  # there are users
    trusted: bool = False  # may relay without AUTH
    xclient: bool = False
    xforward: bool = False
    banner: str | None = None


class _Mode(Enum):
    COMMAND = "command"
    CONTENT = "content"  # DATA, BDAT
    RESPONSE = "response"  # AUTH's
    ENDED = "ended"


class Session:
    """One connection's dialogue."""

    def __init__(self, options: Options, load: Load) -> None:
        self.options = options
        self.secure, self.trusted = options.secure, options.trusted
        self.logged_in = False
        self.auth_failures = 0
        self.lines = 0  # complete commands, responses and contents so far: the driver's clock starts anew with each
        self.unsaid = 0  # octets of output
        self._load = load
        self._mode = _Mode.COMMAND
        self._input = bytearray()
        self._searched = 0
        self._long = b""  # how the line that comes begins, where it is too long and thrown away
        self._eof = False
        self._out: list[bytes] = []
        self._awaiting: type[object] | None = None
        self._after: Callable[[], None] = _nothing
        self._ended: Ended | None = None
        self._draining = False
        # the session
        self._greeted = False
        self._extended = False
        self._extensions = Extensions()
        self._starttls = options.starttls
        self._exchange: auth.Exchange | None = None
        self._errors = self._junk = self._commands = 0
        # the transaction
        self._mail: MailFrom | None = None
        self._pending_mail: MailFrom | None = None
        self._recipients = 0
        self._chunks: content.Chunks | None = None
        self._last = False  # the chunk that comes is the last one
        self._content: content.Data | content.Chunks | content.Waste | None = None
        self._unwanted = Reply(503, "5.5.1", "")  # what a chunk that nobody wants is answered with

    # --- octets ------------------------------------------------------------------------------------------------------

    def receive(self, data: bytes) -> None:
        """What came from the client."""
        if self._mode is _Mode.ENDED:
            return
        if self._mode is _Mode.CONTENT and not self._input and self._content is not None and not self._content.complete:
            data = self._content.feed(data)  # not by way of the input: messages are large
        self._input += data

    def end_of_input(self) -> None:
        """The client will not send any more; it may still read (half-close)."""
        self._eof = True

    def output(self) -> bytes:
        """What is to be written; taken once."""
        if not self._out:
            return b""
        octets = self._out[0] if len(self._out) == 1 else b"".join(self._out)
        self._out.clear()
        self.unsaid = 0
        return octets

    @property
    def pending(self) -> int:
        """How many octets of input wait to be looked at."""
        return len(self._input)

    @property
    def quits(self) -> bool:
        """Whether QUIT is in the input that waits: the client ends in order, though it may not wait for our answer."""
        return any(line.strip().upper() == b"QUIT" for line in self._input.split(b"\n"))

    @property
    def in_content(self) -> bool:
        """Whether octets of a message are waited for, and no command."""
        return self._mode is _Mode.CONTENT

    @property
    def hungry(self) -> bool:
        """Whether `next_event` has nothing to say before more of a message comes."""
        return self._mode is _Mode.CONTENT and self._content is not None and not self._content.complete and not self._hopeless

    @property
    def in_transaction(self) -> bool:
        """Whether a MAIL command was answered with yes, and its transaction is not over."""
        return self._mail is not None

    @property
    def ended(self) -> bool:
        """Whether nothing more is said or heard."""
        return self._mode is _Mode.ENDED

    @property
    def esmtp(self) -> bool:
        """Whether the client said EHLO or LHLO."""
        return self._extended

    @property
    def lmtp(self) -> bool:
        """Whether we speak LMTP."""
        return self.options.kind is Kind.LMTP

    # --- from outside ------------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Say the banner, unless the client spoke first."""
        if self._mode is _Mode.ENDED:  # it was drained
            return
        if self._input:
            self._close(Reply(554, "5.5.0", "you must wait for our greeting"), "early talker")
        else:
            self._banner()

    def drain(self) -> None:
        """Say 421 at the next command boundary: at once where we wait for a command, after a message whose content came."""
        self._draining = True
        if self._awaiting is None and self._mode in {_Mode.COMMAND, _Mode.RESPONSE} and self._chunks is None:
            self._close(_DRAINING, "drained")

    def timed_out(self, text: str = "too slow") -> None:
        """The client did not send in time."""
        if self._mode is not _Mode.ENDED:
            self._close(Reply(421, "4.4.2", f"{text}; goodbye"), "timeout")

    def next_event(self) -> Event | None:
        """What happens next. None: more octets are needed, or an answer."""
        while self._awaiting is None:
            if self._ended is not None:
                ended, self._ended = self._ended, None
                return ended
            event: Event | None
            if self._mode is _Mode.ENDED:
                return None
            if self._mode is _Mode.CONTENT:
                if self.hungry and not self._input:
                    if self._eof:
                        self._hang_up("client gone")
                        continue
                    return None
                event = self._read_content()
            else:
                line = self._line()
                if line is None:
                    if self.ended:  # by what came
                        continue
                    if self._eof:
                        self._hang_up("client gone")
                    elif self._draining and self._chunks is None:
                        self._close(_DRAINING, "drained")
                    else:
                        return None
                    continue
                self.lines += 1
                try:
                    event = self._response(line) if self._mode is _Mode.RESPONSE else self._command(line)
                except BadCommand as bad:
                    event = None
                    self._mode = _Mode.COMMAND if self._mode is _Mode.RESPONSE else self._mode
                    self._error(bad.reply)
            if event is not None:
                self._awaiting = type(event)
                return event
        return None

    # --- answers -----------------------------------------------------------------------------------------------------

    def greet(self, extensions: Extensions) -> None:
        """Answer Hello with what can be offered."""
        self._answered(Hello)
        self._extensions = extensions
        if self._input:  # it did not wait to see whether there is PIPELINING
            self._close(_SYNC, "early talker")
            return
        self._greeted = True
        offers = self._offers() if self._extended else []
        self._say(Reply(250, None, "\n".join([self.options.name, *offers])))

    def secured(self) -> None:
        """TLS is there: forget everything that was said before (RFC 3207 section 4.2)."""
        self._answered(StartTls)
        self.secure, self._starttls = True, False
        self._greeted = self._extended = False
        self._extensions = Extensions()

    def authenticated(self, known: bool, problem: Reply | None = None, *, counts: bool = False) -> None:
        """Answer Login. `problem`: it could not be found out; `counts`: since too many ask, which is a failure, too."""
        self._answered(Login)
        self._mode = _Mode.COMMAND
        if problem is None and known:
            self.logged_in = True
            self._say(Reply(235, "2.7.0", "welcome"))
            return
        if problem is None or counts:
            self.auth_failures += 1
            if self.auth_failures >= MAX_AUTH_FAILURES:
                self._close(Reply(421, "4.7.0", "too many logins that failed; goodbye"), "auth failures")
                return
        self._say(problem or Reply(535, "5.7.8", "user or password is wrong"))

    def answer(self, *replies: Reply) -> None:
        """Answer Mail, Rcpt or Message; behind LMTP a message has one reply for each recipient, otherwise just one."""
        awaiting, self._awaiting = self._awaiting, None
        if awaiting is Mail:
            if replies[0].positive:
                self._mail = self._pending_mail
            self._say(replies[0])
        elif awaiting is Rcpt:
            if replies[0].positive:
                self._recipients += 1
            self._say(replies[0])
        elif awaiting is Message:
            self._say_final(replies)
            if any(one.positive for one in replies):
                self._errors = self._junk = self._commands = 0
            self._end_transaction()
        else:
            raise RuntimeError("nothing to answer")
        if replies[0].code == 421:  # whoever says so closes the channel: RFC 5321 section 3.8
            self._hang_up("421 was said")

    def done(self) -> None:
        """Answer Reset and Forward."""
        if self._awaiting not in {Reset, Forward}:
            raise RuntimeError("nothing is done")
        self._awaiting = None
        after, self._after = self._after, _nothing
        after()

    def impersonated(self, trusted: bool, refusal: Reply | None = None) -> None:
        """Answer Impersonate: whether the client that is stood for may relay, or that it may not even connect."""
        self._answered(Impersonate)
        self.trusted = trusted
        self.logged_in = self._greeted = self._extended = False
        if refusal is not None:
            self._close(refusal, "refused")
        else:
            self._banner()

    def refuse(self, reply: Reply) -> None:
        """Answer Hello, StartTls, Stranger or Impersonate with no."""
        awaiting, self._awaiting = self._awaiting, None
        if awaiting is Stranger:
            self._error(_LOG_IN if reply.positive else reply)
        else:
            self._say(reply)

    # --- replies -----------------------------------------------------------------------------------------------------

    def _answered(self, event: type[object]) -> None:
        if self._awaiting is not event:
            raise RuntimeError("nothing to answer")
        self._awaiting = None

    def _say(self, reply: Reply) -> None:
        octets = reply.octets()
        self._out.append(octets)
        self.unsaid += len(octets)

    def _banner(self) -> None:
        said = self.options.banner or ("LMTP" if self.lmtp else "ESMTP")
        self._say(Reply(220, None, f"{self.options.name} {said}"))

    def _say_final(self, replies: Sequence[Reply]) -> None:
        """The answer to a message; behind LMTP one for each recipient, in their order (RFC 2033 section 4.2)."""
        count = self._recipients if self.lmtp else 1
        given = list(replies[:count])
        missing = given[0] if len(replies) == 1 else Reply(451, "4.3.0", "internal error, please try again")
        for reply in [*given, *[missing] * (count - len(given))]:
            self._say(reply)

    def _error(self, reply: Reply) -> None:
        """Say what was wrong, and goodbye where there was too much of it."""
        self._errors += 1
        if self._errors >= MAX_ERRORS:
            self._close(Reply(421, "4.7.0", "too many errors; goodbye"), "errors")
        else:
            self._say(reply)

    def _close(self, reply: Reply, reason: str) -> None:
        self._say(reply)
        self._hang_up(reason)

    def _hang_up(self, reason: str) -> None:
        if self._mode is not _Mode.ENDED:
            self._mode, self._ended = _Mode.ENDED, Ended(reason)
            self._input.clear()
            self._release()

    # --- lines -------------------------------------------------------------------------------------------------------

    def _line(self) -> bytes | None:
        """The next line without its CRLF; None: it is not there yet."""
        octets = self._input
        most = MAX_AUTH_LINE if self._mode is _Mode.RESPONSE or octets[:5].upper() == b"AUTH " else MAX_COMMAND
        end = octets.find(b"\n", self._searched)
        if end < 0:
            if len(octets) > most:
                self._long = self._long or bytes(octets[: len(_CHUNK)])
                del octets[:-1]  # the last one may be the CR
            self._searched = len(octets)
            return None
        if octets[end - 1 : end] != b"\r":
            # What follows a bare LF may have been put there by somebody other than the client (CVE-2023-52354).
            self._close(_BARE_LF, "bare LF")
            return None
        line = bytes(octets[: end - 1])
        del octets[: end + 1]
        self._searched = 0
        if self._long or end + 1 > most:
            begun, self._long = self._long or line, b""
            self.lines += 1
            if self._mode is _Mode.COMMAND and _begins_chunk(begun):
                self._close(_TOO_LONG, "bad BDAT")
                return None
            self._mode = _Mode.COMMAND
            self._error(_TOO_LONG)
            return self._line() if self._mode is _Mode.COMMAND else None
        return line

    def _command(self, line: bytes) -> Event | None:
        """One command."""
        if self._draining and self._chunks is None:
            self._close(_DRAINING, "drained")
            return None
        if line and (not line[:1].isalpha() or line.split(b" ", 1)[0].upper() in _FOREIGN):
            self._close(Reply(421, "4.7.0", "this is a mail server; goodbye"), "not SMTP")
            return None
        try:
            verb, argument = syntax.command(line)
        except BadCommand as bad:
            if not _begins_chunk(line):
                raise
            self._close(bad.reply, "bad BDAT")  # as in `_bdat`
            return None
        self._commands += 1
        if self._commands > MAX_COMMANDS + self.options.limits.recipients:
            self._close(Reply(421, "4.7.0", "too many commands; goodbye"), "commands")
            return None
        carry_out = self._COMMANDS.get(verb)
        if carry_out is None:
            raise BadCommand(502 if verb in _NOT_OURS else 500, "5.5.1", "no such command")
        return carry_out(self, argument)

    def _wasted(self) -> bool:
        """Count a command that brings nobody further; true where it was one too many."""
        self._junk += 1
        if self._junk > MAX_JUNK:
            self._close(Reply(421, "4.7.0", "too many commands without mail; goodbye"), "junk")
            return True
        return False

    # --- the session -------------------------------------------------------------------------------------------------

    def _hello(self, argument: str, *, extended: bool) -> Event | None:
        name = syntax.helo_name(argument)
        if self._wasted():
            return None
        if self._input:  # EHLO is the last of a group: RFC 2920 section 3.1
            self._close(_SYNC, "early talker")
            return None
        resets = self._mail is not None
        self._end_transaction()
        self._extended = extended
        return Hello(name, extended, resets)

    def _ehlo(self, argument: str) -> Event | None:
        self._not_lmtp()
        return self._hello(argument, extended=True)

    def _helo(self, argument: str) -> Event | None:
        self._not_lmtp()
        return self._hello(argument, extended=False)

    def _lhlo(self, argument: str) -> Event | None:
        if not self.lmtp:
            raise BadCommand(500, "5.5.1", "this is SMTP")
        return self._hello(argument, extended=True)

    def _not_lmtp(self) -> None:
        if self.lmtp:  # RFC 2033 section 4.1: an LMTP server must not take HELO and EHLO
            raise BadCommand(500, "5.5.1", "this is LMTP")

    def _offers(self) -> list[str]:
        """The keywords of EHLO's answer."""
        can = self._extensions
        offers = ["PIPELINING", f"SIZE {self._size()}", "ENHANCEDSTATUSCODES", "CHUNKING"]
        offers += [word for word, there in (("8BITMIME", can.eight_bit), ("SMTPUTF8", can.smtputf8), ("DSN", can.dsn)) if there]
        if self._starttls:
            offers.append("STARTTLS")
        if self.options.auth and self.secure:
            offers.append(f"AUTH {' '.join(auth.MECHANISMS)}")
        if self.options.xclient:
            offers.append(f"XCLIENT {' '.join(_XCLIENT)}")
        if self.options.xforward:
            offers.append(f"XFORWARD {' '.join(_XFORWARD)}")
        return offers

    def _size(self) -> int:
        most = self.options.limits.message_size
        return most if self._extensions.size is None else min(most, self._extensions.size)

    def _start_tls(self, argument: str) -> Event | None:
        _none(argument)
        if not self._starttls:
            raise BadCommand(503 if self.secure else 502, "5.5.1", "TLS is not to be had now")
        if self._mail is not None:
            raise BadCommand(503, "5.5.1", "not in a mail transaction")
        if self._input:
            # Whoever wrote these octets, it was not the one that we will know after the handshake (CVE-2011-0411).
            self._close(_SYNC, "early talker")
            return None
        self._say(Reply(220, "2.0.0", "go ahead"))
        return StartTls()

    def _authenticate(self, argument: str) -> Event | None:
        self._hello_said()
        if not self.options.auth:
            raise BadCommand(502, "5.5.1", "there is no AUTH here")
        if not self.secure:
            raise BadCommand(538, "5.7.11", "say STARTTLS first")  # RFC 4954 section 4
        if self.logged_in or self._mail is not None:
            raise BadCommand(503, "5.5.1", "not now")  # once a session, and not in a transaction: RFC 4954 section 4
        mechanism, blank, initial = argument.partition(" ")
        self._exchange = auth.Exchange(mechanism)
        return self._asked(self._exchange.start(initial.strip(" ") if blank else None))

    def _response(self, line: bytes) -> Event | None:
        """What a client answers to AUTH's challenge."""
        if self._exchange is None:
            raise RuntimeError("no exchange")
        return self._asked(self._exchange.step(line.decode("latin-1").strip(" ")))

    def _asked(self, step: str | auth.Password) -> Event | None:
        if isinstance(step, auth.Password):
            self._exchange = None
            return Login(step)
        self._mode = _Mode.RESPONSE
        self._out.append(f"334 {step}\r\n".encode("ascii"))  # the blank belongs to it, RFC 4954 section 4
        return None

    def _hello_said(self) -> None:
        if not self._greeted:
            raise BadCommand(503, "5.5.1", "say LHLO first" if self.lmtp else "say EHLO first")

    def _xclient(self, argument: str) -> Event | None:
        if not self.options.xclient:
            raise BadCommand(550, "5.7.0", "not from you")
        if self._mail is not None:
            raise BadCommand(503, "5.5.1", "not in a mail transaction")
        return Impersonate(syntax.attributes(argument, frozenset(_XCLIENT)))

    def _xforward(self, argument: str) -> Event | None:
        if not self.options.xforward:
            raise BadCommand(550, "5.7.0", "not from you")
        if self._mail is not None:
            raise BadCommand(503, "5.5.1", "not in a mail transaction")
        self._after = lambda: self._say(_OK)
        return Forward(syntax.attributes(argument, frozenset(_XFORWARD)))

    def _noop(self, _: str) -> None:
        if not self._wasted():
            self._say(_OK)

    def _vrfy(self, argument: str) -> None:
        if not argument:
            raise BadCommand(501, "5.5.4", "an address is missing")
        if not self._wasted():
            self._say(Reply(252, "2.1.5", "send mail and see"))  # tells nobody who is there: RFC 5321 section 7.3

    def _help(self, _: str) -> None:
        if not self._wasted():
            self._say(Reply(214, "2.0.0", "RFC 5321"))

    def _quit(self, argument: str) -> None:
        _none(argument)
        self._close(Reply(221, "2.0.0", "goodbye"), "QUIT")

    def _rset(self, argument: str) -> Event | None:
        _none(argument)
        if self._mail is None:
            if not self._wasted():
                self._say(_OK)
            return None
        return self._reset(_OK)

    # --- the transaction ---------------------------------------------------------------------------------------------

    def _mail_from(self, argument: str) -> Event | None:
        self._hello_said()
        options = self.options
        if options.kind is Kind.SUBMISSION and not self.secure:
            raise BadCommand(530, "5.7.0", "say STARTTLS first")  # RFC 3207 section 4
        stranger = not (self.logged_in or self.trusted)
        if stranger and options.auth and (self.secure or self._starttls):
            raise BadCommand(_LOG_IN.code, "5.7.0", _LOG_IN.text)
        if self._mail is not None:
            raise BadCommand(503, "5.5.1", "a mail transaction is open already")
        # HELO knows no extensions; what the client may not use it cannot ask for.
        sender = syntax.mail(argument, self._extensions if self._extended else Extensions())
        if sender.size is not None and sender.size > self._size():
            raise BadCommand(content.TOO_BIG.code, "5.3.4", content.TOO_BIG.text)  # RFC 1870 section 6.1
        if stranger:
            return Stranger(sender)
        self._pending_mail = sender
        return Mail(sender)

    def _rcpt_to(self, argument: str) -> Event | None:
        if self._mail is None or self._chunks is not None:
            raise BadCommand(503, "5.5.1", "say MAIL first")
        offered = self._extensions if self._extended else Extensions()
        recipient = syntax.rcpt(argument, offered, smtputf8=self._mail.smtputf8)
        if self._recipients >= self.options.limits.recipients:
            self._say(Reply(452, "4.5.3", "too many recipients, send the rest in another transaction"))
            return None  # no error: RFC 5321 section 4.5.3.1.10 tells clients to go on with these
        return Rcpt(recipient)

    def _ready_for_content(self) -> Reply | None:
        """Why no content can come now."""
        if self._mail is None:
            return _NO_MAIL
        if not self._recipients:
            # RFC 2033 section 4.2 has 503 where every RCPT failed, RFC 5321 section 3.3 has 554.
            return Reply(503 if self.lmtp else 554, "5.5.1", "no valid recipients")
        return None

    def _data(self, argument: str) -> Event | None:
        _none(argument)
        problem = self._ready_for_content()
        if problem is None and self._chunks is not None:
            problem = Reply(503, "5.5.1", "BDAT has begun")  # RFC 3030 section 2
        if problem is not None:
            self._error(problem)
            return None
        if self._input:  # DATA is the last of a group: RFC 2920 section 3.1
            self._close(_SYNC, "early talker")
            return None
        self._content, self._mode = content.Data(self._size(), self._load), _Mode.CONTENT
        self._say(Reply(354, None, "go on, end with CRLF.CRLF"))
        return None

    def _bdat(self, argument: str) -> Event | None:
        words = argument.upper().split(" ")
        try:
            size = syntax.digits(words[0], "BDAT's size")
            if words[1:] not in ([], ["LAST"]):
                raise BadCommand(501, "5.5.4", "BDAT size [LAST]")
        except BadCommand as bad:
            # Nobody knows how many octets follow, and they must not be taken for commands.
            self._close(bad.reply, "bad BDAT")
            return None
        if size > 2 * self.options.limits.message_size + SLACK:
            self._close(content.TOO_BIG, "hopeless")
            return None
        self._last = bool(words[1:])
        problem = self._ready_for_content()
        if problem is None and self._chunks is None:
            self._chunks = content.Chunks(self._size(), self._load)
        if problem is not None or self._chunks is None:
            self._unwanted = problem or _NO_MAIL
            self._content = content.Waste(size)
        else:
            self._chunks.expect(size)
            self._content = self._chunks
            if (
                size >= SMALL_CHUNK
            ):  # 36 MB in chunks of 16 KB are more than MAX_COMMANDS; how many these can be, the size limits
                self._commands -= 1
        self._mode = _Mode.CONTENT
        return None

    @property
    def _hopeless(self) -> bool:
        return isinstance(self._content, content.Data) and self._content.hopeless

    def _read_content(self) -> Event | None:
        """Go on with DATA or a chunk."""
        taking = self._content
        if taking is None:
            raise RuntimeError("no content")
        if self._input and not taking.complete:
            rest = taking.feed(bytes(self._input))
            self._input[:] = rest
        if self._hopeless:
            self._close(content.TOO_BIG, "hopeless")
        if not taking.complete or self._mode is _Mode.ENDED:
            return None
        self.lines += 1
        self._mode, self._content, self._searched = _Mode.COMMAND, None, 0
        if isinstance(taking, content.Waste):
            self._error(self._unwanted)
            return None
        if isinstance(taking, content.Chunks) and not self._last:
            if taking.refusal is None:
                self._say(Reply(250, "2.0.0", "chunk received"))
                return None
            return self._reset(taking.refusal)  # what follows of it is answered with 503: RFC 3030 section 2
        if taking.refusal is None:
            octets = taking.octets()
            if self.options.limits.repair_line_ends:
                octets = content.repaired(octets)
            taking.refusal = content.fault(octets)
            if taking.refusal is None:
                self._content = taking  # released when the answer is there
                return Message(octets)
        taking.release()
        return self._reset(taking.refusal, final=True)

    def _reset(self, reply: Reply, *, final: bool = False) -> Event:
        """End the transaction; the reply follows when that is done."""

        def after() -> None:
            if final:
                self._say_final([reply])
            else:
                self._say(reply)
            self._end_transaction()

        self._after = after
        return Reset()

    def _end_transaction(self) -> None:
        self._release()
        self._mail = self._pending_mail = None
        self._recipients = 0
        self._last = False

    def _release(self) -> None:
        if isinstance(self._content, (content.Data, content.Chunks)):
            self._content.release()
        if self._chunks is not None:
            self._chunks.release()
        self._content = self._chunks = None

    _COMMANDS: ClassVar[dict[str, Callable[["Session", str], Event | None]]] = {
        "EHLO": _ehlo,
        "HELO": _helo,
        "LHLO": _lhlo,
        "MAIL": _mail_from,
        "RCPT": _rcpt_to,
        "DATA": _data,
        "BDAT": _bdat,
        "RSET": _rset,
        "NOOP": _noop,
        "VRFY": _vrfy,
        "HELP": _help,
        "QUIT": _quit,
        "STARTTLS": _start_tls,
        "AUTH": _authenticate,
        "XCLIENT": _xclient,
        "XFORWARD": _xforward,
    }


def _begins_chunk(line: bytes) -> bool:
    """Whether octets may follow that are no commands, even where the line itself cannot be read."""
    return line[: len(_CHUNK)].upper() == _CHUNK


def _none(argument: str) -> None:
    if argument:
        raise BadCommand(501, "5.5.4", "no argument is expected")


def _nothing() -> None:
    """Follows most answers."""
