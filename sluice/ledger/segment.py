"""The file format of a ledger segment, and how a file that a crash or an attacker has touched is read.

    file   = header (512 bytes), frame*, zeros up to the preallocated size (cut off when the segment is closed)
    header = magic 8, version u16, slot u16, node length u16, reserved u16, epoch u64, first seq u64, created u64
             (microseconds), hash of the record before 32, node (UTF-8), zeros, CRC-32C u32. Little-endian.
    frame  = word u32, CRC-32C u32 over word and body, body (one canonical record)
    word   = length of the body in the low 24 bits; bit 31 marks the first frame of a flush

The mark is what tells a torn tail from damage. A flush is written only after the one before it is on disk; so bytes
that make no sense and are followed by a frame that begins a flush were once acknowledged: that is damage. Bytes
that make no sense and are not were never acknowledged: that is the torn tail of a crash, and may be cut.
"""

from __future__ import annotations

import errno
import re
import stat
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from crc32c import crc32c

from sluice.errors import SluiceError
from sluice.ledger.record import MAX_BYTES

MAGIC = b"SLUICE\x1aL"
VERSION = 1
HEADER_BYTES = 512
FRAME_HEAD = struct.Struct("<II")
SUFFIX = ".seg"
STREAM = re.compile(r"^(?P<node>.+)-w(?P<slot>\d+)$")
SEALER = 1000
"""The slot of the sealer's own stream; workers have 0 to 255."""

LARGEST_BYTES = 256 * 1024 * 1024
"""No writer makes a larger segment. A larger file is not read whole: a sparse one costs nobody anything."""

_HEAD = struct.Struct("<8sHHHHQQQ32s")
_WORD = struct.Struct("<I")
_NAME = re.compile(r"^(\d{8,})-(\d{12,})\.seg$")
_FIRST = 1 << 31
_LENGTH = 0x00FFFFFF
_NODE_BYTES = 255
_SEARCH = b'{"'  # every canonical record begins with it


class Fault(StrEnum):
    """What is wrong with a place in a ledger."""

    DAMAGE = "damage"
    """Bytes that once were records and are not any more."""
    EDIT = "edit"
    """A record whose hash is not the one that the next record names."""
    GAP = "deletion"
    """Records are missing, and others stand behind them."""
    TRUNCATION = "truncation"
    """The newest records are missing."""
    REORDER = "reorder"
    """Records stand in another order than they were written in."""
    DUPLICATE = "duplicate"
    """A record stands there twice."""
    REWRITE = "rewrite"
    """Records that fit each other, and are not those that were sealed: the chain was built anew."""
    SEAL = "seal"
    """A checkpoint that no trusted key signed."""
    ROLLBACK = "rollback"
    """Ledger and seals fit each other and are an older state than a witness saw."""
    FORK = "fork"
    """Two histories that were both taken for true: two seals that contradict each other, or a record and its seal."""
    HEADER = "header"
    """A segment's header cannot be read, or contradicts its place."""
    FOREIGN = "foreign"
    """A record that belongs to another stream, node or epoch."""


@dataclass(frozen=True, slots=True)
class Damage:
    """One fault, and where: the record's `seq` (of the first record concerned), its segment, the byte offset.
    In rows and bundles `segment` is a file, `offset` a line of it from 1; `seq` -1 is the file itself."""

    stream: str
    segment: str
    offset: int
    seq: int
    fault: Fault
    detail: str

    def __str__(self) -> str:
        if self.seq < 0:
            place = ""
        elif self.segment.endswith(SUFFIX):
            place = f" byte {self.offset}, record {self.seq}"
        elif self.offset:
            place = f" line {self.offset}, record {self.seq}"
        else:
            place = f" record {self.seq}"
        return f"{self.stream}/{self.segment}{place}: {self.fault}: {self.detail}"


class Damaged(SluiceError):
    """A ledger is not what its writer left. Reported, never repaired: the bytes are evidence."""

    def __init__(self, damage: Damage) -> None:
        super().__init__(str(damage))
        self.damage = damage


class NoRegularFile(OSError):
    """A pipe, a device, a directory or a file of absurd size lies where a stream's file belongs."""


@dataclass(frozen=True, slots=True)
class Header:
    """What a segment says of itself. `prev_hash` is the leaf hash of the record before its first one."""

    node: str
    slot: int
    epoch: int
    first_seq: int
    prev_hash: bytes
    created: int

    def pack(self) -> bytes:
        """The 512 bytes at the head of the file. Raises ValueError when the node's name is too long."""
        node = self.node.encode()
        if len(node) > _NODE_BYTES:
            raise ValueError(f"the node's name is longer than {_NODE_BYTES} bytes")
        fixed = _HEAD.pack(
            MAGIC, VERSION, self.slot, len(node), 0, self.epoch, self.first_seq, self.created, self.prev_hash
        )
        body = (fixed + node).ljust(HEADER_BYTES - 4, b"\0")
        return body + _WORD.pack(crc32c(body))


def unpack(data: bytes) -> Header:
    """The header of a segment. Raises ValueError, saying why, when it is not one or of a version not known here."""
    if len(data) < HEADER_BYTES:
        raise ValueError(f"only {len(data)} bytes")
    body = data[: HEADER_BYTES - 4]
    magic, version, slot, node_bytes, _, epoch, first_seq, created, prev_hash = _HEAD.unpack_from(body)
    if magic != MAGIC:
        raise ValueError("not a ledger segment")
    if version != VERSION:
        raise ValueError(f"format version {version}; this program reads version {VERSION}")
    if _WORD.unpack_from(data, HEADER_BYTES - 4)[0] != crc32c(body):
        raise ValueError("the header's checksum does not match")
    node = body[_HEAD.size : _HEAD.size + node_bytes].decode("utf-8", "replace")
    return Header(node, slot, epoch, first_seq, prev_hash, created)


def file_name(epoch: int, first_seq: int) -> str:
    """Names sort in the order of writing."""
    return f"{epoch:08d}-{first_seq:012d}{SUFFIX}"


def named(name: str) -> tuple[int, int]:
    """(epoch, first seq) of a segment's file name. Raises ValueError."""
    found = _NAME.match(name)
    if not found:
        raise ValueError(f"`{name}` is not a segment's name")
    return int(found[1]), int(found[2])


def segments(stream: Path) -> list[str]:
    """The names of a stream's segments, oldest first; none when there is no such directory."""
    if not stream.is_dir():
        return []
    return sorted((p.name for p in stream.iterdir() if _NAME.match(p.name)), key=named)


def streams(ledger: Path) -> list[Path]:
    """The stream directories below a ledger directory, by name."""
    if not ledger.is_dir():
        return []
    return sorted(p for p in ledger.iterdir() if STREAM.match(p.name) and p.is_dir())


def acknowledged(stream: Path) -> int | None:
    """How many records of a stream are durable, by its writer's own count; None when no count was kept.

    Raises `NoRegularFile`.
    """
    try:
        return int.from_bytes(content(stream / "durable")[:8], "little")
    except FileNotFoundError:
        return None


def content(path: Path) -> bytes:
    """What a file of a stream holds. Raises `NoRegularFile` at once where reading a pipe or a device could hang, or a
    file is larger than any of ours."""
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise NoRegularFile(errno.EINVAL, "not a regular file", str(path))
    if found.st_size > LARGEST_BYTES:
        raise NoRegularFile(errno.EFBIG, "larger than any segment", str(path))
    return path.read_bytes()


@dataclass(frozen=True, slots=True)
class Frame:
    """One record in a file: where it lies, where the next one begins, whether a flush began with it."""

    offset: int
    end: int
    first: bool
    body: bytes


def frame(body: bytes, *, first: bool) -> bytes:
    """A record as it is written."""
    word = _WORD.pack(len(body) | (_FIRST if first else 0))
    return word + _WORD.pack(crc32c(body, crc32c(word))) + body


def frame_at(data: bytes, offset: int) -> Frame | None:
    """The whole and intact frame that begins here, or None."""
    start = offset + FRAME_HEAD.size
    if start > len(data):
        return None
    word, checksum = FRAME_HEAD.unpack_from(data, offset)
    length = word & _LENGTH
    end = start + length
    if length == 0 or length > MAX_BYTES or end > len(data):
        return None
    body = data[start:end]
    if crc32c(body, crc32c(data[offset : offset + 4])) != checksum:
        return None
    return Frame(offset, end, bool(word & _FIRST), body)


def frames(data: bytes, offset: int = HEADER_BYTES) -> Iterator[Frame]:
    """The frames from here on, up to the first place where there is none."""
    while found := frame_at(data, offset):
        yield found
        offset = found.end


def resume(data: bytes, offset: int) -> Frame | None:
    """The next intact frame behind a place where there is none."""
    at = data.find(_SEARCH, offset)
    while at >= 0:
        if at - FRAME_HEAD.size >= offset and (found := frame_at(data, at - FRAME_HEAD.size)):
            return found
        at = data.find(_SEARCH, at + 1)
    return None


def acknowledged_behind(data: bytes, offset: int) -> Frame | None:
    """The first intact frame behind a bad place, if the bad place was once acknowledged; None for a torn tail."""
    nearest = found = resume(data, offset)
    while found and not found.first:
        found = frame_at(data, found.end) or resume(data, found.end)
    return nearest if found else None


def written_bytes(data: bytes, offset: int) -> int:
    """How many bytes from here on are not the zeros of preallocation."""
    return len(data[offset:].rstrip(b"\0"))
