"""PROXY headers: whose are believed, what they may look like, and a real HAProxy that sends them."""

from __future__ import annotations

import asyncio
import contextlib
import re
import shutil
import socket
import struct
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from addons import proxyline
from addons.proxyline import SIGNATURE
from sluice import config, metrics, startup
from sluice.config import Proxy as ProxySettings
from sluice.config import Settings
from sluice.errors import Misconfigured
from tests.rig.proxy import Proxy
from tests.upstream import Upstream

CLIENT, GATE = "203.0.113.7", "10.20.0.11"
REQUEST = b"GET http://api.openai.com/v1/models HTTP/1.1\r\nHost: api.openai.com\r\nConnection: close\r\n\r\n"


def v2(
    family: int = 0x11, *, command: int = 0x21, client: str = CLIENT, tlvs: bytes = b"", body: bytes | None = None
) -> bytes:
    kind = socket.AF_INET6 if family >> 4 == 2 else socket.AF_INET
    if body is None:
        gate = "::1" if kind == socket.AF_INET6 else GATE
        body = socket.inet_pton(kind, client) + socket.inet_pton(kind, gate) + struct.pack("!HH", 4711, 8080) + tlvs
    return SIGNATURE + struct.pack("!BBH", command, family, len(body)) + body


def parsed(data: bytes, seconds: float = 5.0) -> tuple[proxyline.Address | None, bytes]:
    """What a header says, and what is left for the request."""

    async def run() -> tuple[proxyline.Address | None, bytes]:
        reader = asyncio.StreamReader()
        reader.feed_data(data)
        reader.feed_eof()
        return await proxyline.read(reader, seconds), await reader.read()

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("header", "client"),
    [
        (b"PROXY TCP4 203.0.113.7 10.20.0.11 4711 8080\r\n", (CLIENT, 4711)),
        (b"PROXY TCP6 2001:db8::7 2001:db8::1 4711 8080\r\n", ("2001:db8::7", 4711)),
        (b"PROXY UNKNOWN\r\n", None),
        (b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", None),
        (v2(), (CLIENT, 4711)),
        (v2(0x21, client="2001:db8::7"), ("2001:db8::7", 4711)),
        (v2(tlvs=b"\x04\x00\x03abc\x01\x00\x02h2"), (CLIENT, 4711)),
        (v2(command=0x20), None),
        (v2(0x00, command=0x20, body=b""), None),
        (v2(0x00, body=b""), None),
    ],
)
def test_a_header_says_who_the_client_is(header: bytes, client: tuple[str, int] | None) -> None:
    """Both versions, both families, TLVs passed over, LOCAL and UNKNOWN; not a byte more than the header is taken."""
    assert parsed(header + REQUEST) == (client, REQUEST)


@pytest.mark.parametrize(
    ("data", "rule"),
    [
        (REQUEST, "absent"),
        (b"POST http://x/ HTTP/1.1\r\n\r\n", "absent"),
        (b"\x16\x03\x01\x02\x00", "absent"),
        (SIGNATURE[:-1] + b"X" + bytes(8), "absent"),
        (b"PROXY TCP4 " + b"1" * 200 + b"\r\n", "too_long"),
        (b"PROXY TCP4 203.0.113.7 10.20.0.11 4711\r\n", "malformed"),
        (b"PROXY TCP4 203.0.113.7 10.20.0.11 4711 80800\r\n", "malformed"),
        (b"PROXY TCP4 2001:db8::7 2001:db8::1 4711 8080\r\n", "malformed"),
        (b"PROXY TCP4 203.0.113.7  10.20.0.11 4711 8080\r\n", "malformed"),
        (b"PROXY TCP4 a.example 10.20.0.11 4711 8080\r\n", "malformed"),
        (b"PROXY \xff\xff\r\n", "malformed"),
        (v2(command=0x31), "malformed"),
        (v2(command=0x22), "malformed"),
        (v2(body=bytes(11)), "malformed"),
        (v2(tlvs=b"\x04\x00"), "malformed"),
        (v2(tlvs=b"\x04\x00\x09abc"), "malformed"),
        (SIGNATURE + struct.pack("!BBH", 0x21, 0x11, 65535), "too_long"),
        (v2(0x31, body=bytes(216)), "family"),
        (v2(0x12), "family"),
        (SIGNATURE[:7], "cut_off"),
        (v2()[:20], "cut_off"),
        (b"PROXY TCP4 203.0.113.7", "cut_off"),
        (b"", "cut_off"),
    ],
)
def test_no_other_header_is_believed(data: bytes, rule: str) -> None:
    """Whatever is not a whole header has a stable name."""
    with pytest.raises(proxyline.Refused) as caught:
        parsed(data)
    assert caught.value.rule == rule
    assert rule in proxyline.RULES


def test_a_header_that_drips_ends() -> None:
    """Time is bounded, whatever has come until then."""

    async def run() -> None:
        reader = asyncio.StreamReader()
        reader.feed_data(b"PROXY TCP4 ")
        await proxyline.read(reader, 0.01)

    with pytest.raises(proxyline.Refused, match="slow"):
        asyncio.run(run())


def test_an_address_over_a_socket_of_both_families_is_itself() -> None:
    """::ffff:10.0.0.1 is 10.0.0.1, a scope is no part of an address, and others are others."""
    balancers = proxyline.networks(["10.0.0.0/8", "fe80::/10"])
    assert proxyline.is_from("::ffff:10.0.0.1", balancers)
    assert proxyline.is_from("fe80::1%eth0", balancers)
    assert not proxyline.is_from("192.0.2.1", balancers)


@pytest.mark.parametrize("network", ["0.0.0.0/0", "::/0", "balancer.example", "10.0.0.1/8"])
def test_only_networks_of_balancers_can_be_named(tmp_path: Path, network: str) -> None:
    """Everybody, a name, or an address with a mask is refused when the settings are read."""
    (tmp_path / "sluice.toml").write_text(f'[proxy]\nprotocol_from = ["{network}"]\n')
    with pytest.raises(Misconfigured, match=r"proxy\.protocol_from"):
        config.load(tmp_path / "sluice.toml", environ={})


def test_the_self_test_speaks_as_a_balancer_where_this_machine_is_one() -> None:
    """It comes from this machine, so it begins with a header when this machine's address is listed, and only then."""
    listed = Settings(proxy=ProxySettings(protocol_from=("127.0.0.1/32",)))
    assert parsed(startup.greeting(listed, "127.0.0.1") + REQUEST) == (None, REQUEST)
    assert startup.greeting(listed, "10.0.0.1") == b""


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    with (
        Upstream() as upstream,
        Proxy(
            upstream.address, upstream.ca_pem, tmp_path_factory.mktemp("proxy"), balancers=("127.0.0.1/32",)
        ) as running,
    ):
        yield running


def refused(rule: str) -> float:
    return metrics.PROXY_HEADERS.labels(rule).count


def told(proxy: Proxy, *pieces: bytes, source: str = "127.0.0.1") -> bytes:
    """What the proxy answers to bytes that come in these pieces."""
    with socket.create_connection(proxy.address, 10, source_address=(source, 0)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        answer = b""
        try:
            for piece in pieces:
                connection.sendall(piece)
            while chunk := connection.recv(65536):
                answer += chunk
        except ConnectionError:
            return answer
        return answer


def clients(proxy: Proxy) -> list[str]:
    return [asked.exchange.client.address for asked in proxy.gate.asked]


@pytest.mark.parametrize("header", [v2(), b"PROXY TCP4 203.0.113.7 10.20.0.11 4711 8080\r\n"], ids=["v2", "v1"])
def test_the_gate_decides_about_the_client_behind_the_balancer(proxy: Proxy, header: bytes) -> None:
    """The exchange has the header's address, also where the header comes byte by byte."""
    proxy.gate.reset()
    assert told(proxy, *(bytes([byte]) for byte in header), REQUEST).startswith(b"HTTP/1.1 ")
    assert set(clients(proxy)) == {CLIENT}


def test_a_balancer_that_speaks_for_itself_is_itself(proxy: Proxy) -> None:
    """LOCAL: the connection's own address."""
    proxy.gate.reset()
    assert told(proxy, v2(command=0x20) + REQUEST).startswith(b"HTTP/1.1 ")
    assert set(clients(proxy)) == {"127.0.0.1"}


@pytest.mark.parametrize(
    ("data", "rule"), [(REQUEST, "absent"), (v2(0x31, body=bytes(216)) + REQUEST, "family"), (v2()[:20], "cut_off")]
)
def test_a_balancer_without_a_whole_header_is_cut_off(proxy: Proxy, data: bytes, rule: str) -> None:
    """Nothing is answered, nobody is asked, and it is counted."""
    proxy.gate.reset()
    before = refused(rule)
    with socket.create_connection(proxy.address, 10) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionError):  # closed with bytes of ours unread
            assert connection.recv(100) == b""
    assert refused(rule) == before + 1
    assert not proxy.gate.asked


def test_a_header_of_anybody_else_is_a_bad_request(proxy: Proxy) -> None:
    """A client cannot say who it is; and without a header it is served as itself."""
    proxy.gate.reset()
    for header in (v2(), b"PROXY TCP4 203.0.113.7 10.20.0.11 4711 8080\r\n"):
        assert b" 200 " not in told(proxy, header + REQUEST, source="127.0.0.2").split(b"\r\n")[0]
    assert CLIENT not in clients(proxy)
    assert told(proxy, REQUEST, source="127.0.0.2").startswith(b"HTTP/1.1 ")
    assert clients(proxy)[-1] == "127.0.0.2"


def test_haproxy_says_who_the_client_is(proxy: Proxy, tmp_path: Path) -> None:
    """The shipped example with `send-proxy-v2`: a client at 127.0.0.9 before it is 127.0.0.9 behind it."""
    program = shutil.which("haproxy") or "/usr/sbin/haproxy"
    if not Path(program).exists():
        pytest.skip("haproxy is not installed")
    shipped = (Path(__file__).parents[2] / "deploy" / "haproxy" / "haproxy.cfg").read_text("utf-8")
    assert "send-proxy-v2" in re.findall(r"^ *default-server.*$", shipped, re.M)[0]
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    file = tmp_path / "haproxy.cfg"
    file.write_text(
        "global\n    maxconn 50\ndefaults\n    mode tcp\n    timeout connect 3s\n    timeout client 20s\n"
        f"    timeout server 20s\nfrontend clients\n    bind 127.0.0.1:{port}\n    default_backend nodes\n"
        f"backend nodes\n    server node1 127.0.0.1:{proxy.address[1]} send-proxy-v2\n"
    )
    proxy.gate.reset()
    running = subprocess.Popen([program, "-db", "-f", file], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 15
        while True:
            try:
                connection = socket.create_connection(("127.0.0.1", port), 10, source_address=("127.0.0.9", 0))
                break
            except OSError:
                assert time.monotonic() < deadline
                time.sleep(0.02)
        with connection:
            connection.sendall(REQUEST)
            assert connection.recv(1000).startswith(b"HTTP/1.1 ")
    finally:
        running.terminate()
        running.wait(10)
    assert set(clients(proxy)) == {"127.0.0.9"}
