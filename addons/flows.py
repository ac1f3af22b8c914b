"""From mitmproxy's flow to our `Exchange`, and what is taken out of a request before it is forwarded.

Bodies come from `raw_content`, never from `.content` or `.text`: mitmproxy's decoders read one gzip member of many, and
have no limit. Bytes of a header or target that are not UTF-8 are read as Latin-1, so that no text holds surrogates.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable

from mitmproxy import connection, http

from addons.state import Line, Passage
from sluice.model import Bound, Client, Exchange
from sluice.targets import normalise_host

type Strip = Callable[[tuple[tuple[str, str], ...]], Iterable[tuple[str, str]]]

_HOP_BY_HOP = frozenset((b"proxy-authorization", b"proxy-connection", b"keep-alive", b"te", b"http2-settings"))
"""Fields between the client and this proxy that are none of the upstream's business (RFC 9110, 7.6.1)."""

_WITH_BODY = frozenset((b"POST", b"PUT", b"PATCH"))

_VARIANT = 0x8000_0000_0000_0000
_RANDOM_LOW = (1 << 62) - 1


def decision_id(at: int) -> str:
    """A UUIDv7 for a time in nanoseconds since the epoch. RFC 9562 section 5.7."""
    random = int.from_bytes(os.urandom(10))
    high = ((at // 1_000_000) & 0xFFFF_FFFF_FFFF) << 16 | 0x7000 | (random >> 64) & 0x0FFF
    text = f"{high:016x}{_VARIANT | random & _RANDOM_LOW:016x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def text(raw: bytes) -> str:
    """Bytes of a head as text."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def client(conn: connection.Client) -> Client:
    """The peer of a connection."""
    host, port, *_ = conn.peername
    return Client(
        address=host,
        port=port,
        tls_version=conn.tls_version,
        alpn=conn.alpn.decode("ascii", "replace") if conn.alpn else None,
    )


def exchange(flow: http.HTTPFlow, passage: Passage, line: Line) -> Exchange:
    """One complete request. Raises ValueError when a plain request names no host."""
    request = flow.request.data
    now = time.time_ns()
    path, _, query = text(request.path).partition("?")
    if line.connect_host is not None:
        host, port = line.connect_host, line.connect_port
    else:
        host, port = normalise_host(request.host), request.port
    return Exchange(
        id=decision_id(now),
        at=passage.received_at * 1000,
        client=client(flow.client_conn),
        method=request.method.decode("ascii"),
        scheme=flow.request.scheme,
        host=host,
        port=port,
        path=path,
        query=query,
        http_version=flow.request.http_version,
        headers=tuple([(text(name), text(value)) for name, value in request.headers.fields]),
        trailers=_fields(request.trailers),
        body=request.content or b"",
        connect_host=line.connect_host,
        sni=line.sni,
        host_header=named_host(flow, passage),
        subject=line.subject,
    )


def asking(flow: http.HTTPFlow, passage: Passage, line: Line) -> Exchange:
    """Of a plain request whose body is not here yet what says who sends it."""
    return Exchange(
        id="",
        at=passage.received_at * 1000,
        client=client(line.client),
        method=flow.request.data.method.decode("ascii"),
        scheme="http",
        host="",
        port=0,
        path="",
        headers=_fields(flow.request.data.headers),
    )


def named(flow: http.HTTPFlow, claims: Strip) -> tuple[tuple[str, str], ...]:
    """Of the headers of a CONNECT those that name a person."""
    return tuple(claims(fields(flow)))


def fields(flow: http.HTTPFlow) -> tuple[tuple[str, str], ...]:
    """The headers of a request as text."""
    return _fields(flow.request.data.headers)


def named_host(flow: http.HTTPFlow, passage: Passage) -> str | None:
    """What the request itself names as its host: `:authority` or the Host header, as it came."""
    if flow.request.is_http2:
        return flow.request.data.authority.decode("ascii", "replace") or passage.head.host
    return passage.head.host


def connect_exchange(line: Line, host: str, port: int, at: int) -> Exchange:
    """A tunnel, or a request that was refused before there was one. `at` in microseconds since the epoch."""
    return Exchange(
        id=decision_id(time.time_ns()),
        at=at * 1000,
        client=client(line.client),
        method="CONNECT",
        scheme="https",
        host=host,
        port=port,
        path="",
        connect_host=line.connect_host,
        sni=line.sni,
        subject=line.subject,
    )


def bad_exchange(line: Line, http_version: str) -> Exchange:
    """A request that could not be read: where it would have gone, and nothing of what it said."""
    now = time.time_ns()
    return Exchange(
        id=decision_id(now),
        at=now,
        client=client(line.client),
        method="-",
        scheme="https" if line.sni else "http",
        host=line.connect_host or "",
        port=line.connect_port,
        path="",
        http_version=http_version,
        connect_host=line.connect_host,
        sni=line.sni,
        subject=line.subject,
    )


def make_ready(flow: http.HTTPFlow, identity: Strip) -> None:
    """Make a cleared request fit to leave the house: without fields that were for this proxy and without identity
    that a client or proxy asserted, and with a length that says where its body ends.

    HTTP/2 needs no Content-Length, HTTP/1 does. mitmproxy translates such a request without adding one, and an HTTP/1
    upstream would read the body as the next request: one that nobody inspected.
    """
    headers = flow.request.data.headers
    kept = tuple([field for field in headers.fields if field[0].lower() not in _HOP_BY_HOP])
    named = tuple([(name.decode("latin-1"), value.decode("latin-1")) for name, value in kept])
    left = tuple(identity(named))
    if len(left) != len(named):
        kept = tuple((name.encode("latin-1"), value.encode("latin-1")) for name, value in left)
    body = flow.request.data.content or b""
    if flow.request.is_http2 and (body or flow.request.data.method in _WITH_BODY):
        kept = (*(f for f in kept if f[0].lower() != b"content-length"), (b"content-length", b"%d" % len(body)))
    headers.fields = kept


def bind(flow: http.HTTPFlow, bound: Bound | None) -> None:
    """Give a cleared request the headers that bind it to the organisation's tenant, in place of a client's own."""
    if bound is not None:
        headers = flow.request.data.headers
        headers.fields = (*(f for f in headers.fields if f[0].lower() not in bound.taken), *bound.fields)


def _fields(headers: http.Headers | None) -> tuple[tuple[str, str], ...]:
    return tuple((text(name), text(value)) for name, value in headers.fields) if headers else ()
