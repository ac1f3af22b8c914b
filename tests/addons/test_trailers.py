"""T65: trailers of an HTTP/1 request are refused cleanly, where mitmproxy crashes and the client hangs."""

from __future__ import annotations

import time

import pytest

from sluice.errors import Reason
from tests.rig import Proxy
from tests.upstream import Upstream

HEAD = b"POST /_/echo HTTP/1.1\r\nHost: api.openai.com\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"

CASES = {
    "announced": HEAD + CHUNKED + b"Trailer: X-T\r\n\r\n2\r\n{}\r\n0\r\nX-T: 1\r\n\r\n",
    "announced, not sent": HEAD + CHUNKED + b"Trailer: X-T\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "sent, not announced": HEAD + CHUNKED + b"\r\n2\r\n{}\r\n0\r\nX-T: 1\r\n\r\n",
    "several": HEAD + CHUNKED + b"\r\n2\r\n{}\r\n0\r\nX-T: 1\r\nX-U: 2\r\n\r\n",
    "without end": HEAD + CHUNKED + b"\r\n2\r\n{}\r\n0\r\nX-T: 1\r\n",
    "TE: trailers": HEAD + CHUNKED + b"TE: trailers\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "no body, trailer": HEAD + CHUNKED + b"\r\n0\r\nX-T: 1\r\n\r\n",
    "LF after the last chunk": HEAD + CHUNKED + b"\r\n2\r\n{}\r\n0\r\n\n",
}


@pytest.mark.parametrize("name", CASES)
def test_trailers_are_answered_400(name: str, proxy: Proxy, upstream: Upstream) -> None:
    """400 within a second, a record, a closed connection, nothing upstream, and the next client is served."""
    started = time.monotonic()
    with proxy.tunnel("api.openai.com") as client:
        client.send(CASES[name])
        assert client.answer(5).status == 400
        assert client.closed(3)
    assert time.monotonic() - started < 3
    assert [a.reason for a in proxy.gate.refusals()] == [Reason.TRAILERS]
    assert upstream.journal.connections == 0
    with proxy.tunnel("api.openai.com") as client:
        assert client.request("POST", "/_/echo", b"{}").status == 200


def test_chunked_without_trailers_passes(proxy: Proxy, upstream: Upstream) -> None:
    """An ordinary chunked body arrives whole, cut into whatever pieces it came in, and the connection lives on."""
    body = CHUNKED + b"\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"
    with proxy.tunnel("api.openai.com") as client:
        for piece in (len(HEAD + body), 1, 7):
            for at in range(0, len(HEAD + body), piece):
                client.send((HEAD + body)[at : at + piece])
            assert client.answer().body == b"hello world"
    assert [r.body for r in upstream.journal] == [b"hello world"] * 3
    assert [a.exchange.body for a in proxy.gate.asked] == [b"hello world"] * 3
