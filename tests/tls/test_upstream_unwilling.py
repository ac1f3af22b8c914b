"""T54: an upstream that stalls, resets, talks something else or wants a certificate from us. The client gets an answer.

The bound is the client's own socket timeout: without an answer within it, `get` raises.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import ResponseReceived, StreamEnded

from addons.egress import AddressInfo, GuardedLoop
from addons.failure import Failure
from addons.tls import GateTls
from sluice.ca import Authority
from sluice.config import Ca, Settings, Upstream
from sluice.errors import Reason
from tests.tls.lab_pki import Issued, issue
from tests.tls.lab_server import OpensslServer
from tests.tls.minimal_proxy import MinimalProxy, client_context, connect, get

HOST = "unwilling.test"
SECONDS = 0.6
PATIENCE = 4.5
"""T54 asks for an answer in under 5 s."""


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.load_or_create(tmp_path_factory.mktemp("deployment") / "ca", Ca())


@pytest.fixture(scope="module")
def root() -> Issued:
    return issue("Lab root", ca=True)


@pytest.fixture(scope="module")
def files(root: Issued, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """(server certificate with key, root)."""
    directory = tmp_path_factory.mktemp("lab")
    server, anchor = directory / "server.pem", directory / "root.pem"
    server.write_bytes(issue(HOST, root, names=[HOST]).pem())
    anchor.write_bytes(root.certificate_pem())
    return server, anchor


def settings(port: int, anchor: Path, seconds: float = SECONDS) -> Settings:
    hosts = {HOST: f"127.0.0.1:{port}"}
    return Settings(upstream=Upstream(hosts=hosts, trusted_ca=anchor, connect_seconds=seconds))


@contextmanager
def raw_server(behave: Callable[[socket.socket], None], port: int = 0) -> Iterator[int]:
    """Accepts and lets `behave` do what it likes; connections stay open until the end unless it closes them."""
    listener = socket.create_server(("127.0.0.1", port))
    held: list[socket.socket] = []

    def run() -> None:
        while True:
            try:
                peer, _ = listener.accept()
            except OSError:
                return
            held.append(peer)
            threading.Thread(target=_quietly, args=(behave, peer), daemon=True).start()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for peer in held:
            with contextlib.suppress(OSError):
                peer.close()
        thread.join(5)


def _quietly(behave: Callable[[socket.socket], None], peer: socket.socket) -> None:
    with contextlib.suppress(OSError):
        behave(peer)


def stall(_: socket.socket) -> None:
    pass


def stall_in_the_middle(peer: socket.socket) -> None:
    peer.recv(4096)
    peer.sendall(b"\x16\x03\x03\x00\x7a\x02\x00\x00\x76\x03\x03")  # a ServerHello that never ends


def drip(peer: socket.socket) -> None:
    """A byte at a time: an idle timer would never fire."""
    peer.recv(4096)
    for byte in b"\x16\x03\x03\x3f\xff\x02\x00\x3f\xfb\x03\x03" + bytes(200):
        peer.sendall(bytes([byte]))
        time.sleep(0.1)


def reset(peer: socket.socket) -> None:
    peer.recv(4096)
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()


def close(peer: socket.socket) -> None:
    peer.close()


def plain_http(peer: socket.socket) -> None:
    peer.recv(4096)
    peer.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")


def garbage(peer: socket.socket) -> None:
    peer.recv(4096)
    peer.sendall(bytes(range(256)) * 4)


@pytest.mark.parametrize(
    ("behave", "detail"),
    [
        (stall, "handshake_timeout"),
        (stall_in_the_middle, "handshake_timeout"),
        (drip, "handshake_timeout"),
        (reset, "handshake_closed"),
        (close, "handshake_closed"),
        (plain_http, "not_tls"),
        (garbage, "not_tls"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_broken_handshake_is_answered(
    behave: Callable[[socket.socket], None], detail: str, authority: Authority, files: tuple[Path, Path]
) -> None:
    """Whatever the upstream does instead of a handshake, the client has a 502 within the deadline, and we know why."""
    with raw_server(behave) as port, MinimalProxy(settings(port, files[1]), authority) as proxy:
        assert get(proxy.port, authority, HOST, timeout=PATIENCE)[0] == 502
        assert proxy.witness.failures == [Failure(Reason.UPSTREAM_TLS, detail)]


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_a_demand_for_a_client_certificate_is_answered(
    version: str, authority: Authority, files: tuple[Path, Path]
) -> None:
    """We have none to give, and the client reads a 502 (with TLS 1.3 the demand fails after our handshake is done)."""
    server = OpensslServer(files[0], "-Verify", "1", "-verify_return_error", version)
    try:
        with MinimalProxy(settings(server.port, files[1], 4), authority) as proxy:
            assert get(proxy.port, authority, HOST, timeout=PATIENCE)[0] == 502
    finally:
        server.stop()


def test_an_alert_without_a_close_is_the_end(authority: Authority, files: tuple[Path, Path]) -> None:
    """A peer that alerts after the handshake and keeps TCP open does not hold the client: the alert is fatal."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_cert_chain(files[0])
    context.load_verify_locations(files[1])
    context.verify_mode = ssl.CERT_REQUIRED
    finished = threading.Event()

    def demand(peer: socket.socket) -> None:
        try:
            context.wrap_socket(peer.dup(), server_side=True)
        except ssl.SSLError:
            finished.set()

    with raw_server(demand) as port, MinimalProxy(settings(port, files[1]), authority) as proxy:
        assert get(proxy.port, authority, HOST, timeout=PATIENCE)[0] == 502
        assert finished.is_set(), "the server must have refused us for this to mean anything"


def test_a_slow_answer_is_not_a_slow_handshake(authority: Authority, files: tuple[Path, Path]) -> None:
    """The deadline is the handshake's alone: a model that thinks longer than `connect_seconds` is waited for."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(files[0])

    def think(peer: socket.socket) -> None:
        with context.wrap_socket(peer.dup(), server_side=True) as tls:
            tls.recv(4096)
            time.sleep(SECONDS * 2)
            tls.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            tls.recv(4096)

    with raw_server(think) as port, MinimalProxy(settings(port, files[1]), authority) as proxy:
        assert get(proxy.port, authority, HOST, timeout=PATIENCE) == (200, b"ok")


def test_a_second_request_after_a_failure_is_tried_again(authority: Authority, files: tuple[Path, Path]) -> None:
    """A stalled handshake does not stick: the next connection to the same host is made and verified afresh."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(files[0])
    calls: list[int] = []

    def first_stalls(peer: socket.socket) -> None:
        calls.append(1)
        if len(calls) > 1:
            with context.wrap_socket(peer.dup(), server_side=True) as tls:
                tls.recv(4096)
                tls.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                tls.recv(4096)

    with raw_server(first_stalls) as port, MinimalProxy(settings(port, files[1]), authority) as proxy:
        assert get(proxy.port, authority, HOST, timeout=PATIENCE)[0] == 502
        assert get(proxy.port, authority, HOST, timeout=PATIENCE) == (200, b"ok")


class H2Client:
    """One HTTP/2 connection through the proxy; a request after the other, status by status."""

    def __init__(self, proxy: MinimalProxy, authority: Authority) -> None:
        context = client_context(authority, alpn=("h2",))
        self._tls = context.wrap_socket(connect(proxy.port, f"{HOST}:443"), server_hostname=HOST)
        self._tls.settimeout(PATIENCE)
        self._h2 = H2Connection(H2Configuration(client_side=True, header_encoding="ascii"))
        self._h2.initiate_connection()

    def status(self) -> int:
        stream = self._h2.get_next_available_stream_id()
        request = [(":method", "GET"), (":scheme", "https"), (":authority", HOST), (":path", "/")]
        self._h2.send_headers(stream, request, end_stream=True)
        status = 0
        while True:
            self._tls.sendall(self._h2.data_to_send())
            for event in self._h2.receive_data(self._tls.recv(65536)):
                if isinstance(event, ResponseReceived) and event.stream_id == stream:
                    status = int(dict(event.headers)[":status"])
                elif isinstance(event, StreamEnded) and event.stream_id == stream:
                    return status

    def close(self) -> None:
        self._tls.close()


def test_a_failure_does_not_stick_to_a_long_connection(authority: Authority, files: tuple[Path, Path]) -> None:
    """An HTTP/2 client keeps its connection for hours: a stall, a reset and a refused dial are each tried again."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(files[0])
    calls: list[int] = []

    def recovers(peer: socket.socket) -> None:
        calls.append(1)
        if len(calls) == 1:
            return
        if len(calls) == 2:
            reset(peer)
            return
        with context.wrap_socket(peer.dup(), server_side=True) as tls:
            tls.recv(4096)
            tls.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            tls.recv(4096)

    with socket.create_server(("127.0.0.1", 0)) as reserved:
        port = reserved.getsockname()[1]
    with MinimalProxy(settings(port, files[1]), authority) as proxy:
        client = H2Client(proxy, authority)
        assert client.status() == 502
        with raw_server(recovers, port):
            assert [client.status() for _ in range(3)] == [502, 502, 200]
        client.close()
        assert [f.detail for f in proxy.witness.failures] == ["refused", "handshake_timeout", "handshake_closed"]


class _SilentDns(GuardedLoop):
    async def resolve(self, *_: Any, **__: Any) -> list[AddressInfo]:
        await asyncio.sleep(60)
        return []


class _SilentNetwork(GuardedLoop):
    """Every SYN is lost."""

    async def resolve(self, *_: Any, **__: Any) -> list[AddressInfo]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", (a, 443)) for a in ("8.8.8.8", "8.8.4.4")]

    async def sock_connect(self, sock: socket.socket, address: Any) -> None:
        self.check(address)
        async with asyncio.timeout(SECONDS / 2):
            await asyncio.sleep(60)


@pytest.mark.parametrize("loop", [_SilentDns, _SilentNetwork])
def test_a_dial_that_gets_no_reply_is_answered(
    loop: type[GuardedLoop], authority: Authority, files: tuple[Path, Path]
) -> None:
    """Names that do not resolve in time and addresses that do not reply end in a 502 that says `timeout`."""
    with MinimalProxy(settings(1, files[1]), authority, loop_factory=loop) as proxy:
        assert get(proxy.port, authority, "elsewhere.test", timeout=PATIENCE)[0] == 502
        assert proxy.witness.failures == [Failure(Reason.UPSTREAM_UNREACHABLE, "timeout")]


def test_a_refused_connection_says_so(authority: Authority, files: tuple[Path, Path]) -> None:
    """Nobody listens: UPSTREAM_UNREACHABLE, and the answer names no address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with MinimalProxy(settings(port, files[1]), authority) as proxy:
        status, body = get(proxy.port, authority, HOST, timeout=PATIENCE)
        assert (status, proxy.witness.failures) == (502, [Failure(Reason.UPSTREAM_UNREACHABLE, "refused")])
        assert b"127.0.0.1" not in body


def test_a_client_that_leaves_takes_the_handshake_with_it(authority: Authority, files: tuple[Path, Path]) -> None:
    """When the client goes during the handshake, the upstream connection is closed without waiting for the deadline."""
    gone = threading.Event()

    def watch(peer: socket.socket) -> None:
        while peer.recv(4096):
            pass
        gone.set()

    with raw_server(watch) as port, MinimalProxy(settings(port, files[1], 30), authority) as proxy:
        raw = connect(proxy.port, f"{HOST}:443")
        tls = client_context(authority).wrap_socket(raw, server_hostname=HOST)
        tls.sendall(f"GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
        deadline = time.monotonic() + 10
        while not proxy.witness.connects and time.monotonic() < deadline:
            time.sleep(0.01)
        tls.close()
        assert gone.wait(10)


def test_nothing_is_kept_of_connections_that_ended(authority: Authority, files: tuple[Path, Path]) -> None:
    """Stalls, resets, refused dials and clients that leave in the middle: no timer, task or failure outlives them."""
    with raw_server(stall) as stalled, MinimalProxy(settings(stalled, files[1]), authority) as proxy:
        for _ in range(3):
            assert get(proxy.port, authority, HOST, timeout=PATIENCE)[0] == 502
            assert get(proxy.port, authority, "127.0.0.1", timeout=PATIENCE)[0] == 502
        for _ in range(3):
            raw = connect(proxy.port, f"{HOST}:443")
            tls = client_context(authority).wrap_socket(raw, server_hostname=HOST)
            tls.sendall(f"GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
            tls.close()
        gate = proxy.witness.gate
        assert gate is not None
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline and any(_kept(gate)):
            time.sleep(0.02)
        assert _kept(gate) == [{}, {}, set(), {}]


def _kept(gate: GateTls) -> list[object]:
    return [gate._handlers, gate._deadlines, gate._late, gate._failures]
