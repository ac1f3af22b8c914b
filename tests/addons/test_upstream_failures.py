"""An upstream that cannot be reached, proved or understood: a clear 502 with a reason, and a record."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from sluice.errors import Reason
from tests.rig import Http2Client, Proxy
from tests.upstream import TestAuthority, Upstream
from tests.upstream.pki import server_context

AI = "api.openai.com"


def closed_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return f"127.0.0.1:{taken.getsockname()[1]}"


@pytest.fixture
def talking() -> Iterator[Callable[[bytes], str]]:
    """A TCP server that answers the first bytes it gets with the given ones and hangs up: no TLS to be had there."""
    sockets: list[socket.socket] = []

    def serve(reply: bytes) -> str:
        listening = socket.create_server(("127.0.0.1", 0))
        sockets.append(listening)

        def accept() -> None:
            while True:
                try:
                    sock, _ = listening.accept()
                except OSError:
                    return
                with sock:
                    sock.recv(65536)
                    sock.sendall(reply)

        threading.Thread(target=accept, daemon=True).start()
        return f"127.0.0.1:{listening.getsockname()[1]}"

    yield serve
    for one in sockets:
        one.close()


def ask(proxy: Proxy, times: int = 1) -> list[tuple[int, str | None, str]]:
    """Status, reason and message of requests on one connection."""
    found = []
    for _ in range(times):
        with proxy.tunnel(AI) as client:
            answer = client.request("POST", "/v1/chat/completions", b"{}")
        found.append((answer.status, answer.header("x-sluice-reason"), json.loads(answer.body)["error"]["message"]))
    return found


def test_nobody_listens(tmp_path, upstream: Upstream) -> None:  # type: ignore[no-untyped-def]
    """A refused connection: 502 in the provider's shape, one outcome that names the failure and forwarded nothing."""
    with Proxy(closed_port(), upstream.ca_pem, tmp_path) as proxy:
        ((status, reason, message),) = ask(proxy)
        (outcome,) = proxy.gate.wait_outcomes(1)
    assert (status, reason) == (502, Reason.UPSTREAM_UNREACHABLE)
    assert "127.0.0.1" not in message
    assert (outcome.client_status, outcome.reason, outcome.upstream_error) == (502, reason, "refused")
    assert not outcome.forwarded
    assert outcome.upstream_status is None


def test_untrusted_certificate(tmp_path, upstream: Upstream) -> None:  # type: ignore[no-untyped-def]
    """An upstream whose certificate does not verify gets no request: 502 with its own reason, over both protocols."""
    with Proxy(upstream.address, TestAuthority("another").pem, tmp_path) as proxy:
        ((status, reason, _),) = ask(proxy)
        client = Http2Client(proxy.tunnel(AI, alpn="h2").sock, AI)
        numbers = [client.post("/v1/chat/completions", b"{}") for _ in range(3)]
        streams = client.wait(*numbers)
        outcomes = proxy.gate.wait_outcomes(4)
    assert (status, reason) == (502, Reason.UPSTREAM_TLS)
    assert [s.status for s in streams] == [502] * 3
    assert [s.header("x-should-retry") for s in streams] == ["false"] * 3
    assert {(o.reason, o.client_status) for o in outcomes} == {(Reason.UPSTREAM_TLS, 502)}
    assert len(upstream.journal) == 0


def test_wrong_name(tmp_path) -> None:  # type: ignore[no-untyped-def]
    """A valid certificate for another host is no certificate."""
    with Upstream(hosts=["other.example"]) as other, Proxy(other.address, other.ca_pem, tmp_path) as proxy:
        ((status, reason, _),) = ask(proxy)
        assert (status, reason) == (502, Reason.UPSTREAM_TLS)
        assert proxy.gate.wait_outcomes(1)[0].upstream_error == "name_mismatch"
        assert len(other.journal) == 0


def test_no_tls(tmp_path, upstream: Upstream, talking: Callable[[bytes], str]) -> None:  # type: ignore[no-untyped-def]
    """An upstream that does not speak TLS."""
    with Proxy(talking(b"HTTP/1.1 200 OK\r\n\r\nsecret of the upstream"), upstream.ca_pem, tmp_path) as proxy:
        ((status, reason, message),) = ask(proxy)
    assert (status, reason) == (502, Reason.UPSTREAM_TLS)
    assert "secret" not in message


ANSWERS = {
    "garbage": b"\x00\x01\x02 secret of the upstream\r\n\r\n",
    "no version": b"200 OK\r\n\r\n",
    "CL and TE": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "bad name": b"HTTP/1.1 200 OK\r\nX secret: 1\r\nContent-Length: 0\r\n\r\n",
    "endless head": b"HTTP/1.1 200 OK\r\n" + b"X-A: secret\r\n" * 30_000,
    "NUL in a value": b"HTTP/1.1 200 OK\r\nX-A: secret\x00\r\nContent-Length: 0\r\n\r\n",
    "folded": b"HTTP/1.1 200 OK\r\nX-A: secret\r\n more\r\nContent-Length: 0\r\n\r\n",
    "bad length": b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
}


@pytest.mark.parametrize("name", ANSWERS)
def test_answers_that_are_none(name: str, make_proxy: Callable[..., Proxy], raw_upstream: Callable[..., None]) -> None:
    """An upstream that answers nonsense: 502 with a reason, and nothing of the nonsense."""
    proxy = make_proxy()
    raw_upstream(proxy, AI, ANSWERS[name])
    ((status, reason, message),) = ask(proxy)
    assert (status, reason) == (502, Reason.UPSTREAM_UNREACHABLE)
    assert "secret" not in message


def test_upstream_hangs_up(make_proxy: Callable[..., Proxy], raw_upstream: Callable[..., None]) -> None:
    """An upstream that takes the request and closes without a word: 502, and the request is not sent again."""
    proxy = make_proxy()
    raw_upstream(proxy, AI, b"")
    ((status, reason, _),) = ask(proxy)
    assert (status, reason) == (502, Reason.UPSTREAM_UNREACHABLE)
    assert proxy.gate.wait_outcomes(1)[0].upstream_error == "closed"


def test_the_client_connection_outlives_its_upstream(tmp_path, upstream: Upstream) -> None:  # type: ignore[no-untyped-def]
    """After a 502 the same client connection works again as soon as the upstream does."""
    with Proxy(closed_port(), upstream.ca_pem, tmp_path) as proxy:
        hosts = proxy.loop._hosts  # type: ignore[attr-defined]
        with proxy.tunnel(AI) as client:
            assert client.request("POST", "/_/echo", b"1").status == 502
            hosts[AI] = (hosts[AI][0], upstream.port)
            assert client.request("POST", "/_/echo", b"2").status == 200
        h2 = Http2Client(proxy.tunnel(AI, alpn="h2").sock, AI)
        hosts[AI] = (hosts[AI][0], int(closed_port().rpartition(":")[2]))
        assert h2.wait(h2.post("/_/echo", b"3"))[0].status == 502
        hosts[AI] = (hosts[AI][0], upstream.port)
        assert h2.wait(h2.post("/_/echo", b"4"))[0].status == 200
    assert [r.body for r in upstream.journal] == [b"2", b"4"]


def test_upstream_closes_between_requests(make_proxy: Callable[..., Proxy], upstream: Upstream) -> None:
    """A kept upstream connection that was closed meanwhile is replaced, each request is sent once, nothing piles up."""
    proxy = make_proxy()
    requests: list[bytes] = []
    context = server_context(*upstream.authority.leaf([AI]), ("http/1.1",))
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        for _ in range(5):
            sock, _ = listening.accept()
            with contextlib.suppress(OSError), context.wrap_socket(sock, server_side=True) as tls:
                requests.append(tls.recv(65536)[-1:])
                tls.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                tls.unwrap()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    hosts = proxy.loop._hosts  # type: ignore[attr-defined]
    hosts[AI] = (hosts[AI][0], listening.getsockname()[1])
    with proxy.tunnel(AI) as client:
        for n in range(5):
            assert client.request("POST", "/", b"%d" % n).body == b"ok"
            time.sleep(0.05)
        thread.join(5)
        assert requests == [b"%d" % n for n in range(5)]
        assert len(proxy.master.outcomes.peers) <= 1
    listening.close()
