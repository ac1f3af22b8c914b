"""CPU of TLS: a new tunnel with its two handshakes through our `GateTls` and through mitmproxy's own `TlsConfig`.

The same minimal master in a process of its own, once with each; same client, same upstream, in turns. CPU is the
user + system time of the proxy process over new tunnels (CONNECT, both handshakes, one GET, close) after warm-up.
Before them the parts, in memory: minting, the handshake towards a client, the one towards an upstream, and what an
upstream context costs when it is made anew.

    python -m tests.bench.bench_tls [--quick]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import resource
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import certifi
from mitmproxy import connection, options, tls
from mitmproxy.addons import next_layer, proxyserver, tlsconfig
from mitmproxy.master import Master
from OpenSSL import SSL

from addons.egress import GuardedLoop
from addons.tls import GateTls, _upstream_context
from sluice.ca import Authority
from sluice.config import Ca, Settings, Upstream
from tests.tls.lab_pki import issue
from tests.tls.lab_server import PythonServer, lax_client_context, lax_server_context
from tests.tls.minimal_proxy import connect

HOST = "bench.test"


# ------------------------------------------------------------------------------------------------- whole tunnels


async def _serve(kind: str, settings: Settings, directory: Path) -> None:
    """The child: prints its port, then its CPU seconds for every line on its input."""
    master = Master(options.Options(listen_host="127.0.0.1", listen_port=0, confdir=str(directory / "stock")))
    server = proxyserver.Proxyserver()
    authority = Authority.load_or_create(directory / "ca", Ca())
    side: Any = GateTls(settings, authority) if kind == "gate" else tlsconfig.TlsConfig()
    master.addons.add(server, next_layer.NextLayer(), side, SimpleNamespace(running=lambda: _announce(server)))
    master.options.update(connection_strategy="lazy", rawtcp=False, http3=False)
    if kind == "stock":
        master.options.update(ssl_verify_upstream_trusted_ca=str(settings.upstream.trusted_ca), upstream_cert=False)
    loop = asyncio.get_running_loop()
    loop.add_reader(sys.stdin, lambda: _report(master))
    await master.run()


def _announce(server: proxyserver.Proxyserver) -> None:
    print(server.listen_addrs()[0][1], flush=True)


def _report(master: Master) -> None:
    if not sys.stdin.readline():
        master.shutdown()
        return
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(used.ru_utime + used.ru_stime, flush=True)


class _Child:
    def __init__(self, kind: str, port: int, anchor: Path, directory: Path) -> None:
        command = [
            sys.executable,
            "-m",
            "tests.bench.bench_tls",
            "--serve",
            kind,
            str(port),
            str(anchor),
            str(directory),
        ]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.port = int(self._line())

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()

    def cpu(self) -> float:
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return float(self._line())

    def stop(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(10)


def _tunnel(port: int, context: ssl.SSLContext) -> None:
    with connect(port, f"{HOST}:443") as raw, context.wrap_socket(raw, server_hostname=HOST) as stream:
        stream.sendall(b"GET / HTTP/1.1\r\nHost: bench.test\r\nConnection: close\r\n\r\n")
        answer = b""
        while more := stream.recv(65536):
            answer += more
    if not answer.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(answer[:200])


def tunnels(directory: Path, rounds: int, count: int) -> dict[str, float]:
    """Milliseconds of proxy CPU per new tunnel: median over rounds, the two kinds in turns."""
    root = issue("Bench root", ca=True)
    server_file, anchor = directory / "server.pem", directory / "root.pem"
    server_file.write_bytes(issue(HOST, root, names=[HOST]).pem())
    anchor.write_bytes(root.certificate_pem())
    upstream = PythonServer(lax_server_context(server_file))
    children = {kind: _Child(kind, upstream.port, anchor, directory) for kind in ("stock", "gate")}
    context = lax_client_context()
    spent: dict[str, list[float]] = {kind: [] for kind in children}
    try:
        for child in children.values():
            for _ in range(20):
                _tunnel(child.port, context)
        for _ in range(rounds):
            for kind, child in children.items():
                before = child.cpu()
                for _ in range(count):
                    _tunnel(child.port, context)
                spent[kind].append((child.cpu() - before) / count * 1000)
    finally:
        for child in children.values():
            child.stop()
        upstream.stop()
    return {kind: statistics.median(values) for kind, values in spent.items()}


# ---------------------------------------------------------------------------------------------------------- parts


def _per_call(work: Callable[[], object], count: int) -> float:
    """Milliseconds of CPU per call."""
    work()
    before = time.process_time()
    for _ in range(count):
        work()
    return (time.process_time() - before) / count * 1000


def _shake(ours: SSL.Connection, theirs: ssl.SSLObject, to_them: ssl.MemoryBIO, from_them: ssl.MemoryBIO) -> float:
    """Drive both sides in memory; CPU seconds of ours."""
    spent = 0.0
    for _ in range(6):
        before = time.process_time()
        with contextlib.suppress(SSL.WantReadError):
            ours.do_handshake()
        with contextlib.suppress(SSL.WantReadError):
            to_them.write(ours.bio_read(65536))
        spent += time.process_time() - before
        with contextlib.suppress(ssl.SSLWantReadError):
            theirs.do_handshake()
        if data := from_them.read():
            ours.bio_write(data)
    return spent


def parts(directory: Path, count: int) -> dict[str, float]:
    """Milliseconds of CPU for each step, in memory."""
    authority = Authority.load_or_create(directory / "ca", Ca())
    root, anchor = issue("Bench root", ca=True), directory / "parts-root.pem"
    anchor.write_bytes(root.certificate_pem())
    settings = Settings(upstream=Upstream(hosts={HOST: "127.0.0.1:1"}, trusted_ca=anchor))
    gate = GateTls(settings, authority)
    gate._arm = lambda server: None  # type: ignore[method-assign]
    names = iter(range(10**9))
    out = {
        "mint a leaf": _per_call(lambda: authority.leaf([f"h{next(names)}.test"]), count),
        "find a leaf": _per_call(lambda: authority.leaf([HOST]), count),
        "make an upstream context (certifi)": _per_call(
            lambda: _upstream_context([Path(certifi.where())], strict=True), max(count // 20, 5)
        ),
    }
    server_file = directory / "parts-server.pem"
    server_file.write_bytes(issue(HOST, root, names=[HOST]).pem())
    server_context, client_context = lax_server_context(server_file), lax_client_context()
    out["handshake with a client"] = (
        statistics.mean(_client_handshake(gate, client_context) for _ in range(count)) * 1000
    )
    out["handshake with an upstream"] = (
        statistics.mean(_server_handshake(gate, server_context) for _ in range(count)) * 1000
    )
    return out


def _context() -> Any:
    client = connection.Client(peername=("127.0.0.1", 1), sockname=("127.0.0.1", 2), sni=HOST)
    return SimpleNamespace(client=client, server=connection.Server(address=(HOST, 443)), layers=[])


def _client_handshake(gate: GateTls, theirs: ssl.SSLContext) -> float:
    before = time.process_time()
    context = _context()
    data = tls.TlsData(context.client, context)
    gate.tls_start_client(data)
    assert data.ssl_conn is not None
    spent = time.process_time() - before
    to_them, from_them = ssl.MemoryBIO(), ssl.MemoryBIO()
    return spent + _shake(data.ssl_conn, theirs.wrap_bio(to_them, from_them, server_hostname=HOST), to_them, from_them)


def _server_handshake(gate: GateTls, theirs: ssl.SSLContext) -> float:
    before = time.process_time()
    context = _context()
    data = tls.TlsData(context.server, context)
    gate.tls_start_server(data)
    assert data.ssl_conn is not None
    spent = time.process_time() - before
    to_them, from_them = ssl.MemoryBIO(), ssl.MemoryBIO()
    return spent + _shake(data.ssl_conn, theirs.wrap_bio(to_them, from_them, server_side=True), to_them, from_them)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.bench_tls")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--serve", nargs=4, metavar=("KIND", "PORT", "ANCHOR", "DIRECTORY"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        kind, port, anchor, directory = given.serve
        settings = Settings(upstream=Upstream(hosts={HOST: f"127.0.0.1:{port}"}, trusted_ca=Path(anchor)))
        with asyncio.Runner(loop_factory=lambda: GuardedLoop(settings)) as runner:
            runner.run(_serve(kind, settings, Path(directory)))
        return
    with tempfile.TemporaryDirectory() as directory:
        for name, value in parts(Path(directory), 50 if given.quick else 300).items():
            print(f"{name:<40} {value:8.3f} ms CPU")
        found = tunnels(Path(directory), *((2, 30) if given.quick else (5, 100)))
    for kind, value in found.items():
        print(f"{'new tunnel, ' + kind:<40} {value:8.3f} ms CPU")
    print(f"{'ratio gate / stock':<40} {found['gate'] / found['stock']:8.2f}")


if __name__ == "__main__":
    main()
