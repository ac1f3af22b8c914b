"""WebSocket upgrades are answered 426, counted and recorded; no frame ever passes."""

from __future__ import annotations

from sluice import metrics
from sluice.errors import Cause, Reason
from tests.rig import Proxy
from tests.upstream import Upstream

AI = "api.openai.com"
UPGRADE = (
    ("Connection", "Upgrade"),
    ("Upgrade", "websocket"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
)


def test_upgrade_is_answered_426(proxy: Proxy, upstream: Upstream) -> None:
    """A WebSocket upgrade to an AI host: 426 at once, one record, one count, no upstream connection, and the same
    connection carries the POST that follows."""
    before = metrics.WEBSOCKETS.labels("refused").count
    with proxy.tunnel(AI) as client:
        answer = client.request("GET", "/v1/responses", headers=UPGRADE)
        assert answer.status == 426
        assert answer.header("upgrade") == "HTTP/1.1"
        assert answer.header("x-should-retry") == "false"
        assert upstream.journal.connections == 0
        assert client.request("POST", "/v1/responses", b"{}").status == 200
    (refused,) = proxy.gate.refusals()
    assert (refused.reason, refused.cause) == (Reason.WEBSOCKET, Cause.WEBSOCKET)
    assert refused.exchange.path == "/v1/responses"
    assert metrics.WEBSOCKETS.labels("refused").count == before + 1
    assert proxy.gate.wait_outcomes(2)[0].client_status == 426


def test_frames_behind_the_upgrade_go_nowhere(proxy: Proxy, upstream: Upstream) -> None:
    """A client that does not wait for the answer has its frames read as what they are: no HTTP."""
    with proxy.tunnel(AI) as client:
        client.send(client.message("GET", "/v1/responses", headers=UPGRADE) + b"\x81\x85\x00\x00\x00\x00hello")
        assert client.answer().status == 426
        assert client.answer().status == 400
        assert client.closed()
    assert upstream.journal.connections == 0


def test_spellings_of_the_upgrade(proxy: Proxy, upstream: Upstream) -> None:
    """Capitals and blanks do not make it another protocol."""
    for value in ("WebSocket", "WEBSOCKET", " websocket "):
        with proxy.tunnel(AI) as client:
            headers = (("Connection", "keep-alive, Upgrade"), ("Upgrade", value))
            assert client.request("GET", "/v1/responses", headers=headers).status == 426
    assert upstream.journal.connections == 0
