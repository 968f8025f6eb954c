"""Why a next hop refuses: replies as providers write them, with what a report of each must be read as.

`stage` is when it is said: "rcpt", "data" (after the final dot), or "drop" (the connection is closed without a word).
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Case:
    """A reply; `status` and `cause` are what is expected of a report that tells of it."""

    stage: str
    reply: str
    status: str
    cause: str

    @property
    def temporary(self) -> bool:
        return self.stage == "drop" or self.reply.startswith("4")


CASES = {
    # --- the address
    "nobody": Case(
        "rcpt",
        "550 5.1.1 <nobody@rcpt.example>: Recipient address rejected: User unknown in virtual mailbox table",
        "5.1.1",
        "bad-mailbox",
    ),
    "gone": Case(
        "rcpt",
        "550-5.1.1 The email account that you tried to reach does not exist. Please try\n"
        "550-5.1.1 double-checking the recipient's email address for typos or\n"
        "550 5.1.1 unnecessary spaces. For more information, go to NoSuchUser - gsmtp",
        "5.1.1",
        "bad-mailbox",
    ),
    "exchange": Case(
        "rcpt", "550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup", "5.1.10", "bad-mailbox"
    ),
    "moved": Case("rcpt", "551 5.1.6 Mailbox has moved, no forwarding address", "5.1.6", "bad-mailbox"),
    "bare": Case("rcpt", "550 No such user here", "5.0.0", "bad-mailbox"),
    "syntax": Case("rcpt", "553 5.1.3 Bad recipient address syntax", "5.1.3", "bad-mailbox"),
    "nullmx": Case("rcpt", "556 5.1.10 Recipient address has null MX", "5.1.10", "bad-domain"),
    "disabled": Case("rcpt", "550 5.2.1 The email account that you tried to reach is disabled", "5.2.1", "disabled"),
    "inactive": Case("rcpt", "554 5.7.1 Account is inactive", "5.7.1", "disabled"),
    # --- room and size
    "full": Case("rcpt", "552 5.2.2 The recipient's mailbox is full", "5.2.2", "full"),
    "quota": Case("data", "452 4.2.2 The email account that you tried to reach is over quota", "4.2.2", "full"),
    "overquota": Case("data", "554 5.7.0 Mailbox quota exceeded", "5.7.0", "full"),
    "large": Case("data", "552 5.3.4 Message size exceeds fixed maximum message size", "5.3.4", "too-large"),
    "big": Case("data", "552 5.2.3 Message larger than the current administrative limit", "5.2.3", "too-large"),
    # --- authentication
    "gmail26": Case(
        "data",
        "550-5.7.26 Your email has been blocked because the sender is unauthenticated.\n"
        "550-5.7.26 Gmail requires all senders to authenticate with either SPF or DKIM.\n550 5.7.26 ab12-20020a - gsmtp",
        "5.7.26",
        "auth",
    ),
    "gmail27": Case("data", "550-5.7.27 SPF check did not pass\n550 5.7.27 ab12 - gsmtp", "5.7.27", "auth"),
    "gmail40": Case("data", "550-5.7.40 no DMARC record or policy\n550 5.7.40 ab12 - gsmtp", "5.7.40", "auth"),
    "microsoft515": Case(
        "data",
        "550 5.7.515 Access denied, sending domain SENDER.EXAMPLE does not meet the required authentication level.",
        "5.7.515",
        "auth",
    ),
    "dmarc": Case("data", "554 5.7.1 Email rejected per DMARC policy for sender.example", "5.7.1", "auth"),
    "spf": Case("rcpt", "550 5.7.23 The message was rejected because of Sender Policy Framework violation", "5.7.23", "auth"),
    "dkim": Case("data", "550 5.7.20 No passing DKIM signature found", "5.7.20", "auth"),
    # --- reputation, policy, content
    "s3150": Case(
        "rcpt",
        "550 5.7.1 Unfortunately, messages from [192.0.2.25] weren't sent. Please contact your Internet service provider since part "
        "of their network is on our block list (S3150). [mx.prod.protection.outlook.com]",
        "5.7.1",
        "reputation",
    ),
    "spamhaus": Case(
        "rcpt", "554 5.7.1 Service unavailable; Client host [192.0.2.25] blocked using zen.spamhaus.org", "5.7.1", "reputation"
    ),
    "ptr": Case(
        "rcpt", "550 5.7.25 The IP address sending this message does not have a PTR record - gsmtp", "5.7.25", "policy"
    ),
    "relay": Case("rcpt", "554 5.7.1 <relay@rcpt.example>: Relay access denied", "5.7.1", "policy"),
    "sender8": Case("rcpt", "550 5.1.8 <a@sender.example>: Sender address rejected: Domain not found", "5.1.8", "policy"),
    "sender7": Case("rcpt", "553 5.1.7 Bad sender's mailbox address syntax", "5.1.7", "policy"),
    "spam": Case("data", "554 5.7.1 Message rejected: high probability of spam", "5.7.1", "content"),
    "virus": Case("data", "550 5.7.0 Message infected with a virus", "5.7.0", "content"),
    "attachment": Case(
        "data",
        "552-5.7.0 This message was blocked because its content presents a potential\n552 5.7.0 security issue. - gsmtp",
        "5.7.0",
        "content",
    ),
    "unwanted": Case("data", "554 5.6.0 Message contents rejected", "5.6.0", "content"),
    "policy": Case("data", "550 5.7.1 Message refused by our policy", "5.7.1", "policy"),
    # --- later
    "grey": Case(
        "rcpt",
        "450 4.2.0 <grey@rcpt.example>: Recipient address rejected: Greylisted, see http://postgrey.example/",
        "4.2.0",
        "throttled",
    ),
    "tss04": Case(
        "rcpt",
        "421 4.7.0 [TSS04] Messages from 192.0.2.25 temporarily deferred due to unexpected volume or user complaints - 4.16.55.1",
        "4.7.0",
        "reputation",
    ),
    "rate": Case("rcpt", "421 4.7.28 Gmail has detected an unusual rate of mail - gsmtp", "4.7.28", "throttled"),
    "local": Case("rcpt", "451 4.3.0 Temporary lookup failure", "4.3.0", "network"),
    "drop": Case("drop", "", "4.4.2", "network"),
}
