"""The application: from a request to a page. Posted are a login, a logout, a policy to be tried, and what somebody says
of a finding."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from sluice.config import Settings, shipped_policy
from sluice.console import pages
from sluice.console.access import Access
from sluice.console.backtest import LONGEST_POLICY, Backtest, Busy, Tried
from sluice.console.backtest import SPANS as SPANS_OF_TRIAL
from sluice.console.entry import Entry, Failures
from sluice.console.file import Download
from sluice.console.given import SPANS, Given
from sluice.console.guard import BadForm, Guarded, form
from sluice.console.judging import LONGEST_SAID, Judging, Refused
from sluice.console.page import Context, Missing, Page, View
from sluice.console.rendering import Templates, stylesheet
from sluice.console.sessions import COOKIE, LOGIN_COOKIE, Session, Sessions, same
from sluice.console.store import Asker, Away, TooMuch
from sluice.errors import SluiceError, Unavailable
from sluice.posture import question
from sluice.posture.question import BadQuestion
from sluice.ship.sqlgate import SqlError

log = logging.getLogger("sluice.console")

OUT_OF_DATE = "Go back, reload the page, and try again."

type Shown = Callable[[Request, Session], Awaitable[Response]]


class Console:
    """The pages of one appliance."""

    def __init__(self, settings: Settings, access: Access, *, listen: str, file: Path | None = None) -> None:
        self._settings = settings
        self._access = access
        self._asker = Asker(settings)
        self._backtest = Backtest(settings, file)
        self._judging = Judging(settings, self._asker, access)
        self._entry = Entry(settings)
        self._failures = Failures()
        self._https = settings.console.https
        self._cookie = f"__Host-{COOKIE}" if self._https else COOKIE
        self._login_cookie = f"__Secure-{LOGIN_COOKIE}" if self._https else LOGIN_COOKIE
        self._sessions = Sessions(settings.console.idle_minutes * 60)
        self._style, digest = stylesheet()
        self._templates = Templates(style=f"/static/{digest}.css", nav=pages.NAV, spans=SPANS)
        routes = [
            Route("/login", self._login, methods=["GET", "POST"]),
            Route("/logout", self._logout, methods=["POST"]),
            Route("/findings/{id}/say", self._for_those_logged_in(self._said), methods=["POST"]),
            Route("/policy/try", self._for_those_logged_in(self._tried), methods=["GET", "POST"]),
            Route(f"/static/{digest}.css", self._styled),
            *(Route(path, self._shown(view)) for path, view in pages.VIEWS.items()),
            *(Route(path, self._sent(download)) for path, download in pages.DOWNLOADS.items()),
        ]
        inner = Starlette(routes=routes, exception_handlers={404: self._unknown})
        inner.router.redirect_slashes = False  # a redirect would repeat the Host header in its Location
        self.app: ASGIApp = Guarded(inner, listen, settings.admin.names, https=self._https)

    # ------------------------------------------------------------------------------------------------ in and out again

    async def _login(self, request: Request) -> Response:
        if request.method == "GET":
            return self._ask_password()
        try:
            fields = await form(request)
        except BadForm:
            return self._ask_password("That could not be read. Try again.", 400)
        if not same(fields.get("token", ""), request.cookies.get(self._login_cookie, "")):
            return self._ask_password("This form is out of date. Try again.", 403)
        client = _client(request)
        verdict = await self._entry.check(fields.get("name", ""), fields.get("password", ""), client)
        if not verdict.by:
            if times := self._failures.line():
                facts = {"client": client, "why": verdict.problem, "times": times}
                log.warning("logins at the console failed", extra={"facts": facts})
            return self._ask_password(verdict.problem, verdict.status)
        value = self._sessions.begin(verdict.by, verdict.mark)
        session = self._sessions.find(value)
        assert session
        try:
            await self._access.record("login", session=session, client=client)
        except Unavailable as e:
            self._sessions.end(value)
            return self._ask_password(f"Logging in must be recorded, and that cannot be done now: {e}", 503)
        answer = RedirectResponse("/", 303)
        answer.set_cookie(self._cookie, value, httponly=True, samesite="strict", path="/", secure=self._https)
        answer.delete_cookie(self._login_cookie, path="/login", httponly=True, samesite="strict", secure=self._https)
        return answer

    def _ask_password(self, problem: str = "", status: int = 200) -> Response:
        token = secrets.token_urlsafe(24)
        context: Context = {"problem": problem, "token": token, "title": "Log in", "asks_name": self._entry.asks_name}
        answer = self._html("login.html", context, None, status)
        answer.set_cookie(
            self._login_cookie, token, max_age=600, httponly=True, samesite="strict", path="/login", secure=self._https
        )
        return answer

    async def _logout(self, request: Request) -> Response:
        value = request.cookies.get(self._cookie)
        session = self._sessions.find(value)
        if session:
            try:
                fields = await form(request)
            except BadForm:
                fields = {}
            if not same(fields.get("token", ""), session.token):
                return self._problem("This form is out of date", OUT_OF_DATE, session, 403)
            self._sessions.end(value)
        answer = RedirectResponse("/login", 303)
        answer.delete_cookie(self._cookie, path="/", httponly=True, samesite="strict", secure=self._https)
        return answer

    # -------------------------------------------------------------------------------------------------------- the pages

    def _shown(self, view: View) -> Callable[[Request], Awaitable[Response]]:
        async def show(request: Request, session: Session) -> Response:
            given = _given(request)
            page = view(given, self._settings)
            if given.wants_sql:
                return self._html(
                    "sql.html", {"page": page, "given": given, "title": f"{page.title}: queries"}, session
                )
            context = await self._answered(request, session, page)
            return self._html(page.template, {**context, "page": page, "given": given, "title": page.title}, session)

        return self._for_those_logged_in(show)

    async def _answered(self, request: Request, session: Session, page: Page) -> Context:
        asked = {name: one for name, one in page.questions.items() if one.asked}
        tables = await self._asker.tables({name: one.sql for name, one in asked.items()})
        if page.looks:
            await self._access.record(
                request.url.path,
                session=session,
                client=_client(request),
                digests=[one.sha256 for one in asked.values()],
                rows=sum(len(table.rows) for table in tables.values()),
            )
        return await asyncio.to_thread(page.fill, tables)

    async def _tried(self, request: Request, session: Session) -> Response:
        """The page on which a policy is pasted, and what came of it."""
        given, tried, since, status = _given(request), Tried(None), "7d", 200
        if request.method == "POST":
            try:
                fields = await form(request, 3 * LONGEST_POLICY)  # an encoded character takes up to three bytes
            except BadForm:
                return self._problem("That could not be read", "A policy has at most 256 KiB.", session, 413)
            if not same(fields.get("token", ""), session.token):
                return self._problem("This form is out of date", OUT_OF_DATE, session, 403)
            text, since = fields.get("candidate", "").replace("\r\n", "\n"), fields.get("since", "")
            if since not in SPANS_OF_TRIAL:
                raise BadQuestion(f"`since` is one of {', '.join(SPANS_OF_TRIAL)}")
            await self._asker.tables({"there": "SELECT 1"})  # said plainly when the store is away
            await self._access.record(request.url.path, session=session, client=_client(request))
            try:
                tried = await self._backtest.run(text, since)
            except Busy:
                tried, status = Tried(None, ("Another policy is being tried. Wait for it.",)), 429
        else:
            text = (self._settings.paths.policy or shipped_policy()).read_text("utf-8")
        context: Context = {
            "digest": question.digest(text),
            "tried": tried,
            "since": since,
            "candidate": text,
            "spans_of_trial": SPANS_OF_TRIAL,
        }
        return self._html("backtest.html", {**context, "given": given, "title": "Policy back-test"}, session, status)

    async def _said(self, request: Request, session: Session) -> Response:
        """What somebody says of a finding: kept, and then the page of the finding again."""
        name = request.path_params["id"]
        try:
            fields = await form(request, LONGEST_SAID)
        except BadForm:
            return self._problem("That could not be read", "A reason has at most 500 characters.", session, 400)
        place = {"page": fields["page"]} if fields.get("page", "1") != "1" else {}
        given = Given.of(f"/findings/{quote(name, safe='')}", place, parts=request.path_params)
        if not same(fields.get("token", ""), session.token):
            return self._problem("This form is out of date", OUT_OF_DATE, session, 403)
        if not self._entry.judges(session.by):
            return self._problem("That is for others", "`console.judges` names who may say this.", session, 403)
        page = pages.VIEWS["/findings/{id}"](given, self._settings)
        try:
            said = await self._judging.say(name, fields, session, _client(request))
        except Refused as e:
            context = await self._answered(request, session, page)
            context |= {"problem": str(e), "typed": fields}
            return self._html(
                page.template, {**context, "page": page, "given": given, "title": page.title}, session, e.status
            )
        return RedirectResponse(given.link(said=said), 303)

    def _sent(self, download: Download) -> Callable[[Request], Awaitable[Response]]:
        async def send(request: Request, session: Session) -> Response:
            file = await download(_given(request), self._settings, self._asker)
            await self._access.record(
                request.url.path,
                session=session,
                client=_client(request),
                digests=[file.sha256],
                rows=file.rows,
            )
            disposition = f'attachment; filename="{file.name}"'
            return Response(file.body, media_type=file.media_type, headers={"content-disposition": disposition})

        return self._for_those_logged_in(send)

    def _for_those_logged_in(self, show: Shown) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            session = self._sessions.find(request.cookies.get(self._cookie))
            if session is None:
                return RedirectResponse("/login", 303)
            if not await self._entry.admits(session.by, session.mark):
                self._sessions.end(request.cookies.get(self._cookie))
                return RedirectResponse("/login", 303)
            try:
                return await show(request, session)
            except Missing as e:
                return self._problem("Not found", str(e), session, 404)
            except BadQuestion as e:
                return self._problem("That cannot be asked", str(e), session, 400)
            except Away as e:
                return self._problem("The event store is away", str(e), session, 503)
            except TooMuch:
                what = (
                    "Ask for a shorter span or with a filter, or use the command line: `sluice sql`, `sluice report`."
                )
                return self._problem("The answer is too large for a page", what, session, 422)
            except SqlError as e:
                return self._problem("The event store refused a query", str(e), session, 502)
            except Unavailable as e:
                what = f"Who reads records is recorded first, and that cannot be done now: {e}"
                return self._problem("Nothing is shown", what, session, 503)
            except SluiceError as e:
                return self._problem("That did not work", str(e), session, 500)
            except Exception:
                # A fault of ours. Its text may hold something of a record, so neither page nor log repeats it.
                log.exception("a page of the console failed")
                return self._problem(
                    "That did not work", "This is a fault of the console; its log says where.", session, 500
                )

        return answer

    async def _unknown(self, request: Request, _: Exception) -> Response:
        session = self._sessions.find(request.cookies.get(self._cookie))
        return self._problem("Not found", "There is no such page.", session, 404)

    async def _styled(self, _: Request) -> Response:
        headers = {"cache-control": "public, max-age=31536000, immutable"}
        return Response(self._style, media_type="text/css", headers=headers)

    def _problem(self, title: str, what: str, session: Session | None, status: int) -> Response:
        return self._html("problem.html", {"title": title, "what": what}, session, status)

    def _html(self, template: str, context: Context, session: Session | None, status: int = 200) -> HTMLResponse:
        given = context.get("given")
        path = given.path if isinstance(given, Given) else ""
        common = {
            "token": session.token if session else "",
            "logged_in": session is not None,
            "judges": session is not None and self._entry.judges(session.by),
            "here": path,
            "node": self._settings.node,
            "now": datetime.now(UTC),
        }
        return HTMLResponse(self._templates.page(template, {**common, **context}), status)


def _client(request: Request) -> str:
    return request.client.host if request.client else ""


def _given(request: Request) -> Given:
    return Given.of(request.url.path, request.query_params, parts=request.path_params)


@contextlib.asynccontextmanager
async def opened(settings: Settings, listen: str, file: Path | None = None) -> AsyncIterator[ASGIApp]:
    """The application with its ledger stream. `file` is where the settings came from. Raises `Unavailable`."""
    access = Access(settings)
    try:
        yield Console(settings, access, listen=listen, file=file).app
    finally:
        access.close()
