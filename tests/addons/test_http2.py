"""HTTP/2 from the client: streams apart from each other, malformed heads refused, trailers not let through."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable

import pytest

from addons.http2 import MAX_STREAMS
from sluice.errors import Cause, Reason
from tests.rig import Http2Client, ObedientGate, Proxy
from tests.upstream import Upstream

AI = "api.openai.com"


def h2(proxy: Proxy, *, checked: bool = True) -> Http2Client:
    return Http2Client(proxy.tunnel(AI, alpn="h2").sock, AI, checked=checked)


def test_both_legs_speak_http2(proxy: Proxy, upstream: Upstream) -> None:
    """A client that negotiates HTTP/2 reaches the provider over HTTP/2, with its body unchanged."""
    client = h2(proxy)
    (stream,) = client.wait(client.post("/_/echo?q=1", b"x" * 200_000))
    assert (stream.status, bytes(stream.body)) == (200, b"x" * 200_000)
    (received,) = upstream.journal.requests
    assert received.http_version == "HTTP/2.0"
    assert (received.host, received.path, received.body) == (AI, "/_/echo?q=1", b"x" * 200_000)
    (asked,) = proxy.gate.asked
    assert (asked.exchange.http_version, asked.exchange.host_header) == ("HTTP/2.0", AI)
    assert asked.exchange.client.alpn == "h2"


def test_streams_are_apart(proxy: Proxy, upstream: Upstream) -> None:
    """Of many concurrent streams the refused ones are refused, and the others do not notice."""
    proxy.gate.decide = lambda gate, e: gate.block(e) if b"secret" in e.body else gate.allow(e)
    client = h2(proxy)
    numbers = [client.post("/_/echo", b"secret" if n % 3 == 0 else b"%d" % n) for n in range(30)]
    streams = client.wait(*numbers)
    assert [s.status for s in streams] == [400 if n % 3 == 0 else 200 for n in range(30)]
    assert [bytes(s.body) for n, s in enumerate(streams) if n % 3] == [b"%d" % n for n in range(30) if n % 3]
    assert not any(b"secret" in r.body for r in upstream.journal)
    assert len(upstream.journal) == 20


def test_a_stream_that_waits_does_not_hold_the_others(make_proxy: Callable[..., Proxy], upstream: Upstream) -> None:
    """While one stream is with the gate, the next one is decided and answered."""
    import asyncio

    go = threading.Event()

    async def decide(gate: ObedientGate, exchange):  # type: ignore[no-untyped-def]
        while b"slow" in exchange.body and not go.is_set():  # noqa: ASYNC110 - set from another thread
            await asyncio.sleep(0.01)
        return gate.allow(exchange)

    proxy = make_proxy(gate=ObedientGate(decide))
    client = h2(proxy)
    slow = client.post("/_/echo", b"slow")
    fast = client.post("/_/echo", b"fast")
    assert client.wait(fast)[0].status == 200
    assert client.streams[slow].status is None
    go.set()
    assert client.wait(slow)[0].status == 200


def test_a_reset_stream_is_not_forwarded(make_proxy: Callable[..., Proxy], upstream: Upstream) -> None:
    """A stream that the client resets while the gate decides never reaches the upstream."""
    import asyncio

    async def decide(gate: ObedientGate, exchange):  # type: ignore[no-untyped-def]
        await asyncio.sleep(0.3)
        return gate.allow(exchange)

    proxy = make_proxy(gate=ObedientGate(decide))
    client = h2(proxy)
    gone, kept = client.post("/_/echo", b"gone"), client.post("/_/echo", b"kept")
    time.sleep(0.05)
    client.h2.reset_stream(gone, 8)
    client.flush()
    assert client.wait(kept)[0].status == 200
    (outcome,) = [o for o in proxy.gate.wait_outcomes(2) if not o.forwarded]
    assert outcome.client_disconnected
    assert [r.body for r in upstream.journal] == [b"kept"]


def test_authority_must_agree(proxy: Proxy, upstream: Upstream) -> None:
    """T08: `:authority` must name the tunnel's host, in whatever spelling."""
    client = h2(proxy)
    numbers = [
        client.start("GET", "/", authority="example.com", end=True),
        client.start("GET", "/_/echo", authority="API.openai.com.:443", end=True),
        client.start("GET", "/", authority="api.openai.com:8443", end=True),
        client.start("GET", "/", authority="api.openai.com.example.com", end=True),
    ]
    assert [s.status for s in client.wait(*numbers)] == [400, 200, 400, 400]
    assert [a.cause for a in proxy.gate.refusals()] == [Cause.HOST_MISMATCH] * 3
    assert len(upstream.journal) == 1


@pytest.mark.parametrize(("authority", "host"), [(AI, "example.com"), ("example.com", AI), (None, "example.com")])
def test_a_host_header_beside_authority_must_agree(
    authority: str | None, host: str, proxy: Proxy, upstream: Upstream
) -> None:
    """T08: a Host header in HTTP/2 cannot say something else than the tunnel, with `:authority` or instead of it."""
    client = h2(proxy, checked=False)
    pseudo = tuple(f for f in PSEUDO if f[0] != ":authority")
    named = ((":authority", authority),) if authority else ()
    number = client.start("GET", "/", pseudo=(*pseudo, *named), headers=(("host", host),), end=True)
    with contextlib.suppress(ConnectionError):  # the HTTP/2 library itself may take this for a protocol error
        assert client.wait(number, timeout=5)[0].status == 400
    assert upstream.journal.connections == 0
    assert not [a for a in proxy.gate.asked if a.kind != "refuse"]


PSEUDO = ((":method", "GET"), (":scheme", "https"), (":authority", AI), (":path", "/"))

MALFORMED = {
    "CR LF in a value": ((), (("x-a", "1\r\nx-b: 2"),)),
    "NUL in a value": ((), (("x-a", "1\x002"),)),
    "blank in path": ((PSEUDO[0], PSEUDO[1], PSEUDO[2], (":path", "/ HTTP/1.1")), ()),
    "fragment in path": ((PSEUDO[0], PSEUDO[1], PSEUDO[2], (":path", "/#x")), ()),
    "path is a URL": ((PSEUDO[0], PSEUDO[1], PSEUDO[2], (":path", "http://example.com/")), ()),
    "path empty": ((PSEUDO[0], PSEUDO[1], PSEUDO[2], (":path", "")), ()),
    "no path": (PSEUDO[:3], ()),
    "no authority, no host": ((PSEUDO[0], PSEUDO[1], PSEUDO[3]), ()),
    "two paths": ((*PSEUDO, (":path", "/2")), ()),
    "unknown pseudo": ((*PSEUDO, (":x", "1")), ()),
    "method with blank": (((":method", "GE T"), *PSEUDO[1:]), ()),
    "transfer-encoding": ((), (("transfer-encoding", "chunked"),)),
    "connection": ((), (("connection", "keep-alive"),)),
    "upgrade": ((), (("upgrade", "websocket"),)),
    "upper-case name": ((), (("X-A", "1"),)),
    "blank in name": ((), (("x a", "1"),)),
    "colon in name": ((), (("x:a", "1"),)),
    "two hosts": ((), (("host", AI), ("host", AI))),
    "TE gzip": ((), (("te", "gzip"),)),
    "trailer": ((), (("trailer", "x"),)),
    "CONNECT": (((":method", "CONNECT"), (":authority", "example.com:443")), ()),
    "CONNECT with path": (((":method", "CONNECT"), (":scheme", "https"), (":authority", AI), (":path", "/")), ()),
    "extended CONNECT": (
        (
            *((":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "https")),
            *((":authority", AI), (":path", "/")),
        ),
        (),
    ),
    "many fields": ((), tuple((f"x-{n}", "1") for n in range(300))),
    "long path": ((PSEUDO[0], PSEUDO[1], PSEUDO[2], (":path", "/" + "a" * 20000)), ()),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_heads_go_nowhere(name: str, proxy: Proxy, upstream: Upstream) -> None:
    """T56, T06: a malformed HTTP/2 head ends in a 400, a reset stream or a closed connection; nothing is forwarded."""
    pseudo, headers = MALFORMED[name]
    client = h2(proxy, checked=False)
    number = client.start("GET", "/", headers=headers, pseudo=pseudo or None, end=True)
    try:
        (stream,) = client.wait(number, timeout=5)
        assert stream.status in (400, None), stream
    except ConnectionError:
        pass
    assert upstream.journal.connections == 0
    assert not [a for a in proxy.gate.asked if a.kind != "refuse"]


BROKEN = {
    "two paths": MALFORMED["two paths"],
    "upper-case name": MALFORMED["upper-case name"],
    "connection": MALFORMED["connection"],
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_ends_a_connection_is_recorded(name: str, proxy: Proxy, upstream: Upstream) -> None:
    """A head that HTTP/2 itself forbids ends the connection, leaves one refusal, and is quoted to nobody."""
    pseudo, headers = BROKEN[name]
    client = h2(proxy, checked=False)
    client.start("GET", "/", headers=headers, pseudo=pseudo or None, end=True)
    with contextlib.suppress(ConnectionError):
        client.wait(1, timeout=5)
    until = time.monotonic() + 5
    while not proxy.gate.asked and time.monotonic() < until:
        time.sleep(0.01)
    assert [(a.kind, a.detail) for a in proxy.gate.asked] == [("refuse", "http2")]
    assert upstream.journal.connections == 0


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_a_declared_body_that_does_not_come_is_refused(method: str, proxy: Proxy, upstream: Upstream) -> None:
    """A head that promises a length and ends the stream reaches nobody: an HTTP/1 upstream would wait for the body."""
    client = h2(proxy, checked=False)
    number = client.start(method, "/_/echo", headers=(("content-length", "50"),), end=True)
    (stream,) = client.wait(number)
    assert stream.status == 400
    assert [a.reason for a in proxy.gate.refusals()] == [Reason.BAD_REQUEST]
    assert not upstream.journal.requests


def test_trailers_are_refused(proxy: Proxy, upstream: Upstream) -> None:
    """T65: trailers of a request are not let through unseen: the request is refused, and its neighbours are not."""
    client = h2(proxy)
    number = client.start("POST", "/_/echo", headers=(("te", "trailers"),))
    client.data(number, b"{}")
    client.trailers(number, (("x-secret", "1"),))
    (stream,) = client.wait(number)
    assert stream.status == 400
    assert client.wait(client.post("/_/echo", b"after"))[0].status == 200
    assert [a.reason for a in proxy.gate.refusals()] == [Reason.TRAILERS]
    assert [r.body for r in upstream.journal] == [b"after"]


def test_accepting_trailers_is_not_sending_them(proxy: Proxy, upstream: Upstream) -> None:
    """`TE: trailers`, without which no gRPC call is valid, passes over HTTP/2."""
    client = h2(proxy)
    assert client.wait(client.post("/_/echo", b"{}", headers=(("te", "trailers"),)))[0].status == 200


def test_concurrent_streams_are_few(proxy: Proxy) -> None:
    """The proxy announces how many streams it takes at once."""
    client = h2(proxy)
    client.receive(2)
    while client.h2.remote_settings.max_concurrent_streams != MAX_STREAMS:
        client.receive(2)
    assert client.h2.remote_settings.max_concurrent_streams == MAX_STREAMS


def test_body_above_the_limit(make_proxy: Callable[..., Proxy], upstream: Upstream) -> None:
    """An HTTP/2 body without a declared length is refused when it passes the limit, and is not kept."""
    proxy = make_proxy(limits={"body_bytes": 50_000})
    client = h2(proxy)
    (stream,) = client.wait(client.post("/_/echo", b"x" * 100_000))
    assert stream.status == 400
    assert client.wait(client.post("/_/echo", b"y" * 50_000))[0].status == 200
    assert [a.reason for a in proxy.gate.refusals()] == [Reason.BODY_TOO_LARGE]
    assert [r.size for r in upstream.journal] == [50_000]


def test_http2_client_and_http1_provider(make_proxy: Callable[..., Proxy], tmp_path) -> None:  # type: ignore[no-untyped-def]
    """A provider that speaks HTTP/1.1 alone gets what the HTTP/2 client sent, cookies joined."""
    with (
        Upstream(alpn=("http/1.1",), delay=0.0) as upstream,
        Proxy(upstream.address, upstream.ca_pem, tmp_path) as proxy,
    ):
        client = h2(proxy)
        cookies = (("cookie", "a=1"), ("cookie", "b=2"))
        numbers = [client.post("/_/echo", b"%d" % n, headers=cookies) for n in range(8)]
        assert [bytes(s.body) for s in client.wait(*numbers)] == [b"%d" % n for n in range(8)]
        assert {r.header("cookie") for r in upstream.journal} == {"a=1; b=2"}
        assert {r.http_version for r in upstream.journal} == {"HTTP/1.1"}


def test_a_body_without_a_length_is_not_a_second_request(tmp_path) -> None:  # type: ignore[no-untyped-def]
    """T56: an HTTP/2 body needs no length; towards an HTTP/1.1 provider it gets one, so that it stays a body."""
    smuggled = b"POST /v1/smuggled HTTP/1.1\r\nHost: api.openai.com\r\nContent-Length: 0\r\n\r\n"
    with (
        Upstream(alpn=("http/1.1",), delay=0.0) as upstream,
        Proxy(upstream.address, upstream.ca_pem, tmp_path) as proxy,
    ):
        client = h2(proxy)
        for method in ("POST", "GET", "DELETE"):
            number = client.start(method, "/_/echo")
            client.data(number, smuggled, end=True)
            client.wait(number)
        number = client.start("POST", "/_/echo", end=True)
        client.wait(number)
        assert [(r.method, r.path, r.body) for r in upstream.journal] == [
            ("POST", "/_/echo", smuggled),
            ("GET", "/_/echo", smuggled),
            ("DELETE", "/_/echo", smuggled),
            ("POST", "/_/echo", b""),
        ]
