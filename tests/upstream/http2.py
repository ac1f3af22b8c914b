"""HTTP/2 for the local upstream, on h2: concurrent streams, flow control both ways, streamed answers, resets."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions

from tests.upstream.journal import Arriving
from tests.upstream.reply import Reply

if TYPE_CHECKING:
    from tests.upstream.server import Upstream


async def serve_http2(
    upstream: Upstream, number: int, sni: str | None, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """One connection with its streams, until either side closes it."""
    await _Connection(upstream, number, sni, reader, writer).run()


class _Connection:
    def __init__(
        self,
        upstream: Upstream,
        number: int,
        sni: str | None,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._upstream = upstream
        self._number = number
        self._sni = sni
        self._reader = reader
        self._writer = writer
        self._h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="latin-1"))
        self._arriving: dict[int, Arriving] = {}
        self._answers: dict[int, asyncio.Task[None]] = {}
        self._window = asyncio.Condition()

    async def run(self) -> None:
        self._h2.initiate_connection()
        await self._flush()
        try:
            while data := await self._reader.read(65536):
                for event in self._h2.receive_data(data):
                    await self._on(event)
                await self._flush()
        except h2.exceptions.ProtocolError:
            await self._flush()  # h2 has queued the GOAWAY that says why
        finally:
            for answer in self._answers.values():
                answer.cancel()
            await asyncio.gather(*self._answers.values(), return_exceptions=True)
            for arrived in self._arriving.values():
                arrived.enter(self._upstream.journal, complete=False)

    async def _flush(self) -> None:
        if data := self._h2.data_to_send():
            self._writer.write(data)
            await self._writer.drain()

    async def _on(self, event: h2.events.Event) -> None:
        if isinstance(event, h2.events.RequestReceived):
            fields = tuple((str(k), str(v)) for k, v in event.headers)
            pseudo = dict(f for f in fields if f[0].startswith(":"))
            headers = tuple(f for f in fields if not f[0].startswith(":"))
            if ("expect", "100-continue") in headers:
                self._h2.send_headers(event.stream_id, [(":status", "100")])
            host = pseudo.get(":authority", "")
            self._arriving[event.stream_id] = Arriving(
                self._number, pseudo[":method"], host, pseudo.get(":path", ""), "HTTP/2.0", self._sni, headers
            )
        elif isinstance(event, h2.events.DataReceived):
            self._arriving[event.stream_id].body += event.data
            self._h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.StreamEnded):
            arrived = self._arriving.pop(event.stream_id)
            reply = self._upstream.reply_to(arrived).to(arrived.method)
            self._answers[event.stream_id] = asyncio.create_task(self._answer(event.stream_id, reply))
        elif isinstance(event, h2.events.StreamReset):
            if broken := self._arriving.pop(event.stream_id, None):
                broken.enter(self._upstream.journal, complete=False)
            if answer := self._answers.pop(event.stream_id, None):
                answer.cancel()
        elif isinstance(event, h2.events.WindowUpdated | h2.events.RemoteSettingsChanged):
            async with self._window:
                self._window.notify_all()

    async def _answer(self, stream: int, reply: Reply) -> None:
        """Send a reply. A stream that the peer has closed meanwhile ends it quietly."""
        if reply.silent:
            return
        headers = [(":status", str(reply.status)), *reply.headers, self._upstream.alt_svc]
        if reply.events is None:
            headers.append(("content-length", str(len(reply.body))))
        try:
            self._h2.send_headers(stream, headers)
            for n, piece in enumerate(reply.events or (reply.body,)):
                if n:
                    await self._upstream.between(n)
                await self._send(stream, piece)
            if reply.abort:
                self._h2.reset_stream(stream, h2.errors.ErrorCodes.INTERNAL_ERROR)
            else:
                self._h2.end_stream(stream)
            await self._flush()
        except (h2.exceptions.ProtocolError, ConnectionError):
            return
        finally:
            self._answers.pop(stream, None)

    async def _send(self, stream: int, data: bytes) -> None:
        while data:
            async with self._window:
                await self._window.wait_for(lambda: self._h2.local_flow_control_window(stream) > 0)
            size = min(self._h2.local_flow_control_window(stream), self._h2.max_outbound_frame_size, len(data))
            self._h2.send_data(stream, data[:size])
            data = data[size:]
            await self._flush()
