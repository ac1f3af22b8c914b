"""What `addons.tls` relies on in mitmproxy (T66): a release that changes one of these fails here, not in the field."""

from __future__ import annotations

import inspect
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mitmproxy import tls
from mitmproxy.proxy import server, server_hooks

from addons import tls as gate_tls
from sluice.ca import Authority
from sluice.config import Ca, Settings, Upstream
from tests.tls.lab_pki import issue
from tests.tls.lab_server import PythonServer, lax_server_context
from tests.tls.minimal_proxy import MinimalProxy, client_context, connect, get

HOST = "contract.test"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.load_or_create(tmp_path_factory.mktemp("deployment") / "ca", Ca())


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    directory = tmp_path_factory.mktemp("lab")
    root = issue("Lab root", ca=True)
    (directory / "root.pem").write_bytes(root.certificate_pem())
    (directory / "server.pem").write_bytes(issue(HOST, root, names=[HOST]).pem())
    upstream = PythonServer(lax_server_context(directory / "server.pem"))
    hosts = {HOST: f"127.0.0.1:{upstream.port}"}
    yield Settings(upstream=Upstream(hosts=hosts, trusted_ca=directory / "root.pem", connect_seconds=3))
    upstream.stop()


class NoServerSession:
    """Comes after the gate and takes the upstream's TLS session away, as a failed hook does."""

    def tls_start_server(self, data: tls.TlsData) -> None:
        data.ssl_conn = None


class NoClientSession:
    def tls_start_client(self, data: tls.TlsData) -> None:
        data.ssl_conn = None


class RefuseDial:
    def server_connect(self, data: server_hooks.ServerConnectionHookData) -> None:
        data.server.error = "refused"


def test_without_a_session_nothing_is_sent_upstream(authority: Authority, tmp_path: Path) -> None:
    """A connection that got no TLS session is closed, and not one byte of the request reaches the upstream."""
    received: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def run() -> None:
            peer, _ = listener.accept()
            with peer:
                received.append(peer.recv(4096))

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        hosts = {HOST: f"127.0.0.1:{listener.getsockname()[1]}"}
        plain = Settings(upstream=Upstream(hosts=hosts, connect_seconds=3))
        with MinimalProxy(plain, authority, extra_addons=(NoServerSession(),)) as proxy:
            assert get(proxy.port, authority, HOST)[0] == 502
        thread.join(10)
    assert received == [b""]


def test_without_a_session_the_client_is_closed(authority: Authority, settings: Settings) -> None:
    """The same towards the client: no TLS session, no plaintext conversation."""
    with MinimalProxy(settings, authority, extra_addons=(NoClientSession(),)) as proxy:
        raw = connect(proxy.port, f"{HOST}:443")
        with pytest.raises((ssl.SSLError, ConnectionError)):
            client_context(authority).wrap_socket(raw, server_hostname=HOST)
        assert proxy.witness.connects == []


def test_an_error_set_before_the_dial_prevents_it(authority: Authority, settings: Settings) -> None:
    """`server.error` in `server_connect` means 502 and no connection."""
    with MinimalProxy(settings, authority, extra_addons=(RefuseDial(),)) as proxy:
        assert get(proxy.port, authority, HOST)[0] == 502
        assert proxy.witness.connects == []


def test_a_hook_of_the_gate_that_fails_closes_the_connection(
    authority: Authority, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An exception while the upstream session is prepared leaves none: the client reads a 502."""

    def broken(*_: Any) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(gate_tls.GateTls, "_arm", broken)
    with MinimalProxy(settings, authority) as proxy:
        assert get(proxy.port, authority, HOST)[0] == 502


def test_the_deadline_finds_the_task_that_owns_the_connection(authority: Authority, settings: Settings) -> None:
    """`server_connected` runs in the task that mitmproxy cancels to close a connection; its name says so."""
    assert f'name=f"{gate_tls._TASK} ' in inspect.getsource(server.ConnectionHandler.server_event)
    with MinimalProxy(settings, authority) as proxy:
        assert get(proxy.port, authority, HOST)[0] == 200, "without the task there would have been no session"


def test_no_option_of_mitmproxy_is_read() -> None:
    """Neither file on TLS or dialling looks at mitmproxy's options, environment key logs included."""
    for module in ("tls", "egress", "staple", "failure"):
        text = Path(gate_tls.__file__).with_name(f"{module}.py").read_text("utf-8")
        code = text.split('"""', 2)[2]
        assert "ctx" not in code
        assert "options." not in code
        assert "keylog" not in code.lower()
        assert "environ" not in code


def test_no_key_is_logged_to_a_file(
    authority: Authority, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even with mitmproxy's key logger switched on, our sessions write no secret."""
    from mitmproxy.net import tls as net_tls

    log = tmp_path / "keys"
    monkeypatch.setattr(net_tls, "log_master_secret", net_tls.MasterSecretLogger(log))
    with MinimalProxy(settings, authority) as proxy:
        assert get(proxy.port, authority, HOST)[0] == 200
    assert not log.exists()


def test_quic_and_dtls_get_nothing(authority: Authority, settings: Settings) -> None:
    """QUIC settings stay empty and datagram TLS gets no session, which mitmproxy answers by closing."""
    gate = gate_tls.GateTls(settings, authority)
    for hook in (gate.quic_start_client, gate.quic_start_server):
        data: Any = type("Data", (), {"settings": object()})()
        hook(data)
        assert data.settings is None
    for start in (gate.tls_start_client, gate.tls_start_server):
        datagram = tls.TlsData(None, None, is_dtls=True)  # type: ignore[arg-type]
        start(datagram)
        assert datagram.ssl_conn is None
