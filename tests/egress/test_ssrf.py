"""T55: every spelling of an address that is not public, through a real proxy, by CONNECT and by absolute form.

The listener stands on every local address, so a single connect that got through would be counted.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from addons.egress import AddressInfo, GuardedLoop
from sluice.ca import Authority
from sluice.config import Ca, Settings, Tunnels, Upstream
from sluice.errors import Reason
from tests.tls.lab_server import lax_client_context
from tests.tls.minimal_proxy import MinimalProxy, connect, read_answer

SPELLINGS = (
    # loopback
    "127.0.0.1", "127.1", "127.0.1", "2130706433", "0x7f000001", "0x7F.0.0.1", "0177.0.0.1", "017700000001",
    "0x7f.1", "127.0.0.1.", "127.255.255.254", "127.000.000.001", "localhost", "LOCALHOST", "localhost.",
    "[::1]", "[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]", "[::ffff:0:127.0.0.1]",
    "[64:ff9b::127.0.0.1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "[2001:0:7f00:1::80ff:fffe]", "[::1%lo]",
    "[fe80::5efe:127.0.0.1]", "①②⑦.⓪.⓪.①", "127。0。0。1",
    # this machine by no address at all
    "0.0.0.0", "0", "0x0",  # noqa: S104
    "[::]", "[::ffff:0.0.0.0]",
    # private
    "10.0.0.1", "10.1", "167772161", "0xa000001", "172.16.0.1", "172.31.255.254", "192.168.0.1", "192.168.1",
    "[fc00::1]", "[fd12::1]", "[::ffff:10.0.0.1]", "[::ffff:192.168.0.1]", "[64:ff9b::10.0.0.1]", "[fec0::1]",
    "100.64.0.1", "[64:ff9b:1::1]",
    # metadata and link-local
    "169.254.169.254", "2852039166", "0xa9fea9fe", "0251.0376.0251.0376", "[::ffff:169.254.169.254]",
    "[64:ff9b::a9fe:a9fe]", "[fd00:ec2::254]", "[fe80::1]", "168.63.129.16", "100.100.100.200", "192.0.0.192",
    # the rest
    "224.0.0.1", "[ff02::1]", "255.255.255.255", "240.0.0.1", "198.18.0.1", "192.0.2.1", "[2001:db8::1]",
    # names
    "internal.test", "alias.test", "mixed.test", "metadata.google.internal", "v6.test", "mapped-v6.test",
    "<own-address>", "<own-name>",
)  # fmt: skip

ANSWERS = {
    "internal.test": ["10.0.0.1"],
    "alias.test": ["127.0.0.1"],  # what a CNAME chain to localhost ends in
    "mixed.test": ["10.0.0.1", "127.0.0.1", "169.254.169.254"],
    "metadata.google.internal": ["169.254.169.254"],
    "v6.test": ["::1"],
    "mapped-v6.test": ["::ffff:127.0.0.1"],
}


class _Resolver(GuardedLoop):
    """Answers for the names above; everything else as the system would."""

    async def resolve(self, host: Any, port: Any, **how: Any) -> list[AddressInfo]:
        if host not in ANSWERS:
            return await super().resolve(host, port, **how)
        return [_info(a, port, host) for a in ANSWERS[host]]


def _info(address: str, port: int, canonical: str) -> AddressInfo:
    if ":" in address:
        return (socket.AF_INET6, socket.SOCK_STREAM, 6, canonical, (address, port, 0, 0))
    return (socket.AF_INET, socket.SOCK_STREAM, 6, canonical, (address, port))


class _Sockets:
    """Every `connect` of this process while watching: (socket type, address). An audit hook sees them all."""

    def __init__(self) -> None:
        self.watching = False
        self.seen: list[tuple[int, Any]] = []
        sys.addaudithook(self._hook)

    def _hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.watching and event == "socket.connect":
            self.seen.append((arguments[0].type, arguments[1]))


SOCKETS = _Sockets()


@pytest.fixture(scope="module")
def trap() -> Iterator[tuple[int, list[socket.socket]]]:
    """Listeners on one port of every local address, both families."""
    four = socket.create_server(("0.0.0.0", 0))  # noqa: S104 - the trap must stand everywhere
    port = four.getsockname()[1]
    listeners = [four]
    with contextlib.suppress(OSError):  # a machine without IPv6
        listeners.append(socket.create_server(("::", port), family=socket.AF_INET6))
    for sock in listeners:
        sock.setblocking(False)
    yield port, listeners
    for sock in listeners:
        sock.close()


@pytest.fixture(scope="module")
def proxy(trap: tuple[int, list[socket.socket]], tmp_path_factory: pytest.TempPathFactory) -> Iterator[MinimalProxy]:
    """The trap's port is allowed, and a mapped name leads to it: neither may open it to anything else."""
    authority = Authority.load_or_create(tmp_path_factory.mktemp("deployment") / "ca", Ca())
    upstream = Upstream(hosts={"mapped.test": f"127.0.0.1:{trap[0]}"}, connect_seconds=3)
    settings = Settings(upstream=upstream, tunnels=Tunnels(ports=(443, 80, trap[0])))
    with MinimalProxy(settings, authority, loop_factory=_Resolver) as running:
        yield running


def _spelled(spelling: str) -> str:
    if spelling == "<own-name>":
        return socket.gethostname()
    if spelling == "<own-address>":
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.connect(("8.8.8.8", 9))
            except OSError:
                return socket.gethostbyname(socket.gethostname())
            return str(probe.getsockname()[0])
    return spelling


def _caught(listeners: list[socket.socket]) -> int:
    count = 0
    for listener in listeners:
        while True:
            try:
                listener.accept()[0].close()
            except BlockingIOError:
                break
            count += 1
    return count


def _by_absolute_form(proxy: MinimalProxy, host: str, port: int) -> int:
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=15) as sock:
        authority = f"{host}:{port}".encode("utf-8", "surrogateescape")
        sock.sendall(
            b"GET http://" + authority + b"/ HTTP/1.1\r\nHost: " + authority + b"\r\nConnection: close\r\n\r\n"
        )
        return read_answer(sock)[0]


def _by_connect(proxy: MinimalProxy, host: str, port: int) -> int:
    try:
        raw = connect(proxy.port, f"{host}:{port}")
    except ConnectionError as e:
        return int(str(e).split(" ")[1]) if " " in str(e) else 0
    try:
        with raw, lax_client_context().wrap_socket(raw, server_hostname="sni.test") as tls:
            tls.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            return read_answer(tls)[0]
    except ssl.SSLError:
        return 0


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_no_spelling_gets_a_connection(
    spelling: str, proxy: MinimalProxy, trap: tuple[int, list[socket.socket]]
) -> None:
    """Zero connects, whatever the spelling and the form of the request; the client is told by a 4xx or 502."""
    port, listeners = trap
    host = _spelled(spelling)
    before = len(proxy.witness.failures)
    statuses = {_by_absolute_form(proxy, host, port), _by_connect(proxy, host, port)}
    assert statuses <= {502, 400, 0}, statuses
    assert proxy.witness.connects == []
    assert _caught(listeners) == 0
    reasons = {f.reason for f in proxy.witness.failures[before:]}
    assert reasons <= {Reason.DESTINATION_FORBIDDEN, Reason.UPSTREAM_UNREACHABLE}


def test_refusals_are_refusals_of_the_dialer(proxy: MinimalProxy, trap: tuple[int, list[socket.socket]]) -> None:
    """Most spellings reach the dialer and are forbidden there, by the system's own resolver where it has a say."""
    port, _ = trap
    forbidden = []
    for spelling in SPELLINGS:
        before = len(proxy.witness.failures)
        _by_absolute_form(proxy, _spelled(spelling), port)
        if [f.reason for f in proxy.witness.failures[before:]] == [Reason.DESTINATION_FORBIDDEN]:
            forbidden.append(spelling)
    assert len(SPELLINGS) >= 60
    assert len(forbidden) >= 60, sorted(set(SPELLINGS) - set(forbidden))


def test_the_kernel_is_never_asked(proxy: MinimalProxy, trap: tuple[int, list[socket.socket]]) -> None:
    """Not one stream `connect` call is made by the proxy: the audit hook sees only this test's own to the proxy."""
    port, _ = trap
    SOCKETS.seen.clear()
    SOCKETS.watching = True
    for spelling in SPELLINGS:
        _by_absolute_form(proxy, _spelled(spelling), port)
    SOCKETS.watching = False
    ours = [a for kind, a in SOCKETS.seen if kind & socket.SOCK_STREAM and a == ("127.0.0.1", proxy.port)]
    others = [a for kind, a in SOCKETS.seen if kind & socket.SOCK_STREAM and a != ("127.0.0.1", proxy.port)]
    assert len(ours) == len(SPELLINGS)
    assert others == []


def test_the_proxy_cannot_be_used_to_reach_itself(proxy: MinimalProxy) -> None:
    """The proxy's own port, by every spelling of loopback, is not reachable through the proxy (T61)."""
    for host in ("127.0.0.1", "127.1", "localhost", "[::ffff:127.0.0.1]", "0.0.0.0"):  # noqa: S104
        assert _by_absolute_form(proxy, host, proxy.port) == 502
    assert proxy.witness.connects == []


def test_the_trap_works(proxy: MinimalProxy, trap: tuple[int, list[socket.socket]]) -> None:
    """Control: the mapped name does reach the listener, so the zeros above are not for want of a listener."""
    _, listeners = trap
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=15) as sock:
        sock.sendall(b"GET http://mapped.test/ HTTP/1.1\r\nHost: mapped.test\r\n\r\n")
        listeners[0].settimeout(10)
        peer, _ = listeners[0].accept()
        with peer:
            peer.settimeout(10)
            assert peer.recv(4096).startswith(b"GET / HTTP/1.1\r\n")
        listeners[0].setblocking(False)
