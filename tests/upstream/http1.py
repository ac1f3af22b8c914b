"""HTTP/1.1 for the local upstream, on h11: keep-alive, Expect: 100-continue, chunked and streamed answers."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import h11

from tests.upstream.journal import Arriving
from tests.upstream.reply import Reply

if TYPE_CHECKING:
    from tests.upstream.server import Upstream


async def serve_http1(
    upstream: Upstream, number: int, sni: str | None, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """One connection, request after request, until either side closes it."""
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=1024 * 1024)
    while True:
        try:
            arrived = await _read(upstream, number, sni, connection, reader, writer)
        except h11.RemoteProtocolError:
            await _answer(connection, Reply(400, (("connection", "close"),)), upstream, reader, writer)
            return
        if arrived is None:
            return
        await _answer(connection, upstream.reply_to(arrived).to(arrived.method), upstream, reader, writer)
        if connection.our_state is not h11.DONE or connection.their_state is not h11.DONE:
            return
        connection.start_next_cycle()


async def _read(
    upstream: Upstream,
    number: int,
    sni: str | None,
    connection: h11.Connection,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
) -> Arriving | None:
    """The next whole request, None at the end of the connection. What ends early is entered as incomplete."""
    arrived: Arriving | None = None
    complete = False
    try:
        while not complete:
            event = connection.next_event()
            if event is h11.NEED_DATA:
                if connection.they_are_waiting_for_100_continue:
                    writer.write(connection.send(h11.InformationalResponse(status_code=100, headers=[])) or b"")
                connection.receive_data(await reader.read(65536))
            elif isinstance(event, h11.Request):
                headers = tuple((k.decode("latin-1"), v.decode("latin-1")) for k, v in event.headers.raw_items())
                host = next((v for k, v in headers if k.lower() == "host"), "")
                version = "HTTP/" + event.http_version.decode()
                path = event.target.decode("latin-1")
                arrived = Arriving(number, event.method.decode(), host, path, version, sni, headers)
            elif isinstance(event, h11.Data) and arrived:
                arrived.body += event.data
            elif isinstance(event, h11.EndOfMessage):
                complete = True
            elif isinstance(event, h11.ConnectionClosed):
                return None
        return arrived
    finally:
        if arrived and not complete:
            arrived.enter(upstream.journal, complete=False)


async def _answer(
    connection: h11.Connection,
    reply: Reply,
    upstream: Upstream,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
) -> None:
    """Send a reply; after `abort` or `silent` the connection is of no further use and is closed."""
    if connection.our_state not in {h11.IDLE, h11.SEND_RESPONSE}:
        return
    if reply.silent:
        await reader.read(1)
        return
    headers = [*reply.headers, upstream.alt_svc]
    if reply.events is None:
        headers.append(("content-length", str(len(reply.body))))
    writer.write(connection.send(h11.Response(status_code=reply.status, headers=headers)) or b"")
    for n, piece in enumerate(reply.events or ()):
        if n:
            await upstream.between(n)
        writer.write(connection.send(h11.Data(data=piece)) or b"")
        await writer.drain()
    if reply.abort:
        writer.transport.abort()
        return
    if reply.body:
        writer.write(connection.send(h11.Data(data=reply.body)) or b"")
    writer.write(connection.send(h11.EndOfMessage()) or b"")
    await writer.drain()
