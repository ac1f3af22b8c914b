"""Reports, findings and the score over ten million rows: seconds, CPU, and what an evaluation costs once days are kept.

The bounds: each report under 3 s, an incremental evaluation of all 61 findings under 5 s, on two cores. The rows are
those of `bench_queries`.

    python -m tests.bench.bench_posture [--rows N] [--keep DIRECTORY]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sluice.posture import evaluation, question, report, score, units
from sluice.ship.clickhouse import Embedded
from tests.bench.bench_queries import fill

END = datetime(2026, 1, 29, tzinfo=UTC)
"""The rows end here."""


def timed(title: str, run: Callable[[], object]) -> float:
    wall, cpu = time.perf_counter(), time.process_time()
    said = run()
    took = time.perf_counter() - wall
    print(f"{took:7.2f} s wall {time.process_time() - cpu:7.2f} s CPU  {title}  {said}", flush=True)
    return took


def ask_reports(store: Embedded) -> None:
    somebody = question.ask(store.select, "SELECT assumeNotNull(subject_id) FROM events WHERE subject_id != '' LIMIT 1")
    for name, unit in units.reports().items():
        filters: dict[str, tuple[str, ...]] = dict.fromkeys(unit.required, ("ab" * 16,))
        if name == "R15":
            filters = {"subjects": (str(somebody.rows[0][0]),)}
        since, until = question.span("1h" if unit.span == "1h" else "90d", END.isoformat(), unit.span, END)

        def run(
            u: units.Report = unit, f: dict[str, tuple[str, ...]] = filters, s: datetime = since, e: datetime = until
        ) -> str:
            return f"{len(report.ask(store.select, u, s, e, f).table.rows)} rows"

        timed(name, run)


def evaluate(store: Embedded, at: datetime) -> str:
    out = evaluation.Evaluated(at)
    for _ in evaluation.steps(store.own, store.add, list(units.findings().values()), at, out):
        pass
    return f"{out.days} days, {out.scopes} scopes, {out.events}, failed: {out.failed}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--keep", type=Path, help="directory of the engine, used again when it is there")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        directory = options.keep or Path(name) / "engine"
        there = directory.exists()
        store = Embedded(directory, "sluice")
        try:
            store.migrate()
            if not there:
                fill(store, options.rows)
            for table in ("finding_days", "finding_events", "posture_snapshot"):
                store.command(f"TRUNCATE TABLE {table}")
            ask_reports(store)
            timed("score", lambda: len(score.measured(store.select, END - timedelta(days=30), END)))
            timed("findings, everything for the first time", lambda: evaluate(store, END - timedelta(hours=12)))
            timed("findings, a quarter of an hour later", lambda: evaluate(store, END - timedelta(hours=11.75)))
            timed("findings, on the evening of a day", lambda: evaluate(store, END - timedelta(minutes=15)))
        finally:
            store.close()


if __name__ == "__main__":
    main()
