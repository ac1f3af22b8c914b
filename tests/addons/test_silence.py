"""T60: secrets in every place a request has, and crashes with secrets in hand: not one of them in any log."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import sys
import threading
from collections.abc import Callable, Iterator

import pytest

from addons import handler, streams
from sluice import logs
from sluice.model import Exchange
from tests.rig import Http2Client, ObedientGate, Proxy
from tests.rig.gate import Verdict
from tests.upstream import Upstream

AI = "api.openai.com"
CANARY = "sk-canary-7f3a9b"
RAW = CANARY.encode()
HOST = b"Host: api.openai.com\r\n"


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """What the process logs, every logger at DEBUG, written as the worker writes it."""
    root, ours = logging.getLogger(), logging.getLogger("sluice")
    kept = (root.handlers[:], root.level, ours.level, logging.raiseExceptions)
    hooks = (sys.excepthook, threading.excepthook, sys.unraisablehook)
    stream = io.StringIO()
    logs.setup("worker-0", stream)
    root.setLevel(logging.DEBUG)
    ours.setLevel(logging.DEBUG)
    yield stream
    logging.captureWarnings(False)
    root.handlers[:], logging.raiseExceptions = kept[0], kept[3]
    root.setLevel(kept[1])  # the attribute alone would leave what each logger remembers of it
    ours.setLevel(kept[2])
    sys.excepthook, threading.excepthook, sys.unraisablehook = hooks


REQUESTS = {
    "header": b"GET /_/echo HTTP/1.1\r\n" + HOST + b"Authorization: Bearer " + RAW + b"\r\n\r\n",
    "body": b"POST /_/echo HTTP/1.1\r\n" + HOST + b"Content-Length: %d\r\n\r\n" % len(RAW) + RAW,
    "URL": b"GET /_/echo/" + RAW + b"?key=" + RAW + b" HTTP/1.1\r\n" + HOST + b"\r\n",
    "partial head": b"GET / HTTP/1.1\r\nAuthorization: Bearer " + RAW,
    "bad request line": b"GET " + RAW + b" " + RAW + b" HTTP/9\r\n\r\n",
    "no HTTP": b"\x00" + RAW,
    "method": RAW + b" / HTTP/1.1\r\n" + HOST + b"\r\n",
    "header name": b"GET / HTTP/1.1\r\n" + HOST + RAW + b" : 1\r\n\r\n",
    "bad header": b"GET / HTTP/1.1\r\n" + HOST + b"X: " + RAW + b"\x00\r\n\r\n",
    "Host": b"GET / HTTP/1.1\r\nHost: " + RAW + b".example.com\r\n\r\n",
    "length": b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: " + RAW + b"\r\n\r\n",
    "coding": b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: " + RAW + b"\r\n\r\n",
    "chunk line": b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n" + RAW + b"\r\n",
    "trailer": b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n0\r\nX: " + RAW + b"\r\n\r\n",
    "pipelined": b"GET /_/echo HTTP/1.1\r\n" + HOST + b"\r\n" + RAW + b"\r\n\r\n",
}


def silent(log: io.StringIO) -> list[dict[str, object]]:
    """Every line is a JSON object and none holds the canary. The lines."""
    text = log.getvalue()
    assert CANARY not in text
    assert "canary" not in text
    return [json.loads(line) for line in text.splitlines()]


def test_requests_leave_no_trace(log: io.StringIO, make_proxy: Callable[..., Proxy], upstream: Upstream) -> None:
    """A secret in each place of a request, sound or broken, allowed or refused, over TLS and at the proxy's port."""
    proxy = make_proxy(limits={"head_seconds": 0.05})
    for action in ("allow", "block"):
        proxy.gate.decide = lambda gate, e, action=action: getattr(gate, action)(e)
        for data in REQUESTS.values():
            with proxy.tunnel(AI) as client, contextlib.suppress(OSError):  # it may hang up at the first bytes
                client.send(data)
                client.closed(0.1)
            with proxy.plain() as client:
                client.send(data)
                client.closed(0.1)
    client2 = Http2Client(proxy.tunnel(AI, alpn="h2").sock, AI, checked=False)
    client2.start("GET", f"/{CANARY}", headers=(("x-a", f"{CANARY}\r\n"),), end=True)
    client2.receive(0.5)
    silent(log)


def test_upstream_answers_leave_no_trace(
    log: io.StringIO, make_proxy: Callable[..., Proxy], raw_upstream: Callable[..., None]
) -> None:
    """What a broken upstream says is not logged either."""
    for reply in (
        RAW + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + RAW + b": \x00\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX " + RAW + b": 1\r\n\r\n",
    ):
        proxy = make_proxy()
        raw_upstream(proxy, AI, reply)
        with proxy.tunnel(AI) as client:
            assert client.request("GET", "/").status == 502
    silent(log)


def test_crashes_leave_no_trace(
    log: io.StringIO, make_proxy: Callable[..., Proxy], upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A gate, a hook and a protocol layer that raise with the secret in their words: said by type, never by text."""

    def fail(_: ObedientGate, exchange: Exchange) -> Verdict:
        raise RuntimeError(f"could not handle {exchange.body!r}")

    proxy = make_proxy(gate=ObedientGate(fail))
    with proxy.tunnel(AI) as client:
        assert client.request("POST", "/", RAW).status == 400
    proxy.gate.reset()

    def broken(self: streams.GateStream, event: object) -> None:
        raise AssertionError(f"unexpected {event!r} {CANARY}")

    monkeypatch.setattr(streams.GateStream, "state_consume_request_body", broken)
    with proxy.tunnel(AI) as client:
        client.send(client.message("POST", "/", RAW))
        assert client.closed(3)
    monkeypatch.undo()
    monkeypatch.setattr("addons.flows.exchange", lambda *_: (_ for _ in ()).throw(ValueError(CANARY)))
    with proxy.tunnel(AI) as client:
        assert client.request("POST", "/", RAW).status == 503
    lines = silent(log)
    told = [str(line.get("exception")) for line in lines]
    assert {"RuntimeError", "AssertionError", "ValueError"} <= set(told)
    assert upstream.journal.connections == 0


def test_a_crash_ends_the_connection_and_not_the_worker(
    make_proxy: Callable[..., Proxy], upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A layer that raises closes its client's connection at once; the next one is served; nothing hangs or leaks."""
    proxy = make_proxy()

    def broken(self: streams.GateStream, event: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(streams.GateStream, "state_wait_for_response_headers", broken)
    with proxy.tunnel(AI) as client:
        client.send(client.message("POST", "/_/echo", b"{}"))
        assert client.closed(3)
    monkeypatch.undo()
    with proxy.tunnel(AI) as client:
        assert client.request("POST", "/_/echo", b"{}").status == 200
    assert len(proxy.gate.wait_outcomes(2)) == 2
    assert proxy.master.core.inflight.bytes == 0


def test_mitmproxy_says_nothing_through_us(log: io.StringIO, make_proxy: Callable[..., Proxy]) -> None:
    """The handler drops whatever mitmproxy asks it to log."""
    proxy = make_proxy()
    with proxy.plain():
        while not proxy.listener._handlers:
            pass
        (one,) = proxy.listener._handlers
        assert isinstance(one, handler.GateHandler)
        for level in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR):
            one.log(f"raw bytes: {CANARY}", level)
    silent(log)
