"""Which statement runs: the engine parses it, `sqlgate` checks the tree, and the engine's own formatter writes it anew.

The text that came in is never run by a reader of its own choosing: what was checked is the tree, and `statement` is
the engine's rendering of the same statement, without comments and without its FORMAT clause. The statement travels to
the parser in hexadecimal digits, so nothing in it can break out of the question that carries it.
"""

from __future__ import annotations

import re
import threading
from typing import Any

import msgspec

from sluice.ship import sqlgate
from sluice.ship.sqlgate import Admitted, Allowed, SqlError

LONGEST_STATEMENT = 256 * 1024
"""Bytes; ClickHouse's own default of `max_query_size`."""
SYNTAX_ERROR = 62
NOT_A_READING_STATEMENT = 36
"""What `parseQueryToJSON` says of statements that it does not know: BAD_ARGUMENTS."""
_CODE = re.compile(r"Code: (\d+)")
_VERSION = re.compile(r" \(version [\d.]+(?: \(official build\))?\)")
_EXPECTED = re.compile(r"Expected one of: (?P<names>[^.]*?)(?=\.|: In scope| \([A-Z_]+\)|\Z)", re.DOTALL)
EXPECTED_SHOWN = 4
_NAME = re.compile(r" \([A-Z0-9_]+\)\Z")
_SCOPE = ": In scope SELECT "
_DESCRIBED = re.compile(r"\s*desc(?:ribe)?\s+(?:table\s+)?\((?P<inner>.*)\)\s*(?:format\s+(?P<format>\w+)\s*)?;?\s*",
                        re.IGNORECASE | re.ASCII | re.DOTALL)  # fmt: skip


class Admission:
    """The gate of one engine. `admit` may be called from several threads, each with a connection of its own."""

    def __init__(self, database: str) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._allowed: Allowed | None = None

    def admit(self, connection: Any, sql: str) -> Admitted:
        """The statement, if it may run. Raises `SqlError`."""
        if "\0" in sql:
            raise SqlError(SYNTAX_ERROR, "Syntax error: a statement holds no NUL byte (SYNTAX_ERROR)")
        if len(sql.encode()) > LONGEST_STATEMENT:
            raise SqlError(SYNTAX_ERROR, f"Max query size exceeded: at most {LONGEST_STATEMENT} bytes (SYNTAX_ERROR)")
        with self._lock:
            allowed = self._allowed = self._allowed or _ask_allowed(connection, self._database)
        if ours := sqlgate.rewritten(sql, allowed):
            return ours
        if described := _DESCRIBED.fullmatch(sql):
            inner = self._checked(connection, described["inner"], allowed)
            form = sqlgate.checked_format(described["format"]) if described["format"] else None
            return Admitted(f"DESCRIBE TABLE ({inner.statement})", form)
        return self._checked(connection, sql, allowed)

    def _checked(self, connection: Any, sql: str, allowed: Allowed) -> Admitted:
        digits = sql.encode().hex()
        try:
            parsed = connection.query(f"SELECT parseQueryToJSON(unhex('{digits}'))", "RawBLOB").bytes()
            tree = msgspec.json.decode(parsed)
        except RuntimeError as e:
            if code_of(e) == NOT_A_READING_STATEMENT:
                raise sqlgate.refused("only SELECT, SHOW and DESCRIBE of a table are allowed") from e
            raise _about_the_statement(e) from e
        except (msgspec.DecodeError, RecursionError) as e:  # deeper than the decoder goes
            raise sqlgate.refused("the statement is nested too deeply") from e
        sqlgate.check(tree, allowed)
        # A second opinion, from another part of the engine.
        said = connection._conn.classify_query(sql, self._database)
        if said["statement_count"] != 1 or said["query_class"].name != "READ_ONLY":
            raise sqlgate.refused("only one reading statement at a time is allowed")
        try:
            text = connection.query(f"SELECT formatQuerySingleLine(unhex('{digits}'))", "RawBLOB").bytes().decode()
        except RuntimeError as e:
            raise _about_the_statement(e) from e
        form = sqlgate.format_of(tree)
        if form:
            bare = re.sub(rf" FORMAT (?:{form}|`{form}`)\Z", "", text)
            if bare == text:
                raise sqlgate.refused("the FORMAT clause has to be the last one")
            text = bare
        return Admitted(text, form, sqlgate.tables(tree) == {"system.settings"})


def _ask_allowed(connection: Any, database: str) -> Allowed:
    def lines(sql: str) -> list[Any]:
        return [msgspec.json.decode(line) for line in connection.query(sql, "JSONEachRow").bytes().splitlines() if line]

    return Allowed.of(
        database,
        [line["name"] for line in lines("SELECT name FROM system.databases")],
        lines("SELECT name, categories, alias_to, case_insensitive, is_aggregate FROM system.functions"),
        [line["name"] for line in lines("SELECT name FROM system.aggregate_function_combinators")],
    )


def _about_the_statement(error: RuntimeError) -> SqlError:
    """The parser's complaint, without the question that carried the statement there."""
    words = words_of(error)
    about, carried, _ = words.partition(_SCOPE)
    name = _NAME.search(words) if carried else None
    return SqlError(code_of(error), about + (name[0] if name else ""))


def code_of(error: BaseException) -> int:
    """ClickHouse's code of an error of its client or engine; 0 when it has none."""
    code = getattr(error, "code", None)
    if isinstance(code, int):
        return code
    found = _CODE.search(str(error))
    return int(found[1]) if found else 0


def words_of(error: BaseException) -> str:
    """ClickHouse's own words: without the client's and without the version, which only pads them."""
    text = str(error)
    start = text.find("DB::Exception: ")
    words = _VERSION.sub("", text[start + len("DB::Exception: ") :] if start >= 0 else text).strip()
    return _EXPECTED.sub(_short, words)


def _short(found: re.Match[str]) -> str:
    """The parser lists everything that could stand there, up to hundreds of words; the first few are the nearest."""
    names = found["names"].split(", ")
    return f"Expected one of: {', '.join(names[:EXPECTED_SHOWN])}, ..." if len(names) > EXPECTED_SHOWN else found[0]
