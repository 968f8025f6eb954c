"""What callers of sendmail(8) are told by its exit code (sysexits.h), and the error that carries one."""

from enum import IntEnum

from ...gate.reply import Reply


class Exit(IntEnum):
    """The codes of sysexits.h that are used here."""

    OK = 0
    USAGE = 64  # the command line
    DATAERR = 65  # the message
    NOUSER = 67  # a recipient that does not exist
    NOHOST = 68  # nor does its domain
    UNAVAILABLE = 69  # refused: by a rule, or by the next hop
    SOFTWARE = 70  # a fault of ours
    IOERR = 74
    TEMPFAIL = 75  # not now
    NOPERM = 77
    CONFIG = 78


class NotSent(Exception):  # noqa: N818 -- what happened, in words
    """Nothing was sent, or not to all; the text says why in one line. `reply` is what an SMTP client is told of it."""

    def __init__(self, code: Exit, text: str, reply: Reply | None = None) -> None:
        """`reply` where somebody's is to be passed on; else one is made of the code."""
        super().__init__(text)
        self.code = code
        self.reply = reply or _reply(code, text)


_BY_STATUS = {  # enhanced status codes, RFC 3463
    "5.1.1": Exit.NOUSER,
    "5.1.2": Exit.NOHOST,
    "5.3.4": Exit.DATAERR,
}
_BY_SUBJECT = {"5.6": Exit.DATAERR, "5.7": Exit.NOPERM}


def of(reply: Reply) -> Exit:
    """The code for a refusal of the next hop; what it does not explain is just "unavailable", as msmtp has it."""
    if not reply.permanent:
        return Exit.TEMPFAIL
    status = reply.enhanced or ""
    return _BY_STATUS.get(status) or _BY_SUBJECT.get(status.rpartition(".")[0]) or Exit.UNAVAILABLE


def _reply(code: Exit, text: str) -> Reply:
    if code in {Exit.DATAERR, Exit.USAGE}:
        return Reply(550, "5.6.0", text)
    if code in {Exit.NOUSER, Exit.NOHOST, Exit.UNAVAILABLE, Exit.NOPERM}:
        return Reply(550, "5.0.0", text)
    return Reply(451, "4.3.0", text)
