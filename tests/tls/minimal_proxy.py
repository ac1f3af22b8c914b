"""A real mitmproxy master with only what TLS and dialling need, in a thread of its own; and a client that says CONNECT.

The appliance's own chain is tested elsewhere; here a refusal must come from `addons.tls` or `addons.egress` alone.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding
from mitmproxy import http, options
from mitmproxy.addons import next_layer, proxyserver
from mitmproxy.master import Master
from mitmproxy.proxy import server_hooks

from addons.egress import GuardedLoop
from addons.tls import GateTls
from sluice.ca import Authority
from sluice.config import Settings


@dataclass
class Witness:
    """What the proxy said of upstream failures, and how upstream connections came to be."""

    errors: list[str] = field(default_factory=list)
    failures: list[Any] = field(default_factory=list)
    connects: list[str] = field(default_factory=list)
    upstream: list[dict[str, Any]] = field(default_factory=list)
    gate: GateTls | None = None

    def error(self, flow: http.HTTPFlow) -> None:
        assert flow.error is not None
        assert self.gate is not None
        self.errors.append(flow.error.msg)
        self.failures.append(self.gate.failure(flow.client_conn))

    def server_connected(self, data: server_hooks.ServerConnectionHookData) -> None:
        self.connects.append(str(data.server.peername))

    def response(self, flow: http.HTTPFlow) -> None:
        s = flow.server_conn
        self.upstream.append({"sni": s.sni, "alpn": s.alpn, "version": s.tls_version, "cipher": s.cipher})


class _Announce:
    """Tells the starting thread the port, once mitmproxy says that it runs."""

    def __init__(self, proxy: MinimalProxy, server: proxyserver.Proxyserver) -> None:
        self._proxy, self._server = proxy, server

    def running(self) -> None:
        self._proxy.announce(self._server.listen_addrs()[0][1])


class MinimalProxy:
    """Listens on a free port of 127.0.0.1 between `start` and `stop`."""

    def __init__(
        self,
        settings: Settings,
        authority: Authority,
        *,
        public_roots: Path | None = None,
        loop_factory: Callable[[Settings], asyncio.AbstractEventLoop] = GuardedLoop,
        extra_addons: tuple[Any, ...] = (),
        **mitm_options: Any,
    ) -> None:
        self._settings, self._authority, self._roots = settings, authority, public_roots
        self._loop_factory, self._extra, self._options = loop_factory, extra_addons, mitm_options
        self.witness = Witness()
        self.port = 0
        self._ready = threading.Event()
        self._failed: BaseException | None = None
        self._master: Master | None = None
        self._thread = threading.Thread(target=self._main, name="minimal proxy", daemon=True)

    def __enter__(self) -> MinimalProxy:
        self._thread.start()
        assert self._ready.wait(15), "the proxy did not start"
        if self._failed is not None:
            raise self._failed
        return self

    def __exit__(self, *_: object) -> None:
        assert self._master is not None
        self._master.shutdown()
        self._thread.join(15)
        assert not self._thread.is_alive(), "the proxy did not stop"

    def announce(self, port: int) -> None:
        self.port = port
        self._ready.set()

    def _main(self) -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: self._loop_factory(self._settings)) as runner:
                runner.run(self._serve())
        except BaseException as e:
            self._failed = e
            self._ready.set()

    async def _serve(self) -> None:
        master = Master(options.Options(listen_host="127.0.0.1", listen_port=0))
        self._master = master
        self.witness.gate = GateTls(self._settings, self._authority, public_roots=self._roots)
        server = proxyserver.Proxyserver()
        master.addons.add(server, next_layer.NextLayer(), self.witness.gate, self.witness, *self._extra)
        master.options.update(connection_strategy="lazy", rawtcp=False, http3=False, **self._options)
        master.addons.add(_Announce(self, server))
        await master.run()


def connect(port: int, authority: str, *, timeout: float = 15.0) -> socket.socket:
    """A tunnel through the proxy; the socket after its 200. Raises ConnectionError with the status line otherwise."""
    sock = socket.create_connection(("127.0.0.1", port), timeout=timeout)
    sock.sendall(f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n".encode("utf-8", "surrogateescape"))
    head = b""
    while b"\r\n\r\n" not in head:
        if not (more := sock.recv(4096)):
            break
        head += more
    if b" 200 " not in head.split(b"\r\n")[0] + b" ":
        sock.close()
        raise ConnectionError(head.split(b"\r\n")[0].decode("latin-1"))
    return sock


def client_context(authority: Authority, *, alpn: tuple[str, ...] = ("http/1.1",)) -> ssl.SSLContext:
    """Python 3.13's default client, strict mode included, that trusts nothing but the deployment's CA."""
    context = ssl.create_default_context(cadata=pem(authority))
    assert context.verify_flags & ssl.VERIFY_X509_STRICT
    context.set_alpn_protocols(list(alpn))
    return context


def pem(authority: Authority) -> str:
    return ssl.DER_cert_to_PEM_cert(authority.certificate.public_bytes(Encoding.DER))


def get(
    proxy_port: int, authority: Authority, host: str, *, port: int = 443, timeout: float = 15.0
) -> tuple[int, bytes]:
    """One GET over CONNECT and TLS: (status, body)."""
    bracketed = f"[{host}]" if ":" in host else host
    with (
        connect(proxy_port, f"{bracketed}:{port}", timeout=timeout) as raw,
        client_context(authority).wrap_socket(raw, server_hostname=host) as tls,
    ):
        tls.sendall(f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        return read_answer(tls)


def read_answer(stream: socket.socket) -> tuple[int, bytes]:
    """Status and body of an HTTP/1.1 answer that ends with the connection."""
    answer = b""
    while more := stream.recv(65536):
        answer += more
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split(b" ")[1]), body
