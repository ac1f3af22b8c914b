"""Readers see what is durable, in order, once, while it is being written and long after."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from sluice.ledger import reader, segment, writer
from sluice.ledger.segment import Damage, Damaged, Fault
from sluice.model import RecordType
from tests.ledger.ledger_rig import Open, Seam, make_record


async def fill(ledger: writer.Writer, count: int, *, size: int = 100) -> None:
    for n in range(0, count, 10):
        await asyncio.gather(*(ledger.commit(make_record(n + i, size=size)) for i in range(min(10, count - n))))


async def test_reading_on_from_any_position(open_writer: Open) -> None:
    """A reader that stops anywhere and goes on later sees every record once, across segments and epochs."""
    ledger = open_writer(segment_bytes=writer.SMALLEST_SEGMENT)
    await fill(ledger, 150, size=4000)
    ledger.close()
    ledger = open_writer()
    await fill(ledger, 20)
    whole = list(reader.read(ledger.stream))
    assert [e.seq for e in whole] == list(range(len(whole)))
    for cut in range(0, len(whole), 7):
        rest = [e.seq for e in reader.read(ledger.stream, whole[cut].after)]
        assert rest == list(range(cut + 1, len(whole)))


async def test_a_live_tail_is_read_as_it_grows(open_writer: Open) -> None:
    """What was not there yet is there at the next look; nothing is seen twice."""
    ledger = open_writer()
    at = None
    seen: list[int] = []
    for n in range(30):
        await ledger.commit(make_record(n))
        for entry in reader.read(ledger.stream, at):
            at = entry.after
            seen.append(entry.seq)
        assert seen[-1] == n + 1
    assert seen == list(range(31))
    assert list(reader.read(ledger.stream, at)) == []


async def test_a_torn_tail_is_not_yet(open_writer: Open) -> None:
    """Half a record behind the last whole one is no error for a reader, with or without a writer."""
    ledger = open_writer()
    await fill(ledger, 3)
    path = ledger.stream / segment.segments(ledger.stream)[-1]
    end = reader.end(ledger.stream)
    assert end
    with path.open("r+b") as file:
        file.seek(end.offset)
        file.write(segment.frame(b'{"seq":4}' * 10, first=True)[:-3])
    assert len(list(reader.read(ledger.stream))) == 4
    ledger._queue.put(None)
    ledger._thread.join()
    ledger._files.release()
    ledger._closed = True
    assert len(list(reader.read(ledger.stream))) == 4


async def test_without_a_writer_everything_whole_is_read(open_writer: Open) -> None:
    """A stream whose writer is gone is read to its last whole record, even if the count on disk is behind."""
    ledger = open_writer()
    await fill(ledger, 5)
    ledger.close()
    (ledger.stream / "durable").write_bytes(bytes(8))
    assert len(list(reader.read(ledger.stream))) == 7


async def test_damage_is_raised_or_stepped_over(open_writer: Open) -> None:
    """One broken record is reported with its place; the ones around it are still delivered."""
    ledger = open_writer()
    await fill(ledger, 30)
    ledger.close()
    path = ledger.stream / segment.segments(ledger.stream)[0]
    data = bytearray(path.read_bytes())
    victim = list(segment.frames(bytes(data)))[12]
    data[victim.offset + 50] ^= 1
    path.write_bytes(data)
    with pytest.raises(Damaged) as e:
        list(reader.read(ledger.stream))
    assert (e.value.damage.fault, e.value.damage.seq, e.value.damage.offset) == (Fault.DAMAGE, 12, victim.offset)
    told: list[Damage] = []
    seqs = [x.seq for x in reader.read(ledger.stream, on_damage=told.append)]
    assert seqs == [n for n in range(32) if n != 12]
    assert [d.seq for d in told] == [12]


async def test_damage_below_a_live_tail_is_not_taken_for_not_yet(open_writer: Open) -> None:
    """While the writer is at work, a broken record that it had made durable is reported at once."""
    ledger = open_writer()
    await fill(ledger, 20)
    path = ledger.stream / segment.segments(ledger.stream)[0]
    victim = list(segment.frames(path.read_bytes()))[9]
    with path.open("r+b") as file:
        file.seek(victim.offset + 20)
        file.write(b"\xff\xff")
    told: list[Damage] = []
    seqs = [x.seq for x in reader.read(ledger.stream, on_damage=told.append)]
    assert seqs == [n for n in range(21) if n != 9]
    assert [d.seq for d in told] == [9]


async def test_a_missing_segment_is_reported(open_writer: Open) -> None:
    """A gap in the numbers reaches whoever reads, not only whoever verifies."""
    ledger = open_writer(segment_bytes=writer.SMALLEST_SEGMENT)
    await fill(ledger, 200, size=4000)
    ledger.close()
    names = segment.segments(ledger.stream)
    (ledger.stream / names[1]).unlink()
    told: list[Damage] = []
    list(reader.read(ledger.stream, on_damage=told.append))
    assert [(d.fault, d.seq) for d in told] == [(Fault.GAP, segment.named(names[1])[1])]


async def test_a_position_in_a_deleted_segment_goes_on_behind_it(open_writer: Open) -> None:
    """After retention has deleted what was shipped, reading continues without complaint."""
    ledger = open_writer(segment_bytes=writer.SMALLEST_SEGMENT)
    await fill(ledger, 200, size=4000)
    ledger.close()
    first = segment.segments(ledger.stream)[0]
    inside = [e for e in reader.read(ledger.stream) if e.after.segment == first]
    (ledger.stream / first).unlink()
    rest = [e.seq for e in reader.read(ledger.stream, inside[-1].after)]
    assert rest == list(range(inside[-1].seq + 1, 202))


async def test_follow_gives_new_records_of_all_streams(tmp_path: Path, open_writer: Open) -> None:
    """What `sluice tail` shows: records from now on, of streams that are there and of those that come."""
    first = open_writer()
    await fill(first, 5)
    seen: list[str] = []
    done = threading.Event()
    ready = threading.Event()

    def watch() -> None:
        def stop() -> bool:
            ready.set()
            return done.is_set()

        records = reader.follow(tmp_path, poll=0.01, stop=stop)
        seen.extend(r.decision_id for r in records if r.record_type is RecordType.DECISION)

    thread = threading.Thread(target=watch)
    thread.start()
    assert await asyncio.to_thread(ready.wait, 10)
    second = open_writer(slot=1)
    await first.commit(make_record(100))
    await second.commit(make_record(101))
    for _ in range(500):
        if len(seen) == 2:
            break
        await asyncio.sleep(0.01)
    done.set()
    await asyncio.to_thread(thread.join, 10)
    assert sorted(seen) == [make_record(100).decision_id, make_record(101).decision_id]


async def test_a_reader_does_not_keep_a_writer_out(open_writer: Open) -> None:
    """Readers look at the writer's lock; a writer that starts at that moment still gets it."""
    open_writer().close()
    stop = threading.Event()

    def hammer(stream: Path) -> None:
        while not stop.is_set():
            list(reader.read(stream))

    ledger = open_writer()
    threads = [threading.Thread(target=hammer, args=(ledger.stream,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(10):
            ledger.close()
            ledger = open_writer()
            await ledger.commit(make_record(1))
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def test_nothing_to_read(tmp_path: Path) -> None:
    """A stream that does not exist, or has no segment yet, is empty; it is no error."""
    assert list(reader.read(tmp_path / "n-w0")) == []
    assert reader.end(tmp_path / "n-w0") is None
    assert segment.acknowledged(tmp_path / "n-w0") is None


async def test_unflushed_records_are_invisible(open_writer: Open, seam: Seam) -> None:
    """A record in the file whose flush has not returned is not shown: a power cut could still take it."""
    ledger = open_writer()
    await ledger.commit(make_record(1))
    entered, go = seam.hold("fdatasync")
    task = asyncio.create_task(ledger.commit(make_record(2)))
    await asyncio.to_thread(entered.wait, 20)
    end = reader.end(ledger.stream)
    assert end
    assert end.seq == 3, "the bytes are in the file"
    assert [e.seq for e in reader.read(ledger.stream)] == [0, 1]
    go.set()
    await task
    assert [e.seq for e in reader.read(ledger.stream)] == [0, 1, 2]
