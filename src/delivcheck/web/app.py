"""The pages as routes: one table, and for each row the same way in: who is it, may they, is the form ours; then the page."""

import time
from collections.abc import Awaitable, Callable
from urllib.parse import quote

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from ..gate.desk import Desk
from ..trace.store import StoreError
from . import forms
from .access import Access
from .frame import Frame
from .pages import PAGES
from .site import Answer, Form, Page, Refusal, Site, Visit, Visitor

MAX_NEXT = 2_000  # characters of the page to go to after signing in

Endpoint = Callable[[Request], Awaitable[Response]]


def router(desk: Desk, *, clock: Callable[[], int] | None = None) -> APIRouter:
    """The pages, to be mounted at the root, after everything else. `clock` gives Unix ms."""
    return _Pages(desk, clock or (lambda: time.time_ns() // 1_000_000)).routes()


class _Pages:
    def __init__(self, desk: Desk, clock: Callable[[], int]) -> None:
        self._desk = desk
        self._access = Access(desk, clock)
        self._frame = Frame(secure=self._access.secure)
        self._site = Site(desk, self._frame, clock)
        self._upload = desk.gate.limits.message_size + forms.AROUND

    def routes(self) -> APIRouter:
        made = APIRouter(include_in_schema=False)

        def add(path: str, methods: list[str], endpoint: Callable[[Request], Awaitable[Answer]]) -> None:
            made.add_api_route(path, self._endpoint(endpoint), methods=methods, response_model=None)

        add("/assets/{name}", ["GET", "HEAD"], self._asset)
        add("/sign-in", ["GET", "HEAD"], self._sign_in_page)
        add("/sign-in", ["POST"], self._sign_in)
        add("/sign-out", ["POST"], self._sign_out)
        for page in PAGES:
            add(page.path, ["GET", "HEAD"] if page.method == "GET" else ["POST"], self._visited(page))
        return made

    # --- every request

    def _endpoint(self, handler: Callable[[Request], Awaitable[Answer]]) -> Endpoint:
        async def endpoint(request: Request) -> Response:
            try:
                answer = await handler(request)
            except Refusal as refusal:
                answer = self._refused(refusal)
            except StoreError as error:
                # The operator's log has the reason; a visitor is told no more than that it is not their fault.
                self._desk.watch("fault", where="pages", reason=str(error), trace="")
                answer = self._refused(Refusal(503, "the trace cannot be read just now; please try again in a moment"))
            return self._frame.response(answer)

        return endpoint

    def _visited(self, page: Page) -> Callable[[Request], Awaitable[Answer]]:
        async def handler(request: Request) -> Answer:
            visitor = await self._desk.work(self._access.visitor, request)
            if visitor is None:
                return self._come_in(request)
            if not visitor.may(page.scope):
                raise Refusal(403, f"this page wants a key with the scope “{page.scope}”, and yours has not got it")
            form = Form()
            if page.method == "POST":
                form = await self._form(request, visitor, upload=page.upload)
            visit = Visit(self._site, request, visitor, form)
            answer = await self._desk.work(page.handler, visit) if page.threaded else page.handler(visit)
            return answer if isinstance(answer, Answer) else await answer

        return handler

    async def _form(self, request: Request, visitor: Visitor, *, upload: bool = False) -> Form:
        forms.hold_origin(request, self._desk.gate.http.public_url)
        form = await forms.read(request, self._upload if upload else forms.FORM)
        forms.hold_token(form, visitor.token)
        return form

    def _refused(self, refusal: Refusal) -> Answer:
        return self._frame.page(None, "refused.html", refusal.status, {"says": refusal.says, "status": refusal.status})

    # --- signing in and out

    def _come_in(self, request: Request) -> Answer:
        """To the form where a key is asked for, and back here afterwards."""
        if request.method not in {"GET", "HEAD"}:
            raise Refusal(403, "you are not signed in, or no longer; please sign in, and send the form again")
        here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        if request.headers.get("sec-fetch-site") == "cross-site" and request.headers.get("sec-fetch-mode") == "navigate":
            # Who follows a link from a chat or a mail sends no SameSite=Strict cookie. One hop from our own page, and they do.
            return self._frame.page(None, "hop.html", 200, {"here": here})
        return Answer(303, to="/sign-in" if here == "/" else f"/sign-in?next={quote(here[:MAX_NEXT], safe='')}")

    async def _sign_in_page(self, request: Request) -> Answer:
        visitor = await self._desk.work(self._access.visitor, request)
        following = _following(request.query_params.get("next", ""))
        if visitor is not None:
            return Answer(303, to=following)
        return self._sign_in_form(following)

    def _sign_in_form(self, following: str, wrong: str = "", status: int = 200) -> Answer:
        return self._frame.page(None, "sign_in.html", status, {"next": following, "wrong": wrong})

    async def _sign_in(self, request: Request) -> Answer:
        # There is no session yet, and so no token: where the form comes from is what is left to hold on to.
        forms.hold_origin(request, self._desk.gate.http.public_url)
        form = await forms.read(request)
        following = _following(form.get("next"))
        try:
            value = await self._desk.work(self._access.sign_in, request, form.get("key"))
        except Refusal as refusal:
            return self._sign_in_form(following, refusal.says, refusal.status)
        if value is None:
            return self._sign_in_form(following, "That is no key, or no longer one.", 403)
        return Answer(303, to=following, headers={"Set-Cookie": self._access.set_cookie(request, value)})

    async def _sign_out(self, request: Request) -> Answer:
        # Another site's form brings no cookie (SameSite=Strict), but the answer would take it away.
        forms.hold_origin(request, self._desk.gate.http.public_url)
        visitor = await self._desk.work(self._access.visitor, request)
        if visitor is not None:
            await self._form(request, visitor)
        return Answer(303, to="/sign-in", headers={"Set-Cookie": self._access.set_cookie(request, "")})

    # --- assets

    async def _asset(self, request: Request) -> Answer:
        try:
            return self._frame.asset_answer(request.path_params["name"], request.headers.get("if-none-match", ""))
        except KeyError:
            raise Refusal(404, "there is no such file") from None


def _following(path: str) -> str:
    """A page of ours to go to; anything else is the first one. No open redirect: "//host" is another host."""
    plain = path.isascii() and path.isprintable() and "\\" not in path and len(path) <= MAX_NEXT
    return path if plain and path.startswith("/") and not path.startswith("//") else "/"
