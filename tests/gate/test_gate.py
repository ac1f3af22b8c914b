"""The gate keeps its one promise: no clearance without a durable allow, whatever fails and wherever."""

from __future__ import annotations

import asyncio
import copy
import dataclasses
import threading
import time
from collections.abc import Callable

import pytest

from sluice import recording
from sluice.config import Limits, Settings
from sluice.errors import Cause, Reason, Unavailable
from sluice.gate import Gate, inspect
from sluice.identity import Resolver
from sluice.model import (
    Action,
    Clearance,
    Client,
    Credential,
    Decision,
    Exchange,
    Facts,
    Finding,
    Mode,
    Outcome,
    Part,
    Provenance,
    RawCredential,
    Receipt,
    Record,
    RecordType,
    Refusal,
    Rulebook,
    Scan,
    Severity,
    Status,
    Target,
)

TARGET = Target(
    row="openai-api",
    provider="openai",
    product="api",
    kind="api",
    dialect="openai",
    status=Status.UNREVIEWED,
    mode=Mode.ENFORCE,
    host="api.openai.com",
)
BODY = b'{"model":"gpt-5.5","messages":[{"role":"user","content":"hello there"}]}'


class Memory:
    """A ledger in memory that can be told to fail, to hang, or to be slow."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.error: Exception | None = None
        self.hang = False

    async def commit(self, record: Record) -> Receipt:
        if self.hang:
            await asyncio.sleep(3600)
        if self.error:
            raise self.error
        self.records.append(record)
        return Receipt(node="n", epoch=1, seq=len(self.records), leaf_hash=b"", durable_at=1)

    async def note(self, record: Record) -> Receipt:
        return await self.commit(record)


class Scanner:
    """A scanner that does what the test says."""

    digest = "d" * 64
    versions = "test"
    key_id = "k1"

    def __init__(self, act: Callable[[tuple[Part, ...]], Scan] | None = None) -> None:
        self.act = act
        self.threads: list[str] = []
        self.pointers: list[str] = []

    def scan(self, parts: tuple[Part, ...]) -> Scan:
        self.pointers += [p.pointer for p in parts]
        self.threads.append(threading.current_thread().name)
        size = sum(len(p.text) for p in parts)
        return self.act(parts) if self.act else Scan(findings=(), scanned_bytes=size)

    def seal_credential(self, raw: RawCredential, provider: str | None = None) -> Credential:
        return Credential(raw.location, "unknown", "f" * 32, "hint")

    def fingerprint(self, purpose: str, value: str | bytes) -> str:
        return f"{purpose}:{len(value)}"


class Rules:
    """A policy that blocks when there are findings; its failure table is a plain dict."""

    id = "p"
    version = "1"
    digest = "e" * 64

    def __init__(self) -> None:
        self.open: set[str] = {Cause.PARTIAL_INSPECTION}
        self.error: Exception | None = None

    def decide(self, facts: Facts) -> Decision:
        if self.error:
            raise self.error
        if facts.findings:
            classes = tuple(f.data_class for f in facts.findings)
            return Decision(action=Action.BLOCK, reason=Reason.SECRET_FOUND, rule="secrets", classes=classes)
        return Decision(action=Action.ALLOW, reason=Reason.NO_FINDINGS, rule="default")

    def on_failure(self, cause: str, target: Target | None, at: int) -> Decision:
        if self.error:
            raise self.error
        action = Action.ALLOW if cause in self.open else Action.REFUSE
        return Decision(action=action, reason=cause.upper(), rule=f"failure.{cause}", cause=cause)


class Table:
    """One AI host."""

    digest = "t" * 64

    def match(self, host: str, port: int, path: str = "/") -> Target | None:
        return TARGET if host == "api.openai.com" else None

    def decrypts(self, host: str, port: int = 443) -> bool:
        return host == "api.openai.com"


def finding() -> Finding:
    return Finding(
        detector="cloud.aws-key",
        rev=1,
        data_class="secret.cloud",
        severity=Severity.CRITICAL,
        pointer="/messages/0/content",
        start=0,
        end=5,
        validated=True,
        confidence=0.9,
        fingerprint="ab" * 16,
        provenance=Provenance.USER,
    )


@dataclasses.dataclass
class House:
    gate: Gate
    ledger: Memory
    scanner: Scanner
    rules: Rules
    rulebook: Rulebook


@pytest.fixture
def house() -> House:
    return build()


def build(**limits: float) -> House:
    settings = Settings(limits=Limits(**limits))  # type: ignore[arg-type]
    scanner, rules, ledger = Scanner(), Rules(), Memory()
    rulebook = Rulebook(targets=Table(), detectors=scanner, policy=rules, digest="r" * 64, loaded_at=0)
    gate = Gate(settings, rulebook, ledger, Resolver.load(settings))
    return House(gate, ledger, scanner, rules, rulebook)


def exchange(body: bytes = BODY, host: str = "api.openai.com", **more: object) -> Exchange:
    fields: dict[str, object] = {
        "id": "0199aaaa-0000-7000-8000-000000000001",
        "at": 1_700_000_000_000_000_000,
        "client": Client("127.0.0.1", 5000),
        "method": "POST",
        "scheme": "https",
        "host": host,
        "port": 443,
        "path": "/v1/chat/completions",
        "headers": (("content-type", "application/json"), ("authorization", "Bearer k")),
        "body": body,
    }
    return Exchange(**(fields | more))  # type: ignore[arg-type]


PROXY_REFUSES = {
    "BAD_REQUEST": Cause.BAD_REQUEST,
    "TRAILERS": Cause.BAD_REQUEST,
    "UPGRADE": Cause.BAD_REQUEST,
    "DESTINATION_FORBIDDEN": Cause.DESTINATION,
    "HOST_MISMATCH": Cause.HOST_MISMATCH,
    "NON_HTTP": Cause.NON_HTTP,
    "NO_SNI": Cause.NO_SNI,
    "WEBSOCKET": Cause.WEBSOCKET,
}


async def test_allow_is_cleared_only_with_its_receipt(house: House) -> None:
    """A clearance names its exchange and carries the receipt of a durable allow record."""
    result = await house.gate.clear(exchange())
    assert isinstance(result, Clearance)
    assert result.exchange_id == exchange().id
    assert result.receipt.seq == 1
    [record] = house.ledger.records
    assert (record.record_type, record.decision, record.reason_code) == (RecordType.DECISION, "allow", "NO_FINDINGS")


async def test_block_is_recorded_before_it_is_told(house: House) -> None:
    """A block by rule is a refusal with a receipt, and the record names rule, class and fingerprint."""
    house.scanner.act = lambda parts: Scan(findings=(finding(),), scanned_bytes=10)
    result = await house.gate.clear(exchange())
    assert isinstance(result, Refusal)
    assert result.receipt is not None
    [record] = house.ledger.records
    assert (record.decision, record.rule_id, record.data_classes) == ("block", "secrets", ("secret.cloud",))
    assert record.matches is not None
    assert record.matches[0].fingerprint == "ab" * 16


async def test_what_is_acted_on_is_counted(house: House) -> None:
    """Each answer that rests on a receipt is counted once, an allow as well as a block; one without is not."""
    counted: list[int] = []
    gate = Gate(Settings(), house.rulebook, house.ledger, Resolver.load(Settings()), acted=lambda: counted.append(1))
    assert isinstance(await gate.clear(exchange()), Clearance)
    house.scanner.act = lambda parts: Scan(findings=(finding(),), scanned_bytes=10)
    assert isinstance(await gate.clear(exchange()), Refusal)
    assert len(counted) == len(house.ledger.records) == 2
    house.ledger.commit = fails  # type: ignore[method-assign]
    assert isinstance(await gate.clear(exchange()), Refusal)
    assert len(counted) == 2


async def test_evidence_that_does_not_get_on_can_stop_ai_traffic(house: House) -> None:
    """While records wait too long, an AI request that policy allows is refused, and recorded with why."""
    house.gate.withheld = "records wait unsealed for more than 5 minutes"
    result = await house.gate.clear(exchange())
    assert isinstance(result, Refusal)
    assert result.receipt is not None
    [record] = house.ledger.records
    assert (record.decision, record.reason_code) == ("refuse", "AUDIT_UNAVAILABLE")
    assert record.reason_detail == "records wait unsealed for more than 5 minutes"
    house.gate.withheld = ""
    assert isinstance(await house.gate.clear(exchange()), Clearance)


async def fails(_: Record) -> Receipt:
    raise Unavailable(Cause.AUDIT_UNAVAILABLE, "the disk")


async def test_scanner_that_raises_never_clears(house: House) -> None:
    """A thousand scanner faults give a thousand refusals, each recorded as scan_error (T01 at the gate)."""

    def boom(parts: tuple[Part, ...]) -> Scan:
        raise RuntimeError("4111 1111 1111 1111")

    house.scanner.act = boom
    results = [await house.gate.clear(exchange()) for _ in range(1000)]
    assert all(isinstance(r, Refusal) for r in results)
    assert {r.reason_code for r in house.ledger.records} == {"SCAN_ERROR"}
    assert len(house.ledger.records) == 1000


@pytest.mark.parametrize("error", [RuntimeError("x"), MemoryError(), RecursionError(), KeyError("k"), TimeoutError()])
async def test_policy_that_raises_never_clears(house: House, error: Exception) -> None:
    """When policy itself fails, and its failure table with it, the answer is still no."""
    house.rules.error = error
    result = await house.gate.clear(exchange())
    assert isinstance(result, Refusal)
    assert result.decision.action is Action.REFUSE


async def test_ledger_that_fails_never_clears(house: House) -> None:
    """No durable record, no clearance, and the refusal says AUDIT_UNAVAILABLE without a receipt."""
    house.ledger.error = Unavailable(Cause.AUDIT_UNAVAILABLE)
    result = await house.gate.clear(exchange())
    assert isinstance(result, Refusal)
    assert (result.decision.reason, result.receipt) == (Reason.AUDIT_UNAVAILABLE, None)


async def test_ledger_that_hangs_never_clears() -> None:
    """A commit past its deadline is a refusal, not a wait without end."""
    house = build(commit_seconds=0.05)
    house.ledger.hang = True
    result = await house.gate.clear(exchange())
    assert isinstance(result, Refusal)
    assert result.decision.cause == Cause.AUDIT_UNAVAILABLE


async def test_large_body_that_scans_too_long_is_refused() -> None:
    """A scan past its deadline ends in SCAN_TIMEOUT while the event loop stays free."""
    house = build(offload_bytes=10, scan_seconds=0.1)
    release = threading.Event()

    def slow(parts: tuple[Part, ...]) -> Scan:
        release.wait(5)
        return Scan(findings=(), scanned_bytes=0)

    house.scanner.act = slow
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            ticks += 1
            await asyncio.sleep(0.005)

    ticking = asyncio.create_task(tick())
    result = await house.gate.clear(exchange())
    ticking.cancel()
    release.set()
    assert isinstance(result, Refusal)
    assert result.decision.cause == Cause.SCAN_TIMEOUT
    assert ticks > 3


async def test_large_bodies_leave_the_event_loop() -> None:
    """Bodies above the limit are scanned in a thread of the pool, small ones where they are."""
    house = build(offload_bytes=len(BODY))
    await house.gate.clear(exchange())
    await house.gate.clear(exchange(BODY + b" " * 10))
    assert house.scanner.threads[0] == threading.main_thread().name
    assert house.scanner.threads[1].startswith("scan")


async def test_cancelled_request_is_not_cleared(house: House) -> None:
    """Cancellation comes out as cancellation: nothing is returned that could be taken for a clearance."""
    house.ledger.hang = True
    task = asyncio.create_task(house.gate.clear(exchange()))
    await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_operator_may_open_a_cause_and_it_is_counted(house: House) -> None:
    """A row of the failure table may allow; the record then says fail_mode open and which cause."""
    house.rules.open.add(Cause.SCAN_ERROR)

    def boom(parts: tuple[Part, ...]) -> Scan:
        raise RuntimeError("x")

    house.scanner.act = boom
    result = await house.gate.clear(exchange())
    assert isinstance(result, Clearance)
    assert house.ledger.records[0].fail_mode == "open"
    assert house.ledger.records[0].inspection_status == "none"


@pytest.mark.parametrize(
    ("encoding", "body"),
    [("gzip", b"\x1f\x8b\x08\x00broken"), ("bz2", b"BZh"), ("gzip, gzip, gzip", b""), ("x", BODY)],
)
async def test_body_that_cannot_be_read_is_refused(house: House, encoding: str, body: bytes) -> None:
    """An undecodable body is refused even though no detector found anything in it."""
    headers = (("content-type", "application/json"), ("content-encoding", encoding))
    result = await house.gate.clear(exchange(body, headers=headers))
    assert isinstance(result, Refusal)
    assert result.decision.action is Action.REFUSE
    assert house.ledger.records[0].inspection_status == "none"


async def test_findings_outrank_an_unread_rest(house: House) -> None:
    """A rule that blocks wins over the failure table: the record names the rule, not the opaque remainder."""
    house.scanner.act = lambda parts: Scan(findings=(finding(),), scanned_bytes=10)
    result = await house.gate.clear(exchange(headers=(("content-encoding", "bz2"),)))
    assert isinstance(result, Refusal)
    assert result.decision.action is Action.BLOCK


async def test_request_outside_the_table_is_a_recorded_bypass(house: House) -> None:
    """A path that is no AI destination passes, with a bypass record; only the record's own labels are scanned."""
    result = await house.gate.clear(exchange(host="example.org"))
    assert isinstance(result, Clearance)
    assert house.ledger.records[0].record_type is RecordType.BYPASS
    assert house.scanner.pointers == [recording.LABELS]


async def test_refuse_records_what_the_proxy_decided(house: House) -> None:
    """A refusal by the proxy itself carries its reason into the ledger and can never be a clearance."""
    result = await house.gate.refuse(exchange(), Reason.WEBSOCKET, Cause.WEBSOCKET, "upgrade")
    assert isinstance(result, Refusal)
    assert house.ledger.records[0].reason_code == "WEBSOCKET"


@pytest.mark.parametrize("reason", [r for r in Reason if r.name in PROXY_REFUSES])
async def test_what_a_client_did_wrong_is_no_fault_of_ours(house: House, reason: Reason) -> None:
    """A refusal that any client can bring about never has the cause `internal`, which calls an operator."""
    result = await house.gate.refuse(exchange(), reason)
    assert result.decision.cause == PROXY_REFUSES[reason.name]
    fault = await house.gate.refuse(exchange(), Reason.INTERNAL)
    assert fault.decision.cause == Cause.INTERNAL


async def test_tunnel_needs_its_record_too(house: House) -> None:
    """An opaque tunnel is cleared by a durable bypass record and refused without one."""
    assert isinstance(await house.gate.bypass(exchange(b"", host="example.org"), "tunnel"), Clearance)
    house.ledger.error = Unavailable(Cause.AUDIT_UNAVAILABLE)
    assert isinstance(await house.gate.bypass(exchange(b"", host="example.org"), "tunnel"), Refusal)


async def test_outcome_failure_is_contained(house: House) -> None:
    """A failing outcome record raises nothing into the response path."""
    house.ledger.error = Unavailable(Cause.AUDIT_UNAVAILABLE)
    await house.gate.outcome(Outcome(exchange_id="x", forwarded=True))
    assert house.ledger.records == []


def test_inspection_replays(house: House) -> None:
    """The same exchange and rulebook give the same decision every time."""
    resolver = Resolver.load(Settings())
    one = inspect(exchange(), house.rulebook, Limits(), resolver, clock=time.time_ns)
    two = inspect(exchange(), house.rulebook, Limits(), resolver, clock=time.time_ns)
    assert (one.decision, one.prompt, one.scan) == (two.decision, two.prompt, two.scan)


def test_what_has_ended_is_held_against_the_time_of_the_request(house: House) -> None:
    """An expired token weighs less at the request's own time, so that a replay tomorrow says what was said today."""
    end = exchange().at // 10**9 - 10 * 86_400
    ended, alive = (copy.replace(finding(), expires=end + days * 86_400) for days in (0, 20))
    house.scanner.act = lambda _: Scan(findings=(ended, alive), scanned_bytes=1)
    scan = inspect(exchange(), house.rulebook, Limits(), Resolver.load(Settings()), clock=lambda: 10**19).scan
    assert scan is not None
    assert [f.severity.rank for f in scan.findings] == [Severity.HIGH.rank, Severity.CRITICAL.rank]


async def test_swap_takes_effect_whole(house: House) -> None:
    """After a swap the record names the new rulebook."""
    await house.gate.clear(exchange())
    house.gate.swap(copy.replace(house.rulebook, digest="s" * 64))
    await house.gate.clear(exchange())
    assert [r.rulebook_digest for r in house.ledger.records] == ["r" * 64, "s" * 64]


@pytest.mark.parametrize(
    "hostile", ["a\nb", "\x1b[31m", "\u202eevil", "x" * 10_000, "\ud800", "=cmd|' /C calc'!A0", "\x00"]
)
async def test_client_chosen_text_is_clipped(house: House, hostile: str) -> None:
    """Control and direction characters, lone surrogates and length never reach a record."""
    body = BODY.replace(b"gpt-5.5", hostile.encode("unicode_escape").replace(b'"', b"").replace(b"\\x", b"\\u00"))
    await house.gate.clear(exchange(body, headers=(("user-agent", hostile),)))
    [record] = house.ledger.records
    for text in (record.user_agent, record.model_requested):
        assert text is None or (len(text) <= recording.MAX_TEXT and text.isprintable())


async def test_a_secret_in_a_label_is_not_kept(house: House) -> None:
    """A value found in model, tool or User-Agent blocks like any other, and the record keeps none of these texts."""

    def act(parts: tuple[Part, ...]) -> Scan:
        found = tuple(copy.replace(finding(), pointer=p.pointer) for p in parts if p.pointer == recording.LABELS)
        return Scan(findings=found, scanned_bytes=1)

    house.scanner.act = act
    body = b'{"model":"m-secret","tools":[{"type":"function","function":{"name":"t-secret"}}],"messages":[]}'
    result = await house.gate.clear(exchange(body, headers=(("user-agent", "ua-secret"),)))
    assert isinstance(result, Refusal)
    [record] = house.ledger.records
    assert record.decision == "block"
    assert record.model_requested == recording.WITHHELD
    assert "secret" not in repr(record).replace("secret.cloud", "").replace("secrets", "")


async def test_labels_that_cannot_be_scanned_are_not_kept(house: House) -> None:
    """When detection itself fails, a record keeps no text of the client's choosing."""

    def boom(parts: tuple[Part, ...]) -> Scan:
        raise RuntimeError("x")

    house.scanner.act = boom
    await house.gate.clear(exchange(headers=(("user-agent", "ua"),)))
    await house.gate.bypass(exchange(b"", host="ghp-secret.example"), "tunnel")
    assert [r.host for r in house.ledger.records] == [recording.WITHHELD] * 2
    assert house.ledger.records[0].user_agent == recording.WITHHELD


@pytest.mark.parametrize(("keep", "stored"), [("full", "10.1.2.3"), ("truncated", "10.1.2.0"), ("none", None)])
def test_address_is_kept_as_the_site_wants(keep: str, stored: str | None) -> None:
    """`evidence.address` decides how much of a client address a record keeps."""
    assert recording.address("10.1.2.3", keep) == stored
