"""One self-test after the other: what a client of the gate sees, and what the ledger says of it.

Rules
1. One failure is tried again at once: a worker may have been killed in the middle of it. Two in a row are a failure.
2. While it fails it is repeated every few seconds, so that the appliance is ready again soon after it was repaired.
3. Nothing here raises: whatever goes wrong is a result.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import ssl
import time
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path

import msgspec

from sluice import metrics
from sluice.ledger import reader, segment
from sluice.ledger.reader import Position
from sluice.model import RecordType
from sluice.selftest import CLASS, HEADER, HOST, KIND, Told, made_up_secret

log = logging.getLogger("sluice.selftest")

ANSWER_SECONDS = 10.0
RECORD_SECONDS = 3.0
AGAIN_SECONDS = 1.0
FAILING_SECONDS = 5.0
MAX_ANSWER = 64 * 1024


class Result(StrEnum):
    """What came of a self-test. `BLOCKED` and `OBSERVED` (a rule in mode observe would have blocked it) are good."""

    BLOCKED = "blocked"
    OBSERVED = "observed"
    ALLOWED = "allowed"
    NOT_FOUND = "not_found"
    UNDECIDED = "undecided"
    UNRECORDED = "unrecorded"
    UNANSWERED = "unanswered"


GOOD = (Result.BLOCKED, Result.OBSERVED)
_WORDS = {
    Result.ALLOWED: f"no rule blocks `{CLASS}`: block it, or set `selftest.seconds = 0`",
    Result.NOT_FOUND: "the detectors did not find a made-up secret",
    Result.UNDECIDED: "a made-up secret was refused without being judged",
    Result.UNRECORDED: "the record of a made-up secret is not in the ledger",
    Result.UNANSWERED: "the proxy does not answer as it should",
}


class SelfTest:
    """Runs for as long as the appliance does. `proxy` is the listening address as (host, port), `trust` gives the CA
    certificates (PEM), `port` is one that CONNECT may name, `secret` what the workers know these requests by."""

    def __init__(
        self,
        seconds: float,
        proxy: tuple[str, int],
        ledger: Path,
        trust: Callable[[], bytes],
        on_change: Callable[[], None],
        *,
        secret: str,
        port: int = 443,
        greeting: bytes = b"",
    ) -> None:
        """`greeting`: what the proxy wants to be told first by whoever connects from this machine."""
        self._seconds = seconds
        self._proxy = proxy
        self._ledger = ledger
        self._trust = trust
        self._on_change = on_change
        self._port = port
        self._greeting = greeting
        self._mark = f"{HEADER}: {secret}\r\n"
        self.failed: Result | None = None
        """The result of the last self-test, when it failed twice."""
        self.passed_at = time.time()
        """When one passed last, or when the appliance began."""
        self.leaf_not_after: float | None = None
        """End of the certificate that a client was shown (Unix time)."""

    @property
    def missing(self) -> str | None:
        """Why the appliance is not to be called ready, in words."""
        return f"the self-test failed: {_WORDS[self.failed]}" if self.failed is not None else None

    async def run(self) -> None:
        """For ever, or not at all where it is switched off."""
        while self._seconds:
            await asyncio.sleep(self._seconds if self.failed is None else min(self._seconds, FAILING_SECONDS))
            result = await self.once()
            if result not in GOOD and self.failed is None:
                await asyncio.sleep(AGAIN_SECONDS)
                result = await self.once()
            self._tell(result)

    def _tell(self, result: Result) -> None:
        failed = None if result in GOOD else result
        if failed is not self.failed:
            if failed is not None:
                log.error("the self-test failed", extra={"facts": {"result": str(result)}})
            else:
                log.info("the self-test passes again")
            self.failed = failed
            self._on_change()
        if failed is None:
            self.passed_at = time.time()

    async def once(self) -> Result:
        """One self-test, counted."""
        began = time.perf_counter()
        try:
            async with asyncio.timeout(ANSWER_SECONDS + RECORD_SECONDS):
                result = await self._once()
        except Exception as e:  # noqa: BLE001 - whatever went wrong: a client would not have been served
            log.warning("the self-test was not answered", extra={"facts": {"error": type(e).__name__}})
            result = Result.UNANSWERED
        metrics.SELFTESTS.labels(result).inc()
        metrics.SELFTEST_SECONDS.observe(time.perf_counter() - began)
        return result

    async def _once(self) -> Result:
        before = await asyncio.to_thread(self._ends)
        async with asyncio.timeout(ANSWER_SECONDS):
            decision_id = await self._ask()
        deadline = time.monotonic() + RECORD_SECONDS
        while (told := await asyncio.to_thread(self._recorded, before, decision_id)) is None:
            if time.monotonic() > deadline:
                return Result.UNRECORDED
            await asyncio.sleep(0.1)
        return _judged(told)

    async def _ask(self) -> str:
        """Send a made-up secret as any client would; the id of the decision. Raises ValueError for another answer."""
        body = json.dumps({"model": "selftest", "messages": [{"role": "user", "content": made_up_secret()}]}).encode()
        reading, writing = await asyncio.open_connection(*self._proxy)
        try:
            place = f"{HOST}:{self._port}"
            writing.write(self._greeting)
            writing.write(f"CONNECT {place} HTTP/1.1\r\nHost: {place}\r\n{self._mark}\r\n".encode())
            if b" 200 " not in (await reading.readuntil(b"\r\n\r\n")).split(b"\r\n")[0]:
                raise ValueError("no tunnel")
            await writing.start_tls(ssl.create_default_context(cadata=self._trust().decode()), server_hostname=HOST)
            if (certificate := writing.get_extra_info("peercert")) and isinstance(end := certificate["notAfter"], str):
                self.leaf_not_after = float(ssl.cert_time_to_seconds(end))
            inside = HOST if self._port == 443 else place
            writing.write(
                f"POST /v1/chat/completions HTTP/1.1\r\nHost: {inside}\r\nContent-Type: application/json\r\n"
                f"Content-Length: {len(body)}\r\nConnection: close\r\n{self._mark}\r\n".encode()
                + body
            )
            head = (await reading.readuntil(b"\r\n\r\n"))[:MAX_ANSWER].decode("latin-1").split("\r\n")
            rest = b""
            while len(rest) < MAX_ANSWER and (piece := await reading.read(MAX_ANSWER)):
                rest += piece
        finally:
            writing.close()
            with contextlib.suppress(OSError, ssl.SSLError):
                await writing.wait_closed()
        for line in head[1:]:
            name, _, value = line.partition(":")
            if name.lower() == "x-sluice-decision":
                return value.strip()
        return str(json.loads(rest)["decision_id"])  # allowed: the gate has answered itself

    def _ends(self) -> dict[str, Position | None]:
        return {stream.name: reader.end(stream) for stream in segment.streams(self._ledger)}

    def _recorded(self, before: dict[str, Position | None], decision_id: str) -> Told | None:
        """What the ledger says of it, as far as it is durable."""
        for stream in segment.streams(self._ledger):
            for entry in reader.read(stream, before.get(stream.name), on_damage=lambda _: None):
                if entry.link.record_type != RecordType.CONTROL:
                    continue
                record = entry.record
                if record.control_kind == KIND and record.decision_id == decision_id and record.control_detail:
                    return msgspec.json.decode(record.control_detail, type=Told)
        return None


def _judged(told: Told) -> Result:
    if told.decision == "refuse":
        return Result.UNDECIDED
    if CLASS not in told.classes:
        return Result.NOT_FOUND
    if told.decision == "block":
        return Result.BLOCKED
    return Result.OBSERVED if told.would == "block" else Result.ALLOWED
