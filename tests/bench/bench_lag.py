"""How late rows are, and how fast a backlog goes, while the proxy serves.

One appliance, one load that is paced from beginning to end. In its ledger lies a second stream of a hundred thousand
requests, as a store that was away for long leaves it: how many rows a second the shipper sends of it is measured from
the first row to the last, with the traffic's own rows beside it. Then, with nothing left of it, the lag: for every row
of the traffic the time from its record (a decision when it was complete, an outcome when the exchange was over) to the
first question that sees it. Questions come every `LOOK_SECONDS`, so that much is in the figures.

    python -m tests.bench.bench_lag [--rate N] [--seconds N] [--backlog N]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from sluice import config
from sluice.config import Settings
from sluice.ship.query import ask
from sluice.ship.sqlgate import SqlError
from tests.bench.bench_gate import ROOT, cpu_seconds, nginx, sluice, tree
from tests.bench.bench_ship import fill
from tests.bench.load import percentile

LOOK_SECONDS = 0.25
OLD = "n-w0"
"""The stream of the backlog: that of a node which is not this one."""


def rows(settings: Settings, sql: str) -> list[list[str]]:
    """The answer's lines; none while there is nobody to answer."""
    try:
        return [line.split("\t") for line in b"".join(ask(settings, sql, "TSV")).decode().splitlines()]
    except SqlError:
        return []


def shipper(supervisor: int) -> int:
    """The shipper's process."""
    for pid in tree(supervisor):
        if b"sluice.ship.shipper" in Path(f"/proc/{pid}/cmdline").read_bytes():
            return pid
    raise LookupError("no shipper")


def drain(settings: Settings, count: int, pid: int) -> tuple[float, float, float]:
    """(rows of the backlog a second, rows of traffic a second beside it, rows of both for a second of the shipper's
    CPU), from the first look that sees a row."""
    sql = f"SELECT countIf(chain_id = '{OLD}'), countIf(chain_id != '{OLD}') FROM events"
    began, first, cpu = 0.0, (0, 0), 0.0
    while True:
        found = rows(settings, sql)
        now = (int(found[0][0]), int(found[0][1])) if found else (0, 0)
        if now[0] and not began:
            began, first, cpu = time.perf_counter(), now, cpu_seconds([pid])
        if now[0] >= count:
            seconds = max(time.perf_counter() - began, LOOK_SECONDS)
            used = max(cpu_seconds([pid]) - cpu, 0.01)
            old, new = now[0] - first[0], now[1] - first[1]
            return old / seconds, new / seconds, (old + new) / used
        time.sleep(LOOK_SECONDS)


def lags(settings: Settings, seconds: float) -> list[float]:
    """How old each row of the traffic is when it is first seen."""
    after = rows(settings, f"SELECT chain_id, max(seq) FROM events WHERE chain_id != '{OLD}' GROUP BY 1")
    seen = {chain: int(seq) for chain, seq in after}
    found: list[float] = []
    until = time.time() + seconds
    while time.time() < until:
        time.sleep(LOOK_SECONDS)
        new = " OR ".join(f"(chain_id = '{chain}' AND seq > {seq})" for chain, seq in seen.items())
        at = "toUnixTimestamp64Micro(if(record_type = 'outcome', assumeNotNull(ts_end), ts_received))"
        answer = rows(settings, f"SELECT chain_id, seq, {at} FROM events WHERE record_type IN (1, 2) AND ({new})")
        now = time.time()
        for chain, seq, moment in answer:
            seen[chain] = max(seen[chain], int(seq))
            found.append(now - int(moment) / 1e6)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rate", type=float, default=100.0, help="requests a second")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long the lag is measured")
    parser.add_argument("--backlog", type=int, default=100_000, help="requests that wait, two rows each")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        var = directory / "var"
        var.mkdir(mode=0o700)
        count = fill(var / "ledger", options.backlog)
        with nginx(directory) as (upstream, ca), sluice(directory, upstream, ca) as (port, supervisor, own, _):
            settings = config.load(directory / "sluice.toml", environ={})
            command = [sys.executable, "-m", "tests.bench.load", "--proxy", f"127.0.0.1:{port}", "--ca", str(own)]
            command += ["--authority", "api.openai.com:443", "--rate", str(options.rate), "--requests", "10000000"]
            with subprocess.Popen(command, cwd=ROOT) as load:
                try:
                    backlog, beside, each = drain(settings, count, shipper(supervisor))
                    print(
                        f"backlog of {count} rows: {backlog:,.0f} rows/s, beside {beside:.0f} rows/s of traffic; "
                        f"{each:,.0f} rows for a second of CPU; load {os.getloadavg()[0]:.1f}",
                        flush=True,
                    )
                    time.sleep(5)
                    late = lags(settings, options.seconds)
                    ran = load.poll() is None
                finally:
                    load.kill()
            assert ran, "the load ended early"
            shares = {f"p{share * 100:g}": round(percentile(late, share), 2) for share in (0.5, 0.9, 0.99, 1.0)}
            print(f"lag of {len(late)} rows at {options.rate:g} requests/s: {json.dumps(shares)} s", flush=True)


if __name__ == "__main__":
    main()
