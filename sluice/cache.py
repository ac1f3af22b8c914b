"""Files that save time and are otherwise worth nothing: compiled detectors, below `var/cache`.

What is read back is handed to a C library that trusts it, so a file counts only when it is ours twice over: a regular
file of this account that nobody else can reach (no link is followed), with an HMAC-SHA-256 over its name and content
under the deployment's fingerprint key. A plain digest would not do: whoever can write the file can write the digest.
Any other file is as good as none, and is written anew.
"""

from __future__ import annotations

import contextlib
import hmac
import os
import secrets
import stat
from hashlib import sha256
from pathlib import Path

KEPT = 4
"""Files kept: those of the last rulebooks."""
LARGEST = 128 * 1024 * 1024
"""Largest file that is read back, bytes."""
_TAG = 32


class Cache:
    """Keeps bytes under a name from one start to the next. Never raises: failure costs time only."""

    def __init__(self, directory: Path, key: bytes) -> None:
        self._directory = directory
        self._key = key

    def load(self, name: str) -> bytes | None:
        """What was saved under the name, or None when there is no such file or it is not ours, whole and unchanged."""
        try:
            fd = os.open(self._directory / name, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
            with os.fdopen(fd, "rb") as stream:
                found = os.fstat(fd)
                private = stat.S_ISREG(found.st_mode) and not found.st_mode & 0o077
                if not private or found.st_uid != os.geteuid() or found.st_size > LARGEST:
                    return None
                data = stream.read(LARGEST)
        except OSError:
            return None
        tag, content = data[:_TAG], data[_TAG:]
        return content if hmac.compare_digest(tag, self._tag(name, content)) else None

    def save(self, name: str, content: bytes) -> None:
        """Keep the bytes, whole or not at all, and let the oldest files go."""
        file = self._directory / name
        draft = file.with_name(f"{name}.{secrets.token_hex(8)}.new")
        try:
            self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            if self._directory.stat().st_uid != os.geteuid():
                return  # root's file would take the place of one that its owner can use
            fd = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            with os.fdopen(fd, "wb") as stream:
                stream.write(self._tag(name, content) + content)
            draft.replace(file)
            files = sorted(self._directory.glob("*" + file.suffix), key=lambda p: p.lstat().st_mtime_ns, reverse=True)
            for old in files[KEPT:]:
                old.unlink(missing_ok=True)
        except OSError:
            with contextlib.suppress(OSError):
                draft.unlink(missing_ok=True)

    def _tag(self, name: str, content: bytes) -> bytes:
        key = hmac.digest(self._key, b"sluice cache file", sha256)
        return hmac.digest(key, name.encode() + b"\0" + content, sha256)
