"""What known next hops do with mail that is handed to them: what they rewrite, whose addresses and MAIL FROM it leaves with.

Only what a provider's own pages say, each with its source. What they leave open is None here, and nothing follows from it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType

CHECKED = date(2026, 11, 23)


@dataclass(frozen=True, slots=True)
class Source:
    """Where it is said, and what."""

    url: str
    says: str
    checked: date = CHECKED


@dataclass(frozen=True, slots=True)
class Profile:
    """A kind of next hop. None: its pages do not say."""

    name: str
    title: str
    elsewhere: bool  # mail leaves from the provider's addresses: SPF is nothing to judge for ours
    own_mail_from: bool | None = None  # it sets another MAIL FROM than it was given
    rewrites: frozenset[str] = (
        frozenset()
    )  # header fields in lower case that it sets itself: signed by us, they break the signature
    keeps_signature: bool | None = None  # a DKIM signature of ours is still good when the mail leaves
    size: int | None = None  # octets; a "MB" is taken for 1,048,576, since its own refusal is surer than ours
    recipients: int | None = None  # of one message, at most
    sources: tuple[Source, ...] = ()

    @property
    def spf(self) -> bool:
        """Whether SPF can be judged with our addresses and the sender we have."""
        return not self.elsewhere and not self.own_mail_from


_SES = "https://docs.aws.amazon.com/ses/latest/dg/"
_MB = 1_048_576

_ALL = (
    Profile("relay", "an MTA of your own", elsewhere=False, own_mail_from=False, keeps_signature=True),
    Profile(
        "amazon-ses",
        "Amazon SES",
        elsewhere=True,
        own_mail_from=True,
        # The last two are named where it tells what not to sign, the first two also where it tells what it overrides.
        rewrites=frozenset({"message-id", "date", "return-path", "bounces-to"}),
        keeps_signature=True,
        size=40 * _MB,
        recipients=50,
        sources=(
            Source(f"{_SES}header-fields.html", "it overrides Date and Message-ID; recipients see another Return-Path"),
            Source(
                f"{_SES}send-email-authentication-dkim-manual.html",
                "a message may be signed before; Message-ID, Date, Return-Path and Bounces-To must not be; "
                "each message also gets a signature of amazonses.com",
            ),
            Source(f"{_SES}mail-from.html", "MAIL FROM is a subdomain of amazonses.com, or of a domain set up for it"),
            Source(f"{_SES}quotas.html", "40 MB a message over SMTP, 50 recipients a message"),
        ),
    ),
    Profile(
        "mailgun",
        "Mailgun",
        elsewhere=True,
        size=25 * _MB,
        sources=(Source("https://documentation.mailgun.com/docs/mailgun/user-manual/sending-messages", "25 MB a message"),),
    ),
    Profile(
        "sendgrid",
        "Twilio SendGrid",
        elsewhere=True,
        own_mail_from=True,
        size=30 * _MB,
        sources=(
            Source("https://docs.sendgrid.com/api-reference/mail-send/limitations", "a message must be less than 30 MB"),
            Source(
                "https://support.sendgrid.kke.co.jp/hc/ja/articles/360000226322",
                "the envelope sender is made by SendGrid, of sendgrid.net or a domain set up for it (its Japanese partner)",
            ),
        ),
    ),
    Profile(
        "postmark",
        "Postmark",
        elsewhere=True,
        keeps_signature=False,
        sources=(
            Source(
                "https://developer.postmarkapp.com/developer-smtp.html",
                "a message is taken apart and put together anew, as if it came by the REST API",
            ),
        ),
    ),
    Profile(
        "google-workspace",
        "Google Workspace SMTP relay",
        elsewhere=True,
        sources=(Source("https://support.google.com/a/answer/2956491", "outgoing mail is routed through Google's servers"),),
    ),
    Profile(
        "microsoft-365",
        "Microsoft 365",
        elsewhere=True,
        sources=(
            Source(
                "https://learn.microsoft.com/exchange/mail-flow-best-practices/"
                "how-to-set-up-a-multifunction-device-or-application-to-send-email-using-microsoft-365-or-office-365",
                "mail for others than one's own users leaves through Microsoft 365, by SMTP AUTH or a connector",
            ),
        ),
    ),
)

PROFILES: Mapping[str, Profile] = MappingProxyType({profile.name: profile for profile in _ALL})
