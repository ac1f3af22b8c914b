"""T52: what clients meet. TLS 1.2 or 1.3, ECDHE with AEAD, a leaf for the name they asked for, nothing of the CA."""

from __future__ import annotations

import datetime as dt
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from h2.config import H2Configuration
from h2.connection import H2Connection
from mitmproxy.proxy.layers.tls import parse_client_hello
from mitmproxy.tls import ClientHello

from sluice import certificate, metrics
from sluice.ca import Authority
from sluice.config import Ca, Settings, Tunnels, Upstream
from tests.tls.lab_server import lax_client_context
from tests.tls.minimal_proxy import MinimalProxy, client_context, connect, pem

HOST = "api.openai.com"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.load_or_create(tmp_path_factory.mktemp("deployment") / "ca", Ca())


@pytest.fixture(scope="module")
def proxy(authority: Authority) -> Iterator[MinimalProxy]:
    """Nothing upstream is reached: what is looked at here happens before any dial, and the one dial is refused."""
    with MinimalProxy(Settings(tunnels=Tunnels(ports=(80,))), authority) as running:
        yield running


def shake(proxy: MinimalProxy, context: ssl.SSLContext, host: str = HOST, sni: str | None = HOST) -> ssl.SSLSocket:
    bracketed = f"[{host}]" if ":" in host else host
    return context.wrap_socket(connect(proxy.port, f"{bracketed}:443"), server_hostname=sni)


def peer_certificate(tls: ssl.SSLSocket) -> x509.Certificate:
    der = tls.getpeercert(binary_form=True)
    assert der is not None
    return x509.load_der_x509_certificate(der)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_old_protocols_are_not_spoken(version: ssl.TLSVersion, proxy: MinimalProxy) -> None:
    """TLS 1.0 and 1.1 get no handshake, even from a client that has nothing else."""
    context = lax_client_context()
    context.maximum_version = version
    with pytest.raises(ssl.SSLError):
        shake(proxy, context)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_current_protocols_are_spoken(version: ssl.TLSVersion, proxy: MinimalProxy, authority: Authority) -> None:
    """TLS 1.2 and 1.3 both work for a strict client."""
    context = client_context(authority)
    context.minimum_version = context.maximum_version = version
    with shake(proxy, context) as tls:
        assert tls.version() == {ssl.TLSVersion.TLSv1_2: "TLSv1.2", ssl.TLSVersion.TLSv1_3: "TLSv1.3"}[version]


def test_every_suite_that_is_taken_is_ecdhe_with_aead(proxy: MinimalProxy) -> None:
    """Of all TLS 1.2 suites that a client can offer one by one, exactly those with ECDHE and AEAD are taken."""
    offered = lax_client_context()
    offered.maximum_version = ssl.TLSVersion.TLSv1_2
    names = [c["name"] for c in offered.get_ciphers() if c["protocol"] != "TLSv1.3"]
    taken = set()
    for name in names:
        context = lax_client_context()
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers(f"{name}:@SECLEVEL=0")
        try:
            shake(proxy, context).close()
        except ssl.SSLError:
            continue
        taken.add(name)
    assert len(names) > 60
    assert taken == {
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        "ECDHE-ECDSA-AES256-GCM-SHA384",
        "ECDHE-ECDSA-CHACHA20-POLY1305",
    }


def test_the_leaf_is_young_and_its_own(proxy: MinimalProxy, authority: Authority) -> None:
    """A leaf lives at most seven days, holds the host and nothing else, and not the CA's key."""
    with shake(proxy, client_context(authority)) as tls:
        leaf = peer_certificate(tls)
    now = dt.datetime.now(dt.UTC)
    assert leaf.not_valid_before_utc <= now - dt.timedelta(minutes=59)
    assert now < leaf.not_valid_after_utc <= now + dt.timedelta(days=7)
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == [HOST]
    assert certificate.spki_sha256(leaf.public_key()) != certificate.spki_sha256(authority.certificate.public_key())


def test_two_workers_have_two_leaf_keys(tmp_path: Path) -> None:
    """Two workers of one deployment sign with the same CA and present different keys."""
    first, second = (Authority.load_or_create(tmp_path / "ca", Ca()) for _ in range(2))
    assert first.certificate == second.certificate
    keys = {certificate.spki_sha256(a.leaf([HOST]).cert.public_key()) for a in (first, second)}
    assert len(keys) == 2


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        (("h2", "http/1.1"), "h2"),
        (("http/1.1", "h2"), "http/1.1"),
        (("http/1.1",), "http/1.1"),
        (("h3", "spdy/3"), None),
        ((), None),
    ],
)
def test_protocol_negotiation(
    offered: tuple[str, ...], chosen: str | None, proxy: MinimalProxy, authority: Authority
) -> None:
    """HTTP/2 and HTTP/1.1 in the client's order, and nothing else, without failing the handshake."""
    with shake(proxy, client_context(authority, alpn=offered)) as tls:
        assert tls.selected_alpn_protocol() == chosen


def test_an_address_gets_a_certificate_for_an_address(proxy: MinimalProxy, authority: Authority) -> None:
    """CONNECT to an address, without SNI: the leaf names the address, and the client's own check passes."""
    for address in ("203.0.113.7", "2001:db8::7"):
        with shake(proxy, client_context(authority), host=address, sni=address) as tls:
            names = peer_certificate(tls).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
            assert [str(a) for a in names.get_values_for_type(x509.IPAddress)] == [address]


def test_a_mismatch_can_still_be_answered(proxy: MinimalProxy, authority: Authority) -> None:
    """SNI and CONNECT host differ: the leaf holds both, so that the guard's refusal reaches the client as text."""
    with shake(proxy, client_context(authority), host="elsewhere.test", sni=HOST) as tls:
        names = peer_certificate(tls).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert names.get_values_for_type(x509.DNSName) == [HOST, "elsewhere.test"]


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_no_session_outlives_its_connection(version: ssl.TLSVersion, proxy: MinimalProxy, authority: Authority) -> None:
    """Nothing that a client keeps resumes a session, so no key of ours opens a recorded connection later."""
    context = client_context(authority)
    context.minimum_version = context.maximum_version = version
    with shake(proxy, context) as first:
        first.sendall(f"GET / HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n".encode())
        assert first.recv(65536)  # TLS 1.3 sends what could be resumed with the first data
        session = first.session
    assert session is not None
    raw = connect(proxy.port, f"{HOST}:443")
    with context.wrap_socket(raw, server_hostname=HOST, session=session) as second:
        assert second.version() == {ssl.TLSVersion.TLSv1_2: "TLSv1.2", ssl.TLSVersion.TLSv1_3: "TLSv1.3"}[version]
        assert not second.session_reused


def test_openssl_in_strict_mode_agrees(proxy: MinimalProxy, authority: Authority, tmp_path: Path) -> None:
    """`openssl s_client -x509_strict -verify_return_error` completes the handshake through the proxy."""
    anchor = tmp_path / "ca.pem"
    anchor.write_text(pem(authority))
    command = ["openssl", "s_client", "-proxy", f"127.0.0.1:{proxy.port}", "-connect", f"{HOST}:443"]
    command += ["-servername", HOST, "-verify_hostname", HOST, "-x509_strict", "-verify_return_error", "-brief"]
    done = subprocess.run([*command, "-CAfile", anchor], input=b"", capture_output=True, timeout=30)
    assert b"Verification: OK" in done.stderr, done.stderr
    assert done.returncode == 0


def test_a_client_without_our_ca_is_counted(proxy: MinimalProxy) -> None:
    """A client that does not trust us is a number on the metrics page, not silence."""
    before = _rejected()
    with pytest.raises(ssl.SSLCertVerificationError):
        shake(proxy, ssl.create_default_context())
    with pytest.raises(ssl.SSLCertVerificationError):
        shake(proxy, ssl.create_default_context())
    assert _settles(_rejected, before + 2)


def test_a_client_of_another_age_is_not_counted_as_mistrust(proxy: MinimalProxy) -> None:
    """A handshake that failed over the protocol version says nothing about our certificate."""
    before = _rejected()
    context = lax_client_context()
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(ssl.SSLError):
        shake(proxy, context)
    assert not _settles(_rejected, before + 1, seconds=0.3)


def _rejected() -> float:
    return sum(series.count for series in metrics.TLS_CLIENT_REJECT.values())


def _settles(value: Any, expected: float, seconds: float = 5.0) -> bool:
    done = threading.Event()
    for _ in range(int(seconds / 0.02)):
        if value() >= expected:
            return True
        done.wait(0.02)
    return False


@contextmanager
def hello_recorder(seen: list[ClientHello]) -> Iterator[int]:
    """Notes name and protocols of the first ClientHello, then hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def run() -> None:
            peer, _ = listener.accept()
            with peer:
                data = b""
                while (hello := parse_client_hello(data)) is None:
                    data += peer.recv(65536)
                seen.append(hello)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(5)


def h2_get(host: str) -> bytes:
    connection = H2Connection(H2Configuration(client_side=True))
    connection.initiate_connection()
    request = [(":method", "GET"), (":scheme", "https"), (":authority", host), (":path", "/")]
    connection.send_headers(1, request, end_stream=True)
    return connection.data_to_send()


@pytest.mark.parametrize(
    ("alpn", "offered_upstream"),
    [(("h2", "http/1.1"), [b"h2", b"http/1.1"]), (("http/1.1",), [b"http/1.1"]), ((), [b"http/1.1"])],
)
def test_the_upstream_sees_the_dialled_name_and_the_clients_protocol(
    alpn: tuple[str, ...], offered_upstream: list[bytes], authority: Authority
) -> None:
    """SNI upstream is the CONNECT host whatever the client's SNI said; HTTP/2 is offered for clients that speak it."""
    seen: list[ClientHello] = []
    with hello_recorder(seen) as port:
        settings = Settings(upstream=Upstream(hosts={"real.test": f"127.0.0.1:{port}"}, connect_seconds=3))
        with (
            MinimalProxy(settings, authority) as proxy,
            shake(proxy, client_context(authority, alpn=alpn), host="real.test", sni="decoy.test") as tls,
        ):
            http2 = tls.selected_alpn_protocol() == "h2"
            tls.sendall(h2_get("real.test") if http2 else b"GET / HTTP/1.1\r\nHost: real.test\r\n\r\n")
            assert _settles(lambda: len(seen), 1)
    (hello,) = seen
    assert (hello.sni, list(hello.alpn_protocols)) == ("real.test", offered_upstream)
    assert dict(hello.extensions)[43] == b"\x04\x03\x04\x03\x03", "supported_versions: TLS 1.3 and 1.2, no other"
