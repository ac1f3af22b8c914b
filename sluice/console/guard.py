"""What is checked of every request before a page sees it, and what every answer carries.

The Host header has to name this listener (a DNS name rebound to 127.0.0.1 is refused). What is posted has to come from
a page of ours: `Sec-Fetch-Site` and `Origin` say so, where a browser sends them, and a token in the form does always.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from urllib.parse import parse_qsl, urlsplit

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sluice.health import allowed_host

LONGEST_FORM = 8192
POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
HEADERS = (
    (b"content-security-policy", POLICY.encode()),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
    # Not `no-referrer`: under it a browser posts with `Origin: null`, which could not be told from a sandboxed frame.
    (b"referrer-policy", b"same-origin"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
)


class Guarded:
    """Around every route, the unknown ones too."""

    def __init__(self, inner: ASGIApp, listen: str, names: Iterable[str] = (), *, https: bool = False) -> None:
        """`listen` is the address that is served, `names` what the site calls it; `https`: browsers ask by HTTPS."""
        self._inner = inner
        self._listen = listen.lower()
        self._schemes = ("https",) if https else ("http", "https")
        self._names = frozenset(name.lower() for name in names)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                names = {name for name, _ in message["headers"]}
                more = HEADERS if b"cache-control" in names else (*HEADERS, (b"cache-control", b"no-store"))
                message["headers"] = [*message["headers"], *more]
            await send(message)

        headers = Headers(scope=scope)
        hosts = headers.getlist("host")
        if len(hosts) != 1 or not allowed_host(hosts[0], self._listen, self._names):
            answer: ASGIApp = PlainTextResponse("unknown Host header\n", status_code=421)
        elif scope["method"] not in ("GET", "HEAD", "POST"):
            answer = PlainTextResponse("method not allowed\n", status_code=405, headers={"allow": "GET, HEAD, POST"})
        elif scope["method"] == "POST" and not _own(headers, hosts[0], self._schemes):
            answer = PlainTextResponse("posted from another site\n", status_code=403)
        else:
            answer = self._inner
        await answer(scope, receive, guarded)


def _own(headers: Headers, host: str, schemes: Collection[str]) -> bool:
    """Whether a page of this very origin posts."""
    if headers.get("sec-fetch-site", "same-origin") != "same-origin":
        return False
    origin = headers.get("origin")
    if origin is None:
        return True
    parts = urlsplit(origin)
    return parts.scheme in schemes and parts.netloc.lower() == host.strip().lower()


class BadForm(Exception):
    """Too long, or no form."""


async def form(request: Request, longest: int = LONGEST_FORM) -> dict[str, str]:
    """The fields of a posted form. Raises `BadForm`."""
    if not request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        raise BadForm
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > longest:
            raise BadForm
    try:
        return dict(parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=20))
    except ValueError as e:
        raise BadForm from e
