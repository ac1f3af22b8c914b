"""What the self-test makes of what it sees: a stub plays the gate, its records lie in a real ledger."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from sluice import ca, metrics, selftest
from sluice.config import Ca
from sluice.ledger.writer import open_stream
from sluice.model import Record, RecordType
from sluice.selftest.running import Result, SelfTest

ID = "0199aaaa-0000-7000-8000-00000000000"


class Stub:
    """Answers the self-test as told: a decision in the ledger, a status, or nothing."""

    def __init__(self, directory: Path) -> None:
        self.authority = ca.Authority.load_or_create(directory / "ca", Ca())
        self.ca_dir = directory / "ca"
        self.ledger_dir = directory / "ledger"
        self.ledger = open_stream(self.ledger_dir, node="n", slot=0, segment_bytes=1 << 20, disk_low_bytes=0)
        self.decision: dict[str, object] | None = None
        self.status = 400
        self.asked: list[bytes] = []
        self.changes = 0
        leaf = self.authority.leaf([selftest.HOST])
        pem = directory / "leaf.pem"
        private = leaf.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        pem.write_bytes(private + leaf.cert.public_bytes(Encoding.PEM))
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.context.load_cert_chain(pem)
        self.leaf_end = leaf.cert.not_valid_after_utc.timestamp()

    async def serve(self, reading: asyncio.StreamReader, writing: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, EOFError):
            await reading.readuntil(b"\r\n\r\n")
            if self.status == 0:
                writing.close()
                return
            writing.write(b"HTTP/1.1 200 OK\r\n\r\n")
            await writing.start_tls(self.context)
            await reading.readuntil(b"\r\n\r\n")
            self.asked.append(await reading.readuntil(b"]}"))
            decision_id = f"{ID}{len(self.asked)}"
            if self.decision is not None:
                told = {"would": None, "rule": "r", "reason": "R", "rulebook": "d", **self.decision}
                detail = json.dumps(told)
                await self.ledger.commit(
                    Record(
                        record_type=RecordType.CONTROL,
                        decision_id=decision_id,
                        ts_received=1,
                        control_kind=selftest.KIND,
                        control_detail=detail,
                    )
                )
            mark = f"x-sluice-decision: {decision_id}\r\n" if self.status == 400 else ""
            body = json.dumps({"decision_id": decision_id})
            writing.write(f"HTTP/1.1 {self.status} X\r\n{mark}content-length: {len(body)}\r\n\r\n{body}".encode())
            writing.close()


@pytest.fixture
async def stub(tmp_path: Path) -> AsyncIterator[tuple[Stub, SelfTest]]:
    made = Stub(tmp_path)
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    address = server.sockets[0].getsockname()

    def changed() -> None:
        made.changes += 1

    test = SelfTest(
        60.0, (address[0], address[1]), made.ledger_dir, lambda: ca.export(made.ca_dir, "pem"), changed, secret="s3cret"
    )
    yield made, test
    server.close()
    made.ledger.close()


SEEN = {
    "blocked": (400, {"decision": "block", "classes": [selftest.CLASS]}, Result.BLOCKED),
    "a rule observes": (200, {"decision": "allow", "would": "block", "classes": [selftest.CLASS]}, Result.OBSERVED),
    "no rule": (200, {"decision": "allow", "classes": [selftest.CLASS]}, Result.ALLOWED),
    "blind detectors": (200, {"decision": "allow", "classes": []}, Result.NOT_FOUND),
    "blocked for something else": (400, {"decision": "block", "classes": []}, Result.NOT_FOUND),
    "undecided": (400, {"decision": "refuse", "classes": []}, Result.UNDECIDED),
    "no answer": (0, None, Result.UNANSWERED),
}  # fmt: skip


@pytest.mark.parametrize(("status", "decision", "result"), SEEN.values(), ids=SEEN)
async def test_each_end_has_its_name(
    stub: tuple[Stub, SelfTest], status: int, decision: dict[str, object] | None, result: Result
) -> None:
    """The record in the ledger decides, not what the proxy says of itself; each end is counted."""
    gate, test = stub
    gate.status, gate.decision = status, decision
    before = metrics.SELFTESTS.labels(result).count
    assert await test.once() is result
    assert metrics.SELFTESTS.labels(result).count == before + 1
    if status:
        assert b"sk-ant-api03-" in gate.asked[0]
        assert test.leaf_not_after == gate.leaf_end


async def test_a_block_without_a_record_is_none(stub: tuple[Stub, SelfTest], monkeypatch: pytest.MonkeyPatch) -> None:
    """The proxy says blocked, and the ledger knows nothing of it."""
    monkeypatch.setattr("sluice.selftest.running.RECORD_SECONDS", 0.2)
    assert await stub[1].once() is Result.UNRECORDED


async def test_a_certificate_of_another_ca_is_no_answer(stub: tuple[Stub, SelfTest], tmp_path: Path) -> None:
    """Clients trust the site's CA alone: a proxy that shows another certificate serves none of them."""
    gate, test = stub
    ca.Authority.load_or_create(tmp_path / "other", Ca())
    gate.ca_dir = tmp_path / "other"
    assert await test.once() is Result.UNANSWERED


async def test_two_failures_are_missing_and_one_success_ends_it(
    stub: tuple[Stub, SelfTest], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One failure alone is tried again at once; two keep the appliance from being ready, in words, until one passes."""
    for name in ("AGAIN_SECONDS", "FAILING_SECONDS"):
        monkeypatch.setattr(f"sluice.selftest.running.{name}", 0.01)
    gate, test = stub
    test._seconds = 0.01
    gate.decision = {"decision": "allow", "classes": [selftest.CLASS]}
    gate.status = 200
    running = asyncio.create_task(test.run())
    await _until(lambda: test.missing is not None)
    assert test.missing is not None
    assert "no rule blocks `secret.ai-key`" in test.missing
    assert len(gate.asked) >= 2
    gate.decision, gate.status = {"decision": "block", "classes": [selftest.CLASS]}, 400
    await _until(lambda: test.missing is None)
    assert gate.changes == 2
    running.cancel()


async def test_it_can_be_switched_off() -> None:
    """`selftest.seconds = 0`: nothing is sent, nothing is missing."""
    test = SelfTest(0, ("127.0.0.1", 1), Path("/nonexistent"), bytes, lambda: None, secret="s3cret")
    await asyncio.wait_for(test.run(), 5)
    assert test.missing is None


async def _until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not true():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.01)


def test_the_address_leads_nowhere() -> None:
    """Without the gate in between the name does not exist."""
    with pytest.raises(socket.gaierror):
        socket.getaddrinfo(selftest.HOST, 443)
