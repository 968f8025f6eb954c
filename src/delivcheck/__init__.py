"""delivcheck: is there anything here for which mailbox providers refuse or hide mail, and what exactly must change?

    import delivcheck

    report = delivcheck.check_message(octets, message_class="bulk", ip="192.0.2.25",
                                      envelope=delivcheck.Envelope("bounce@example.com", ("a@example.net",)))
    if report.verdict is delivcheck.Verdict.FAIL: ...
    delivcheck.to_json(report)          # schema delivcheck/1

    report = delivcheck.audit_domain("example.com")

    diff = delivcheck.diff_domain("example.com", Path("new.zone"))      # what a DNS change would do

All have twins for a running event loop, `check_message_async` and so on.

    send = delivcheck.guard(send, policy="transactional")               # raises MessageRefused instead of sending what fails

Drop-ins that do so: `from delivcheck import smtplib`, `from delivcheck import aiosmtp`. Nothing is imported before it is used.
"""

from typing import TYPE_CHECKING, Any

from .version import __version__

if TYPE_CHECKING:
    from .api import (
        Checker,
        InputError,
        Options,
        audit_domain,
        audit_domain_async,
        check_message,
        check_message_async,
        to_json,
    )
    from .diff.run import diff_domain, diff_domain_async, diff_to_json
    from .diff.values import Diff
    from .facts.roots import Envelope, Session
    from .integrations.errors import MessageRefused, MessageUndetermined
    from .integrations.guard import Guard
    from .integrations.wrapping import guard
    from .model import Level, Outcome, Problem, Report, Result, Stage, TargetReport, Verdict, Where
    from .policy import PolicyError

__all__ = [
    "Checker",
    "Diff",
    "Envelope",
    "Guard",
    "InputError",
    "Level",
    "MessageRefused",
    "MessageUndetermined",
    "Options",
    "Outcome",
    "PolicyError",
    "Problem",
    "Report",
    "Result",
    "Session",
    "Stage",
    "TargetReport",
    "Verdict",
    "Where",
    "__version__",
    "audit_domain",
    "audit_domain_async",
    "check_message",
    "check_message_async",
    "diff_domain",
    "diff_domain_async",
    "diff_to_json",
    "guard",
    "to_json",
]

_HOMES = {
    "diff.run": ("diff_domain", "diff_domain_async", "diff_to_json"),
    "diff.values": ("Diff",),
    "facts.roots": ("Envelope", "Session"),
    "integrations.errors": ("MessageRefused", "MessageUndetermined"),
    "integrations.guard": ("Guard",),
    "integrations.wrapping": ("guard",),
    "model": ("Level", "Outcome", "Problem", "Report", "Result", "Stage", "TargetReport", "Verdict", "Where"),
    "policy": ("PolicyError",),
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used (PEP 562)."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    home = next((module for module, names in _HOMES.items() if name in names), "api")
    value = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """The public names."""
    return __all__
