"""From a received request to an answer, by path: the wire formats, and a few plain paths for tests of the proxy.

GET|POST /_/echo            the body back, byte for byte
GET      /_/status/503      that status
GET      /_/bytes/1000000   that many bytes
GET      /_/events/20       that many SSE events, spaced by the server's delay
GET      /_/chunks/20       that many pieces of a chunked plain-text answer
GET      /_/abort           an SSE answer that is cut off after its first event
GET      /_/silence         no answer until the client goes away
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Mapping
from copy import replace
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

import brotli
import zstandard

from tests.upstream.journal import Received

Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer. With `events` it is sent piece by piece (chunked, the server's delay between), else whole.

    `abort` cuts the connection (HTTP/1.1) or resets the stream (HTTP/2) after the last piece; `silent` never answers.
    """

    status: int = 200
    headers: Headers = ()
    body: bytes = b""
    events: tuple[bytes, ...] | None = None
    abort: bool = False
    silent: bool = False

    def to(self, method: str) -> Reply:
        """The same without content for HEAD."""
        return replace(self, body=b"", events=()) if method == "HEAD" else self


@dataclass(frozen=True, slots=True)
class Call:
    """A request ready to be answered: the path without its query, and the JSON body (None when there is none)."""

    method: str
    path: str
    query: Mapping[str, list[str]]
    body: bytes
    json: Any
    words: tuple[str, ...]

    @property
    def answer(self) -> str:
        return "".join(self.words)

    @property
    def stream(self) -> bool:
        return isinstance(self.json, dict) and self.json.get("stream") is True

    @property
    def model(self) -> str:
        model = self.json.get("model") if isinstance(self.json, dict) else None
        return model if isinstance(model, str) else "local-model"


def json_reply(value: object, status: int = 200, headers: Headers = ()) -> Reply:
    """A JSON document."""
    return Reply(status, (("content-type", "application/json"), *headers), json.dumps(value).encode())


def sse(events: list[tuple[str | None, object]], headers: Headers = ()) -> Reply:
    """A stream of server-sent events: (event name or None, JSON value or ready text)."""
    pieces = []
    for name, value in events:
        data = value if isinstance(value, str) else json.dumps(value)
        pieces.append((f"event: {name}\n" if name else "").encode() + f"data: {data}\n\n".encode())
    return Reply(200, (("content-type", "text/event-stream"), *headers), events=tuple(pieces))


def call_of(request: Received, body: bytes, words: tuple[str, ...]) -> Call:
    """Undo the content coding and read the JSON, as a provider would. Raises ValueError when that fails."""
    parts = urlsplit(request.path)
    if parts.path.startswith("/_/"):
        return Call(request.method, parts.path, parse_qs(parts.query), body, None, words)
    plain = _decode(body, request.header("content-encoding"))
    kind = (request.header("content-type") or "").split(";")[0].strip().lower()
    value = json.loads(plain) if plain and kind in {"", "application/json", "text/plain"} else None
    return Call(request.method, parts.path, parse_qs(parts.query), plain, value, words)


def _decode(body: bytes, coding: str | None) -> bytes:
    match (coding or "identity").strip().lower():
        case "identity":
            return body
        case "gzip" | "x-gzip":
            return gzip.decompress(body)
        case "deflate":
            return zlib.decompress(body)
        case "br":
            return bytes(brotli.decompress(body))
        case "zstd":
            return zstandard.ZstdDecompressor().decompressobj().decompress(body)
        case other:
            raise ValueError(f"content coding {other!r} is not supported")


def plain(call: Call) -> Reply | None:
    """The paths below `/_/`, or None."""
    match call.path.split("/")[1:]:
        case ["_", "echo"]:
            return Reply(200, (("content-type", "application/octet-stream"),), call.body)
        case ["_", "status", code]:
            return json_reply({"status": int(code)}, int(code))
        case ["_", "bytes", count]:
            return Reply(200, (("content-type", "application/octet-stream"),), b"x" * int(count))
        case ["_", "events", count]:
            return sse([(None, {"n": n}) for n in range(int(count))])
        case ["_", "chunks", count]:
            pieces = tuple(f"piece {n}\n".encode() for n in range(int(count)))
            return Reply(200, (("content-type", "text/plain"),), events=pieces)
        case ["_", "abort"]:
            return Reply(200, (("content-type", "text/event-stream"),), events=(b"data: one\n\n",), abort=True)
        case ["_", "silence"]:
            return Reply(silent=True)
    return None
