"""The SQL interface over HTTP on a real engine, and the requests that tests make to it."""

from __future__ import annotations

import base64
import http.client
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

from sluice.ledger.record import encode
from sluice.ship.clickhouse import Embedded
from sluice.ship.http.app import Engine
from sluice.ship.http.credentials import USER
from sluice.ship.http.listener import Listener
from tests.ship.ship_rig import decision, outcome

PASSWORD = "correct-horse-battery-staple"
BASIC = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
ROWS = 20
"""Decisions in the table; each has an outcome too."""


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def code(self) -> int:
        """ClickHouse's code of an error; 0 for none."""
        return int(self.headers.get("x-clickhouse-exception-code", "0"))


@dataclass(frozen=True, slots=True)
class Served:
    """A listener on a free port."""

    engine: Embedded
    listener: Listener
    port: int

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)

    def ask(
        self,
        sql: str | bytes = "",
        *,
        method: str = "POST",
        path: str = "/",
        auth: str | None = BASIC,
        headers: Mapping[str, str] | None = None,
        **fields: str,
    ) -> Reply:
        """One request: `sql` as the body, the rest as fields of the query string."""
        given = dict(headers or {}) | ({"Authorization": auth} if auth else {})
        connection = self.connect()
        try:
            target = f"{path}?{urlencode(fields)}" if fields else path
            connection.request(method, target, sql.encode() if isinstance(sql, str) else sql, given)
            answer = connection.getresponse()
            return Reply(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        finally:
            connection.close()


@contextmanager
def serving(directory: Path) -> Iterator[Served]:
    """An engine with some rows, served; both closed in the end."""
    engine = Embedded(directory / "clickhouse", "sluice")
    engine.migrate()
    fill(engine)
    listener = Listener("127.0.0.1:0", Engine(engine.read, engine.select, "sluice"), PASSWORD)
    listener.start()
    try:
        yield Served(engine, listener, int(listener.url.rstrip("/").rpartition(":")[2]))
    finally:
        assert listener.close(10)
        engine.close()


def fill(engine: Embedded) -> None:
    """Rows in `events`, written the way the shipper writes them."""
    records = [decision(n, seq=2 * n) for n in range(ROWS)] + [outcome(n, seq=2 * n + 1) for n in range(ROWS)]
    engine.insert([encode(record) for record in records], "rows")
