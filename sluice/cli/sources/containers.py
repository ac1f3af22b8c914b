"""Compressed files and archives opened within bounds. A name inside an archive is a label, never a path to write to."""

from __future__ import annotations

import gzip
import io
import tarfile
import time
import zipfile
import zlib
from collections.abc import Iterator

from sluice.cli.sources import SPECIAL, Bounds, Skipped
from sluice.codings import DECODERS, Budget, Opaque

GZIP, ZSTD, ZIP = b"\x1f\x8b", b"\x28\xb5\x2f\xfd", (b"PK\x03\x04", b"PK\x05\x06")
_UNREAD = {
    b"BZh": "compressed with bzip2",
    b"\xfd7zXZ\x00": "compressed with xz",
    b"7z\xbc\xaf\x27\x1c": "7z archive",
    b"Rar!\x1a\x07": "RAR archive",
    b"%PDF-": "PDF",
    b"\x04\x22\x4d\x18": "compressed with lz4",
}
"""Formats that hold text which is not read here, by their first bytes."""
_TOO_MUCH = "unpacks to more than is read"
_SECONDS = 30.0


def coding(name: str, data: bytes) -> str | None:
    """The content coding of a file, by its first bytes; brotli has none, so its name counts."""
    if data.startswith(GZIP):
        return "gzip"
    if data.startswith(ZSTD):
        return "zstd"
    return "br" if name.lower().endswith(".br") else None


def unread(data: bytes) -> str | None:
    """The name of a format that may hold text and is not read."""
    return next((what for magic, what in _UNREAD.items() if data.startswith(magic)), None)


def undo(name: str, data: bytes, how: str, bounds: Bounds) -> bytes | Skipped:
    """A compressed file unpacked."""
    most = bounds.most(len(data))
    try:
        out = _gunzip(data, most) if how == "gzip" else _decode(data, how, most)
    except (OSError, EOFError, zlib.error, Opaque) as e:
        past = isinstance(e, Opaque) and e.reason.endswith("_limit")
        return Skipped(name, _TOO_MUCH if past else f"damaged {how} data", len(data))
    if len(out) > most:
        return Skipped(name, _TOO_MUCH, len(data))
    bounds.size -= len(out)
    return out


def _gunzip(data: bytes, most: int) -> bytes:
    """Every member. `codings.gunzip` is stricter about a header's free fields, which a file of one's own may have."""
    with gzip.GzipFile(fileobj=io.BytesIO(data)) as stream:
        return stream.read(most + 1)


def _decode(data: bytes, how: str, most: int) -> bytes:
    budget = Budget(len(data), most, 1 << 30, _SECONDS, time.thread_time)
    DECODERS[how](data, budget)
    return budget.take()


def is_zip(data: bytes) -> bool:
    return data.startswith(ZIP)


def is_tar(data: bytes) -> bool:
    return data[257:262] == b"ustar"


def members(name: str, data: bytes, bounds: Bounds) -> Iterator[tuple[str, bytes] | Skipped]:
    """(name, bytes) of each member of a zip or tar archive, until the bounds are reached."""
    return _zip(name, data, bounds) if is_zip(data) else _tar(name, data, bounds)


def _zip(name: str, data: bytes, bounds: Bounds) -> Iterator[tuple[str, bytes] | Skipped]:
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        yield Skipped(name, "damaged zip archive", len(data))
        return
    with archive:
        for info in archive.infolist():
            if info.is_dir():
                continue
            label = f"{name}!{info.filename}"
            if (stop := _spent(name, bounds)) is not None:
                yield stop
                return
            if info.flag_bits & 1:
                yield Skipped(label, "encrypted", info.file_size)
                continue
            try:
                with archive.open(info) as stream:
                    content = stream.read(bounds.most(info.compress_size) + 1)
            except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, NotImplementedError, RuntimeError):
                yield Skipped(label, "damaged, or of an unknown method", info.file_size)
                continue
            if len(content) > bounds.most(info.compress_size):
                yield Skipped(label, _TOO_MUCH, info.file_size)
                bounds.size -= len(content)
                continue
            bounds.size -= len(content)
            yield label, content


def _tar(name: str, data: bytes, bounds: Bounds) -> Iterator[tuple[str, bytes] | Skipped]:
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
            for info in archive:
                label = f"{name}!{info.name}"
                if (stop := _spent(name, bounds)) is not None:
                    yield stop
                    return
                if info.isdir():
                    continue
                if not info.isreg() or info.issparse():
                    yield Skipped(label, SPECIAL)
                    continue
                stream = archive.extractfile(info)
                content = stream.read(bounds.size + 1) if stream else b""
                bounds.size -= len(content)
                yield label, content
    except (tarfile.TarError, OSError, EOFError, ValueError, OverflowError, RecursionError):
        yield Skipped(name, "damaged tar archive", len(data))


def _spent(name: str, bounds: Bounds) -> Skipped | None:
    bounds.members -= 1
    if bounds.members < 0:
        return Skipped(name, "more members than are read")
    return Skipped(name, _TOO_MUCH) if bounds.size <= 0 else None
