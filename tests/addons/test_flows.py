"""From a flow to an exchange and back: nothing decoded, nothing lost, nothing that must stay sent on."""

from __future__ import annotations

import gzip
import time
import uuid

from mitmproxy import connection, http
from mitmproxy.test import tutils

from addons import flows
from addons.headcheck import Head
from addons.state import Line, Passage, Tunnel


def made(**request: object) -> tuple[http.HTTPFlow, Passage, Line]:
    client = connection.Client(
        peername=("192.0.2.7", 4711), sockname=("127.0.0.1", 8080), timestamp_start=0, tls_version="TLSv1.3", alpn=b"h2"
    )
    flow = http.HTTPFlow(client, connection.Server(address=None))
    flow.request = tutils.treq(**request)
    line = Line(client=client, close=lambda: None, connect_host="api.openai.com", connect_port=443)
    line.sni, line.tunnel = "api.openai.com", Tunnel.DECRYPTED
    return flow, Passage(head=Head(host="api.openai.com"), received_at=1_700_000_000_000_000), line


def test_decision_ids_are_version_7_and_sort_by_time() -> None:
    """A decision id is a UUIDv7 of its time: unique, and in the order in which decisions are made."""
    base = time.time_ns()
    ids = [flows.decision_id(base + n * 1_000_000) for n in range(500)]
    assert ids == sorted(ids)
    assert len({flows.decision_id(base) for _ in range(1000)}) == 1000
    for text in ids[:20]:
        parsed = uuid.UUID(text)
        assert (parsed.version, parsed.variant, str(parsed)) == (7, uuid.RFC_4122, text)
        assert parsed.int >> 80 == (base // 1_000_000) + ids.index(text)


def test_body_is_what_was_on_the_wire() -> None:
    """A coded body is not undone here: mitmproxy's decoders read one gzip member of many."""
    body = gzip.compress(b"one") + gzip.compress(b"two")
    flow, passage, line = made(content=body, headers=((b"content-encoding", b"gzip"),))
    assert flows.exchange(flow, passage, line).body == body


def test_destination_is_what_connect_named() -> None:
    """Host and port of an exchange come from CONNECT, whatever the request says."""
    flow, passage, line = made(host="evil.example", port=80, headers=((b"Host", b"evil.example"),))
    exchange = flows.exchange(flow, passage, line)
    assert (exchange.host, exchange.port, exchange.sni) == ("api.openai.com", 443, "api.openai.com")
    assert exchange.host_header == "api.openai.com"


def test_heads_become_text_without_surrogates() -> None:
    """Bytes that are not UTF-8 are read as Latin-1, so that whatever reads the text later can encode it."""
    flow, passage, line = made(
        path=b"/v1/\xff?q=\xe4&p=1?2", headers=((b"X-A", b"\xff\xfe"), (b"x-a", "ä".encode()), (b"X-B", b"plain"))
    )
    exchange = flows.exchange(flow, passage, line)
    assert exchange.headers == (("X-A", "ÿþ"), ("x-a", "ä"), ("X-B", "plain"))
    assert (exchange.path, exchange.query) == ("/v1/ÿ", "q=ä&p=1?2")
    "".join(v for _, v in exchange.headers).encode("utf-8")


def test_client_and_times() -> None:
    """Who and when: the peer's address, its TLS, nanoseconds since the epoch."""
    flow, passage, line = made()
    exchange = flows.exchange(flow, passage, line)
    assert (exchange.client.address, exchange.client.port) == ("192.0.2.7", 4711)
    assert (exchange.client.tls_version, exchange.client.alpn) == ("TLSv1.3", "h2")
    assert exchange.at == 1_700_000_000_000_000_000


def test_what_is_for_the_proxy_stays() -> None:
    """Hop-by-hop fields go, the rest keeps order and spelling."""
    flow, _, _ = made(
        headers=(
            (b"Host", b"a"),
            (b"Proxy-Authorization", b"x"),
            (b"X-One", b"\xff"),
            (b"TE", b"trailers"),
            (b"x-secret-user", b"alice"),
            (b"X-One", b"2"),
        )
    )
    flows.make_ready(flow, lambda headers: tuple(h for h in headers if h[0] != "x-secret-user"))
    assert flow.request.headers.fields == ((b"Host", b"a"), (b"X-One", b"\xff"), (b"X-One", b"2"))


def test_an_exchange_prints_no_content() -> None:
    """The repr of an exchange and of a passage shows neither path, headers nor body."""
    flow, passage, line = made(content=b"canary", path=b"/canary", headers=((b"x", b"canary"),))
    passage.exchange = flows.exchange(flow, passage, line)
    assert "canary" not in repr(passage) + repr(passage.exchange)
