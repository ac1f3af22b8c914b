"""What delivery costs: CPU per row from the ledger into the engine, beside the client library's own insert.

One request is a decision and an outcome: two rows. CPU is that of the whole process, so parsing, roll-ups, flushes and
background merges of the engine are in it. The baseline is `clickhouse-connect`'s row insert of the same records into
the same table, the way an application without this room would do it; it has no ledger to read and keeps no state.

    python -m tests.bench.bench_ship [--requests N]
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import clickhouse_connect
import msgspec
from msgspec.structs import replace

from sluice.ledger import reader, writer
from sluice.model import Record, RecordType
from sluice.ship import columns
from sluice.ship.clickhouse import Embedded
from sluice.ship.delivery import Delivery
from tests.bench.bench_ledger import DECISION

OUTCOME = Record(
    record_type=RecordType.OUTCOME, decision_id="", provider_id="openai", product="api", target_row="api.openai.com",
    forwarded=True, client_status=200, upstream_status=200, resp_bytes=1234, stream_aborted=False,
    client_disconnected=False, latency_added_us=900, latency_upstream_ms=20, dst_ip="192.0.2.3", dst_port=443,
    http_version="HTTP/1.1", tls_version_client="TLSv1.3", tls_version_upstream="TLSv1.3",
    upstream_cert_sha256="ab" * 32, upstream_cert_verified=True, model_served="gpt-5-mini-2026", tokens_in=900,
    tokens_out=100,
)  # fmt: skip


def fill(ledger: Path, requests: int) -> int:
    """A ledger of so many requests; the rows in it."""

    async def run() -> None:
        stream = writer.open_stream(ledger, node="n", slot=0, segment_bytes=64 << 20, disk_low_bytes=0)
        began = time.time_ns() // 1000
        for start in range(0, requests, 256):
            many = []
            for n in range(start, min(requests, start + 256)):
                one, at = str(uuid.uuid4()), began + n * 3000
                times = {"ts_identity_done": at + 1, "ts_scan_done": at + 2, "ts_decided": at + 3}
                many.append(replace(DECISION, decision_id=one, ts_received=at, **times))
                ends = {"ts_forwarded": at + 5, "ts_first_byte": at + 1000, "ts_end": at + 20000}
                many.append(replace(OUTCOME, decision_id=one, ts_received=at, **ends))
            await asyncio.gather(*map(stream.commit, many))
        stream.close()

    asyncio.run(run())
    return sum(1 for _ in reader.read(ledger / "n-w0"))


def deliver(root: Path, batch_rows: int) -> tuple[float, float]:
    """(rows per second, CPU microseconds per row) of this room, roll-ups included."""
    store = Embedded(root / f"engine-{batch_rows}", "sluice")
    try:
        store.migrate()
        delivery = Delivery(root / "ledger", root / f"ship-{batch_rows}", batch_rows=batch_rows, batch_seconds=0)
        cpu, began = time.process_time(), time.perf_counter()
        while delivery.round(store, flush=True):
            pass
        seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
        found = store.select("SELECT count(), uniqExact(seq) FROM events", "TSV").split()
        assert int(found[0]) == int(found[1]) == delivery.standing.rows
        return delivery.standing.rows / seconds, cpu / delivery.standing.rows * 1e6
    finally:
        store.close()


def baseline(root: Path, batch_rows: int) -> float:
    """CPU microseconds per row of `client.insert` into the same table without roll-ups."""
    path = root / "baseline"
    store = Embedded(path, "sluice")
    store.migrate()
    for view in ("exchange_rows_feed", "per_minute_feed", "per_subject_day_feed"):
        store.command(f"DROP VIEW {view}")
    store.close()
    client: Any = clickhouse_connect.get_client(interface="chdb", path=str(path))
    try:
        client.database = "sluice"
        events = [msgspec.json.decode(e.body) for e in reader.read(root / "ledger" / "n-w0")]
        for event in events:
            for column in columns.COLUMNS:
                if column.name in event and "DateTime64" in column.type:
                    event[column.name] = datetime.fromtimestamp(event[column.name] / 1e6, UTC)
                elif column.put and column.name in event:
                    event[column.name] = column.put(event[column.name])
                elif column.items and column.name in event:
                    event[column.name] = [tuple(f.get(n) for n, _ in column.items) for f in event[column.name]]
        names = [c.name for c in columns.COLUMNS]
        defaults = {c.name: [] for c in columns.COLUMNS if c.type.startswith("Array")} | {"provider_id": ""}
        table = [[event.get(name, defaults.get(name)) for name in names] for event in events]
        cpu = time.process_time()
        for start in range(0, len(table), batch_rows):
            client.insert("events", table[start : start + batch_rows], column_names=names)
        return (time.process_time() - cpu) / len(table) * 1e6
    finally:
        client.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=20_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        count = fill(root / "ledger", options.requests)
        print(f"{count} rows of {options.requests} requests")
        for batch_rows in (1000, 5000, 20_000):
            rate, cpu = deliver(root, batch_rows)
            print(
                f"batches of {batch_rows:6d}: {rate:7.0f} rows/s, {cpu:6.1f} us CPU a row, {cpu / 500:.3f} ms a request"
            )
        cpu = baseline(root, 5000)
        print(f"clickhouse-connect insert, no roll-ups: {cpu:6.1f} us CPU a row, {cpu / 500:.3f} ms a request")


if __name__ == "__main__":
    main()
