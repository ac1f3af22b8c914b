"""Content codings undone within bounds: gzip, deflate, br, zstd, chunk by chunk, every member and every frame.

Each function takes a body and a `Budget`, writes what it decodes into the budget, and raises `Opaque` when the bytes
are damaged, when bytes are left over, or when a bound is passed. No chunk is larger than `CHUNK`, so a bomb costs at
most the budget plus one chunk. Python's own codec names (bz2, zip, rot13 ...) are not codings of HTTP and not here.
"""

from __future__ import annotations

import io
import re
import zlib
from collections.abc import Callable

import brotli
import zstandard

from sluice.errors import Opacity

CHUNK = 64 * 1024
"""Bytes of output asked of a decoder at a time, and bytes of input given to it."""
RATIO_FREE = 1024 * 1024
"""Output below this size may have any ratio: short repetitive JSON compresses well."""

_GZIP_MAGIC = b"\x1f\x8b"
_GZIP_HIDDEN = 0x04 | 0x10
"""FEXTRA and FCOMMENT (RFC 1952, 2.3.1): free bytes in a header that no decoder shows."""
_GZIP_NAME = 0x08
_PLAIN_NAME = re.compile(rb"[a-z][a-z_-]{0,30}[0-9]{0,3}(?:\.[a-z]{1,5}){1,3}\x00")
"""Names that `gzip` writes and that carry nothing: `body.json`, `export-2.csv`. Any other is refused unseen."""
_READABLE = re.compile(rb"[0-9][0-9 .-]{13,}|[A-Za-z0-9_/+=-]{20,}|[\x20-\x7e]{28,}")
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_WINDOW_FLOOR = 8 * 1024 * 1024
"""RFC 9659: a sender of `zstd` over HTTP may count on a window of 8 MiB."""


class Opaque(Exception):
    """The bytes could not be read; `reason` says why. Control flow of this room, caught before it leaves."""

    def __init__(self, reason: Opacity) -> None:
        super().__init__(reason)
        self.reason = reason


class Budget:
    """Where decoded bytes go: bounded in size, in ratio to the wire, and in CPU time by `clock` (seconds)."""

    def __init__(self, wire: int, size: int, ratio: int, seconds: float, clock: Callable[[], float]) -> None:
        self._wire = max(wire, 1)
        self._size = size
        self._ratio = ratio
        self._clock = clock
        self._deadline = clock() + seconds
        self._out = io.BytesIO()
        self._written = 0

    @property
    def size(self) -> int:
        """Largest output allowed, in bytes."""
        return self._size

    def restart(self) -> None:
        """Begin the output of the next layer; the deadline runs on."""
        self._out = io.BytesIO()
        self._written = 0

    def add(self, chunk: bytes) -> None:
        """Take a chunk of output. Raises `Opaque` at the first bound that it passes."""
        self._written += len(chunk)
        if self._written > self._size:
            raise Opaque(Opacity.SIZE_LIMIT)
        if self._written > RATIO_FREE and self._written > self._wire * self._ratio:
            raise Opaque(Opacity.RATIO_LIMIT)
        self.tick()
        self._out.write(chunk)

    def tick(self) -> None:
        """Look at the clock. Raises `Opaque` when the time is spent."""
        if self._clock() > self._deadline:
            raise Opaque(Opacity.TIME_LIMIT)

    def take(self) -> bytes:
        """What was decoded so far."""
        return self._out.getvalue()


def gunzip(data: bytes, budget: Budget) -> None:
    """`gzip` (RFC 1952): members follow each other, and a reader that stops after the first misses the rest."""
    rest = memoryview(data)
    while True:
        if bytes(rest[:2]) != _GZIP_MAGIC:
            raise Opaque(Opacity.CORRUPT_CODING if len(rest) == len(data) else Opacity.TRAILING_BYTES)
        if len(rest) > 3 and rest[3] & _GZIP_HIDDEN:
            raise Opaque(Opacity.TRAILING_BYTES)
        named = len(rest) > 3 and rest[3] & _GZIP_NAME
        if named and (len(rest) != len(data) or not _PLAIN_NAME.match(rest, 10)):
            raise Opaque(Opacity.TRAILING_BYTES)
        rest = rest[_inflate(rest, 31, budget) :]
        if not rest:
            return


def deflate(data: bytes, budget: Budget) -> None:
    """`deflate` (RFC 9110, 8.4.1.2): zlib-wrapped by the standard, raw from some clients; both are accepted."""
    wrapped = len(data) >= 2 and data[0] & 0x0F == 8 and (data[0] << 8 | data[1]) % 31 == 0
    if wrapped:
        try:
            used = _inflate(memoryview(data), 15, budget)
        except Opaque as e:
            if e.reason is not Opacity.CORRUPT_CODING:
                raise
            budget.restart()
            used = _inflate(memoryview(data), -15, budget)
    else:
        used = _inflate(memoryview(data), -15, budget)
    if used != len(data):
        raise Opaque(Opacity.TRAILING_BYTES)


def _inflate(data: memoryview, wbits: int, budget: Budget) -> int:
    """One zlib stream from the start of `data`; returns how many bytes of it were used."""
    decoder = zlib.decompressobj(wbits)
    position = 0
    pending = b""
    try:
        while not decoder.eof:
            if not pending:
                if position >= len(data):
                    raise Opaque(Opacity.CORRUPT_CODING)  # the stream ends before its end mark
                pending = bytes(data[position : position + CHUNK])
                position += len(pending)
            budget.add(decoder.decompress(pending, CHUNK))
            pending = decoder.unconsumed_tail
    except zlib.error:
        raise Opaque(Opacity.CORRUPT_CODING) from None
    return position - len(decoder.unused_data)


def unbrotli(data: bytes, budget: Budget) -> None:
    """`br` (RFC 7932). The library reports left-over bytes as a failure, so they are `corrupt_coding` here."""
    decoder = brotli.Decompressor()
    position = 0
    try:
        while not decoder.is_finished():
            feed = data[position : position + CHUNK] if decoder.can_accept_more_data() else b""
            position += len(feed)
            chunk = decoder.process(feed, output_buffer_limit=CHUNK)
            if not chunk and not feed:
                raise Opaque(Opacity.CORRUPT_CODING)  # nothing goes in and nothing comes out: the end is missing
            budget.add(chunk)
    except brotli.error:
        raise Opaque(Opacity.CORRUPT_CODING) from None
    if position != len(data) or _skipped_text(data, budget.take()):
        raise Opaque(Opacity.TRAILING_BYTES)


def _skipped_text(wire: bytes, decoded: bytes) -> bool:
    """Whether brotli data shows text that is not in its output. Metadata blocks (RFC 7932, 9.2) are such bytes: they
    may stand between any two blocks, no decoder tells of them, and compressed data has no long readable runs by chance.
    Blocks that are stored as they are come out in their order; a few bytes at either end may belong to block headers.
    """
    position = 0
    for found in _READABLE.finditer(wire):
        position = decoded.find(found[0][4:-4], position)
        if position < 0:
            return True
    return False


def unzstd(data: bytes, budget: Budget) -> None:
    """`zstd` (RFC 8878): every frame. A skippable frame is bytes that nobody reads, so it is refused as trailing."""
    window = max(_WINDOW_FLOOR, 1 << (budget.size - 1).bit_length())
    decoder = zstandard.ZstdDecompressor(max_window_size=window)
    position = 0
    try:
        while position < len(data):
            if data[position : position + 4] != _ZSTD_MAGIC:
                raise Opaque(Opacity.TRAILING_BYTES if position else Opacity.CORRUPT_CODING)
            end = _zstd_frame_end(data, position, budget)
            with decoder.stream_reader(data[position:end], read_size=CHUNK) as reader:
                while chunk := reader.read(CHUNK):
                    budget.add(chunk)
            position = end
    except zstandard.ZstdError:
        raise Opaque(Opacity.CORRUPT_CODING) from None


def _zstd_frame_end(data: bytes, start: int, budget: Budget) -> int:
    """Where the frame at `start` ends: its blocks name their sizes (RFC 8878, 3.1.1.2). The decoder does not say
    whether a frame was whole, and with bounded output it cannot say where one ended."""
    head = data[start : start + 18]
    parameters = zstandard.get_frame_parameters(head)
    position = start + zstandard.frame_header_size(head)
    last = False
    blocks = 0
    while not last:
        block = int.from_bytes(data[position : position + 3], "little")
        last, kind, size = bool(block & 1), block >> 1 & 3, block >> 3
        position += 3 + (1 if kind == 1 else size)
        blocks += 1
        if blocks % 4096 == 0:
            budget.tick()
        if position > len(data):
            raise Opaque(Opacity.CORRUPT_CODING)
    if parameters.has_checksum:
        position += 4
    if position > len(data):
        raise Opaque(Opacity.CORRUPT_CODING)
    return position


DECODERS: dict[str, Callable[[bytes, Budget], None]] = {
    "gzip": gunzip,
    "deflate": deflate,
    "br": unbrotli,
    "zstd": unzstd,
}
"""The allow list. `identity` is allowed too, and means nothing to undo."""
