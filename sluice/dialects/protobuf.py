"""Text in binary bodies: gRPC and Connect envelopes, protobuf without its schema, and runs of UTF-8 in anything else.

Without a schema nothing here is certain, so a body that comes this way stays `Unread` as well; what text it shows is
scanned. Wire format: protobuf.dev/programming-guides/encoding; envelopes: the gRPC over HTTP/2 and Connect protocols.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from sluice.codings import Budget, Opaque, gunzip
from sluice.config import Limits

_RUN = re.compile(
    rb"(?:[\t\n\r\x20-\x7e]|[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}){4,}"
)
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_DEPTH = 24
_FIELDS = 50_000
_MESSAGES = 10_000


def runs(data: bytes) -> Iterator[str]:
    """Runs of at least four bytes of printable UTF-8."""
    for found in _RUN.finditer(data):
        yield found[0].decode("utf-8", "replace")


def envelopes(data: bytes, limits: Limits) -> Iterator[bytes]:
    """Messages behind 5-byte prefixes (flag, big-endian length), gunzipped where the flag says compressed.

    Bytes that do not fit the framing, or a message that cannot be opened, come out as they are.
    """
    position = 0
    left = limits.decoded_bytes
    for _ in range(_MESSAGES):
        size = int.from_bytes(data[position + 1 : position + 5], "big")
        message = data[position + 5 : position + 5 + size]
        if position + 5 > len(data) or len(message) < size:
            break
        if data[position] & 1:
            # No clock: the output bounds the work here, and it was paid for by the size of the body.
            budget = Budget(len(message), left, limits.decoded_ratio, 1.0, lambda: 0.0)
            try:
                gunzip(message, budget)
                message = budget.take()
                left = max(0, left - len(message))
            except Opaque:
                message = data[position + 5 : position + 5 + size]
        yield message
        position += 5 + size
    if position < len(data):
        yield data[position:]


class _NotProtobuf(Exception):
    """These bytes do not parse as a message."""


def texts(message: bytes) -> list[str]:
    """The texts of a protobuf message, found by structure; by runs where it does not parse."""
    out: list[str] = []
    budget = [_FIELDS]
    if not _walk(message, out, 0, budget):
        out.extend(runs(message))
    return out


def _walk(message: bytes, out: list[str], depth: int, budget: list[int]) -> bool:
    try:
        fields = list(_fields(message, budget))
    except _NotProtobuf:
        return False
    for value in fields:
        text = _text(value)
        if text is not None:
            out.append(text)
        elif depth >= _DEPTH or not _walk(value, out, depth + 1, budget):
            out.extend(runs(value))
    return True


def _text(value: bytes) -> str | None:
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError:
        return None
    return None if _CONTROL.search(text) else text


def _fields(message: bytes, budget: list[int]) -> Iterator[bytes]:
    """Length-delimited values of a message. Raises `_NotProtobuf` at the first byte that fits no field."""
    position, end = 0, len(message)
    while position < end:
        budget[0] -= 1
        if budget[0] < 0:
            raise _NotProtobuf
        tag, position = _varint(message, position)
        kind = tag & 7
        if tag >> 3 == 0:
            raise _NotProtobuf
        if kind == 0:
            _, position = _varint(message, position)
        elif kind == 2:
            size, position = _varint(message, position)
            if position + size > end:
                raise _NotProtobuf
            yield message[position : position + size]
            position += size
        elif kind in (1, 5):
            position += 8 if kind == 1 else 4
        else:
            raise _NotProtobuf
    if position != end:
        raise _NotProtobuf


def _varint(message: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while position < len(message) and shift < 70:
        byte = message[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
    raise _NotProtobuf
