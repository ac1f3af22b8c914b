"""Small files that must survive a crash: keys, seals, cursors, notes. The one way in which they are written.

Afterwards, and after a crash at any moment, a file holds what it held before or what was written, never a part. A disk
that fills takes a part of a write first and says so only when it is asked again, so every write goes on to its end.
The ledger's segments have a writer of their own (`sluice.ledger.appender`): there the order of flushes is the promise.
"""

from __future__ import annotations

import os
from pathlib import Path

SHARED = 0o640
"""Mode of a file that other processes of the appliance read, where they have accounts of their own (`sluice.accounts`);
without those, the umask leaves 0600."""


def write(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Put a file in the place of the one before: beside it, flushed, renamed, the directory flushed. Raises OSError.

    A draft that a crash has left is taken away; a link in its place is not followed.
    """
    draft = path.with_name(f".{path.name}.new")
    draft.unlink(missing_ok=True)
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    try:
        _hand_over(fd, path.parent)
        put(fd, data)
        os.fsync(fd)
    finally:
        os.close(fd)
    draft.replace(path)
    flush_directory(path.parent)


def append(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Add to a file's end, flushed; a crash may leave a part of the addition there. Raises OSError."""
    new = not path.exists()
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, mode)
    try:
        if new:
            _hand_over(fd, path.parent)
        put(fd, data)
        os.fsync(fd)
    finally:
        os.close(fd)
    if new:
        flush_directory(path.parent)


def _hand_over(fd: int, directory: Path) -> None:
    """What root makes (`sudo sluice ca rotate`) belongs to whoever the directory belongs to, who has to read it."""
    if os.geteuid() == 0 and (owner := directory.stat().st_uid) != 0:
        os.fchown(fd, owner, -1)


def put(fd: int, data: bytes) -> None:
    """Write all of it. Raises OSError."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def flush_directory(directory: Path) -> None:
    """Make names that came or went in it durable. Raises OSError."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
