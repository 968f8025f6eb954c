"""The OpenAPI document: what the routes say, the shapes they name, and the errors that all of them have."""

from typing import Any

import msgspec
from fastapi import APIRouter
from fastapi.openapi.utils import get_openapi

from ....trace import shapes
from ....version import __version__
from . import answers
from .body import Mail
from .writing import problem

SHAPES = (
    Mail,
    answers.DeliveriesOut,
    answers.EventsOut,
    answers.HeldListOut,
    answers.HeldOut,
    shapes.MessageOut,
    answers.MessagesOut,
    answers.NewWebhookOut,
    answers.ProblemOut,
    answers.ReleasedOut,
    answers.SentOut,
    answers.StatsOut,
    answers.SuppressIn,
    answers.SuppressionsOut,
    answers.WebhooksOut,
)
ALWAYS = (401, 403, 422, 429, 503)  # of every route with a key
_METHODS = {"get", "post", "put", "patch", "delete"}
_ABOUT = """Mail is judged before it leaves, by the same rules as everything that comes by SMTP. An answer of 2xx comes only
when the next hop has it (200), or a durable copy is held here (202). Errors are `application/problem+json` (RFC 9457)."""


def document(api: APIRouter) -> dict[str, Any]:
    """The document of a router and all that it includes."""
    made = get_openapi(
        title="delivcheck Web Service",
        version=__version__,
        openapi_version="3.1.0",
        description=_ABOUT,
        routes=api.routes,
    )
    parts = made.setdefault("components", {}).setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):  # FastAPI's own, which nobody is sent
        parts.pop(name, None)
    _, known = msgspec.json.schema_components(SHAPES, ref_template="#/components/schemas/{name}")
    parts.update(known)
    for methods in made["paths"].values():
        for method, operation in methods.items():
            if method in _METHODS:
                _complete(operation)
    return made


def _complete(operation: dict[str, Any]) -> None:
    responses = operation["responses"]
    if operation.get("security"):
        responses.update({str(code): problem(code) for code in ALWAYS})
        responses["401"]["headers"] = {"WWW-Authenticate": {"schema": {"type": "string"}}}
    if "{" in str(operation.get("parameters", "")) and any(one.get("in") == "path" for one in operation.get("parameters", ())):
        responses.setdefault("404", problem(404))
    if "requestBody" in operation:
        for code in (400, 408, 413, 415):
            responses.setdefault(str(code), problem(code))
    for late in ("409", "429", "503"):
        if late in responses:
            responses[late]["headers"] = {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}}}
    operation["responses"] = dict(sorted(responses.items()))
