"""T56: whatever is on the wire, the upstream sees exactly the request that was inspected, or none."""

from __future__ import annotations

import pytest

from sluice.errors import Reason
from tests.rig import Proxy
from tests.rig.wire import Closed
from tests.upstream import Upstream

H = b"Host: api.openai.com\r\n"
CL2 = b"Content-Length: 2\r\n"
LINE = b"POST /_/echo HTTP/1.1\r\n"

THE_FIVE = {
    "folded": LINE + H + CL2 + b"X-A: 1\r\n 2\r\n\r\n{}",
    "bare LF": LINE + H + CL2 + b"X-A: 1\nX-B: 2\r\n\r\n{}",
    "NUL in a value": LINE + H + CL2 + b"X-A: 1\x002\r\n\r\n{}",
    "bare CR in a value": LINE + H + CL2 + b"X-A: 1\r2\r\n\r\n{}",
    "two Hosts": LINE + H + b"Host: example.com\r\n" + CL2 + b"\r\n{}",
}
"""What mitmproxy 12.2.3 accepts and some upstream reads otherwise."""

REFUSED = THE_FIVE | {
    "two equal Hosts": LINE + H + H + CL2 + b"\r\n{}",
    "no Host": LINE + CL2 + b"\r\n{}",
    "empty Host": LINE + b"Host:\r\n" + CL2 + b"\r\n{}",
    "LF LF ends the head": b"POST /_/echo HTTP/1.1\nHost: api.openai.com\nContent-Length: 2\n\n{}",
    "LF before CRLF CRLF": LINE[:-2] + b"\n" + H + CL2 + b"\r\n{}",
    "CR CR LF": LINE + H + b"X-A: 1\r\r\n" + CL2 + b"\r\n{}",
    "CL and TE": LINE + H + CL2 + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "TE and CL": LINE + H + b"Transfer-Encoding: chunked\r\n" + CL2 + b"\r\n2\r\n{}\r\n0\r\n\r\n",
    "two CLs": LINE + H + CL2 + b"Content-Length: 0\r\n\r\n{}",
    "CL list": LINE + H + b"Content-Length: 2, 2\r\n\r\n{}",
    "CL with plus": LINE + H + b"Content-Length: +2\r\n\r\n{}",
    "CL with minus": LINE + H + b"Content-Length: -2\r\n\r\n{}",
    "CL hexadecimal": LINE + H + b"Content-Length: 0x2\r\n\r\n{}",
    "CL empty": LINE + H + b"Content-Length: \r\n\r\n",
    "CL with blanks": LINE + H + b"Content-Length: 1 2\r\n\r\n{}",
    "CL huge": LINE + H + b"Content-Length: 99999999999999999999999\r\n\r\n{}",
    "TE xchunked": LINE + H + b"Transfer-Encoding: xchunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "TE chunked twice": LINE + H + b"Transfer-Encoding: chunked, chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "TE two fields": LINE + H + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "TE identity": LINE + H + b"Transfer-Encoding: identity\r\n" + b"\r\n{}",
    "TE gzip, chunked": LINE + H + b"Transfer-Encoding: gzip, chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "TE with tab": LINE + H + b"Transfer-Encoding: \x0bchunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "TE quoted": LINE + H + b'Transfer-Encoding: "chunked"\r\n\r\n2\r\n{}\r\n0\r\n\r\n',
    "TE in HTTP/1.0": LINE.replace(b"1.1", b"1.0") + H + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "blank before colon": LINE + H + b"Content-Length : 2\r\n\r\n{}",
    "blank in name": LINE + H + CL2 + b"X A: 1\r\n\r\n{}",
    "name empty": LINE + H + CL2 + b": 1\r\n\r\n{}",
    "no colon": LINE + H + CL2 + b"X-A\r\n\r\n{}",
    "folded first": LINE + b" X: 1\r\n" + H + CL2 + b"\r\n{}",
    "folded with tab": LINE + H + CL2 + b"X-A: 1\r\n\t2\r\n\r\n{}",
    "name not ASCII": LINE + H + CL2 + b"X-\xc3\xa4: 1\r\n\r\n{}",
    "DEL in a value": LINE + H + CL2 + b"X-A: \x7f\r\n\r\n{}",
    "vertical tab": LINE + H + CL2 + b"X-A: \x0b\r\n\r\n{}",
    "two blanks in line": b"POST  /_/echo HTTP/1.1\r\n" + H + CL2 + b"\r\n{}",
    "tab in line": b"POST\t/_/echo\tHTTP/1.1\r\n" + H + CL2 + b"\r\n{}",
    "blank at the end": b"POST /_/echo HTTP/1.1 \r\n" + H + CL2 + b"\r\n{}",
    "blank in target": b"POST /_/echo x HTTP/1.1\r\n" + H + CL2 + b"\r\n{}",
    "no version": b"POST /_/echo\r\n" + H + CL2 + b"\r\n{}",
    "HTTP/0.9": b"GET /_/echo HTTP/0.9\r\n" + H + b"\r\n",
    "HTTP/1.2": b"GET /_/echo HTTP/1.2\r\n" + H + b"\r\n",
    "HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "lower-case method": b"post /_/echo HTTP/1.1\r\n" + H + CL2 + b"\r\n{}",
    "absolute form": b"POST https://api.openai.com/_/echo HTTP/1.1\r\n" + H + CL2 + b"\r\n{}",
    "absolute form elsewhere": b"POST http://example.com/_/echo HTTP/1.1\r\n" + H + CL2 + b"\r\n{}",
    "authority form": b"POST api.openai.com:443 HTTP/1.1\r\n" + H + CL2 + b"\r\n{}",
    "fragment": b"POST /_/echo#x HTTP/1.1\r\n" + H + CL2 + b"\r\n{}",
    "Host with path": LINE + b"Host: api.openai.com/x\r\n" + CL2 + b"\r\n{}",
    "Host with user": LINE + b"Host: x@api.openai.com\r\n" + CL2 + b"\r\n{}",
    "Host with a list": LINE + b"Host: api.openai.com, example.com\r\n" + CL2 + b"\r\n{}",
    "Host with another port": LINE + b"Host: api.openai.com:8443\r\n" + CL2 + b"\r\n{}",
    "chunk size with blank": LINE + H + b"Transfer-Encoding: chunked\r\n\r\n2 2\r\n{}\r\n0\r\n\r\n",
    "chunk size negative": LINE + H + b"Transfer-Encoding: chunked\r\n\r\n-2\r\n{}\r\n0\r\n\r\n",
    "chunk size 0x": LINE + H + b"Transfer-Encoding: chunked\r\n\r\n0x2\r\n{}\r\n0\r\n\r\n",
    "chunk longer than said": LINE + H + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}{}\r\n0\r\n\r\n",
    "chunk ends in LF": LINE + H + b"Transfer-Encoding: chunked\r\n\r\n2\n{}\n0\n\n",
    "chunk line without end": LINE + H + b"Transfer-Encoding: chunked\r\n\r\n2;" + b"x" * 3000,
    "many fields": LINE + H + CL2 + b"".join(b"X-%d: 1\r\n" % n for n in range(300)) + b"\r\n{}",
    "long target": b"POST /" + b"a" * 20000 + b" HTTP/1.1\r\n" + H + CL2 + b"\r\n{}",
    "large head": LINE + H + CL2 + b"X-A: " + b"a" * 70000 + b"\r\n\r\n{}",
    "expectation": LINE + H + CL2 + b"Expect: something\r\n\r\n{}",
}


@pytest.mark.parametrize("name", REFUSED)
def test_ambiguous_request_is_answered_400_and_goes_nowhere(name: str, proxy: Proxy, upstream: Upstream) -> None:
    """Every form that two parsers may read differently: 400, a record, a closed connection, and nothing upstream."""
    with proxy.tunnel("api.openai.com") as client:
        client.send(REFUSED[name])
        answer = client.answer(5)
        assert answer.status == 400, answer
        if not name.startswith("Host with") and name != "empty Host":
            assert client.closed(3)
    assert upstream.journal.connections == 0
    assert len(proxy.gate.refusals()) == 1
    refused = proxy.gate.refusals()[0]
    assert refused.reason in (Reason.BAD_REQUEST, Reason.HOST_MISMATCH, Reason.NON_HTTP, Reason.BODY_TOO_LARGE)


SMUGGLED = b"GET /_/smuggled HTTP/1.1\r\nHost: api.openai.com\r\n\r\n"

PASSED = {
    "bytes after the body": (LINE + H + CL2 + b"\r\n{}" + SMUGGLED, [("/_/echo", b"{}"), ("/_/smuggled", b"")]),
    "chunk extension": (
        LINE + H + b"Transfer-Encoding: chunked\r\n\r\n2;a=b\r\n{}\r\n0\r\n\r\n",
        [("/_/echo", b"{}")],
    ),
    "GET with a body": (
        b"GET /_/echo HTTP/1.1\r\n" + H + b"Content-Length: %d\r\n\r\n" % len(SMUGGLED) + SMUGGLED,
        [("/_/echo", SMUGGLED)],
    ),
    "empty lines first": (b"\r\n\r\n" + LINE + H + CL2 + b"\r\n{}", [("/_/echo", b"{}")]),
    "Host in capitals": (LINE + b"HOST: API.OPENAI.COM.\r\n" + CL2 + b"\r\n{}", [("/_/echo", b"{}")]),
    "Host with its port": (LINE + b"Host: api.openai.com:443\r\n" + CL2 + b"\r\n{}", [("/_/echo", b"{}")]),
    "CL zero and bytes": (LINE + H + b"Content-Length: 0\r\n\r\n" + SMUGGLED, [("/_/echo", b""), ("/_/smuggled", b"")]),
    "value with UTF-8": (LINE + H + CL2 + b"X-A: \xc3\xa4\xff\r\n\r\n{}", [("/_/echo", b"{}")]),
}


@pytest.mark.parametrize("name", PASSED)
def test_the_upstream_sees_what_the_gate_saw(name: str, proxy: Proxy, upstream: Upstream) -> None:
    """What is passed on arrives as exactly the requests that were inspected, one for one, body for body."""
    data, expected = PASSED[name]
    with proxy.tunnel("api.openai.com") as client:
        client.send(data)
        for _ in expected:
            client.answer(5)
    seen = [(a.exchange.path, a.exchange.body) for a in proxy.gate.asked]
    received = [(r.path, r.body) for r in upstream.journal]
    assert seen == expected
    assert received == expected


def test_a_body_cut_short_goes_nowhere(proxy: Proxy, upstream: Upstream) -> None:
    """A client that closes inside its body has sent no request."""
    with proxy.tunnel("api.openai.com") as client:
        client.send(LINE + H + b"Content-Length: 100\r\n\r\nhalf")
    with proxy.tunnel("api.openai.com") as client:
        client.send(LINE + H + b"Transfer-Encoding: chunked\r\n\r\n5\r\nha")
    with proxy.tunnel("api.openai.com") as client:
        assert client.request("POST", "/_/echo", b"whole").status == 200
    assert [r.body for r in upstream.journal] == [b"whole"]
    assert len(proxy.gate.asked) == 1


def test_slow_head_is_answered_and_closed(make_proxy, upstream: Upstream) -> None:  # type: ignore[no-untyped-def]
    """A head that does not end is given up at its deadline, at the proxy's port and inside a tunnel."""
    proxy = make_proxy(limits={"head_seconds": 0.5})
    with proxy.plain() as client:
        client.send(b"GET http://exam")
        assert client.answer(5).status == 408
        assert client.closed(3)
    with proxy.tunnel("api.openai.com") as client:
        client.send(LINE + b"Host: api")
        assert client.answer(5).status == 408
        assert client.closed(3)
    assert upstream.journal.connections == 0


def test_connect_without_a_hello_is_closed(make_proxy) -> None:  # type: ignore[no-untyped-def]
    """A tunnel whose client says nothing, or half a ClientHello, is closed at the deadline."""
    proxy = make_proxy(limits={"head_seconds": 0.5})
    for start in (b"", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"):
        sock = proxy.connect("api.openai.com:443")
        sock.sendall(start)
        sock.settimeout(5)
        assert sock.recv(100) == b""
        sock.close()


def test_endless_bytes_behind_a_request_are_cut(make_proxy, upstream: Upstream) -> None:  # type: ignore[no-untyped-def]
    """What a client sends while its answer is under way is bounded."""
    proxy = make_proxy(limits={"head_bytes": 2048})
    upstream.override = None
    with proxy.tunnel("api.openai.com") as client:
        client.send(b"GET /_/silence HTTP/1.1\r\n" + H + b"\r\n")
        with pytest.raises((Closed, OSError)):
            for _ in range(200):
                client.send(b"x" * 65536)
            client.answer(2)
