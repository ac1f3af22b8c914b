"""Deciding: the rules in their order, the first that matches and binds wins.

Four things differ from a packet filter, each so that a mistake in the file does not let a secret out:
- A rule that only observes never ends the search: it is noted, and the next rules are asked. Were it to end it, an
  observed rule above a binding one would open the gate.
- A rule that allows and names findings matches only when it covers every finding of the request: an exception for
  test cards must not carry a private key through.
- `unless` takes the findings that it describes out of the account, and only those; where the rule asks nothing of
  findings, one such finding keeps the whole rule from matching.
- Sample values and detectors on trial are left out of all this unless a rule asks for them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sluice.errors import Problem, Reason
from sluice.model import Action, Decision, Facts, Finding, Mode, Target
from sluice.policy.conditions import Ask
from sluice.policy.failure import FailureTable

DEFAULT_RULE = "default"


@dataclass(frozen=True, slots=True)
class FindingTest:
    """Finding conditions: all of `asks` on one finding, and at least `count` different values among those that fit."""

    asks: tuple[Ask[Finding], ...]
    count: int = 1
    examples: bool = False
    on_trial: bool = False

    def takes(self, finding: Finding) -> bool:
        """True when a finding fits. Samples and detectors on trial fit only where the rule wants them."""
        if finding.example and not self.examples:
            return False
        if finding.status == "test" and not self.on_trial:
            return False
        return all(ask(finding) for ask in self.asks)


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule, compiled. `observe_until`: ns since the epoch, 0 = the rule binds. `reason`: fixed code, or None for
    the one that what was found suggests."""

    id: str
    title: str
    action: Action
    when: tuple[Ask[Facts], ...] = ()
    unless: tuple[Ask[Facts], ...] = ()
    find: FindingTest | None = None
    spare: FindingTest | None = None
    observe_until: int = 0
    message: str = ""
    reason: Reason | None = None

    @property
    def unconditional(self) -> bool:
        """True when the rule matches every request."""
        return not (self.when or self.unless or self.find or self.spare)

    def match(self, facts: Facts) -> tuple[Finding, ...] | None:
        """None when the rule does not match; else the findings that made it match (none, if it asks for none)."""
        find = self.find
        if find is not None and not facts.findings:
            return None
        for ask in self.when:
            if not ask(facts):
                return None
        spare = self.spare
        if (self.unless or spare is not None) and all(ask(facts) for ask in self.unless):
            if spare is None:
                return None
        else:
            spare = None
        if find is None:
            return None if spare is not None and any(map(spare.takes, facts.findings)) else ()
        chosen = tuple(f for f in facts.findings if find.takes(f) and not (spare is not None and spare.takes(f)))
        if len({f.fingerprint for f in chosen}) < find.count:
            return None
        if self.action is Action.ALLOW and sum(map(_counts, chosen)) < sum(map(_counts, facts.findings)):
            return None
        return chosen

    def reason_for(self, hit: tuple[Finding, ...]) -> Reason:
        """The code for a block by this rule."""
        if self.reason is not None:
            return self.reason
        if any(f.data_class.startswith("secret.") for f in hit):
            return Reason.SECRET_FOUND
        return Reason.CLASS_BLOCKED if hit else Reason.POLICY_RULE


type Step = tuple[int, Rule, Ask[Facts]]
"""A rule, its number, and its first condition: most rules fail on it, so it is asked before anything else."""


def _always(_: Facts) -> bool:
    return True


class PolicySet:
    """The policy in force. Implements `model.Policy`; never changed once made, safe to use from any thread.

    `expires`: ns since the epoch after which the file is out of date (0 = never); `expired_refuses` says what then.
    `observe_until` makes every rule observe until that time (0 = not). `warnings` are worth a word at start.
    `asks_agents`: a rule asks for an agent, so that facts need every name that it goes by.
    """

    def __init__(
        self,
        *,
        id: str,
        version: str,
        digest: str,
        rules: tuple[Rule, ...],
        failure: FailureTable,
        default: Action = Action.ALLOW,
        observe_until: int = 0,
        expires: int = 0,
        expired_refuses: bool = True,
        contact: str = "",
        warnings: tuple[Problem, ...] = (),
        asks_agents: bool = False,
    ) -> None:
        self.id, self.version, self.digest = id, version, digest
        self.rules, self.failure, self.default = rules, failure, default
        self.observe_until, self.expires, self.expired_refuses = observe_until, expires, expired_refuses
        self.contact, self.warnings = contact, warnings
        self.asks_agents = asks_agents
        self._all: tuple[Step, ...] = tuple((n, r, r.when[0] if r.when else _always) for n, r in enumerate(rules, 1))
        self._plain = tuple(step for step in self._all if step[1].find is None)

    def on_failure(self, cause: str, target: Target | None, at: int) -> Decision:
        """The row of the failure table for a cause."""
        return self.failure.answer(cause, target, at)

    def decide(self, facts: Facts) -> Decision:
        """The first rule that matches and binds, else the default."""
        at, target = facts.at, facts.target
        degraded: tuple[str, ...] = ()
        if self.expires and at >= self.expires:
            if self.expired_refuses:
                return Decision(Action.REFUSE, Reason.POLICY_EXPIRED, "expired", message=self.contact)
            degraded = ("policy_expired",)
        observing = at < self.observe_until or (target.mode is Mode.OBSERVE and _lasts(target.observe_until, at))
        noted: tuple[Rule, tuple[Finding, ...]] | None = None
        for number, rule, first in self._all if facts.findings else self._plain:
            if not first(facts) or (hit := rule.match(facts)) is None:
                continue
            if rule.action is Action.BLOCK and (observing or at < rule.observe_until):
                noted = noted or (rule, hit)
                continue
            if rule.action is Action.BLOCK:
                return _block(rule, hit, facts, number, degraded)
            return _allow(rule.id, facts, number, degraded, noted, observing)
        if self.default is Action.BLOCK:
            closed = Rule(DEFAULT_RULE, "", Action.BLOCK, message=self.contact, reason=Reason.NO_POLICY)
            if not observing:
                return _block(closed, (), facts, len(self.rules), degraded)
            noted = noted or (closed, ())
        return _allow(DEFAULT_RULE, facts, len(self.rules), degraded, noted, observing)


def _lasts(until: int, at: int) -> bool:
    return not until or at < until


def _counts(finding: Finding) -> bool:
    return not finding.example and finding.status != "test"


def _block(rule: Rule, hit: tuple[Finding, ...], facts: Facts, evaluated: int, degraded: tuple[str, ...]) -> Decision:
    return Decision(
        action=Action.BLOCK,
        reason=rule.reason_for(hit),
        rule=rule.id,
        message=rule.message,
        classes=classes(facts.findings, also=hit),
        rules_evaluated=evaluated,
        degraded=degraded,
        blocked=classes(hit, also=hit),
    )


def _allow(
    rule: str,
    facts: Facts,
    evaluated: int,
    degraded: tuple[str, ...],
    noted: tuple[Rule, tuple[Finding, ...]] | None,
    observing: bool,
) -> Decision:
    found = classes(facts.findings) if facts.findings else ()
    if noted is not None:
        held, hit = noted
        return Decision(
            action=Action.ALLOW,
            reason=Reason.OBSERVE_ONLY,
            rule=held.id,
            mode=Mode.OBSERVE,
            would=Action.BLOCK,
            classes=classes(facts.findings, also=hit),
            rules_evaluated=evaluated,
            degraded=degraded,
            blocked=classes(hit, also=hit),
        )
    return Decision(
        action=Action.ALLOW,
        reason=Reason.POLICY_RULE if found else Reason.NO_FINDINGS,
        rule=rule,
        mode=Mode.OBSERVE if observing else Mode.ENFORCE,
        classes=found,
        rules_evaluated=evaluated,
        degraded=degraded,
    )


def classes(findings: Iterable[Finding], also: tuple[Finding, ...] = ()) -> tuple[str, ...]:
    """Data classes of findings, most severe first. Samples and detectors on trial count only when a rule used them."""
    used = {f.data_class for f in also}
    worst: dict[str, int] = {}
    for f in findings:
        if _counts(f) or f.data_class in used:
            worst[f.data_class] = max(worst.get(f.data_class, 0), f.severity.rank)
    return tuple(sorted(worst, key=lambda name: (-worst[name], name)))
