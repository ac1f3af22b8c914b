"""A record as canonical bytes: what is written, hashed, signed, and read back for years.

Canonical form: one JSON object, keys sorted, no spaces, UTF-8, enums as text; None and empty lists are left out (a
column of an analyst's table cannot tell an empty list from none either). Equal records give equal bytes.
A later version of the schema may add keys: `decode` passes over keys it does not know and fills in those it misses.

Rules
1. `encode` never fails and never returns more than `MAX_BYTES`: a request that makes a record too large to write
   must not be able to escape being recorded. What is shortened is named in `Record.clipped`, with the true count.
2. The hash of a record is the leaf hash of RFC 6962, section 2.1: SHA-256 over a zero byte and the canonical bytes.
   `prev_hash` is that hash of the record before, as hex, so the chain lies inside the hashed bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from math import isfinite
from operator import attrgetter
from typing import Any

import msgspec
from msgspec.structs import fields

from sluice.errors import SluiceError
from sluice.model import FileFact, Match, PartFact, Record, Severity

MAX_BYTES = 60 * 1024
"""Largest record. Entry bundles of a transparency log count in 16 bits (C2SP tlog-tiles), so below 64 KiB."""

GENESIS = "0" * 64
"""`prev_hash` of the first record of a stream."""

TEXT_LIMIT = 256
"""Code points of any text field that is not named in `TEXT_LIMITS`."""

TEXT_LIMITS = {"path_template": 1024, "user_agent": 512, "upstream_error": 512, "reason_detail": 1024}
"""Texts that a client or an upstream can choose at length."""

CLIENT_TEXT = ("agent_id", "content_type", "host", "model_requested", "model_served", "sni", "tool_choice")
"""The other texts from outside, held to `TEXT_LIMIT` in every record; texts of our own are short as they are."""

OPERATOR_TEXT = {"control_detail": 4096, "override_reason": 1024}
"""Texts that we or the operator write."""

ITEM_LIMIT = 128
"""Code points of one item in a list of texts (a tool, a server, a coding)."""

LIST_LIMITS = {
    "matches": 100,
    "parts": 200,
    "attachments": 64,
    "tools_declared": 128,
    "tool_calls_returned": 128,
    "dangerous_tools": 64,
    "hosted_tools": 64,
    "mcp_servers": 32,
    "mcp_facts": 32,
}
"""Items of the lists that a request can make long; any other list holds `LIST_LIMIT`."""

LIST_LIMIT = 32

_LIMITS = TEXT_LIMITS | OPERATOR_TEXT
_CHOSEN = dict.fromkeys(CLIENT_TEXT, TEXT_LIMIT) | TEXT_LIMITS
_PLACED = ("chain_id", "prev_hash")
"""What a record has only once it has its place."""
_PLACE = frozenset({"chain_id", "node_id", "prev_hash", "record_type", "decision_id"})
_MATCH = tuple(sorted(f.name for f in fields(Match)))
_match = attrgetter(*_MATCH)
_FILE = tuple(sorted(f.name for f in fields(FileFact)))
_file = attrgetter(*_FILE)
_RANK = {str(s): s.rank for s in Severity}
_encode = msgspec.json.Encoder().encode
_sorted = msgspec.json.Encoder(order="sorted").encode
_INT64 = 2**63 - 1

type Facts = dict[str, Any]


class BadRecord(SluiceError):
    """Bytes that are not a record."""


class Link(msgspec.Struct, frozen=True, gc=False):
    """The fields of a record that hold the chain together. Much cheaper to read than the whole record."""

    chain_id: str = ""
    node_id: str = ""
    epoch: int = -1
    seq: int = -1
    prev_hash: str = ""
    record_type: str = ""
    control_kind: str = ""
    ts_received: int = 0


_read_record = msgspec.json.Decoder(Record)
_read_link = msgspec.json.Decoder(Link)


def encode(record: Record) -> bytes:
    """The canonical bytes of a record as it is. At most `MAX_BYTES`; never raises on any `Record`."""
    facts, fits = _facts(record)
    for name in _PLACED:
        if facts[name] is None:
            del facts[name]
    return _write(facts, fits)


def seal(record: Record, *, node: str, epoch: int, seq: int, prev_hash: str, chain: str) -> bytes:
    """The canonical bytes of a record in its place in a stream; the place overrides what the record says of it."""
    facts, fits = _facts(record)
    facts["node_id"] = node
    facts["epoch"] = epoch
    facts["seq"] = seq
    facts["prev_hash"] = prev_hash
    facts["chain_id"] = chain
    return _write(facts, fits)


def decode(body: bytes) -> Record:
    """The record that canonical bytes say. Raises `BadRecord`."""
    try:
        return _read_record.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as e:  # the last: nested deeper than JSON is read
        raise BadRecord(f"not a record: {e}") from e


def link(body: bytes) -> Link:
    """Only the chain fields of canonical bytes. Raises `BadRecord`."""
    try:
        return _read_link.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as e:  # the last: nested deeper than JSON is read
        raise BadRecord(f"not a record: {e}") from e


def leaf_hash(body: bytes) -> bytes:
    """SHA-256 over 0x00 and the canonical bytes (RFC 6962, section 2.1)."""
    return hashlib.sha256(b"\x00" + body).digest()


def clip(text: str, limit: int) -> str:
    """At most `limit` code points; a shortened text ends in an ellipsis, so that it cannot pass for a whole one."""
    return text if len(text) <= limit else text[: limit - 1] + "\N{HORIZONTAL ELLIPSIS}"


def _compile_known() -> Callable[[Record], tuple[Facts, bool]]:
    """A function that collects the fields that say something, in the order of canonical form, and tells whether every
    one of them is short enough to be written as it is.

    Written out field by field and compiled once, as `dataclasses` itself does: it runs for every request, and loops
    over the names take three times as long.
    """
    lines = ["def known(r):", " d = {}", " fits = True"]
    for f in sorted(fields(Record), key=lambda f: f.name):
        lines.append(f" v = r.{f.name}")
        if f.name in _PLACED:
            lines.append(f" d['{f.name}'] = v")
            continue
        lines.append(" if v:" if str(f.type).startswith("tuple[") else " if v is not None:")
        lines.append(f"  d['{f.name}'] = v")
        if (limit := _CHOSEN.get(f.name)) is not None:
            lines.append(f"  if len(v) > {limit}: fits = False")
        if (limit := LIST_LIMITS.get(f.name)) is not None:
            lines.append(f"  if len(v) > {limit}: fits = False")
            lines.append(f"  elif type(v[0]) is str and max(map(len, v)) > {ITEM_LIMIT}: fits = False")
    lines.append(" return d, fits")
    scope: dict[str, Any] = {}
    exec("\n".join(lines), scope)  # noqa: S102 - names of our own fields
    known: Callable[[Record], tuple[Facts, bool]] = scope["known"]
    return known


_known = _compile_known()


def _facts(record: Record) -> tuple[Facts, bool]:
    """The fields that say something, as they go into JSON and in its order; whether all of them fit.

    Those of `_PLACED` are there in any case, so that their values can be set without a change of the order.
    """
    facts, fits = _known(record)
    if rows := facts.get("matches"):
        if not fits and len(rows) > LIST_LIMITS["matches"]:
            # where a list of matches has to be cut, the gravest ones stay
            rows = sorted(rows, key=lambda m: -_RANK.get(m.severity, 0))
        facts["matches"] = [_said(_MATCH, _match(row)) for row in rows]
    if files := facts.get("attachments"):
        facts["attachments"] = [_said(_FILE, _file(row)) for row in files]
    return facts, fits


def _said(names: tuple[str, ...], values: tuple[Any, ...]) -> Facts:
    return {name: value for name, value in zip(names, values, strict=True) if value is not None}


def _write(facts: Facts, fits: bool) -> bytes:
    """The bytes of facts that are in order already: sorting seventy keys takes as long as writing them."""
    if not fits:
        return _fit(facts)
    try:
        if parts := facts.get("parts"):
            facts["parts"] = msgspec.Raw(_sorted(parts))
        body = _encode(facts)
    except (UnicodeEncodeError, OverflowError):  # lone surrogates, integers beyond 64 bits
        if parts:
            facts["parts"] = parts
        return _fit(facts)
    # The encoder writes a float that is not a number as null, which no reader of that field expects.
    if len(body) <= MAX_BYTES and b":null" not in body:
        return body
    if parts:
        facts["parts"] = parts
    return _fit(facts)


def _fit(facts: Facts) -> bytes:
    """Shorten what is too long, and more when that is not enough (a control character takes six bytes in JSON)."""
    for squeeze in (1, 2, 4, 8, 16):
        body = _sorted(_shortened(facts, squeeze))
        if len(body) <= MAX_BYTES:
            break
    return body


def _shortened(facts: Facts, squeeze: int) -> Facts:
    out: Facts = {}
    notes: list[str] = []
    for name, value in facts.items():
        size = limit = 0
        if isinstance(value, str):
            size, limit = len(value), _LIMITS.get(name, TEXT_LIMIT) // (1 if name in _PLACE else squeeze)
            value = _plain(value, limit)
        elif isinstance(value, tuple | list):
            size, limit = len(value), max(1, LIST_LIMITS.get(name, LIST_LIMIT) // squeeze)
            # The end of a conversation is what is new in a request; in every other list the beginning tells more.
            kept = value[-limit:] if name == "parts" else value[:limit]
            value = [_plain(item, ITEM_LIMIT // squeeze) for item in kept]
        else:
            value = _plain(value, 0)
        if size > limit:
            notes.append(f"{name} {size}>{limit}")
        out[name] = value
    if notes:
        out["clipped"] = sorted(notes)
    return out


def _plain(value: Any, limit: int) -> Any:
    """A value that JSON can say, its texts clipped to `limit`."""
    match value:
        case str():
            text = clip(str(value), limit)
            return text if text.isascii() else text.encode("utf-8", "replace").decode()
        case bool():
            return value
        case int():
            return max(-_INT64, min(value, _INT64))
        case float():
            return value if isfinite(value) else 0.0
        case PartFact():
            return {"bytes": _plain(value.bytes, 0), "kind": _plain(value.kind, 32), "role": _plain(value.role, 32)}
        case dict():
            return {k: _plain(v, limit) for k, v in value.items()}
    return value
