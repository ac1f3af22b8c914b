"""What the tests of posture share: an engine, and records put into it as the shipper puts them."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import msgspec

from sluice.ledger import record as ledger_record
from sluice.model import Match, Record, RecordType
from sluice.posture import question
from sluice.posture.question import Table
from sluice.ship.clickhouse import Embedded

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
"""The tests' present: every span ends here."""
TABLES = (
    "events",
    "exchange_rows",
    "per_minute",
    "per_subject_day",
    "finding_events",
    "finding_days",
    "posture_snapshot",
    "cov_observation",
    "policy_approvals",
    "decision_reviews",
    "posture_facts",
)


def micros(at: datetime) -> int:
    return round(at.timestamp() * 1_000_000)


def ago(**span: float) -> int:
    """Microseconds since the epoch, so long before `NOW`."""
    return micros(NOW - timedelta(**span))


def found(data_class: str, **more: Any) -> Match:
    given: dict[str, Any] = {
        "detector": f"{data_class}.test",
        "rev": 1,
        "data_class": data_class,
        "severity": "high",
        "count": 1,
        "validated": True,
        "confidence": 0.9,
        "offset_bucket": 0,
        "fingerprint": "ab" * 16,
    }
    return Match(**(given | more))


class Rig:
    """The engine, and a stream that records go into."""

    def __init__(self, directory: Path) -> None:
        self.store = Embedded(directory, "sluice")
        self.store.migrate()
        self._seq: defaultdict[str, count[int]] = defaultdict(count)
        self._token = count()

    def close(self) -> None:
        self.store.close()

    def clear(self) -> None:
        """Everything gone: the next test begins with an empty store."""
        there = {t["name"] for t in self.rows("SELECT name FROM system.tables WHERE database = currentDatabase()")}
        for table in (*TABLES, *sorted(t for t in there if str(t).startswith("register_") and t not in TABLES)):
            if table in there and not self._is_view(table):
                self.store.command(f"TRUNCATE TABLE {table}")
        self._seq.clear()

    def _is_view(self, table: object) -> bool:
        (row,) = self.rows(f"SELECT engine FROM system.tables WHERE database = currentDatabase() AND name = '{table}'")
        return "View" in str(row["engine"])

    def ask(self, sql: str, form: str) -> bytes:
        return self.store.select(sql, form)

    def rows(self, sql: str) -> list[dict[str, Any]]:
        return question.ask(self.ask, sql).dicts()

    def table(self, sql: str) -> Table:
        return question.ask(self.ask, sql)

    def put(self, records: Iterable[Record], stream: str = "n-w0", node: str = "n") -> list[Record]:
        """Number the records and insert them; as they are in the store."""
        numbers = self._seq[stream]
        placed = [
            msgspec.structs.replace(r, node_id=node, epoch=1, seq=next(numbers), chain_id=stream) for r in records
        ]
        if placed:
            self.store.insert([ledger_record.encode(r) for r in placed], f"t{next(self._token)}")
        return placed

    def lose(self, stream: str) -> None:
        """A number of the stream that no record gets."""
        next(self._seq[stream])

    def declare(self, rows: Iterable[tuple[str, str, dict[str, Any]]], at: datetime) -> None:
        """A snapshot of the registers: kind, id and fields of each row."""
        lines = [
            {"loaded_at": f"{at:%Y-%m-%d %H:%M:%S}", "digest": str(at), "kind": k, "id": i, "origin": "site",
             "row": msgspec.json.encode({"id": i, **row}).decode()}
            for k, i, row in rows
        ]  # fmt: skip
        self.add("register_rows", *lines)

    def add(self, table: str, *rows: dict[str, Any]) -> None:
        self.store.add(table, b"\n".join(map(msgspec.json.encode, rows)), f"a{next(self._token)}")


_IDS = count(1)


def decision(**more: Any) -> Record:
    """An allowed chat request of `alice`, an hour ago."""
    classes = more.get("data_classes") or ()
    given: dict[str, Any] = {
        "record_type": RecordType.DECISION,
        "decision_id": str(uuid.UUID(int=next(_IDS))),
        "ts_received": ago(hours=1),
        "retention_class": "standard",
        "subject_id": "alice",
        "subject_kind": "user",
        "identity_method": "login",
        "identity_assurance": "verified",
        "department": "sales",
        "src_ip": "10.0.0.1",
        "provider_id": "openai",
        "provider_status": "sanctioned",
        "product": "openai-api",
        "host": "api.openai.com",
        "operation": "chat",
        "model_requested": "gpt-5",
        "body_bytes": 1000,
        "scanned_bytes": 1000,
        "uninspected_bytes": 0,
        "inspection_status": "full",
        "policy_id": "default",
        "policy_version": "1",
        "policy_sha256": "cd" * 32,
        "policy_mode": "enforce",
        "rule_id": "r",
        "decision": "allow",
        "reason_code": "NO_FINDINGS",
    }
    if classes and "matches" not in more:
        given["matches"] = tuple(found(c) for c in classes)
    return Record(**(given | more))


def outcome(of: Record, **more: Any) -> Record:
    """How that exchange ended: answered."""
    given: dict[str, Any] = {
        "record_type": RecordType.OUTCOME,
        "decision_id": of.decision_id,
        "parent_decision_id": of.decision_id,
        "ts_received": of.ts_received,
        "retention_class": of.retention_class,
        "provider_id": of.provider_id,
        "product": of.product,
        "forwarded": True,
        "client_status": 200,
        "upstream_status": 200,
        "model_served": of.model_requested,
        "latency_added_us": 1500,
        "commit_us": 700,
    }
    return Record(**(given | more))


def ended(*decisions: Record, **more: Any) -> list[Record]:
    """The decisions, each with its outcome."""
    return [r for d in decisions for r in (d, outcome(d, **more))]


def control(kind: str, at: int | None = None, **facts: Any) -> Record:
    """A control record."""
    detail = msgspec.json.encode(facts, order="sorted").decode()
    return Record(
        record_type=RecordType.CONTROL,
        decision_id="",
        ts_received=ago(hours=1) if at is None else at,
        control_kind=kind,
        control_detail=detail,
    )
