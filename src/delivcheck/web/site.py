"""The nouns of the pages: who visits, what they ask for, what they get, and the table that a page is registered in."""

import inspect
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from starlette.requests import Request

from ..gate.desk import Desk
from ..trace.keys import Scope


@dataclass(frozen=True, slots=True, kw_only=True)
class Visitor:
    """Who is signed in. `name` is how the audit log has it ("key:NAME", "proxy:USER"); `token` stands in their forms."""

    name: str
    tenant: int
    tenant_name: str
    scopes: frozenset[Scope]
    token: str
    domains: tuple[str, ...] = ()  # may check as these; (): no limit
    streams: tuple[str, ...] = ()
    leaves: bool = True  # signing out means something: there is a session of ours

    def may(self, scope: str) -> bool:
        """Whether this visitor has a scope; an administrator has all of them."""
        return scope in self.scopes or Scope.ADMIN in self.scopes


@dataclass(frozen=True, slots=True)
class Form:
    """What a form sent: fields in their order, uploaded files by field."""

    fields: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict)

    def get(self, name: str) -> str:
        """The first value of a field, without blanks around it and NULs, which no database takes; "" where it was not sent."""
        return next(iter(self.fields.get(name, ())), "").replace("\0", "").strip()

    def all(self, name: str) -> tuple[str, ...]:
        """All values of a field, in the order of the page."""
        return self.fields.get(name, ())


@dataclass(frozen=True, slots=True)
class Answer:
    """What a page answers: a body with its type, or a redirect (`to`). `framed`: only our own pages may show it, in a frame."""

    status: int = 200
    body: bytes = b""
    type: str = "text/html; charset=utf-8"
    to: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    framed: bool = False
    pieces: Iterator[bytes] | None = None  # instead of `body`, for what is too long for it


class Refusal(Exception):  # noqa: N818 -- an answer, no error of ours
    """A page cannot be shown: status and one sentence for the visitor."""

    def __init__(self, status: int, says: str) -> None:
        super().__init__(says)
        self.status = status
        self.says = says


class Framing(Protocol):
    """Makes answers of templates; `frame.Frame` is the one."""

    def page(self, visit: "Visit", template: str, status: int, values: Mapping[str, object]) -> Answer:
        """A page of a template, with the frame around it."""


@dataclass(frozen=True, slots=True)
class Site:
    """What all pages share."""

    desk: Desk
    frame: Framing
    clock: Callable[[], int]  # Unix ms


@dataclass(frozen=True, slots=True)
class Visit:
    """One request of one visitor, its form read and found to be ours."""

    site: Site
    request: Request
    visitor: Visitor
    form: Form

    @property
    def desk(self) -> Desk:
        """What stands behind the pages."""
        return self.site.desk

    @property
    def tenant(self) -> int:
        """Whose data this is: every query names it."""
        return self.visitor.tenant

    def asked(self, name: str, most: int = 2_000) -> str:
        """A value of the query string, cut to `most` characters; "" where there is none."""
        return self.request.query_params.get(name, "")[:most].replace("\0", "").strip()

    def path(self, name: str) -> str:
        """A part of the path."""
        return str(self.request.path_params[name]).replace("\0", "")

    def page(self, template: str, status: int = 200, /, **values: object) -> Answer:
        """A page of a template, with the frame around it."""
        return self.site.frame.page(self, template, status, values)


Handler = Callable[[Visit], Answer | Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class Page:
    """One row of the table: `handler` is called in a thread, since it blocks, or awaited where it is a coroutine function."""

    method: str  # "GET" (HEAD with it) or "POST"
    path: str
    scope: Scope
    handler: Handler
    upload: bool = False  # the form may bring a message

    @property
    def threaded(self) -> bool:
        """Whether it blocks."""
        return not inspect.iscoroutinefunction(self.handler)
