"""A self-test at the gate: judged like any request, recorded as what it is, and in no count, inventory or outcome."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, cast

import pytest

from sluice import metrics, selftest
from sluice.config import Settings
from sluice.errors import Reason
from sluice.gate import Gate
from sluice.identity import Resolver
from sluice.model import Action, Clearance, Exchange, Outcome, RecordType, Refusal, Scan, Target
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
    made.gate = Gate(Settings(), book, made.ledger, Resolver.load(Settings()), subjects=cast("Subjects", seen),
                     mark=selftest.Mark(SECRET))  # fmt: skip
    return made, seen


SECRET = selftest.new_secret()


def ours(**options: Any) -> Exchange:
    """A request of the supervisor's."""
    return exchange(host=selftest.HOST, headers=((selftest.HEADER, SECRET),), **options)


def counted() -> float:
    return sum(series.count for series in metrics.DECISIONS.values())


async def test_a_blocked_self_test_is_a_control_record_and_nothing_else() -> None:
    """Its record has kind, decision and classes, and no subject, client or key; no metric of decisions moves."""
    made, seen = house()
    made.scanner.act = lambda parts: Scan(findings=(finding(),), scanned_bytes=10)
    before = counted()
    result = await made.gate.clear(ours())
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
    result = await made.gate.clear(ours())
    assert isinstance(result, Clearance)
    target = Here().match(selftest.HOST, 443)
    await made.gate.outcome(Outcome(exchange_id=ours().id, forwarded=False, target=target, ts_received=1, ts_end=2))
    assert [r.record_type for r in made.ledger.records] == [RecordType.CONTROL]
    made.ledger.error = OSError("disk")
    assert isinstance(await made.gate.clear(ours()), Refusal)


@pytest.mark.parametrize(
    "headers",
    [
        (),
        ((selftest.HEADER, ""),),
        ((selftest.HEADER, SECRET[:-1]),),
        ((selftest.HEADER, SECRET + "0"),),
        ((selftest.HEADER, SECRET.upper()),),
        ((selftest.HEADER, SECRET), (selftest.HEADER, SECRET)),
        ((selftest.HEADER, "\xff" * 64),),
        ((selftest.HEADER, "\udcff" * 64),),
        (("authorization", SECRET),),
    ],
)
async def test_nobody_else_leaves_control_records(headers: tuple[tuple[str, str], ...]) -> None:
    """Without the secret of this start: judged, counted, recorded with sender and place, refused; and its end, too."""
    made, _ = house()
    before = counted()
    asked = exchange(host=selftest.HOST, headers=headers)
    result = await made.gate.clear(asked)
    assert isinstance(result, Refusal)
    assert (result.decision.action, result.decision.reason) == (Action.REFUSE, Reason.DESTINATION_FORBIDDEN)
    [record] = made.ledger.records
    assert (record.record_type, record.control_kind, record.host) == (RecordType.DECISION, None, selftest.HOST)
    assert (record.src_ip, record.reason_code) == (asked.client.address, str(Reason.DESTINATION_FORBIDDEN))
    assert counted() == before + 1
    target = Here().match(selftest.HOST, 443)
    await made.gate.outcome(Outcome(exchange_id=asked.id, forwarded=False, target=target, ts_received=1, ts_end=2))
    assert [r.record_type for r in made.ledger.records] == [RecordType.DECISION, RecordType.OUTCOME]
    made.scanner.act = lambda parts: Scan(findings=(finding(),), scanned_bytes=10)
    blocked = await made.gate.clear(asked)
    assert isinstance(blocked, Refusal)
    assert blocked.decision.action is Action.BLOCK, "what policy says goes first"


async def test_a_gate_without_a_secret_knows_no_self_test() -> None:
    """A worker that was handed nothing takes nobody for the supervisor, least of all one who sends nothing."""
    mark = selftest.Mark()
    assert not any(mark.on(h) for h in ((), ((selftest.HEADER, ""),), ((selftest.HEADER, SECRET),)))


def test_the_secret_is_handed_over_in_memory() -> None:
    """Every worker that starts reads the same one, whatever others have read; no two starts share one."""
    fd = selftest.handed(SECRET)
    try:
        assert [selftest.taken(os.dup(fd)) for _ in range(3)] == [SECRET] * 3
        assert str(Path(f"/proc/self/fd/{fd}").readlink()).startswith("/memfd:")
    finally:
        os.close(fd)
    assert selftest.taken(None) == ""
    assert selftest.new_secret() != SECRET
    assert len(SECRET) == 64


def test_no_two_made_up_secrets_are_alike() -> None:
    """A value that is remembered as seen before would be no test."""
    assert len({selftest.made_up_secret() for _ in range(100)}) == 100
