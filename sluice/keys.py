"""The fingerprint keys: what makes a fingerprint useless to anyone who holds only the records.

Made on first use, kept below `var/keys` and never in ClickHouse. A key has a name (`k1`, `k2`, ...) that every record
carries as `hmac_key_id`, so that a later key does not orphan the rows of an earlier one: those stay queryable by the
fingerprint that the earlier key gives (`sluice keys fingerprint`). A worker takes the highest number when it starts and
holds a lock on that file until it ends, so that a key which still goes into records is told from one that does not,
after a crash too. Destroying an earlier key makes the fingerprints of its time unlinkable to any value, for good:
crypto-shredding.
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sluice import durable
from sluice.config import Settings
from sluice.errors import Misconfigured, Problem

KEY_BYTES = 32
SUBJECTS = "subjects.key"
_NAME = re.compile(r"fingerprint-k(\d{1,6})\.key")


@dataclass(frozen=True, slots=True)
class Key:
    """One version of the key. `made_at` is seconds since the epoch; `in_force` says that new records carry it: workers
    run with it, or none run and it is the newest."""

    id: str
    path: Path
    made_at: float
    in_force: bool
    secret: bytes = field(repr=False)


def fingerprint_key(settings: Settings) -> tuple[bytes, str]:
    """The key in force and its name; made when there is none. Raises `Misconfigured` when a key cannot be used."""
    with _locked(settings.keys_dir):
        number, path = _newest(settings)
        return _read(path, _shared(settings)), f"k{number}"


def use(settings: Settings, key_id: str) -> int:
    """Mark a key as one that this process writes records with, until it ends or closes the descriptor returned.

    Raises `Misconfigured` when the key went meanwhile.
    """
    with _locked(settings.keys_dir):
        path = settings.keys_dir / f"fingerprint-{key_id}.key"
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            fcntl.flock(fd, fcntl.LOCK_SH)
        except OSError as e:
            raise Misconfigured(Problem(str(path), None, f"cannot be used: {e.strerror}")) from e
        return fd


def subject_key(settings: Settings) -> bytes:
    """The key that seals the names behind pseudonyms; made when there is none. Raises `Misconfigured`."""
    with _locked(settings.keys_dir):
        path = settings.keys_dir / SUBJECTS
        if not path.exists():
            _create(path)
        return _read(path)


def versions(settings: Settings) -> list[Key]:
    """Every key that is still there, oldest first. Raises `Misconfigured` when one cannot be used."""
    with _locked(settings.keys_dir):
        _newest(settings)
        return _all(settings)


def secrets_by_name(settings: Settings) -> dict[str, bytes]:
    """Every key that is still there by its name, the one in force last. Raises `Misconfigured`."""
    return {key.id: key.secret for key in versions(settings)}


def rotate(settings: Settings) -> Key:
    """Make the next key. Processes that run keep theirs until they start again. Raises `Misconfigured`."""
    with _locked(settings.keys_dir):
        number, _ = _newest(settings)
        _create(settings.keys_dir / f"fingerprint-k{number + 1}.key", _shared(settings))
        return _all(settings)[-1]


def destroy(settings: Settings, key_id: str, before: Callable[[], object] = lambda: None) -> None:
    """Overwrite an earlier key and remove it. Raises `Misconfigured` for the newest, one that a worker uses, and one
    that is not there. `before` is called when nothing speaks against it: what that raises keeps the key.

    On a journalling or copy-on-write file system, and in backups, older copies of the bytes may remain.
    """
    with _locked(settings.keys_dir):
        keys = {k.id: k for k in _all(settings)}
        key = keys.get(key_id)
        if key is None:
            raise Misconfigured(Problem(str(settings.keys_dir), None, f"has no key `{key_id}`; there are {list(keys)}"))
        if key is list(keys.values())[-1]:
            what = f"`{key_id}` is the newest; make its successor with `sluice keys rotate`, restart, then destroy it"
            raise Misconfigured(Problem(str(key.path), None, what))
        if _used(key.path):
            what = f"`{key_id}` is in force: running workers put it into records; restart sluice-proxy, then destroy it"
            raise Misconfigured(Problem(str(key.path), None, what))
        before()
        fd = os.open(key.path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            durable.put(fd, secrets.token_bytes(KEY_BYTES))
            os.fsync(fd)
        finally:
            os.close(fd)
        key.path.unlink()
        durable.flush_directory(settings.keys_dir)


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Two processes at first start must not make two keys."""
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        # For reading: the shipper, which has the workers' keys to read where it has its own account, makes none.
        lock = os.open(directory / ".lock", os.O_CREAT | os.O_RDONLY | os.O_CLOEXEC, durable.SHARED)
    except OSError as e:
        raise Misconfigured(Problem(str(directory), None, f"cannot be used for keys: {e.strerror}")) from e
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _shared(settings: Settings) -> int:
    """Mode of a fingerprint key: with accounts of their own the workers make it, and the shipper reads it too."""
    return durable.SHARED if settings.accounts.used else 0o600


def _newest(settings: Settings) -> tuple[int, Path]:
    """Number and file of the key in force; made when there is none."""
    newest = max(_existing(settings.keys_dir), default=None)
    if newest is None:
        newest = (1, settings.keys_dir / "fingerprint-k1.key")
        _create(newest[1], _shared(settings))
    return newest


def _all(settings: Settings) -> list[Key]:
    found, mode = sorted(_existing(settings.keys_dir)), _shared(settings)
    secret = {n: _read(path, mode) for n, path in found}
    used = {n for n, path in found if _used(path)} or {n for n, _ in found[-1:]}
    return [Key(f"k{n}", path, path.stat().st_mtime, n in used, secret[n]) for n, path in found]


def _used(path: Path) -> bool:
    """Whether a process holds the key (`use`). To be asked under the directory's lock: nobody can take it meanwhile."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as e:
        raise Misconfigured(Problem(str(path), None, f"cannot be read: {e.strerror}")) from e
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def _existing(directory: Path) -> list[tuple[int, Path]]:
    return [(int(m[1]), p) for p in directory.iterdir() if (m := _NAME.fullmatch(p.name))]


def _create(path: Path, mode: int = 0o600) -> None:
    durable.write(path, secrets.token_bytes(KEY_BYTES), mode)


def _read(path: Path, mode: int = 0o600) -> bytes:
    try:
        if path.stat().st_mode & 0o077 & ~mode:
            raise Misconfigured(Problem(str(path), None, "is readable by others; run `chmod 600` on it"))
        key = path.read_bytes()
    except OSError as e:
        raise Misconfigured(Problem(str(path), None, f"cannot be read: {e.strerror}")) from e
    if len(key) != KEY_BYTES:
        raise Misconfigured(
            Problem(str(path), None, f"holds {len(key)} bytes instead of {KEY_BYTES}; restore it from a backup")
        )
    return key
