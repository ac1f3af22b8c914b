"""One question on the embedded engine, answered into a pipe: any format, any size, bounded memory.

The engine's own client hands over either a whole answer or blocks that each are a document of their own. So an answer
that may be large is written by the engine to a pipe, as to a file: `INTO OUTFILE`, added here, behind a statement that
the gate has admitted (which refuses the clause in what comes from outside).

A question has a connection of its own, because settings stick to a connection, and ends when its reader goes away: the
engine ignores a closed pipe, so it is told (KILL QUERY by a tag that nobody else knows).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
import termios
import threading
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sluice.ship import sqlgate
from sluice.ship.admission import Admission, code_of, words_of
from sluice.ship.sqlgate import SqlError

PIPE_BYTES = 1024 * 1024
"""Capacity asked of the pipe; the kernel's default of 64 KiB costs a third of the throughput."""
KILL_SECONDS = 0.1
CANCELLED = 394
"""QUERY_WAS_CANCELLED."""


@dataclass(frozen=True, slots=True)
class Question:
    """`format` is for a statement that names none. `parameters` are ClickHouse's: text in its escaped form.
    `settings` are in force for this question alone; who fills them decides what may be in there."""

    sql: str
    format: str = "TabSeparated"
    parameters: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Figures:
    """What an answer cost: rows and bytes read from tables, seconds of the engine, rows of the answer."""

    rows_read: int = 0
    bytes_read: int = 0
    seconds: float = 0.0
    rows: int = 0


class Reading:
    """An admitted question. `run` in a thread of its own while somebody reads `source`; `close` in the end."""

    def __init__(
        self,
        connect: Callable[[], Any],
        admission: Admission,
        database: str,
        question: Question,
        bounds: Mapping[str, Any],
        *,
        release: Callable[[], None] = lambda: None,
    ) -> None:
        """Admit the question. `release` is called when it is over. Raises `SqlError` when it may not run or a setting
        is wrong."""
        self._release = release
        self._connect = connect
        self._tag = f"sluice-{uuid.uuid4().hex}"
        self._parameters = dict(question.parameters)
        self._done = threading.Event()
        self._stop = threading.Event()
        sqlgate.checked_format(question.format)
        self._connection = connect()
        try:
            self._set(bounds)
            self._set({"implicit_select": 0})
            self._connection.query(f"USE `{database}`")
            admitted = admission.admit(self._connection, question.sql)
            self._set(question.settings)
            # A client asks `system.settings` what it may set. With readonly = 1 it would be told: nothing.
            self._set({"log_comment": self._tag, "readonly": 2 if admitted.of_settings else 1})
        except RuntimeError as e:
            self._connection.close()
            raise SqlError(code_of(e), words_of(e)) from e
        except BaseException:
            self._connection.close()
            raise
        self.format = admitted.format or question.format
        self._statement = admitted.statement
        self.source, self._sink = os.pipe2(os.O_CLOEXEC)
        with contextlib.suppress(OSError):  # above the limit for pipes of one user
            fcntl.fcntl(self._sink, fcntl.F_SETPIPE_SZ, PIPE_BYTES)

    def _set(self, settings: Mapping[str, Any]) -> None:
        for name, value in settings.items():
            text = str(value).replace("\\", "\\\\").replace("'", "\\'")
            self._connection.query(f"SET {name} = '{text}'")

    def run(self) -> Figures:
        """Write the answer; the pipe is at its end when this returns. Raises `SqlError`, also after some bytes."""
        into = f"INTO OUTFILE '/proc/self/fd/{self._sink}' TRUNCATE COMPRESSION 'none' FORMAT {self.format}"
        try:
            if self._stop.is_set():
                raise SqlError(CANCELLED, "Query was cancelled. (QUERY_WAS_CANCELLED)")
            # The format is named twice: SHOW, which the engine rewrites, takes it from here.
            result = self._connection.query(f"{self._statement}\n{into}", self.format, params=self._parameters)
            return Figures(
                result.storage_rows_read(), result.storage_bytes_read(), result.elapsed(), result.rows_read()
            )
        except RuntimeError as e:
            raise SqlError(code_of(e), words_of(e)) from e
        finally:
            self._done.set()
            os.close(self._sink)

    def waits(self) -> bool:
        """Whether the reader has yet to take something out of the pipe, which holds the engine up."""
        if self._done.is_set() or self._stop.is_set():
            return False
        try:
            return bool(struct.unpack("i", fcntl.ioctl(self._sink, termios.FIONREAD, b"\0" * 4))[0])
        except OSError:  # closed meanwhile
            return False

    def cancel(self) -> None:
        """Make `run` end, soon; the pipe has to be closed or read meanwhile. From any thread, also before `run`."""
        self._stop.set()
        connection = self._connect()
        try:
            while not self._done.is_set():  # again each time: what has not begun yet cannot be ended yet
                with contextlib.suppress(RuntimeError):
                    connection.query(f"KILL QUERY WHERE Settings['log_comment'] = '{self._tag}' ASYNC")
                self._done.wait(KILL_SECONDS)
        finally:
            connection.close()

    def close(self) -> None:
        """Give the connection back. Only when `run` is not running. `source` is the reader's to close."""
        if not self._done.is_set():  # it never ran
            self._done.set()
            os.close(self._sink)
        self._connection.close()
        self._release()
