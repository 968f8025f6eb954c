"""Real clients: each sends one letter its own way, and gives back what its user sees.

    said = CLIENTS["swaks"](way, letter)
    said.ok, said.text              # by its exit code or exception; what it printed

All verify the certificate, log in and use TLS: STARTTLS, or from the first octet where `way.implicit`.
"""

import asyncio
import base64
import json
import shlex
import smtplib
import ssl
import subprocess
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import aiosmtplib

from tests.gate.clients.place import NAME, Letter, Way
from tests.servers import NODE_MODULES, program

HELLO = "client.example"
PATIENCE = 20.0
HERE = Path(__file__).parent


@dataclass(frozen=True)
class Said:
    """What a client's user sees."""

    ok: bool
    text: str


def run(command: Sequence[str], octets: bytes = b"") -> Said:
    done = subprocess.run(command, input=octets, capture_output=True, timeout=PATIENCE, check=False)
    return Said(done.returncode == 0, (done.stdout + done.stderr).decode("utf-8", "replace"))


def swaks(way: Way, letter: Letter, *more: str) -> Said:
    tls = ["--tls-on-connect" if way.implicit else "--tls", "--tls-verify", "--tls-ca-path", str(way.authority)]
    auth = ["--auth", way.mechanism, "--auth-user", way.user, "--auth-password", way.password]
    envelope = ["--helo", HELLO, "--from", letter.sender, "--to", ",".join(letter.to)]
    return run(
        ["swaks", "--server", way.host, "--port", str(way.port), *tls, *auth, *envelope, *more, "--data", "-"], letter.octets
    )


def curl(way: Way, letter: Letter, *more: str) -> Said:
    scheme, security = ("smtps", []) if way.implicit else ("smtp", ["--ssl-reqd"])
    # -v shows the server's replies; without it the user is told the code alone
    command = ["curl", "-sS", "-v", *security, "--cacert", str(way.authority), "--login-options", f"AUTH={way.mechanism}"]
    envelope = ["--mail-from", letter.sender, *(word for one in letter.to for word in ("--mail-rcpt", one))]
    command += ["--user", f"{way.user}:{way.password}", *envelope, *more, "--upload-file", "-"]
    return run([*command, f"{scheme}://{way.host}:{way.port}/{HELLO}"], letter.octets)


def msmtp(way: Way, letter: Letter, *more: str) -> Said:
    settings = {
        "host": way.host,
        "port": str(way.port),
        "tls": "on",
        "tls_starttls": "off" if way.implicit else "on",
        "tls_trust_file": str(way.authority),
        "auth": way.mechanism.lower(),
        "user": way.user,
        "passwordeval": f"printf %s {shlex.quote(way.password)}",
        "domain": HELLO,
    }
    words = [f"--{name.replace('_', '-')}={value}" for name, value in settings.items()]
    # mail comes to msmtp as from a pipe of the platform's, in lines that end in LF
    octets = letter.octets.replace(b"\r\n", b"\n")
    return run(["msmtp", "--file=/dev/null", *words, f"--from={letter.sender}", *more, "--", *letter.to], octets)


def nodemailer(way: Way, letter: Letter) -> Said:
    settings = {**asdict(way), "authority": str(way.authority), "name": NAME, "modules": str(NODE_MODULES)}
    settings |= {"sender": letter.sender, "to": letter.to}
    return run(["node", str(HERE / "nodemailer.cjs"), json.dumps(settings)], letter.octets)


def trusting(way: Way) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(way.authority))


def python_smtplib(way: Way, letter: Letter, options: Sequence[str] = (), recipient_options: Sequence[str] = ()) -> Said:
    context, client = trusting(way), None
    try:
        if way.implicit:
            client = smtplib.SMTP_SSL(way.host, way.port, HELLO, timeout=PATIENCE, context=context)
        else:
            client = smtplib.SMTP(way.host, way.port, HELLO, timeout=PATIENCE)
            client.starttls(context=context)
        client.ehlo()
        # `login` takes the best that is offered; the mechanism is said as its own documentation has it
        client.user, client.password = way.user, way.password
        client.auth(way.mechanism, getattr(client, f"auth_{way.mechanism.lower()}"))
        offered = [one for one in ("BODY=8BITMIME",) if not letter.octets.isascii() and client.has_extn("8bitmime")]
        offered += ["SMTPUTF8"] if letter.utf8 and client.has_extn("smtputf8") else []
        refused = client.sendmail(letter.sender, list(letter.to), letter.octets, [*offered, *options], recipient_options)
        return Said(not refused, str(refused))
    except (smtplib.SMTPException, OSError, UnicodeError) as error:
        return Said(False, f"{type(error).__name__}: {error}")
    finally:
        if client is not None:
            with suppress(smtplib.SMTPException, OSError):
                client.quit()


def python_aiosmtplib(way: Way, letter: Letter) -> Said:
    async def send() -> Said:
        client = aiosmtplib.SMTP(
            hostname=way.host,
            port=way.port,
            local_hostname=HELLO,
            timeout=PATIENCE,
            use_tls=way.implicit,
            start_tls=not way.implicit,
            tls_context=trusting(way),
        )
        transport = None
        try:
            async with client:
                transport = client.transport
                await client.ehlo()
                login = client.auth_plain if way.mechanism == "PLAIN" else client.auth_login
                await login(way.user, way.password)
                options = [
                    one for one in ("BODY=8BITMIME",) if not letter.octets.isascii() and client.supports_extension("8bitmime")
                ]
                options += ["SMTPUTF8"] if letter.utf8 and client.supports_extension("smtputf8") else []
                refused, text = await client.sendmail(letter.sender, list(letter.to), letter.octets, mail_options=options)
                return Said(not refused, f"{text} {refused}")
        except (aiosmtplib.SMTPException, OSError, UnicodeError) as error:
            return Said(False, f"{type(error).__name__}: {error}")
        finally:
            if transport is not None:
                transport.abort()  # leaving waits for the server's end of TLS, and asyncio.run does not
                await asyncio.sleep(0)

    return asyncio.run(send())


def openssl(way: Way, letter: Letter, *, chunk: int = 0) -> Said:
    """`openssl s_client`, which only does TLS: the dialogue is ours, with `chunk` octets in each BDAT instead of DATA."""
    command = ["openssl", "s_client", "-connect", f"{way.host}:{way.port}", "-quiet", "-verify_return_error"]
    command += ["-CAfile", str(way.authority), "-verify_ip", way.host, *([] if way.implicit else ["-starttls", "smtp"])]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        late = threading.Timer(PATIENCE, process.kill)
        late.start()
        try:
            return _dialogue(process, way, letter, chunk)
        finally:
            late.cancel()
            process.kill()


def _dialogue(process: "subprocess.Popen[bytes]", way: Way, letter: Letter, chunk: int) -> Said:
    assert process.stdin is not None
    assert process.stdout is not None
    reading, writing, said = process.stdout, process.stdin, []

    def say(octets: bytes = b"") -> bool:
        writing.write(octets)
        writing.flush()
        while True:
            line = reading.readline()
            said.append(line.decode())
            if line[3:4] != b"-":
                return line[:1] in b"23" and line != b""

    def base64_line(*words: str) -> bytes:
        return base64.b64encode("\0".join(words).encode()) + b"\r\n"

    def content() -> bool:
        if not chunk:
            return say(b"DATA\r\n") and say(letter.octets.replace(b"\r\n.", b"\r\n..") + b".\r\n")
        pieces = [letter.octets[at : at + chunk] for at in range(0, len(letter.octets), chunk)]
        return all(say(b"BDAT %d\r\n%b" % (len(one), one)) for one in pieces[:-1]) and say(
            b"BDAT %d LAST\r\n%b" % (len(pieces[-1]), pieces[-1])
        )

    if way.mechanism == "PLAIN":
        login = [b"AUTH PLAIN " + base64_line("", way.user, way.password)]
    else:
        login = [b"AUTH LOGIN\r\n", base64_line(way.user), base64_line(way.password)]
    lines = [f"EHLO {HELLO}\r\n".encode(), *login, f"MAIL FROM:<{letter.sender}>\r\n".encode()]
    lines += [f"RCPT TO:<{one}>\r\n".encode() for one in letter.to]
    # before STARTTLS s_client itself reads the banner, and what is said to its own EHLO
    ok = (not way.implicit or say()) and all(map(say, lines)) and content()
    return Said(ok, "".join(said))


CLIENTS: dict[str, Callable[[Way, Letter], Said]] = {
    "swaks": swaks,
    "smtplib": python_smtplib,
    "aiosmtplib": python_aiosmtplib,
    "nodemailer": nodemailer,
    "msmtp": msmtp,
    "curl": curl,
    "openssl": openssl,
}
NEEDS = {
    "swaks": "swaks",
    "nodemailer": "nodemailer",
    "msmtp": "msmtp",
    "curl": "curl",
    "openssl": "openssl",
}  # of tests.servers


def there(name: str) -> bool:
    """Whether a client is installed."""
    return name not in NEEDS or program(NEEDS[name]) is not None
