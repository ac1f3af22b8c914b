"""The shipper's side of the question socket: each question in a thread of its own, so that shipping never waits."""

from __future__ import annotations

import contextlib
import logging
import socket
import struct
import threading
import time
from collections.abc import Callable, Set

import msgspec

from sluice.ship.allowance import Allowance
from sluice.ship.query import CHUNK_BYTES, LONGEST_QUESTION, NOT_ALLOWED, NOT_OPEN, Question, Reply
from sluice.ship.sqlgate import SqlError

log = logging.getLogger("sluice.ship")

AT_ONCE = 4
"""Questions that run at the same time; more wait for their turn."""
TURN_SECONDS = 20.0
READ_SECONDS = 10.0

type Select = Callable[[str, str], bytes]


class Answers:
    """Answers questions on a listening socket until `close`."""

    def __init__(
        self,
        listener: socket.socket,
        select: Select,
        memory: Allowance | None = None,
        users: Set[int] | None = None,
    ) -> None:
        """`select` takes SQL and format and raises `SqlError`; it is called from several threads. `memory` is what
        answers have to fit in until they are sent, beside the questions that run. `users`: ids of those who may ask;
        None: whom the socket's mode lets in."""
        self._listener = listener
        self._memory = memory or Allowance()
        self._users = users
        self._select = select
        self._turns = threading.BoundedSemaphore(AT_ONCE)
        self._threads: set[threading.Thread] = set()
        self._lock = threading.Lock()
        self._closing = False
        self._accepting = threading.Thread(target=self._accept, name="questions", daemon=True)

    def start(self) -> None:
        self._accepting.start()

    def close(self, seconds: float) -> bool:
        """Take no more questions and wait for those that run; False when one still runs after that time.

        May be called again.
        """
        self._closing = True
        with contextlib.suppress(OSError):  # wakes the accepting thread; a closed socket alone would not
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            running = list(self._threads)
        until = time.monotonic() + seconds
        for thread in running:
            thread.join(max(0.0, until - time.monotonic()))
        return not any(t.is_alive() for t in running)

    def _accept(self) -> None:
        while not self._closing:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return  # closed
            thread = threading.Thread(target=self._serve, args=(connection,), name="question", daemon=True)
            with self._lock:
                self._threads.add(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            with connection:
                connection.settimeout(READ_SECONDS)
                self._answer(connection)
        except OSError:
            log.info("an asker went away before the answer")
        finally:
            with self._lock:
                self._threads.discard(threading.current_thread())

    def _answer(self, connection: socket.socket) -> None:
        try:
            question = msgspec.json.decode(_line(connection), type=Question)
            if self._users is not None and _user(connection) not in self._users:
                raise SqlError(NOT_ALLOWED, "this account may not ask: root and the console's may")
            if not self._turns.acquire(timeout=TURN_SECONDS):
                raise SqlError(NOT_OPEN, f"{AT_ONCE} questions are running already; try again")
            try:
                data = self._select(question.sql, question.format)
            finally:
                self._turns.release()
            claim = self._memory.claim(len(data), 0.0)  # a slow reader keeps its answer, and nobody from asking
        except SqlError as e:
            connection.sendall(msgspec.json.encode(Reply(code=e.code, message=str(e))) + b"\n")
            return
        except (msgspec.MsgspecError, UnicodeError):
            connection.sendall(msgspec.json.encode(Reply(code=62, message="not a question")) + b"\n")
            return
        try:
            connection.sendall(msgspec.json.encode(Reply(ok=True)) + b"\n")
            for at in range(0, len(data), CHUNK_BYTES):
                connection.sendall(data[at : at + CHUNK_BYTES])
        finally:
            claim.release()


def _user(connection: socket.socket) -> int:
    """The user id at the other end, by the kernel's word (unix(7), SO_PEERCRED)."""
    _, user, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return int(user)


def _line(connection: socket.socket) -> bytes:
    data = b""
    while b"\n" not in data:
        chunk = connection.recv(65536)
        if not chunk:
            break
        data += chunk
        if len(data) > LONGEST_QUESTION * 2:
            raise SqlError(62, f"a statement is at most {LONGEST_QUESTION} bytes long")
    return data.partition(b"\n")[0]
