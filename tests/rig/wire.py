"""Bytes on a socket: a client that sends exactly what it is told, and reads HTTP/1.1 answers by the book."""

from __future__ import annotations

import contextlib
import socket
import time
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP/1.1 answer: status, headers in order, the body with its framing undone."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str | None:
        return next((v for k, v in self.headers if k.lower() == name.lower()), None)


class Closed(ConnectionError):
    """The other side closed the connection before an answer was complete."""


def connect(proxy: tuple[str, int], authority: str, *, headers: str = "", timeout: float = 10.0) -> socket.socket:
    """A socket behind a successful CONNECT. Raises `Closed` with the status when it was refused."""
    sock = socket.create_connection(proxy, timeout=timeout)
    sock.sendall(f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n{headers}\r\n".encode())
    head = b""
    while b"\r\n\r\n" not in head:
        piece = sock.recv(4096)
        if not piece:
            raise Closed("closed at CONNECT")
        head += piece
    status = head.split(b" ", 2)[1]
    if status != b"200":
        sock.close()
        raise Closed(status.decode())
    return sock


class Client:
    """One connection, TLS or not. Context manager."""

    def __init__(self, sock: socket.socket, host: str = "") -> None:
        self.sock = sock
        self.host = host
        self._buffer = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.sock.close()

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def request(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        *,
        headers: tuple[tuple[str, str], ...] = (),
        host: str | None = None,
        timeout: float = 10.0,
    ) -> Answer:
        """Send one well-formed request and read its answer."""
        self.send(self.message(method, path, body, headers=headers, host=host))
        return self.answer(timeout, head_only=method == "HEAD")

    def message(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        *,
        headers: tuple[tuple[str, str], ...] = (),
        host: str | None = None,
    ) -> bytes:
        lines = [f"{method} {path} HTTP/1.1", f"Host: {host if host is not None else self.host}"]
        lines += [f"{k}: {v}" for k, v in headers]
        if body or method in ("POST", "PUT"):
            lines.append(f"Content-Length: {len(body)}")
        return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body

    def answer(self, timeout: float = 10.0, *, head_only: bool = False) -> Answer:
        """The next answer. Raises `Closed` when the connection ends first, TimeoutError when nothing comes."""
        answer, self._buffer = read_answer(self.sock, self._buffer, timeout, head_only=head_only)
        return answer

    def closed(self, timeout: float = 5.0) -> bool:
        """True when the other side closes within `timeout` seconds; what it still sends is thrown away."""
        until = time.monotonic() + timeout
        while (left := until - time.monotonic()) > 0:
            self.sock.settimeout(left)
            try:
                if not self.sock.recv(65536):
                    return True
            except TimeoutError:
                return False
            except OSError:
                return True
        return False


def _fill(sock: socket.socket, until: float) -> bytes:
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError("no answer in time")
    sock.settimeout(left)
    piece = sock.recv(65536)
    if not piece:
        raise Closed("closed before the answer was complete")
    return piece


def read_answer(
    sock: socket.socket, buffer: bytes = b"", timeout: float = 10.0, *, head_only: bool = False
) -> tuple[Answer, bytes]:
    """One answer from a socket, and what came after it."""
    until = time.monotonic() + timeout
    while b"\r\n\r\n" not in buffer:
        buffer += _fill(sock, until)
    head, _, rest = buffer.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    status = int(lines[0].split(" ", 2)[1])
    headers = tuple((k.strip(), v.strip()) for k, _, v in (line.partition(":") for line in lines[1:]))
    named = {k.lower(): v for k, v in headers}
    if status == 100:
        return read_answer(sock, rest, max(0.01, until - time.monotonic()), head_only=head_only)
    if head_only or status in (204, 304):
        return Answer(status, headers, b""), rest
    if named.get("transfer-encoding", "").lower() == "chunked":
        body = b""
        while True:
            while b"\r\n" not in rest:
                rest += _fill(sock, until)
            line, _, rest = rest.partition(b"\r\n")
            size = int(line.split(b";")[0], 16)
            while len(rest) < size + 2:
                rest += _fill(sock, until)
            body, rest = body + rest[:size], rest[size + 2 :]
            if size == 0:
                return Answer(status, headers, body), rest
    if "content-length" in named:
        length = int(named["content-length"])
        body_so_far = bytearray(rest)
        while len(body_so_far) < length:
            body_so_far += _fill(sock, until)
        return Answer(status, headers, bytes(body_so_far[:length])), bytes(body_so_far[length:])
    with contextlib.suppress(Closed):
        while True:
            rest += _fill(sock, until)
    return Answer(status, headers, rest), b""
