"""What becomes of the traffic when a hook fails: for each hook, each way of failing."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from mitmproxy import connection, flow, hooks, http, options, tls
from mitmproxy.proxy import layer, server_hooks
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers import quic
from mitmproxy.test import tflow, tutils

from addons import guard, outcome, tunnel, websocket
from addons.dispatch import FAIL_CLOSED, Dispatcher, refused
from addons.headcheck import Head
from addons.http1 import BadRequest
from addons.state import Line, Lines, Passage, attach
from addons.streams import UpstreamFailure
from addons.tls import GateTls
from addons.tunnel_layers import Refused

CHAIN = (guard.GuardAddon, tunnel.TunnelAddon, GateTls, websocket.WebSocketAddon, outcome.OutcomeAddon)
ERRORS = [RuntimeError, TimeoutError, asyncio.CancelledError, GeneratorExit, KeyboardInterrupt, SystemExit, MemoryError]


def test_every_hook_of_ours_has_a_row() -> None:
    """Each hook that any addon of the chain listens to says what its failure means."""
    listened = {name for name in hooks.all_hooks for addon in CHAIN if callable(getattr(addon, name, None))}
    assert listened <= FAIL_CLOSED.keys()
    assert {"request", "requestheaders", "server_connect", "next_layer", "http_connect"} <= listened


def context() -> Context:
    client = connection.Client(peername=("127.0.0.1", 1), sockname=("127.0.0.1", 2), timestamp_start=0)
    return Context(client, options.Options())


class World:
    """One connection with everything on it that a hook may be about."""

    def __init__(self) -> None:
        self.context = context()
        self.client = self.context.client
        self.flow = http.HTTPFlow(self.client, self.context.server, live=True)
        self.flow.request = tutils.treq()
        self.passage = Passage(head=Head(), received_at=0)
        attach(self.flow, self.passage)
        self.lines = Lines()
        self.line = Line(client=self.client, close=lambda: None)
        self.lines.open(self.line)

    def argument(self, name: str) -> Any:
        match name.split("_")[0]:
            case "client":
                return self.client
            case "server":
                return server_hooks.ServerConnectionHookData(self.context.server, self.client)
            case "next":
                return layer.NextLayer(self.context)
            case "bad":
                from addons.headcheck import FRAMING
                from addons.http1 import fallback

                return BadRequest(self.context, FRAMING, fallback(FRAMING))
            case "upstream":
                return UpstreamFailure(self.flow, "gone")
            case "quic":
                return quic.QuicTlsData(self.client, self.context, settings=object())  # type: ignore[arg-type]
            case "tls":
                if name == "tls_clienthello":
                    return tls.ClientHelloData(self.context, None, ignore_connection=True)  # type: ignore[arg-type]
                return tls.TlsData(self.client, self.context, ssl_conn=object())  # type: ignore[arg-type]
            case "tcp":
                return tflow.ttcpflow()
            case "udp":
                return tflow.tudpflow()
            case "dns":
                return tflow.tdnsflow()
            case _:
                return self.flow


def run(world: World, name: str, error: BaseException, *, asynchronous: bool) -> Any:
    data = world.argument(name)

    class Fails:
        pass

    if asynchronous:

        async def listener(_: Any, __: Any) -> None:
            raise error
    else:

        def listener(_: Any, __: Any) -> None:
            raise error

    setattr(Fails, name, listener)

    async def go() -> None:
        dispatcher = Dispatcher([Fails()], world.lines, deadline=1)
        assert dispatcher.awaits(name) is asynchronous
        if asynchronous:
            await dispatcher.run(name, data)
        else:
            dispatcher.run_now(name, data)

    if isinstance(error, KeyboardInterrupt | SystemExit):
        with pytest.raises(type(error)):
            asyncio.run(go())
    else:
        asyncio.run(go())
    return data


def is_refused(name: str, world: World, data: Any) -> bool:
    """Whether nothing can pass any more on account of this hook."""
    match data:
        case http.HTTPFlow() if name in ("response", "responseheaders", "websocket_start", "websocket_message"):
            return data.error is not None and data.error.msg == flow.Error.KILLED_MESSAGE
        case http.HTTPFlow() if name.startswith("http_connect") and name not in (
            "http_connect",
            "http_connect_upstream",
        ):
            return world.line.broken
        case http.HTTPFlow() if name in ("error", "websocket_end"):
            return True  # over
        case http.HTTPFlow():
            return data.response is not None and data.response.status_code == 503 and not world.passage.cleared
        case flow.Flow() if name.endswith(("end", "error", "response")):
            return True
        case flow.Flow():
            return data.error is not None and not data.live
        case connection.Client():
            return name == "client_disconnected" or data.error is not None
        case server_hooks.ServerConnectionHookData():
            return world.line.broken
        case layer.NextLayer():
            return isinstance(data.layer, Refused)
        case tls.ClientHelloData():
            return data.ignore_connection is False and world.line.broken
        case quic.QuicTlsData():
            return data.settings is None
        case tls.TlsData():
            return world.line.broken
        case BadRequest():
            return data.response.status_code == 400
        case UpstreamFailure():
            return world.flow.response is None
    return False


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("name", FAIL_CLOSED)
def test_a_failing_hook_refuses(name: str, error: type[BaseException], asynchronous: bool) -> None:
    """Whatever a listener throws, what its hook is about is refused; only what ends the process goes on upwards."""
    world = World()
    data = run(world, name, error("broke"), asynchronous=asynchronous)
    assert is_refused(name, world, data), name


def test_a_hook_that_hangs_is_cut_off() -> None:
    """A listener that does not come back ends at the dispatcher's deadline, in a refusal."""
    world = World()

    class Hangs:
        async def request(self, _: http.HTTPFlow) -> None:
            await asyncio.Event().wait()

    asyncio.run(Dispatcher([Hangs()], world.lines, deadline=0.05).run("request", world.flow))
    assert is_refused("request", world, world.flow)


def test_a_cancelled_hook_stays_refused_and_cancelled() -> None:
    """When the task itself is cancelled the flow stays refused, and the cancellation is not swallowed."""
    world = World()
    world.flow.response = None

    class Waits:
        async def request(self, _: http.HTTPFlow) -> None:
            await asyncio.Event().wait()

    async def go() -> None:
        task = asyncio.create_task(Dispatcher([Waits()], world.lines, deadline=5).run("request", world.flow))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(go())
    assert is_refused("request", world, world.flow)


def test_the_next_listener_still_runs() -> None:
    """A failure does not keep later addons from their part: the outcome is written for what the guard refused."""
    world = World()
    ran = []

    class First:
        def request(self, _: http.HTTPFlow) -> None:
            raise RuntimeError

    class Second:
        def request(self, _: http.HTTPFlow) -> None:
            ran.append(True)

    Dispatcher([First(), Second()], world.lines, deadline=1).run_now("request", world.flow)
    assert ran == [True]


def test_the_refusal_is_sound() -> None:
    """What a client gets when nothing else is left: 503, a length that fits, and nobody asked to retry."""
    response = refused()
    assert response.status_code == 503
    assert response.headers["content-length"] == str(len(response.raw_content or b""))
    assert response.headers["x-should-retry"] == "false"
