"""The process in which checkdmarc runs: it asks its parent for every DNS answer, and for nothing else.

checkdmarc keeps caches per process that know nothing of who asked, takes half a second to import, and builds system resolvers
on the way; so it gets a process of its own for each domain. Lines of JSON: the parent sends the domain, then one answer for
each question; the worker sends `{"ask": <DNS message, base64>}` and at last `{"opinions": {...}}`. Where the parent may probe,
the worker also sends `{"fetch": <URL>}` and `{"greet": <mail server>}`.
"""

import base64
import functools
import json
import os
import sys
from collections.abc import Callable
from typing import Any, TextIO

import dns.exception
import dns.message
import dns.nameserver
import dns.resolver

# Seconds in which dnspython would ask again after a timeout. The parent has retried already, and this is looked at only
# between attempts, so a slow answer is still taken.
PATIENCE = 0.1


class Parent:
    """The process that started this one."""

    def __init__(self, ask: TextIO, answers: TextIO) -> None:
        self._ask, self._answers = ask, answers

    def told(self, question: Any) -> Any:
        """Put one question and wait for what the parent says."""
        print(json.dumps(question), file=self._ask, flush=True)
        line = self._answers.readline()
        if not line:
            raise SystemExit(0)  # the parent has gone
        return json.loads(line)


class ParentNameserver(dns.nameserver.Nameserver):
    """A name server to checkdmarc; in truth the process that started this one."""

    def __init__(self, parent: Parent) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # dnspython leaves it untyped
        self._parent = parent

    def __str__(self) -> str:
        return "delivcheck"

    def kind(self) -> str:
        """The transport's name, for messages."""
        return "delivcheck"

    def is_always_max_size(self) -> bool:
        """Answers are never truncated, so nobody needs to ask again over TCP."""
        return True

    def answer_nameserver(self) -> str:
        """Who answered."""
        return "delivcheck"

    def answer_port(self) -> int:
        """No port."""
        return 0

    def query(self, request: dns.message.QueryMessage, *_: Any, **__: Any) -> dns.message.Message:
        """Put the question to the parent and wait. Raises dns.exception.Timeout when the parent says it timed out."""
        answer = self._parent.told({"ask": base64.b64encode(request.to_wire()).decode()}).get("answer")
        if answer is None:
            raise dns.exception.Timeout
        return dns.message.from_wire(base64.b64decode(answer))


def _opinion(check: Callable[..., Any], domain: str, server: ParentNameserver) -> dict[str, Any]:
    """One of checkdmarc's results in one shape, whatever it raises."""
    try:
        found = dict(check(domain, nameservers=[server], timeout=PATIENCE))
    except Exception as error:  # noqa: BLE001 -- checkdmarc leaks what dnspython and its parsers raise
        return {"valid": False, "error": f"{type(error).__name__}: {error}", "warnings": []}
    said = found.get("error")
    return {
        "valid": bool(found.get("valid", said is None)) and said is None,
        "error": None if said is None else str(said),
        "warnings": [str(warning) for warning in found.get("warnings", ())],
    }


class _Web:
    """In place of a requests.Session: the worker asks its parent, where that may fetch, and nobody else."""

    def __init__(self, parent: Parent | None) -> None:
        self.headers: dict[str, str] = {}
        self._parent = parent

    def get(self, url: str, **_: Any) -> Any:
        """What the parent fetched, or a failure as if the server could not be reached."""
        import requests

        said: dict[str, Any] = {"fault": "not fetched here"} if self._parent is None else self._parent.told({"fetch": url})
        if "fault" in said:
            raise requests.ConnectionError(f"{url}: {said['fault']}")
        response = requests.Response()
        response.status_code, response.url = said["status"], url
        response._content = base64.b64decode(said["body"])  # noqa: SLF001 -- a Response has no other way to be given its body
        return response


def _bimi(domain: str, parent: Parent | None, **how: Any) -> dict[str, Any]:
    """What checkdmarc says of the record, and of logo and certificate where the parent fetched them.

    Of what it has not seen it says nothing: without a parent that may fetch, the warning about the certificate is left out.
    """
    import checkdmarc.bimi

    checkdmarc.bimi.requests.Session = lambda: _Web(parent)
    found = dict(checkdmarc.bimi.check_bimi(domain, **how))
    warnings = [str(text) for text in found.get("warnings", ())]
    if parent is None:
        return {**found, "warnings": [text for text in warnings if "without a valid mark certificate" not in text]}
    for what in ("image", "certificate"):
        seen = found.get(what) or {}
        said = [seen["error"]] if seen.get("error") else [*seen.get("validation_errors", ()), *seen.get("warnings", ())]
        warnings += [f"{what}: {text}" for text in said]
    return {**found, "warnings": warnings}


def _mx(domain: str, parent: Parent | None, **how: Any) -> dict[str, Any]:
    """What checkdmarc says of the MX hosts, and of their STARTTLS where the parent greeted them."""
    import checkdmarc.smtp

    def starttls(host: str, **_: Any) -> bool:
        assert parent is not None
        said = parent.told({"greet": host})
        if "fault" in said:
            raise checkdmarc.smtp.SMTPError(said["fault"])
        return bool(said["starttls"])

    def implicit(_host: str, **_: Any) -> bool:
        raise checkdmarc.smtp.SMTPError(_PORT_465)

    checkdmarc.smtp.test_starttls, checkdmarc.smtp.test_tls = starttls, implicit
    found = dict(checkdmarc.smtp.check_mx(domain, check_mx_tls=parent is not None, **how))
    return {**found, "warnings": [text for text in found.get("warnings", ()) if _PORT_465 not in str(text)]}


_PORT_465 = "not asked"  # it takes implicit TLS for a way to receive; between mail servers there is none (RFC 8314 section 3)


def _is_no_bimi(opinion: dict[str, Any]) -> bool:
    """Whether there is no BIMI record at all, which is nobody's fault (catalogue T093)."""
    return "does not exist" in (opinion["error"] or "")


def main() -> None:
    """Serve one domain on standard input and output."""
    answers = os.fdopen(os.dup(0), encoding="utf-8")
    ask = os.fdopen(os.dup(1), "w", encoding="utf-8")
    sys.stdout = sys.stderr  # whatever checkdmarc prints must not look like a question
    # checkdmarc builds a Resolver even when it is given name servers, and that fails without /etc/resolv.conf.
    dns.resolver.Resolver.__init__ = functools.partialmethod(dns.resolver.Resolver.__init__, configure=False)  # type: ignore[assignment,method-assign]  # this process is checkdmarc's alone
    import checkdmarc.dmarc
    import checkdmarc.smtp_tls_reporting
    import checkdmarc.soa
    import checkdmarc.spf

    wanted = json.loads(answers.readline())
    domain, parent = wanted["domain"], Parent(ask, answers)
    probing = parent if wanted.get("probe") else None
    server = ParentNameserver(parent)
    checks = {
        "spf": checkdmarc.spf.check_spf,
        "dmarc": checkdmarc.dmarc.check_dmarc,
        "mx": functools.partial(_mx, parent=probing),
        "soa": checkdmarc.soa.check_soa,
        "tls-rpt": checkdmarc.smtp_tls_reporting.check_smtp_tls_reporting,
        "bimi": functools.partial(_bimi, parent=probing),
    }
    opinions = {subject: _opinion(check, domain, server) for subject, check in checks.items()}
    if _is_no_bimi(opinions["bimi"]):
        del opinions["bimi"]
    print(json.dumps({"opinions": opinions, "version": checkdmarc.__version__}), file=ask, flush=True)


if __name__ == "__main__":
    main()
