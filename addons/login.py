"""Who holds this connection: the login at the proxy, bound to the connection or to one plain request.

`sluice.identity.login` judges the credential; this page takes it out of the request before anything else sees it, and
says what the verdict means. A CONNECT that proves nothing gets no tunnel, so there is no HTTP/2, no WebSocket and no
byte to an upstream behind it. What was proven on CONNECT holds while its line of the user file does.
"""

from __future__ import annotations

import time
from copy import replace

from mitmproxy import http

from addons import flows
from addons.state import Core, Line, Objection, Passage, Tunnel
from sluice import selftest
from sluice.errors import Cause, Reason
from sluice.gate import Gate
from sluice.identity.login import Login, Result
from sluice.model import Assurance, Exchange, Refusal, Subject
from sluice.refusals import CHALLENGE

_PROXY_AUTHORIZATION = b"proxy-authorization"

REQUIRED = Objection(Reason.IDENTITY_MISSING, Cause.BAD_REQUEST, f"{CHALLENGE}{Result.MISSING}")
NOBODY = Objection(Reason.IDENTITY_MISSING, Cause.BAD_REQUEST, "identity.require")
LAPSED = Objection(Reason.IDENTITY_EXPIRED, Cause.BAD_REQUEST, "identity.require")
OVER = Objection(Reason.IDENTITY_EXPIRED, Cause.BAD_REQUEST, "the login is over")
_CAUSES = {
    Result.BUSY: (Reason.OVERLOAD, Cause.OVERLOAD),
    Result.DOWN: (Reason.IDENTITY_MISSING, Cause.AUTH_BACKEND_DOWN),
    Result.EXPIRED: (Reason.IDENTITY_EXPIRED, Cause.BAD_REQUEST),
}


def take(flow: http.HTTPFlow, passage: Passage) -> str | None:
    """The credential of a request, which from here on is nowhere in it. The head check lets at most one pass."""
    credential = passage.head.credential
    if credential is None:
        return None
    headers = flow.request.data.headers
    headers.fields = tuple(f for f in headers.fields if f[0].lower() != _PROXY_AUTHORIZATION)
    passage.head = replace(passage.head, credential=None)
    return credential.decode("latin-1")


class Door:
    """Asks whoever comes who he is."""

    def __init__(self, gate: Gate, core: Core) -> None:
        self._gate = gate
        self._core = core

    def early(self, flow: http.HTTPFlow, passage: Passage, line: Line) -> Objection | None:
        """What the head of a request shows already, so that its body is not waited for."""
        logins = self._core.logins
        if line.tunnel is not Tunnel.NONE:
            passage.credential = None  # meant for the next proxy, or written there by mistake
            if line.login is not None and (logins is None or not logins.holds(line.login, time.time_ns())):
                return OVER
            return None
        if logins is None:
            passage.credential = None
        if passage.credential is None and self._gate.resolver.required:
            return self._nobody(flows.asking(flow, passage, line))
        return None

    async def plain(self, exchange: Exchange, passage: Passage) -> tuple[Exchange, Objection | None]:
        """A plain request: the exchange with whoever has proven to send it, or why it must not go on."""
        credential, passage.credential = passage.credential, None
        if credential is None or self._core.logins is None:
            return exchange, None
        login = await self._core.logins.check(credential, exchange.client.address, time.time_ns())
        return replace(exchange, subject=_subject(login)), _objection(login)

    async def connect(self, flow: http.HTTPFlow, passage: Passage, line: Line, exchange: Exchange) -> Objection | None:
        """A CONNECT: bind whoever is proven or named to the connection, or say why there is no tunnel."""
        credential, logins, resolver = take(flow, passage), self._core.logins, self._gate.resolver
        if credential is not None and logins is not None:
            login = await logins.check(credential, exchange.client.address, time.time_ns())
            line.subject, line.login = _subject(login), login.user
            return _objection(login)
        asking = replace(exchange, headers=flows.named(flow, resolver.claims))
        line.subject = resolver.named(asking)
        if not resolver.required:
            return None
        if exchange.host == selftest.HOST and self._gate.mark.on(flows.fields(flow)):
            return None  # the supervisor has no login, and nothing is sent on from there
        if (
            logins is None
            and resolver.owners.listed
            and self._gate.rulebook.targets.decrypts(exchange.host, exchange.port)
        ):
            return None  # the request inside has a key, and the key may have an owner
        return self._nobody(asking)

    def challenging(self, refusal: Refusal, exchange: Exchange) -> Refusal:
        """A plain request that policy refused because nobody knows its sender is told how to make itself known.
        Inside a tunnel no client expects a challenge of a proxy."""
        decision = refusal.decision
        if (
            self._core.logins is None
            or decision.reason != Reason.IDENTITY_MISSING
            or exchange.connect_host is not None
            or decision.detail
        ):
            return refusal
        return replace(refusal, decision=replace(decision, detail=f"{CHALLENGE}{Result.MISSING}"))

    def _nobody(self, exchange: Exchange) -> Objection | None:
        subject = self._gate.resolver.resolve(exchange)
        if subject.assurance is not Assurance.NONE:
            return None
        if self._core.logins is not None:
            return REQUIRED
        if self._gate.resolver.owners.listed and exchange.method != "CONNECT":
            return None  # the gate asks the key's owner
        return LAPSED if subject.expired else NOBODY


def _objection(login: Login) -> Objection | None:
    if login.result is Result.OK:
        return None
    reason, cause = _CAUSES.get(login.result, (Reason.IDENTITY_MISSING, Cause.BAD_REQUEST))
    return Objection(reason, cause, f"{CHALLENGE}{login.result}", recorded=login.first)


def _subject(login: Login) -> Subject | None:
    """Whom the record names: the one who logged in; with assurance none a user whose password was not right."""
    if login.user is not None and login.result is Result.OK:
        return login.user.subject
    claimed = login.user or login.claimed
    return replace(claimed.subject, assurance=Assurance.NONE) if claimed is not None else None
