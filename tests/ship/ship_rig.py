"""What the shipper's tests share: records, a ledger filled with them, settings, a store that remembers."""

from __future__ import annotations

import asyncio
import json
import re
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from sluice.config import ClickHouse, Evidence, Paths, Settings
from sluice.ledger import writer
from sluice.model import Match, Record, RecordType
from sluice.ship import native
from sluice.ship.clickhouse import StoreError

type Event = dict[str, Any]
"""A record as it was sent: field to value."""

NOVEMBER = 1_795_000_000_000_000
"""2026-11-18, in microseconds."""
MONTH = 30 * 86_400 * 1_000_000


def decision(n: int, **more: object) -> Record:
    """A decision that can be told from every other by its id."""
    given: dict[str, object] = {
        "record_type": RecordType.DECISION,
        "decision_id": str(uuid.UUID(int=n + 1)),
        "ts_received": NOVEMBER + n,
        "provider_id": "openai",
        "host": "api.openai.com",
        "decision": "allow",
        "reason_code": "NO_FINDINGS",
        "subject_id": "a1",
    }
    return Record(**(given | more))  # type: ignore[arg-type]


def outcome(n: int, **more: object) -> Record:
    """The outcome of that decision."""
    given: dict[str, object] = {
        "record_type": RecordType.OUTCOME,
        "decision_id": str(uuid.UUID(int=n + 1)),
        "ts_received": NOVEMBER + n,
        "provider_id": "openai",
        "forwarded": True,
        "upstream_status": 200,
    }
    return Record(**(given | more))  # type: ignore[arg-type]


def match(**more: object) -> Match:
    given: dict[str, object] = {
        "detector": "secret.aws",
        "rev": 2,
        "data_class": "secret.cloud",
        "severity": "critical",
        "count": 3,
        "validated": True,
        "confidence": 0.9,
        "offset_bucket": 1,
        "fingerprint": "ab" * 16,
    }
    return Match(**(given | more))  # type: ignore[arg-type]


def write(ledger: Path, records: Iterable[Record], *, slot: int = 0) -> None:
    """Commit records to a stream in one epoch of its own."""

    async def run() -> None:
        opened = writer.open_stream(
            ledger, node="n", slot=slot, segment_bytes=writer.SMALLEST_SEGMENT, disk_low_bytes=0
        )
        await asyncio.gather(*map(opened.commit, records))
        opened.close()

    asyncio.run(run())


def settings_in(var: Path, *, batch_rows: int = 50, batch_seconds: float = 0.1) -> Settings:
    return Settings(
        paths=Paths(var=var),
        evidence=Evidence(node="n"),
        clickhouse=ClickHouse(batch_rows=batch_rows, batch_seconds=batch_seconds),
    )


class Memory:
    """A store in memory that knows tokens as ClickHouse does. `refuse` and `fail` say what goes wrong."""

    def __init__(self, window: int = 10_000) -> None:
        self.rows: list[Event] = []
        self.tokens: deque[str] = deque(maxlen=window)
        self.attempts: list[tuple[str, tuple[int, ...]]] = []
        self.questions: list[str] = []
        self.fail: Callable[[list[Event]], StoreError | None] = lambda _: None
        self.answer_lost = False

    def migrate(self) -> list[str]:
        return []

    def insert(self, bodies: Sequence[bytes], token: str) -> None:
        native.block(bodies)  # raises for what no table can hold
        events = [json.loads(body) for body in bodies]
        self.attempts.append((token, tuple(e["seq"] for e in events)))
        if error := self.fail(events):
            raise error
        if token not in self.tokens:
            self.tokens.append(token)
            self.rows.extend(events)
        if self.answer_lost:
            self.answer_lost = False
            raise StoreError(0, "connection reset")

    def add(self, table: str, lines: bytes, token: str) -> None:
        raise AssertionError(table)

    def select(self, sql: str, form: str) -> bytes:
        """Answers the questions that a delivery asks of a stream."""
        self.questions.append(sql)
        stream = re.search(r"chain_id = '([^']+)'", sql)
        assert stream, sql
        rows = [r for r in self.rows if r["chain_id"] == stream[1]]
        if between := re.search(r"seq BETWEEN (\d+) AND (\d+)", sql):
            rows = [r for r in rows if int(between[1]) <= r["seq"] <= int(between[2])]
        if least := re.search(r"seq >= (\d+)", sql):
            rows = [r for r in rows if r["seq"] >= int(least[1])]
        keys = [(r["epoch"], r["seq"], r["ts_received"]) for r in rows]
        if sql.startswith("SELECT count(), max(seq)"):
            return f"{len(rows)}\t{max((r['seq'] for r in rows), default=0)}\n".encode()
        if sql.startswith("SELECT epoch, seq"):
            return "".join(f"{e}\t{s}\t{t}\n" for e, s, t in keys).encode()
        assert sql.startswith("SELECT uniqExact"), sql
        return f"{len(set(keys))}\n".encode()

    def drop_partition(self, table: str, partition: str) -> None:
        raise AssertionError(partition)

    def interrupt(self) -> None:
        pass

    def close(self) -> None:
        pass

    @property
    def seqs(self) -> list[int]:
        return [r["seq"] for r in self.rows]
