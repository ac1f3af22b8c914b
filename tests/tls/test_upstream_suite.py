"""T51: about seventy upstreams that are wrong in one way each, and a few that only look so, through a real proxy.

Every row is first opened by a client that accepts anything, so that a refusal is ours and not the server's.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import certifi
import pytest

from addons.egress import AddressInfo, GuardedLoop, StaticAddress
from addons.failure import Failure
from sluice.ca import Authority
from sluice.config import Ca, Settings, Upstream
from sluice.errors import Reason
from tests.tls import lab_server
from tests.tls.lab_rows import ACCEPT, KNOWN_BAD_ROOTS, ROWS, UNSERVABLE, Lab, Row, many_names
from tests.tls.lab_server import OpensslServer, PythonServer, control
from tests.tls.minimal_proxy import MinimalProxy, get


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return Lab(tmp_path_factory.mktemp("lab"))


@pytest.fixture(scope="module")
def ports(lab: Lab) -> Iterator[dict[str, int]]:
    """A running server for each row: row name to port."""
    servers = {row.name: _serve(lab, row) for row in ROWS}
    yield {name: server.port for name, server in servers.items()}
    for server in servers.values():
        server.stop()


def _serve(lab: Lab, row: Row) -> PythonServer | OpensslServer:
    issued = row.make(lab, row.server_name)
    path = lab.directory / f"{row.name}.pem"
    path.write_bytes(issued.pem())
    if row.staple is not None:
        answer = path.with_suffix(".ocsp")
        answer.write_bytes(row.staple(lab, issued))
        return OpensslServer(path, "-status_file", str(answer))
    context = lab_server.lax_server_context(path)
    if row.tls is not None:
        row.tls(lab, context)
    return PythonServer(context)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.load_or_create(tmp_path_factory.mktemp("deployment") / "ca", Ca())


@pytest.fixture(scope="module", params=["site", "public"])
def proxy(
    request: pytest.FixtureRequest, lab: Lab, ports: dict[str, int], authority: Authority
) -> Iterator[tuple[str, MinimalProxy]]:
    """A proxy to which the lab's roots are the site's own, then one to which they are the public ones.

    One after the other: mitmproxy keeps its current master in a global.
    """
    hosts = {row.server_name: f"127.0.0.1:{ports[row.name]}" for row in ROWS}
    upstream = Upstream(hosts=hosts, connect_seconds=5, trusted_ca=lab.roots() if request.param == "site" else None)
    roots = lab.roots() if request.param == "public" else None
    # Options that loosen mitmproxy's own TLS: they must not matter.
    loose = {"ssl_insecure": True, "ssl_verify_upstream_trusted_ca": str(lab.roots())}
    with MinimalProxy(Settings(upstream=upstream), authority, public_roots=roots, **loose) as running:
        yield request.param, running


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_each_upstream_is_accepted_or_refused_as_specified(
    row: Row, proxy: tuple[str, MinimalProxy], ports: dict[str, int], authority: Authority
) -> None:
    """Row for row: what a careful client would not talk to gets a 502 with its reason, and everything else works."""
    assert control(ports[row.name], row.server_name).startswith(b"HTTP/1."), (
        "without the control the row proves nothing"
    )
    trust, running = proxy
    expected = row.site if trust == "site" else row.expected_public
    before = len(running.witness.failures)
    status, body = get(running.port, authority, row.server_name)
    failures = running.witness.failures[before:]
    if expected == ACCEPT:
        assert (status, failures) == (200, [])
    else:
        assert (status, failures) == (502, [Failure(Reason.UPSTREAM_TLS, expected)]), running.witness.errors[-1:]
        assert body != b"ok"


@pytest.mark.parametrize("label", UNSERVABLE)
def test_what_cannot_be_served_here_is_known(label: str) -> None:
    """Rows that this OpenSSL cannot serve are listed, not dropped: the day it can, this test says so."""
    with pytest.raises(ssl.SSLError):
        lab_server.lax_server_context(None).set_ciphers(f"{UNSERVABLE[label]}:@SECLEVEL=0")


def test_a_certificate_too_large_to_read_is_refused(lab: Lab, authority: Authority) -> None:
    """10,000 names (badssl 10000-sans) pass OpenSSL's 100 KB for a chain: no client of its family reads it, nor we."""
    path = lab.directory / "10000-sans.pem"
    path.write_bytes(many_names(10_000)(lab, "10000-sans.suite.test").pem())
    server = PythonServer(lab_server.lax_server_context(path))
    upstream = Upstream(hosts={"10000-sans.suite.test": f"127.0.0.1:{server.port}"}, trusted_ca=lab.roots())
    try:
        with pytest.raises(ssl.SSLError, match="EXCESSIVE_MESSAGE_SIZE"):
            control(server.port, "10000-sans.suite.test")
        with MinimalProxy(Settings(upstream=upstream), authority) as proxy:
            assert get(proxy.port, authority, "10000-sans.suite.test")[0] == 502
            assert proxy.witness.failures == [Failure(Reason.UPSTREAM_TLS, "other")]
    finally:
        server.stop()


def test_roots_of_known_interception_software_are_not_trusted() -> None:
    """Superfish, eDellRoot and their kind are not among the public roots that upstreams are verified against."""
    subjects = Path(certifi.where()).read_text("utf-8").lower()
    assert "isrg root x1" in subjects, "the bundle must name its roots for this test to mean anything"
    assert [name for name in KNOWN_BAD_ROOTS if name in subjects] == []


class _LabLoop(GuardedLoop):
    """Dials one port for every name, as if DNS had said so: for names that the map does not hold."""

    port = 0

    async def resolve(self, *_: Any, **__: Any) -> list[AddressInfo]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", StaticAddress(("127.0.0.1", self.port)))]


def test_the_sites_ca_counts_for_mapped_hosts_alone(lab: Lab, ports: dict[str, int], authority: Authority) -> None:
    """A host outside `upstream.hosts` is verified against the public roots only, whatever `trusted_ca` says."""
    root = lab.roots()
    _LabLoop.port = ports["wildcard"]
    hosts = {"mapped.suite.test": f"127.0.0.1:{ports['wildcard']}"}
    settings = Settings(upstream=Upstream(hosts=hosts, trusted_ca=root))
    with MinimalProxy(settings, authority, loop_factory=_LabLoop) as proxy:
        assert get(proxy.port, authority, "mapped.suite.test")[0] == 200
        assert get(proxy.port, authority, "unmapped.suite.test")[0] == 502
        assert proxy.witness.failures == [Failure(Reason.UPSTREAM_TLS, "untrusted_issuer")]
