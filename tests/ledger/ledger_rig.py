"""What the ledger's tests share: records that can be told apart, and an `os` that can be told to fail."""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Callable
from typing import Any

from sluice.ledger.writer import Writer
from sluice.model import Record, RecordType

SEGMENT_BYTES = 1024 * 1024


def make_record(n: int, size: int = 0) -> Record:
    """A decision record that can be told from every other; `size` pads it with that many bytes."""
    return Record(
        record_type=RecordType.DECISION,
        decision_id=f"00000000-0000-7000-8000-{n:012d}",
        ts_received=1_780_000_000_000_000 + n,
        provider_id="openai",
        decision="allow",
        reason_code="NO_FINDINGS",
        control_detail="x" * min(size, 4000) if size else None,
    )


class Seam:
    """Stands in for `os` in one module: passes everything on, and fails, waits or listens where it is told to."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.before: dict[str, Callable[..., None]] = {}
        self.after: dict[str, Callable[..., None]] = {}

    def fail(self, name: str, error: int, *, nth: int = 1) -> None:
        """Let the nth call from now of a function raise OSError, and every later one too."""
        left = nth

        def check(*_: object) -> None:
            nonlocal left
            left -= 1
            if left <= 0:
                raise OSError(error, os.strerror(error))

        self.before[name] = check

    def hold(self, name: str) -> tuple[threading.Event, threading.Event]:
        """Make a function wait: (it was entered, let it go on)."""
        entered, go = threading.Event(), threading.Event()

        def wait(*_: object) -> None:
            entered.set()
            assert go.wait(20)

        self.before[name] = wait
        return entered, go

    def count(self, name: str) -> int:
        return self.calls.count(name)

    def __getattr__(self, name: str) -> Any:
        real = getattr(os, name)
        if not callable(real):
            return real

        def call(*arguments: Any, **options: Any) -> Any:
            self.calls.append(name)
            if check := self.before.get(name):
                check(*arguments)
            result = real(*arguments, **options)
            if listener := self.after.get(name):
                listener(result, *arguments)
            return result

        return call


type Open = Callable[..., Writer]


class Disk(Seam):
    """A disk that remembers every write and flush, so that a crash at any moment can be imagined afterwards.

    `events` holds, in order: ("size", file, bytes), ("write", file, offset, data), ("flush", file), ("name", old, new),
    ("sync", ) for the directory, and whatever the test adds through `note`.
    """

    def __init__(self) -> None:
        super().__init__()
        self.events: list[tuple[Any, ...]] = []
        self._names: dict[int, str] = {}
        self._directories: set[int] = set()
        self.after = {
            "open": self._opened,
            "posix_fallocate": lambda _, fd, offset, size: self._event("size", fd, offset + size),
            "ftruncate": lambda _, fd, size: self._event("cut", fd, size),
            "pwrite": lambda n, fd, data, offset: self._event("write", fd, offset, bytes(data)[:n]),
            "fdatasync": lambda _, fd: self._event("flush", fd),
            "fsync": self._synced,
        }

    def note(self, *event: Any) -> None:
        self.events.append(event)

    def _opened(self, fd: int, path: Any, *_: object) -> None:
        path = os.fspath(path)
        self._directories.discard(fd)
        if os.path.isdir(path):  # noqa: PTH112 - a path of any kind
            self._directories.add(fd)
        self._names[fd] = os.path.basename(path).replace(".tmp", ".seg")  # noqa: PTH119

    def _event(self, kind: str, fd: int, *rest: Any) -> None:
        if self._names.get(fd, "").endswith(".seg"):
            self.events.append((kind, self._names[fd], *rest))

    def _synced(self, _: None, fd: int) -> None:
        if fd in self._directories:
            self.events.append(("directory",))
        else:
            self._event("flush", fd)


def crash_image(events: list[tuple[Any, ...]], rng: random.Random) -> dict[str, bytes]:
    """What may be found after a power cut behind the last of these events.

    What was flushed is there. Of what was written since, any set of 512-byte sectors is there, in any order. A file
    whose directory entry was not flushed is there or not.
    """
    flushed: dict[str, bytearray] = {}
    loose: dict[str, list[tuple[int, bytes]]] = {}
    entries: dict[str, bool] = {}
    for event in events:
        match event:
            case ("size", name, size):
                file = flushed.setdefault(name, bytearray())
                file.extend(bytes(max(0, size - len(file))))
            case ("cut", name, size):
                del flushed[name][size:]
            case ("write", name, offset, data):
                loose.setdefault(name, []).append((offset, data))
            case ("flush", name):
                entries.setdefault(name, False)  # it gets its name after its first flush
                for offset, data in loose.pop(name, []):
                    flushed[name][offset : offset + len(data)] = data
            case ("directory",):
                entries = dict.fromkeys(entries, True)
    image = {}
    for name, file in flushed.items():
        if name not in entries or (not entries[name] and rng.random() < 0.5):
            continue
        whole = bytearray(file)
        for offset, data in loose.get(name, []):
            whole[offset : offset + len(data)] = data
        kept = bytearray(file)
        keep = rng.random()
        prefix = rng.random() < 0.5
        limit = rng.randrange(len(whole) // 512 + 1)
        for sector in range(len(whole) // 512 + 1):
            at = slice(sector * 512, sector * 512 + 512)
            if kept[at] != whole[at] and (sector < limit if prefix else rng.random() < keep):
                kept[at] = whole[at]
        image[name] = bytes(kept)
    return image
