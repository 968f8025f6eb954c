"""Mail that others wrote and that arrived, made good: as if the same writer sent it today with its domain in order.

A corpus keeps what a mailbox held, years later. What only storage and time have done to it is undone here, and nothing else:

* marks of the way are taken off (Received, Return-Path, Delivered-To, old signatures and verdicts, Lines, X-*-Spam, mbox's "From "
  line and >From): the sender did not write them;
* Date is now, and where the archive kept no Message-ID, Date, To or Subject, the message gets one;
* the authors' domains are gone or belong to somebody else: From, Sender, Reply-To and Message-ID move to our sender's domain, the
  local part stays, and the message is signed with its key (the original was signed by, or is older than, DKIM);
* Bcc, which a "sent" folder keeps, goes; so do fields that are there twice because a mailbox or a gateway added its own;
* line ends become CRLF.

The body is never touched.
"""

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

from delivcheck.mime.storage import with_crlf
from tests.keys import split
from tests.quality.mail import Mail
from tests.quality.world import CORPORA, SENDER

SOURCES = (
    "msg-spamassassin/t/data/nice/*",
    "msg-spamassassin/t/data/nice/cjk/*",
    "msg-spamassassin/t/data/nice/dkim/*",
    "msg-spamassassin/t/data/nice/dmarc/*",
    "msg-spamassassin/t/data/welcomelists/*",
    "msg-spamassassin/t/data/dkim/test-pass-*",
    "msg-mikel-mail/spec/fixtures/emails/plain_emails/*",
    "msg-mikel-mail/spec/fixtures/emails/mime_emails/*",
    "msg-mikel-mail/spec/fixtures/emails/attachment_emails/*",
    "msg-mikel-mail/spec/fixtures/emails/multi_charset/*",
    "msg-mikel-mail/spec/fixtures/emails/multipart_report_emails/*",
    "msg-mikel-mail/spec/fixtures/emails/rfc2822/*",
    "msg-mikel-mail/spec/fixtures/emails/rfc6532/*",
    "msg-mail-mime-parser/tests/_data/emails/*.txt",
    "msg-nodemailer-mailparser/test/fixtures/*.eml",
    "msg-cpython-test_email/data/msg_*.txt",
    "msg-mime4j/core/src/test/resources/testmsgs/*.msg",
    "msg-mime4j/core/src/test/resources/mimetools-testmsgs/*.msg",
    "tpl-dcondrey-html-email/examples/campaigns-2014/exports/*.eml",
)
WAY = re.compile(
    r"(?:received|return-path|delivered-to|x-original-to|envelope-to|delivery-date|dkim-signature|domainkey-signature|arc-.*|received-spf"
    r"|authentication-results|x-.*|status|lines|content-length|bcc|resent-.*|list-.*|precedence|errors-to|old-.*|sender|feedback-id"
    r"|mail-followup-to|apparently-to|disposition-notification-to|return-receipt-to)\Z",
    re.IGNORECASE,
)
ONCE = ("date", "from", "reply-to", "to", "cc", "message-id", "in-reply-to", "references", "subject", "mime-version")
ONCE_CONTENT = ("content-type", "content-transfer-encoding", "content-disposition", "content-description", "content-id")


def made_good(name: str, data: bytes) -> Mail | None:
    """One message of a corpus as our sender would send it; None for what is no message."""
    data, _ = with_crlf(re.sub(rb"\A>?From [^\n]*\n", b"", data))
    data = re.sub(rb"\r(?!\n)|(?<!\r)\n", b"\r\n", data)
    fields, body = split(data)
    if not fields:
        return None
    kept: list[list[str]] = []
    for raw_name, raw in fields:
        field, value = raw_name.decode("ascii"), raw.decode("utf-8", "surrogateescape").strip(" \t\r\n")
        if (
            WAY.match(field)
            or not value
            or (field.lower() in {*ONCE, *ONCE_CONTENT} and any(field.lower() == one[0].lower() for one in kept))
        ):
            continue
        kept.append([field, value])
    mail = Mail(name, kept, content=b"\r\n" + body)
    for field in ("from", "reply-to"):
        if any(each[0].lower() == field for each in mail.fields):
            mail.set(field, _moved(mail.get(field)))
        elif field == "from":
            mail.add("From", f"Robin Sample <robin@{SENDER}>")
    mail.set("Date", "Mon, 23 Nov 2026 11:58:00 +0000")
    mail.set("Message-ID", f"<20261123115800.{hashlib.sha256(name.encode()).hexdigest()[:24]}@{SENDER}>")
    if not any(each[0].lower() in {"to", "cc"} for each in mail.fields):
        mail.add("To", "Pat Sample <pat.sample@mailbox.net>")
    if not any(each[0].lower() == "subject" for each in mail.fields):
        mail.add("Subject", "Hello")
    names = {each[0].lower() for each in mail.fields}
    if names & set(ONCE_CONTENT) and "mime-version" not in names:
        mail.add("MIME-Version", "1.0")
    return mail


def _moved(value: str) -> str:
    """An address field with every domain ours."""
    return re.sub(r"@[\w.\[\]-]+", f"@{SENDER}", value)


def all_mail(first: int = 0, every: int = 1) -> Iterator[Mail]:
    """Every message of SOURCES, or each so-many-th."""
    paths: list[Path] = []
    for pattern in SOURCES:
        paths += sorted(path for path in CORPORA.glob(pattern) if path.is_file())
    for path in paths[first::every]:
        mail = made_good(str(path.relative_to(CORPORA)), path.read_bytes())
        if mail is not None:
            yield mail
