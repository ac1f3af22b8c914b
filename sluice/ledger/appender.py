"""The files of an open stream: lock, segments, and the count of durable records. No order, no waiting: only bytes.

Everything here raises OSError as it comes; the writer alone decides what that means (it means the end).
"""

from __future__ import annotations

import fcntl
import mmap
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from sluice import metrics
from sluice.durable import SHARED
from sluice.errors import Cause, Unavailable
from sluice.ledger import segment

STEP_BYTES = 8 * 1024 * 1024
"""Preallocation grows by this much, so that a flush changes no file size and costs one disk write."""
SMALLEST_STEP = 256 * 1024
LOCK_SECONDS = 2.0
"""How long to wait for the stream's last writer to be gone, and for readers that look whether there is one."""

_FSYNC, _FLUSH = metrics.FSYNC_SECONDS.labels(), metrics.FLUSH_RECORDS.labels()


class Appender:
    """Writes frames into the segments of one stream and flushes them. For one thread at a time."""

    def __init__(self, stream: Path, *, segment_bytes: int, disk_low_bytes: int, clock: Callable[[], int]) -> None:
        self._stream = stream
        self._segment_bytes = segment_bytes
        # Below a quarter of the low-water mark, so that growing a file cannot be what fills the disk.
        self._step = min(STEP_BYTES, segment_bytes, max(SMALLEST_STEP, disk_low_bytes // 4))
        self._clock = clock
        self._place: tuple[str, int, int] = ("", 0, 0)
        self._fd = self._lock_fd = -1
        self._offset = self._allocated = 0
        self._flushed = bytes(32)
        self._mark: mmap.mmap | None = None
        self._durable: memoryview | None = None

    def lock(self) -> None:
        """Take the stream for this process. Raises `Unavailable` naming the process that holds it."""
        self._stream.mkdir(mode=0o750, parents=True, exist_ok=True)
        self._lock_fd = os.open(self._stream / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, SHARED)
        until = time.monotonic() + LOCK_SECONDS
        while True:
            try:
                fcntl.flock(self._lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as e:
                if time.monotonic() > until:
                    holder = os.pread(self._lock_fd, 20, 0).decode("ascii", "replace").strip() or "unknown"
                    what = f"{self._stream} is being written by another process (pid {holder})"
                    raise Unavailable(Cause.AUDIT_UNAVAILABLE, what) from e
                time.sleep(0.02)
        os.ftruncate(self._lock_fd, 0)
        os.pwrite(self._lock_fd, f"{os.getpid()}\n".encode(), 0)

    def begin(self, *, node: str, slot: int, epoch: int, next_seq: int, last_hash: bytes) -> None:
        """Begin an epoch: its first segment, and the count of durable records so far."""
        self._place = (node, slot, epoch)
        self._flushed = last_hash
        self._open_mark(next_seq)
        self._begin_segment(next_seq)

    def append(self, bodies: Sequence[bytes], *, first_seq: int, last_hash: bytes) -> None:
        """Write records and flush them. When this returns they are on disk; when it raises nobody knows."""
        data = b"".join([segment.frame(body, first=i == 0) for i, body in enumerate(bodies)])
        if self._offset + len(data) > self._segment_bytes:
            # All of the full segment is on disk; what is cut off is preallocation.
            os.ftruncate(self._fd, self._offset)
            self._begin_segment(first_seq)
        if self._offset + len(data) > self._allocated:
            self._extend(len(data))
        view = memoryview(data)
        at = self._offset
        while view:
            written = os.pwrite(self._fd, view, at)
            view, at = view[written:], at + written
        began = time.perf_counter()
        os.fdatasync(self._fd)
        _FSYNC.observe(time.perf_counter() - began)
        _FLUSH.observe(len(bodies))
        self._offset = at
        self._flushed = last_hash
        if self._durable is not None:
            self._durable[0] = first_seq + len(bodies)

    def finish(self) -> None:
        """Cut the preallocation off the last segment."""
        os.ftruncate(self._fd, self._offset)

    def release(self) -> None:
        """Give everything back without another flush."""
        if self._durable is not None:
            self._durable.release()
            self._durable = None
        if self._mark is not None:
            self._mark.close()
            self._mark = None
        for fd in (self._fd, self._lock_fd):
            if fd >= 0:
                os.close(fd)
        self._fd = self._lock_fd = -1

    def _open_mark(self, durable: int) -> None:
        """Map the count of durable records, which readers on this machine go by. A store, not a system call."""
        fd = os.open(self._stream / "durable", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, SHARED)
        try:
            os.pwrite(fd, durable.to_bytes(8, "little"), 0)  # gives the page a block: a hole could fault on a full disk
            self._mark = mmap.mmap(fd, 8)
        finally:
            os.close(fd)
        self._durable = memoryview(self._mark).cast("Q")

    def _begin_segment(self, first_seq: int) -> None:
        """A new file appears under its name only when its header is on disk, and is used only when its name is."""
        node, slot, epoch = self._place
        header = segment.Header(node, slot, epoch, first_seq, self._flushed, self._clock() // 1000).pack()
        path = self._stream / segment.file_name(epoch, first_seq)
        temporary = path.with_suffix(".tmp")
        fd = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, SHARED)
        try:
            os.posix_fallocate(fd, 0, self._step)
            os.pwrite(fd, header, 0)
            os.fsync(fd)
            temporary.rename(path)
            _sync_directory(self._stream)
        except BaseException:
            os.close(fd)
            raise
        if self._fd >= 0:
            os.close(self._fd)
        self._fd, self._offset, self._allocated = fd, len(header), self._step

    def _extend(self, need: int) -> None:
        size = min(max(self._step, need), max(self._segment_bytes - self._allocated, need))
        os.posix_fallocate(self._fd, self._allocated, size)
        self._allocated += size


def _sync_directory(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
