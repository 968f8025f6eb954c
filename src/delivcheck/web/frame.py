"""The frame around every page: templates with escaping everywhere, and the headers that each answer has.

The policy of content is strict: styles and images of our own, forms to ourselves, nothing else; no script at all.
"""

import hashlib
from collections.abc import Mapping
from functools import cached_property
from importlib.resources import files
from typing import Any
from urllib.parse import quote, urlencode

import jinja2
from markupsafe import Markup
from starlette.responses import Response, StreamingResponse

from ..trace.keys import Scope
from . import forms, plots, words
from .site import Answer, Visit

_CSP = (
    "default-src 'none'; style-src 'self'; img-src 'self'; frame-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors {by}"
)
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    # Not "no-referrer": with it browsers send "Origin: null" with our own forms (Fetch, "append a request Origin header").
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "X-DNS-Prefetch-Control": "off",
    "Cache-Control": "no-store",
}
_TOKEN = Markup('<input type="hidden" name="{}" value="{}">')
HSTS = "max-age=31536000"  # a year; not of other hosts below this one, which are not ours to decide about
ASSET_AGE = 31_536_000  # seconds: an asset's address has its hash

NAVIGATION = (  # path, name, scope
    ("/", "Overview", Scope.READ),
    ("/messages", "Messages", Scope.READ),
    ("/statistics", "Statistics", Scope.READ),
    ("/rules", "Rules", Scope.READ),
    ("/held", "Held mail", Scope.HELD),
    ("/suppressions", "Suppressions", Scope.READ),
    ("/check", "Check a message", Scope.CHECK),
    ("/audit", "Audit log", Scope.ADMIN),
)


class Frame:
    """Makes answers of templates. `secure`: we are reached by https."""

    def __init__(self, *, secure: bool) -> None:
        self._secure = secure
        self._environment = jinja2.Environment(
            loader=jinja2.PackageLoader("delivcheck.web"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            finalize=words.shown,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._environment.filters.update(
            state=words.state,
            moment=words.moment,
            precisely=words.precisely,
            ago=words.ago,
            number=words.number,
            octets=words.octets,
            percent=words.percent,
            cut=words.cut,
            plural=words.plural,
            segment=segment,
        )
        self._environment.globals.update(share=plots.share, address=address, asset=self.asset, tone=words.tone, Scope=Scope)

    def page(self, visit: Visit | None, template: str, status: int, values: Mapping[str, Any]) -> Answer:
        """A page of a template; without a visit for somebody who is not signed in."""
        around: dict[str, Any] = {"visit": visit, "navigation": (), "here": ""}
        if visit is not None:
            around["navigation"] = [one for one in NAVIGATION if visit.visitor.may(one[2])]
            around["here"] = visit.request.url.path
            around["clock"] = visit.site.clock()
            around["token"] = _TOKEN.format(forms.TOKEN, visit.visitor.token)
        text = self._environment.get_template(template).render({**around, **values})
        return Answer(status, text.encode("utf-8", "replace"))

    def response(self, answer: Answer) -> Response:
        """An answer as the server sends it, with every header that a page must have."""
        headers = {**_HEADERS, "Content-Security-Policy": _CSP.format(by="'self'" if answer.framed else "'none'")}
        headers["X-Frame-Options"] = "SAMEORIGIN" if answer.framed else "DENY"
        if self._secure:
            headers["Strict-Transport-Security"] = HSTS
        headers.update(answer.headers)
        if answer.to is not None:
            headers["Location"] = answer.to
            return Response(b"", answer.status if answer.status in range(300, 400) else 303, headers)
        if answer.pieces is not None:
            return StreamingResponse(answer.pieces, answer.status, headers, media_type=answer.type)
        return Response(answer.body, answer.status, headers, media_type=answer.type)

    # --- assets

    @cached_property
    def assets(self) -> Mapping[str, tuple[bytes, str, str]]:
        """Our files by name: octets, type, and the hash that is their ETag."""
        folder = files("delivcheck.web") / "static"
        found = {}
        for name, kind in (("style.css", "text/css; charset=utf-8"), ("icon.svg", "image/svg+xml")):
            octets = (folder / name).read_bytes()
            found[name] = (octets, kind, hashlib.sha256(octets).hexdigest()[:16])
        return found

    def asset(self, name: str) -> str:
        """The address of an asset, which changes with its content."""
        return f"/assets/{name}?{self.assets[name][2]}"

    def asset_answer(self, name: str, known: str) -> Answer:
        """An asset, or 304 for one that the browser (`known`: If-None-Match) has. Raises KeyError."""
        octets, kind, etag = self.assets[name]
        headers = {"ETag": f'"{etag}"', "Cache-Control": f"public, max-age={ASSET_AGE}, immutable"}
        if f'"{etag}"' in known:
            return Answer(304, b"", kind, headers=headers)
        return Answer(200, octets, kind, headers=headers)


def address(path: str, **query: object) -> str:
    """The address of a page of ours: values of the query that say nothing are left out."""
    said = {name: str(value) for name, value in query.items() if value not in {None, ""}}
    return f"{path}?{urlencode(said, errors='replace')}" if said else path


def segment(text: object) -> str:
    """A text as a part of a path; a rule's id keeps its slash."""
    return quote(str(text), safe="/", errors="replace")
