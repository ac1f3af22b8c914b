"""The proxy core of one worker on a thread: real event loop, real master, real TLS, a socket on loopback."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Self

import msgspec
from cryptography.hazmat.primitives import serialization

from addons.egress import GuardedLoop
from addons.master import GateMaster, Listener
from addons.tls import GateTls
from sluice import ca
from sluice.config import Limits, Settings, Tunnels, Upstream
from tests.rig.gate import ObedientGate
from tests.rig.wire import Client, connect

HOSTS = (
    "api.openai.com",
    "api.anthropic.com",
    "generativelanguage.googleapis.com",
    "example.com",
    "github.com",
)
"""Names that the static host map sends to the upstream of the test."""


def settings_for(
    directory: Path,
    upstream: str,
    upstream_ca: bytes,
    *,
    hosts: Iterable[str] = HOSTS,
    limits: dict[str, Any] | None = None,
    tunnels: dict[str, Any] | None = None,
    balancers: tuple[str, ...] = (),
    connect_seconds: float = 5.0,
) -> Settings:
    """Settings of an appliance whose providers are all the upstream of the test."""
    trusted = directory / "upstream-ca.pem"
    trusted.write_bytes(upstream_ca)
    plain = Settings()
    return msgspec.structs.replace(
        plain,
        paths=msgspec.structs.replace(plain.paths, var=directory / "var"),
        upstream=Upstream(hosts=dict.fromkeys(hosts, upstream), trusted_ca=trusted, connect_seconds=connect_seconds),
        proxy=msgspec.structs.replace(plain.proxy, protocol_from=balancers),
        limits=Limits(**(limits or {})),
        tunnels=Tunnels(**(tunnels or {})),
    )


class Proxy:
    """Context manager. `address` is where it listens, `gate` the gate it asks, `ca_pem` what clients must trust."""

    def __init__(
        self,
        upstream: str,
        upstream_ca: bytes,
        directory: Path,
        *,
        gate: Any = None,
        prepare: Callable[[GateMaster], None] | None = None,
        **settings: Any,
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.gate = gate if gate is not None else ObedientGate()
        self.settings = settings_for(directory, upstream, upstream_ca, **settings)
        self._prepare = prepare
        self._thread = threading.Thread(target=self._run, name="proxy", daemon=True)
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._stop: asyncio.Event | None = None
        self.loop: asyncio.AbstractEventLoop
        self.master: GateMaster
        self.listener: Listener
        self.address: tuple[str, int]
        self.ca_pem = b""
        self._context: dict[tuple[str, ...], ssl.SSLContext] = {}

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait(20)
        if self._failure is not None:
            raise self._failure
        return self

    def __exit__(self, *_: object) -> None:
        if self._stop is not None:
            self.loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(20)
        assert not self._thread.is_alive(), "the proxy did not end"

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: GuardedLoop(self.settings)) as runner:
                runner.run(self._serve())
        except BaseException as e:
            self._failure = e
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.loop.set_task_factory(asyncio.eager_task_factory)  # type: ignore[arg-type]
        self._stop = asyncio.Event()
        authority = ca.Authority.load_or_create(self.settings.ca_dir, self.settings.ca)
        self.ca_pem = authority.certificate.public_bytes(serialization.Encoding.PEM)
        self.master = GateMaster(self.settings, self.gate, GateTls(self.settings, authority))
        if self._prepare:
            self._prepare(self.master)
        self.listener = Listener(self.master)
        with socket.create_server(("127.0.0.1", 0)) as listening:
            self.address = listening.getsockname()
            await self.listener.start(listening)
            self._ready.set()
            await self._stop.wait()
            await self.listener.drain(0.5)

    def call[T](self, make: Callable[[], Any]) -> Any:
        """Run a coroutine function on the proxy's loop and wait for its result."""
        return asyncio.run_coroutine_threadsafe(make(), self.loop).result(20)

    # ------------------------------------------------------------------------------------------------------- clients

    def trusting(self, *alpn: str) -> ssl.SSLContext:
        """A client context that trusts this proxy's CA alone."""
        if alpn not in self._context:
            context = ssl.create_default_context(cadata=self.ca_pem.decode())
            context.set_alpn_protocols(list(alpn or ("http/1.1",)))
            self._context[alpn] = context
        return self._context[alpn]

    def plain(self) -> Client:
        """A connection to the proxy itself."""
        return Client(socket.create_connection(self.address, timeout=10))

    def connect(self, authority: str, **options: Any) -> socket.socket:
        """A CONNECT tunnel, without TLS in it yet."""
        return connect(self.address, authority, **options)

    def tunnel(
        self, host: str, port: int = 443, *, sni: str | None = None, alpn: str = "http/1.1", **options: Any
    ) -> Client:
        """A decrypted tunnel: CONNECT, then TLS with the proxy's certificate."""
        sock = self.connect(f"{host}:{port}", **options)
        return Client(self.trusting(alpn).wrap_socket(sock, server_hostname=sni or host), host)
