"""No receipt before the flush, no record lost or doubled, and no way on after a failure."""

from __future__ import annotations

import asyncio
import errno
import json
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from sluice.errors import Cause, Misconfigured, Unavailable
from sluice.ledger import reader, segment, writer
from sluice.ledger.record import decode, leaf_hash
from sluice.model import Receipt, Record, RecordType
from tests.ledger.ledger_rig import SEGMENT_BYTES, Open, Seam, make_record


def stored(tmp_path: Path) -> list[Record]:
    """Every record on disk, in order, controls included."""
    return [e.record for stream in reader.streams(tmp_path) for e in reader.read(stream)]


def decisions(tmp_path: Path) -> list[str]:
    return [r.decision_id for r in stored(tmp_path) if r.record_type is RecordType.DECISION]


def controls(tmp_path: Path) -> list[tuple[str | None, object]]:
    found = [r for r in stored(tmp_path) if r.record_type is RecordType.CONTROL]
    return [(r.control_kind, json.loads(r.control_detail or "")) for r in found]


async def test_a_receipt_names_a_record_on_disk(tmp_path: Path, open_writer: Open) -> None:
    """When a commit returns, the record can be read from the file, and the receipt's hash is the hash of its bytes."""
    ledger = open_writer()
    receipt = await ledger.commit(make_record(1))
    entry = next(e for e in reader.read(tmp_path / "n-w0") if e.seq == receipt.seq)
    assert decode(entry.body).decision_id == make_record(1).decision_id
    assert receipt.leaf_hash == leaf_hash(entry.body)
    assert (receipt.node, receipt.epoch) == ("n", 1)
    assert receipt.durable_at > 1_600_000_000_000_000


async def test_no_receipt_before_the_flush(open_writer: Open, seam: Seam) -> None:
    """While the disk has not answered, nobody is told that a record is durable, and no reader sees it."""
    ledger = open_writer()
    entered, go = seam.hold("fdatasync")
    task = asyncio.create_task(ledger.commit(make_record(1)))
    await asyncio.to_thread(entered.wait, 20)
    await asyncio.sleep(0.05)
    assert not task.done()
    assert [e.record.record_type for e in reader.read(ledger.stream)] == [RecordType.CONTROL]
    go.set()
    assert (await task).seq == 1


async def test_those_who_wait_share_one_flush(open_writer: Open, seam: Seam) -> None:
    """Everyone who came while the disk was busy is made durable by the next flush, all at once."""
    ledger = open_writer()
    entered, go = seam.hold("fdatasync")
    first = asyncio.create_task(ledger.commit(make_record(0)))
    await asyncio.to_thread(entered.wait, 20)
    others = [asyncio.create_task(ledger.commit(make_record(n))) for n in range(1, 64)]
    await asyncio.sleep(0)
    before = seam.count("fdatasync")
    go.set()
    receipts = await asyncio.gather(first, *others)
    assert seam.count("fdatasync") == before + 1
    assert [r.seq for r in receipts] == list(range(1, 65))


async def test_a_cancelled_waiter_neither_loses_nor_doubles_its_record(
    tmp_path: Path, open_writer: Open, seam: Seam
) -> None:
    """A deadline that fires while a record is on its way changes who is told, not what is written."""
    ledger = open_writer()
    entered, go = seam.hold("fdatasync")
    first = asyncio.create_task(ledger.commit(make_record(1)))
    await asyncio.to_thread(entered.wait, 20)
    second = asyncio.create_task(ledger.commit(make_record(2)))
    await asyncio.sleep(0)
    first.cancel()
    second.cancel()
    await asyncio.gather(first, second, return_exceptions=True)
    assert first.cancelled()
    assert second.cancelled()
    go.set()
    receipt = await ledger.commit(make_record(3))
    assert receipt.seq == 3
    assert decisions(tmp_path) == [make_record(n).decision_id for n in (1, 2, 3)]
    assert reader.verify(tmp_path).sound


@pytest.mark.parametrize(
    ("call", "error"),
    [("fdatasync", errno.EIO), ("pwrite", errno.EIO), ("pwrite", errno.ENOSPC), ("fdatasync", errno.EDQUOT)],
)
async def test_an_io_error_ends_the_writer_for_good(
    tmp_path: Path, open_writer: Open, seam: Seam, call: str, error: int
) -> None:
    """After a failed write or flush nobody gets a receipt again, and the file is never flushed again."""
    failures: list[Exception] = []
    ledger = open_writer(on_failure=failures.append)
    await ledger.commit(make_record(1))
    entered, go = seam.hold("fdatasync")
    held = asyncio.create_task(ledger.commit(make_record(2)))
    await asyncio.to_thread(entered.wait, 20)
    del seam.before["fdatasync"]
    waiting = [asyncio.create_task(ledger.commit(make_record(n))) for n in range(3, 40)]
    await asyncio.sleep(0)
    seam.fail(call, error)
    go.set()
    assert (await held).seq == 2
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(r, Unavailable) and r.cause is Cause.AUDIT_UNAVAILABLE for r in results)
    seam.before.clear()  # the disk would work again: it must not be asked
    flushes, writes = seam.count("fdatasync"), seam.count("pwrite")
    with pytest.raises(Unavailable):
        await ledger.commit(make_record(99))
    ledger.close()
    assert isinstance(ledger.failed, OSError)
    assert (seam.count("fdatasync"), seam.count("pwrite")) == (flushes, writes)
    assert [type(f) for f in failures] == [OSError]
    assert make_record(99).decision_id not in decisions(tmp_path)


async def test_a_failure_while_a_segment_is_begun_ends_the_writer(open_writer: Open, seam: Seam) -> None:
    """A new segment that cannot be created is a failure like any other: no receipt."""
    ledger = open_writer(segment_bytes=writer.SMALLEST_SEGMENT)
    seam.fail("posix_fallocate", errno.ENOSPC)
    with pytest.raises(Unavailable):
        for n in range(200):
            await ledger.commit(make_record(n, size=4000))
    assert ledger.failed


async def test_after_a_failure_a_new_writer_goes_on(tmp_path: Path, open_writer: Open, seam: Seam) -> None:
    """The process that replaces a failed one finds a sound chain with every acknowledged record in it."""
    ledger = open_writer()
    receipts = [await ledger.commit(make_record(n)) for n in range(5)]
    seam.fail("fdatasync", errno.EIO)
    with pytest.raises(Unavailable):
        await ledger.commit(make_record(5))
    ledger.close()
    seam.before.clear()
    again = open_writer()
    await again.commit(make_record(6))
    assert again.epoch == 2
    kept = {e.seq: leaf_hash(e.body) for e in reader.read(again.stream)}
    assert all(kept[r.seq] == r.leaf_hash for r in receipts)
    assert reader.verify(tmp_path).sound


async def test_low_disk_refuses_and_recovers(
    tmp_path: Path, open_writer: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Below the low-water mark commits are refused before the disk is full; with space back they succeed again."""
    free = 1_000_000_000
    monkeypatch.setattr(writer, "CHECK_SECONDS", 0.0)
    real = os.statvfs

    def statvfs(path: Path) -> object:
        real(path)
        return SimpleNamespace(f_bavail=free // 4096, f_frsize=4096)

    monkeypatch.setattr(os, "statvfs", statvfs)
    ledger = open_writer(disk_low_bytes=500_000_000)
    await ledger.commit(make_record(1))
    free = 400_000_000
    for n in (2, 3):
        with pytest.raises(Unavailable, match="disk space"):
            await ledger.commit(make_record(n))
    assert ledger.failed is None
    free = 600_000_000
    await ledger.commit(make_record(4))
    assert decisions(tmp_path) == [make_record(n).decision_id for n in (1, 4)]
    assert reader.verify(tmp_path).sound


async def test_disk_that_cannot_be_asked_counts_as_full(open_writer: Open, seam: Seam) -> None:
    """Not knowing the free space refuses; it does not forward on a guess."""
    ledger = open_writer(disk_low_bytes=1)
    seam.fail("statvfs", errno.EIO)
    with pytest.raises(Unavailable, match="disk space"):
        await ledger.commit(make_record(1))


def test_a_second_writer_is_refused_by_name(open_writer: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two processes cannot write one stream; the second is told which process holds it."""
    monkeypatch.setattr("sluice.ledger.appender.LOCK_SECONDS", 0.05)
    open_writer()
    with pytest.raises(Unavailable, match=rf"n-w0 is being written by another process \(pid {os.getpid()}\)"):
        open_writer()
    open_writer(slot=1)


async def test_epochs_form_one_chain(tmp_path: Path, open_writer: Open) -> None:
    """Openings begin new epochs in new files; numbers and hashes run on through all of them."""
    for epoch in (1, 2, 3):
        ledger = open_writer(facts={"version": "1.2.3", "rulebook": "ab"})
        await ledger.commit(make_record(epoch))
        assert ledger.epoch == epoch
        ledger.close()
    records = stored(tmp_path)
    assert [r.seq for r in records] == list(range(9))
    assert [r.epoch for r in records] == [1, 1, 1, 2, 2, 2, 3, 3, 3]
    assert {r.chain_id for r in records} == {"n-w0"}
    start = ("start", {"clean": True, "rulebook": "ab", "version": "1.2.3"})
    assert controls(tmp_path) == [start, ("stop", {})] * 3
    verdict = reader.verify(tmp_path)
    assert verdict.sound
    assert verdict.streams[0].epochs == 3


async def test_segments_roll(tmp_path: Path, open_writer: Open, seam: Seam) -> None:
    """A full segment is closed and the next begun; each new name is made durable before anything relies on it."""
    ledger = open_writer(segment_bytes=writer.SMALLEST_SEGMENT)
    for n in range(200):
        await ledger.commit(make_record(n, size=4000))
    names = segment.segments(tmp_path / "n-w0")
    assert len(names) > 3
    assert names == sorted(names)
    assert seam.count("fsync") == 2 * len(names)  # the file with its header, and the directory
    ledger.close()
    assert decisions(tmp_path) == [make_record(n).decision_id for n in range(200)]
    assert reader.verify(tmp_path).sound
    sizes = [(tmp_path / "n-w0" / n).stat().st_size for n in names]
    assert all(size <= writer.SMALLEST_SEGMENT for size in sizes)


async def test_space_is_taken_ahead_and_given_back(tmp_path: Path, open_writer: Open) -> None:
    """An open segment is preallocated, so that a flush changes no file size; a closed one is as long as its records."""
    ledger = open_writer()
    await ledger.commit(make_record(1))
    path = tmp_path / "n-w0" / segment.segments(tmp_path / "n-w0")[0]
    assert path.stat().st_size >= 256 * 1024
    ledger.close()
    data = path.read_bytes()
    assert len(data) == list(segment.frames(data))[-1].end


async def test_one_flush_takes_a_bounded_batch(tmp_path: Path, open_writer: Open, seam: Seam) -> None:
    """However many wait, a flush stays smaller than a segment."""
    ledger = open_writer(segment_bytes=writer.SMALLEST_SEGMENT)
    entered, go = seam.hold("fdatasync")
    first = asyncio.create_task(ledger.commit(make_record(0)))
    await asyncio.to_thread(entered.wait, 20)
    others = [asyncio.create_task(ledger.commit(make_record(n, size=4000))) for n in range(1, 300)]
    await asyncio.sleep(0)
    go.set()
    await asyncio.gather(first, *others)
    ledger.close()
    assert len(decisions(tmp_path)) == 300
    assert reader.verify(tmp_path).sound


async def test_closing_flushes_who_waits_and_refuses_who_comes(tmp_path: Path, open_writer: Open, seam: Seam) -> None:
    """A stop loses nothing that was taken in, and takes nothing in afterwards."""
    ledger = open_writer()
    entered, go = seam.hold("fdatasync")
    tasks = [asyncio.create_task(ledger.commit(make_record(n))) for n in range(5)]
    await asyncio.to_thread(entered.wait, 20)
    go.set()
    await asyncio.to_thread(ledger.close)
    assert len([r for r in await asyncio.gather(*tasks) if isinstance(r, Receipt)]) == 5
    with pytest.raises(Unavailable, match="closed"):
        await ledger.commit(make_record(9))
    assert controls(tmp_path)[-1] == ("stop", {})


def test_settings_that_cannot_work_are_refused(open_writer: Open) -> None:
    """A segment too small for a flush, or a node name that would leave the directory, is the operator's to mend."""
    with pytest.raises(Misconfigured) as e:
        open_writer(segment_bytes=1000, node="../up")
    assert len(e.value.problems) == 2


async def test_commits_from_two_event_loops(tmp_path: Path, open_writer: Open) -> None:
    """Order and receipts hold when records come from several threads with loops of their own."""
    ledger = open_writer()

    def other(first: int) -> list[Receipt]:
        async def commit_all() -> list[Receipt]:
            return list(await asyncio.gather(*(ledger.commit(make_record(n)) for n in range(first, first + 100))))

        return asyncio.run(commit_all())

    results = await asyncio.gather(*(asyncio.to_thread(other, n) for n in (0, 100, 200)))
    assert sorted(r.seq for many in results for r in many) == list(range(1, 301))
    ledger.close()
    assert reader.verify(tmp_path).sound


async def test_a_record_with_anything_in_it_is_committed(tmp_path: Path, open_writer: Open) -> None:
    """What a client can send cannot make its own record fail."""
    ledger = open_writer()
    odd = Record(
        record_type=RecordType.DECISION,
        decision_id="d",
        user_agent="\ud800\x00" * 100_000,
        tools_declared=("t" * 10_000,) * 10_000,
        tokens_in=2**80,
    )
    receipt = await ledger.commit(odd)
    ledger.close()
    assert [r.seq for r in stored(tmp_path) if r.decision_id == "d"] == [receipt.seq]


def test_module_constants_hold_a_flush() -> None:
    """The largest flush and one more record always fit into the smallest segment."""
    frames = writer.FLUSH_RECORDS * segment.FRAME_HEAD.size
    most = writer.SMALLEST_SEGMENT // 4 + segment.MAX_BYTES + frames + segment.HEADER_BYTES
    assert most < writer.SMALLEST_SEGMENT < SEGMENT_BYTES


async def test_noted_records_share_the_flush_of_the_next_commit(
    open_writer: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A record that nobody waits for costs no flush of its own when another is committed soon after."""
    ledger = open_writer()
    flushes = 0
    sync = os.fdatasync

    def counting(fd: int) -> None:
        nonlocal flushes
        flushes += 1
        sync(fd)

    monkeypatch.setattr("sluice.ledger.appender.os.fdatasync", counting)
    noted = [asyncio.create_task(ledger.note(make_record(i))) for i in range(3)]
    await asyncio.sleep(0)
    receipt = await ledger.commit(make_record(3))
    assert [(await t).seq for t in noted] == [receipt.seq - 3, receipt.seq - 2, receipt.seq - 1]
    assert flushes == 1


async def test_a_noted_record_is_durable_without_company(tmp_path: Path, open_writer: Open) -> None:
    """A noted record is flushed soon although no commit comes by, and a close does not forget one."""
    ledger = open_writer()
    alone = await asyncio.wait_for(ledger.note(make_record(1)), 5)
    last = asyncio.create_task(ledger.note(make_record(2)))
    await asyncio.sleep(0)
    await asyncio.to_thread(ledger.close)
    assert (await last).seq == alone.seq + 1
    assert reader.verify(tmp_path).sound


async def test_noted_records_fail_with_the_writer(open_writer: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the disk fails, records that were only noted are answered with the failure too."""
    ledger = open_writer()

    def failing(fd: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("sluice.ledger.appender.os.fdatasync", failing)
    noted = asyncio.create_task(ledger.note(make_record(1)))
    await asyncio.sleep(0)
    for waiting in (ledger.commit(make_record(2)), noted):
        with pytest.raises(Unavailable):
            await waiting
