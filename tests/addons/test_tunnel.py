"""CONNECT, TLS server name and Host: decrypted, passed unread, or refused, and nothing in between."""

from __future__ import annotations

import itertools
import socket
import ssl
import time
from collections.abc import Callable

import pytest
from mitmproxy.proxy.layers.tls import parse_client_hello

from addons.state import Tunnel
from addons.tunnel import judge, server_name
from sluice.config import Tunnels
from sluice.errors import Cause, Reason
from tests.rig import Client, Proxy
from tests.rig.wire import Closed
from tests.upstream import Upstream

AI, AI2, PLAIN = "api.openai.com", "api.anthropic.com", "example.com"
REFUSE, PASS = Tunnels(), Tunnels(non_tls="pass", missing_sni="pass")

TABLE = [
    # connect, sni, tls, rules -> fate, reason
    (AI, AI, True, REFUSE, Tunnel.DECRYPTED, None),
    (AI, AI2, True, REFUSE, Tunnel.REFUSED, Reason.HOST_MISMATCH),
    (AI, PLAIN, True, PASS, Tunnel.REFUSED, Reason.HOST_MISMATCH),
    (AI, "", True, PASS, Tunnel.REFUSED, Reason.HOST_MISMATCH),
    (AI, None, True, PASS, Tunnel.REFUSED, Reason.NO_SNI),
    (AI, None, False, PASS, Tunnel.REFUSED, Reason.NON_HTTP),
    (PLAIN, PLAIN, True, REFUSE, Tunnel.OPAQUE, None),
    (PLAIN, AI, True, PASS, Tunnel.REFUSED, Reason.HOST_MISMATCH),
    (PLAIN, "other.example", True, PASS, Tunnel.REFUSED, Reason.HOST_MISMATCH),
    (PLAIN, "", True, PASS, Tunnel.REFUSED, Reason.HOST_MISMATCH),
    (PLAIN, None, True, REFUSE, Tunnel.REFUSED, Reason.NO_SNI),
    (PLAIN, None, True, PASS, Tunnel.OPAQUE, None),
    (PLAIN, None, False, REFUSE, Tunnel.REFUSED, Reason.NON_HTTP),
    (PLAIN, None, False, PASS, Tunnel.OPAQUE, None),
]


@pytest.mark.parametrize(("connect", "sni", "tls", "rules", "tunnel", "reason"), TABLE)
def test_the_table(
    connect: str, sni: str | None, tls: bool, rules: Tunnels, tunnel: Tunnel, reason: Reason | None
) -> None:
    """Every row of the table in tunnel.py, the operator's two settings included: neither opens an AI host."""
    fate = judge(connect, sni, tls=tls, ai=connect in (AI, AI2), rules=rules)
    assert (fate.tunnel, fate.reason) == (tunnel, reason)


def hello(*names: str | None) -> bytes:
    """A ClientHello. Several names give it several server-name extensions, as no client sends them."""
    context = ssl.create_default_context()
    context.check_hostname = False
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    session = context.wrap_bio(incoming, outgoing, server_hostname=names[0])
    with pytest.raises(ssl.SSLWantReadError):
        session.do_handshake()
    return outgoing.read()


def test_server_names_are_read_in_one_spelling() -> None:
    """Capitals are lowered; no name is None."""
    named = parse_client_hello(hello("API.OpenAI.com"))
    bare = parse_client_hello(hello(None))
    assert named and bare
    assert server_name(named) == AI
    assert server_name(bare) is None


def test_a_name_that_is_no_host_agrees_with_nothing() -> None:
    """A server name with a NUL or a blank inside is not read as no name: the hello is refused."""
    raw = hello("api.openai.com").replace(b"api.openai.com", b"api\0openai.com")
    broken = parse_client_hello(raw)
    assert broken
    with pytest.raises(ValueError, match="ambiguous"):
        server_name(broken)


def outcome_of(proxy: Proxy, upstream: Upstream, connect: str, sni: str | None, host: str) -> str:
    """What a client gets: `inspected`, `opaque`, `refused tls`, `refused http` or `refused connect`."""
    try:
        sock = proxy.connect(f"{connect}:443")
    except Closed:
        return "refused connect"
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    asked = len(proxy.gate.asked)
    try:
        with Client(context.wrap_socket(sock, server_hostname=sni), host) as client:
            answer = client.request("POST", "/_/echo", b"{}")
    except (ssl.SSLError, Closed, ConnectionError):
        return "refused tls"
    kinds = {a.kind for a in proxy.gate.asked[asked:]}
    if "clear" in kinds and answer.status == 200:
        return "inspected"
    if kinds == {"bypass"} and answer.status == 200:
        return "opaque"
    return "refused http" if answer.status == 400 else f"unexpected {answer.status}"


@pytest.mark.parametrize(("connect", "sni", "host"), list(itertools.product((AI, AI2, PLAIN), repeat=3)))
def test_permutations(connect: str, sni: str, host: str, proxy: Proxy, upstream: Upstream) -> None:
    """T08: of 27 ways to name three hosts in three places only those that agree pass, and AI hosts are inspected."""
    got = outcome_of(proxy, upstream, connect, sni, host)
    if connect != sni:
        assert got == "refused tls"
        assert upstream.journal.connections == 0
        assert [a.cause for a in proxy.gate.refusals()] == [Cause.HOST_MISMATCH]
    elif connect == PLAIN:
        assert got == "opaque"
    elif host != connect:
        assert got == "refused http"
        assert upstream.journal.connections == 0
        assert [a.cause for a in proxy.gate.refusals()] == [Cause.HOST_MISMATCH]
    else:
        assert got == "inspected"


SPELLINGS = [
    ("API.OPENAI.COM", AI, AI, "inspected"),
    ("api.openai.com.", AI, AI, "inspected"),
    (AI, "API.openai.COM", AI, "inspected"),
    (AI, AI, "Api.OpenAI.com.", "inspected"),
    (AI, AI, "api.openai.com:443", "inspected"),
    (AI, AI, "api.openai.com:444", "refused http"),
    (AI, None, AI, "refused tls"),
    (PLAIN, None, PLAIN, "refused tls"),
    ("127.0.0.1", AI, AI, "refused tls"),
    ("127.0.0.1", None, AI, "refused tls"),
    ("[::1]", AI, AI, "refused tls"),
    ("2130706433", AI, AI, "refused tls"),
    ("xn--pi-openai-7xe.com", AI, AI, "refused tls"),
    ("ａｐｉ．ｏｐｅｎａｉ．ｃｏｍ", AI, AI, "refused connect"),
    ("api.openai.com%00.example.com", AI, AI, "refused connect"),
    ("user@api.openai.com", AI, AI, "refused connect"),
]


@pytest.mark.parametrize(("connect", "sni", "host", "expected"), SPELLINGS)
def test_spellings(connect: str, sni: str | None, host: str, expected: str, proxy: Proxy, upstream: Upstream) -> None:
    """T08: capitals, trailing dots, ports, no server name, addresses and look-alike names end where they must."""
    assert outcome_of(proxy, upstream, connect, sni, host) == expected
    if expected != "inspected":
        assert upstream.journal.connections == 0


def test_ports_that_are_not_allowed_are_refused_at_connect(proxy: Proxy, upstream: Upstream) -> None:
    """CONNECT to another port than the configured ones is refused before there is a tunnel, with a record."""
    for authority in (f"{AI}:22", f"{PLAIN}:8443", f"{AI}:0"):
        with pytest.raises(Closed, match="400"):
            proxy.connect(authority)
    assert upstream.journal.connections == 0
    assert [a.detail for a in proxy.gate.refusals(Reason.DESTINATION_FORBIDDEN)][:2] == ["port", "port"]


def opaque(proxy: Proxy, upstream: Upstream) -> Client:
    """TLS straight with the upstream, through an opaque tunnel."""
    context = ssl.create_default_context(cadata=upstream.ca_pem.decode())
    return Client(context.wrap_socket(proxy.connect(f"{PLAIN}:443"), server_hostname=PLAIN), PLAIN)


def test_opaque_tunnel_is_unread_and_counted(proxy: Proxy, upstream: Upstream) -> None:
    """A tunnel to anything else carries the server's own certificate, one bypass record, and its byte counts."""
    hooks: list[str] = []
    run = proxy.master.dispatcher.run_now
    proxy.master.dispatcher.run_now = lambda name, data: (hooks.append(name), run(name, data))[1]  # type: ignore
    try:
        with opaque(proxy, upstream) as client:
            assert client.request("POST", "/_/echo", b"x" * 100_000).body == b"x" * 100_000
    finally:
        del proxy.master.dispatcher.run_now  # type: ignore[method-assign]
    (asked,) = proxy.gate.asked
    assert (asked.kind, asked.exchange.method, asked.exchange.host) == ("bypass", "CONNECT", PLAIN)
    (outcome,) = proxy.gate.wait_outcomes(1)
    assert outcome.exchange_id == asked.exchange.id
    assert outcome.forwarded
    assert outcome.tunnel_bytes_up and 100_000 < outcome.tunnel_bytes_up < 120_000
    assert outcome.tunnel_bytes_down and 100_000 < outcome.tunnel_bytes_down < 120_000
    assert (outcome.dst_ip, outcome.dst_port) == ("127.0.0.1", upstream.port)
    assert not {"request", "requestheaders", "responseheaders", "tcp_start", "tcp_message"} & set(hooks)


def test_no_bypass_record_no_tunnel(proxy: Proxy, upstream: Upstream) -> None:
    """When the bypass record cannot be made durable not a byte leaves."""
    proxy.gate.bypass_refuses = True
    with pytest.raises((ssl.SSLError, OSError)):
        opaque(proxy, upstream)
    assert upstream.journal.connections == 0


def test_idle_tunnel_is_closed(make_proxy: Callable[..., Proxy], upstream: Upstream) -> None:
    """An opaque tunnel without a byte for `tunnels.idle_seconds` ends, with its outcome."""
    proxy = make_proxy(tunnels={"idle_seconds": 0.5})
    client = opaque(proxy, upstream)
    assert client.request("GET", "/_/echo").status == 200
    assert client.closed(5)
    assert proxy.gate.wait_outcomes(1)[0].tunnel_bytes_up


def test_draining(make_proxy: Callable[..., Proxy], upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    """A draining worker closes idle connections and quiet tunnels at once, cuts the rest at its deadline, and writes
    every outcome."""
    monkeypatch.setattr("addons.master.QUIET_SECONDS", 0.3)
    proxy = make_proxy()
    idle, quiet, busy = proxy.tunnel(AI), opaque(proxy, upstream), proxy.tunnel(AI)
    assert idle.request("GET", "/_/echo").status == 200
    assert quiet.request("GET", "/_/echo").status == 200
    busy.send(busy.message("GET", "/_/silence"))
    time.sleep(0.1)
    started = time.monotonic()
    proxy.call(lambda: proxy.listener.drain(1.5))
    assert 1.4 < time.monotonic() - started < 3.5
    assert idle.closed(0.5) and quiet.closed(0.5) and busy.closed(0.5)
    assert {o.tunnel_bytes_up is not None for o in proxy.gate.wait_outcomes(3)} == {True, False}
    with pytest.raises(OSError):
        proxy.plain()


def test_tunnel_to_nowhere(make_proxy: Callable[..., Proxy], upstream: Upstream) -> None:
    """A destination that cannot be reached closes the tunnel and says so in its outcome."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
    proxy = make_proxy()
    proxy.loop._hosts[PLAIN] = (proxy.loop._hosts[PLAIN][0], int(address.rpartition(":")[2]))  # type: ignore
    with pytest.raises((ssl.SSLError, OSError)):
        opaque(proxy, upstream)
    outcome = proxy.gate.wait_outcomes(1)[0]
    assert (outcome.upstream_error, outcome.reason, outcome.forwarded) == (
        "refused",
        Reason.UPSTREAM_UNREACHABLE,
        False,
    )


def test_an_address_of_this_house_is_not_dialled(proxy: Proxy, upstream: Upstream) -> None:
    """A request to an internal address by number is refused before a bypass is recorded, and counts as the client's."""
    for address in ("169.254.169.254", "127.1", "[::1]", "10.0.0.1"):
        with proxy.plain() as client:
            assert client.request("GET", f"http://{address}/", host=address).status == 400
    assert [(a.kind, a.reason, a.cause, a.detail) for a in proxy.gate.asked] == [
        ("refuse", Reason.DESTINATION_FORBIDDEN, Cause.DESTINATION, why)
        for why in ("metadata", "loopback", "loopback", "private")
    ]
    assert not any(o.forwarded for o in proxy.gate.wait_outcomes(4))
    assert upstream.journal.connections == 0


def test_a_tunnel_to_an_address_of_this_house_is_refused(make_proxy: Callable[..., Proxy], upstream: Upstream) -> None:
    """CONNECT to an internal address by number is refused, not recorded as a bypass that was allowed."""
    proxy = make_proxy()
    with pytest.raises((ssl.SSLError, OSError)):
        context = ssl.create_default_context(cadata=upstream.ca_pem.decode())
        context.wrap_socket(proxy.connect("10.0.0.1:443"), server_hostname="10.0.0.1")
    assert [a.kind for a in proxy.gate.asked] == ["refuse"]
    assert proxy.gate.wait_outcomes(1)[0].forwarded is False
    assert upstream.journal.connections == 0


def test_a_name_that_leads_to_an_internal_address(proxy: Proxy, upstream: Upstream) -> None:
    """A name is judged where it is dialled: its outcome says why, and that nothing was forwarded."""
    with proxy.plain() as client:
        assert client.request("GET", "http://localhost/", host="localhost").status == 400
    outcome = proxy.gate.wait_outcomes(1)[0]
    assert (outcome.reason, outcome.forwarded) == (Reason.DESTINATION_FORBIDDEN, False)
    assert outcome.upstream_error in ("loopback", "port")
    assert upstream.journal.connections == 0


def test_plain_requests(make_proxy: Callable[..., Proxy], tmp_path) -> None:  # type: ignore[no-untyped-def]
    """Absolute-form requests: to an AI host inspected like any other, elsewhere recorded as a bypass and passed."""
    with Upstream(tls=False, delay=0.0) as plain, Proxy(plain.address, plain.ca_pem, tmp_path) as proxy:
        with proxy.plain() as client:
            assert client.request("POST", f"http://{PLAIN}/_/echo", b"1", host=PLAIN).body == b"1"
            assert client.request("POST", f"http://{AI}/_/echo", b"2", host=AI).body == b"2"
            assert client.request("POST", f"http://{AI}/_/echo", b"3", host=PLAIN).status == 400
            assert client.request("POST", f"http://{PLAIN}/_/echo", b"4", host=AI).status == 400
            assert client.request("POST", f"http://{PLAIN}:81/_/echo", b"5", host=f"{PLAIN}:81").status == 400
        assert [a.kind for a in proxy.gate.asked] == ["bypass", "clear", "refuse", "refuse", "refuse"]
        assert [(r.path, r.body) for r in plain.journal] == [("/_/echo", b"1"), ("/_/echo", b"2")]


def test_the_proxy_answers_no_request_of_its_own(proxy: Proxy, upstream: Upstream) -> None:
    """A browser that is pointed at the proxy's port gets a short page, and nothing is recorded."""
    with proxy.plain() as client:
        answer = client.request("GET", "/", host="127.0.0.1:8080")
        assert answer.status == 400
        assert b"proxy" in answer.body
        assert client.closed()
    assert proxy.gate.asked == ()


def test_upstream_is_reached_under_the_name_of_connect(proxy: Proxy, upstream: Upstream) -> None:
    """The upstream's TLS carries the canonical name, whatever spelling the client chose."""
    with proxy.tunnel("API.OpenAI.com.", sni="API.openai.com") as client:
        assert client.request("GET", "/_/echo", host="api.openai.COM").status == 200
    assert upstream.journal.requests[0].sni == AI


NOT_HTTP = {
    "SSH": b"SSH-2.0-OpenSSH_9.9\r\n",
    "binary": bytes(range(256)) * 4,
    "TLS in TLS": hello(AI),
    "SOCKS": b"\x05\x01\x00",
    "SMTP": b"EHLO client\r\n",
    "redis": b"*1\r\n$4\r\nPING\r\n",
}


@pytest.mark.parametrize("name", NOT_HTTP)
def test_what_is_not_http_goes_nowhere(name: str, proxy: Proxy, upstream: Upstream) -> None:
    """T06: other protocols inside a decrypted tunnel are refused at once and recorded; nothing reaches the upstream."""
    with proxy.tunnel(AI) as client:
        client.send(NOT_HTTP[name])
        assert client.answer(5).status == 400
        assert client.closed(3)
    assert upstream.journal.connections == 0
    assert [a.reason for a in proxy.gate.refusals()] == [Reason.NON_HTTP]


UPGRADES = {
    "h2c": "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n",
    "unknown": "Connection: Upgrade\r\nUpgrade: something/2\r\n",
    "TLS": "Connection: Upgrade\r\nUpgrade: TLS/1.0\r\n",
    "list": "Connection: Upgrade\r\nUpgrade: h2c, websocket\r\n",
}


@pytest.mark.parametrize("name", UPGRADES)
def test_upgrades_are_refused(name: str, proxy: Proxy, upstream: Upstream) -> None:
    """T06: no protocol upgrade passes, h2c included."""
    with proxy.tunnel(AI) as client:
        client.send(f"GET / HTTP/1.1\r\nHost: {AI}\r\n{UPGRADES[name]}\r\n".encode())
        assert client.answer(5).status in (400, 426)
    assert upstream.journal.connections == 0
    assert len(proxy.gate.refusals()) == 1


def test_connect_inside_connect(proxy: Proxy, upstream: Upstream) -> None:
    """T06: a second CONNECT inside a decrypted tunnel is refused."""
    with proxy.tunnel(AI) as client:
        client.send(b"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n")
        assert client.answer(5).status == 400
    assert upstream.journal.connections == 0


def test_plain_http_inside_connect(proxy: Proxy, upstream: Upstream) -> None:
    """T06: HTTP without TLS inside a tunnel is refused, to an AI host and to any other."""
    for host in (AI, PLAIN):
        sock = proxy.connect(f"{host}:443")
        sock.sendall(f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        sock.settimeout(5)
        assert sock.recv(100) == b""
        sock.close()
    assert upstream.journal.connections == 0
    assert [a.reason for a in proxy.gate.refusals()] == [Reason.NON_HTTP] * 2


def test_hello_in_pieces(proxy: Proxy, upstream: Upstream) -> None:
    """A ClientHello that comes byte by byte is waited for and decrypted as usual."""
    context = proxy.trusting("http/1.1")
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    session = context.wrap_bio(incoming, outgoing, server_hostname=AI)
    sock = proxy.connect(f"{AI}:443")
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for _ in range(20):
        try:
            session.do_handshake()
            break
        except ssl.SSLWantReadError:
            data = outgoing.read()
            for at in range(0, len(data), 40):
                sock.sendall(data[at : at + 40])
                time.sleep(0.001)
            incoming.write(sock.recv(65536))
    sock.sendall(outgoing.read())
    session.write(f"GET /_/echo HTTP/1.1\r\nHost: {AI}\r\n\r\n".encode())
    sock.sendall(outgoing.read())
    while True:
        try:
            assert session.read(12) == b"HTTP/1.1 200"
            break
        except ssl.SSLWantReadError:
            incoming.write(sock.recv(65536))
    sock.close()
