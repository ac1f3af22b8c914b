"""What the sealer keeps of a stream, in `var/seal/<stream>/`, durable before anybody else hears of it.

    leaves        32 bytes for each sealed record: its leaf hash. Proofs come from here, also of records long deleted
    checkpoints   every signed checkpoint, oldest first, one JSON object a line: {"at": us, "note": text}
    checkpoint    the newest of them alone, as a plain signed note, for tools and people
    state.json    where to go on reading. Only a saving of work: it is checked against the checkpoint on opening

Order of writing: leaves, checkpoints, checkpoint, state. A crash between two of them leaves more leaves than are
sealed (cut off again), half a line (never shown to anybody, cut off), or an old state (the records are read again).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from sluice import durable
from sluice.ledger import merkle, segment

LEAVES, HISTORY, LATEST, STATE = "leaves", "checkpoints", "checkpoint", "state.json"
CHUNK_BYTES = 1 << 20
TAIL_BYTES = 64 * 1024


class Sealed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One line of the history."""

    at: int
    note: str


class State(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the next record is expected. `last_offset` is the place of the last sealed one, to find it there again."""

    size: int = 0
    peaks: tuple[str, ...] = ()
    last_hash: str = "0" * 64
    segment: str = ""
    offset: int = 0
    last_offset: int = 0


_sealed = msgspec.json.Decoder(Sealed)
_state = msgspec.json.Decoder(State)


def history(directory: Path) -> list[Sealed]:
    """Every checkpoint of a stream, oldest first, without a last line that was torn. Raises OSError, ValueError."""
    try:
        data = segment.content(directory / HISTORY)
    except FileNotFoundError:
        return []
    out = []
    for number, line in enumerate(data.split(b"\n")[:-1], start=1):
        try:
            out.append(_sealed.decode(line))
        except (msgspec.MsgspecError, UnicodeDecodeError) as e:
            raise ValueError(f"{directory / HISTORY}:{number}: not a checkpoint") from e
    return out


def streams(directory: Path) -> list[Path]:
    """The streams that a seal directory or a witness holds checkpoints of, by name."""
    if not directory.is_dir():
        return []
    named = (p for p in directory.iterdir() if segment.STREAM.match(p.name))  # the keys' directory is not for everyone
    return sorted(p for p in named if (p / LATEST).is_file() or (p / HISTORY).is_file())


def newest(directory: Path) -> Sealed | None:
    """The newest checkpoint of a stream. Raises OSError, ValueError."""
    try:
        with open(directory / HISTORY, "rb", opener=_regular) as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - TAIL_BYTES))
            lines = file.read().split(b"\n")
    except FileNotFoundError:
        return None
    if len(lines) < 2:
        return None
    try:
        return _sealed.decode(lines[-2])
    except (msgspec.MsgspecError, UnicodeDecodeError) as e:
        raise ValueError(f"{directory / HISTORY}: its last line is not a checkpoint") from e


def _regular(path: str, flags: int) -> int:
    """Open a file without waiting: a pipe in its place has no end, which is an error and not a hang."""
    return os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC)


def state(directory: Path) -> State:
    """Where the sealer stands by its own word; the beginning when it says nothing."""
    try:
        return _state.decode((directory / STATE).read_bytes())
    except (FileNotFoundError, msgspec.MsgspecError, UnicodeDecodeError):
        return State()  # the leaves are all that is needed


def leaves(directory: Path, size: int) -> Iterator[bytes]:
    """The leaf hashes of the first `size` sealed records, or as many as there are."""
    left = size * merkle.HASH_BYTES
    try:
        with (directory / LEAVES).open("rb") as file:
            while left and (data := file.read(min(left, CHUNK_BYTES))):
                left -= len(data)
                for i in range(0, len(data) - merkle.HASH_BYTES + 1, merkle.HASH_BYTES):
                    yield data[i : i + merkle.HASH_BYTES]
    except FileNotFoundError:
        return


def leaf(directory: Path, seq: int) -> bytes | None:
    """The leaf hash of one sealed record; None when it is not sealed."""
    try:
        with (directory / LEAVES).open("rb", buffering=0) as file:
            data = os.pread(file.fileno(), merkle.HASH_BYTES, seq * merkle.HASH_BYTES)
    except FileNotFoundError:
        return None
    return data if len(data) == merkle.HASH_BYTES else None


@dataclass(slots=True)
class Store:
    """The files of one stream. For the one process that holds the sealer's lock."""

    directory: Path

    def open(self) -> tuple[Sealed | None, State]:
        """Newest checkpoint and state as the last sealer left them, a torn line cut off. Raises OSError, ValueError."""
        self.directory.mkdir(mode=0o750, parents=True, exist_ok=True)
        self._cut_torn_line()
        return newest(self.directory), state(self.directory)

    def _cut_torn_line(self) -> None:
        path = self.directory / HISTORY
        if not path.exists():
            return
        with path.open("r+b") as file:
            size = file.seek(0, os.SEEK_END)
            start = max(0, size - TAIL_BYTES)
            file.seek(start)
            end = start + file.read().rfind(b"\n") + 1
            if end < size:
                file.truncate(end)
                os.fsync(file.fileno())

    def cut(self, size: int) -> int:
        """Cut leaves that no checkpoint covers; how many are there then."""
        path = self.directory / LEAVES
        if not path.exists():
            return 0
        with path.open("r+b") as file:
            if path.stat().st_size > size * merkle.HASH_BYTES:
                file.truncate(size * merkle.HASH_BYTES)
                os.fsync(file.fileno())
        return path.stat().st_size // merkle.HASH_BYTES

    def add(self, leaves: list[bytes], sealed: Sealed, state: State) -> None:
        """Make a checkpoint durable. When this returns it may be shown; when it raises OSError nobody knows."""
        if leaves:
            durable.append(self.directory / LEAVES, b"".join(leaves), durable.SHARED)
        durable.append(self.directory / HISTORY, msgspec.json.encode(sealed) + b"\n", durable.SHARED)
        durable.write(self.directory / LATEST, sealed.note.encode(), durable.SHARED)
        self.remember(state)

    def remember(self, state: State) -> None:
        durable.write(self.directory / STATE, msgspec.json.encode(state) + b"\n", durable.SHARED)
