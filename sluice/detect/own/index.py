"""The file that an index is: what it was made of by name, arrays of keyed hashes, and a seal over all of it.

    magic, length of the head, head (JSON), zeros up to a multiple of 8, sections, 32 bytes of seal

The head names the key (`k1` of `var/keys`), carries the salt, and a proof of the key, so that a wrong key and a changed
file are told apart. Keys for hashing and for sealing are derived from the deployment's key and the salt; the same value
has another hash in every file. The seal is keyed BLAKE2b over everything before it: whoever has no key can neither
change nor make an index. A file is written beside, flushed and renamed, 0600; one that is open stays as it was.
"""

from __future__ import annotations

import hmac
import mmap
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any

import msgspec

from sluice.detect.own.table import Table
from sluice.errors import Misconfigured, Problem

VERSION = 1
"""Of the file and of everything that hashes are taken of (`words`, `columns`)."""
SALT = 16
LARGEST = 1 << 30
_MAGIC = b"sluice own data\n"
_SEAL = 32
_HEAD = 1 << 20


class Head(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an index says of itself. `about` is of its kind; `sections` are (name, begin, length) behind the head."""

    kind: str
    version: int
    key_id: str
    salt: str
    proof: str
    made: str
    about: dict[str, Any]
    sections: tuple[tuple[str, int, int], ...]


class Keyed:
    """Keyed hashes of one index: 64 bits each, from a beginning that is hashed once."""

    __slots__ = ("_begun", "_key")

    def __init__(self, secret: bytes, salt: bytes, purpose: bytes) -> None:
        self._key = blake2b(purpose, digest_size=32, key=secret, salt=salt, person=b"sluice own data").digest()
        self._begun = blake2b(digest_size=8, key=self._key)

    def of(self, data: bytes) -> int:
        state = self._begun.copy()
        state.update(data)
        return int.from_bytes(state.digest(), "little")

    def long(self, data: bytes) -> bytes:
        """16 bytes, for what stands alone."""
        return blake2b(data, digest_size=16, key=self._key, person=b"long").digest()


@dataclass(frozen=True, slots=True)
class Index:
    """An index that was opened: checked, mapped, its key at hand."""

    path: Path
    head: Head
    keyed: Keyed
    digest: str
    _sections: Mapping[str, memoryview] = field(repr=False)

    def section(self, name: str) -> memoryview:
        """The bytes of a section. Raises `Misconfigured`."""
        if name not in self._sections:
            raise Misconfigured(Problem(str(self.path), None, f"has no section `{name}`; build it again"))
        return self._sections[name]

    def table(self, name: str) -> Table:
        """Raises `Misconfigured`."""
        parts = (self.section(f"{name}.{part}") for part in ("hashes", "numbers", "directory"))
        try:
            return Table(*parts)
        except ValueError as e:
            raise Misconfigured(Problem(str(self.path), None, f"`{name}`: {e}; build it again")) from e


def load(path: Path, kind: str, keys: Mapping[str, bytes]) -> Index:
    """Open an index. `keys`: the deployment's keys by name. Raises `Misconfigured` that says what is wrong with it."""

    def bad(what: str) -> Misconfigured:
        return Misconfigured(Problem(str(path), None, what))

    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as e:
        raise bad(f"cannot be read: {e.strerror}") from e
    try:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            raise bad("is not a file")
        if found.st_mode & 0o022:
            raise bad("can be changed by other users; run `chmod 600` on it")
        if not len(_MAGIC) + 4 + _SEAL < found.st_size <= LARGEST:
            raise bad("is no index of Sluice, or was cut off; build it again")
        data = memoryview(mmap.mmap(fd, found.st_size, access=mmap.ACCESS_READ))
    except OSError as e:
        raise bad(f"cannot be mapped: {e.strerror}") from e
    finally:
        os.close(fd)
    size = int.from_bytes(data[len(_MAGIC) : len(_MAGIC) + 4], "little")
    begin = _aligned(len(_MAGIC) + 4 + size)
    if data[: len(_MAGIC)] != _MAGIC or size > _HEAD or begin + _SEAL > len(data):
        raise bad("is no index of Sluice, or was cut off; build it again")
    try:
        head = msgspec.json.decode(data[len(_MAGIC) + 4 : len(_MAGIC) + 4 + size], type=Head)
        salt = bytes.fromhex(head.salt)
    except (msgspec.DecodeError, ValueError) as e:
        raise bad("its head cannot be read: it was changed or cut off; build it again") from e
    if head.version != VERSION or len(salt) != SALT:
        raise bad(f"was built by another version of Sluice ({head.version}, this one reads {VERSION}); build it again")
    if head.kind != kind:
        raise bad(f"is an index of {head.kind}, not of {kind}: it stands in the wrong table of `[own]`")
    secret = keys.get(head.key_id)
    if secret is None:
        there = ", ".join(keys) or "none"
        raise bad(f"was built under key `{head.key_id}`, which is not in `var/keys` (there: {there}); build it again")
    if not hmac.compare_digest(_proof(secret, salt), head.proof):
        raise bad(f"was built under another deployment's key `{head.key_id}`; build it here")
    if not hmac.compare_digest(_seal(secret, salt, data[:-_SEAL]), bytes(data[-_SEAL:])):
        raise bad("does not match its seal: it was changed or damaged; build it again")
    sections = {name: data[begin + at : begin + at + length] for name, at, length in head.sections}
    digest = bytes(data[-_SEAL:]).hex()
    return Index(path, head, Keyed(secret, salt, head.kind.encode()), digest, sections)


def save(
    path: Path,
    kind: str,
    key_id: str,
    secret: bytes,
    salt: bytes,
    made: str,
    about: dict[str, Any],
    sections: Mapping[str, bytes],
) -> int:
    """Write an index, whole or not at all; returns its size in bytes. Raises `OSError`."""
    places: list[tuple[str, int, int]] = []
    at = 0
    for name, content in sections.items():
        places.append((name, at, len(content)))
        at = _aligned(at + len(content))
    head = msgspec.json.encode(
        Head(kind, VERSION, key_id, salt.hex(), _proof(secret, salt), made, about, tuple(places))
    )
    seal = _sealing(secret, salt)
    draft = path.with_name(f".{path.name}.new")
    draft.unlink(missing_ok=True)
    fd = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(fd, "wb") as stream:

            def write(content: bytes) -> None:
                padded = content.ljust(_aligned(len(content)), b"\0")
                seal.update(padded)
                stream.write(padded)

            write(_MAGIC + len(head).to_bytes(4, "little") + head)
            for content in sections.values():
                write(content)
            stream.write(seal.digest())
            stream.flush()
            os.fsync(fd)
            size = stream.tell()
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    return size


def table_sections(name: str, arrays: tuple[bytes, bytes, bytes]) -> dict[str, bytes]:
    """What `table.build` made, under the names that `Index.table` looks for."""
    return {f"{name}.{part}": content for part, content in zip(("hashes", "numbers", "directory"), arrays, strict=True)}


def _aligned(size: int) -> int:
    return (size + 7) // 8 * 8


def _sealing(secret: bytes, salt: bytes) -> Any:
    return blake2b(digest_size=_SEAL, key=secret, salt=salt, person=b"sluice seal")


def _seal(secret: bytes, salt: bytes, content: memoryview) -> bytes:
    made = _sealing(secret, salt)
    made.update(content)
    digest: bytes = made.digest()
    return digest


def _proof(secret: bytes, salt: bytes) -> str:
    return blake2b(b"", digest_size=16, key=secret, salt=salt, person=b"sluice key").hexdigest()
