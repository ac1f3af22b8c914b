"""The one door to ClickHouse: the embedded engine below `var`, or a server. Nobody else imports a client library.

Rules
1. An insert says everything that makes it exact: synchronous, with a token, deduplication on, one block. The server's
   defaults for each of these differ between versions and profiles.
2. One connection for inserts and one for every question: a question that runs long makes nobody wait.
3. Errors come out as `StoreError` with ClickHouse's code: what they mean for a batch is the shipper's to say.
4. The embedded engine is one process's: a second one is refused by its lock. It is closed before the process ends.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol, override
from urllib.parse import urlsplit

import clickhouse_connect
import msgspec
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from sluice.config import Settings
from sluice.errors import Misconfigured, Problem, SluiceError
from sluice.ship import native, schema, sqlgate
from sluice.ship.admission import Admission
from sluice.ship.admission import code_of as _code
from sluice.ship.admission import words_of as _message
from sluice.ship.allowance import Allowance
from sluice.ship.overtime import Overtime
from sluice.ship.reading import Question, Reading
from sluice.ship.schema import Catalogue
from sluice.ship.sqlgate import SqlError

# Where nothing listens to logs (a command), Python would print the client's own words beside ours.
logging.getLogger("clickhouse_connect").addHandler(logging.NullHandler())

TABLE = "events"

INSERT_SETTINGS: dict[str, str | int] = {
    "async_insert": 0,
    "wait_for_async_insert": 1,
    "insert_deduplicate": 1,
    "deduplicate_blocks_in_dependent_materialized_views": 1,
    "input_format_skip_unknown_fields": 0,
    "input_format_json_ignore_unknown_keys_in_named_tuple": 0,
    "input_format_null_as_default": 1,
    "input_format_parallel_parsing": 0,
    "precise_float_parsing": 1,
    "max_insert_block_size": 1_048_576,
    "materialized_views_ignore_errors": 0,
}
"""With `insert_deduplication_token`, what makes an insert synchronous, one block, repeatable, and whole: a row that a
view cannot take fails the insert, so that tables and roll-ups never differ."""

OVER_HTTP: dict[str, str | int] = {"wait_end_of_query": 1}
"""A server answers only when the insert is done, so that an answer means what it says."""

ON_CLUSTER: dict[str, str | int] = {"distributed_foreground_insert": 1, "insert_quorum": "auto"}
"""Acknowledged means: on its shard, by a majority of its replicas."""

ON_CLUSTER_READ: dict[str, Any] = {"distributed_product_mode": "global"}
"""A question may ask one distributed table about another (`IN (SELECT ...)`): the inner one is asked once, for all."""

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


class Asked(Protocol):
    """A store that is asked, by whoever can reach it."""

    def select(self, sql: str, form: str) -> bytes:
        """Answer a question in a ClickHouse format. Raises `SqlError`."""
        ...


class Store(Asked, Protocol):
    """Where events go. Everything but `select` and `interrupt` is for one thread; those are for any."""

    def migrate(self) -> list[str]:
        """Apply the migrations that were not applied yet; their names. Raises `StoreError`, `Misconfigured`."""
        ...

    def insert(self, bodies: Sequence[bytes], token: str) -> None:
        """Insert events of one partition, given as the canonical bytes of their records. Repeating it with the same
        token and records changes nothing. Raises `StoreError`; what `native.block` raises when one has no row."""
        ...

    def add(self, table: str, lines: bytes, token: str) -> None:
        """Insert rows of another table, given as JSONEachRow; otherwise as `insert`."""
        ...

    def drop_partition(self, table: str, partition: str) -> None:
        """Delete a partition, named as `system.parts` names its id. Raises `StoreError`."""
        ...

    def delete(self, table: str, where: str) -> None:
        """Delete rows of a small table, and return when they are gone. Raises `StoreError`."""
        ...

    def select(self, sql: str, form: str) -> bytes:
        """Answer a question in a ClickHouse format. Raises `SqlError`."""
        ...

    def own(self, sql: str, form: str) -> bytes:
        """Answer a question of this program's own files, in the thread of the inserts: within the same bounds, and
        without the gate that stands before other people's SQL. Raises `StoreError`."""
        ...

    def interrupt(self) -> None:
        """Make every running question end, so that the store can be closed."""
        ...

    def close(self) -> None:
        """Give the store back. No question may be running."""
        ...


def open_store(settings: Settings, memory: Allowance | None = None) -> Store:
    """The store of this deployment. `memory` is what questions to the embedded engine share, with whoever else claims
    of it. Raises `StoreError` when it cannot be opened now, `Misconfigured` for a bad DSN."""
    if settings.clickhouse.dsn:
        return Server(settings)
    memory = memory or Allowance(settings.clickhouse.questions_memory_mb * 1024**2)
    return Embedded(settings.clickhouse_dir, settings.clickhouse.database, memory)


class _Writing(ABC):
    """Migrations, inserts and deletions, the same for both."""

    def __init__(self, database: str, cluster: str = "") -> None:
        self._database = database
        self._cluster = cluster

    @abstractmethod
    def command(self, sql: str) -> bytes:
        """Run one statement in the database; what it answers, as JSONEachRow. Raises `StoreError`."""

    @abstractmethod
    def _prepare(self) -> None:
        """Make the database, if it is not there, and use it."""

    @abstractmethod
    def _put(self, table: str, payload: bytes, form: str, settings: Mapping[str, str | int]) -> None: ...

    def migrate(self) -> list[str]:
        self._prepare()
        made = schema.MIGRATIONS_TABLE
        for statement in schema.for_cluster(made, self._cluster) if self._cluster else [made]:
            self.command(statement)
        applied = {line["name"]: line["sha256"] for line in _json_lines(self.command("SELECT * FROM migrations"))}
        done = []
        for migration in schema.pending(applied):
            for statement in migration.statements(self._cluster):
                self.command(statement)
            line = msgspec.json.encode({"name": migration.name, "sha256": migration.sha256})
            self.add("migrations", line, f"{migration.name} {migration.sha256}")
            done.append(migration.name)
        return done

    def insert(self, bodies: Sequence[bytes], token: str) -> None:
        self._insert(TABLE, native.block(bodies), native.FORMAT, token)

    def add(self, table: str, lines: bytes, token: str) -> None:
        self._insert(table, lines, "JSONEachRow", token)

    def _insert(self, table: str, payload: bytes, form: str, token: str) -> None:
        settings = INSERT_SETTINGS | {"insert_deduplication_token": token}
        self._put(table, payload, form, settings | ON_CLUSTER if self._cluster else settings)

    def drop_partition(self, table: str, partition: str) -> None:
        where = f"{table}{schema.LOCAL} ON CLUSTER '{self._cluster}'" if self._cluster else table
        self.command(f"ALTER TABLE {where} DROP PARTITION ID '{partition}'")

    def delete(self, table: str, where: str) -> None:
        name = f"{table}{schema.LOCAL} ON CLUSTER '{self._cluster}'" if self._cluster else table
        self.command(f"ALTER TABLE {name} DELETE WHERE {where} SETTINGS mutations_sync = 2")


class Embedded(_Writing):
    """The embedded engine (chDB) on a directory; None: in memory, for as long as it is open."""

    def __init__(self, directory: Path | None, database: str, memory: Allowance | None = None) -> None:
        """`memory`: what questions may use together; a share of this machine's without."""
        super().__init__(database)
        self._memory = memory or Allowance()
        self.overtime = Overtime()
        self._bounds = READ_SETTINGS | {"max_memory_usage": min(READ_SETTINGS["max_memory_usage"], self._memory.total)}
        self._path = str(directory.resolve()) if directory else ":memory:"
        if directory and _is_locked(directory / "status"):  # asked first: the engine complains on stderr
            raise StoreError(0, f"{self._path} is open in another process")
        try:
            self._writing = self._open()
        except RuntimeError as e:
            raise StoreError(_code(e), f"the embedded ClickHouse cannot open {self._path}: {_message(e)}") from e
        self._admission = Admission(database)

    def _open(self) -> Any:
        import chdb

        connect: Any = chdb.connect
        return connect(self._path)

    @override
    def command(self, sql: str) -> bytes:
        with _errors():
            answer: bytes = self._writing.query(sql, "JSONEachRow").bytes()
        return answer

    @override
    def _prepare(self) -> None:
        self.command(f"CREATE DATABASE IF NOT EXISTS `{self._database}`")
        self.command(f"USE `{self._database}`")

    @override
    def _put(self, table: str, payload: bytes, form: str, settings: Mapping[str, str | int]) -> None:
        said = ", ".join(f"{name} = '{value}'" for name, value in settings.items())
        with _errors(), _in_memory(payload) as path:  # binary data cannot stand behind the statement itself
            self._writing.query(
                f"INSERT INTO `{self._database}`.{table} FROM INFILE '{path}' SETTINGS {said} FORMAT {form}", "Null"
            )

    def select(self, sql: str, form: str) -> bytes:
        sqlgate.checked_format(form)
        with (
            self._memory.held(self._bounds["max_memory_usage"]),
            self.overtime.counted(self._bounds["max_execution_time"]),
        ):
            return self._select(sql, form)

    def _select(self, sql: str, form: str) -> bytes:
        connection = self._connect()
        try:
            admitted = self._admission.admit(connection, sql)
            result: bytes = connection.query(admitted.statement, admitted.format or form).bytes()
        except RuntimeError as e:
            raise SqlError(_code(e), _message(e)) from e
        finally:
            connection.close()
        return result

    def own(self, sql: str, form: str) -> bytes:
        bounds = ", ".join(f"{name} = '{value}'" for name, value in self._bounds.items())
        with _errors():
            answer: bytes = self._writing.query(f"{sql} SETTINGS {bounds}", form).bytes()
        return answer

    def read(self, question: Question, bounds: Mapping[str, Any]) -> Reading:
        """A question whose answer is streamed; `bounds` over `READ_SETTINGS`. Raises `SqlError`."""
        asked = {**self._bounds, **bounds, **question.settings}["max_memory_usage"]
        size = min(int(asked), self._memory.total)
        question = replace(question, settings={**question.settings, "max_memory_usage": str(size)})
        bounds = {**self._bounds, **bounds}
        release = contextlib.ExitStack()
        release.callback(self._memory.claim(size).release)
        try:
            reading = Reading(self._open, self._admission, self._database, question, bounds, release=release.close)
        except BaseException:
            release.close()
            raise
        release.callback(self.overtime.begin(bounds["max_execution_time"], reading.waits))
        return reading

    def interrupt(self) -> None:
        with contextlib.suppress(RuntimeError):
            self._writing.query("KILL QUERY WHERE query_kind = 'Select' ASYNC")

    def close(self) -> None:
        self._writing.close()

    def _connect(self) -> Any:
        """A connection that can only read. Settings stick to a connection, so every question has its own."""
        connection = self._open()
        try:
            for name, value in self._bounds.items():
                connection.query(f"SET {name} = '{value}'")
            connection.query("SET implicit_select = 0")
            connection.query(f"USE `{self._database}`")
            connection.query("SET readonly = 1")
        except RuntimeError as e:
            connection.close()
            raise SqlError(_code(e), _message(e)) from e
        return connection


class Server(_Writing):
    """A ClickHouse server or cluster over HTTP. What may be asked there, its own users and grants decide."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings.clickhouse.database, settings.clickhouse.cluster)
        self._dsn = settings.clickhouse.dsn
        self._timeout = settings.clickhouse.insert_timeout_seconds
        self._client = self._open()

    @override
    def command(self, sql: str) -> bytes:
        with _errors():
            if sql.startswith("SELECT"):
                return self._client.raw_query(sql, fmt="JSONEachRow")
            self._client.command(sql)
        return b""

    @override
    def _prepare(self) -> None:
        on = f" ON CLUSTER '{self._cluster}'" if self._cluster else ""
        with _errors():
            self._client.command(f"CREATE DATABASE IF NOT EXISTS `{self._database}`{on}", use_database=False)
            self._client.database = self._database

    @override
    def _put(self, table: str, payload: bytes, form: str, settings: Mapping[str, str | int]) -> None:
        with _errors():
            self._client.database = self._database
            self._client.raw_insert(table, None, payload, settings={**settings, **OVER_HTTP}, fmt=form)

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
            raise StoreError(_code(e), f"ClickHouse at {parts.hostname} cannot be reached: {_why(e)}") from e

    def select(self, sql: str, form: str) -> bytes:
        sqlgate.checked_format(form)
        try:
            client = self._open()
        except StoreError as e:
            raise SqlError(e.code, str(e)) from e
        try:
            client.database = self._database
            more = ON_CLUSTER_READ if self._cluster else {}
            return client.raw_query(sql, fmt=form, settings=READ_SETTINGS | more | {"readonly": 1})
        except (ClickHouseError, OSError) as e:
            raise SqlError(_code(e), _said(e)) from e
        finally:
            client.close()

    def own(self, sql: str, form: str) -> bytes:
        try:
            return self.select(sql, form)
        except SqlError as e:
            raise StoreError(e.code, str(e)) from e

    def interrupt(self) -> None:
        """Questions to a server end by its own time limit, and do not hold it open."""

    def close(self) -> None:
        self._client.close()


def _said(error: BaseException) -> str:
    """ClickHouse's words, or, where it said nothing, why it cannot be reached."""
    return _message(error) if _code(error) or isinstance(error, RuntimeError) else f"ClickHouse: {_why(error)}"


def _why(error: BaseException) -> str:
    """Why a server cannot be reached: ClickHouse's words, or those of the system under the layers of the client."""
    inner: BaseException | None = error
    while inner is not None:
        reason = getattr(inner, "reason", None)
        inner = reason if isinstance(reason, BaseException) else inner.__cause__ or inner.__context__
        if isinstance(inner, OSError) and inner.strerror:
            return inner.strerror
    words = _message(error)
    dump = any(sign in words for sign in ("object at 0x", "Max retries", "Http Driver", "HTTPConnectionPool"))
    return "no answer" if dump else words


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


def wanted(database: str) -> Catalogue:
    """What the files make of an empty store: they are applied to an engine in memory. No other may be open here."""
    scratch = Embedded(None, database)
    try:
        scratch.migrate()
        return {
            kind: _json_lines(scratch.command(sql.format(database=database))) for kind, sql in schema.CATALOGUE.items()
        }
    finally:
        scratch.close()


def _json_lines(data: bytes) -> list[Any]:
    return [msgspec.json.decode(line) for line in data.splitlines() if line]


@contextlib.contextmanager
def _in_memory(data: bytes) -> Iterator[str]:
    """The path of a file without a name on any disk, for as long as the engine reads it."""
    fd = os.memfd_create("rows", os.MFD_CLOEXEC)
    with os.fdopen(fd, "wb", buffering=0) as file:
        rest = memoryview(data)
        while rest:
            rest = rest[file.write(rest) :]
        yield f"/proc/self/fd/{fd}"


@contextlib.contextmanager
def _errors() -> Iterator[None]:
    """Whatever the client library raises becomes a `StoreError`."""
    try:
        yield
    except (ClickHouseError, OSError, RuntimeError) as e:
        raise StoreError(_code(e), _said(e)) from e
