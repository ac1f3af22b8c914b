"""The SQL interface over HTTP: time of a handshake and of a small question, rows per second of a long answer.

Beside them, the same question through the engine without HTTP, which shows what the interface adds.

    python -m tests.bench.bench_sql_http [--quick]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import clickhouse_connect

from tests.ship.http_rig import PASSWORD, serving

LONG = "SELECT number, toString(number) AS s, cityHash64(number) AS h FROM numbers(200000)"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer repetitions")
    times = 20 if parser.parse_args().quick else 200
    with tempfile.TemporaryDirectory() as directory, serving(Path(directory)) as served:

        def connect() -> clickhouse_connect.driver.client.Client:
            return clickhouse_connect.get_client(
                host="127.0.0.1", port=served.port, username="sluice", password=PASSWORD
            )

        client = connect()
        long = client.query(LONG)
        assert long.row_count == 200_000
        print("clickhouse-connect on the SQL interface: p50, p99 in milliseconds")
        _say("handshake", lambda: connect().close(), times // 4)
        _say("SELECT 1, without HTTP", lambda: served.engine.select("SELECT 1", "Native"), times)
        _say("SELECT 1", lambda: client.query("SELECT 1"), times)
        _say("count() of a table", lambda: client.query("SELECT count() FROM events"), times)
        for name in (False, "lz4", "zstd", "gzip"):
            packed = clickhouse_connect.get_client(
                host="127.0.0.1", port=served.port, username="sluice", password=PASSWORD, compress=name
            )
            began = time.perf_counter()
            for _ in range(5):
                with packed.query_column_block_stream(LONG) as blocks:
                    assert sum(len(block[0]) for block in blocks) == 200_000
            rate = 5 * 200_000 / (time.perf_counter() - began)
            print(f"  200,000 rows streamed, {name or 'plain':<6} {rate:12,.0f} rows/s")
            packed.close()
        client.close()


def _say(what: str, work: Callable[[], object], times: int) -> None:
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        taken.append((time.perf_counter() - began) * 1000)
    print(f"  {what:<24} {statistics.median(taken):8.2f} {sorted(taken)[int(len(taken) * 0.99)]:8.2f}")


if __name__ == "__main__":
    main()
