"""T15: every system call of a writer fails once, or is the last one; whatever is left behind verifies and goes on."""

from __future__ import annotations

import random
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sluice.ledger import reader, writer
from sluice.ledger.record import leaf_hash
from tests.faults.scale import FULL
from tests.ledger.busy_writer import LEDGER_FAILED

ROOT = Path(__file__).resolve().parents[2]
STRACE = shutil.which("strace")
CALLS = ("openat", "pwrite64", "fdatasync", "fsync", "fallocate", "rename", "ftruncate", "unlink")
SHORT = 40
"""Cases of the short form, drawn from all of them."""


def traced(directory: Path, log: Path, *options: str) -> subprocess.CompletedProcess[bytes]:
    """A writer that commits until it has rolled a few segments, under strace."""
    arguments = [str(directory), str(writer.SMALLEST_SEGMENT), "8", "100"]
    command = [sys.executable, "-m", "tests.ledger.busy_writer", *arguments]
    tracing = [str(STRACE), "-f", "-y", "-o", str(log), "-e", f"trace={','.join(CALLS)}", *options]
    return subprocess.run([*tracing, *command], capture_output=True, cwd=ROOT, timeout=120, check=False)


def occurrences(log: Path, directory: Path) -> Iterator[tuple[str, int]]:
    """Every call that touched the ledger: its name, and the how manieth of that name it was in its process."""
    seen: Counter[str] = Counter()
    for line in log.read_text("utf-8", "replace").splitlines():
        found = re.match(r"\d+\s+(\w+)\(", line)
        if found:
            seen[found[1]] += 1
            if str(directory) in line:
                yield found[1], seen[found[1]]


@pytest.mark.skipif(STRACE is None, reason="strace is not installed; tests/ledger holds the same promise by a seam")
@pytest.mark.timeout(3600)
def test_no_system_call_can_cost_a_record(tmp_path: Path, figures: Callable[[str], None]) -> None:
    """EIO, ENOSPC or SIGKILL at any call on the ledger: nothing acknowledged is lost, the rest verifies and goes on."""
    plain = tmp_path / "plain"
    done = traced(plain, tmp_path / "log")
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    places = list(occurrences(tmp_path / "log", plain))
    assert {call for call, _ in places} >= {"openat", "pwrite64", "fdatasync", "fsync", "fallocate", "rename"}
    cases = [(call, n, how) for call, n in places for how in ("error=EIO", "error=ENOSPC", "signal=KILL")]
    if not FULL:
        cases = random.Random(15).sample(cases, SHORT)
    endings: Counter[str] = Counter()
    for number, (call, n, how) in enumerate(cases):
        directory = tmp_path / f"ledger-{number}"
        done = traced(directory, tmp_path / "trace", "-e", f"inject={call}:{how}:when={n}")
        case = f"{call} #{n} {how}"
        assert done.returncode in (0, LEDGER_FAILED, -9, 137, 75), f"{case}: {done.stderr.decode()[-1500:]}"
        endings[{0: "finished", LEDGER_FAILED: "stopped itself"}.get(done.returncode, "killed")] += 1
        check(directory, done.stdout, case)
        shutil.rmtree(directory, ignore_errors=True)
    figures(f"system calls: {len(cases)} of {len(places) * 3} cases; {dict(endings)}; lost 0, all verify")


def check(directory: Path, output: bytes, case: str) -> None:
    """What was acknowledged is there; the ledger verifies, can be opened again, and verifies still."""
    lines = output.decode().rpartition("\n")[0].splitlines()
    told = dict(line.split() for line in lines if line != "failed")
    for _ in range(2):
        kept = {str(e.seq): leaf_hash(e.body).hex() for e in reader.read(directory / "n-w0")}
        assert told.items() <= kept.items(), f"{case}: an acknowledged record is gone"
        verdict = reader.verify(directory)
        assert verdict.sound, f"{case}: {verdict.first}"
        again = writer.open_stream(directory, node="n", slot=0, segment_bytes=writer.SMALLEST_SEGMENT, disk_low_bytes=0)
        again.close()
