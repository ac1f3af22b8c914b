"""What a request asks for: statement, parameters, settings, format, compression, and who says so.

Source: https://clickhouse.com/docs/interfaces/http (parameters of the query string and header fields).
"""

from __future__ import annotations

import base64
import binascii
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl

from sluice.ship.http import coding
from sluice.ship.http.errors import (
    AUTHENTICATION_FAILED,
    BAD_ARGUMENTS,
    NOT_IMPLEMENTED,
    READONLY,
    REQUIRED_PASSWORD,
    SYNTAX_ERROR,
    UNKNOWN_DATABASE,
)
from sluice.ship.sqlgate import SqlError, checked_format

MOST_FIELDS = 300
LONGEST_BODY = 1024 * 1024
"""Bytes of a body, on the wire and decompressed; a statement may have a quarter of it."""
_OWN = frozenset({"query", "user", "password", "database", "default_format", "query_id", "compress", "decompress"})
_PARAMETER = re.compile(r"param_(\w{1,64})", re.ASCII)
_WRITES = re.compile(
    rb"(?>\s+|--[^\n]*\n|/\*.*?\*/)*+(?:insert|alter|create|drop|truncate|rename|optimize|update|delete)\b",
    re.IGNORECASE | re.DOTALL,
)
_ID = re.compile(r"[\w.:-]{1,128}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Ask:
    """A request without its body. `settings` are as they came."""

    statement: str
    parameters: Mapping[str, str]
    settings: Mapping[str, str]
    format: str
    query_id: str
    coding: str
    blocks: bool
    body_blocks: bool
    to_the_end: bool


def fields_of(query_string: bytes) -> dict[str, str]:
    """The query string's fields. Raises `SqlError` for what is not UTF-8, too many, or twice there."""
    try:
        pairs = parse_qsl(
            query_string.decode("ascii"), keep_blank_values=True, max_num_fields=MOST_FIELDS, errors="strict"
        )
    except ValueError as e:  # UnicodeDecodeError is one
        raise SqlError(BAD_ARGUMENTS, "the query string cannot be read: not UTF-8, or too many fields") from e
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise SqlError(BAD_ARGUMENTS, "a parameter stands twice in the query string")
    return fields


def credentials_of(fields: Mapping[str, str], headers: Mapping[str, str]) -> tuple[str, str]:
    """User and password, from one of the three places that ClickHouse knows. Raises `SqlError`."""
    found = []
    if headers.get("authorization"):
        found.append(_basic(headers["authorization"]))
    if "x-clickhouse-user" in headers or "x-clickhouse-key" in headers:
        found.append((headers.get("x-clickhouse-user", ""), headers.get("x-clickhouse-key", "")))
    if "user" in fields or "password" in fields:
        found.append((fields.get("user", ""), fields.get("password", "")))
    if not found:
        raise SqlError(REQUIRED_PASSWORD, "Authentication failed: a user and a password are required")
    if len(found) > 1:
        what = "Invalid authentication: credentials stand in more than one place of the request"
        raise SqlError(AUTHENTICATION_FAILED, what)
    return found[0]


def _basic(value: str) -> tuple[str, str]:
    scheme, _, rest = value.partition(" ")
    if scheme.lower() != "basic":
        raise SqlError(AUTHENTICATION_FAILED, "Invalid authentication: only the Basic scheme is supported")
    try:
        user, colon, given = base64.b64decode(rest.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeError) as e:
        raise SqlError(AUTHENTICATION_FAILED, "Invalid authentication: the Basic credentials cannot be read") from e
    if not colon:
        raise SqlError(AUTHENTICATION_FAILED, "Invalid authentication: the Basic credentials cannot be read")
    return user, given


def ask_of(fields: Mapping[str, str], headers: Mapping[str, str], database: str) -> Ask:
    """What the head of a request asks for. Raises `SqlError`."""
    if headers.get("content-type", "").lower().startswith("multipart/"):
        raise SqlError(NOT_IMPLEMENTED, "external tables and forms are not supported; send the statement as the body")
    wanted = fields.get("database") or headers.get("x-clickhouse-database") or database
    if wanted not in (database, "default"):  # names without a database mean ours, whatever is asked for
        raise SqlError(UNKNOWN_DATABASE, f"Database {wanted[:64]} does not exist; the events are in `{database}`")
    form = fields.get("default_format") or headers.get("x-clickhouse-format") or "TabSeparated"
    checked_format(form)
    query_id = fields.get("query_id", "")
    names = {name: _PARAMETER.fullmatch(name) for name in fields}
    return Ask(
        statement=fields.get("query", ""),
        parameters={found[1]: fields[name] for name, found in names.items() if found},
        settings={name: fields[name] for name, found in names.items() if not found and name not in _OWN},
        format=form,
        query_id=query_id if _ID.fullmatch(query_id) else str(uuid.uuid4()),
        coding=coding.negotiated(headers.get("accept-encoding", ""))
        if fields.get("enable_http_compression", "1") != "0"
        else "",
        blocks=_flag(fields, "compress"),
        body_blocks=_flag(fields, "decompress"),
        to_the_end=_flag(fields, "wait_end_of_query"),
    )


def _flag(fields: Mapping[str, str], name: str) -> bool:
    return fields.get(name, "0").lower() not in ("", "0", "false")


def statement_of(ask: Ask, body: bytes, content_encoding: str) -> str:
    """The statement: the `query` field, then the body. Raises `SqlError`."""
    if body:
        body = coding.decoded(body, content_encoding, LONGEST_BODY)
        if ask.body_blocks:
            body = coding.unblocked(body, LONGEST_BODY)
    if _WRITES.match(ask.statement.encode() or body[:4096]):  # told before the rows of an insert are taken for SQL
        raise SqlError(READONLY, "Cannot execute query in readonly mode: this SQL interface only reads")
    try:
        text = body.decode()
    except UnicodeDecodeError as e:
        raise SqlError(SYNTAX_ERROR, "Syntax error: the statement is not UTF-8") from e
    statement = f"{ask.statement}\n{text}" if ask.statement and text else ask.statement or text
    if not statement.strip():
        raise SqlError(SYNTAX_ERROR, "Syntax error: empty query")
    return statement
