"""Records that ClickHouse will never take, set aside so that they do not hold up the others.

One file per stream, one JSON object a line: where the record stands in the ledger, what ClickHouse said, the record.
The ledger still holds the record itself, so nothing is lost; somebody has to look why it is not in the table.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from sluice import durable, metrics
from sluice.ledger.reader import Entry


class Letter(msgspec.Struct, frozen=True):
    """One line of the file. `code` is ClickHouse's error code, 0 when no row could be made of the record."""

    stream: str
    epoch: int
    seq: int
    code: int
    error: str
    record: msgspec.Raw


class DeadLetters:
    """The dead-letter files below a directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._known: dict[str, set[tuple[int, int]]] = {}

    def path(self, stream: str) -> Path:
        return self._directory / f"{stream}.dead.jsonl"

    def put(self, entry: Entry, code: int, error: str) -> None:
        """Set a record aside, durably, once: a batch that is sent again after a crash meets its bad rows again."""
        known = self._known.get(entry.stream)
        if known is None:
            known = self._known[entry.stream] = {(letter.epoch, letter.seq) for letter in self.read(entry.stream)}
        if (entry.epoch, entry.seq) in known:
            return
        letter = Letter(entry.stream, entry.epoch, entry.seq, code, error[:500], msgspec.Raw(entry.body))
        fd = os.open(self.path(entry.stream), os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            size = os.fstat(fd).st_size
            torn = size > 0 and os.pread(fd, 1, size - 1) != b"\n"
            durable.put(fd, (b"\n" if torn else b"") + msgspec.json.encode(letter) + b"\n")
            os.fsync(fd)
        finally:
            os.close(fd)
        known.add((entry.epoch, entry.seq))
        metrics.SHIP_DEAD.inc()

    def read(self, stream: str) -> list[Letter]:
        """The letters of a stream; a line that a crash has torn is passed over."""
        try:
            lines = self.path(stream).read_bytes().splitlines()
        except FileNotFoundError:
            return []
        found = []
        for line in lines:
            try:
                found.append(msgspec.json.decode(line, type=Letter))
            except msgspec.MsgspecError:
                continue
        return found
