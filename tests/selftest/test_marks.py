"""A self-test at the gate: judged like any request, recorded as what it is, and in no count, inventory or outcome."""

from __future__ import annotations

import json
from typing import Any, cast

from sluice import metrics, selftest
from sluice.config import Settings
from sluice.gate import Gate
from sluice.identity import Resolver
from sluice.model import Clearance, Outcome, RecordType, Refusal, Scan, Target
from sluice.subjects import Subjects
from tests.gate.test_gate import House, Table, build, exchange, finding


class Seen:
    """A register of subjects that remembers whether it was told of one."""

    def __init__(self) -> None:
        self.told = 0

    def saw(self, *_: object) -> None:
        self.told += 1


class Here(Table):
    """The table with the row of the self-test."""

    def match(self, host: str, port: int, path: str = "/") -> Target | None:
        found = super().match("api.openai.com", port, path)
        assert found is not None
        return cast("Any", found).__class__(
            row=selftest.ROW, provider="sluice", product="sluice-selftest", kind="infra", dialect="openai",
            status=found.status, mode=found.mode, host=host,
        )  # fmt: skip


def house() -> tuple[House, Seen]:
    made, seen = build(), Seen()
    book = cast("Any", made.rulebook)
    book = book.__class__(
        targets=Here(), detectors=made.scanner, policy=made.rules, digest=book.digest, loaded_at=book.loaded_at
    )
    made.gate.close()
    made.gate = Gate(Settings(), book, made.ledger, Resolver.load(Settings()), subjects=cast("Subjects", seen))
    return made, seen


def counted() -> float:
    return sum(series.count for series in metrics.DECISIONS.values())


async def test_a_blocked_self_test_is_a_control_record_and_nothing_else() -> None:
    """Its record has kind, decision and classes, and no subject, client or key; no metric of decisions moves."""
    made, seen = house()
    made.scanner.act = lambda parts: Scan(findings=(finding(),), scanned_bytes=10)
    before = counted()
    result = await made.gate.clear(exchange(host=selftest.HOST))
    assert isinstance(result, Refusal)
    assert result.receipt is not None
    [record] = made.ledger.records
    assert (record.record_type, record.control_kind) == (RecordType.CONTROL, "selftest")
    assert (record.subject_id, record.src_ip, record.key_fp, record.decision, record.host) == (None,) * 5
    told = json.loads(record.control_detail or "")
    assert (told["decision"], told["rule"], told["classes"]) == ("block", "secrets", ["secret.cloud"])
    assert counted() == before
    assert seen.told == 0


async def test_an_allowed_self_test_has_its_record_and_no_outcome() -> None:
    """No evidence, no answer: the record is durable here too. How it ended is nobody's business."""
    made, _ = house()
    result = await made.gate.clear(exchange(host=selftest.HOST))
    assert isinstance(result, Clearance)
    target = Here().match(selftest.HOST, 443)
    await made.gate.outcome(Outcome(exchange_id=exchange().id, forwarded=False, target=target, ts_received=1, ts_end=2))
    assert [r.record_type for r in made.ledger.records] == [RecordType.CONTROL]
    made.ledger.error = OSError("disk")
    assert isinstance(await made.gate.clear(exchange(host=selftest.HOST)), Refusal)


def test_no_two_made_up_secrets_are_alike() -> None:
    """A value that is remembered as seen before would be no test."""
    assert len({selftest.made_up_secret() for _ in range(100)}) == 100
