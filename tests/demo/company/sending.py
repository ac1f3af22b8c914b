"""The clients: every request over real TLS through the real proxy, from the address that its sender has.

The whole of 127.0.0.0/8 is this machine, so that each person and each machine connects from an address of its own, as
behind any gate. Raw bytes on asyncio, because there are thousands; a few real SDKs are in `tests.demo.scenes`.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import ssl
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from tests.demo.company.exchange import PASSWORD, Exchange, Sender

PATIENCE = 60.0
_SOCKET = (
    ("connection", "upgrade"),
    ("upgrade", "websocket"),
    ("sec-websocket-version", "13"),
    ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
)


@dataclass(slots=True)
class Sent:
    """What came back: how many answers of which status, and what no answer came for."""

    statuses: Counter[int] = field(default_factory=Counter)
    status_of: dict[str, int] = field(default_factory=dict)
    failed: list[tuple[str, str]] = field(default_factory=list)


class Clients:
    """`ca_file` is the gate's certificate, `other_ca` that of the hosts that pass unread; `done` hears of each line."""

    def __init__(self, proxy: str, ca_file: str, other_ca: bytes, done: Callable[[int], None] = lambda _: None) -> None:
        where = urlsplit(proxy)
        self._host, self._port = where.hostname or "", where.port or 0
        self._trusting = ssl.create_default_context(cafile=ca_file)
        self._opaque = ssl.create_default_context(cadata=other_ca.decode())
        for context in (self._trusting, self._opaque):
            context.set_alpn_protocols(["http/1.1"])
        self._done = done
        self.sent = Sent()

    def send(self, lines: Sequence[Sequence[Exchange]], at_once: int = 12) -> Sent:
        """Send every line over a connection of its own, so many at once."""
        asyncio.run(self._all(lines, at_once))
        return self.sent

    async def _all(self, lines: Sequence[Sequence[Exchange]], at_once: int) -> None:
        left = iter(lines)

        async def work() -> None:
            for line in left:
                await self._line(line)
                self._done(len(line))

        async with asyncio.TaskGroup() as group:
            for _ in range(at_once):
                group.create_task(work())

    async def _line(self, line: Sequence[Exchange]) -> None:
        """A refused request closes its connection: the next one opens another."""
        writer: asyncio.StreamWriter | None = None
        for exchange in line:
            try:
                async with asyncio.timeout(PATIENCE):
                    if writer is None:
                        reader, writer = await self._tunnel(exchange)
                    writer.write(_request(exchange))
                    status, goes_on = await _answer(reader)
                self.sent.statuses[status] += 1
                self.sent.status_of[exchange.id] = status
            except (OSError, EOFError, ValueError, TimeoutError) as e:
                self.sent.failed.append((exchange.id, f"{type(e).__name__}: {e}"))
                goes_on = False
            if not goes_on and writer is not None:
                await _closed(writer)
                writer = None
        if writer is not None:
            await _closed(writer)

    async def _tunnel(self, exchange: Exchange) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        source = (exchange.sender.address, 0)
        reader, writer = await asyncio.open_connection(self._host, self._port, local_addr=source)
        try:
            head = "".join(f"{name}: {value}\r\n" for name, value in _introduction(exchange.sender))
            writer.write(f"CONNECT {exchange.host}:443 HTTP/1.1\r\nhost: {exchange.host}:443\r\n{head}\r\n".encode())
            status = int((await reader.readuntil(b"\r\n\r\n")).split(b" ", 2)[1])
            if status != 200:
                raise ValueError(f"CONNECT was answered {status}")
            context = self._opaque if exchange.kind == "tunnel" else self._trusting
            await writer.start_tls(context, server_hostname=exchange.host)
        except BaseException:
            writer.close()
            raise
        return reader, writer


async def _closed(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(2):
            await writer.wait_closed()


def _introduction(sender: Sender) -> tuple[tuple[str, str], ...]:
    """How the sender says who he is: a login, or the name that the branch's proxy gives him."""
    match sender.identity:
        case "proxy_basic":
            login = f"{sender.login}:{PASSWORD.format(login=sender.login)}"
            return (("proxy-authorization", f"Basic {base64.b64encode(login.encode()).decode()}"),)
        case "header_trusted":
            return (("x-authenticated-user", sender.login),)
    return ()


def _request(exchange: Exchange) -> bytes:
    method = "POST" if exchange.kind == "request" else "GET"
    headers = [("host", exchange.host), ("x-request-id", exchange.id), *exchange.headers]
    if exchange.sender.identity == "header_trusted":
        headers += _introduction(exchange.sender)
    headers += _SOCKET if exchange.kind == "websocket" else [("content-length", str(len(exchange.body)))]
    head = "".join(f"{name}: {value}\r\n" for name, value in headers)
    return f"{method} {exchange.path} HTTP/1.1\r\n{head}\r\n".encode() + exchange.body


async def _answer(reader: asyncio.StreamReader) -> tuple[int, bool]:
    """Status of the next answer, read to its end, and whether the connection goes on."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    status = int(head[0].split(" ", 2)[1])
    named = {k.strip().lower(): v.strip().lower() for k, _, v in (line.partition(":") for line in head[1:] if line)}
    if named.get("transfer-encoding") == "chunked":
        while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
            await reader.readexactly(size + 2)
        await reader.readuntil(b"\r\n")
    else:
        await reader.readexactly(int(named.get("content-length", "0")))
    return status, named.get("connection") != "close"
