"""The request around its body: credentials in their places, and everything else that a client can write as text.

A key in `Authorization` authenticates the request and is no leak; the same key in `X-Note` or in the query of a search
is one. Headers whose values the protocol fixes are skipped only while they look the way the protocol says.
"""

from __future__ import annotations

import base64
import binascii
import re
from urllib.parse import unquote, unquote_plus

from sluice.dialects import agents
from sluice.dialects.collector import Collector
from sluice.dialects.words import listed
from sluice.model import Exchange, Role

_SECRET_HEADERS = listed(
    """
    x-api-key api-key x-goog-api-key x-portkey-api-key ocp-apim-subscription-key x-auth-token x-amz-security-token
    helicone-auth cf-aig-authorization xi-api-key x-functions-key x-litellm-api-key x-subscription-token x-access-token
    x-goog-iam-authorization-token openai-sentinel-chat-requirements-token openai-sentinel-proof-token
    openai-sentinel-turnstile-token x-conduit-token x-csrf-token x-xsrf-token x-codex-turn-state
    """
)
_SECRET_QUERY = listed(
    """
    key api_key api-key apikey access_token accesstoken auth_token token x-amz-signature x-amz-credential
    x-amz-security-token x-goog-signature x-goog-credential subscription-key sig
    """
)
_SECRET_COOKIES = re.compile(
    r"""sessionKey|sso(?:-rw)?|abra_sess|__Host-copilot-anon
    |__(?:Secure|Host)-[\w.-]{0,40}(?:session|auth|token|csrf)[\w.-]{0,40}
    |__Secure-[13]PSID(?:TS|CC)?|S?APISID|HSID|SSID|SID|SIDCC|session(?:id|_id|-id|-token|_token)?|connect\.sid
    |auth(?:_?token|-token)?|access_token|refresh_token|id_token|jwt|csrftoken|_csrf|XSRF-TOKEN|cf_clearance|__cf_bm
    """,
    re.VERBOSE,
)
_SIGV4 = re.compile(
    r"AWS4-(?:HMAC|ECDSA-P256)-SHA256 Credential=([A-Z0-9]{16,128})/\d{8}/(?:[a-z]{2}(?:-[a-z]{2,10}){1,3}-\d{1,2}/)?"
    r"[a-z-]{1,40}\d?/aws4_request,\s?SignedHeaders=([a-z0-9;_-]{1,2000}),\s?Signature=(?:[0-9a-f]{64}|30[0-9a-f]{138,142})"
)
"""A whole signature: SigV4 in 64 hexadecimal digits; SigV4a names no region and is ECDSA in DER."""
_SIGNED = re.compile(r"(?:[a-z-]{1,40}|x-amz-content-sha256)(?:;(?:[a-z-]{1,40}|x-amz-content-sha256))*")
_CODINGS = r"(?:(?:gzip|deflate|br|zstd|identity|x-gzip|compress|\*)(?:;\s?q=[01](?:\.\d{1,3})?)?(?:,\s?|$))+"
_FIXED = {
    "host": r".*",  # is what the destination was matched by
    "content-length": r"\d{1,12}",
    "transfer-encoding": r"chunked",
    "connection": r"(?:keep-alive|close|upgrade|te|,|\s)+",
    "proxy-connection": r"keep-alive|close",
    "proxy-authorization": r".*",  # is for this proxy, and does not go on
    "keep-alive": r"timeout=\d{1,5}(?:, max=\d{1,5})?",
    "te": r"trailers",
    "expect": r"100-continue",
    "upgrade": r"websocket|h2c",
    "accept-encoding": _CODINGS,
    "content-encoding": _CODINGS,
    "accept": r"(?:(?:\*/\*|(?:application/json|text/event-stream|text/plain|text/html|application/xml|image/webp|"
    r"application/xhtml\+xml|image/avif|image/apng)(?:;\s?q=[01](?:\.\d)?)?)(?:,\s?|$))+",
    "content-type": r"(?:application/(?:json|x-www-form-urlencoded|x-ndjson|octet-stream|grpc|grpc\+proto|"
    r"connect\+proto|vnd\.msgpack)|text/plain)(?:;\s?charset=utf-?8)?",
    "sec-websocket-key": r"[A-Za-z0-9+/]{22}==",
    "sec-websocket-version": r"13",
    "sec-websocket-extensions": r"permessage-deflate(?:; client_max_window_bits)?",
    "sec-fetch-mode": r"[a-z-]{2,12}",
    "sec-fetch-site": r"[a-z-]{4,12}",
    "sec-fetch-dest": r"[a-z-]{4,12}",
    "dnt": r"[01]",
}
_SKIP = {name: re.compile(pattern, re.IGNORECASE) for name, pattern in _FIXED.items()}
_PLAIN_QUERY = frozenset({"beta=true", "alt=sse", "stream=true", "api-version=2", ""})
_KNOWN_NAMES = re.compile(
    r"(?:x-stainless|sec|accept|content|anthropic|openai|x-goog|x-amz|x-amzn|amz|mcp|x-codex|x-claude-code|copilot|"
    r"editor|vscode|oai|access-control|if|x-request|x-client|x-github|x-interaction|x-fern|x-cursor|x-opencode)"
    r"-[a-z-]{1,32}|[a-z-]{2,16}"
)
"""Header names that need no scan: letters only, short, or below a vendor's prefix."""
_ENCODED_WORD = re.compile(r"=\?base64\?([A-Za-z0-9+/]*={0,2})\?=")
_SESSION_HEADERS = (
    "x-claude-code-session-id",
    "session-id",
    "session_id",
    "mcp-session-id",
    "x-interaction-id",
    "x-opencode-session",
    "x-amzn-bedrock-agentcore-runtime-session-id",
)
_TRACE = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?")
"""W3C Trace Context, 3.2."""
_PLAIN_PATH = re.compile(r"/(?:v\d[a-z0-9]{0,6}/)?[a-z]{2,16}(?:/[a-z_]{2,16}){0,2}")


def read(c: Collector, exchange: Exchange) -> None:
    """Credentials, agent, session, and the parts of path, query and headers."""
    seen: dict[str, str] = {}
    cookies: list[str] = []
    odd_names: list[str] = []
    for name, value in exchange.headers:
        sent, name = name, name.lower()
        again = name in seen
        seen.setdefault(name, value)
        if name == "cookie":
            cookies.append(value)
        elif name == "authorization":
            if again:
                _header(c, name, value)  # a service takes one of them; the other is a place like any other
            else:
                _authorization(c, value)
        elif name in _SECRET_HEADERS:
            if not c.credential(f"header:{name}", value):
                _header(c, name, value)
        elif name == "sec-websocket-protocol":
            _subprotocols(c, value)
        else:
            fixed = _SKIP.get(name)
            if fixed is None or not fixed.fullmatch(value):
                _header(c, name, value)
        if not _KNOWN_NAMES.fullmatch(name) or sent not in (name, name.title()):
            odd_names.append(sent)  # as it was sent: HTTP/1.1 forwards the case, and a key has a case
    if odd_names:
        c.text("header:#names", "\n".join(odd_names), Role.HEADER)
    if exchange.query:
        _query(c, exchange.query)
    for value in cookies:
        _cookies(c, value)
    _path(c, exchange.path)
    c.agent = agents.from_headers(seen)
    c.sdk = agents.sdk(seen)
    trace = _TRACE.fullmatch(seen.get("traceparent", ""))
    c.trace = trace[1] if trace is not None else None
    for name in _SESSION_HEADERS:
        c.session(0, seen.get(name))


def _header(c: Collector, name: str, value: str) -> None:
    if len(value) < 4:
        return  # `0`, `js`, `cli`: nothing this short is a finding
    pointer = f"header:{name}"
    c.text(pointer, value, Role.HEADER)
    if "=?" in value:
        for word in _ENCODED_WORD.findall(value):
            try:
                c.text(f"{pointer}#b64text", base64.b64decode(word).decode(), Role.HEADER)
            except (binascii.Error, UnicodeDecodeError):
                continue  # not an encoded word after all; the raw value is scanned


def _authorization(c: Collector, value: str) -> None:
    """`Bearer x`, `Basic x`, any scheme with one token, a bare token, or a SigV4 signature."""
    signed = _SIGV4.fullmatch(value)
    if signed is not None:
        c.credential("sigv4:authorization", signed[1])
        if not _SIGNED.fullmatch(signed[2]):
            _header(c, "authorization", signed[2])
        return
    scheme, space, token = value.strip().partition(" ")
    if space and scheme.isascii() and scheme.replace("-", "").isalpha():
        accepted = c.credential(f"header:authorization:{scheme.lower()}", token.strip())
    else:
        accepted = c.credential("header:authorization", value.strip())
    if not accepted:
        _header(c, "authorization", value)


def _subprotocols(c: Collector, value: str) -> None:
    """Browsers cannot set headers on a WebSocket, so the key travels as a sub-protocol (OpenAI Realtime)."""
    for token in value.split(","):
        token = token.strip()
        key = token.removeprefix("openai-insecure-api-key.")
        if key == token or not c.credential("header:sec-websocket-protocol", key):
            _header(c, "sec-websocket-protocol", token)


def _query(c: Collector, query: str) -> None:
    for pair in query.split("&"):
        if pair in _PLAIN_QUERY:
            continue
        if "%" in pair or "+" in pair:
            raw_name, equals, raw_value = pair.partition("=")
            name, value = unquote_plus(raw_name), unquote_plus(raw_value)
        else:
            name, equals, value = pair.partition("=")
        if name.lower() in _SECRET_QUERY and c.credential(f"query:{name}", value):
            continue
        c.text(f"query:{name}", f"{name}{equals}{value}", Role.URL_QUERY)


def _cookies(c: Collector, header: str) -> None:
    for pair in header.split(";"):
        name, equals, value = pair.strip().partition("=")
        if equals and _SECRET_COOKIES.fullmatch(name) and c.credential(f"cookie:{name}", value):
            continue
        if pair.strip():
            text = unquote(pair.strip()) if "%" in pair else pair.strip()
            c.text(f"cookie:{name}" if equals else "cookie", text, Role.HEADER)


def _path(c: Collector, path: str) -> None:
    """The whole path, percent-decoded, unless it is nothing but a plain API route."""
    if _PLAIN_PATH.fullmatch(path) or path in ("", "/"):
        return
    c.text("path", unquote(path) if "%" in path else path, Role.URL_QUERY)
