"""Files that must survive a crash: whole or as before, whatever the disk does, and never through somebody's link."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sluice import durable


def test_a_write_that_is_cut_short_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that takes seven bytes at a time gets them all."""
    real = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: real(fd, bytes(data)[:7]))
    durable.write(tmp_path / "f", b"x" * 100)
    durable.append(tmp_path / "f", b"y" * 50)
    assert (tmp_path / "f").read_bytes() == b"x" * 100 + b"y" * 50


@pytest.mark.parametrize("call", ["write", "fsync"])
def test_what_was_there_stays_when_the_disk_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    """An error before the renaming leaves the old content under the name, and the next attempt succeeds."""
    durable.write(tmp_path / "f", b"old")

    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, call, fail)
        with pytest.raises(OSError, match="No space"):
            durable.write(tmp_path / "f", b"new")
    assert (tmp_path / "f").read_bytes() == b"old"
    durable.write(tmp_path / "f", b"new")
    assert (tmp_path / "f").read_bytes() == b"new"
    assert [p.name for p in tmp_path.iterdir()] == ["f"]


def test_a_link_in_the_drafts_place_is_not_followed(tmp_path: Path) -> None:
    """Whoever can put a link beside a key cannot have the key written elsewhere."""
    other = tmp_path / "other"
    other.write_bytes(b"theirs")
    (tmp_path / ".f.new").symlink_to(other)
    durable.write(tmp_path / "f", b"ours")
    assert other.read_bytes() == b"theirs"
    assert (tmp_path / "f").read_bytes() == b"ours"
    assert not (tmp_path / "f").is_symlink()


def test_files_are_their_owners_alone(tmp_path: Path) -> None:
    """Without a word about it a file is readable by its owner and nobody else."""
    durable.write(tmp_path / "f", b"")
    durable.append(tmp_path / "g", b"")
    assert [(tmp_path / name).stat().st_mode & 0o777 for name in "fg"] == [0o600, 0o600]


def test_a_reader_never_meets_a_part(tmp_path: Path) -> None:
    """A process that writes without pause is killed in mid-write, again and again: the file is one of the two."""
    whole = (b"a" * 200_000, b"b" * 200_000)
    durable.write(tmp_path / "f", whole[0])
    program = (
        "import sys, itertools, pathlib; from sluice import durable\n"
        "for n in itertools.count(): durable.write(pathlib.Path(sys.argv[1]), (b'a', b'b')[n % 2] * 200_000)\n"
    )
    for _ in range(5):
        process = subprocess.Popen([sys.executable, "-c", program, str(tmp_path / "f")])
        for _ in range(200):
            assert (tmp_path / "f").read_bytes() in whole
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert (tmp_path / "f").read_bytes() in whole
