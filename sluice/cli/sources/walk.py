"""The files below a folder, in the order of their names; never outside of it."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from sluice.cli.sources import EXCLUDED, SPECIAL, SYMLINK, Skipped

IGNORED = frozenset({".git"})
"""Folders that are never looked into: objects of git are compressed, and what was checked out of them is beside."""


def files(
    root: Path, *, include: Sequence[str] = (), exclude: Sequence[str] = ()
) -> Iterator[tuple[Path, int] | Skipped]:
    """(file, bytes) of every regular file that fits, and what was passed over.

    A pattern is a glob over the path below `root`, or over the name alone (`*.py`, `build/*`). Links are not followed,
    so the walk stays below `root` and ends. No recursion of ours: folders may be nested without limit.
    """
    waiting = [str(root)]
    while waiting:
        folder = waiting.pop()
        try:
            with os.scandir(folder) as found:
                entries = sorted(found, key=lambda e: e.name)
        except OSError as e:
            yield Skipped(folder, e.strerror or "cannot be read")
            continue
        deeper: list[str] = []
        for entry in entries:
            below = os.path.relpath(entry.path, root)
            if entry.is_dir(follow_symlinks=False):
                if entry.name not in IGNORED and not _fits(below, exclude):
                    deeper.append(entry.path)
                continue
            if entry.is_symlink():
                yield Skipped(entry.path, SYMLINK)
            elif _fits(below, exclude) or (include and not _fits(below, include)):
                yield Skipped(entry.path, EXCLUDED)
            else:
                try:
                    status = entry.stat(follow_symlinks=False)
                except OSError as e:
                    yield Skipped(entry.path, e.strerror or "cannot be read")
                    continue
                if stat.S_ISREG(status.st_mode):
                    yield Path(entry.path), status.st_size
                else:
                    yield Skipped(entry.path, SPECIAL)
        waiting += reversed(deeper)


def _fits(below: str, patterns: Sequence[str]) -> bool:
    name = below.rpartition("/")[2]
    return any(fnmatchcase(below, p.rstrip("/")) or fnmatchcase(name, p.rstrip("/")) for p in patterns)


def load(file: Path, most: int) -> bytes | Skipped:
    """The bytes of a regular file, or why they cannot be had. Never waits for a pipe or a device."""
    try:
        fd = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with os.fdopen(fd, "rb") as stream:
            status = os.fstat(fd)
            if not stat.S_ISREG(status.st_mode):
                return Skipped(str(file), SPECIAL)
            if status.st_size > most:
                return Skipped(str(file), f"larger than {most >> 20} MB", status.st_size)
            return stream.read(most)
    except OSError as e:
        return Skipped(str(file), e.strerror or "cannot be read")
