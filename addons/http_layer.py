"""HTTP on one connection: which stream gets which event, and which upstream connection which request.

mitmproxy's `HttpLayer` with four differences: our own classes for the client's side and for streams, synchronous hooks
run where they are asked for, a failed upstream connection does not fail the requests after it, and events of forgotten
connections are ignored.
"""

from __future__ import annotations

from mitmproxy.connection import ConnectionState, Server
from mitmproxy.proxy import commands, events, layer
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.http import (
    DropStream,
    GetHttpConnection,
    HttpClient,
    HttpLayer,
    HTTPMode,
    RegisterHttpConnection,
    SendHttp,
)
from mitmproxy.proxy.layers.http._base import HttpEvent, ReceiveHttp
from mitmproxy.proxy.layers.http._events import RequestHeaders
from mitmproxy.proxy.layers.tls import TLSLayer

from addons.http1 import StrictHttp1Server, nothing
from addons.http2 import GuardedHttp2Server
from addons.state import core_of
from addons.streams import GateStream


class GateHttpLayer(HttpLayer):
    """HTTP on one connection. Mode `regular`: as a proxy; `transparent`: inside a tunnel that we opened."""

    def __init__(self, context: Context, mode: HTTPMode) -> None:
        super().__init__(context, mode)
        self._core = core_of(context)

    def _handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
        if isinstance(event, events.ConnectionEvent):
            handler = self.connections.get(event.connection)
            # Without one it is an upstream connection that get_connection forgot, and that is only now closed.
            return self.event_to_child(handler, event) if handler is not None else nothing()
        if isinstance(event, events.CommandCompleted):
            return self.event_to_child(self.command_sources.pop(event.command), event)
        if isinstance(event, events.Start):
            return self._begin(event)
        raise AssertionError(f"unexpected event: {type(event).__name__}")

    def _begin(self, event: events.Start) -> layer.CommandGenerator[None]:
        client, tunnelled = self.context.client, self.mode is HTTPMode.transparent
        context = self.context.fork()
        if client.alpn == b"h2" and tunnelled:
            self.connections[client] = GuardedHttp2Server(context)
        else:
            self.connections[client] = StrictHttp1Server(context, tunnelled=tunnelled)
        return self.event_to_child(self.connections[client], event)

    def event_to_child(self, child: layer.Layer, event: events.Event) -> layer.CommandGenerator[None]:
        """As the base class, but for hooks whose listeners are all synchronous: they run here, and the layer that asked
        goes on at once. Stock sends each hook up through every layer, and its completion down again."""
        for command in child.handle_event(event):
            if isinstance(command, commands.SendData):
                yield command
            elif isinstance(command, ReceiveHttp):
                yield from self._received(command.event)
            elif isinstance(command, SendHttp):
                yield from self.event_to_child(self.connections[command.connection], command.event)
            elif isinstance(command, commands.StartHook) and self._core.run_hook(command):
                if command.blocking:
                    yield from self.event_to_child(child, events.HookCompleted(command))
            else:
                yield from self._route(child, command)

    def _received(self, event: HttpEvent) -> layer.CommandGenerator[None]:
        if isinstance(event, RequestHeaders):
            yield from self.make_stream(event.stream_id)
        stream = self.streams.get(event.stream_id)
        if stream is not None:  # else it is over already, and this comes late
            yield from self.event_to_child(stream, event)

    def _route(self, child: layer.Layer, command: commands.Command) -> layer.CommandGenerator[None]:
        """The commands that come once for a request or less often."""
        if command.blocking or isinstance(command, commands.RequestWakeup):
            self.command_sources[command] = child  # its completion goes back to where it came from
        if isinstance(command, DropStream):
            self.streams.pop(command.stream_id, None)
        elif isinstance(command, GetHttpConnection):
            yield from self.get_connection(command)
        elif isinstance(command, RegisterHttpConnection):
            yield from self.register_connection(command)
        else:
            if isinstance(command, commands.OpenConnection):
                self.connections[command.connection] = child
            yield command

    def make_stream(self, stream_id: int) -> layer.CommandGenerator[None]:
        self.streams[stream_id] = GateStream(_fork(self.context), stream_id)
        return self.event_to_child(self.streams[stream_id], events.Start())

    def get_connection(self, event: GetHttpConnection, *, reuse: bool = True) -> layer.CommandGenerator[None]:
        """As the base class, which would fail every later request on a connection that failed once."""
        for known in tuple(self.connections):
            if (
                isinstance(known, Server)
                and known not in self.waiting_for_establishment
                and (known.error or known.timestamp_end)
                and known.state is ConnectionState.CLOSED
            ):
                del self.connections[known]
        yield from super().get_connection(event, reuse=reuse)

    def register_connection(self, command: RegisterHttpConnection) -> layer.CommandGenerator[None]:
        """As the base class. `HttpClient` has nothing more to do once connected, and steps out of the way."""
        outer = self.connections[command.connection]
        inner = getattr(outer, "child_layer", None)
        if command.err is None and isinstance(outer, TLSLayer) and isinstance(inner, HttpClient):
            outer.child_layer = inner.child_layer
        return super().register_connection(command)


def _fork(context: Context) -> Context:
    """`Context.fork`, without the server connection that it makes only to replace it."""
    made = Context.__new__(Context)
    made.client, made.server, made.options = context.client, context.server, context.options
    made.layers = context.layers.copy()
    return made
