"""Real processes, really killed, on a real file system; and the kernel's own errors, injected into system calls."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sluice.ledger import reader, segment, writer
from sluice.ledger.record import leaf_hash
from sluice.model import RecordType
from tests.ledger.busy_writer import LEDGER_FAILED

ROOT = Path(__file__).resolve().parents[2]
STRACE = shutil.which("strace")


def command(directory: Path, tasks: int = 8) -> list[str]:
    arguments = [str(directory), str(writer.SMALLEST_SEGMENT), str(tasks)]
    return [sys.executable, "-m", "tests.ledger.busy_writer", *arguments]


def acknowledged(output: bytes) -> dict[int, str]:
    """What the process was told is durable: the complete lines of its output."""
    lines = output.decode().rpartition("\n")[0].splitlines()
    pairs = (line.split() for line in lines if line != "failed")
    return {int(seq): leaf for seq, leaf in pairs}


def stored(directory: Path) -> dict[int, str]:
    return {e.seq: leaf_hash(e.body).hex() for e in reader.read(directory / "n-w0")}


def test_kill_9_under_load_loses_nothing(tmp_path: Path) -> None:
    """Killed five times in mid-write, the stream still holds every acknowledged record, unbroken and in order."""
    told: dict[int, str] = {}
    for kill in range(5):
        process = subprocess.Popen(command(tmp_path), stdout=subprocess.PIPE, cwd=ROOT)
        assert process.stdout
        output = process.stdout.read(2000 if kill < 4 else 100_000)  # the last one past the end of its first segment
        time.sleep(0.05 + 0.03 * kill)
        process.kill()
        output += process.stdout.read()
        process.wait()
        process.stdout.close()
        fresh = acknowledged(output)
        assert len(fresh) > 20
        assert not fresh.keys() & told.keys(), "a number was given twice"
        told |= fresh
        kept = stored(tmp_path)
        assert told.items() <= kept.items(), "an acknowledged record is gone"
        verdict = reader.verify(tmp_path)
        assert verdict.sound, str(verdict.first)
    assert verdict.streams[0].epochs == 5
    starts = [e.record for e in reader.read(tmp_path / "n-w0")]
    assert sum(r.control_kind == "start" for r in starts) == 5
    assert all(r.record_type in (RecordType.CONTROL, RecordType.DECISION) for r in starts)
    assert len(segment.segments(tmp_path / "n-w0")) > 5, "the test must cross segments"


@pytest.mark.skipif(STRACE is None, reason="strace is not installed; test_writer holds the same promise without it")
@pytest.mark.parametrize(
    ("call", "error", "nth"),
    [
        ("fdatasync", "EIO", 2),
        ("fdatasync", "EIO", 7),
        ("pwrite64", "EIO", 9),
        ("pwrite64", "ENOSPC", 12),
        ("fsync", "EIO", 3),
        ("fallocate", "ENOSPC", 2),
        ("rename", "EIO", 2),
        ("ftruncate", "EIO", 3),
    ],
)
def test_an_error_of_the_kernel_ends_the_process(tmp_path: Path, call: str, error: str, nth: int) -> None:
    """The nth system call fails: no receipt afterwards, no second flush of that file, and nothing acknowledged lost."""
    log = tmp_path / "trace"
    ledger = tmp_path / "ledger"
    inject = f"{call}:error={error}:when={nth}+"
    traced = "trace=fdatasync,fsync,pwrite64,fallocate,rename,ftruncate,openat"
    done = subprocess.run(
        [str(STRACE), "-f", "-o", str(log), "-e", traced, "-e", f"inject={inject}", *command(ledger)],
        capture_output=True,
        cwd=ROOT,
        timeout=60,
        check=False,
    )
    assert done.returncode == LEDGER_FAILED, done.stderr.decode()[-2000:]
    assert done.stdout.endswith(b"failed\n")
    lines = log.read_text("utf-8").splitlines()
    failed = next(i for i, line in enumerate(lines) if "(INJECTED)" in line)
    assert not [line for line in lines[failed + 1 :] if re.search(r"\b(fdatasync|pwrite64)\(", line)]
    told = acknowledged(done.stdout)
    kept = stored(ledger)
    assert told.items() <= kept.items()
    assert reader.verify(ledger).sound
    again = writer.open_stream(ledger, node="n", slot=0, segment_bytes=writer.SMALLEST_SEGMENT, disk_low_bytes=0)
    again.close()
    assert told.items() <= stored(ledger).items()
    assert reader.verify(ledger).sound
