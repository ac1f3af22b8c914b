"""The cost of evidence: commits, their latency, verification and delivery, beside a plain write-and-flush loop.

CPU is user + system time of this process per record, so the kernel's work of writing and flushing is in it; the plain
loop shows how much of it that is. Everything runs on the file system of the temporary directory (`--directory`).

    python -m tests.bench.bench_ledger [--quick] [--directory DIR]
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import tempfile
import time
import uuid
from collections.abc import Callable
from pathlib import Path

from msgspec.structs import replace

from sluice import config
from sluice.ledger import reader, writer
from sluice.ledger.record import encode
from sluice.model import Match, PartFact, Record, RecordType
from sluice.proof import prove, trust, verify
from sluice.seal import keys
from sluice.seal.chain import Chain
from sluice.ship.clickhouse import Embedded
from sluice.ship.delivery import Delivery

SEGMENT_BYTES = 64 * 1024 * 1024

DECISION = Record(
    record_type=RecordType.DECISION,
    decision_id="",
    ts_identity_done=1,
    ts_scan_done=2,
    ts_decided=3,
    subject_id="5f" * 16,
    subject_kind="user",
    identity_method="header_trusted",
    identity_assurance="asserted",
    groups_hash="ab" * 16,
    src_ip="10.1.2.3",
    src_port=51234,
    user_agent="OpenAI/Python 3.54.0",
    key_fp="ef" * 16,
    key_hint="sk-proj-...9a",
    key_kind="openai.project",
    provider_id="openai",
    provider_status="sanctioned",
    product="api",
    target_row="api.openai.com",
    host="api.openai.com",
    sni="api.openai.com",
    dst_port=443,
    http_version="HTTP/1.1",
    tls_version_client="TLSv1.3",
    method="POST",
    path_template="/v1/chat/completions",
    operation="chat",
    model_requested="gpt-5-mini",
    tools_declared=("read_file", "run_shell"),
    body_bytes=4096,
    decoded_bytes=4096,
    content_type="application/json",
    dialect="openai",
    stream=True,
    parts=tuple(PartFact(role=r, kind="text", bytes=900) for r in ("system", "user", "assistant", "user")),
    body_hmac="cd" * 16,
    hmac_key_id="k1",
    data_classes=("contact.email",),
    matches=(
        Match(
            detector="contact.email",
            rev=1,
            data_class="contact.email",
            severity="low",
            count=1,
            confidence=0.9,
            offset_bucket=0,
            fingerprint="ab" * 16,
        ),
    ),
    max_severity="low",
    inspection_status="full",
    scanned_bytes=4096,
    uninspected_bytes=0,
    scan_us=150,
    decode_us=20,
    parse_us=60,
    decide_us=15,
    engine_versions="hyperscan 5.4.2",
    detector_pack_version="0123456789abcdef",
    rulebook_digest="ab" * 32,
    policy_id="default",
    policy_version="1",
    policy_sha256="cd" * 32,
    rule_id="observe-the-rest",
    rules_evaluated=6,
    policy_mode="enforce",
    policy_age_s=3600,
    decision="allow",
    reason_code="OBSERVE_ONLY",
)
"""A decision as the gate writes it for a 4 KB chat request: about 2 KB of record."""


def fresh() -> Record:
    """A decision of this moment, with an id of its own."""
    return replace(DECISION, decision_id=str(uuid.uuid4()), ts_received=time.time_ns() // 1000)


def measured(count: int, work: Callable[[], object]) -> tuple[float, float]:
    """(per second, CPU microseconds each) of `count` things that `work` does."""
    cpu, began = time.process_time(), time.perf_counter()
    work()
    return count / (time.perf_counter() - began), (time.process_time() - cpu) / count * 1e6


def plain_loop(directory: Path, count: int, size: int) -> tuple[float, float]:
    """One write and one fdatasync per record into a preallocated file, in one thread: what the disk can do."""
    fd = os.open(directory / "plain", os.O_RDWR | os.O_CREAT)
    os.posix_fallocate(fd, 0, SEGMENT_BYTES)
    data = b"x" * size

    def work() -> None:
        for n in range(count):
            os.pwrite(fd, data, n * size % (SEGMENT_BYTES - size))
            os.fdatasync(fd)

    try:
        return measured(count, work)
    finally:
        os.close(fd)


def commits(ledger: writer.Writer, count: int, waiters: int) -> tuple[float, float]:
    """Records per second with so many who wait at once, each for its own record."""
    records = [fresh() for _ in range(count)]

    async def wait(mine: list[Record]) -> None:
        for record in mine:
            await ledger.commit(record)

    async def run() -> None:
        await asyncio.gather(*(wait(records[n::waiters]) for n in range(waiters)))

    return measured(count, lambda: asyncio.run(run()))


def paced(ledger: writer.Writer, rate: int, seconds: float) -> list[float]:
    """Latencies (ms, sorted) of commits that arrive at random at this rate."""
    latencies: list[float] = []
    rng = random.Random(rate)

    async def one() -> None:
        began = time.perf_counter()
        await ledger.commit(fresh())
        latencies.append((time.perf_counter() - began) * 1000)

    async def run() -> None:
        at, tasks = time.perf_counter(), []
        for _ in range(int(rate * seconds)):
            at += rng.expovariate(rate)
            await asyncio.sleep(max(0.0, at - time.perf_counter()))
            tasks.append(asyncio.create_task(one()))
        await asyncio.gather(*tasks)

    asyncio.run(run())
    return sorted(latencies)


def delivery(directory: Path, batch_rows: int) -> tuple[float, float, float]:
    """(rows per second, CPU microseconds per row, bytes per row on disk) of a backlog going into the engine."""
    store = Embedded(directory / f"clickhouse-{batch_rows}", "sluice")
    try:
        store.migrate()
        shipping = Delivery(
            directory / "ledger", directory / f"ship-{batch_rows}", batch_rows=batch_rows, batch_seconds=0
        )

        def work() -> None:
            while shipping.round(store, flush=True):
                pass

        count = sum(1 for s in reader.streams(directory / "ledger") for _ in reader.read(s))
        rate, cpu = measured(count, work)
        store.command("OPTIMIZE TABLE events FINAL")
        size = store.select(
            "SELECT sum(bytes_on_disk) / sum(rows) FROM system.parts WHERE table = 'events' AND active", "TSV"
        )
        assert int(store.select("SELECT count() FROM events", "TSV")) == count
        return rate, cpu, float(size)
    finally:
        store.close()


def seals(directory: Path, total: int) -> None:
    """Sealing the whole ledger in steps of 1,000 records, checking it against all these seals, and one proof."""
    settings = config.Settings(paths=config.Paths(var=directory))
    with keys.locked(settings):
        ring, signer, _ = keys.load_or_create(settings)
    name = "bench-w0"
    chain = Chain(directory / "ledger" / name, settings.seal_dir / name, ring)

    def seal() -> None:
        while chain.seal(signer, most=1000):
            pass

    rate, cpu = measured(total, seal)
    print(f"{'seal, 1,000 a checkpoint':28} {rate:9,.0f} /s  {cpu:6.1f} us CPU", flush=True)
    found: list[reader.Verdict] = []

    def check() -> None:
        found.append(verify.ledger(directory / "ledger", trust.load(settings.seal_dir, [], [signer.verifier])))

    rate, cpu = measured(total, check)
    assert found[0].sound
    assert found[0].streams[0].sealed == total
    print(f"{'verify with seals':28} {rate:9,.0f} /s  {cpu:6.1f} us CPU", flush=True)
    began = time.perf_counter()
    entry = next(reader.read(directory / "ledger" / name))
    text = prove.Prover(settings.seal_dir / name).proof(entry.seq, entry.body).text()
    print(f"{'prove one of them':28} {time.perf_counter() - began:9.2f} s   {len(text)} bytes", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a tenth of the work")
    parser.add_argument("--directory", type=Path, help="where to write; decides which disk is measured")
    options = parser.parse_args()
    scale = 10 if options.quick else 1
    size = len(encode(fresh())) + 200
    with tempfile.TemporaryDirectory(prefix="sluice-bench-", dir=options.directory) as name:
        directory = Path(name)
        print(f"record: {size} bytes", flush=True)
        base, base_cpu = plain_loop(directory, 5000 // scale, size)
        print(f"{'plain write + fdatasync':28} {base:9,.0f} /s  {base_cpu:6.1f} us CPU")
        ledger = writer.open_stream(
            directory / "ledger", node="bench", slot=0, segment_bytes=SEGMENT_BYTES, disk_low_bytes=0
        )
        for waiters, count in ((1, 5000), (8, 20_000), (64, 40_000)):
            rate, cpu = commits(ledger, count // scale, waiters)
            what = f"commit, {waiters} waiting"
            print(f"{what:28} {rate:9,.0f} /s  {cpu:6.1f} us CPU  {rate / base:5.1f} x plain", flush=True)
        for rate in (200, 300):
            ms = paced(ledger, rate, 20 / scale)
            p50, p99 = ms[len(ms) // 2], ms[len(ms) * 99 // 100]
            what = f"commit at {rate}/s"
            print(f"{what:28} p50 {p50:.2f} ms  p99 {p99:.2f} ms  max {ms[-1]:.2f} ms", flush=True)
        ledger.close()
        verdicts: list[reader.Verdict] = []
        total = ledger._seq
        rate, cpu = measured(total, lambda: verdicts.append(reader.verify(directory / "ledger")))
        assert verdicts[0].sound
        assert verdicts[0].records == total
        print(f"{'verify':28} {rate:9,.0f} /s  {cpu:6.1f} us CPU", flush=True)
        seals(directory, total)
        for batch_rows in (100, 1000):
            rate, cpu, disk = delivery(directory, batch_rows)
            what = f"ship, batches of {batch_rows}"
            print(f"{what:28} {rate:9,.0f} /s  {cpu:6.1f} us CPU  {disk:.0f} bytes/row", flush=True)


if __name__ == "__main__":
    main()
