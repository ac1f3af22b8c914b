"""The one door to ClickHouse: the embedded engine below `var`, or a server. Nobody else imports a client library.

Rules
1. An insert says everything that makes it exact: synchronous, with a token, deduplication on, one block. The server's
   defaults for each of these differ between versions and profiles.
2. One client for inserts and one connection for every question: a question that runs long makes nobody wait.
3. Errors come out as `StoreError` with ClickHouse's code: what they mean for a batch is the shipper's to say.
4. The embedded engine is one process's: a second one is refused by its lock. It is closed before the process ends.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import clickhouse_connect
import msgspec
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from sluice.config import Settings, schema_dir
from sluice.errors import Misconfigured, Problem, SluiceError
from sluice.ship import rows, sqlgate
from sluice.ship.admission import Admission
from sluice.ship.admission import code_of as _code
from sluice.ship.admission import words_of as _message
from sluice.ship.reading import Question, Reading
from sluice.ship.rows import Event
from sluice.ship.sqlgate import SqlError

TABLE = "events"

INSERT_SETTINGS: dict[str, Any] = {
    "async_insert": 0,
    "insert_deduplicate": 1,
    "deduplicate_blocks_in_dependent_materialized_views": 1,
    "input_format_skip_unknown_fields": 0,
    "input_format_null_as_default": 1,
    "input_format_parallel_parsing": 0,
    "precise_float_parsing": 1,
    "max_insert_block_size": 1_048_576,
}
"""With `insert_deduplication_token`, what makes an insert synchronous, one block, and repeatable."""

READ_SETTINGS: dict[str, Any] = {
    "max_execution_time": 30,
    "max_memory_usage": 1024**3,
    "max_result_rows": 1_000_000,
    "max_result_bytes": 256 * 1024**2,
    "result_overflow_mode": "throw",
    "max_ast_depth": 500,
    "max_query_size": 262_144,
}
"""Bounds of one question. `readonly` comes last: after it no setting can be changed."""


class StoreError(SluiceError):
    """ClickHouse did not do what it was asked to. `code` is its own; 0 when it could not be reached."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class Store(Protocol):
    """Where events go. `insert` and `migrate` are for one thread; `select` for any."""

    def migrate(self) -> list[str]:
        """Apply the migrations that were not applied yet; their names. Raises `StoreError`, `Misconfigured`."""
        ...

    def insert(self, events: Sequence[Event], token: str) -> None:
        """Insert rows of one partition. Repeating it with the same token and rows changes nothing."""
        ...

    def select(self, sql: str, form: str) -> bytes:
        """Answer a question in a ClickHouse format. Raises `SqlError`."""
        ...

    def interrupt(self) -> None:
        """Make every running question end, so that the store can be closed."""
        ...

    def close(self) -> None:
        """Give the store back. No question may be running."""
        ...


def open_store(settings: Settings) -> Store:
    """The store of this deployment. Raises `StoreError` when it cannot be opened now, `Misconfigured` for a bad DSN."""
    if settings.clickhouse.dsn:
        return Server(settings)
    return Embedded(settings.clickhouse_dir, settings.clickhouse.database)


class _Inserting:
    """Migrations and inserts, the same for both."""

    def __init__(self, client: Client, database: str) -> None:
        self._client = client
        self._database = database

    def migrate(self) -> list[str]:
        with _errors():
            self._client.command(f"CREATE DATABASE IF NOT EXISTS `{self._database}`", use_database=False)
            self._client.database = self._database
            self._client.command(_MIGRATIONS_TABLE)
            done = {
                line["name"]: line["sha256"]
                for line in _json_lines(
                    self._client.raw_query("SELECT name, sha256 FROM migrations", fmt="JSONEachRow")
                )
            }
        applied = []
        for path in migrations():
            text = path.read_text("utf-8")
            digest = hashlib.sha256(text.encode()).hexdigest()
            if path.name in done:
                if done[path.name] != digest:
                    what = "was changed after it was applied; undo the change and add a new migration"
                    raise Misconfigured(Problem(str(path), None, what))
                continue
            with _errors():
                for statement in statements(text):
                    self._client.command(statement)
                line = msgspec.json.encode({"name": path.name, "sha256": digest})
                self._client.raw_insert("migrations", None, line, settings={"async_insert": 0}, fmt="JSONEachRow")
            applied.append(path.name)
        return applied

    def insert(self, events: Sequence[Event], token: str) -> None:
        settings = INSERT_SETTINGS | {"insert_deduplication_token": token}
        with _errors():
            self._client.database = self._database
            self._client.raw_insert(TABLE, None, rows.payload(events), settings=settings, fmt="JSONEachRow")


class Embedded(_Inserting):
    """The embedded engine (chDB) on a directory."""

    def __init__(self, directory: Path, database: str) -> None:
        self._path = str(directory.resolve())
        if _is_locked(directory / "status"):  # asked first: the engine complains on stderr, past every logger
            raise StoreError(0, f"{self._path} is open in another process")
        try:
            client = clickhouse_connect.get_client(interface="chdb", path=self._path)
        except (ClickHouseError, RuntimeError) as e:
            raise StoreError(_code(e), f"the embedded ClickHouse cannot open {self._path}: {_message(e)}") from e
        super().__init__(client, database)
        self._admission = Admission(database)

    def select(self, sql: str, form: str) -> bytes:
        sqlgate.checked_format(form)
        connection = self._connect()
        try:
            admitted = self._admission.admit(connection, sql)
            result: bytes = connection.query(admitted.statement, admitted.format or form).bytes()
        except RuntimeError as e:
            raise SqlError(_code(e), _message(e)) from e
        finally:
            connection.close()
        return result

    def read(self, question: Question, bounds: Mapping[str, Any]) -> Reading:
        """A question whose answer is streamed; `bounds` over `READ_SETTINGS`. Raises `SqlError`."""
        import chdb

        connect: Any = chdb.connect
        return Reading(
            lambda: connect(self._path), self._admission, self._database, question, {**READ_SETTINGS, **bounds}
        )

    def interrupt(self) -> None:
        with contextlib.suppress(ClickHouseError):
            self._client.command("KILL QUERY WHERE query_kind = 'Select' ASYNC", use_database=False)

    def close(self) -> None:
        self._client.close()

    def _connect(self) -> Any:
        """A connection that can only read. Settings stick to a connection, so every question has its own."""
        import chdb

        connect: Any = chdb.connect
        connection = connect(self._path)
        try:
            for name, value in READ_SETTINGS.items():
                connection.query(f"SET {name} = '{value}'")
            connection.query("SET implicit_select = 0")
            connection.query(f"USE `{self._database}`")
            connection.query("SET readonly = 1")
        except RuntimeError as e:
            connection.close()
            raise SqlError(_code(e), _message(e)) from e
        return connection


class Server(_Inserting):
    """A ClickHouse server or cluster over HTTP. What may be asked there, its own users and grants decide."""

    def __init__(self, settings: Settings) -> None:
        self._dsn = settings.clickhouse.dsn
        self._timeout = settings.clickhouse.insert_timeout_seconds
        super().__init__(self._open(), settings.clickhouse.database)

    def _open(self) -> Client:
        parts = urlsplit(self._dsn)
        if not parts.hostname:
            what = "clickhouse.dsn: must be `clickhouse://user:password@host:port/`"
            raise Misconfigured(Problem("settings", None, what))
        try:
            # Only the shipper repeats an insert, with its token; a client that does it too would not be asked.
            return clickhouse_connect.get_client(
                dsn=self._dsn, connect_timeout=10, send_receive_timeout=self._timeout, query_retries=0
            )
        except (ClickHouseError, OSError) as e:
            raise StoreError(_code(e), f"ClickHouse at {parts.hostname} cannot be reached: {_message(e)}") from e

    def select(self, sql: str, form: str) -> bytes:
        sqlgate.checked_format(form)
        try:
            client = self._open()
        except StoreError as e:
            raise SqlError(e.code, str(e)) from e
        try:
            client.database = self._database
            return client.raw_query(sql, fmt=form, settings=READ_SETTINGS | {"readonly": 1})
        except ClickHouseError as e:
            raise SqlError(_code(e), _message(e)) from e
        finally:
            client.close()

    def interrupt(self) -> None:
        """Questions to a server end by its own time limit, and do not hold it open."""

    def close(self) -> None:
        self._client.close()


_MIGRATIONS_TABLE = """
CREATE TABLE IF NOT EXISTS migrations
(
    name String COMMENT 'File name of the migration',
    sha256 String COMMENT 'Hash of its text when it was applied',
    applied DateTime64(6, 'UTC') DEFAULT now64(6) COMMENT 'When it was applied'
)
ENGINE = MergeTree ORDER BY name
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'Migrations that were applied to this database'
"""


def _is_locked(path: Path) -> bool:
    """Whether another process holds the engine's own lock (an flock on its status file)."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(fd)


def migrations() -> list[Path]:
    """The shipped migrations, in order."""
    return sorted(p for p in schema_dir().glob("*.sql") if p.name[:4].isdigit())


def statements(text: str) -> list[str]:
    """The statements of a migration: each ends with a semicolon at the end of a line."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("--")]
    found = re.split(r";[ \t]*$", "\n".join(lines), flags=re.MULTILINE)
    return [s.strip() for s in found if s.strip()]


def _json_lines(data: bytes) -> list[Any]:
    return [msgspec.json.decode(line) for line in data.splitlines() if line]


@contextlib.contextmanager
def _errors() -> Iterator[None]:
    """Whatever the client library raises becomes a `StoreError`."""
    try:
        yield
    except (ClickHouseError, OSError, RuntimeError) as e:
        raise StoreError(_code(e), _message(e)) from e
