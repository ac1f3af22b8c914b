"""TLS servers for the upstream suite: one per row, on a port of its own, answering every request with `ok`."""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import subprocess
import threading
import time
from pathlib import Path

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"


def lax_server_context(certificate: Path | None) -> ssl.SSLContext:
    """Everything that this OpenSSL still has, so that a row can choose what is wrong."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    if certificate is not None:
        context.load_cert_chain(certificate)
    return context


def lax_client_context() -> ssl.SSLContext:
    """A client that accepts anything this OpenSSL can speak: the control of every row."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.set_ciphers("ALL:COMPLEMENTOFALL:@SECLEVEL=0")
    return context


def control(port: int, host: str) -> bytes:
    """What the lax client reads: ends in `ok`. Raises OSError when even it cannot connect."""
    with (
        socket.create_connection(("127.0.0.1", port), timeout=10) as raw,
        lax_client_context().wrap_socket(raw, server_hostname=host) as tls,
    ):
        tls.sendall(f"GET / HTTP/1.0\r\nHost: {host}\r\n\r\n".encode())
        got = b""
        with contextlib.suppress(ssl.SSLError, ConnectionResetError):  # a peer that closes without close_notify
            while more := tls.recv(65536):
                got += more
        return got


class PythonServer:
    """Python's ssl in threads."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                raw, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(raw,), daemon=True).start()

    def _answer(self, raw: socket.socket) -> None:
        raw.settimeout(10)
        with contextlib.suppress(OSError), raw, self._context.wrap_socket(raw, server_side=True) as tls:
            tls.recv(65536)
            tls.sendall(ANSWER)

    def stop(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)


class OpensslServer:
    """`openssl s_server -www`, for what Python's ssl cannot serve: stapled answers, client certificates that hang."""

    def __init__(self, certificate: Path, *options: str) -> None:
        command = ["openssl", "s_server", "-accept", "127.0.0.1:0", "-www", "-cert", str(certificate)]
        command += ["-key", str(certificate), "-cert_chain", str(certificate), *options]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.port = self._read_port()
        threading.Thread(target=self._drain, daemon=True).start()

    def _read_port(self) -> int:
        assert self._process.stdout is not None
        until, seen = time.monotonic() + 10, ""
        while time.monotonic() < until:
            line = self._process.stdout.readline()
            seen += line
            if found := re.search(r"ACCEPT 127\.0\.0\.1:(\d+)", line):
                return int(found[1])
            if not line:
                break
        raise RuntimeError(f"openssl s_server did not start: {seen}")

    def _drain(self) -> None:
        assert self._process.stdout is not None
        for _ in self._process.stdout:
            pass

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(10)
