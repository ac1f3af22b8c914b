"""Answers: streamed chunk by chunk, counted, cleaned of Alt-Svc, and followed to their end by one outcome record."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable

from sluice.model import Clearance, Exchange, Outcome, Refusal
from tests.rig import Http2Client, ObedientGate, Proxy
from tests.upstream import Reply, Upstream
from tests.upstream.pki import server_context

AI = "api.openai.com"
GET = f"GET {{}} HTTP/1.1\r\nHost: {AI}\r\n\r\n"


def outcomes(proxy: Proxy, count: int = 1) -> tuple[Outcome, ...]:
    return proxy.gate.wait_outcomes(count)  # type: ignore[no-any-return]


def test_events_arrive_one_by_one(proxy: Proxy, upstream: Upstream) -> None:
    """T63: the client holds the first event while the upstream has not sent the second: nobody on the way buffers."""
    with upstream.hold(after=1) as release, proxy.tunnel(AI) as client:
        client.send(GET.format("/_/events/5").encode())
        first = b""
        while b"data:" not in first:
            first += client.sock.recv(4096)
        assert b'{"n": 0}' in first
        assert b'{"n": 1}' not in first
        release()
        rest = first
        while b'{"n": 4}' not in rest:
            rest += client.sock.recv(4096)


def test_a_thousand_events_arrive_whole(proxy: Proxy, upstream: Upstream) -> None:
    """T63: a stream of 1,000 events arrives complete and in order, over HTTP/1.1 and HTTP/2."""
    expected = b"".join(b"data: %s\n\n" % json.dumps({"n": n}).encode() for n in range(1000))
    with proxy.tunnel(AI) as client:
        answer = client.request("GET", "/_/events/1000", timeout=60)
    assert answer.body == expected
    assert answer.header("content-type") == "text/event-stream"
    client2 = Http2Client(proxy.tunnel(AI, alpn="h2").sock, AI)
    number = client2.start("GET", "/_/events/1000", end=True)
    (stream,) = client2.wait(number, timeout=60)
    assert bytes(stream.body) == expected
    assert [o.resp_bytes for o in outcomes(proxy, 2)] == [len(expected)] * 2


def test_client_that_hangs_up_closes_the_upstream(proxy: Proxy, upstream: Upstream) -> None:
    """T63: a client that goes away in mid-stream ends the upstream's answer, and the outcome says who left."""
    upstream.override = lambda _: Reply(200, (("content-type", "text/event-stream"),), events=(b"data: x\n\n",) * 2000)
    upstream.delay = 0.005
    try:
        client = proxy.tunnel(AI)
        client.send(GET.format("/v1/x").encode())
        assert b"data: x" in client.sock.recv(4096) + client.sock.recv(4096)
        client.close()
        (outcome,) = outcomes(proxy)
    finally:
        upstream.delay = 0.0
    assert outcome.client_disconnected
    assert outcome.stream_aborted
    assert outcome.upstream_status == 200
    assert outcome.resp_bytes is not None and outcome.resp_bytes < 2000 * 9


def test_the_upstream_notices_within_a_second(make_proxy: Callable[..., Proxy], upstream: Upstream) -> None:
    """T63: after the client has hung up, the upstream's connection is closed at once, seen from the upstream."""
    proxy = make_proxy()
    context = server_context(*upstream.authority.leaf([AI]), ("http/1.1",))
    noticed = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        hosts = proxy.loop._hosts  # type: ignore[attr-defined]
        hosts[AI] = (hosts[AI][0], listening.getsockname()[1])

        def serve() -> None:
            sock, _ = listening.accept()
            with contextlib.suppress(OSError), context.wrap_socket(sock, server_side=True) as tls:
                tls.recv(65536)
                tls.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
                tls.recv(1)  # b"" or an error: the proxy has hung up
            noticed.set()

        threading.Thread(target=serve, daemon=True).start()
        client = proxy.tunnel(AI)
        client.send(GET.format("/").encode())
        while b"hello" not in client.sock.recv(4096):
            pass
        assert not noticed.is_set()
        client.close()
        assert noticed.wait(1.0)


def test_upstream_that_breaks_off(proxy: Proxy, upstream: Upstream) -> None:
    """An answer that the upstream cuts off is cut off for the client, and the outcome says that it was the upstream."""
    with proxy.tunnel(AI) as client:
        client.send(GET.format("/_/abort").encode())
        assert client.closed()
    (outcome,) = outcomes(proxy)
    assert outcome.stream_aborted
    assert not outcome.client_disconnected
    assert outcome.upstream_error == "aborted"


def test_alt_svc_is_taken_out(proxy: Proxy, upstream: Upstream) -> None:
    """The invitation to HTTP/3 never reaches the client, in no spelling and however often it is given."""
    upstream.override = lambda _: Reply(200, (("ALT-SVC", 'h3=":443"'), ("x-kept", "1")), b"ok")
    with proxy.tunnel(AI) as client:
        answer = client.request("GET", "/")
    assert answer.header("alt-svc") is None
    assert (answer.header("x-kept"), answer.body) == ("1", b"ok")
    h2 = Http2Client(proxy.tunnel(AI, alpn="h2").sock, AI)
    (stream,) = h2.wait(h2.start("GET", "/", end=True))
    assert stream.header("alt-svc") is None
    assert stream.header("x-kept") == "1"


def test_outcome_of_an_exchange(proxy: Proxy, upstream: Upstream) -> None:
    """Times in order, sizes, the provider's organisation, and what is known of the upstream's TLS."""
    headers = (("openai-organization", "org-1"), ("openai-project", "proj-1"))
    upstream.override = lambda _: Reply(200, headers, b"x" * 5000)
    with proxy.tunnel(AI) as client:
        assert client.request("POST", "/v1/chat/completions", b"{}").status == 200
    (outcome,) = outcomes(proxy)
    assert outcome.forwarded
    assert (outcome.client_status, outcome.upstream_status, outcome.resp_bytes) == (200, 200, 5000)
    assert (outcome.org_id_seen, outcome.project_id_seen) == ("org-1", "proj-1")
    assert (outcome.dst_ip, outcome.dst_port) == ("127.0.0.1", upstream.port)
    assert outcome.tls_version_upstream == outcome.tls_version_client == "TLSv1.3"
    assert outcome.upstream_cert_verified
    assert outcome.upstream_cert_sha256 and len(outcome.upstream_cert_sha256) == 64
    assert outcome.target and outcome.target.provider == "openai"
    times = [outcome.ts_received, outcome.ts_forwarded, outcome.ts_first_byte, outcome.ts_end]
    assert all(times) and times == sorted(t for t in times if t)
    assert not (outcome.stream_aborted or outcome.client_disconnected or outcome.upstream_error)


def test_each_exchange_has_one_outcome_after_its_decision(proxy: Proxy, upstream: Upstream) -> None:
    """Allowed, refused, refused for its form, refused tunnel: one outcome each, under the decision's id."""
    proxy.gate.decide = lambda gate, e: gate.block(e) if e.query == "no" else gate.allow(e)
    with proxy.tunnel(AI) as client:
        client.request("GET", "/_/echo?yes")
        client.request("GET", "/_/echo?no")
        client.request("GET", "/_/echo", host="example.com")
    with proxy.tunnel(AI) as client:
        client.send(b"GET / HTTP/1.1\nHost: x\n\n")
        client.answer()
    sock = proxy.connect(f"{AI}:443")
    sock.sendall(b"not tls")
    sock.recv(1)
    sock.close()
    ids = [a.exchange.id for a in proxy.gate.asked]
    found = outcomes(proxy, 5)
    assert [o.exchange_id for o in found] == ids
    assert [o.forwarded for o in found] == [True, False, False, False, False]
    assert [o.client_status for o in found] == [200, 400, 400, 400, None]


def test_head_and_empty_answers(proxy: Proxy, upstream: Upstream) -> None:
    """HEAD, 204 and 304 have no body, and the connection goes on after each."""
    with proxy.tunnel(AI) as client:
        assert client.request("HEAD", "/_/bytes/10").status == 200
        for status in (204, 304):
            upstream.override = lambda _, status=status: Reply(status)
            assert client.request("GET", "/").status == status
        upstream.override = None
        assert client.request("GET", "/_/echo").status == 200
    assert len(outcomes(proxy, 4)) == 4


def test_a_refused_head_request_gets_no_body(proxy: Proxy, upstream: Upstream) -> None:
    """A refusal of HEAD, by the gate or by its failure, has no content: the next answer is read as itself."""

    def decide(gate: ObedientGate, e: Exchange) -> Clearance | Refusal:
        if e.query == "broken":
            raise BaseException
        return gate.block(e) if e.query == "no" else gate.allow(e)

    proxy.gate.decide = decide
    with proxy.tunnel(AI) as client:
        for query, status in (("no", 400), ("broken", 503)):
            refused = client.request("HEAD", f"/_/echo?{query}")
            assert (refused.status, refused.body) == (status, b"")
            assert client.request("GET", "/_/echo?yes").status == 200
        assert client.request("HEAD", "/", host="example.com").status == 400
        assert client.request("GET", "/_/echo?yes").status == 200
    h2 = Http2Client(proxy.tunnel(AI, alpn="h2").sock, AI)
    for query, status in (("no", 400), ("broken", 503)):
        (stream,) = h2.wait(h2.start("HEAD", f"/_/echo?{query}", end=True))
        assert (stream.status, stream.body) == (status, b"")


def test_large_answer_is_not_kept(proxy: Proxy, upstream: Upstream) -> None:
    """An answer far above every limit of a request passes, since it is streamed."""
    with proxy.tunnel(AI) as client:
        assert len(client.request("GET", "/_/bytes/50000000", timeout=60).body) == 50_000_000
    assert outcomes(proxy)[0].resp_bytes == 50_000_000


def test_answers_with_trailers(make_proxy: Callable[..., Proxy], raw_upstream: Callable[..., str]) -> None:
    """An upstream that ends its chunked answer with trailers does not break the connection; they are dropped."""
    reply = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n2\r\nok\r\n0\r\nX-T: 1\r\n\r\n"
    proxy = make_proxy()
    raw_upstream(proxy, AI, reply)
    with proxy.tunnel(AI) as client:
        answer = client.request("GET", "/")
        assert (answer.status, answer.body) == (200, b"ok")
        assert client.request("GET", "/").body == b"ok"


def test_switching_protocols_unasked(make_proxy: Callable[..., Proxy], raw_upstream: Callable[..., str]) -> None:
    """An upstream that answers 101 without having been asked gets no tunnel."""
    proxy = make_proxy()
    raw_upstream(proxy, AI, b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\nsecret")
    with proxy.tunnel(AI) as client:
        client.send(GET.format("/").encode())
        assert client.closed()


def test_time_of_an_answer_does_not_wait_for_its_record(make_proxy: Callable[..., Proxy], upstream: Upstream) -> None:
    """A ledger that takes its time with outcome records does not hold up the answer."""
    proxy = make_proxy()
    started = time.monotonic()

    async def slow(outcome: Outcome) -> None:
        await asyncio.sleep(1.5)

    proxy.gate.outcome = slow
    with proxy.tunnel(AI) as client:
        assert client.request("GET", "/_/echo").status == 200
        assert client.request("GET", "/_/echo").status == 200
    assert time.monotonic() - started < 1.4
