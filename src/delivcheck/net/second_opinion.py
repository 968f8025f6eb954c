"""Runs checkdmarc in a worker process over our own answers, so that both judge the same DNS.

With a probe it also sees the BIMI logo and certificate, and whether the MX hosts offer STARTTLS: fetched and greeted by us, so
that the address policy and the limits of `net.probe` hold for it, too. The process itself opens no connection.
"""

import asyncio
import base64
import binascii
import json
import sys
from typing import Any

import dns.exception
import dns.message
import dns.rdatatype

from ..model import Dns, Probe, ProbeFailed
from . import wire

MAX_LINE = 1 << 20  # octets of one line from the worker; its whole result for a large domain has some 20 KB
MAX_QUESTIONS = 2000  # checkdmarc asks 64 for an ordinary domain (research: domain.md section 5.4)


class NoOpinion(Exception):  # noqa: N818 -- reads well in an except clause
    """checkdmarc gave no result; the text says why."""


async def ask_checkdmarc(
    domain: str,
    client: Dns,
    timeout: float,  # noqa: ASYNC109 -- seconds for the whole run
    probe: Probe | None = None,
) -> dict[str, Any]:
    """Run checkdmarc on a domain: {"opinions": {subject: {"valid", "error", "warnings"}}, "version": …}.

    Every DNS question it has is asked of `client`; what it wants of web and mail servers is asked of `probe`, or not at all.
    Raises NoOpinion.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "delivcheck.net.checkdmarc_worker",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        limit=MAX_LINE,
    )
    try:
        async with asyncio.timeout(timeout):
            return await _converse(process, domain, client, probe)
    except TimeoutError:
        raise NoOpinion(f"checkdmarc took more than {timeout:g} s") from None
    except (ValueError, OSError) as error:
        raise NoOpinion(f"checkdmarc's process said something unexpected: {error}") from None
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _converse(process: asyncio.subprocess.Process, domain: str, client: Dns, probe: Probe | None) -> dict[str, Any]:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps({"domain": domain, "probe": probe is not None}).encode() + b"\n")
    for _ in range(MAX_QUESTIONS):
        line = await process.stdout.readline()
        if not line:
            raise NoOpinion("checkdmarc's process ended without a result")
        said = json.loads(line)
        if "opinions" in said:
            return said  # type: ignore[no-any-return]
        if probe is not None and "fetch" in said:
            reply = await _fetched(said["fetch"], probe)
        elif probe is not None and "greet" in said:
            reply = await _greeted(said["greet"], probe)
        else:
            reply = {"answer": await _answer(said["ask"], client)}
        process.stdin.write(json.dumps(reply).encode() + b"\n")
        await process.stdin.drain()
    raise NoOpinion(f"checkdmarc asked more than {MAX_QUESTIONS} questions")


async def _answer(question: str, client: Dns) -> str | None:
    """The response to one DNS message, both base64; None for a timeout."""
    try:
        request = dns.message.from_wire(base64.b64decode(question))
    except (dns.exception.DNSException, binascii.Error) as error:
        raise NoOpinion(f"checkdmarc asked what is no question: {error}") from None
    asked = request.question[0]
    answer = await client.ask(wire.name_text(asked.name), dns.rdatatype.to_text(asked.rdtype))
    try:
        return base64.b64encode(wire.reply(request, answer).to_wire()).decode()
    except dns.exception.Timeout:
        return None


async def _fetched(url: str, probe: Probe) -> dict[str, Any]:
    """The body at a URL, base64, or the fault."""
    answer = await probe.get(url)
    if isinstance(answer, ProbeFailed):
        return {"fault": str(answer)}
    return {"status": answer.status, "body": base64.b64encode(answer.body).decode()}


async def _greeted(host: str, probe: Probe) -> dict[str, Any]:
    """Whether a mail server offers STARTTLS with a certificate that is good for its name, or the fault."""
    answer = await probe.smtp(host)
    if isinstance(answer, ProbeFailed):
        return {"fault": str(answer)}
    if answer.certificate_fault is not None:  # checkdmarc takes one that does not verify for a failure
        return {"fault": f"SSL error: {answer.certificate_fault}"}
    return {"starttls": answer.tls is not None}
