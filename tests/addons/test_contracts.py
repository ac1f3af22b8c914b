"""T66: what we rely on in mitmproxy and h11. A failure here after an update says: read the new code before shipping it.

Source that was copied, or that is hooked into by name, is compared with what it was; behaviour that we defend against
or depend on is tried on mitmproxy itself.
"""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import inspect
import socket
import threading
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import h11._readers
import h11._receivebuffer
import pytest
from mitmproxy import addonmanager, connection, hooks, http, master, options
from mitmproxy.addons import next_layer, proxyserver, tlsconfig
from mitmproxy.proxy import commands, context, events, layer, mode_servers, server
from mitmproxy.proxy.layers import http as http_layers
from mitmproxy.proxy.layers import tcp, tls
from mitmproxy.proxy.layers.http import _http1, _http2

from addons import patches
from tests.rig.wire import Answer, Closed, connect, read_answer

COPIED = {
    # handler.GateHandler does the same, with inline hooks and one write for each connection
    server.ConnectionHandler.server_event: "a2b42657ebe8",
    server.ConnectionHandler.hook_task: "9ac797016052",
    server.ConnectionHandler.open_connection: "5e0b3cbaf7a4",
    server.ConnectionHandler.handle_connection: "95c3f93e9824",
    server.ConnectionHandler.handle_client: "01f1b7cc991c",
    server.ConnectionHandler.close_connection: "c0d10cc05dd6",
    mode_servers.ProxyConnectionHandler.handle_hook: "9f8b52fd7982",
    # streams.GateStream builds on the order of checks and hooks in these
    http_layers.HttpStream.state_wait_for_request_headers: "3706d5d5ce01",
    http_layers.HttpStream.state_consume_request_body: "45459c1bbd8b",
    http_layers.HttpStream.state_wait_for_response_headers: "10e32e91b294",
    http_layers.HttpStream.make_server_connection: "ddc7bc72f4d2",
    http_layers.HttpStream.handle_protocol_error: "59fc3b2eeeab",
    http_layers.HttpStream.check_killed: "368cad352d1e",
    http_layers.HttpStream.send_response: "d581bc106152",
    http_layers.HttpStream.handle_connect_finish: "eb3a0054cb5b",
    http_layers.HttpLayer._handle_event: "6ba31883cc7a",
    http_layers.HttpLayer.event_to_child: "1095f6e1581d",
    http_layers.HttpLayer.get_connection: "1aa1c63e3175",
    # http1.StrictHttp1Server replaces or wraps these
    _http1.Http1Connection._handle_event: "2ac8db3e43ae",
    _http1.Http1Connection.read_body: "aece271029af",
    _http1.Http1Connection.mark_done: "dc5ed395ce4f",
    _http1.Http1Server.read_headers: "3fe0945216bc",
    _http1.Http1Server.send: "cc218a1337c0",
    _http1.Http1Client.send: "35d961e20d48",
    _http1.Http1Client.read_headers: "415454c5fa8b",
    _http2.parse_h2_request_headers: "464eb8bb2fd7",
    h11._readers.ChunkedReader.__call__: "2618d847a89a",
    # http_layer._fork
    context.Context.__init__: "7ee4176662ab",
    context.Context.fork: "cad9374a0689",
    # tunnel_layers
    tcp.TCPLayer.start: "b1418418362c",
    tcp.TCPLayer.relay_messages: "3b3d49a9f63b",
    layer.NextLayer._ask: "4d8ace76d848",
    tls.ClientTLSLayer.receive_handshake_data: "a0ee021f92f6",
}
"""Function -> first digits of the SHA-256 of its source, as of mitmproxy 12.2.3 and h11 0.16."""


def digest(function: Callable[..., Any]) -> str:
    return hashlib.sha256(inspect.getsource(inspect.unwrap(function)).encode()).hexdigest()[:12]


@pytest.mark.parametrize("function", COPIED, ids=lambda f: f.__qualname__)
def test_source_is_what_it_was(function: Callable[..., Any]) -> None:
    """The code that ours was copied from, or overrides, has not changed under it."""
    assert digest(function) == COPIED[function], f"{function.__qualname__} changed; compare it with our override"


def test_versions() -> None:
    """The digests above are of these versions."""
    assert metadata.version("mitmproxy").startswith("12.2.")
    assert metadata.version("h11").startswith("0.16.")


def test_the_patched_names_exist() -> None:
    """The names that patches.py replaces are where they were, and mitmproxy looks its class up by the global."""
    patches.install()
    assert http_layers.Http1Client is patches.LenientHttp1Client
    assert "self.child_layer = Http1Client(self.context)" in inspect.getsource(http_layers.HttpClient)
    assert http.MessageData.__post_init__ is patches._unchecked
    assert hooks.Hook.__new__ is commands.StartHook.__new__ is events.CommandCompleted.__new__ is patches._new
    assert all(dataclasses.is_dataclass(kind) for kind in hooks.all_hooks.values())
    one, other = client(), client()
    assert one != other
    assert {one: 1, other: 2}[one] == 1
    for kind in (connection.Connection, connection.Client, connection.Server):
        assert (kind.__hash__, kind.__eq__) == (object.__hash__, object.__eq__)
    assert vars(context.Context(client(), options.Options())).keys() == {"client", "options", "server", "layers"}


def client() -> Any:
    from mitmproxy.connection import Client

    return Client(peername=("127.0.0.1", 1), sockname=("127.0.0.1", 2), timestamp_start=0)


def test_private_parts_of_h11_exist() -> None:
    """The attributes of h11's buffer and reader that ours use."""
    assert h11._receivebuffer.ReceiveBuffer()._data == bytearray()
    reader = h11._readers.ChunkedReader()
    assert (reader._bytes_in_chunk, reader._bytes_to_discard, reader._reading_trailer) == (0, b"", False)


# ---------------------------------------------------------------------------------- mitmproxy as it comes, on the wire


class Stock:
    """mitmproxy's own master with one addon of the test, and a plain TCP server behind it."""

    def __init__(self, directory: Path, addon: object, **changed: Any) -> None:
        self._directory = directory
        self._addon = addon
        self._changed = changed
        self._ready = threading.Event()
        self.received: list[bytes] = []
        self.upstream = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)

    def __enter__(self) -> Stock:
        threading.Thread(target=self._serve, daemon=True).start()
        self._thread.start()
        assert self._ready.wait(20)
        return self

    def __exit__(self, *_: object) -> None:
        self._master.shutdown()
        self._thread.join(10)
        self.upstream.close()

    async def _run(self) -> None:
        opts = options.Options()
        self._master = m = master.Master(opts)
        m._legacy_log_events.uninstall()
        ps = proxyserver.Proxyserver()
        m.addons.add(ps, next_layer.NextLayer(), tlsconfig.TlsConfig(), self._addon)
        opts.update(listen_host="127.0.0.1", listen_port=0, confdir=str(self._directory), **self._changed)
        ready = self

        class Running:
            def running(self) -> None:
                ready.address = next(iter(ps.listen_addrs()))[:2]
                ready._ready.set()

        m.addons.add(Running())
        await m.run()

    address: tuple[str, int]
    _master: master.Master

    def _serve(self) -> None:
        while True:
            try:
                sock, _ = self.upstream.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(sock,), daemon=True).start()

    def _answer(self, sock: socket.socket) -> None:
        with sock:
            while data := sock.recv(65536):
                self.received.append(data)
                sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    @property
    def authority(self) -> str:
        return f"127.0.0.1:{self.upstream.getsockname()[1]}"

    def post(self, body: bytes) -> Answer:
        with socket.create_connection(self.address, timeout=10) as sock:
            head = (
                f"POST http://{self.authority}/x HTTP/1.1\r\nHost: {self.authority}\r\nContent-Length: {len(body)}\r\n"
            )
            sock.sendall(head.encode() + b"\r\n" + body)
            return read_answer(sock)[0]


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """mitmproxy prints what it swallows."""
    monkeypatch.setattr(addonmanager.logger, "error", lambda *_, **__: None)
    yield


def test_stock_forwards_when_a_hook_raises(tmp_path: Path, quiet: None) -> None:
    """F1, the reason for dispatch.py: an addon that raises in `request` lets the request pass."""

    class Raises:
        def request(self, _: http.HTTPFlow) -> None:
            raise RuntimeError

    with Stock(tmp_path, Raises()) as stock:
        assert stock.post(b"secret").status == 200
        assert any(b"secret" in piece for piece in stock.received)


def test_begin_refused_holds_in_stock(tmp_path: Path, quiet: None) -> None:
    """An answer put on the flow in `requestheaders` is sent, and no upstream contacted, when `request` raises."""

    class Refuses:
        def requestheaders(self, flow: http.HTTPFlow) -> None:
            flow.response = http.Response.make(503, b"no")

        def request(self, _: http.HTTPFlow) -> None:
            raise RuntimeError

    with Stock(tmp_path, Refuses(), connection_strategy="lazy") as stock:
        assert stock.post(b"secret").status == 503
        assert stock.received == []


def test_streamed_bodies_leave_before_the_request_hook(tmp_path: Path) -> None:
    """F6, the reason for `stream_large_bodies` to be refused: the body is upstream before `request` returns."""
    seen: list[int] = []

    class Looks:
        async def request(self, _: http.HTTPFlow) -> None:
            for _ in range(500):
                if sum(map(len, stock.received)) > 100_000:
                    break
                await asyncio.sleep(0.01)
            seen.append(sum(map(len, stock.received)))

    with Stock(tmp_path, Looks(), stream_large_bodies="1k") as stock:
        assert stock.post(b"x" * 200_000).status == 200
    assert seen[0] > 100_000


def test_raw_tcp_is_on_in_stock(tmp_path: Path) -> None:
    """F5, the reason for `rawtcp` to be refused: bytes that are no HTTP are relayed inside a tunnel."""

    class Nothing:
        pass

    with Stock(tmp_path, Nothing()) as stock:
        sock = connect(stock.address, stock.authority)
        sock.sendall(b"\x00secret, and not HTTP")
        assert sock.recv(100).startswith(b"HTTP/1.1 200")
        sock.close()
        assert any(b"secret" in piece for piece in stock.received)


def test_server_error_refuses_a_connection(tmp_path: Path) -> None:
    """`server_connect` may set `server.error`, and then no connection is made: guard.py depends on it."""

    class Refuses:
        def server_connect(self, data: Any) -> None:
            data.server.error = "no"

    with Stock(tmp_path, Refuses(), connection_strategy="lazy") as stock:
        assert stock.post(b"secret").status == 502
        assert stock.received == []


def test_order_of_hooks(tmp_path: Path) -> None:
    """The hooks of one exchange come in the order that the guard and the outcome are written for."""
    called: list[str] = []

    class Notes:
        def __getattr__(self, name: str) -> Any:
            if name in ORDER:
                return lambda *_: called.append(name)
            raise AttributeError(name)

    with Stock(tmp_path, Notes(), connection_strategy="lazy") as stock:
        assert stock.post(b"x").status == 200
    assert [name for name in called if name in ORDER][: len(ORDER)] == ORDER


ORDER = ["client_connected", "requestheaders", "request", "server_connect", "server_connected"]
ORDER += ["responseheaders", "response"]


def test_trailers_crash_stock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """F12, the reason for StrictChunks: stock answers trailers with silence."""
    monkeypatch.setattr(server.logger, "log", lambda *_, **__: None)

    class Nothing:
        pass

    with Stock(tmp_path, Nothing()) as stock, socket.create_connection(stock.address, timeout=2) as sock:
        head = f"POST http://{stock.authority}/ HTTP/1.1\r\nHost: {stock.authority}\r\n"
        sock.sendall(head.encode() + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nX: 1\r\n\r\n")
        with pytest.raises((TimeoutError, Closed)):
            read_answer(sock, timeout=1.0)
