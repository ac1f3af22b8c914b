"""Content codings of an answer undone as its chunks pass, in pieces of bounded size.

Beside the traffic: the client gets the bytes as they came. So there is no bound to enforce on anyone, only one on what
reading may cost, in all and for one chunk: the event loop does nothing else meanwhile. Past it, or at the first damaged
byte, `Unreadable` ends the reading.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator

import brotli
import zstandard

from sluice.answers.prune import Unreadable

PIECE = 64 * 1024
"""Bytes of output at a time."""
RATIO = 200
RATIO_FREE = 1024 * 1024
"""Largest expansion, looked at above this size: what gzip makes of a provider's JSON is below 30:1."""
CHUNK_OUTPUT = 4 * 1024 * 1024
"""Most output of one chunk. A socket gives 64 KiB at a time, of which honest JSON makes 2 MiB."""
CHUNK_MEMBERS = 1_000
"""Most gzip members or Zstandard frames that may begin in one chunk; each costs a new decoder, and may be empty."""
_ZSTD_SLICE = 256
"""Bytes of input at a time. Its decoder cannot bound its output, and three bytes can stand for 128 KiB of it."""
_ZSTD_WINDOW = 8 * 1024 * 1024
"""RFC 9659: what a sender over HTTP may count on."""

type Undo = Callable[[bytes], Iterator[bytes]]


def undoing(coding: str) -> Undo | None:
    """What undoes a `Content-Encoding`, or None for one that is not undone here (stacked codings among them). The empty
    text and `identity` pass chunks on."""
    match coding.strip().lower():
        case "" | "identity":
            return _plain
        case "gzip" | "x-gzip":
            return _bounded(_Zlib(31).undo)
        case "deflate":
            return _bounded(_Zlib(15).undo)
        case "br":
            return _bounded(_Brotli().undo)
        case "zstd":
            return _bounded(_Zstd().undo)
    return None


def _plain(chunk: bytes) -> Iterator[bytes]:
    yield chunk


def _bounded(undo: Undo) -> Undo:
    taken = given = 0

    def bounded(chunk: bytes) -> Iterator[bytes]:
        nonlocal taken, given
        taken += len(chunk)
        before = given
        for piece in undo(chunk):
            given += len(piece)
            if given - before > CHUNK_OUTPUT:
                raise Unreadable("expands too far at once")
            if given > RATIO_FREE and given > taken * RATIO:
                raise Unreadable("expands too far")
            yield piece

    return bounded


class _Zlib:
    """gzip, member after member, and deflate with or without its wrapper (RFC 9110, 8.4.1.2)."""

    def __init__(self, wbits: int) -> None:
        self._wbits = wbits
        self._decoder = zlib.decompressobj(wbits)
        self._fresh = True

    def undo(self, chunk: bytes) -> Iterator[bytes]:
        members = 0
        while chunk:
            if self._decoder.eof:
                if self._wbits != 31:
                    return  # bytes behind the end mark: no client reads them either
                members += 1
                if members > CHUNK_MEMBERS:
                    raise Unreadable("too many members at once")
                self._decoder = zlib.decompressobj(self._wbits)
            if self._fresh and self._wbits == 15 and chunk[0] & 0x0F != 8:
                self._decoder = zlib.decompressobj(-15)
            self._fresh = False
            try:
                piece = self._decoder.decompress(chunk, PIECE)
            except zlib.error:
                raise Unreadable("damaged coding") from None
            chunk = self._decoder.unused_data if self._decoder.eof else self._decoder.unconsumed_tail
            if piece:
                yield piece


class _Brotli:
    def __init__(self) -> None:
        self._decoder = brotli.Decompressor()

    def undo(self, chunk: bytes) -> Iterator[bytes]:
        feed = chunk
        try:
            while not self._decoder.is_finished():
                piece = self._decoder.process(feed, output_buffer_limit=PIECE)
                feed = b""
                if piece:
                    yield piece
                elif self._decoder.can_accept_more_data():
                    return
        except brotli.error:
            raise Unreadable("damaged coding") from None


class _Zstd:
    def __init__(self) -> None:
        self._decoder = self._new()

    def _new(self) -> zstandard.ZstdDecompressionObj:
        return zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW).decompressobj()

    def undo(self, chunk: bytes) -> Iterator[bytes]:
        position = frames = 0
        while position < len(chunk):
            if self._decoder.eof:
                frames += 1
                if frames > CHUNK_MEMBERS:
                    raise Unreadable("too many frames at once")
                self._decoder = self._new()
            feed = chunk[position : position + _ZSTD_SLICE]
            try:
                piece = self._decoder.decompress(feed)
            except zstandard.ZstdError:
                raise Unreadable("damaged coding") from None
            position += len(feed) - len(self._decoder.unused_data)
            if piece:
                yield piece
