"""Logging in at a real proxy: who is not known gets a challenge and nothing else, and no password goes anywhere."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from addons.state import Core
from sluice import selftest
from sluice.errors import Cause, Reason
from sluice.identity import Resolver
from sluice.identity.login import Logins
from sluice.model import Assurance, Subject
from tests.identity.doors import CI_PASSWORD, PASSWORD, USERS, basic, door, field
from tests.rig import Client, Http2Client, ObedientGate, Proxy
from tests.rig.gate import SELFTEST
from tests.rig.wire import Closed
from tests.upstream import Upstream

AI, PLAIN = "api.openai.com", "example.com"
ALICE = Subject("user:alice", "user", "proxy_basic", Assurance.VERIFIED)
BAD = (
    None,
    "Basic",
    "Basic ",
    "Basic !!!!",
    "Basic YWxpY2U=",  # alice, without a colon
    "Basic OnB3",  # no name
    "Basic //79/A==",  # not UTF-8
    "Basic YWxpY2UAOnB3",  # alice, NUL
    "Basic YWxpY2U6cHcK",  # a line end in the password
    f"Bearer {PASSWORD}",
    "Negotiate abc",
    basic("alice", "wrong"),
    basic("nobody", PASSWORD),
    basic("alice", PASSWORD[:-1]),
    basic("gone", PASSWORD),
    basic("alice", "x" * 40_000),
    "Basic " + "A" * 50_000,
)


@pytest.fixture(scope="module")
def _upstream() -> Iterator[Upstream]:
    with Upstream(delay=0.0) as upstream:
        yield upstream


@pytest.fixture
def upstream(_upstream: Upstream) -> Upstream:
    _upstream.forget()
    return _upstream


@pytest.fixture
def proxy(upstream: Upstream, tmp_path: Path) -> Iterator[Proxy]:
    with door(upstream, tmp_path, failures=1000) as proxy:
        yield proxy


def head(first: str, *fields: str, host: str = AI) -> bytes:
    return "\r\n".join((first, f"Host: {host}", *fields, "", "")).encode("latin-1")


@pytest.mark.parametrize("credential", BAD)
@pytest.mark.parametrize("host", [AI, PLAIN])
def test_a_connect_without_a_good_credential_gets_a_challenge(
    proxy: Proxy, upstream: Upstream, credential: str | None, host: str
) -> None:
    """T57: 407 with a Basic challenge, the same words for a wrong name and a wrong password, nothing upstream."""
    with proxy.plain() as client:
        fields = () if credential is None else (f"Proxy-Authorization: {credential}",)
        client.send(head(f"CONNECT {host}:443 HTTP/1.1", *fields, host=host))
        answer = client.answer()
    assert answer.status == 407
    assert (answer.header("proxy-authenticate") or "").startswith('Basic realm="')
    assert not upstream.journal.connections
    assert proxy.gate.refusals()
    assert all(asked.kind == "refuse" for asked in proxy.gate.asked)


def test_the_self_test_needs_no_login_and_leads_nowhere(proxy: Proxy, upstream: Upstream) -> None:
    """The supervisor has no password: a tunnel from this machine to the address of the self-test is opened, and even a
    request that is allowed there is answered by the gate itself. Whoever lacks the secret of this start logs in."""
    with proxy.tunnel(selftest.HOST, headers=f"{selftest.HEADER}: {SELFTEST}\r\n") as client:
        answer = client.request("POST", "/v1/chat/completions", b"{}")
    assert answer.status == 200
    assert b"decision_id" in answer.body
    place = f"{selftest.HOST}:443"
    for line in (
        (),
        (f"{selftest.HEADER}: guessed",),
        (f"{selftest.HEADER}: {SELFTEST}",) * 2,
        (selftest.HEADER + ":",),
    ):
        with proxy.plain() as client:
            client.send(head(f"CONNECT {place} HTTP/1.1", *line, host=place))
            assert client.answer().status == 407
    assert not upstream.journal.connections


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"])
@pytest.mark.parametrize("credential", [None, basic("alice", "wrong"), "Basic !"])
def test_every_method_gets_a_challenge(proxy: Proxy, upstream: Upstream, method: str, credential: str | None) -> None:
    """T57: a plain request of any method is answered with 407, and never reaches an upstream."""
    with proxy.plain() as client:
        fields = () if credential is None else (("Proxy-Authorization", credential),)
        answer = client.request(method, f"http://{PLAIN}/x", headers=fields, host=PLAIN)
    assert answer.status == 407
    assert answer.header("proxy-authenticate")
    assert not upstream.journal.connections


def test_a_websocket_gets_a_challenge(proxy: Proxy, upstream: Upstream) -> None:
    """T57: an upgrade is asked who it is before it is told that upgrades are refused."""
    fields = (("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Version", "13"))
    with proxy.plain() as client:
        answer = client.request("GET", f"http://{AI}/v1/realtime", headers=fields, host=AI)
    assert answer.status == 407
    assert not upstream.journal.connections


def test_http2_without_a_tunnel_reaches_nothing(proxy: Proxy, upstream: Upstream) -> None:
    """T57: the HTTP/2 preface is no request of this proxy, and TLS in a refused CONNECT meets no TLS."""
    with proxy.plain() as client:
        client.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9))
        assert client.answer().status in (400, 407)
    with proxy.plain() as client:
        client.send(head(f"CONNECT {AI}:443 HTTP/1.1"))
        assert client.answer().status == 407
        with pytest.raises((ssl.SSLError, OSError)):
            proxy.trusting("h2").wrap_socket(client.sock, server_hostname=AI)
    assert not upstream.journal.connections


def test_a_challenged_client_may_answer_on_the_same_connection(proxy: Proxy) -> None:
    """As RFC 9110 section 11.7 has it: 407, then the same CONNECT with a credential, on one connection."""
    with proxy.plain() as client:
        client.send(head(f"CONNECT {AI}:443 HTTP/1.1"))
        assert client.answer().status == 407
        client.send(head(f"CONNECT {AI}:443 HTTP/1.1", f"Proxy-Authorization: {basic('alice', PASSWORD)}"))
        assert client.sock.recv(4096).startswith(b"HTTP/1.1 200")
        with Client(proxy.trusting("http/1.1").wrap_socket(client.sock, server_hostname=AI), AI) as inside:
            assert inside.request("POST", "/v1/chat/completions", b"{}").status == 200
    (asked,) = [a for a in proxy.gate.asked if a.kind == "clear"]
    assert asked.exchange.subject == ALICE


@pytest.mark.parametrize("alpn", ["http/1.1", "h2"])
def test_a_login_holds_for_its_connection(proxy: Proxy, upstream: Upstream, alpn: str) -> None:
    """After CONNECT every request in the tunnel is the user's, over HTTP/1 and HTTP/2, with names in any case."""
    sock = proxy.connect(f"{AI}:443", headers=field("ALICE ", PASSWORD))
    tls = proxy.trusting(alpn).wrap_socket(sock, server_hostname=AI)
    if alpn == "h2":
        client = Http2Client(tls, AI)
        numbers = [client.post("/v1/chat/completions", b"{}") for _ in range(3)]
        assert {s.status for s in client.wait(*numbers)} == {200}
        tls.close()
    else:
        with Client(tls, AI) as plain:
            assert {plain.request("POST", "/v1/chat/completions", b"{}").status for _ in range(3)} == {200}
    cleared = [a.exchange for a in proxy.gate.asked if a.kind == "clear"]
    assert [e.subject for e in cleared] == [ALICE] * 3
    assert len(upstream.journal.requests) == 3


def test_a_login_is_of_its_own_connection_alone(proxy: Proxy) -> None:
    """A login on one connection is worth nothing on the next."""
    proxy.connect(f"{AI}:443", headers=field("alice", PASSWORD)).close()
    with pytest.raises(Closed, match="407"):
        proxy.connect(f"{AI}:443")


def test_a_plain_request_proves_itself_alone(proxy: Proxy, upstream: Upstream) -> None:
    """On a kept connection each plain request is its own user's, and the next without a credential nobody's."""
    with proxy.plain() as client:
        seen = []
        for name, password in (("alice", PASSWORD), ("ci", CI_PASSWORD), ("alice", "wrong"), ("", "")):
            fields = (("Proxy-Authorization", basic(name, password)),) if name else ()
            seen.append(client.request("POST", f"http://{AI}/v1/x", b"{}", headers=fields, host=AI).status)
    assert seen[2:] == [407, 407]
    subjects = [a.exchange.subject for a in proxy.gate.asked if a.kind == "clear"]
    assert [s.id if s else None for s in subjects] == ["user:alice", "service:ci"]


def test_two_credentials_are_one_too_many(proxy: Proxy, upstream: Upstream) -> None:
    """A request with two Proxy-Authorization fields is malformed: nobody has to guess which one counts."""
    with proxy.plain() as client:
        line = f"Proxy-Authorization: {basic('alice', PASSWORD)}"
        client.send(head(f"CONNECT {AI}:443 HTTP/1.1", line, line))
        assert client.answer().status == 400
    assert not upstream.journal.connections


def test_a_wrong_password_never_falls_back(upstream: Upstream, tmp_path: Path) -> None:
    """Where a trusted proxy or nobody would do, a credential that was sent and is wrong is still refused."""
    import ipaddress

    trusting = Resolver([ipaddress.ip_network("127.0.0.0/8")])
    with door(upstream, tmp_path, resolver=trusting) as proxy:
        proxy.connect(f"{AI}:443", headers="X-Authenticated-User: bob\r\n").close()
        proxy.connect(f"{AI}:443").close()
        with pytest.raises(Closed, match="407"):
            proxy.connect(f"{AI}:443", headers="X-Authenticated-User: bob\r\n" + field("alice", "wrong"))


def test_a_trusted_proxy_names_the_tunnel_and_not_its_inside(upstream: Upstream, tmp_path: Path) -> None:
    """What the proxy said on CONNECT holds; what the client writes inside its tunnel is believed by nobody."""
    import ipaddress

    trusting = Resolver([ipaddress.ip_network("127.0.0.0/8")], required=True)
    with door(upstream, tmp_path, resolver=trusting) as proxy:
        sock = proxy.connect(f"{AI}:443", headers="X-Authenticated-User: bob\r\n")
        with Client(proxy.trusting("http/1.1").wrap_socket(sock, server_hostname=AI), AI) as client:
            forged = (("X-Authenticated-User", "root"),)
            assert client.request("POST", "/v1/chat/completions", b"{}", headers=forged).status == 200
        (cleared,) = [a.exchange for a in proxy.gate.asked if a.kind == "clear"]
        assert trusting.resolve(cleared).id == "user:bob"
        with pytest.raises(Closed, match="407"):
            proxy.connect(f"{AI}:443")
    (sent,) = upstream.journal.requests
    assert not [name for name, _ in sent.headers if "authenticated" in name.lower()]


def test_too_many_failures_lock_and_the_lock_is_recorded_once(upstream: Upstream, tmp_path: Path) -> None:
    """The failure that locks is a refusal of its own; what follows is refused unseen; who is known is not disturbed."""
    with door(upstream, tmp_path, failures=3) as proxy:
        proxy.connect(f"{AI}:443", headers=field("alice", PASSWORD)).close()
        for _ in range(6):
            with pytest.raises(Closed, match="407"):
                proxy.connect(f"{AI}:443", headers=field("alice", "wrong"))
        details = [a.detail for a in proxy.gate.refusals(Reason.IDENTITY_MISSING)]
        assert details == ["proxy login: wrong", "proxy login: wrong", "proxy login: locked out"]
        assert proxy.gate.refusals()[-1].exchange.subject == Subject(
            "user:alice", "user", "proxy_basic", Assurance.NONE
        )
        proxy.connect(f"{AI}:443", headers=field("alice", PASSWORD)).close()
        outcomes = proxy.gate.wait_outcomes(3)
        assert len(outcomes) == 3


def test_what_cannot_be_checked_is_refused(upstream: Upstream, tmp_path: Path) -> None:
    """A hash that cannot be checked, and a check that takes too long, are a 503 and no tunnel."""

    def broken(hash_: str, password: str) -> bool:
        from sluice.errors import Unavailable

        raise Unavailable(Cause.AUTH_BACKEND_DOWN, "test")

    with door(upstream, tmp_path, check=broken) as proxy:
        with pytest.raises(Closed, match="503"):
            proxy.connect(f"{AI}:443", headers=field("alice", PASSWORD))
        assert proxy.gate.refusals()[0].cause is Cause.AUTH_BACKEND_DOWN
    assert not upstream.journal.connections


def test_a_removed_user_is_out_at_the_next_request(proxy: Proxy, upstream: Upstream) -> None:
    """A tunnel that stands carries no further request once its user's line is gone from the file or changed."""
    sock = proxy.connect(f"{AI}:443", headers=field("alice", PASSWORD))
    with Client(proxy.trusting("http/1.1").wrap_socket(sock, server_hostname=AI), AI) as client:
        assert client.request("POST", "/v1/chat/completions", b"{}").status == 200
        core: Core = proxy.master.core
        assert core.logins is not None
        core.logins.replace({k: v for k, v in USERS.items() if k != "alice"})
        assert client.request("POST", "/v1/chat/completions", b"{}").status == 400
    assert proxy.gate.refusals(Reason.IDENTITY_EXPIRED)
    assert len(upstream.journal.requests) == 1


def test_no_password_leaves_the_door(proxy: Proxy, upstream: Upstream) -> None:
    """Neither the exchange, nor anything that prints it, nor the upstream ever has the credential."""
    with proxy.plain() as client:
        fields = (("Proxy-Authorization", basic("alice", PASSWORD)), ("X-Kept", "1"))
        client.request("POST", f"http://{AI}/v1/x", b"{}", headers=fields, host=AI)
    sock = proxy.connect(f"{AI}:443", headers=field("alice", PASSWORD))
    with Client(proxy.trusting("http/1.1").wrap_socket(sock, server_hostname=AI), AI) as inside:
        inside.request("POST", "/v1/x", b"{}", headers=fields)
    assert len(upstream.journal.requests) >= 1
    for asked in proxy.gate.asked:
        assert not asked.exchange.header_values("proxy-authorization")
        assert basic("alice", PASSWORD)[8:] not in repr(asked.exchange.headers)
    for sent in upstream.journal.requests:
        assert not [name for name, _ in sent.headers if name.lower() == "proxy-authorization"]


def test_policy_may_ask_for_a_login(upstream: Upstream, tmp_path: Path) -> None:
    """A plain request that policy refuses for want of an identity is told to log in; in a tunnel it is a block."""
    from copy import replace

    from tests.rig.gate import BLOCK

    def missing(gate: ObedientGate, exchange: object) -> object:
        refusal = gate.block(exchange)  # type: ignore[arg-type]
        return replace(refusal, decision=replace(BLOCK, reason=Reason.IDENTITY_MISSING))

    gate = ObedientGate(missing)  # type: ignore[arg-type]
    with door(upstream, tmp_path, gate=gate, resolver=Resolver()) as proxy:
        with proxy.plain() as client:
            assert client.request("POST", f"http://{AI}/v1/x", b"{}", host=AI).status == 407
        with proxy.tunnel(AI) as inside:
            assert inside.request("POST", "/v1/x", b"{}").status == 400
    assert not upstream.journal.requests


def test_logins_are_judged_only_where_users_are(upstream: Upstream, tmp_path: Path) -> None:
    """Without a user file a credential is dropped, and a required identity has to come from elsewhere."""
    with Proxy(upstream.address, upstream.ca_pem, tmp_path, gate=ObedientGate()) as proxy:
        proxy.connect(f"{AI}:443", headers=field("alice", "whatever")).close()
        proxy.gate.resolver = Resolver(required=True)
        with pytest.raises(Closed, match="400"):
            proxy.connect(f"{AI}:443", headers=field("alice", "whatever"))


async def test_many_connections_of_one_user_are_one_check() -> None:
    """A browser that opens six connections at once costs one hash."""
    checked: list[str] = []

    def check(hash_: str, password: str) -> bool:
        checked.append(password)
        return password == PASSWORD

    logins = Logins(USERS, check=check)
    made = await asyncio.gather(*(logins.check(basic("alice", PASSWORD), "192.0.2.1", 2) for _ in range(6)))
    assert {login.result.value for login in made} == {"ok"}
    assert len(checked) == 1
    logins.close()
