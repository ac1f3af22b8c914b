"""The response to a question: ClickHouse's header fields, and a body whose end can be trusted."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Iterable

from starlette.types import Message, Send

from sluice.ship.http import errors
from sluice.ship.reading import Figures
from sluice.ship.sqlgate import SqlError

STALL_SECONDS = 30.0
"""A client that takes nothing for so long is gone."""
SERVER_NAME = "sluice"
_TYPES = (
    ("JSONEachRow", "application/x-ndjson; charset=UTF-8"),
    ("JSONLines", "application/x-ndjson; charset=UTF-8"),
    ("NDJSON", "application/x-ndjson; charset=UTF-8"),
    ("JSONCompactEachRow", "application/x-ndjson; charset=UTF-8"),
    ("JSONStringsEachRow", "application/x-ndjson; charset=UTF-8"),
    ("JSON", "application/json; charset=UTF-8"),
    ("CSV", "text/csv; charset=UTF-8; header={header}"),
    ("TabSeparated", "text/tab-separated-values; charset=UTF-8"),
    ("TSV", "text/tab-separated-values; charset=UTF-8"),
    ("XML", "application/xml; charset=UTF-8"),
    ("Markdown", "text/markdown; charset=UTF-8"),
    ("Pretty", "text/plain; charset=UTF-8"),
    ("Vertical", "text/plain; charset=UTF-8"),
    ("Values", "text/plain; charset=UTF-8"),
)
_TEXT = "text/plain; charset=UTF-8"


class Gone(Exception):
    """The client has left, or is made to."""


class Answer:
    """The response: its header fields, and what was sent of it."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.started = False
        self.finished = False
        self.status = 0
        self.query_id = ""
        self.timezone = ""
        self.lowered: dict[str, str] = {}
        """Limits that are in force with less than was asked for."""
        self.tag = secrets.token_hex(8)

    async def text(self, status: int, text: str, more: Iterable[tuple[bytes, bytes]] = ()) -> None:
        body = text.encode()
        await self._head(status, [(b"content-type", _TEXT.encode()), (b"content-length", b"%d" % len(body)), *more])
        await self._last(body)

    async def error(self, error: SqlError, version: str) -> None:
        """Never compressed: a client that cannot read it would not know why."""
        status = self.status or errors.status_of(error.code)
        more = [(b"x-clickhouse-exception-code", str(error.code).encode())]
        if status == 401:
            more.append((b"www-authenticate", b'Basic realm="ClickHouse server HTTP API"'))
        if error.code in (errors.QUERY_IS_TOO_LARGE, errors.REQUIRED_PASSWORD, errors.AUTHENTICATION_FAILED):
            more.append((b"connection", b"close"))  # the body may not have been read
        if not self.started:
            await self.text(status, errors.text_of(error, version), more)

    async def whole(self, body: bytes, form: str, figures: Figures, size: int, encoding: str) -> None:
        await self._head(200, [*self._fields(form, encoding, figures, size), (b"content-length", b"%d" % len(body))])
        await self._last(body)

    async def begin(self, form: str, encoding: str) -> None:
        await self._head(200, self._fields(form, encoding, Figures(), 0))

    async def piece(self, body: bytes) -> None:
        if body:
            await self._out({"type": "http.response.body", "body": body, "more_body": True})

    async def end(self, body: bytes) -> None:
        await self._last(body)

    def _fields(self, form: str, encoding: str, figures: Figures, size: int) -> list[tuple[bytes, bytes]]:
        summary = {
            "read_rows": str(figures.rows_read),
            "read_bytes": str(figures.bytes_read),
            "written_rows": "0",
            "written_bytes": "0",
            "total_rows_to_read": "0",
            "result_rows": str(figures.rows),
            "result_bytes": str(size),
            "elapsed_ns": str(int(figures.seconds * 1e9)),
        }
        fields = [
            (b"content-type", _type_of(form).encode()),
            (b"x-clickhouse-summary", json.dumps(summary, separators=(",", ":")).encode()),
            (b"x-clickhouse-format", form.encode()),
            (b"x-clickhouse-timezone", self.timezone.encode()),
            (b"x-clickhouse-exception-tag", self.tag.encode()),
        ]
        return [*fields, (b"content-encoding", encoding.encode())] if encoding else fields

    async def _head(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        own = [
            (b"x-clickhouse-query-id", self.query_id.encode()),
            (b"x-clickhouse-server-display-name", SERVER_NAME.encode()),
            (b"cache-control", b"no-store"),
            (b"x-content-type-options", b"nosniff"),
        ]
        if self.lowered:
            told = ", ".join(f"{name}={value}" for name, value in self.lowered.items())
            own.append((b"x-sluice-lowered", told.encode()))
        self.started = True
        await self._out({"type": "http.response.start", "status": status, "headers": [*headers, *own]})

    async def _last(self, body: bytes) -> None:
        self.finished = True
        await self._out({"type": "http.response.body", "body": body})

    async def _out(self, message: Message) -> None:
        await asyncio.wait_for(self._send(message), STALL_SECONDS)


def exception_block(text: str, tag: str) -> bytes:
    """As ClickHouse ends a body that failed half-way (25.11 and later)."""
    message = text.encode()
    return b"\r\n__exception__\r\n%s\r\n%s%d %s\r\n__exception__\r\n" % (
        tag.encode(),
        message,
        len(message),
        tag.encode(),
    )


def _type_of(form: str) -> str:
    found = next((kind for prefix, kind in _TYPES if form.startswith(prefix)), "application/octet-stream")
    return found.replace("{header}", "present" if "WithNames" in form else "absent")
