"""fastapi-mail with a check before every message: `GuardedFastMail` instead of `FastMail`.

fastapi-mail has no place for a check between making a message and sending it, and its connection is not to be exchanged. So its
public `get_message` makes the message, and aiosmtplib, which it sends with as well, sends it by the same settings.
"""

from email.message import EmailMessage, Message
from typing import TYPE_CHECKING, Any

from fastapi_mail import ConnectionConfig, FastMail, MessageSchema
from fastapi_mail.errors import ConnectionErrors
from fastapi_mail.fastmail import email_dispatched

from . import aiosmtp
from .errors import MessageRefused, MessageUndetermined

if TYPE_CHECKING:
    from .guard import Checks

__all__ = ["GuardedFastMail", "MessageRefused", "MessageUndetermined"]


class GuardedFastMail(FastMail):
    """`FastMail` that sends only what passes. `guard` judges; without one the configuration says it all."""

    def __init__(self, config: ConnectionConfig, guard: "Checks | None" = None) -> None:
        """As in fastapi-mail."""
        super().__init__(config)
        self._guard = guard

    async def get_message(
        self,
        message: MessageSchema | list[MessageSchema],
        template_name: str | None = None,
        html_template: str | None = None,
        plain_template: str | None = None,
    ) -> EmailMessage | Message | list[EmailMessage | Message]:
        """As in fastapi-mail, without the transfer encoding that it writes on each multipart.

        It sets a charset there, and Python's `email` then says base64, though nothing is encoded. No multipart may say that
        (RFC 2045 section 6.4): who believes it sees an empty mail.
        """
        made = await super().get_message(message, template_name, html_template, plain_template)
        for one in made if isinstance(made, list) else [made]:
            for part in one.walk():
                if part.get_content_maintype() == "multipart":
                    del part["Content-Transfer-Encoding"]
        return made

    async def send_message(
        self,
        message: MessageSchema | list[MessageSchema],
        template_name: str | None = None,
        html_template: str | None = None,
        plain_template: str | None = None,
    ) -> None:
        """As in fastapi-mail. Raises MessageRefused, MessageUndetermined as well.

        Of several messages those before one that is refused have left, as with a server that refuses one.
        """
        made = await self.get_message(message, template_name, html_template, plain_template)
        messages = made if isinstance(made, list) else [made]
        if not self.config.SUPPRESS_SEND:
            async with await self._connected() as server:
                for one in messages:
                    await server.send_message(one)
        for one in messages:
            email_dispatched.send(one)

    async def _connected(self) -> aiosmtp.SMTP:
        """A connection by fastapi-mail's settings. Raises ConnectionErrors, as it does."""
        settings = self.config
        login: dict[str, Any] = {}
        if settings.USE_CREDENTIALS:
            login = {"username": settings.MAIL_USERNAME, "password": settings.MAIL_PASSWORD.get_secret_value()}
        server = aiosmtp.SMTP(
            guard=self._guard,
            hostname=settings.MAIL_SERVER,
            port=settings.MAIL_PORT,
            timeout=settings.TIMEOUT,
            use_tls=settings.MAIL_SSL_TLS,
            start_tls=settings.MAIL_STARTTLS,
            validate_certs=settings.VALIDATE_CERTS,
            cert_bundle=settings.CERT_BUNDLE,
            local_hostname=settings.LOCAL_HOSTNAME,
            **login,
        )
        try:
            await server.connect()
        except Exception as error:
            text = f"Exception raised {error}, check your credentials or email service configuration"  # their words
            raise ConnectionErrors(text) from error  # type: ignore[no-untyped-call] # not typed by them
        return server
