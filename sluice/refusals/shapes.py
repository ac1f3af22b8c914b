"""The error shapes of providers and protocols, and which one a request gets.

A protocol that wraps every answer comes first (WebSocket, gRPC, Connect, JSON-RPC), then a browser that navigates,
then the wire format of the request, then the provider's own habit. Sources: the vendors' SDKs and API references,
and what the shipped clients were seen to do with each shape.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote

import msgspec

from sluice.errors import Cause, Reason
from sluice.model import Action, Answer, Decision, Exchange, Refusal
from sluice.refusals import page
from sluice.refusals.words import known_id, message

JSON = "application/json"
REFUSED = 400
UNPROCESSABLE = 422
UPGRADE_REQUIRED = 426
BAD_GATEWAY = 502

CHALLENGE = "proxy login: "
"""A refusal whose `Decision.detail` begins so is about the login at this proxy; behind it stands what came of it."""
PROXY_AUTHENTICATION_REQUIRED = 407
SERVICE_UNAVAILABLE = 503
_REALM = (("proxy-authenticate", 'Basic realm="Sluice", charset="UTF-8"'),)
"""RFC 7617 section 2.1: the charset tells clients to send names and passwords as UTF-8."""
_LATER = (("retry-after", "1"),)

GRPC_PERMISSION_DENIED = "7"
"""gRPC repeats 14 (unavailable), and reads HTTP 429 and 503 as 14; 7 is final."""
MCP_REFUSED = -32001
"""JSON-RPC error code in the range that the specification leaves to servers (-32000 to -32099)."""

_UPSTREAM = (Reason.UPSTREAM_TLS, Reason.UPSTREAM_UNREACHABLE)
_AWS = frozenset({"aws", "amazon-q", "amazon-kiro"})
_RPC_BODY = 8 * 1024 * 1024
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


@dataclass(frozen=True, slots=True)
class Said:
    """What every shape is made of."""

    text: str
    id: str
    status: int


type Headers = tuple[tuple[str, str], ...]
type Shaped = tuple[object, str, Headers]
"""A body to be sent as JSON, the error code that a client reads in it, and the headers that belong to it."""
type Shape = Callable[[Said], Shaped]


def answer(refusal: Refusal, exchange: Exchange) -> Answer:
    """The answer to a refused exchange. Never raises, whatever the request looks like."""
    decision = refusal.decision
    status = BAD_GATEWAY if decision.reason in _UPSTREAM else REFUSED
    said = Said(message(decision, refusal.exchange_id), known_id(refusal.exchange_id), status)
    marks: Headers = (("x-sluice-decision", said.id), ("x-sluice-reason", str(decision.reason)))
    if decision.reason != Reason.UPSTREAM_UNREACHABLE:
        marks = (("x-should-retry", "false"), *marks)
    if decision.detail.startswith(CHALLENGE):
        return _login(exchange, said, decision, marks)
    if _upgrades(exchange):
        upgrade = (("upgrade", "HTTP/1.1"), ("connection", "upgrade"))  # RFC 9110 15.5.22: which protocol does work
        return _send(exchange, UPGRADE_REQUIRED, _openai(said), (*upgrade, *marks))
    media = (exchange.header("content-type") or "").partition(";")[0].strip().lower()
    if media.startswith("application/grpc"):
        headers: Headers = (
            ("grpc-status", GRPC_PERMISSION_DENIED),
            ("grpc-message", quote(said.text, safe=_GRPC_SAFE)),
        )
        return _answer(exchange, 200, _grpc(media), b"", (*headers, *marks), "PERMISSION_DENIED")
    if media.startswith("application/connect+"):
        body = msgspec.json.encode({"error": _connect(said)[0]})
        envelope = b"\x02" + len(body).to_bytes(4) + body
        codec = "json" if media.endswith("+json") else "proto"
        return _answer(exchange, 200, f"application/connect+{codec}", envelope, marks, "permission_denied")
    if media == "application/proto" or exchange.header("connect-protocol-version"):
        return _send(exchange, status, _connect(said), marks)
    rpc = _json_rpc(exchange, media)
    if rpc is not None:
        error = {"jsonrpc": "2.0", "id": rpc.known_id, "error": {"code": MCP_REFUSED, "message": said.text}}
        return _send(exchange, status, (error, str(MCP_REFUSED), ()), marks)
    if _navigates(exchange):
        title = "Blocked by policy" if decision.action is Action.BLOCK else "This request was not sent"
        body = page.render(title, said.text, said.id, str(decision.reason))
        return _answer(exchange, status, "text/html; charset=utf-8", body, (*page.HEADERS, *marks), "blocked_page")
    if _copilot_editor(refusal, exchange):
        headers = (("x-github-request-id", said.id), *marks)
        kind = "text/plain; charset=utf-8"
        return _answer(exchange, UNPROCESSABLE, kind, said.text.encode(), headers, "blocked")
    return _send(exchange, status, _shape(refusal, exchange)(said), marks)


def _login(exchange: Exchange, said: Said, decision: Decision, marks: Headers) -> Answer:
    """Any client of a proxy knows this one; none repeats its prompt for it without a credential."""
    failed = decision.cause in (Cause.OVERLOAD, Cause.AUTH_BACKEND_DOWN)
    status, headers = (SERVICE_UNAVAILABLE, _LATER) if failed else (PROXY_AUTHENTICATION_REQUIRED, _REALM)
    body = (said.text + "\n").encode()
    return _answer(exchange, status, "text/plain; charset=utf-8", body, (*headers, *marks), "proxy_authentication")


def _shape(refusal: Refusal, exchange: Exchange) -> Shape:
    """By what the request says of itself, then by the destination's wire format, then by its provider."""
    target = refusal.target
    dialect, provider = (target.dialect, target.provider) if target else ("opaque", "")
    agent = (exchange.header("user-agent") or "").lower()
    if exchange.header("anthropic-version") or dialect == "anthropic":
        return _anthropic
    if dialect == "google" or (dialect == "opaque" and exchange.header("x-goog-api-key")):
        return _google
    if provider == "huggingface":
        return _huggingface if "hf_hub" in agent else _openai
    if provider == "openrouter" and "speakeasy" in agent:
        return _openrouter
    if provider == "mistral" and dialect == "openai":
        return _mistral
    if dialect == "openai":
        return _openai
    if provider in _AWS or (exchange.header("authorization") or "").startswith("AWS4-HMAC-SHA256"):
        return _aws
    return _BY_PROVIDER.get(provider, _any)


def _openai(s: Said) -> Shaped:
    # `invalid_prompt` is one of the codes for which Codex prints the message alone; for others it prints the body
    error = {"message": s.text, "type": "invalid_request_error", "param": None, "code": "invalid_prompt"}
    return {"error": error}, "invalid_prompt", (("x-request-id", s.id),)


def _anthropic(s: Said) -> Shaped:
    error = {"type": "invalid_request_error", "message": s.text}
    body = {"type": "error", "error": error, "request_id": f"req_{s.id}"}
    return body, "invalid_request_error", (("request-id", f"req_{s.id}"),)


def _google(s: Said) -> Shaped:
    status = "INVALID_ARGUMENT" if s.status == REFUSED else "UNAVAILABLE"
    return {"error": {"code": s.status, "message": s.text, "status": status, "details": []}}, status, ()


def _aws(s: Said) -> Shaped:
    # the header names the exception; boto3 does not repeat this one under any status
    kind = "AccessDeniedException"
    return {"__type": kind, "message": s.text}, kind, (("x-amzn-errortype", kind), ("x-amzn-requestid", s.id))


def _mistral(s: Said) -> Shaped:
    body = {"object": "error", "message": s.text, "type": "invalid_request_error", "code": "blocked_by_policy"}
    return body, "blocked_by_policy", ()


def _openrouter(s: Said) -> Shaped:
    return {"error": {"code": s.status, "message": s.text, "metadata": {}}}, str(s.status), ()


def _huggingface(s: Said) -> Shaped:
    return {"error": s.text}, "blocked_by_policy", (("x-error-message", _ascii(s.text)),)


def _connect(s: Said) -> Shaped:
    return {"code": "permission_denied", "message": s.text}, "permission_denied", ()


def _message(s: Said) -> Shaped:
    return {"message": s.text}, "blocked_by_policy", ()


def _plain_error(s: Said) -> Shaped:
    return {"error": s.text}, "blocked_by_policy", ()


def _problem(s: Said) -> Shaped:
    return {"title": "Blocked", "detail": s.text, "status": s.status}, "blocked_by_policy", ()


def _detail(s: Said) -> Shaped:
    return {"detail": s.text}, "blocked_by_policy", ()


def _any(s: Said) -> Shaped:
    """For a client that is not known: the text in every place where one commonly looks."""
    body, code, headers = _openai(s)
    return {**(body if isinstance(body, dict) else {}), "message": s.text, "detail": s.text}, code, headers


_BY_PROVIDER: dict[str, Shape] = {
    "openai": _detail,  # what is not an API of theirs is ChatGPT
    "anthropic": _anthropic,
    "google": _google,
    "cohere": _message,
    "jetbrains-ai": _message,
    "replicate": _problem,
    "ollama": _plain_error,
}


def _upgrades(exchange: Exchange) -> bool:
    """A WebSocket handshake: HTTP/1.1 only, HTTP/2 has no such header."""
    upgrade = (exchange.header("upgrade") or "").strip().lower()
    return upgrade == "websocket" and exchange.http_version == "HTTP/1.1"


def _navigates(exchange: Exchange) -> bool:
    """A browser loading a document, as opposed to its script fetching something."""
    if "text/html" not in (exchange.header("accept") or "").lower():
        return False
    mode = exchange.header("sec-fetch-mode")
    return mode.strip().lower() == "navigate" if mode else exchange.method in ("GET", "HEAD")


def _copilot_editor(refusal: Refusal, exchange: Exchange) -> bool:
    if refusal.target is None or refusal.target.provider != "github-copilot":
        return False
    agent = exchange.header("user-agent") or ""
    return exchange.header("editor-version") is not None or "GitHubCopilot" in agent


class _Call(msgspec.Struct):
    """A JSON-RPC 2.0 message as far as an answer needs it."""

    jsonrpc: str
    id: msgspec.Raw = msgspec.Raw(b"null")

    @property
    def known_id(self) -> int | str | None:
        """The call's id where it cannot be anybody's data: a small whole number or a UUID."""
        try:
            value = msgspec.json.decode(self.id)
        except msgspec.DecodeError:
            return None
        if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**9:
            return value
        return value if isinstance(value, str) and _UUID.fullmatch(value) else None


def _json_rpc(exchange: Exchange, media: str) -> _Call | None:
    body = exchange.body
    if media not in (JSON, "application/json-rpc") or len(body) > _RPC_BODY or b'"jsonrpc"' not in body:
        return None
    try:
        call = msgspec.json.decode(body, type=_Call)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None
    return call if call.jsonrpc == "2.0" else None


_GRPC_SAFE = "".join(chr(c) for c in range(0x20, 0x7F) if chr(c) != "%")
"""Characters of `grpc-message` that stand for themselves (gRPC over HTTP/2, percent-encoding of status messages)."""


def _grpc(media: str) -> str:
    return "application/grpc-web+proto" if "grpc-web" in media else "application/grpc"


def _ascii(text: str) -> str:
    """Text for a header: other scripts lose their accents or become question marks."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return plain.encode("ascii", "replace").decode("ascii")


def _send(
    exchange: Exchange,
    status: int,
    shape: Shaped,
    marks: Headers,
) -> Answer:
    body, code, headers = shape
    return _answer(exchange, status, JSON, msgspec.json.encode(body), (*headers, *marks), code)


def _answer(exchange: Exchange, status: int, kind: str, body: bytes, headers: Headers, code: str) -> Answer:
    if exchange.method == "HEAD":
        body = b""
    fixed = (("content-type", kind), ("content-length", str(len(body))), ("cache-control", "no-store"))
    return Answer(status=status, headers=(*fixed, *headers), body=body, error_code=code)
