"""Does before the fork what each worker would do with its first message: imports, tables, patterns; half a second of it."""

import asyncio
import importlib
from contextlib import suppress
from ipaddress import ip_address

from ... import policy
from ...checker import Checker, Options
from ...facts.roots import Envelope, Session
from ...net.snapshot import from_mapping

# Loaded when a verdict is asked for the first time.
_LATER = (
    "delivcheck.facts.dkim_crypto",
    "delivcheck.facts._dkimpy",  # asked where a signature fails: the first such message need not wait for it
    "delivcheck.facts._pyspf",
    "delivcheck.net.wire",
    "dns.resolver",
    "prometheus_client",
    "argon2",
    "uvloop",
)

# A bit of everything that mail has. What is said of it does not matter.
_MESSAGE = """\
From: Shop <shop@example.com>
To: pat@example.org
Subject: =?utf-8?q?Caf=C3=A9?=
Date: Mon, 23 Nov 2026 10:00:00 +0000
Message-ID: <1@example.com>
List-Unsubscribe: <https://www.example.com/u>
List-Unsubscribe-Post: List-Unsubscribe=One-Click
MIME-Version: 1.0
Content-Type: multipart/alternative; boundary=b

--b
Content-Type: text/plain; charset=utf-8

Read it at https://www.example.com/r
--b
Content-Type: text/html; charset=utf-8
Content-Transfer-Encoding: quoted-printable

<!DOCTYPE html><html lang=3D"en"><head><title>News</title><style>p{color:#333}@media screen{.a{width:1px}}</style></head>
<body><p style=3D"color:#333">Hello</p><a href=3D"https://www.example.com/r">Read it</a>
<img src=3D"https://www.example.com/i.png" alt=3D"i" width=3D"5" height=3D"5"></body></html>
--b--
"""


def warm() -> None:
    """Workers share what was there before the fork, and no message waits for it. Raises PolicyError, RuleFileError."""
    for name in _LATER:
        with suppress(ImportError):  # extras; who needs one says so itself
            importlib.import_module(name)
    checker = Checker(Options(policy.load("bulk"), from_mapping({})), shown={}, outlooks=False)
    envelope, session = Envelope("shop@example.com", ("pat@example.org",)), Session(ip_address("192.0.2.1"))
    octets = _MESSAGE.replace("\n", "\r\n").encode()
    asyncio.run(checker.message(octets, envelope=envelope, session=session))
