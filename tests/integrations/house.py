"""What the tests of all hooks share: a sink, messages, DNS alive and dead, guards and configurations.

Messages (octets with CRLF; each call makes a new Message-ID and Date: sending one Message-ID twice is a finding of its own):

    house.good()                  passes policy "transactional" unsigned; house.good(Subject="…", X_Tag=None) changes fields
    house.bad()                   fails one rule, house.BAD_RULE, for its subject house.BAD_SUBJECT
    house.email(), house.email(subject=house.BAD_SUBJECT)       the same as an EmailMessage, for libraries that take one
    house.SENDER, RECIPIENT, FROM, TO, SUBJECT, TEXT            for libraries that build it themselves (BOUNCES: as MAIL FROM)

A real SMTP server, in a thread, on a loopback address and port of its own:

    with house.sink() as sink:
        … connect to sink.host, sink.port …
        [taken] = sink.messages               # taken.mail_from, taken.rcpt_to, taken.octets (as on the wire, dots unstuffed)
        sink.lines                            # every command of every connection
    house.sink(lmtp=True, path=…, says={"RCPT": "550 5.1.1 no"}, tls=context, implicit=True, users={"name": "password"},
               extensions=(…))                # what tests.gate.next_hop.NextHop takes
    sink.wait(1)                              # for mail that a process sends later: waits, then returns sink.messages

DNS and guards inside this process:

    house.guard(mode=…, on_unknown=…, record=…)         over the records of a domain that is in order
    house.guard(dns=house.Dead(), …)                    DNS that fails each question at once
    house.dns()                                         the client alone, closed: what is not listed does not exist

For processes outside, over the wire:

    with house.name_server() as dns:                    dns.address is "127.0.2.10:5353"; has the same records
    with house.dead_name_server() as dns:               takes questions and never answers
    path = house.configuration(folder, nameserver=dns.address, mode="enforce", on_unknown="send", record=folder / "record", …)
                                                        writes folder/delivcheck.toml; None: no such key; `text` is put at its end

    house.recorded(path)                                the events of a record file, as dictionaries, [] if there is none

The four outcomes: `good()` arrives octet for octet · `bad()` raises MessageRefused with BAD_RULE in `.rules`, and nothing came to the
sink · `good()` over dead DNS is in the record with "event": "bypassed" and arrives, or with on_unknown="raise" raises
MessageUndetermined · `bad()` with mode="observe" arrives and is in the record.
"""

import asyncio
import json
import re
import socket
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import format_datetime, localtime, make_msgid
from pathlib import Path

from delivcheck.integrations.guard import Guard
from delivcheck.model import DnsUse, Failed, Failure
from tests import servers
from tests.gate import world
from tests.gate.next_hop import NextHop
from tests.gate.serve import name_server as wire_name_server

POLICY = "transactional"
DOMAIN = world.DOMAIN
SENDER, RECIPIENT, BOUNCES = f"orders@{DOMAIN}", "pat@example.net", f"bounces@{DOMAIN}"
FROM, TO = f"Shop <{SENDER}>", f"Pat <{RECIPIENT}>"
SUBJECT, TEXT = "Your order 4711", "Your order has been sent."
BAD_SUBJECT, BAD_RULE = "Your order {{ order.number }}", "template/unrendered-code"
RECORDS = world.RECORDS
WAIT = 30.0  # seconds for mail of another process; a busy machine starts one in several


# --- messages ----------------------------------------------------------------------------------------------------


def good(text=TEXT, **fields):
    return world.message(text, **{"Message-ID": make_msgid(domain=DOMAIN), **fields})


def bad(text=TEXT, **fields):
    return good(text, **{"Subject": BAD_SUBJECT, **fields})


def email(subject=SUBJECT, text=TEXT, **fields):
    message = EmailMessage()
    given = {"From": FROM, "To": TO, "Subject": subject, "Date": format_datetime(localtime()), **fields}
    for name, value in given.items():
        if value is not None:
            message[name.replace("_", "-")] = value
    message["Message-ID"] = make_msgid(domain=DOMAIN)
    message.set_content(text)
    return message


# --- the sink ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Taken:
    """A message that the sink said 250 to. `parameters` are what followed the address in MAIL."""

    mail_from: str
    rcpt_to: tuple[str, ...]
    octets: bytes
    parameters: str


class Sink:
    """A NextHop that runs in a thread of its own."""

    def __init__(self, **options):
        self.hop = NextHop(**options)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def start(self):
        self._thread.start()
        self._do(self.hop.start())

    def stop(self):
        self._do(self.hop.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def _do(self, work):
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    @property
    def host(self):
        return self.hop.host

    @property
    def port(self):
        return self.hop.port

    @property
    def messages(self):
        return [
            Taken(
                _address(one.mail_from), tuple(map(_address, one.rcpt_to)), one.octets, one.mail_from.decode().partition(">")[2]
            )
            for one in list(self.hop.messages)
        ]

    @property
    def lines(self):
        return [line.decode("utf-8", "replace") for line in self.hop.commands]

    def wait(self, count):
        end = time.monotonic() + WAIT
        while len(self.hop.messages) < count:
            assert time.monotonic() < end, f"{len(self.hop.messages)} of {count} messages came"
            time.sleep(0.01)
        return self.messages


def _address(line):
    return re.search(r"<([^>]*)>", line.decode())[1]


@contextmanager
def sink(**options):
    made = Sink(**options)
    made.start()
    try:
        yield made
    finally:
        made.stop()


# --- DNS ---------------------------------------------------------------------------------------------------------


def dns(records=None):
    return world.dns(records)


class Dead:
    """A client whose questions all fail, at once."""

    snapshot_age_s = None

    async def ask(self, _name, _type):
        return Failed(Failure.TIMEOUT)

    def use(self):
        return DnsUse()


def name_server(records=None):
    return wire_name_server.name_server(RECORDS if records is None else records)


@dataclass(frozen=True)
class Silent:
    """An address where questions are taken, and none is answered."""

    address: str


@contextmanager
def dead_name_server():
    host = servers.loopback()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taking:
        taking.bind((host, 0))
        yield Silent(f"{host}:{taking.getsockname()[1]}")


# --- guards and configurations -----------------------------------------------------------------------------------


def guard(**options):
    return Guard(**{"config": False, "policy": POLICY, "dns": dns(), **options})


def configuration(folder, nameserver=None, *, timeout=1.0, policy=POLICY, text="", **hooks):
    """The file's path. `timeout` is for all DNS of one message, in seconds: how long a dead name server takes."""
    lines = [f'policy = "{policy}"', f"timeout = {timeout}"]
    if nameserver is not None:
        lines.append(f'nameservers = ["{nameserver}"]')
    lines.append("[hooks]")
    lines += [f"{name.replace('_', '-')} = {_toml(value)}" for name, value in hooks.items() if value is not None]
    path = Path(folder) / "delivcheck.toml"
    path.write_text("\n".join([*lines, text, ""]))
    return path


def _toml(value):
    return json.dumps(str(value) if isinstance(value, Path) else value)


def recorded(path):
    return [json.loads(line) for line in Path(path).read_text().splitlines()] if Path(path).exists() else []
