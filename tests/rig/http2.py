"""An HTTP/2 client on a socket, one call for each thing that a test may want to send."""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass, field

import h2.config
import h2.connection
import h2.events
import h2.exceptions


@dataclass(slots=True)
class Stream:
    """What came back on one stream. `reset` is the error code of a RST_STREAM, or None."""

    status: int | None = None
    headers: tuple[tuple[str, str], ...] = ()
    body: bytearray = field(default_factory=bytearray)
    ended: bool = False
    reset: int | None = None

    def header(self, name: str) -> str | None:
        return next((v for k, v in self.headers if k == name), None)


class Http2Client:
    """Speaks HTTP/2 on a TLS socket that negotiated it. `checked=False` lets it send malformed heads."""

    def __init__(self, sock: socket.socket, host: str, *, checked: bool = True) -> None:
        self.sock = sock
        self.host = host
        config = h2.config.H2Configuration(
            client_side=True,
            header_encoding="utf-8",
            validate_outbound_headers=checked,
            normalize_outbound_headers=checked,
        )
        self.h2 = h2.connection.H2Connection(config)
        self.streams: dict[int, Stream] = {}
        self.closed = False
        self.h2.initiate_connection()
        self.flush()

    def flush(self) -> None:
        self.sock.sendall(self.h2.data_to_send())

    def start(
        self,
        method: str,
        path: str,
        *,
        headers: tuple[tuple[str, str], ...] = (),
        authority: str | None = None,
        end: bool = False,
        pseudo: tuple[tuple[str, str], ...] | None = None,
    ) -> int:
        """Send a head; the stream's number."""
        number = self.h2.get_next_available_stream_id()
        fields = pseudo or (
            (":method", method),
            (":scheme", "https"),
            (":authority", authority if authority is not None else self.host),
            (":path", path),
        )
        self.streams[number] = Stream()
        self.h2.send_headers(number, [*fields, *headers], end_stream=end)
        self.flush()
        return number

    def data(self, number: int, data: bytes, *, end: bool = False) -> None:
        for at in range(0, len(data) or 1, 16384):
            piece = data[at : at + 16384]
            while self.h2.local_flow_control_window(number) < len(piece):
                self.receive(1.0)
            self.h2.send_data(number, piece, end_stream=end and at + 16384 >= len(data))
            self.flush()

    def trailers(self, number: int, headers: tuple[tuple[str, str], ...]) -> None:
        self.h2.send_headers(number, list(headers), end_stream=True)
        self.flush()

    def post(
        self, path: str, body: bytes, *, headers: tuple[tuple[str, str], ...] = (), authority: str | None = None
    ) -> int:
        """Send a whole POST; the stream's number."""
        number = self.start("POST", path, headers=headers, authority=authority)
        self.data(number, body, end=True)
        return number

    def receive(self, timeout: float) -> None:
        """Take in whatever comes within `timeout` seconds, at least one piece of it."""
        self.sock.settimeout(max(0.01, timeout))
        try:
            data = self.sock.recv(65536)
        except TimeoutError:
            return
        except OSError:
            data = b""
        if not data:
            self.closed = True
            return
        try:
            events = self.h2.receive_data(data)
        except h2.exceptions.ProtocolError:
            self.closed = True
            return
        for event in events:
            self._take(event)
        self.flush()

    def _take(self, event: h2.events.Event) -> None:
        if isinstance(event, h2.events.ConnectionTerminated):
            self.closed = True
            return
        stream = self.streams.get(getattr(event, "stream_id", 0) or 0)
        if stream is None:
            return
        if isinstance(event, h2.events.ResponseReceived):
            stream.headers = tuple((str(k), str(v)) for k, v in event.headers or ())
            stream.status = int(stream.header(":status") or 0)
        elif isinstance(event, h2.events.DataReceived):
            stream.body += event.data or b""
            self.h2.acknowledge_received_data(event.flow_controlled_length or 0, event.stream_id or 0)
        elif isinstance(event, h2.events.StreamEnded):
            stream.ended = True
        elif isinstance(event, h2.events.StreamReset):
            stream.reset, stream.ended = int(event.error_code or 0), True

    def wait(self, *numbers: int, timeout: float = 10.0) -> tuple[Stream, ...]:
        """The streams, once they have all ended. Raises TimeoutError, or ConnectionError when the connection ends."""
        until = time.monotonic() + timeout
        while not all(self.streams[n].ended for n in numbers):
            if self.closed:
                raise ConnectionError("the connection ended first")
            if time.monotonic() > until:
                raise TimeoutError("no answer in time")
            self.receive(until - time.monotonic())
        return tuple(self.streams[n] for n in numbers)
