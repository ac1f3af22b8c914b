"""The gate: one request in, one durable decision out. This page is the whole of "no evidence, no egress".

`inspect` is the pure pipeline (match, identify, decode, parse, scan, decide): same exchange, same rulebook, same
decision, wherever it runs; `sluice explain` calls it too. `Gate.clear` puts a deadline around it, takes large bodies
off the event loop, commits the record, and only then makes a `Clearance`: nothing else in the program can make one,
and `addons.guard` forwards nothing without one.

Whatever goes wrong here ends in a `Refusal`. There is one place where an undecided request may pass: the operator's
own row in the policy's failure table, for causes that an attacker cannot provoke; it is counted as fail-open.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from copy import replace
from functools import partial

from sluice import authentication, decode, dialects, metrics, recording, selftest
from sluice.config import Limits, Settings
from sluice.deadline import Deadline
from sluice.detect import expiry
from sluice.errors import Cause, Opacity, Reason, Unavailable
from sluice.identity import Resolver
from sluice.keyuse import NO_KEYS, KnownKeys
from sluice.model import (
    Action,
    Assurance,
    Clearance,
    Completeness,
    Coverage,
    Decision,
    Exchange,
    Facts,
    Finding,
    Ledger,
    Mode,
    Outcome,
    Ownership,
    Payload,
    Prompt,
    RecordType,
    Refusal,
    Rulebook,
    Scan,
    Subject,
    Target,
)
from sluice.policy import cause_of
from sluice.recording import Inspection, Timings
from sluice.subjects import Subjects

log = logging.getLogger("sluice.gate")

_TESTS = 16
"""Self-tests remembered until their end; the supervisor makes one after the other."""
_SCAN_THREADS = 2
"""Scanning releases the GIL, so a second thread uses the second core; more would only queue in the kernel."""

# Finding the series of a set of labels takes longer than counting in it.
_RESPONSES = {n: metrics.UPSTREAM_RESPONSES.labels(f"{n}xx") for n in range(1, 6)}
_OTHER_RESPONSES = metrics.UPSTREAM_RESPONSES.labels("other")
_ADDED = metrics.ADDED_SECONDS.labels()
_BODY_BYTES, _INSPECTED_BYTES = metrics.REQUEST_BYTES.labels(), metrics.INSPECTED_BYTES.labels()
_STAGES = tuple(metrics.STAGE_SECONDS.labels(stage) for stage in metrics.STAGES)

_REASON_OF = {
    Cause.SCAN_ERROR: Reason.SCAN_ERROR,
    Cause.SCAN_TIMEOUT: Reason.SCAN_TIMEOUT,
    Cause.AUDIT_UNAVAILABLE: Reason.AUDIT_UNAVAILABLE,
    Cause.OVERLOAD: Reason.OVERLOAD,
    Cause.INTERNAL: Reason.INTERNAL,
}
_CAUSE_OF = {
    Reason.DESTINATION_FORBIDDEN: Cause.DESTINATION,
    Reason.TRAILERS: Cause.BAD_REQUEST,
    Reason.UPGRADE: Cause.BAD_REQUEST,
    Reason.IDENTITY_MISSING: Cause.BAD_REQUEST,
    Reason.IDENTITY_EXPIRED: Cause.BAD_REQUEST,
    Reason.UPSTREAM_TLS: Cause.UPSTREAM_TLS_ERROR,
}
"""What a client did wrong is never counted as a fault of ours. Every other reason has the cause of its own name."""


REQUIRE = "identity.require"
"""Stands as the rule where that setting has decided."""
STALE = "identity_files"
"""Stands among the missing dependencies while a changed identity file cannot be read."""


def inspect(
    exchange: Exchange,
    rulebook: Rulebook,
    limits: Limits,
    resolver: Resolver,
    clock: Callable[[], int] = time.time_ns,
    tick: Callable[[], int] = time.perf_counter_ns,
    keys: KnownKeys = NO_KEYS,
) -> Inspection:
    """Everything up to the decision, without side effects. `clock` gives nanoseconds since the epoch, `tick` those of
    a clock that nobody sets.

    Runs on the event loop for small bodies and in a thread for large ones. May raise whatever a room raises; the
    caller turns that into a refusal.
    """
    began = tick()
    wall = clock() - began  # the clock may be set meanwhile; durations must not know
    target = rulebook.targets.match(exchange.host, exchange.port, exchange.path)
    if target is None:
        return Inspection(target=None, decision=Decision(action=Action.ALLOW, reason=Reason.NOT_AI, rule="not-ai"))
    subject = resolver.resolve(exchange)
    ownership: Ownership | None = None
    t0 = tick()
    payload = decode.open_body(exchange.body, exchange.headers, limits, time.thread_time)
    t1 = tick()
    prompt = dialects.parse(target, exchange, payload, limits)
    t2 = tick()
    labels = recording.labels(exchange, prompt, payload)
    scan = rulebook.detectors.scan((*prompt.parts, *authentication.parts(prompt), labels))
    withhold = recording.tells(scan.findings)
    if scan.findings:
        findings = expiry.aged(authentication.leaks(_once(scan.findings), target), exchange.at)
        if rulebook.suppressions is not None:
            findings = rulebook.suppressions.mark(findings, target, subject, prompt.route, exchange.at)
        scan = replace(scan, findings=findings)
    first = prompt.credentials[0] if prompt.credentials else None
    credential = rulebook.detectors.seal_credential(first, target.provider) if first else None
    if credential is not None:
        subject = resolver.by_key(subject, credential, target.provider, exchange.at)
        ownership = keys.ownership(resolver.owners, credential, target.provider, exchange.at)
    if scan.findings and (marked := keys.marked(scan.findings)) is not scan.findings:
        scan = replace(scan, findings=marked)
    t3 = tick()
    coverage = measure(payload, prompt, scan)
    agents: tuple[str, ...] = ()
    if rulebook.agents is not None:
        agents = rulebook.agents.names(prompt.agent, subject.id, credential.fingerprint if credential else None)
    facts = Facts(
        target=target,
        subject=subject,
        method=exchange.method,
        path=exchange.path,
        operation=prompt.operation,
        model=prompt.model,
        agent=prompt.agent,
        tools=prompt.tools,
        client_address=exchange.client.address,
        findings=counting(scan.findings),
        coverage=coverage,
        credential=credential,
        ownership=ownership,
        at=exchange.at,
        agents=agents,
    )
    decision = known_sender(decide(rulebook, facts, payload, prompt, scan), subject, resolver)
    t4 = tick()
    timings = Timings(
        identity_done=(wall + t0) // 1000,
        scan_done=(wall + t3) // 1000,
        decided=(wall + t4) // 1000,
        identity_us=(t0 - began) // 1000,
        decode_us=(t1 - t0) // 1000,
        parse_us=(t2 - t1) // 1000,
        scan_us=(t3 - t2) // 1000,
        decide_us=(t4 - t3) // 1000,
    )
    return Inspection(
        target, decision, subject, payload, prompt, scan, coverage, credential, timings, withhold, ownership
    )


def known_sender(decision: Decision, subject: Subject, resolver: Resolver) -> Decision:
    """What `identity.require` makes of a decision, and a note where the identity files are not the newest."""
    if resolver.stale:
        decision = replace(decision, degraded=(*decision.degraded, STALE))
    if not resolver.required or subject.assurance is not Assurance.NONE or decision.action is not Action.ALLOW:
        return decision
    reason = Reason.IDENTITY_EXPIRED if subject.expired else Reason.IDENTITY_MISSING
    return replace(
        decision, action=Action.BLOCK, reason=reason, rule=REQUIRE, mode=Mode.ENFORCE, would=None, cause=None
    )


def counting(findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """What policy sees: without the findings that the site has judged to be none."""
    return tuple(f for f in findings if f.suppressed is None)


def _once(findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """Findings in the request's labels count only where no part of the request had the same value already."""
    if not findings or findings[-1].pointer != recording.LABELS:
        return findings
    known = {f.fingerprint for f in findings if f.pointer != recording.LABELS}
    return tuple(f for f in findings if f.pointer != recording.LABELS or f.fingerprint not in known)


def decide(rulebook: Rulebook, facts: Facts, payload: Payload, prompt: Prompt, scan: Scan) -> Decision:
    """Policy first; then the failure table for what could not be read. A block by rule outranks an unread body."""
    decision = rulebook.policy.decide(facts)
    if decision.action is not Action.ALLOW:
        return decision
    cause = _cause(payload, prompt, scan)
    if cause is None:
        return decision
    failed = rulebook.policy.on_failure(cause, facts.target, facts.at)
    if failed.action is Action.ALLOW and cause is Cause.PARTIAL_INSPECTION:
        return decision
    return replace(failed, classes=decision.classes, rules_evaluated=decision.rules_evaluated)


def _cause(payload: Payload, prompt: Prompt, scan: Scan) -> Cause | None:
    """The worst reason for which this request was not understood as a whole; None when it was."""
    reasons = [payload.opacity] if payload.opacity else []
    reasons += [u.reason for u in prompt.unread]
    reasons += [u.reason for u in scan.unread]
    if not reasons:
        return None
    causes = [cause_of(Opacity(r)) for r in reasons]
    return next((c for c in causes if c is not None), Cause.PARTIAL_INSPECTION)


def measure(payload: Payload, prompt: Prompt, scan: Scan) -> Coverage:
    """How much of the request the detectors saw."""
    unread = prompt.unread + scan.unread
    reasons = {u.reason for u in unread}
    unread_bytes = sum(u.size for u in unread)
    if payload.opacity:
        reasons.add(payload.opacity)
        unread_bytes += payload.wire_size
    if not reasons:
        completeness = Completeness.FULL
    elif scan.scanned_bytes and not payload.opacity:
        completeness = Completeness.PARTIAL
    else:
        completeness = Completeness.NONE
    return Coverage(
        completeness=completeness,
        wire_bytes=payload.wire_size,
        decoded_bytes=len(payload.data),
        scanned_bytes=scan.scanned_bytes,
        unread_bytes=unread_bytes,
        reasons=tuple(sorted(reasons)),
    )


class Gate:
    """Decides exchanges for one worker. Used from one event loop; `swap` is an assignment and takes effect at once."""

    def __init__(
        self,
        settings: Settings,
        rulebook: Rulebook,
        ledger: Ledger,
        resolver: Resolver,
        *,
        clock: Callable[[], int] = time.time_ns,
        keys: KnownKeys | None = None,
        subjects: Subjects | None = None,
        acted: Callable[[], None] = lambda: None,
        mark: selftest.Mark | None = None,
    ) -> None:
        """`acted` is told of each decision that has a receipt and is acted on: counted apart from the ledger. `mark`
        knows the requests of the self-test."""
        self._limits = settings.limits
        self._commit_deadline = Deadline(settings.limits.commit_seconds)
        self._evidence = settings.evidence
        self._rulebook = rulebook
        self._ledger = ledger
        self._resolver = resolver
        self._clock = clock
        self._names = recording.Names()
        self._keys = keys or KnownKeys()
        self._subjects = subjects
        self._acted = acted
        self._organisations = frozenset(settings.identity.organisations)
        self.mark = mark or selftest.Mark()
        self._tests: deque[str] = deque(maxlen=_TESTS)
        """Self-tests under way."""
        self.withheld = ""
        """Why nothing is allowed to an AI service now, although it can be decided and recorded; empty = nothing is."""
        self._pool = ThreadPoolExecutor(_SCAN_THREADS, thread_name_prefix="scan")
        metrics.RULEBOOK_LOADED.set(rulebook.loaded_at / 1e9)

    @property
    def rulebook(self) -> Rulebook:
        return self._rulebook

    @property
    def resolver(self) -> Resolver:
        return self._resolver

    def swap(self, rulebook: Rulebook) -> None:
        """Put a new rulebook in force, whole. Requests in inspection finish with the one they started with."""
        self._rulebook = rulebook
        metrics.RULEBOOK_LOADED.set(rulebook.loaded_at / 1e9)

    def know(self, resolver: Resolver) -> None:
        """Put new identity files in force, whole."""
        self._resolver = resolver

    def close(self) -> None:
        """Let the scanning threads end."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def clear(self, exchange: Exchange) -> Clearance | Refusal:
        """Decide one complete request. Raises nothing but `CancelledError`; a clearance means a durable allow."""
        rulebook = self._rulebook
        started = time.perf_counter()
        try:
            seen = await self._inspect(exchange, rulebook)
        except TimeoutError:
            seen = self._undecided(exchange, rulebook, Cause.SCAN_TIMEOUT)
        except Unavailable as e:
            seen = self._undecided(exchange, rulebook, e.cause)
        except Exception as e:  # noqa: BLE001 - any fault of any room ends in the failure table, never in a forward
            log.error("inspection failed", extra={"facts": {"error": type(e).__name__, "decision_id": exchange.id}})
            seen = self._undecided(exchange, rulebook, Cause.SCAN_ERROR)
        kind, detail = RecordType.DECISION if seen.target else RecordType.BYPASS, ""
        if seen.target is not None and seen.target.row == selftest.ROW:
            if self.mark.on(exchange.headers):
                kind = RecordType.CONTROL
                self._tests.append(exchange.id)
            elif seen.decision.action is Action.ALLOW:  # there is nothing for anybody else
                decision = _refused(Cause.DESTINATION, Reason.DESTINATION_FORBIDDEN)
                seen = replace(seen, decision=replace(decision, classes=seen.decision.classes))
        elif self.withheld and seen.target and seen.decision.action is Action.ALLOW:
            detail = self.withheld
            seen = replace(seen, decision=_refused(Cause.AUDIT_UNAVAILABLE, Reason.AUDIT_UNAVAILABLE))
        result = await self._commit(exchange, seen, rulebook, kind, detail)
        if kind is not RecordType.CONTROL:
            _ADDED.observe(time.perf_counter() - started)
        return result

    async def refuse(self, exchange: Exchange, reason: Reason, cause: Cause | None = None, detail: str = "") -> Refusal:
        """Record a refusal that the proxy itself decided: a WebSocket upgrade, hosts that disagree, a bad head."""
        rulebook = self._rulebook
        cause = cause or _CAUSE_OF.get(reason) or Cause.__members__.get(reason.name, Cause.INTERNAL)
        decision = Decision(action=Action.REFUSE, reason=reason, rule="gate", cause=cause, detail=detail)
        try:
            target = rulebook.targets.match(exchange.host, exchange.port, exchange.path)
        except Exception:  # noqa: BLE001 - the host may be nonsense: that is why it is refused
            target = None
        seen = Inspection(target=target, decision=decision, subject=self._resolver.resolve(exchange))
        result = await self._commit(exchange, seen, rulebook, RecordType.DECISION, detail)
        if isinstance(result, Refusal):
            return result
        raise AssertionError("a refusal was cleared")  # unreachable: _commit clears only ALLOW

    async def bypass(self, exchange: Exchange, detail: str) -> Clearance | Refusal:
        """Record an opaque tunnel or a plain request to a non-AI host, durably, before its first byte."""
        decision = Decision(action=Action.ALLOW, reason=Reason.NOT_AI, rule="not-ai", mode=Mode.PASS)
        subject = self._resolver.resolve(exchange)
        decision = known_sender(decision, subject, self._resolver)
        coverage = Coverage(Completeness.NONE, len(exchange.body), 0, 0, len(exchange.body), ())
        seen = Inspection(target=None, decision=decision, subject=subject, coverage=coverage)
        return await self._commit(exchange, seen, self._rulebook, RecordType.BYPASS, detail)

    async def outcome(self, outcome: Outcome) -> None:
        """Record how an exchange ended. A failure here stops the worker through the ledger's own alarm."""
        if outcome.target is not None and outcome.target.row == selftest.ROW and outcome.exchange_id in self._tests:
            return  # it leads nowhere, so that nothing comes of it
        if outcome.upstream_status:
            _RESPONSES.get(outcome.upstream_status // 100, _OTHER_RESPONSES).count += 1
        rulebook = self._rulebook
        try:
            withhold = self._names.withheld(outcome, rulebook.detectors)
            ownership = self._keys.answered(outcome, self._organisations)
            record = recording.outcome_record(outcome, rulebook, self._evidence, withhold=withhold, ownership=ownership)
            await self._ledger.note(record)
        except Unavailable:
            log.error("outcome not recorded", extra={"facts": {"decision_id": outcome.exchange_id}})

    async def _inspect(self, exchange: Exchange, rulebook: Rulebook) -> Inspection:
        """Small bodies here and now; large ones in a thread, with a deadline that the event loop keeps."""
        if len(exchange.body) <= self._limits.offload_bytes:
            return inspect(exchange, rulebook, self._limits, self._resolver, self._clock, keys=self._keys)
        work = asyncio.get_running_loop().run_in_executor(
            self._pool,
            partial(inspect, exchange, rulebook, self._limits, self._resolver, self._clock, keys=self._keys),
        )
        async with asyncio.timeout(self._limits.scan_seconds):
            return await work

    def _undecided(self, exchange: Exchange, rulebook: Rulebook, cause: Cause) -> Inspection:
        """What the failure table says of a request that could not be inspected."""
        target: Target | None = None
        try:
            target = rulebook.targets.match(exchange.host, exchange.port, exchange.path)
            decision = rulebook.policy.on_failure(cause, target, exchange.at)
        except Exception:  # noqa: BLE001 - when even the table cannot be asked, the answer is no
            decision = Decision(action=Action.REFUSE, reason=Reason.INTERNAL, rule="gate", cause=Cause.INTERNAL)
        size = len(exchange.body)
        coverage = Coverage(Completeness.NONE, size, 0, 0, size, (str(cause),))
        subject = self._resolver.resolve(exchange)
        decision = known_sender(decision, subject, self._resolver)
        return Inspection(target=target, decision=decision, subject=subject, coverage=coverage)

    async def _commit(
        self, exchange: Exchange, seen: Inspection, rulebook: Rulebook, kind: RecordType, detail: str = ""
    ) -> Clearance | Refusal:
        """Make the decision durable, then say it. The only place where a `Clearance` is made."""
        decision, receipt = seen.decision, None
        if seen.scan is None:
            seen = replace(seen, withhold=_suspicious(exchange, rulebook))
        try:
            if kind is RecordType.CONTROL:
                record = selftest.record(exchange, decision, rulebook.digest)
            else:
                record = recording.decision_record(
                    exchange, seen, rulebook, self._evidence, record_type=kind, detail=detail or None
                )
                if self._subjects is not None and seen.subject is not None:
                    self._subjects.saw(record.subject_id, seen.subject)
            with self._commit_deadline():
                receipt = await self._ledger.commit(record)
        except (Unavailable, TimeoutError):
            decision = _refused(Cause.AUDIT_UNAVAILABLE, Reason.AUDIT_UNAVAILABLE)
        except Exception as e:  # noqa: BLE001 - a record that cannot be built is evidence that cannot be given
            log.error("record not built", extra={"facts": {"error": type(e).__name__, "decision_id": exchange.id}})
            decision = _refused(Cause.INTERNAL, Reason.INTERNAL)
        if kind is not RecordType.CONTROL:
            _count(seen, decision)
            if receipt is not None:
                self._acted()
        if decision.action is Action.ALLOW and receipt is not None:
            key = seen.credential.fingerprint if seen.credential else None
            return Clearance(exchange_id=exchange.id, decision=decision, receipt=receipt, key=key)
        return Refusal(exchange_id=exchange.id, decision=decision, target=seen.target, receipt=receipt)


def _suspicious(exchange: Exchange, rulebook: Rulebook) -> bool:
    """Whether the labels of a request that was not inspected hold something; yes, when that cannot be told."""
    try:
        return recording.tells(rulebook.detectors.scan((recording.labels(exchange),)).findings)
    except Exception:  # noqa: BLE001 - the record is poorer then, and still says who, when and why
        return True


def _refused(cause: Cause, reason: Reason) -> Decision:
    return Decision(action=Action.REFUSE, reason=reason, rule="gate", cause=cause)


def _count(seen: Inspection, decision: Decision) -> None:
    """Metrics of one decision: additions to plain numbers, labels from closed lists."""
    target, action, cause = seen.target, decision.action, decision.cause
    place = ("none", "none", "none")
    if target is not None:
        place = (metrics.provider_label(target.provider), target.kind, target.status)
    metrics.DECISIONS[action, decision.reason, *place, decision.mode].count += 1
    if seen.subject is not None:
        metrics.IDENTIFIED[seen.subject.assurance,].count += 1
    for data_class in decision.classes:
        metrics.DECISION_CLASSES[action, data_class].count += 1
    if cause is not None:
        (metrics.FAIL_OPEN if action is Action.ALLOW else metrics.REFUSALS)[cause,].count += 1
    for dependency in decision.degraded:
        metrics.DEGRADED[dependency,].count += 1
    coverage = seen.coverage
    if coverage is not None and seen.payload is not None:
        _BODY_BYTES.observe(coverage.wire_bytes)
        _INSPECTED_BYTES.count += coverage.scanned_bytes
        metrics.INSPECTED_REQUESTS[coverage.completeness,].count += 1
        for reason in coverage.reasons:
            metrics.UNINSPECTED_BYTES[reason,].count += coverage.unread_bytes
        t = seen.timings
        for stage, took in zip(_STAGES, (t.identity_us, t.decode_us, t.parse_us, t.scan_us, t.decide_us), strict=True):
            if took is not None:
                stage.observe(took / 1e6)
    if seen.scan is not None:
        for finding in seen.scan.findings:
            metrics.FINDINGS[finding.data_class, finding.severity, finding.novelty].count += 1
            if finding.live:
                metrics.LIVE_KEYS[action,].count += 1
