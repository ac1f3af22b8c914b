"""Broken bytes by the thousand: nothing crashes, nothing hangs about, and the upstream sees what was cleared."""

from __future__ import annotations

import contextlib
import logging
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from tests.rig import Http2Client, Proxy
from tests.upstream import Upstream

AI = "api.openai.com"
HOST = b"Host: api.openai.com\r\n"
SEEDS = [
    b"POST /_/echo HTTP/1.1\r\n" + HOST + b"Content-Length: 2\r\n\r\n{}",
    b"GET /_/echo?x HTTP/1.1\r\n" + HOST + b"Expect: 100-continue\r\n\r\n",
    b"POST /_/echo HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n3;a=b\r\nabc\r\n0\r\n\r\n",
    b"HEAD /_/bytes/10 HTTP/1.1\r\n" + HOST + b"\r\n",
    b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n",
    b"GET /_/echo HTTP/1.0\r\n" + HOST + b"Connection: close\r\n\r\n",
    b"CONNECT api.openai.com:443 HTTP/1.1\r\nHost: api.openai.com:443\r\n\r\nabc",
    b"GET http://api.openai.com/ HTTP/1.1\r\n" + HOST + b"\r\n",
]
BITS = [b"\r\n", b"\n", b"\0", b" ", b"\t", b":", b",", b"0", b"\xff", b"chunked", b"HTTP/1.1", b"CONNECT", HOST]
BITS += [b"Transfer-Encoding: chunked\r\n", b"Content-Length: 5\r\n", b"Upgrade: websocket\r\n", b"Trailer: x\r\n"]


def mutated(dice: random.Random) -> bytes:
    """A request with up to four things wrong with it."""
    data = bytearray(dice.choice(SEEDS))
    for _ in range(dice.randint(0, 4)):
        at, kind = dice.randrange(len(data) + 1), dice.random()
        if kind < 0.35:
            data[at:at] = dice.choice(BITS)
        elif kind < 0.6:
            del data[at : at + dice.randint(1, 8)]
        elif kind < 0.8 and at < len(data):
            data[at] = dice.randrange(256)
        else:
            data[at:at] = dice.choice(SEEDS)
    return bytes(data)


def frames(dice: random.Random) -> bytes:
    """HTTP/2 frames that make no sense together."""
    raw = b""
    for _ in range(dice.randint(1, 4)):
        size = dice.choice([0, 1, 4, 5, 8, 9, 100])
        head = size.to_bytes(3) + bytes([dice.randrange(11), dice.choice([0, 1, 4, 5, 8, 0x25])])
        raw += head + dice.choice([0, 1, 3, 5]).to_bytes(4) + dice.randbytes(size)
    return raw


@pytest.fixture
def crashes() -> Iterator[list[str]]:
    """What our own rooms log as an error meanwhile."""
    told: list[str] = []
    handler = logging.Handler(logging.ERROR)
    handler.emit = lambda record: told.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("sluice")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.ERROR)
    yield told
    logger.removeHandler(handler)
    logger.setLevel(level)


@pytest.mark.parametrize("seed", [1, 2])
def test_broken_bytes(seed: int, make_proxy: Callable[..., Proxy], upstream: Upstream, crashes: list[str]) -> None:
    """Mutated requests and frames: no layer crashes, each decision has its outcome, nothing stays open or held, and
    what reached the upstream is what the gate cleared, method, path and body."""
    proxy = make_proxy(limits={"head_seconds": 0.3})
    proxy.gate.decide = lambda gate, e: gate.block(e) if len(e.body) % 2 else gate.allow(e)

    def play(dice: random.Random) -> None:
        for _ in range(60):
            with contextlib.suppress(OSError):
                kind = dice.random()
                if kind < 0.2:
                    client = Http2Client(proxy.tunnel(AI, alpn="h2").sock, AI, checked=False)
                    client.start("POST", "/_/echo")
                    client.sock.sendall(frames(dice))
                    client.receive(0.02)
                    client.sock.close()
                    continue
                with proxy.plain() if kind < 0.4 else proxy.tunnel(AI) as one:
                    data = mutated(dice)
                    cut = dice.randint(0, len(data))
                    one.send(data[:cut])
                    one.send(data[cut:])
                    one.closed(0.02)

    threads = [threading.Thread(target=play, args=(random.Random(seed * 100 + n),)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    deadline = time.monotonic() + 10
    while proxy.listener.connections and time.monotonic() < deadline:
        time.sleep(0.05)
    assert crashes == []
    assert proxy.listener.connections == len(proxy.master.core.lines) == 0
    assert (proxy.master.core.inflight.requests, proxy.master.core.inflight.bytes) == (0, 0)
    asked = proxy.gate.asked
    assert Counter(a.exchange.id for a in asked) == Counter(o.exchange_id for o in proxy.gate.wait_outcomes(len(asked)))
    cleared = Counter((e.method, e.path, e.body) for e in (a.exchange for a in asked if a.kind == "clear"))
    received = Counter((r.method, r.path.partition("?")[0], r.body) for r in upstream.journal if r.complete)
    assert received <= cleared
    assert not [r for r in received if len(r[2]) % 2]
