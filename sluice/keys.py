"""The fingerprint key: what makes a fingerprint useless to anyone who holds only the records.

One key per deployment, made on first use, kept below `var/keys` and never in ClickHouse. A key has a name
(`k1`, `k2`, ...) that every record carries, so that a later key does not orphan the rows of an earlier one; the
highest-numbered file is in force. Destroying the files makes every stored fingerprint unlinkable.
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
from pathlib import Path

from sluice.config import Settings
from sluice.errors import Misconfigured, Problem

KEY_BYTES = 32
_NAME = re.compile(r"fingerprint-k(\d{1,6})\.key")


def fingerprint_key(settings: Settings) -> tuple[bytes, str]:
    """The key in force and its name; made when there is none. Raises `Misconfigured` when a key cannot be used."""
    directory = settings.keys_dir
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = os.open(directory / ".lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError as e:
        raise Misconfigured(Problem(str(directory), None, f"cannot be used for keys: {e.strerror}")) from e
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two processes at first start must not make two keys
        newest = max(_existing(directory), default=None)
        if newest is None:
            newest = (1, directory / "fingerprint-k1.key")
            _create(newest[1])
        return _read(newest[1]), f"k{newest[0]}"
    finally:
        os.close(lock)


def _existing(directory: Path) -> list[tuple[int, Path]]:
    return [(int(m[1]), p) for p in directory.iterdir() if (m := _NAME.fullmatch(p.name))]


def _create(path: Path) -> None:
    """Write beside, flush, rename, flush the directory: a crash must not leave half a key."""
    draft = path.with_suffix(".new")
    draft.unlink(missing_ok=True)
    fd = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    try:
        os.write(fd, secrets.token_bytes(KEY_BYTES))
        os.fsync(fd)
    finally:
        os.close(fd)
    draft.rename(path)
    parent = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(parent)
    finally:
        os.close(parent)


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_mode & 0o077:
            raise Misconfigured(Problem(str(path), None, "is readable by others; run `chmod 600` on it"))
        key = path.read_bytes()
    except OSError as e:
        raise Misconfigured(Problem(str(path), None, f"cannot be read: {e.strerror}")) from e
    if len(key) != KEY_BYTES:
        raise Misconfigured(
            Problem(str(path), None, f"holds {len(key)} bytes instead of {KEY_BYTES}; restore it from a backup")
        )
    return key
