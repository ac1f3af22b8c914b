"""Compression of answers and bodies: HTTP's content codings, and ClickHouse's own blocks (`compress=1`).

A block of ClickHouse's: CityHash128 (version 1.0.2) of all that follows, a byte for the method, the size of method,
sizes and data, the size of the data undone (both 32 bit, little endian), the data.
Source: https://clickhouse.com/docs/native-protocol/compression
"""

from __future__ import annotations

import struct
import time
import zlib
from collections.abc import Callable
from typing import Protocol

import brotli
import lz4.block
import lz4.frame
import zstandard
from clickhouse_cityhash import cityhash

from sluice import codings
from sluice.codings import Budget, Opaque
from sluice.ship.http.errors import BAD_ARGUMENTS, NOT_IMPLEMENTED, QUERY_IS_TOO_LARGE
from sluice.ship.sqlgate import SqlError

BLOCK_BYTES = 256 * 1024
"""Of one block of ours. ClickHouse's own have up to 1 MiB."""
LONGEST_BLOCK = 1024 * 1024
LZ4, ZSTD, NONE = 0x82, 0x90, 0x02
DECODE_SECONDS = 1.0
RATIO = 1000
_HEAD = struct.Struct("<BII")
_HASH = struct.Struct("<QQ")
_MASK = 2**64 - 1


class Encoder(Protocol):
    """Takes an answer piece by piece. `flush` makes what was taken readable; `finish` ends the coding."""

    def feed(self, data: bytes) -> bytes: ...

    def flush(self) -> bytes: ...

    def finish(self) -> bytes: ...


class _Plain:
    def feed(self, data: bytes) -> bytes:
        return data

    def flush(self) -> bytes:
        return b""

    def finish(self) -> bytes:
        return b""


class _Zlib:
    def __init__(self, wbits: int) -> None:
        self._inner = zlib.compressobj(3, wbits=wbits)

    def feed(self, data: bytes) -> bytes:
        return self._inner.compress(data)

    def flush(self) -> bytes:
        return self._inner.flush(zlib.Z_SYNC_FLUSH)

    def finish(self) -> bytes:
        return self._inner.flush()


class _Zstd:
    def __init__(self) -> None:
        self._inner = zstandard.ZstdCompressor(level=1).compressobj()

    def feed(self, data: bytes) -> bytes:
        return self._inner.compress(data)

    def flush(self) -> bytes:
        return self._inner.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)

    def finish(self) -> bytes:
        return self._inner.flush()


class _Brotli:
    def __init__(self) -> None:
        self._inner = brotli.Compressor(quality=2)

    def feed(self, data: bytes) -> bytes:
        return bytes(self._inner.process(data))

    def flush(self) -> bytes:
        return bytes(self._inner.flush())

    def finish(self) -> bytes:
        return bytes(self._inner.finish())


class _Lz4:
    def __init__(self) -> None:
        self._inner = lz4.frame.LZ4FrameCompressor(auto_flush=True)
        self._begun = False

    def feed(self, data: bytes) -> bytes:
        head = b"" if self._begun else self._inner.begin()
        self._begun = True
        return bytes(head + self._inner.compress(data))

    def flush(self) -> bytes:
        return b""  # every piece is flushed

    def finish(self) -> bytes:
        return self.feed(b"") + bytes(self._inner.flush())


class _Blocks:
    """ClickHouse's own blocks."""

    def feed(self, data: bytes) -> bytes:
        return b"".join(block(data[at : at + BLOCK_BYTES]) for at in range(0, len(data), BLOCK_BYTES))

    def flush(self) -> bytes:
        return b""

    def finish(self) -> bytes:
        return b""


ENCODERS: dict[str, Callable[[], Encoder]] = {
    "lz4": _Lz4,
    "zstd": _Zstd,
    "gzip": lambda: _Zlib(31),
    "br": _Brotli,
    "deflate": lambda: _Zlib(15),
}
"""Content codings of answers, the ones that cost least first."""


def negotiated(accept_encoding: str) -> str:
    """The content coding for an answer, of those that a client takes (RFC 9110, 12.5.3); empty for none."""
    taken = set()
    for item in accept_encoding.lower().split(","):
        name, *parameters = (part.strip() for part in item.split(";"))
        refused = any(p.replace(" ", "").rstrip("0.") in ("q=", "q") for p in parameters)
        if not refused:
            taken.add(name)
    return next((name for name in ENCODERS if name in taken), "")


def encoder(coding: str, *, blocks: bool) -> Encoder:
    """The encoder of an answer: ClickHouse's blocks, inside a content coding when both were asked for."""
    outer = ENCODERS[coding]() if coding else _Plain()
    return _Nested(_Blocks(), outer) if blocks else outer


class _Nested:
    def __init__(self, inner: Encoder, outer: Encoder) -> None:
        self._inner = inner
        self._outer = outer

    def feed(self, data: bytes) -> bytes:
        return self._outer.feed(self._inner.feed(data))

    def flush(self) -> bytes:
        return self._outer.flush()

    def finish(self) -> bytes:
        return self._outer.feed(self._inner.finish()) + self._outer.finish()


def block(data: bytes) -> bytes:
    """One of ClickHouse's blocks, LZ4."""
    packed = lz4.block.compress(data, store_size=False)
    body = _HEAD.pack(LZ4, _HEAD.size + len(packed), len(data)) + packed
    return bytes(_checksum(body) + body)


def _checksum(body: bytes) -> bytes:
    number = cityhash.CityHash128(body)
    return _HASH.pack(number >> 64, number & _MASK)


def unblocked(data: bytes, limit: int) -> bytes:
    """The bytes inside a sequence of ClickHouse's blocks, at most `limit`. Raises `SqlError`."""
    out = bytearray()
    at = 0
    while at < len(data):
        head = at + _HASH.size
        if len(data) < head + _HEAD.size:
            raise _damaged()
        method, packed_size, size = _HEAD.unpack_from(data, head)
        body = data[head : head + packed_size]
        if packed_size < _HEAD.size or len(body) != packed_size or size > LONGEST_BLOCK:
            raise _damaged()
        if _checksum(body) != data[at:head]:
            raise SqlError(40, "Checksum doesn't match: corrupted data. (CHECKSUM_DOESNT_MATCH)")
        if len(out) + size > limit:
            raise _too_large(limit)
        plain = _undone(method, body[_HEAD.size :], size)
        if len(plain) != size:
            raise _damaged()
        out += plain
        at = head + packed_size
    return bytes(out)


def _undone(method: int, packed: bytes, size: int) -> bytes:
    try:
        match method:
            case 0x82:
                return bytes(lz4.block.decompress(packed, uncompressed_size=size))
            case 0x90:
                return bytes(zstandard.ZstdDecompressor().decompress(packed, max_output_size=size))
            case 0x02:
                return packed
    except (lz4.block.LZ4BlockError, zstandard.ZstdError) as e:
        raise _damaged() from e
    raise SqlError(NOT_IMPLEMENTED, f"compression method {method:#04x} of a block is not known here")


def decoded(data: bytes, content_encoding: str, limit: int) -> bytes:
    """A body without its content coding, at most `limit` bytes. Raises `SqlError`."""
    name = content_encoding.strip().lower()
    if name in ("", "identity"):
        return data
    if name == "lz4":
        return _unframed(data, limit)
    undo = {
        "gzip": codings.gunzip,
        "x-gzip": codings.gunzip,
        "deflate": codings.deflate,
        "br": codings.unbrotli,
        "zstd": codings.unzstd,
    }.get(name)
    if undo is None:
        raise SqlError(NOT_IMPLEMENTED, f"Unknown compression method: {name[:40]}. (NOT_IMPLEMENTED)")
    budget = Budget(len(data), limit, RATIO, DECODE_SECONDS, time.thread_time)
    try:
        undo(data, budget)
    except Opaque as e:
        raise SqlError(BAD_ARGUMENTS, f"the body cannot be decompressed within {limit} bytes: {e.reason}") from e
    return budget.take()


def _unframed(data: bytes, limit: int) -> bytes:
    inner = lz4.frame.LZ4FrameDecompressor()
    try:
        out = bytes(inner.decompress(data, max_length=limit + 1))
    except RuntimeError as e:
        raise _damaged() from e
    if len(out) > limit:
        raise _too_large(limit)
    if not inner.eof or inner.unused_data:
        raise _damaged()
    return out


def _damaged() -> SqlError:
    return SqlError(BAD_ARGUMENTS, "the compressed body is damaged")


def _too_large(limit: int) -> SqlError:
    return SqlError(QUERY_IS_TOO_LARGE, f"a request holds at most {limit} bytes")
