"""After any crash: every acknowledged record is there, only the torn tail is cut, and damage is told from it."""

from __future__ import annotations

import asyncio
import json
import os
import random
from pathlib import Path

import pytest

from sluice.errors import Misconfigured, Unavailable
from sluice.ledger import appender, reader, segment, writer
from sluice.ledger.record import leaf_hash
from sluice.ledger.recovery import recover
from sluice.ledger.segment import Fault
from sluice.model import Record, RecordType
from tests.ledger.ledger_rig import Disk, Open, crash_image, make_record

IMAGES = 1000


def records(stream: Path) -> list[Record]:
    return [e.record for e in reader.read(stream)]


async def fill(ledger: writer.Writer, batches: list[int]) -> None:
    """Commit decisions in flushes of these sizes."""
    n = 0
    for size in batches:
        await asyncio.gather(*(ledger.commit(make_record(n + i, size=100)) for i in range(size)))
        n += size


def last_segment(stream: Path) -> Path:
    return stream / segment.segments(stream)[-1]


def crashed(ledger: writer.Writer) -> Path:
    """Leave a stream as a killed process leaves it: no stop record, the preallocated zeros still there."""
    ledger._queue.put(None)
    ledger._thread.join()
    ledger._files.release()
    ledger._closed = True
    return ledger.stream


async def test_no_acknowledged_record_is_lost_in_a_thousand_crashes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Power cut at any moment, any part of the rest on disk: all that was acknowledged is there, in order."""
    disk = Disk()
    monkeypatch.setattr(appender, "os", disk)
    ledger = writer.open_stream(
        tmp_path / "live", node="n", slot=0, segment_bytes=writer.SMALLEST_SEGMENT, disk_low_bytes=0
    )
    # Acknowledged is what a flush has covered when the event is noted: note it where the receipt is made.
    settle = ledger._settle
    monkeypatch.setattr(
        ledger, "_settle", lambda batch: (disk.note("acknowledged", {w.seq: w.leaf for w in batch}), settle(batch))
    )
    rng = random.Random(18)
    for _ in range(60):
        burst = [ledger.commit(make_record(rng.randrange(10**6), size=rng.randrange(4000))) for _ in range(12)]
        await asyncio.gather(*burst)
    ledger.close()
    monkeypatch.undo()
    assert len({e[1] for e in disk.events if e[0] == "size"}) > 2, "the test must cross segments"

    stream = tmp_path / "n-w0"
    cut = 0
    for image in range(IMAGES):
        events = disk.events[: rng.randrange(1, len(disk.events))]
        acknowledged: dict[int, bytes] = {}
        for event in events:
            if event[0] == "acknowledged":
                acknowledged |= event[1]
        stream.mkdir(exist_ok=True)
        for name, data in crash_image(events, rng).items():
            (stream / name).write_bytes(data)
        found = recover(stream)
        cut += found.cut_bytes > 0
        kept = {e.seq: leaf_hash(e.body) for e in reader.read(stream)}
        assert acknowledged.items() <= kept.items(), f"image {image} lost a record"
        assert not found.damage, f"image {image}: a torn tail was taken for damage"
        assert found.next_seq == len(kept)
        verdict = reader.verify(stream)
        assert verdict.sound, f"image {image}: {verdict.first}"
        for path in stream.iterdir():
            path.unlink()
    assert cut > IMAGES / 10, "too few images had a torn tail for the test to mean anything"


async def test_a_torn_tail_is_cut_and_told(tmp_path: Path, open_writer: Open) -> None:
    """Half a record behind the last flush is removed; a `recovered` record says how many bytes."""
    ledger = open_writer()
    await fill(ledger, [3, 3])
    stream = crashed(ledger)
    path = last_segment(stream)
    data = path.read_bytes()
    end = list(segment.frames(data))[-1].end
    torn = segment.frame(b'{"x":1}' * 20, first=True)[:-9]
    path.write_bytes(data[:end] + torn + data[end + len(torn) :])
    again = open_writer()
    told = [(r.control_kind, json.loads(r.control_detail or "")) for r in records(stream) if r.epoch == 2]
    assert told == [
        ("recovered", {"cut_bytes": len(torn), "epoch": 1, "next_seq": 7}),
        ("start", {"clean": False}),
    ]
    assert path.stat().st_size == end
    await again.commit(make_record(9))
    assert reader.verify(tmp_path).sound


async def test_a_killed_writer_without_a_torn_tail_is_told_from_a_stopped_one(open_writer: Open) -> None:
    """The start record says whether the last epoch ended with a stop."""
    ledger = open_writer()
    await fill(ledger, [2])
    stream = crashed(ledger)
    open_writer().close()
    open_writer().close()
    starts = [json.loads(r.control_detail or "") for r in records(stream) if r.control_kind == "start"]
    assert [s["clean"] for s in starts] == [True, False, True]


@pytest.mark.parametrize("place", ["first", "middle", "before-last-flush"])
async def test_damage_is_reported_and_never_cut(tmp_path: Path, open_writer: Open, place: str) -> None:
    """Bytes that were acknowledged and make no sense any more are evidence of something: they stay, and are named."""
    ledger = open_writer()
    await fill(ledger, [1, 4, 1, 4, 1])
    stream = crashed(ledger)
    path = last_segment(stream)
    data = bytearray(path.read_bytes())
    frames = list(segment.frames(bytes(data)))
    victim = frames[{"first": 0, "middle": 5, "before-last-flush": len(frames) - 2}[place]]
    data[victim.offset + 40] ^= 4
    path.write_bytes(data)
    end = frames[-1].end

    again = open_writer()
    told = [r for r in records_past_damage(stream) if r.epoch == 2]
    assert [r.control_kind for r in told] == ["damage", "start"]
    assert json.loads(told[0].control_detail or "")["offset"] == victim.offset
    assert path.read_bytes() == bytes(data[:end]), "nothing of the damaged file may change but its preallocation"
    assert again.epoch == 2
    verdict = reader.verify(tmp_path)
    assert [(f.fault, f.offset) for f in verdict.faults] == [(Fault.DAMAGE, victim.offset)]
    assert told[0].seq == len(frames), "numbers go on behind the last record that can be read"


def records_past_damage(stream: Path) -> list[Record]:
    return [e.record for e in reader.read(stream, on_damage=lambda _: None)]


async def test_damage_in_an_earlier_segment_does_not_stop_the_writer(tmp_path: Path, open_writer: Open) -> None:
    """Traffic goes on under a damaged archive; verification names the place."""
    ledger = open_writer()
    await fill(ledger, [3])
    ledger.close()
    first = last_segment(ledger.stream)
    data = bytearray(first.read_bytes())
    data[segment.HEADER_BYTES + 30] ^= 1
    first.write_bytes(data)
    open_writer().close()
    again = open_writer()
    assert (await again.commit(make_record(1))).epoch == 3
    verdict = reader.verify(tmp_path)
    assert verdict.first
    assert verdict.first.segment == first.name


async def test_the_last_flush_is_written_again(open_writer: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """Records whose flush failed may live in the page cache alone: recovery rewrites exactly the last flush."""
    ledger = open_writer()
    await fill(ledger, [1, 1, 5])
    stream = crashed(ledger)
    data = last_segment(stream).read_bytes()
    frames = list(segment.frames(data))
    flush_at = max(f.offset for f in frames if f.first)
    disk = Disk()
    monkeypatch.setattr("sluice.ledger.recovery.os", disk)
    recover(stream)
    writes = [e for e in disk.events if e[0] == "write"]
    assert writes == [("write", last_segment(stream).name, flush_at, data[flush_at : frames[-1].end])]
    assert disk.events[-1][0] == "flush"


async def test_a_stream_that_was_stopped_is_not_touched(open_writer: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """Opening after a clean stop writes nothing into the old files."""
    ledger = open_writer()
    await fill(ledger, [2])
    ledger.close()
    disk = Disk()
    monkeypatch.setattr("sluice.ledger.recovery.os", disk)
    assert recover(ledger.stream).clean
    assert not disk.events


def test_leftovers_of_a_segment_that_never_was_are_removed(tmp_path: Path, open_writer: Open) -> None:
    """A crash while a segment is created leaves a temporary file, which is in nobody's way."""
    open_writer().close()
    leftover = tmp_path / "n-w0" / "00000002-000000000002.tmp"
    leftover.write_bytes(b"half a header")
    assert open_writer().epoch == 2
    assert not leftover.exists()


def test_a_newer_format_is_refused_and_left_alone(tmp_path: Path, open_writer: Open) -> None:
    """A downgrade does not write into, or cut, what a later version wrote."""
    open_writer().close()
    path = last_segment(tmp_path / "n-w0")
    data = bytearray(path.read_bytes())
    data[8] = 9
    path.write_bytes(data)
    with pytest.raises(Misconfigured, match="version 9"):
        open_writer()
    assert path.read_bytes() == bytes(data)


def test_a_wrecked_header_is_damage(tmp_path: Path, open_writer: Open) -> None:
    """A segment whose head is gone is reported, and the stream goes on behind its records."""
    open_writer().close()
    path = last_segment(tmp_path / "n-w0")
    data = bytearray(path.read_bytes())
    data[20] ^= 255
    path.write_bytes(data)
    again = open_writer()
    assert again.epoch == 2
    assert [r.control_kind for r in records(again.stream)] == ["start", "stop", "damage", "start"]
    verdict = reader.verify(tmp_path)
    assert [f.fault for f in verdict.faults] == [Fault.HEADER]


def test_a_stream_that_cannot_be_read_is_unavailable(
    tmp_path: Path, open_writer: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that fails while a stream is opened means no ledger, and so no traffic; not a half-open one."""
    open_writer().close()
    disk = Disk()
    disk.fail("open", 5)
    monkeypatch.setattr("sluice.ledger.recovery.os", disk)
    with pytest.raises(Unavailable, match="cannot be opened"):
        open_writer()
    monkeypatch.undo()
    open_writer()  # and the lock was given back
    assert (tmp_path / "n-w0").is_dir()


def test_records_of_a_torn_flush_that_are_whole_are_kept(tmp_path: Path, open_writer: Open) -> None:
    """The intact beginning of an unacknowledged flush is a record of decisions that were made: it stays."""
    ledger = open_writer()
    stream = crashed(ledger)
    path = last_segment(stream)
    data = path.read_bytes()
    start = list(segment.frames(data))[-1]
    body = writer.seal(make_record(1), node="n", epoch=1, seq=1, prev_hash=leaf_hash(start.body).hex(), chain="n-w0")
    added = segment.frame(body, first=True) + segment.frame(body, first=False)[:-5]
    path.write_bytes(data[: start.end] + added)
    open_writer()
    kept = [(r.record_type, r.control_kind) for r in records(stream)]
    assert kept == [
        (RecordType.CONTROL, "start"),
        (RecordType.DECISION, None),
        (RecordType.CONTROL, "recovered"),
        (RecordType.CONTROL, "start"),
    ]
    assert reader.verify(tmp_path).sound


async def test_a_file_of_absurd_size_is_not_read_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A segment blown up with a hole: the next writer opens, says so, loses nothing, and cuts what was never written; a
    stream that was closed keeps it as it is, for `verify` to name."""
    monkeypatch.setattr(segment, "LARGEST_BYTES", 4 * 1024 * 1024)
    ledger = writer.open_stream(tmp_path, node="n", slot=0, segment_bytes=writer.SMALLEST_SEGMENT, disk_low_bytes=0)
    await fill(ledger, [3, 5])
    stream = crashed(ledger)
    blown = last_segment(stream)
    for clean in (False, True):
        os.truncate(blown, 1 << 40)
        again = writer.open_stream(tmp_path, node="n", slot=0, segment_bytes=writer.SMALLEST_SEGMENT, disk_low_bytes=0)
        again.close()
        assert (blown.stat().st_size == 1 << 40) is clean
        if not clean:
            assert reader.verify(tmp_path).sound
        told = [r for r in records(stream) if r.control_kind == "damage"]
        assert len(told) == 1 + clean
        assert [r.decision_id for r in records(stream) if r.record_type is RecordType.DECISION] == [
            make_record(n).decision_id for n in (*range(3), *range(3, 8))
        ]
        found = reader.verify(tmp_path).first
        blown = last_segment(stream)
    assert found
    assert found.fault is Fault.DAMAGE
    with pytest.raises(Misconfigured, match="segment_bytes"):
        writer.open_stream(tmp_path, node="n", slot=1, segment_bytes=1 << 40, disk_low_bytes=0)
