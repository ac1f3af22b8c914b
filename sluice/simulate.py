"""A candidate policy over decisions that were recorded: what it would have decided from the same facts.

A record holds no text, and yet nearly everything that policy may ask: destination, model, tools, findings with class,
severity and proof, how much was read. What it holds only as a pseudonym (names, groups) or not at all (ids in a path)
is asked for when a rule needs it, and only then: such a decision is `Undetermined`, with the name of what is missing,
and never guessed. A name that the candidate spells out is compared by its fingerprint.

Left as they were: refusals that no policy decides (bad requests, WebSockets, a ledger that was down), and opaque
tunnels. Pure: records in, differences out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from copy import replace
from dataclasses import dataclass, field
from typing import cast

from sluice.errors import Cause, Opacity
from sluice.model import (
    Action,
    Assurance,
    Completeness,
    Coverage,
    Credential,
    Decision,
    Facts,
    Finding,
    Match,
    Ownership,
    Policy,
    Provenance,
    Record,
    RecordType,
    Severity,
    Status,
    Target,
)
from sluice.policy import cause_of
from sluice.recording import WITHHELD

REQUIRE = "identity.require"
"""Stands as the rule of a block that the settings made, which stays whatever policy says."""
OWN = "gate"
"""Stands as the rule of what the proxy itself refused."""


class Undetermined(Exception):
    """A rule asks for something that the record does not hold."""

    def __init__(self, missing: str) -> None:
        super().__init__(missing)
        self.missing = missing


@dataclass(frozen=True, slots=True)
class Known:
    """What stands beside the records: the destination of a row, status and regulations of a detector, and the real
    name behind (key id, pseudonym), where the candidate names it. `open_subjects`: it also asks by pattern."""

    target: Callable[[str], Target | None]
    detectors: Mapping[str, tuple[str, tuple[str, ...]]]
    names: Mapping[tuple[str, str], str] = field(default_factory=dict)
    open_subjects: bool = False
    addresses: bool = True
    """Whether records keep the whole address of a client."""
    agents: Callable[[str | None, str | None, str | None], tuple[str, ...]] | None = None
    """Names of an agent beside its client's: of client, pseudonym of the subject, and fingerprint of the key."""


class _Sender:
    """`Subject` as far as a record knows one."""

    def __init__(self, record: Record, known: Known) -> None:
        self._record, self._known = record, known
        self.method = record.identity_method or "none"
        self.assurance = Assurance(record.identity_assurance or "none")
        self.role, self.department = record.role, record.department

    @property
    def id(self) -> str:
        record = self._record
        if record.subject_kind == "address":
            if record.src_ip is None or not self._known.addresses:
                raise Undetermined("subject")
            return record.src_ip
        if name := self._known.names.get((record.hmac_key_id or "", record.subject_id or "")):
            return name
        if self._known.open_subjects:
            raise Undetermined("subject")
        return f"{record.subject_kind or 'user'}:\N{HORIZONTAL ELLIPSIS}"  # somebody whom the candidate does not name

    @property
    def groups(self) -> tuple[str, ...]:
        if self._record.groups_hash:
            raise Undetermined("group")
        return ()


class _Recorded:
    """`Facts` as far as a record knows them."""

    def __init__(self, record: Record, known: Known) -> None:
        self._record = record
        target = known.target(record.target_row or "")
        if target is None:
            raise Undetermined("target")
        status = Status(record.provider_status) if record.provider_status else target.status
        self.target = replace(target, status=status, host=record.host or target.host)
        self._addresses = known.addresses
        self._naming = known.agents
        self.subject = _Sender(record, known)
        self.operation = record.operation or "unknown"
        if _cut(record, "matches"):
            raise Undetermined("findings")
        self.findings = tuple(_findings(record.matches or (), known))
        self.coverage = Coverage(
            Completeness(record.inspection_status or "none"),
            record.body_bytes or 0,
            record.decoded_bytes or 0,
            record.scanned_bytes or 0,
            record.uninspected_bytes or 0,
            record.uninspected_reason or (),
        )
        self.credential = (
            Credential("", record.key_kind or "", record.key_fp, record.key_hint or "") if record.key_fp else None
        )
        self.ownership = Ownership(record.key_ownership_at_decision) if record.key_ownership_at_decision else None
        self.at = record.ts_received * 1000

    @property
    def method(self) -> str:
        return self._said("method", self._record.method) or ""

    @property
    def model(self) -> str | None:
        return self._said("model", self._record.model_requested)

    @property
    def agent(self) -> str | None:
        return self._said("agent", self._record.agent_id)

    @property
    def agents(self) -> tuple[str, ...]:
        record = self._record
        if self._naming is None:
            return ()
        return self._naming(self._said("agent", record.agent_id), record.subject_id, record.key_fp)

    @property
    def path(self) -> str:
        template = self._said("path", self._record.path_template) or "/"
        if "{" in template:
            raise Undetermined("path")
        return template

    @property
    def tools(self) -> tuple[str, ...]:
        tools = self._record.tools_declared or ()
        if any(tool == WITHHELD or tool.startswith("(+") for tool in tools) or _cut(self._record, "tools_declared"):
            raise Undetermined("tool")
        return tools

    @property
    def client_address(self) -> str:
        if self._record.src_ip is None or not self._addresses:
            raise Undetermined("network")
        return self._record.src_ip

    @staticmethod
    def _said(name: str, value: str | None) -> str | None:
        if value == WITHHELD:
            raise Undetermined(name)
        return value


def _cut(record: Record, name: str) -> bool:
    return any(one.partition(" ")[0] == name for one in record.clipped or ())


def _findings(matches: Iterable[Match], known: Known) -> Iterable[Finding]:
    for m in matches:
        if m.suppressed is not None:
            continue
        status, regulations = known.detectors.get(m.detector, ("stable", ()))
        yield Finding(
            detector=m.detector,
            rev=m.rev,
            data_class=m.data_class,
            severity=Severity(m.severity),
            pointer="",
            start=0,
            end=0,
            validated=m.validated,
            confidence=m.confidence,
            fingerprint=m.fingerprint,
            provenance=Provenance(m.provenance),
            mask=m.mask,
            novelty=m.novelty,
            example=m.example,
            status=status,
            regulations=regulations,
            live=m.live,
        )


def decide(record: Record, policy: Policy, known: Known) -> Decision | None:
    """What a policy makes of a recorded decision; None when no policy had a say in it. Raises `Undetermined`."""
    if record.record_type != RecordType.DECISION or record.decision is None or record.target_row is None:
        return None
    if record.rule_id == OWN:
        return None
    if record.inspection_status is None:
        return _failed(record, policy, known)
    facts = cast("Facts", _Recorded(record, known))
    decision = policy.decide(facts)
    if decision.action is Action.ALLOW and record.uninspected_reason:
        decision = _unread(record.uninspected_reason, decision, policy, facts)
    if decision.action is Action.ALLOW and record.rule_id == REQUIRE:
        return None
    return decision


def _failed(record: Record, policy: Policy, known: Known) -> Decision | None:
    """A request that was not inspected: the failure table decided."""
    try:
        cause = Cause(record.reason_detail or "")
    except ValueError:
        return None
    return policy.on_failure(cause, known.target(record.target_row or ""), record.ts_received * 1000)


def _unread(reasons: Iterable[str], decision: Decision, policy: Policy, facts: Facts) -> Decision:
    """The failure table's word on what was not read, as the gate asks for it."""
    causes = {cause for reason in reasons if (cause := cause_of(Opacity(reason))) is not None}
    if not causes:
        failed = policy.on_failure(Cause.PARTIAL_INSPECTION, facts.target, facts.at)
        return decision if failed.action is Action.ALLOW else failed
    answers = [policy.on_failure(cause, facts.target, facts.at) for cause in sorted(causes)]
    if len({a.action for a in answers}) > 1:
        raise Undetermined("which part could not be read first")
    return answers[0]


# ---------------------------------------------------------------------------------------------------------- differences


@dataclass(frozen=True, slots=True, order=True)
class Change:
    """What was decided, by which rule, and what would be. `would` stands behind an allow that only observes."""

    before: str
    after: str
    rule_before: str
    rule_after: str


@dataclass(slots=True)
class Difference:
    """All decisions that change in the same way. `example` is the decision id of the latest."""

    decisions: int = 0
    subjects: set[str] = field(default_factory=set)
    providers: Counter[str] = field(default_factory=Counter)
    classes: Counter[str] = field(default_factory=Counter)
    first: int = 0
    last: int = 0
    example: str = ""

    def add(self, record: Record) -> None:
        self.decisions += 1
        self.subjects.add(record.subject_id or "")
        self.providers[record.provider_id or ""] += 1
        self.classes.update(record.data_classes or ())
        self.first = min(self.first or record.ts_received, record.ts_received)
        if record.ts_received >= self.last:
            self.last, self.example = record.ts_received, record.decision_id


@dataclass(slots=True)
class Simulation:
    """What came of all records. `undetermined` counts decisions by what the record does not hold."""

    decided: int = 0
    same: int = 0
    untouched: int = 0
    undetermined: Counter[str] = field(default_factory=Counter)
    changes: dict[Change, Difference] = field(default_factory=dict)
    policies: Counter[str] = field(default_factory=Counter)

    @property
    def changed(self) -> int:
        return sum(d.decisions for d in self.changes.values())


def _shown(action: str | None, would: str | None) -> str:
    return f"{action} (would {would})" if would and would != action else str(action)


def simulate(records: Iterable[Record], policy: Policy, known: Known) -> Simulation:
    """Every decision among the records, decided once more."""
    out = Simulation()
    for record in records:
        if record.record_type != RecordType.DECISION:
            continue
        out.decided += 1
        out.policies[f"{record.policy_id} {record.policy_version}"] += 1
        try:
            decision = decide(record, policy, known)
        except Undetermined as e:
            out.undetermined[e.missing] += 1
            continue
        if decision is None:
            out.untouched += 1
            continue
        before, after = _shown(record.decision, record.would_decide), _shown(decision.action, decision.would)
        if (before, record.rule_id) == (after, decision.rule):
            out.same += 1
            continue
        change = Change(before, after, record.rule_id or "", decision.rule)
        out.changes.setdefault(change, Difference()).add(record)
    return out
