"""The showcase's world, a process of its own: DNS, the next hop, the shop that sends, and the people who read.

Started by `showcase.run` as `python -m delivcheck.cli.showcase.world HOST KEY`, it prints the ports of DNS and next hop. A line
of JSON on its standard input, the gate's ports, lets the shop begin to send. It ends with standard input.
"""

import asyncio
import itertools
import json
import random
import re
import smtplib
import sys
import urllib.request
from collections.abc import Mapping
from email import message_from_bytes, policy

from . import zone
from .mails import Letter, letter
from .sink import Sink, Taken

PAUSE = 1.0  # seconds between two messages, on the average
READING = (1.0, 20.0)  # seconds until somebody opens a message
PUBLIC = f"https://mail.{zone.SENDER}"  # `public-url` of the configuration, which the world reaches on loopback
BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"

_PIXEL = re.compile(rf'src="({re.escape(PUBLIC)}/o/[^"]+)"')
_LINK = re.compile(rf'href="({re.escape(PUBLIC)}/c/[^"]+)"')
_LEAVE = re.compile(rf"<({re.escape(PUBLIC)}/u/[^>]+)>")


async def _world(host: str, public_key: str) -> None:
    people = _People(host)
    transport, dns_port = await zone.serve(host, zone.records(public_key))
    server, smtp_port = await Sink(people.got).serve(host)
    sys.stdout.write(json.dumps({"dns": dns_port, "smtp": smtp_port}) + "\n")
    sys.stdout.flush()
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    if line := await reader.readline():
        people.ports = json.loads(line)
        sending = asyncio.create_task(_shop(host, people.ports["smtp"]))
        await reader.read()
        sending.cancel()
    server.close()
    transport.close()


# --- the shop --------------------------------------------------------------------------------------------------------


async def _shop(host: str, port: int) -> None:
    dice = random.Random()  # noqa: S311 -- no secret
    await _listening(host, port)
    for number in itertools.count(dice.randrange(1_000, 9_000)):
        await asyncio.to_thread(_send, host, port, letter(number, dice))
        await asyncio.sleep(dice.expovariate(1 / PAUSE))


async def _listening(host: str, port: int) -> None:
    """Until the gate is there."""
    while True:
        try:
            _, writer = await asyncio.open_connection(host, port)
        except OSError:
            await asyncio.sleep(0.1)
        else:
            writer.close()
            return


def _send(host: str, port: int, one: Letter) -> None:
    """As an application does; what is refused is no news here, it is in the trace."""
    try:
        with smtplib.SMTP(host, port, timeout=30) as client:
            client.sendmail(one.sender, [one.recipient], one.octets)
    except (OSError, smtplib.SMTPException):
        return


# --- the people ------------------------------------------------------------------------------------------------------


class _People:
    """They open and click, some leave, and some servers find out late that a mailbox is gone."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._dice = random.Random()  # noqa: S311 -- no secret
        self._reading: set[asyncio.Task[None]] = set()
        self.ports: Mapping[str, int] = {}

    def got(self, message: Taken) -> None:
        """A message has come."""
        task = asyncio.create_task(self._read(message))
        self._reading.add(task)
        task.add_done_callback(self._reading.discard)

    async def _read(self, message: Taken) -> None:
        await asyncio.sleep(self._dice.uniform(*READING))
        fate = self._dice.random()
        if fate < 0.03 and message.mail_from.startswith("b-"):
            await asyncio.to_thread(self._bounce, message)
            return
        octets = message.octets
        parsed = message_from_bytes(octets, policy=policy.default)
        body = parsed.get_body(("html",))
        html = body.get_content() if body is not None else ""
        if fate < 0.6 and (pixel := _PIXEL.search(html)):
            await asyncio.to_thread(self._visit, pixel[1])
            if fate < 0.3 and (link := _LINK.search(html)):
                await asyncio.sleep(self._dice.uniform(1, 5))
                await asyncio.to_thread(self._visit, link[1])
        if fate > 0.97 and (leave := _LEAVE.search(str(parsed.get("List-Unsubscribe", "")))):
            await asyncio.to_thread(self._visit, leave[1], b"List-Unsubscribe=One-Click")

    def _visit(self, url: str, body: bytes | None = None) -> None:
        """A GET, or a POST; where a link leads in the end nobody looks."""
        near = f"http://{self._host}:{self.ports['http']}{url.removeprefix(PUBLIC)}"
        request = urllib.request.Request(near, body, {"User-Agent": BROWSER})
        try:
            _NOWHERE.open(request, timeout=10).close()
        except OSError:  # the redirect, too
            return

    def _bounce(self, message: Taken) -> None:
        """A delivery status notification (RFC 3464), as a server sends it that took the message and could not deliver it."""
        report = _REPORT.format(to=message.mail_from, who=message.rcpt_to[0]).replace("\n", "\r\n")
        try:
            with smtplib.SMTP(self._host, self.ports["bounces"], timeout=10) as client:
                client.sendmail("", [message.mail_from], report.encode())
        except (OSError, smtplib.SMTPException):
            return


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        """Nobody follows."""


_NOWHERE = urllib.request.build_opener(_NoRedirect)

_REPORT = """\
From: MAILER-DAEMON@mx.example.net
To: {to}
Subject: Undelivered mail
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="b"

--b
Content-Type: text/plain

The mailbox does not exist.
--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.net

Final-Recipient: rfc822; {who}
Action: failed
Status: 5.1.1
Diagnostic-Code: smtp; 550 5.1.1 mailbox does not exist

--b--
"""


if __name__ == "__main__":
    asyncio.run(_world(sys.argv[1], sys.argv[2]))
