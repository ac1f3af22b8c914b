"""No clearance, no egress: whatever the gate does, and whenever the client goes away."""

from __future__ import annotations

import asyncio
import random
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from copy import replace

import pytest

from sluice.errors import Cause, Reason
from sluice.model import Action, Clearance, Exchange
from tests.rig import ObedientGate, Proxy
from tests.rig.gate import ALLOW, BLOCK, Verdict, hang
from tests.upstream import Upstream

CHAT = b'{"model":"gpt-5","messages":[{"role":"user","content":"hello"}]}'


def post(proxy: Proxy, times: int = 1, path: str = "/_/echo", body: bytes = CHAT) -> list[int]:
    """The statuses of some requests on one connection."""
    with proxy.tunnel("api.openai.com") as client:
        return [client.request("POST", path, body).status for _ in range(times)]


def test_allowed_request_passes_unchanged(proxy: Proxy, upstream: Upstream) -> None:
    """What the gate clears arrives byte for byte, with the client's own headers, on one reused connection."""
    with proxy.tunnel("api.openai.com") as client:
        for n in range(3):
            answer = client.request("POST", f"/_/echo?n={n}", CHAT, headers=(("X-Own", "kept"),))
            assert (answer.status, answer.body) == (200, CHAT)
    received = upstream.journal.requests
    assert [r.path for r in received] == ["/_/echo?n=0", "/_/echo?n=1", "/_/echo?n=2"]
    assert all(r.body == CHAT and r.header("x-own") == "kept" and r.host == "api.openai.com" for r in received)
    assert upstream.journal.connections == 1
    asked = proxy.gate.asked
    assert [a.exchange.query for a in asked] == ["n=0", "n=1", "n=2"]
    assert asked[0].exchange.connect_host == asked[0].exchange.sni == asked[0].exchange.host == "api.openai.com"


def test_blocked_request_opens_no_upstream_connection(proxy: Proxy, upstream: Upstream) -> None:
    """T09: a refused request costs its provider not even a connection, and the client's connection lives on."""
    proxy.gate.decide = lambda gate, exchange: gate.block(exchange)
    assert post(proxy, 3) == [400, 400, 400]
    assert upstream.journal.connections == 0
    outcomes = proxy.gate.wait_outcomes(3)
    assert {(o.forwarded, o.client_status, o.reason) for o in outcomes} == {(False, 400, Reason.SECRET_FOUND)}


CONNECTS: list[object] = []


def _note(event: str, arguments: tuple[object, ...]) -> None:
    if event == "socket.connect" and threading.current_thread().name == "proxy":
        CONNECTS.append(arguments[1])


def test_blocked_request_makes_no_connect_call(proxy: Proxy, upstream: Upstream) -> None:
    """T09: seen from inside the worker as well: not one connect() for a refused request, one for an allowed one."""
    sys.addaudithook(_note)
    proxy.gate.decide = lambda gate, e: gate.block(e) if b"secret" in e.body else gate.allow(e)
    with proxy.tunnel("api.openai.com") as client:
        CONNECTS.clear()
        assert client.request("POST", "/_/echo", b"secret").status == 400
        assert CONNECTS == []
        assert client.request("POST", "/_/echo", b"plain").status == 200
        assert [("127.0.0.1", upstream.port)] == CONNECTS


def test_refusal_between_two_allowed_requests(proxy: Proxy, upstream: Upstream) -> None:
    """One connection carries allowed and refused requests in turn: each gets its own fate."""
    proxy.gate.decide = lambda gate, e: gate.block(e) if b"secret" in e.body else gate.allow(e)
    with proxy.tunnel("api.openai.com") as client:
        bodies = [b"one", b"secret two", b"three", b"secret four"]
        statuses = [client.request("POST", "/_/echo", body).status for body in bodies]
    assert statuses == [200, 400, 200, 400]
    assert [r.body for r in upstream.journal] == [b"one", b"three"]


def test_a_gate_that_raises_forwards_nothing(proxy: Proxy, upstream: Upstream) -> None:
    """T01: 1,000 requests, every decision an exception: none arrives, all are answered, all are recorded."""

    def fail(_: ObedientGate, exchange: Exchange) -> Verdict:
        raise random.choice((RuntimeError, KeyError, ValueError, ZeroDivisionError, MemoryError))("scanner broke")

    proxy.gate.decide = fail
    with ThreadPoolExecutor(10) as pool:
        statuses = [s for many in pool.map(lambda _: post(proxy, 100), range(10)) for s in many]
    assert statuses == [400] * 1000
    assert upstream.journal.connections == 0
    assert len(proxy.gate.refusals(Reason.INTERNAL)) == 1000
    assert len(proxy.gate.wait_outcomes(1000)) == 1000


@pytest.mark.parametrize("error", [asyncio.CancelledError, GeneratorExit, BaseException])
def test_what_is_not_an_exception_is_a_refusal_too(
    error: type[BaseException], make_proxy: Callable[..., Proxy], upstream: Upstream
) -> None:
    """A gate that throws a BaseException, a cancellation among them, forwards nothing."""

    def fail(_: ObedientGate, exchange: Exchange) -> Verdict:
        raise error("broke")

    proxy = make_proxy(gate=ObedientGate(fail))
    with proxy.tunnel("api.openai.com") as client:
        assert client.request("POST", "/_/echo", CHAT).status == 503
        assert client.request("POST", "/_/echo", CHAT).status == 503
    assert upstream.journal.connections == 0


def test_a_gate_that_hangs_is_given_up(make_proxy: Callable[..., Proxy], upstream: Upstream) -> None:
    """A decision that does not come within the deadlines is a refusal with its own reason, and is recorded."""
    proxy = make_proxy(gate=ObedientGate(lambda *_: hang()), limits={"scan_seconds": 0.1, "commit_seconds": 0.1})
    assert post(proxy) == [400]
    (refused,) = proxy.gate.refusals()
    assert (refused.reason, refused.cause) == (Reason.SCAN_TIMEOUT, Cause.SCAN_TIMEOUT)
    assert upstream.journal.connections == 0


def test_refusals_without_evidence_are_refusals(proxy: Proxy, upstream: Upstream) -> None:
    """When not even the refusal can be recorded the client is still refused."""

    def fail(_: ObedientGate, exchange: Exchange) -> Verdict:
        raise RuntimeError

    proxy.gate.decide = fail
    proxy.gate.refuse_fails = OSError("disk")
    assert post(proxy, 2) == [400, 400]
    assert upstream.journal.connections == 0


def wrong_id(gate: ObedientGate, exchange: Exchange) -> Verdict:
    return Clearance(exchange_id="another", decision=ALLOW, receipt=gate.receipt())


def wrong_action(gate: ObedientGate, exchange: Exchange) -> Verdict:
    return Clearance(exchange_id=exchange.id, decision=replace(BLOCK, action=Action.BLOCK), receipt=gate.receipt())


@pytest.mark.parametrize("decide", [wrong_id, wrong_action, lambda *_: None, lambda *_: True, lambda *_: "allow"])
def test_only_a_clearance_for_this_exchange_lifts(
    decide: Callable[[ObedientGate, Exchange], Verdict], proxy: Proxy, upstream: Upstream
) -> None:
    """A clearance for another exchange, one whose decision is no allow, or anything else lifts nothing."""
    proxy.gate.decide = decide
    assert post(proxy)[0] in (400, 503)
    assert upstream.journal.connections == 0


def test_an_old_clearance_does_not_count(proxy: Proxy, upstream: Upstream) -> None:
    """A clearance is good for the exchange it was made for, not for the next one."""
    kept: list[Clearance] = []

    def decide(gate: ObedientGate, exchange: Exchange) -> Verdict:
        if not kept:
            kept.append(gate.allow(exchange))
        return kept[0]

    proxy.gate.decide = decide
    assert post(proxy, 2) == [200, 400]
    assert len(upstream.journal) == 1


def test_an_addon_that_lifts_the_refusal_does_not_forward(make_proxy: Callable[..., Proxy], upstream: Upstream) -> None:
    """The protocol layer asks for the clearance itself: taking the refusal off the flow is not enough."""

    def sabotage(master) -> None:  # type: ignore[no-untyped-def]
        class Lifts:
            def request(self, flow) -> None:  # type: ignore[no-untyped-def]
                flow.response = None

        table = master.dispatcher._table
        extra = type(table["request"][0])("Lifts", Lifts().request, False)
        table["request"] = (*table["request"], extra)

    proxy = make_proxy(gate=ObedientGate(lambda gate, e: gate.block(e)), prepare=sabotage)
    with proxy.tunnel("api.openai.com") as client:
        client.send(client.message("POST", "/_/echo", CHAT))
        assert client.closed(5)
    assert upstream.journal.connections == 0


def test_clients_that_leave_while_the_gate_decides(make_proxy: Callable[..., Proxy], upstream: Upstream) -> None:
    """T04: disconnected at a random moment of the decision, many times: what arrives is what the outcomes say."""

    async def slowly(gate: ObedientGate, exchange: Exchange) -> Verdict:
        await asyncio.sleep(random.random() * 0.02)
        return gate.allow(exchange)

    proxy = make_proxy(gate=ObedientGate(lambda gate, e: slowly(gate, e)))

    def leave(n: int) -> None:
        client = proxy.tunnel("api.openai.com")
        client.send(client.message("POST", f"/_/echo?{n}", CHAT))
        time.sleep(random.random() * 0.03)
        client.close()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(leave, range(200)))
    count = len(proxy.gate.asked)
    outcomes = {o.exchange_id: o for o in proxy.gate.wait_outcomes(count)}
    forwarded = {a.exchange.query for a in proxy.gate.asked if outcomes[a.exchange.id].forwarded}
    arrived = {r.path.partition("?")[2] for r in upstream.journal}
    assert count > 0
    assert arrived <= forwarded
    assert len(outcomes) == len(proxy.gate.outcomes) == count


def test_body_above_the_limit_is_refused(make_proxy: Callable[..., Proxy], upstream: Upstream) -> None:
    """A body that is declared or grows above the limit is refused with a record, and the connection lives on."""
    proxy = make_proxy(limits={"body_bytes": 10_000})
    with proxy.tunnel("api.openai.com") as client:
        assert client.request("POST", "/_/echo", b"x" * 10_000).status == 200
        assert client.request("POST", "/_/echo", b"x" * 10_001).status == 400
        chunks = b"".join(b"400\r\n" + b"x" * 1024 + b"\r\n" for _ in range(11)) + b"0\r\n\r\n"
        client.send(b"POST /_/echo HTTP/1.1\r\nHost: api.openai.com\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks)
        assert client.answer().status == 400
        assert client.request("POST", "/_/echo", b"small").status == 200
    assert [a.cause for a in proxy.gate.refusals(Reason.BODY_TOO_LARGE)] == [Cause.BODY_TOO_LARGE] * 2
    assert [r.size for r in upstream.journal] == [10_000, 5]
    assert proxy.master.core.inflight.bytes == 0


def test_a_declared_giant_is_answered_at_once(make_proxy: Callable[..., Proxy]) -> None:
    """A declared length above the limit is refused on the head: the client need not send it first."""
    proxy = make_proxy(limits={"body_bytes": 10_000})
    with proxy.tunnel("api.openai.com") as client:
        client.send(b"POST /_/echo HTTP/1.1\r\nHost: api.openai.com\r\nContent-Length: 1000000000\r\n\r\n")
        assert client.answer(3).status == 400


def test_too_much_in_flight_is_overload(make_proxy: Callable[..., Proxy], upstream: Upstream) -> None:
    """Above the caps on requests and bytes in inspection, new ones are refused as overload and forgotten afterwards."""
    go = threading.Event()

    async def wait(gate: ObedientGate, exchange: Exchange) -> Verdict:
        while not go.is_set():  # noqa: ASYNC110 - set from another thread
            await asyncio.sleep(0.01)
        return gate.allow(exchange)

    proxy = make_proxy(
        gate=ObedientGate(lambda gate, e: wait(gate, e)),
        limits={"inflight_requests": 3, "inflight_bytes": 100_000, "scan_seconds": 20.0},
    )
    clients = [proxy.tunnel("api.openai.com") for _ in range(5)]
    for client in clients[:3]:
        client.send(client.message("POST", "/_/echo", CHAT))
    while len(proxy.gate.asked) < 3:
        time.sleep(0.01)
    assert clients[3].request("POST", "/_/echo", CHAT).status == 400
    go.set()
    assert [client.answer().status for client in clients[:3]] == [200, 200, 200]
    assert clients[3].request("POST", "/_/echo", CHAT).status == 200
    assert clients[4].request("POST", "/_/echo", b"x" * 100_001).status == 400
    assert [(a.reason, a.cause) for a in proxy.gate.refusals()] == [(Reason.OVERLOAD, Cause.OVERLOAD)] * 2
    assert (proxy.master.core.inflight.requests, proxy.master.core.inflight.bytes) == (0, 0)
    for client in clients:
        client.close()


def test_bodies_that_never_end_are_given_back(make_proxy: Callable[..., Proxy]) -> None:
    """Bytes of a request whose client left inside it no longer count."""
    proxy = make_proxy()
    for _ in range(3):
        with proxy.tunnel("api.openai.com") as client:
            client.send(b"POST / HTTP/1.1\r\nHost: api.openai.com\r\nContent-Length: 9999\r\n\r\n" + b"x" * 5000)
            while not proxy.master.core.inflight.bytes:
                time.sleep(0.01)
    deadline = time.monotonic() + 5
    while proxy.master.core.inflight.bytes and time.monotonic() < deadline:
        time.sleep(0.01)
    assert proxy.master.core.inflight.bytes == 0
    assert proxy.gate.asked == ()


def test_expect_continue(proxy: Proxy, upstream: Upstream) -> None:
    """A client that asks first is told to go on, and a refused one gets its refusal."""
    with proxy.tunnel("api.openai.com") as client:
        client.send(
            b"POST /_/echo HTTP/1.1\r\nHost: api.openai.com\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
        )
        assert client.sock.recv(100).startswith(b"HTTP/1.1 100")
        client.send(b"{}")
        assert client.answer().status == 200
    assert upstream.journal.requests[0].header("expect") is None


def test_fields_for_the_proxy_stay_with_the_proxy(proxy: Proxy, upstream: Upstream) -> None:
    """Proxy credentials and identity headers do not travel on to the provider."""
    own = (
        ("Proxy-Authorization", "Basic c2VjcmV0"),
        ("Proxy-Connection", "keep-alive"),
        ("X-Authenticated-User", "alice"),
        ("x_authenticated_groups", "staff"),
        ("Authorization", "Bearer key"),
    )
    with proxy.tunnel("api.openai.com") as client:
        assert client.request("POST", "/_/echo", CHAT, headers=own).status == 200
    names = {k.lower() for k, _ in upstream.journal.requests[0].headers}
    assert names.isdisjoint({"proxy-authorization", "proxy-connection", "x-authenticated-user"})
    assert "x_authenticated_groups" not in names
    assert "authorization" in names
