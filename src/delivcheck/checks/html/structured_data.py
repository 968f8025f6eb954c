"""Rules about JSON-LD in the HTML: whether Gmail can make a button or card of it."""

from collections.abc import Iterator, Mapping
from typing import Any

from ...engine import rule
from ...facts.structured_data import Fault, Script, StructuredData
from ...mime.links import split_url
from ...model import Findings, Problem, Undetermined
from ...saying import shortened

MAX_NODES = 5_000  # objects and lists of one script that are looked at; an order with 100 items has 500

_APPS = frozenset({"android-app", "ios-app"})  # Gmail markup, "Declare actions", Mobile deep linking
_TARGETS = ("target", "url", "urlTemplate")
_SHOWN = 100  # characters of a URL in a message


@rule("html/bad-structured-data")
def bad_structured_data(found: StructuredData) -> Findings:
    yield from (Undetermined(one.reason, one.where) for one in found.unavailable)
    for script in found.each:
        for what in _faults(script):
            yield Problem(f"the JSON-LD {what}", script.at)


def _faults(script: Script) -> Iterator[str]:
    value = script.value
    if isinstance(value, Fault):
        yield value.reason
        return
    tops = value if isinstance(value, list) else [value]  # JSON-LD 1.1 section 3: a list of objects is fine
    for top in tops[:MAX_NODES]:
        if not isinstance(top, dict):
            yield "holds something that is no object"
            return
        # JSON-LD 1.1 section 3.1: without a context no name in it means anything.
        if not top.get("@context"):
            yield "has no @context"
        if not top.get("@type") and "@graph" not in top:
            yield "has no @type"
    yield from dict.fromkeys(_actions(tops))


def _actions(value: Any) -> Iterator[str]:
    """What is wrong with the targets of actions, wherever they stand."""
    waiting, seen = [value], 0
    while waiting and seen < MAX_NODES:
        node = waiting.pop()
        seen += 1
        if isinstance(node, dict):
            if _is_action(node):
                for url in _urls(node):
                    fault = _url_fault(url)
                    if fault is not None:
                        yield f"has a {_type(node)} whose target {shortened(url, _SHOWN) or '(empty)'} {fault}"
            waiting += [each for each in node.values() if isinstance(each, (dict, list))][:MAX_NODES]
        else:
            waiting += [each for each in node if isinstance(each, (dict, list))][:MAX_NODES]


def _type(node: Mapping[str, Any]) -> str:
    kind = node.get("@type")
    kind = kind[0] if isinstance(kind, list) and kind else kind
    return kind.rpartition("/")[2][:40] if isinstance(kind, str) else ""


def _is_action(node: Mapping[str, Any]) -> bool:
    return _type(node).endswith("Action")


def _urls(action: Mapping[str, Any]) -> Iterator[str]:
    """Where an action leads: its target or url, that of an EntryPoint or of its handler."""
    waiting = [*(action.get(name) for name in _TARGETS), action.get("handler")]
    for value in waiting:
        for one in value[:MAX_NODES] if isinstance(value, list) else [value]:
            if isinstance(one, str):
                yield one
            elif isinstance(one, dict):
                yield from (each for name in _TARGETS if isinstance(each := one.get(name), str))


def _url_fault(text: str) -> str | None:
    url = split_url(text)
    if url.scheme in _APPS:
        return None
    if url.scheme not in {"http", "https"} or not url.host:
        return "is no whole https address"
    # Gmail markup, "Secure actions": all actions must be handled using HTTPS URLs.
    return "is not encrypted" if url.scheme == "http" else None
