"""The process in which checkdmarc runs: it asks its parent for every DNS answer, and for nothing else.

checkdmarc keeps caches per process that know nothing of who asked, takes half a second to import, and builds system resolvers
on the way; so it gets a process of its own for each domain. Lines of JSON: the parent sends the domain, then one answer for
each question; the worker sends `{"ask": <DNS message, base64>}` and at last `{"opinions": {...}}`.
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


class ParentNameserver(dns.nameserver.Nameserver):
    """A name server to checkdmarc; in truth the process that started this one."""

    def __init__(self, ask: TextIO, answers: TextIO) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # dnspython leaves it untyped
        self._ask, self._answers = ask, answers

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
        print(json.dumps({"ask": base64.b64encode(request.to_wire()).decode()}), file=self._ask, flush=True)
        line = self._answers.readline()
        if not line:
            raise SystemExit(0)  # the parent has gone
        answer = json.loads(line).get("answer")
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


class _NoWeb:
    """In place of a requests.Session: the worker asks its parent, and nobody else."""

    def __init__(self) -> None:
        self.headers: dict[str, str] = {}

    def get(self, url: str, **_: Any) -> Any:
        """Fail as if the server could not be reached."""
        import requests

        raise requests.ConnectionError(f"{url} is not fetched here")


def _bimi(domain: str, **how: Any) -> dict[str, Any]:
    """What checkdmarc says of the record alone; of the logo and the certificate it has not seen anything."""
    import checkdmarc.bimi

    checkdmarc.bimi.requests.Session = _NoWeb
    found = dict(checkdmarc.bimi.check_bimi(domain, **how))
    unseen = "without a valid mark certificate"
    return {**found, "warnings": [text for text in found.get("warnings", ()) if unseen not in str(text)]}


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
    import checkdmarc.smtp
    import checkdmarc.smtp_tls_reporting
    import checkdmarc.soa
    import checkdmarc.spf

    domain = json.loads(answers.readline())["domain"]
    server = ParentNameserver(ask, answers)
    checks = {
        "spf": checkdmarc.spf.check_spf,
        "dmarc": checkdmarc.dmarc.check_dmarc,
        "mx": checkdmarc.smtp.check_mx,
        "soa": checkdmarc.soa.check_soa,
        "tls-rpt": checkdmarc.smtp_tls_reporting.check_smtp_tls_reporting,
        "bimi": _bimi,
    }
    opinions = {subject: _opinion(check, domain, server) for subject, check in checks.items()}
    if _is_no_bimi(opinions["bimi"]):
        del opinions["bimi"]
    print(json.dumps({"opinions": opinions, "version": checkdmarc.__version__}), file=ask, flush=True)


if __name__ == "__main__":
    main()
