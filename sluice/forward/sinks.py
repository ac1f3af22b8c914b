"""Where events go: a syslog collector over TCP or TLS, a webhook, a file that is rotated.

`send` returns when the receiver has taken the batch, as far as its protocol can say so: a 2xx for a webhook, a flush
for a file. Syslog has no acknowledgement (RFC 5425, RFC 6587); there a batch counts as taken when the other machine's
kernel has acknowledged every byte, so a collector that dies with them in its buffer can still lose them.
"""

from __future__ import annotations

import fcntl
import hmac
import http.client
import os
import socket
import ssl
import struct
import termios
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from sluice import durable
from sluice.config import ForwardTo

TIMEOUT = 10.0
"""Seconds that a receiver may be silent."""
PORTS = {"syslog+tcp": 601, "syslog+tls": 6514, "http": 80, "https": 443}
"""Where a URL names no port (RFC 6587, RFC 5425)."""
NEVER = frozenset({400, 413, 415, 422})
"""Answers of a webhook that the same event would always get."""


class Rejected(Exception):
    """The receiver will never take this."""


class Sink(ABC):
    """One receiver. Used by one thread."""

    @abstractmethod
    def send(self, events: Sequence[bytes]) -> None:
        """Bring a batch there. Raises OSError when that did not work, `Rejected` when it never will."""

    def close(self) -> None:
        """Let go of a connection."""
        return


class Syslog(Sink):
    """A collector. One connection is kept; messages are framed by their length (RFC 6587, 3.4.1; RFC 5425, 4.3)."""

    def __init__(self, host: str, port: int, context: ssl.SSLContext | None = None) -> None:
        self._to = (host, port)
        self._context = context
        self._open: socket.socket | None = None

    def send(self, events: Sequence[bytes]) -> None:
        try:
            connection = self._connection()
            connection.sendall(b"".join(b"%d " % len(event) + event for event in events))
            _until_acknowledged(connection)
        except BaseException:
            self.close()
            raise

    def _connection(self) -> socket.socket:
        if self._open is not None and not _gone(self._open):
            return self._open
        self.close()
        made = socket.create_connection(self._to, TIMEOUT)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if self._context is not None:
            try:
                made = self._context.wrap_socket(made, server_hostname=self._to[0])
            except BaseException:
                made.close()
                raise
        self._open = made
        return made

    def close(self) -> None:
        if self._open is not None:
            self._open.close()
            self._open = None


def _gone(connection: socket.socket) -> bool:
    """Whether the collector has closed: what is written to such a socket vanishes without an error."""
    connection.setblocking(False)
    try:
        return not connection.recv(1024)
    except (BlockingIOError, ssl.SSLWantReadError):
        return False
    except OSError:
        return True
    finally:
        connection.settimeout(TIMEOUT)


def _until_acknowledged(connection: socket.socket) -> None:
    """Until the other side's kernel has everything (`SIOCOUTQ`, tcp(7)). Raises TimeoutError, ConnectionError."""
    until = time.monotonic() + TIMEOUT
    while struct.unpack("i", fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, b"\0" * 4))[0]:
        if time.monotonic() > until:
            raise TimeoutError("the collector does not read")
        time.sleep(0.002)
    if error := connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
        raise ConnectionError(error, os.strerror(error))


class Webhook(Sink):
    """An HTTP endpoint that takes a JSON array by POST."""

    def __init__(self, url: str, context: ssl.SSLContext | None, token: str = "", secret: str = "") -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port
        self._path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._context = context
        self._token, self._secret = token, secret
        self._open: http.client.HTTPConnection | None = None

    def send(self, events: Sequence[bytes]) -> None:
        body = b"[" + b",".join(events) + b"]"
        headers = {"content-type": "application/json", "user-agent": "sluice", "x-sluice-events": str(len(events))}
        if self._token:
            headers["authorization"] = f"Bearer {self._token}"
        if self._secret:
            headers["x-sluice-signature"] = "sha256=" + hmac.digest(self._secret.encode(), body, "sha256").hex()
        try:
            connection = self._connection()
            connection.request("POST", self._path, body, headers)
            answer = connection.getresponse()
            answer.read(64 * 1024)
        except http.client.HTTPException as e:
            self.close()
            raise ConnectionError(f"no HTTP answer: {type(e).__name__}") from e
        except BaseException:
            self.close()
            raise
        if answer.will_close:
            self.close()
        if answer.status in NEVER:
            raise Rejected(f"HTTP {answer.status}")
        if not 200 <= answer.status < 300:
            raise ConnectionError(f"HTTP {answer.status}")

    def _connection(self) -> http.client.HTTPConnection:
        if self._open is None or self._open.sock is None or _gone(self._open.sock):
            self.close()
            if self._context is not None:
                self._open = http.client.HTTPSConnection(self._host, self._port, timeout=TIMEOUT, context=self._context)
            else:
                self._open = http.client.HTTPConnection(self._host, self._port, timeout=TIMEOUT)
            self._open.connect()
        return self._open

    def close(self) -> None:
        if self._open is not None:
            self._open.close()
            self._open = None


class RotatingFile(Sink):
    """A file of one event a line, flushed with every batch; `file.1` is the newest of those before it.

    A crash may leave a line cut off; its events are there once more behind it, and a reader passes it over.
    """

    def __init__(self, path: Path, most: int, keep: int) -> None:
        self._path, self._most, self._keep = path, most, keep

    def send(self, events: Sequence[bytes]) -> None:
        self._path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
        data = b"".join(event + b"\n" for event in events)
        try:
            size = self._path.stat().st_size
        except FileNotFoundError:
            size = 0
        if size and size + len(data) > self._most:
            self._rotate()
        elif size and _torn(self._path):
            data = b"\n" + data  # a crash cut the last line: the next event must not become a part of it
        durable.append(self._path, data, 0o640)

    def _rotate(self) -> None:
        for number in range(self._keep, 0, -1):
            older = self._path.with_name(f"{self._path.name}.{number}")
            newer = self._path if number == 1 else self._path.with_name(f"{self._path.name}.{number - 1}")
            if newer.exists():
                newer.replace(older)
        durable.flush_directory(self._path.parent)


def _torn(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) != b"\n"


def make(to: ForwardTo) -> Sink:
    """The receiver of a setting. Raises OSError for a certificate or token that cannot be read, ValueError for a bad
    one."""
    parts = urlsplit(to.url)
    if parts.scheme == "file":
        return RotatingFile(Path(parts.path), to.file_bytes, to.file_keep)
    secured = context(to) if parts.scheme in ("syslog+tls", "https") else None
    if parts.scheme.startswith("syslog+"):
        return Syslog(parts.hostname or "", parts.port or PORTS[parts.scheme], secured)
    return Webhook(to.url, secured, _secret(to.token), _secret(to.signing))


def context(to: ForwardTo) -> ssl.SSLContext:
    """What a receiver's certificate has to prove, and ours. Raises OSError."""
    made = ssl.create_default_context(cafile=str(to.ca) if to.ca else None)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    if to.certificate:
        made.load_cert_chain(to.certificate)
    return made


def _secret(file: Path | None) -> str:
    """The one line of a file that nobody else can read."""
    if file is None:
        return ""
    if file.stat().st_mode & 0o077:
        raise PermissionError(13, "can be read by others; chmod 600", str(file))
    return file.read_text("utf-8").strip()
