"""Reports made in code: those of RFC 3464's appendix E and RFC 6533 by their facts, and what servers write that we do not run."""

import base64
import quopri
from typing import Any

Field = tuple[str, str]


def report(
    *recipients: list[Field],
    about: tuple[Field, ...] = (("Reporting-MTA", "dns; mx.example"),),
    text: str = "Your message could not be delivered.",
    kind: str = "multipart/report; report-type=delivery-status",
    status_type: str = "message/delivery-status",
    returned: str = "message/rfc822",
    encoding: str = "",
    glue: str = "\n\n",
    header: tuple[Field, ...] = (),
) -> bytes:
    """A report of these recipients' fields."""
    groups = ["\n".join(f"{name}: {value}" for name, value in group) for group in (list(about), *recipients)]
    status = glue.join(group for group in groups if group) + "\n"
    if encoding == "base64":
        status = base64.encodebytes(status.encode()).decode()
    elif encoding == "quoted-printable":
        status = quopri.encodestring(status.encode()).decode()
    fields = (("From", "MAILER-DAEMON@mx.example"), ("To", "a@sender.example"), ("Subject", "Returned mail"), *header)
    lines = [f"{name}: {value}" for name, value in fields]
    lines += [
        "MIME-Version: 1.0",
        f'Content-Type: {kind}; boundary="=_b"',
        "",
        "--=_b",
        "Content-Type: text/plain",
        "",
        text,
        "--=_b",
    ]
    lines += [
        f"Content-Type: {status_type}",
        *([f"Content-Transfer-Encoding: {encoding}"] if encoding else []),
        "",
        status,
        "--=_b",
    ]
    lines += [
        f"Content-Type: {returned}",
        "",
        "From: a@sender.example",
        "Message-ID: <m@sender.example>",
        "",
        "body",
        "--=_b--",
        "",
    ]
    return "\n".join(lines).replace("\n", "\r\n").encode()


def words(text: str, *, subject: str = "Undelivered mail", header: tuple[Field, ...] = ()) -> bytes:
    """A bounce in words alone."""
    fields = (("From", "MAILER-DAEMON@mx.example"), ("To", "a@sender.example"), ("Subject", subject), *header)
    lines = [*(f"{name}: {value}" for name, value in fields), "", text.strip("\n"), ""]
    return "\n".join(lines).replace("\n", "\r\n").encode()


def one(
    recipient: str, action: str | None, status: str | None, diagnostic: str = "", *more: Field, kind: str = "rfc822"
) -> list[Field]:
    """The fields of a recipient."""
    fields = [("Final-Recipient", f"{kind}; {recipient}" if kind else recipient)]
    fields += [("Action", action)] if action is not None else []
    fields += [("Status", status)] if status is not None else []
    fields += [("Diagnostic-Code", f"smtp; {diagnostic}")] if diagnostic else []
    return [*fields, *more]


def meaning(
    recipient: str, status: str, cause: str, *, permanent: bool | None = None, action: str = "failed"
) -> dict[str, Any]:
    lasting = status.startswith("5") and action == "failed" if permanent is None else permanent
    return {"recipient": recipient, "action": action, "status": status, "cause": cause, "permanent": lasting}


PAT = "pat@example.net"
_QMAIL = "Hi. This is the qmail-send program at mx.example.\nI'm afraid I wasn't able to deliver your message to the following addresses.\n"
_EXIM = "This message was created automatically by mail delivery software.\n\nA message that you sent could not be delivered to one or more of its\n"
_THREE = (
    one(
        "arathib@vnet.example",
        "failed",
        "5.0.0 (permanent failure)",
        "550 'arathib@vnet.example' is not a registered gateway user",
    ),
    one("johnh@hpnjld.example", "delayed", "4.0.0 (hpnjld.example: host name lookup failure)"),
    one("wsnell@sdcc13.example", "failed", "5.0.0", "550 user unknown"),
)

WRITTEN: list[tuple[str, bytes, dict[str, Any]]] = [
    # --- RFC 3464, appendix E
    (
        "rfc3464-e1-simple",
        report(
            one("louisl@larry.example", "failed", "4.0.0", "426 connection timed out", ("Last-Attempt-Date", "Thu, 7 Jul 1994 17:15:49 -0400"))
        ),
        meaning("louisl@larry.example", "4.0.0", "network"),
    ),
    ("rfc3464-e2-first", report(*_THREE), meaning("arathib@vnet.example", "5.0.0", "unknown")),
    ("rfc3464-e2-second", report(*_THREE), meaning("johnh@hpnjld.example", "4.0.0", "delayed", action="delayed")),
    ("rfc3464-e2-third", report(*_THREE), meaning("wsnell@sdcc13.example", "5.0.0", "bad-mailbox")),
    (
        "rfc3464-e3-gateway",
        report(
            [("Original-Recipient", "rfc822; pat@gateway.example"), *one("C=US; A=X; P=Y; S=Pat", "failed", "5.1.1", kind="x400")],
            about=(("Reporting-MTA", "mailbus; SYS30"), ("DSN-Gateway", "dns; gw.example")),
        ),
        meaning("C=US; A=X; P=Y; S=Pat", "5.1.1", "bad-mailbox"),
    ),
    (
        "rfc3464-e4-delayed",
        report(one("newsletter@relay.example", "delayed", "4.0.0", "", ("Will-Retry-Until", "Thu, 14 Jul 1994 17:15:49 -0400"))),
        meaning("newsletter@relay.example", "4.0.0", "delayed", action="delayed"),
    ),
    (
        "rfc3464-relayed",
        report(one(PAT, "relayed", "2.1.9")),
        meaning(PAT, "2.1.9", "unknown", action="relayed"),
    ),
    ("rfc3464-delivered", report(one(PAT, "delivered", "2.0.0")), meaning(PAT, "2.0.0", "unknown", action="delivered")),
    ("rfc3464-expanded", report(one("list@example.net", "expanded", "2.0.0")), meaning("list@example.net", "2.0.0", "unknown", action="expanded")),
    # --- RFC 6533
    (
        "rfc6533-utf8",
        report(
            one("p\\x{E4}t@ex\\x{E4}mple.example", "failed", "5.1.1", kind="utf-8"),
            status_type="message/global-delivery-status",
            returned="message/global-headers",
        ),
        meaning("pät@exämple.example", "5.1.1", "bad-mailbox"),
    ),
    (
        "rfc6533-raw",
        report(one("pät@example.net", "failed", "5.2.1", kind="utf-8"), status_type="message/global-delivery-status"),
        meaning("pät@example.net", "5.2.1", "disabled"),
    ),
    # --- fields as the world writes them
    ("odd-no-type", report(one(PAT, "failed", "5.1.1", kind="")), meaning(PAT, "5.1.1", "bad-mailbox")),
    ("odd-brackets", report(one(f"<{PAT}>", "Failed", "5.1.1", kind="RFC822")), meaning(PAT, "5.1.1", "bad-mailbox")),
    ("odd-comment", report(one(f"{PAT} (Pat)", "failed (given up)", "5.1.1 (bad destination mailbox address)")), meaning(PAT, "5.1.1", "bad-mailbox")),
    ("odd-no-action", report(one(PAT, None, "5.2.2")), meaning(PAT, "5.2.2", "full", permanent=False)),
    ("odd-no-status", report(one(PAT, "failed", None, "550 5.1.1 user unknown")), meaning(PAT, "5.1.1", "bad-mailbox")),
    ("odd-code-as-status", report(one(PAT, "failed", "550", "550 5.7.1 blocked using dnsbl")), meaning(PAT, "5.7.1", "reputation")),
    ("odd-vague-status", report(one(PAT, "failed", "5.0.0", "550 5.1.1 no such user")), meaning(PAT, "5.1.1", "bad-mailbox")),
    ("odd-other-class", report(one(PAT, "failed", "5.0.0", "451 4.7.1 greylisted, try again later")), meaning(PAT, "4.7.1", "throttled", permanent=False)),
    ("odd-no-blank-lines", report(one(PAT, "failed", "5.1.1"), one("b@example.net", "delayed", "4.2.2"), glue="\n"), meaning("b@example.net", "4.2.2", "full", action="delayed")),
    (
        "odd-blank-lines-everywhere",
        report(*[[field] for field in one(PAT, "failed", "5.1.1", "550 5.1.1 user unknown")]),
        meaning(PAT, "5.1.1", "bad-mailbox"),
    ),
    ("odd-base64", report(one(PAT, "failed", "5.1.1"), encoding="base64"), meaning(PAT, "5.1.1", "bad-mailbox")),
    ("odd-quoted-printable", report(one(PAT, "failed", "5.1.1", "550 5.1.1 user=unknown"), encoding="quoted-printable"), meaning(PAT, "5.1.1", "bad-mailbox")),
    ("odd-mixed", report(one(PAT, "failed", "5.1.1"), kind="multipart/mixed"), meaning(PAT, "5.1.1", "bad-mailbox")),
    ("odd-relabelled", report(one(PAT, "failed", "5.1.1"), status_type="text/plain"), meaning(PAT, "5.1.1", "bad-mailbox")),
    ("odd-headers-only", report(one(PAT, "failed", "5.1.1"), returned="text/rfc822-headers"), meaning(PAT, "5.1.1", "bad-mailbox")),
    ("odd-folded", report([("Final-Recipient", f"rfc822;\n {PAT}"), ("Action", "failed"), ("Status", "5.1.1")]), meaning(PAT, "5.1.1", "bad-mailbox")),
    (
        "exchange-online",
        report(
            one(PAT, "failed", "5.1.10", "550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient pat@example.net not found by SMTP address lookup"),
            about=(("Reporting-MTA", "dns;AM0PR01.eurprd01.prod.exchangelabs.com"),),
        ),
        meaning(PAT, "5.1.10", "bad-mailbox"),
    ),
    (
        "exchange-delayed",
        report(one(PAT, "delayed", "4.4.7", "", ("Will-Retry-Until", "Mon, 23 Nov 2026 10:00:00 +0000"))),
        meaning(PAT, "4.4.7", "delayed", action="delayed"),
    ),
    (
        "gmail-nxdomain",
        report(one(PAT, "failed", "4.0.0", "DNS Error: DNS type 'mx' lookup of example.net responded with code NXDOMAIN Domain name not found")),
        meaning(PAT, "4.0.0", "bad-domain", permanent=False),
    ),
    (
        "postfix-expired-network",
        report(one(PAT, "failed", "4.4.1", "connect to mx.example.net[192.0.2.1]:25: Connection timed out")),
        meaning(PAT, "4.4.1", "network"),
    ),
    # --- words
    ("qmail-nobody", words(f"{_QMAIL}\n<{PAT}>:\nSorry, no mailbox here by that name. (#5.1.1)\n\n--- Below this line is a copy of the message.\n\nTo: x@y.example"), meaning(PAT, "5.1.1", "bad-mailbox")),
    (
        "qmail-remote",
        words(f"{_QMAIL}\n<{PAT}>:\n192.0.2.1 does not like recipient.\nRemote host said: 550 5.7.1 Message blocked, listed at spamhaus\nGiving up on 192.0.2.1."),
        meaning(PAT, "5.7.1", "reputation"),
    ),
    ("qmail-full", words(f"{_QMAIL}\n<{PAT}>:\nThe users mailfolder is over the allowed quota (size). (#5.2.2)"), meaning(PAT, "5.2.2", "full", permanent=False)),
    (
        "exim-words",
        words(f"{_EXIM}recipients. This is a permanent error. The following address(es) failed:\n\n  {PAT}\n    SMTP error from remote mail server after RCPT TO:<{PAT}>:\n    host mx.example.net [192.0.2.1]: 550 5.1.1 <{PAT}>: User unknown\n\n------ This is a copy of the message, including all the headers. ------\n\nFrom: a@sender.example", header=(("X-Failed-Recipients", PAT),)),
        meaning(PAT, "5.1.1", "bad-mailbox"),
    ),
    (
        "exim-unrouteable",
        words(f"{_EXIM}recipients. The following address(es) failed:\n\n  {PAT}\n    Unrouteable address\n", header=(("X-Failed-Recipients", PAT),)),
        meaning(PAT, "5.0.0", "bad-mailbox"),
    ),
    (
        "sendmail-words",
        words(f"The original message was received at Mon, 23 Nov 2026 10:00:00 GMT\nfrom localhost\n\n   ----- The following addresses had permanent fatal errors -----\n<{PAT}>\n    (reason: 550 5.1.1 <{PAT}>... User unknown)\n\n   ----- Transcript of session follows -----\n... while talking to mx.example.net"),
        meaning(PAT, "5.1.1", "bad-mailbox"),
    ),
    (
        "exchange-words",
        words(f"Your message did not reach some or all of the intended recipients.\n\n      Subject: Your order\n\nThe following recipient(s) cannot be reached:\n\n      '{PAT}' on 23.11.2026 10:00\n            550 5.1.1 User unknown"),
        meaning(PAT, "5.1.1", "bad-mailbox"),
    ),
    (
        "postfix-words",
        words(f"This is the mail system at host mx.example.\n\nI'm sorry to have to inform you that your message could not\nbe delivered to one or more recipients.\n\n<{PAT}>: host mx.example.net[192.0.2.1] said: 552 5.2.2 Mailbox full (in\n    reply to RCPT TO command)"),
        meaning(PAT, "5.2.2", "full", permanent=False),
    ),
    (
        "gmail-words",
        words(f"Delivery to the following recipient failed permanently:\n\n     {PAT}\n\nTechnical details of permanent failure:\nThe error was: 550 5.1.1 User unknown\n\n----- Original message -----\n\nFrom: a@sender.example"),
        meaning(PAT, "5.1.1", "bad-mailbox"),
    ),
    (
        "exim-words-delay",
        words(f"This message was created automatically by mail delivery software.\nA message that you sent has not yet been delivered to one or more of its\nrecipients after more than 24 hours on the queue on mx.example.\n\nThe address to which the message has not yet been delivered is:\n\n  {PAT}\n    Delay reason: connection timed out\n\nNo action is required on your part."),
        meaning(PAT, "4.0.0", "network", action="delayed", permanent=False),
    ),
]  # fmt: skip
