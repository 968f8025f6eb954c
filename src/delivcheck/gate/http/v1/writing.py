"""How answers are written, and described in the OpenAPI document: the same `Struct` for both."""

from typing import Any

import msgspec
from fastapi import Response

from ..problem import MEDIA_TYPE
from .answers import ProblemOut

JSON = "application/json"
NDJSON = "application/x-ndjson"

_WHEN = {
    400: "The body is no JSON, or no message.",
    401: "No API key, or none that is valid.",
    403: "The key has not the scope, or not the stream.",
    404: "There is no such thing, or it is another tenant's.",
    406: "There is no such form.",
    408: "The body came too slowly.",
    409: "The Idempotency-Key stands for another request, or for one that is at work.",
    413: "The body or the message is too large.",
    415: "The body's media type or coding is not taken.",
    422: "Something in it is impossible; or the mail was refused for all recipients, with the findings.",
    429: "The key asks too often.",
    503: "The gate, or what is behind it, cannot do it just now. Nobody has the mail.",
}


def written(value: Any, status: int = 200, **headers: str) -> Response:
    """A Struct (or a dict) as JSON."""
    return Response(msgspec.json.encode(value), status, headers or None, JSON)


def described(kind: type, status: int = 200, text: str = "Done.", *also: int) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route: its answer, and which problems beside those that every route has (`openapi`)."""
    return {status: {"description": text, "content": {JSON: {"schema": ref(kind)}}}, **{code: problem(code) for code in also}}


def ref(kind: type) -> dict[str, str]:
    """Where the document has its schema."""
    return {"$ref": f"#/components/schemas/{kind.__name__}"}


def problem(code: int) -> dict[str, Any]:
    """The description of an error."""
    return {"description": _WHEN[code], "content": {MEDIA_TYPE: {"schema": ref(ProblemOut)}}}
