"""Asking the events, from anywhere on this machine: `ask` finds out who can answer.

    a server is configured      it is asked directly
    the appliance runs          its shipper owns the embedded engine and answers on a Unix socket
    the appliance is stopped    the engine is opened here, for one question, through the same gate

On the socket: one JSON line `{"sql": ..., "format": ...}`; back comes one JSON line, `{"ok": true}` followed by the
answer up to the end, or `{"code": ..., "message": ...}`.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from sluice.config import Settings
from sluice.ship.sqlgate import SqlError

if TYPE_CHECKING:
    from sluice.ship.clickhouse import Store

SOCKET = "shipper/shipper.sock"
LONGEST_QUESTION = 256 * 1024
TIMEOUT_SECONDS = 60.0
"""Longer than any question may run."""
CHUNK_BYTES = 256 * 1024
NOT_ALLOWED = 497
"""ClickHouse's ACCESS_DENIED."""
NOT_OPEN = 210
"""ClickHouse's NETWORK_ERROR: nobody there who could answer."""


class Question(msgspec.Struct, frozen=True):
    """What is sent. `format` is one of ClickHouse's output formats."""

    sql: str
    format: str = "PrettyCompact"


class Reply(msgspec.Struct, frozen=True, omit_defaults=True):
    """What comes back first."""

    ok: bool = False
    code: int = 0
    message: str = ""


def ask(settings: Settings, sql: str, fmt: str = "PrettyCompact") -> Iterator[bytes]:
    """The answer to a question, in a ClickHouse format, in chunks. Raises `SqlError` with ClickHouse's code and words,
    or saying how to get an answer when there is nobody to give one."""
    if settings.clickhouse.dsn:
        yield _open_and_ask(settings, sql, fmt)
        return
    try:
        connection = connect(settings.run_dir)
    except (FileNotFoundError, ConnectionRefusedError):
        yield _open_and_ask(settings, sql, fmt)
        return
    yield from _asked(connection, sql, fmt)


def asked(run_dir: Path, sql: str, fmt: str) -> Iterator[bytes]:
    """As `ask`, of the running shipper alone: nobody else's engine is opened. Raises `SqlError`."""
    try:
        connection = connect(run_dir)
    except OSError as e:
        what = "the shipper, which owns the event store, does not answer; it may be starting or stopping: try again"
        raise SqlError(NOT_OPEN, what) from e
    yield from _asked(connection, sql, fmt)


def _asked(connection: socket.socket, sql: str, fmt: str) -> Iterator[bytes]:
    with connection:
        connection.settimeout(TIMEOUT_SECONDS)
        try:
            connection.sendall(msgspec.json.encode(Question(sql, fmt)) + b"\n")
            connection.shutdown(socket.SHUT_WR)
            yield from _receive(connection)
        except (TimeoutError, ConnectionError) as e:
            raise SqlError(NOT_OPEN, "the shipper did not answer; it may be stopping or starting: try again") from e


def _receive(connection: socket.socket) -> Iterator[bytes]:
    data = b""
    while b"\n" not in data:
        chunk = connection.recv(CHUNK_BYTES)
        if not chunk:
            raise SqlError(NOT_OPEN, "the shipper ended before it answered: try again")
        data += chunk
    line, _, rest = data.partition(b"\n")
    reply = msgspec.json.decode(line, type=Reply)
    if not reply.ok:
        raise SqlError(reply.code, reply.message)
    if rest:
        yield rest
    while chunk := connection.recv(CHUNK_BYTES):
        yield chunk


def _open_and_ask(settings: Settings, sql: str, fmt: str) -> bytes:
    """Open the store for this one question."""
    store = _opened(settings)
    try:
        return store.select(sql, fmt)
    finally:
        store.close()


@contextmanager
def opened(settings: Settings) -> Iterator[Store | None]:
    """The store, opened here for as long as it is used; None where the running appliance owns it and is to be asked.
    Raises `SqlError` as `ask` does."""
    if not settings.clickhouse.dsn:
        try:
            connect(settings.run_dir).close()
        except (FileNotFoundError, ConnectionRefusedError):
            pass
        else:
            yield None
            return
    store = _opened(settings)
    try:
        yield store
    finally:
        store.close()


def _opened(settings: Settings) -> Store:
    if not settings.clickhouse.dsn and not (settings.clickhouse_dir / "store").exists():
        what = f"there are no events below {settings.clickhouse_dir} yet; start the appliance with `sluice-proxy`"
        raise SqlError(NOT_OPEN, what)
    from sluice.ship.clickhouse import StoreError, open_store  # late: the engine takes a second to load

    try:
        return open_store(settings)
    except StoreError as e:
        hint = "" if settings.clickhouse.dsn else "; if the appliance is just starting or stopping, try again"
        raise SqlError(e.code or NOT_OPEN, f"{e}{hint}") from e


def connect(run_dir: Path) -> socket.socket:
    """A connection to the shipper's socket. Raises OSError."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with _short(run_dir) as short:
            connection.connect(short)
    except BaseException:
        connection.close()
        raise
    return connection


def bind(run_dir: Path, mode: int = 0o600) -> socket.socket:
    """The shipper's listening socket, for its owner alone where `mode` says no more. Raises OSError."""
    (run_dir / SOCKET).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    (run_dir / SOCKET).unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o777 & ~mode)
    try:
        with _short(run_dir) as short:
            listener.bind(short)
        listener.listen(16)
    except BaseException:
        listener.close()
        raise
    finally:
        os.umask(before)
    return listener


@contextmanager
def _short(run_dir: Path) -> Iterator[str]:
    """The socket's path through the directory's descriptor: a Unix socket's own path may have 107 bytes only."""
    fd = os.open(run_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{fd}/{SOCKET}"
    finally:
        os.close(fd)
