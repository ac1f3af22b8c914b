"""Memory over 20,000 requests, and the time a record takes to be durable at 200 requests/s, of the whole appliance.

Memory is the resident set of the one worker, read before and after the second half of the requests (the first half is
the warm-up). Commit times are the appliance's own histogram (`sluice_ledger_commit_seconds`), interpolated within its
buckets. Needs nginx, like `bench_gate`.

    python -m tests.bench.bench_soak [--quick]
"""

from __future__ import annotations

import argparse
import re
import tempfile
import urllib.request
from pathlib import Path

from tests.bench.bench_gate import load, nginx, rss_kib, sluice, tree

BUCKET = re.compile(r'^sluice_ledger_commit_seconds_bucket\{le="([^"]+)"\} (\S+)$', re.M)


def commits(admin: int) -> list[tuple[float, float]]:
    """(upper bound in seconds, count up to it) of all commits so far."""
    with urllib.request.urlopen(f"http://127.0.0.1:{admin}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    return [(float(bound), float(count)) for bound, count in BUCKET.findall(text)]


def quantile(before: list[tuple[float, float]], after: list[tuple[float, float]], share: float) -> float:
    """Milliseconds below which `share` of the commits between two scrapes lie."""
    old = dict(before)
    counts = [(bound, count - old.get(bound, 0.0)) for bound, count in after]
    wanted = counts[-1][1] * share
    low, below = 0.0, 0.0
    for bound, count in counts:
        if count >= wanted:
            return (low + (bound - low) * (wanted - below) / max(1.0, count - below)) * 1000
        low, below = bound, count
    return float("inf")


def worker_of(supervisor: int) -> list[int]:
    """The worker's pid, as a list."""
    return [p for p in tree(supervisor) if b"addons.worker" in Path(f"/proc/{p}/cmdline").read_bytes()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the requests")
    half = 1000 if parser.parse_args().quick else 10_000
    with (
        tempfile.TemporaryDirectory() as tmp,
        nginx(Path(tmp)) as (upstream, ca),
        sluice(Path(tmp), upstream, ca) as (port, pid, own_ca, admin),
    ):
        load(port, "api.openai.com:443", own_ca, requests=half)
        warm = rss_kib(worker_of(pid))
        load(port, "api.openai.com:443", own_ca, requests=half)
        done = rss_kib(worker_of(pid))
        print(f"worker RSS after {half} requests {warm / 1024:.1f} MiB, after {2 * half} {done / 1024:.1f} MiB")
        for rate in (200, 300):
            before = commits(admin)
            figures = load(port, "api.openai.com:443", own_ca, requests=rate * 10, rate=rate)
            after = commits(admin)
            print(
                f"{rate} requests/s: commit p50 {quantile(before, after, 0.5):.2f} ms, "
                f"p99 {quantile(before, after, 0.99):.2f} ms; request p50 {figures['p50_ms']} ms, "
                f"p99 {figures['p99_ms']} ms"
            )


if __name__ == "__main__":
    main()
