"""A gate without rules: it answers as the test tells it, with records in a list instead of a ledger."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from sluice import targets
from sluice.config import Settings, signatures_dir
from sluice.errors import Cause, Reason
from sluice.identity import Resolver
from sluice.model import (
    Action,
    Clearance,
    Decision,
    Destinations,
    Exchange,
    Mode,
    Outcome,
    Receipt,
    Refusal,
)
from sluice.selftest import Mark

SELFTEST = "of the tests"
ALLOW = Decision(action=Action.ALLOW, reason=Reason.NO_FINDINGS, rule="test")
BLOCK = Decision(action=Action.BLOCK, reason=Reason.SECRET_FOUND, rule="test", classes=("secret.cloud",))

type Verdict = Clearance | Refusal


@dataclass(frozen=True, slots=True)
class Asked:
    """One question that the proxy put to the gate. `kind`: clear, refuse or bypass."""

    kind: str
    exchange: Exchange
    reason: Reason | None = None
    cause: Cause | None = None
    detail: str = ""


_SHIPPED: list[Destinations] = []


def shipped_targets() -> Destinations:
    """The destination table that ships, loaded once."""
    if not _SHIPPED:
        _SHIPPED.append(targets.load(signatures_dir() / "targets.toml"))
    return _SHIPPED[0]


class ObedientGate:
    """Stands in for `sluice.gate.Gate`. `decide(exchange)` may return a verdict, an awaitable of one, or raise.

    Everything asked is in `asked`, every outcome in `outcomes`, in order; `refuse_fails` and `bypass_fails` make those
    two raise or refuse. A `bypass` and a `clear` are allowed by default.
    """

    def __init__(self, decide: Callable[[ObedientGate, Exchange], Verdict | Awaitable[Verdict]] | None = None) -> None:
        self.decide = decide or _allow
        self.rulebook: Any = SimpleNamespace(targets=shipped_targets(), digest="test", tenants={})
        self.resolver = Resolver.load(Settings())
        self.mark = Mark(SELFTEST)
        self.refuse_fails: BaseException | None = None
        self.bypass_refuses = False
        self._lock = threading.Condition()
        self._asked: list[Asked] = []
        self._outcomes: list[Outcome] = []
        self._earlier: set[str] = set()
        """Exchanges of before the last `reset`: their outcomes may come late and are another test's."""
        self._seq = 0

    # what a test says

    def allow(self, exchange: Exchange) -> Clearance:
        return Clearance(exchange_id=exchange.id, decision=ALLOW, receipt=self.receipt())

    def block(self, exchange: Exchange) -> Refusal:
        target = self.rulebook.targets.match(exchange.host, exchange.port, exchange.path)
        return Refusal(exchange_id=exchange.id, decision=BLOCK, target=target, receipt=self.receipt())

    def receipt(self) -> Receipt:
        self._seq += 1
        return Receipt(node="test", epoch=1, seq=self._seq, leaf_hash=b"", durable_at=1)

    # what a test reads

    @property
    def asked(self) -> tuple[Asked, ...]:
        with self._lock:
            return tuple(self._asked)

    @property
    def outcomes(self) -> tuple[Outcome, ...]:
        with self._lock:
            return tuple(self._outcomes)

    def refusals(self, reason: Reason | None = None) -> tuple[Asked, ...]:
        return tuple(a for a in self.asked if a.kind == "refuse" and reason in (None, a.reason))

    def wait_outcomes(self, count: int, timeout: float = 10.0) -> tuple[Outcome, ...]:
        """The outcomes, once there are `count` of them. Fails the test when they do not come."""
        with self._lock:
            done = self._lock.wait_for(lambda: len(self._outcomes) >= count, timeout)
            assert done, f"{len(self._outcomes)} outcomes instead of {count}"
            return tuple(self._outcomes)

    def reset(self) -> None:
        """As new: allows everything, remembers nothing."""
        with self._lock:
            self._earlier.update(a.exchange.id for a in self._asked)
            self._asked.clear()
            self._outcomes.clear()
            self.decide = _allow
            self.refuse_fails = None
            self.bypass_refuses = False

    # what the proxy calls

    async def clear(self, exchange: Exchange) -> Verdict:
        self._note(Asked("clear", exchange))
        verdict = self.decide(self, exchange)
        return verdict if isinstance(verdict, Clearance | Refusal) else await verdict

    async def refuse(self, exchange: Exchange, reason: Reason, cause: Cause | None = None, detail: str = "") -> Refusal:
        self._note(Asked("refuse", exchange, reason, cause, detail))
        if self.refuse_fails is not None:
            raise self.refuse_fails
        try:
            target = self.rulebook.targets.match(exchange.host, exchange.port, exchange.path)
        except ValueError:
            target = None
        decision = Decision(
            action=Action.REFUSE, reason=reason, rule="gate", cause=cause or Cause.INTERNAL, detail=detail
        )
        return Refusal(exchange_id=exchange.id, decision=decision, target=target, receipt=self.receipt())

    async def bypass(self, exchange: Exchange, detail: str) -> Verdict:
        self._note(Asked("bypass", exchange, detail=detail))
        if self.bypass_refuses:
            decision = Decision(action=Action.REFUSE, reason=Reason.AUDIT_UNAVAILABLE, rule="gate")
            return Refusal(exchange_id=exchange.id, decision=decision, target=None, receipt=None)
        decision = Decision(action=Action.ALLOW, reason=Reason.NOT_AI, rule="not-ai", mode=Mode.PASS)
        return Clearance(exchange_id=exchange.id, decision=decision, receipt=self.receipt())

    async def outcome(self, outcome: Outcome) -> None:
        with self._lock:
            if outcome.exchange_id not in self._earlier:
                self._outcomes.append(outcome)
                self._lock.notify_all()

    def _note(self, asked: Asked) -> None:
        with self._lock:
            self._asked.append(asked)


def _allow(gate: ObedientGate, exchange: Exchange) -> Verdict:
    return gate.allow(exchange)


async def hang() -> Verdict:
    """A verdict that never comes."""
    await asyncio.Event().wait()
    raise AssertionError("unreachable")
