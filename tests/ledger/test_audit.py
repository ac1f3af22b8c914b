"""Tampering of every kind is found, and the first bad record is named."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from sluice.ledger import pruned, reader, segment, writer
from sluice.ledger.pruned import Pruned
from sluice.ledger.record import leaf_hash, link
from sluice.ledger.segment import Fault, Frame
from tests.ledger.ledger_rig import make_record


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two streams, two epochs, several segments, all sound."""
    directory = tmp_path_factory.mktemp("ledger")

    async def write(slot: int) -> None:
        opened = writer.open_stream(
            directory, node="n", slot=slot, segment_bytes=writer.SMALLEST_SEGMENT, disk_low_bytes=0
        )
        for n in range(30):
            await asyncio.gather(*(opened.commit(make_record(n * 10 + i, size=3000)) for i in range(10)))
        opened.close()

    for slot in (0, 1, 0):
        asyncio.run(write(slot))
    return directory


@pytest.fixture
def copy(ledger: Path, tmp_path: Path) -> Path:
    """A copy to tamper with."""
    return Path(shutil.copytree(ledger, tmp_path / "copy"))


def rewrite(path: Path, change: Callable[[list[Frame]], list[bytes]]) -> None:
    """Replace a segment's frames, with checksums that match: the work of someone who knows the format."""
    data = path.read_bytes()
    bodies = change(list(segment.frames(data)))
    path.write_bytes(data[: segment.HEADER_BYTES] + b"".join(segment.frame(b, first=True) for b in bodies))


def pick(stream: Path, rng: random.Random, *, inner: int = 2) -> tuple[Path, int, list[Frame]]:
    """A random segment of a stream and a random record well inside it."""
    path = stream / rng.choice(segment.segments(stream))
    frames = list(segment.frames(path.read_bytes()))
    return path, rng.randrange(inner, len(frames) - inner), frames


def seq_of(frame: Frame) -> int:
    return link(frame.body).seq


def test_a_sound_ledger_is_found_sound(ledger: Path) -> None:
    """Nothing is reported where nothing was touched, and everything was counted."""
    verdict = reader.verify(ledger)
    assert verdict.sound
    assert verdict.first is None
    assert [(s.stream, s.records, s.epochs, s.first_seq, s.last_seq) for s in verdict.streams] == [
        ("n-w0", 604, 2, 0, 603),
        ("n-w1", 302, 1, 0, 301),
    ]
    assert all(s.segments > 2 for s in verdict.streams)


def bodies(frames: list[Frame]) -> list[bytes]:
    return [f.body for f in frames]


def edit(frames: list[Frame], i: int) -> list[bytes]:
    changed = bodies(frames)
    changed[i] = changed[i].replace(b'"decision":"allow"', b'"decision":"block"')
    return changed


def delete(frames: list[Frame], i: int) -> list[bytes]:
    return bodies(frames[:i] + frames[i + 1 :])


def swap(frames: list[Frame], i: int) -> list[bytes]:
    changed = bodies(frames)
    changed[i], changed[i + 1] = changed[i + 1], changed[i]
    return changed


def duplicate(frames: list[Frame], i: int) -> list[bytes]:
    return bodies([*frames[: i + 1], *frames[i:]])


@pytest.mark.parametrize(
    ("change", "fault"),
    [(edit, Fault.EDIT), (delete, Fault.GAP), (swap, Fault.REORDER), (duplicate, Fault.DUPLICATE)],
)
def test_tampering_is_named(copy: Path, change: Callable[[list[Frame], int], list[bytes]], fault: Fault) -> None:
    """Edit, deletion, swap and duplication with recomputed checksums: found every time, as what it is, at its place."""
    rng = random.Random(31)
    stream = copy / "n-w0"
    for _ in range(50):
        path, i, frames = pick(stream, rng)
        original = path.read_bytes()
        rewrite(path, lambda frames, i=i: change(frames, i))  # type: ignore[misc]
        verdict = reader.verify(copy)
        assert verdict.first is not None
        assert (verdict.first.fault, verdict.first.seq) == (fault, seq_of(frames[i])), str(verdict.first)
        assert verdict.first.stream == "n-w0"
        assert verdict.streams[1].sound
        path.write_bytes(original)


def test_every_flipped_bit_is_found(copy: Path) -> None:
    """One bit changed anywhere in a finished segment, header included, never passes."""
    rng = random.Random(19)
    stream = copy / "n-w0"
    for _ in range(150):
        path = stream / rng.choice(segment.segments(stream)[:-1])
        original = path.read_bytes()
        flipped = bytearray(original)
        flipped[rng.randrange(len(flipped))] ^= 1 << rng.randrange(8)
        path.write_bytes(flipped)
        assert not reader.verify(stream).sound
        path.write_bytes(original)


def test_a_shortened_segment_is_a_gap(copy: Path) -> None:
    """Records cut off the end of a segment that another one follows are missed."""
    stream = copy / "n-w0"
    path = stream / segment.segments(stream)[1]
    rewrite(path, lambda frames: bodies(frames[:-3]))
    verdict = reader.verify(copy)
    assert verdict.first
    assert verdict.first.fault is Fault.GAP
    assert "are missing" in verdict.first.detail


def test_a_segment_cut_inside_a_record_is_damage(copy: Path) -> None:
    """Half a record in a finished segment is not taken for the torn tail of a crash."""
    stream = copy / "n-w0"
    path = stream / segment.segments(stream)[1]
    path.write_bytes(path.read_bytes()[:-100])
    verdict = reader.verify(copy)
    assert verdict.first
    assert verdict.first.fault is Fault.DAMAGE


def test_a_missing_segment_is_a_gap(copy: Path) -> None:
    """A file taken out of the middle is missed."""
    stream = copy / "n-w0"
    names = segment.segments(stream)
    (stream / names[2]).unlink()
    verdict = reader.verify(copy)
    assert verdict.first
    assert (verdict.first.fault, verdict.first.seq) == (Fault.GAP, segment.named(names[2])[1])


def test_a_cut_tail_is_found_by_the_writers_own_count(copy: Path) -> None:
    """Where the count of durable records is still there, records cut off the end are missed too."""
    stream = copy / "n-w0"
    path = stream / segment.segments(stream)[-1]
    rewrite(path, lambda frames: bodies(frames[:-2]))
    verdict = reader.verify(copy)
    assert verdict.first
    assert (verdict.first.fault, verdict.first.seq) == (Fault.TRUNCATION, 602)
    (stream / "durable").unlink()
    assert reader.verify(copy).sound, "without that count only a checkpoint elsewhere can show it"


def test_a_stream_without_any_segment_is_a_gap(copy: Path) -> None:
    """Deleting every segment is missed as long as the writer's count is there, in the ledger and the stream alone."""
    for name in segment.segments(copy / "n-w1"):
        (copy / "n-w1" / name).unlink()
    for directory in (copy, copy / "n-w1"):
        first = reader.verify(directory).first
        assert first
        assert (first.stream, first.fault) == ("n-w1", Fault.TRUNCATION)
        assert "302 records were acknowledged, and no segment is left" in str(first)


def test_a_stream_without_its_last_segment_is_a_gap(copy: Path) -> None:
    """Deleting the newest segment is missed by the writer's count."""
    stream = copy / "n-w0"
    name = segment.segments(stream)[-1]
    (stream / name).unlink()
    first = reader.verify(copy).first
    assert first
    assert (first.fault, first.seq) == (Fault.TRUNCATION, segment.named(name)[1])


def prune(stream: Path, note_at: int = 0) -> Pruned:
    """Take the oldest two segments as retention does: the note first. `note_at`: another boundary than the true one."""
    names = segment.segments(stream)
    below = segment.named(names[2])[1]
    leaves = [leaf_hash(e.body).hex() for e in reader.read(stream)]
    note = Pruned(below_seq=note_at or below, leaf_hash=leaves[(note_at or below) - 1], at=1)
    pruned.write(stream, note)
    for name in names[:2]:
        (stream / name).unlink()
    return note


def test_what_retention_took_has_a_name(copy: Path) -> None:
    """With its note a shortened head is sound, and the range that is gone is said exactly (T34)."""
    note = prune(copy / "n-w0")
    verdict = reader.verify(copy)
    assert verdict.sound
    assert (verdict.streams[0].pruned, verdict.streams[0].first_seq) == (note.below_seq, note.below_seq)


def test_a_note_that_is_ahead_of_the_deletion_is_sound(copy: Path) -> None:
    """A crash between the note and the deletion leaves both; that is no fault."""
    stream = copy / "n-w0"
    leaves = [leaf_hash(e.body).hex() for e in reader.read(stream)]
    pruned.write(stream, Pruned(below_seq=200, leaf_hash=leaves[199], at=1))
    assert reader.verify(copy).sound


def test_a_missing_head_without_a_note_is_a_deletion(copy: Path) -> None:
    """The oldest segments cannot be taken away unseen, nor more of them than the note says."""
    stream = copy / "n-w0"
    names = segment.segments(stream)
    (stream / names[0]).unlink()
    first = reader.verify(copy).first
    assert first
    assert (first.fault, first.seq) == (Fault.GAP, 0)


def test_a_note_that_covers_less_than_is_gone_is_not_enough(copy: Path) -> None:
    """What is gone beyond the note's range is a deletion from there on."""
    prune(copy / "n-w0", note_at=10)
    first = reader.verify(copy).first
    assert first
    assert (first.fault, first.seq) == (Fault.GAP, 10)


def test_a_note_of_another_record_does_not_fit(copy: Path) -> None:
    """The note names the hash of the last record that went; the first that stayed has to name the same."""
    stream = copy / "n-w0"
    note = prune(stream)
    (stream / "pruned.json").unlink()
    pruned.write(stream, Pruned(below_seq=note.below_seq, leaf_hash="ab" * 32, at=1))
    first = reader.verify(copy).first
    assert first
    assert (first.fault, first.seq) == (Fault.EDIT, note.below_seq - 1)


@pytest.mark.parametrize("index", [0, -1])
def test_a_pipe_in_place_of_a_segment_is_damage(copy: Path, index: int) -> None:
    """What is no regular file is a fault, at once: reading it would never end."""
    stream = copy / "n-w1"
    name = segment.segments(stream)[index]
    (stream / name).unlink()
    os.mkfifo(stream / name)
    first = reader.verify(copy).first
    assert first
    assert (first.segment, first.fault) == (name, Fault.DAMAGE)
    assert "is not a regular file" in first.detail


def test_a_pipe_in_place_of_the_count_is_damage(copy: Path) -> None:
    """The writer's own count cannot be swapped for a file that never ends."""
    (copy / "n-w1" / "durable").unlink()
    os.mkfifo(copy / "n-w1" / "durable")
    assert [(f.segment, f.fault) for f in reader.verify(copy).faults] == [("durable", Fault.DAMAGE)]


def test_a_record_of_another_stream_is_foreign(copy: Path) -> None:
    """A sound segment copied from one worker's stream into another's does not pass."""
    name = segment.segments(copy / "n-w1")[-1]
    target = copy / "n-w0" / segment.segments(copy / "n-w0")[-1]
    target.write_bytes((copy / "n-w1" / name).read_bytes())
    verdict = reader.verify(copy)
    assert Fault.FOREIGN in {f.fault for f in verdict.faults}


def test_a_renamed_segment_is_noticed(copy: Path) -> None:
    """A file under another name contradicts its header."""
    stream = copy / "n-w1"
    name = segment.segments(stream)[-1]
    (stream / name).rename(stream / segment.file_name(7, segment.named(name)[1]))
    assert Fault.HEADER in {f.fault for f in reader.verify(copy).faults}


def test_progress_counts_every_byte(ledger: Path) -> None:
    """A long check can show how far it is."""
    told: list[int] = []
    reader.verify(ledger, progress=told.append)
    assert sum(told) == sum(p.stat().st_size for p in ledger.glob("*/*.seg"))


def test_one_stream_can_be_checked_alone(ledger: Path) -> None:
    """An auditor may be given one directory."""
    assert reader.verify(ledger / "n-w1").records == 302


def test_an_empty_directory_has_no_streams(tmp_path: Path) -> None:
    """Nothing there is nothing checked, which the caller can see."""
    assert reader.verify(tmp_path).streams == ()
