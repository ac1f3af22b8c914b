"""Reading `policy.toml`: the whole file is checked, every problem is reported with its line, nothing is half loaded.

    id      = "default"             # name and version go into every record
    version = "2026-11-24"
    default = "allow"               # when no rule matches: allow or block
    contact = "Questions: ..."      # ends every message to a person

    [[rule]]                        # in this order, the first that matches wins
    id      = "secrets"
    when    = { class = "secret.*" }
    unless  = { provider = "house" }
    action  = "block"               # allow or block
    message = "Remove the secret."

    [failure]                       # what happens when a request cannot be decided
    scan_timeout = "refuse"         # refuse or allow

    [[failure_rule]]                # an exception, for some destinations and until a day
    id     = "slow-house-model"
    when   = { cause = "scan_timeout", provider = "house" }
    action = "allow"
    until  = 2027-01-31

What `when` and `unless` may ask: `sluice.policy.conditions`. A rule with `mode = "observe"` needs `observe_until`, a
date; through that day (UTC) it only notes what it would have done. At the top, `mode` and `observe_until` do the
same for all rules, and `valid_to` with `expired = "refuse"` or `"keep"` says what happens when the file is out of date.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterable
from pathlib import Path

from sluice import tomlfile
from sluice.errors import ALWAYS_REFUSED, Cause, Misconfigured, Reason
from sluice.model import Action, Facts, Mode
from sluice.policy import conditions
from sluice.policy.conditions import DESTINATION, OF_FINDINGS, REQUEST
from sluice.policy.failure import PROVOKABLE, FailureRule, FailureTable
from sluice.policy.reading import NAME, Reading, Table
from sluice.policy.rules import DEFAULT_RULE, FindingTest, PolicySet, Rule
from sluice.targets.columns import end_of_day

TOP = (
    *("id", "version", "default", "mode", "observe_until", "valid_to", "expired", "contact"),
    *("rule", "failure", "failure_rule"),
)
RULE = ("id", "title", "when", "unless", "action", "mode", "observe_until", "message", "reason")
FAILURE_RULE = ("id", "title", "when", "action", "until")

REASONS = tuple(
    str(r)
    for r in (
        Reason.POLICY_RULE,
        Reason.CLASS_BLOCKED,
        Reason.SECRET_FOUND,
        Reason.PROVIDER_PROHIBITED,
        Reason.TIER_NOT_ALLOWED,
        Reason.KEY_PERSONAL,
        Reason.MODEL_NOT_APPROVED,
        Reason.TOOL_NOT_ALLOWED,
        Reason.IDENTITY_MISSING,
        Reason.IDENTITY_EXPIRED,
    )
)
"""Codes that a rule may give itself."""


AFTER_THE_END = {
    "refuse": "every request is refused. Review the policy and give it a later date",
    "keep": "it stays in force, and every record says `policy_expired`. Review it and give it a later date",
}


def load(
    path: Path,
    known_classes: Iterable[str] | None = None,
    known_providers: Iterable[str] | None = None,
    today: dt.date | None = None,
) -> PolicySet:
    """The policy in a file. Raises `Misconfigured` with file and line of every problem.

    With `known_classes` and `known_providers` a pattern that fits none of them is a problem; with `today` a date that
    has passed is a warning.
    """
    values = tomlfile.read(path)
    raw = path.read_bytes()
    r = Reading(
        str(path),
        raw.decode("utf-8"),
        values,
        known_classes=known_classes,
        known_providers=known_providers,
        today=today,
    )
    top = r.top
    r.known_keys(top, TOP)
    name, version = r.text(top, "id", pattern=NAME), r.text(top, "version")
    for key, value in (("id", name), ("version", version)):
        if key not in top.values:
            r.bad(key, f"needs `{key}`: every record names the policy that decided")
        elif value and len(value) > 64:
            r.bad(key, f"{key}: at most 64 characters")
    contact = r.message(top, "contact")
    default = r.choice(top, "default", ("allow", "block"), "allow")
    observing = _observing(r, top, blocks=True)
    expired = r.choice(top, "expired", ("refuse", "keep"), "refuse")
    valid_to = r.date(top, "valid_to", passed=AFTER_THE_END[expired or "refuse"])
    if "expired" in top.values and valid_to is None:
        r.bad("expired", "`expired` says what happens after `valid_to`, which is not given")
    rules = _rules(r, contact)
    failure = FailureTable(_failure_rows(r), _failure_rules(r), contact)
    if r.problems:
        raise Misconfigured(sorted(r.problems, key=lambda problem: problem.line or 0))
    return PolicySet(
        id=name,
        version=version,
        digest=hashlib.sha256(raw).hexdigest(),
        rules=rules,
        failure=failure,
        default=Action(default),
        observe_until=observing,
        expires=end_of_day(valid_to) if valid_to else 0,
        expired_refuses=expired == "refuse",
        contact=contact,
        warnings=tuple(r.warnings),
        asks_agents=any(
            "agent" in r.table(rule, part).values for rule in r.tables("rule") for part in ("when", "unless")
        ),
    )


def _rules(r: Reading, contact: str) -> tuple[Rule, ...]:
    rules: list[Rule] = []
    seen: dict[str, int | None] = {}
    closed_by = ""
    for table in r.tables("rule"):
        r.known_keys(table, RULE)
        name = r.identity(table, seen, taken=(DEFAULT_RULE, "gate", "expired", "not-ai"))
        if closed_by:
            r.warn(table.path, f"rule `{name}` is never reached: `{closed_by}` above it matches every request")
        action = r.choice(table, "action", ("allow", "block"), None)
        observing = _observing(r, table, blocks=action == "block")
        message = r.message(table, "message")
        if message and action == "allow":
            r.bad(f"{table.path}.message", "message: nobody reads the message of a rule that allows")
        asked, spared = r.table(table, "when"), r.table(table, "unless")
        when, find = _conditions(r, asked)
        unless, spare = _conditions(r, spared)
        reason = r.choice(table, "reason", REASONS, "")
        rule = Rule(
            id=name,
            title=r.text(table, "title"),
            action=Action(action or "block"),
            when=when,
            unless=unless,
            find=find,
            spare=spare,
            observe_until=observing,
            message=" ".join(filter(None, (message, contact))),
            reason=Reason(reason) if reason else _reason(asked, spared),
        )
        rules.append(rule)
        if rule.unconditional and not observing:
            closed_by = closed_by or name
    return tuple(rules)


def _reason(when: Table, unless: Table) -> Reason | None:
    """The code that a rule's conditions suggest; None = what was found decides."""
    if any(name in when.values for name in OF_FINDINGS):
        return None
    status = when.values.get("status")
    if status == "prohibited" or (isinstance(status, list) and "prohibited" in status):
        return Reason.PROVIDER_PROHIBITED
    if "personal" in (when.values.get("ownership"), *_listed(when.values.get("ownership"))):
        return Reason.KEY_PERSONAL
    asked = when.values.keys() | unless.values.keys()
    for name, reason in (
        ("tool", Reason.TOOL_NOT_ALLOWED),
        ("model", Reason.MODEL_NOT_APPROVED),
        ("assurance", Reason.IDENTITY_MISSING),
        ("identity", Reason.IDENTITY_MISSING),
    ):
        if name in asked:
            return reason
    return Reason.POLICY_RULE


def _listed(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _conditions(r: Reading, asked: Table) -> tuple[tuple[conditions.Ask[Facts], ...], FindingTest | None]:
    """`when` or `unless`, compiled. What cannot be compiled is noted as a problem and left out."""
    r.known_keys(asked, (*REQUEST, *OF_FINDINGS))
    about = tuple(
        conditions.request(name, values)
        for name in REQUEST
        if name in asked.values and (values := r.values(asked, name))
    )
    of_findings = [name for name in OF_FINDINGS if name in asked.values]
    if not of_findings:
        return about, None
    asks = []
    for name in conditions.FINDING:
        if name not in asked.values:
            continue
        if name == "validated":
            asks.append(conditions.finding(name, r.flag(asked, name)))
        elif name == "confidence":
            asks.append(conditions.finding(name, r.number(asked, name, 0, 1)))
        elif name == "severity":
            level = r.choice(asked, name, conditions.CLOSED["severity"], None)
            asks += [conditions.finding(name, level)] if level else []
        elif values := r.values(asked, name):
            asks.append(conditions.finding(name, values))
    count = 1
    if "count" in asked.values:
        count = int(r.number(asked, "count", 1, 1_000_000, whole=True))
        if asked.path.endswith(".unless"):
            r.bad(f"{asked.path}.count", "count: `unless` takes single findings out; use a rule of its own instead")
    test = FindingTest(
        tuple(asks),
        count,
        examples=r.flag(asked, "examples"),
        on_trial=r.flag(asked, "test_detectors"),
    )
    return about, test


def _failure_rows(r: Reading) -> dict[Cause, Action]:
    table = r.table(r.top, "failure")
    rows: dict[Cause, Action] = {}
    r.known_keys(table, tuple(Cause), noun="cause")
    for cause in Cause:
        if cause not in table.values:
            continue
        action = r.choice(table, cause, ("refuse", "allow"), None)
        if action == "allow" and cause in ALWAYS_REFUSED:
            r.bad(f"{table.path}.{cause}", f"{cause}: this cause cannot be opened; only `refuse` is possible")
        elif action == "allow" and cause in PROVOKABLE:
            r.warn(
                f"{table.path}.{cause}", f"{cause} = allow: a sender can bring this about, and is not inspected then"
            )
        if action:
            rows[cause] = Action(action)
    return rows


def _failure_rules(r: Reading) -> tuple[FailureRule, ...]:
    rules: list[FailureRule] = []
    seen: dict[str, int | None] = {}
    for table in r.tables("failure_rule"):
        r.known_keys(table, FAILURE_RULE)
        name = r.identity(table, seen, taken=tuple(Cause))
        asked = r.table(table, "when")
        r.known_keys(asked, ("cause", *DESTINATION))
        causes = r.values(asked, "cause", closed=tuple(Cause))
        if "cause" not in asked.values:
            r.bad(asked.path, "`when` needs `cause`")
        action = r.choice(table, "action", ("refuse", "allow"), None)
        until = r.date(table, "until")
        if action == "allow":
            for cause in sorted(ALWAYS_REFUSED & set(causes)):
                r.bad(f"{asked.path}.cause", f"cause: `{cause}` cannot be opened")
            if "until" not in table.values:
                r.bad(table.path, 'action "allow" needs `until`, a date: what is open must close again')
        about = tuple(
            conditions.destination(key, values)
            for key in DESTINATION
            if key in asked.values and (values := r.values(asked, key))
        )
        rules.append(
            FailureRule(
                id=name,
                causes=frozenset(map(Cause, causes)),
                action=Action(action or "refuse"),
                when=about,
                until=end_of_day(until) if until else 0,
            )
        )
    return tuple(rules)


def _observing(r: Reading, table: Table, *, blocks: bool) -> int:
    """`mode` and `observe_until` of a table, as the end of observing (0 = binds)."""
    mode = r.choice(table, "mode", ("enforce", "observe"), "enforce")
    until = r.date(table, "observe_until")
    at = f"{table.path}.mode" if "mode" in table.values else f"{table.path}.observe_until"
    if mode == Mode.OBSERVE and "observe_until" not in table.values:
        r.bad(at, 'mode "observe" needs `observe_until`, a date: observing must end')
    elif mode != Mode.OBSERVE and "observe_until" in table.values:
        r.bad(at, '`observe_until` is for mode "observe"')
    elif mode == Mode.OBSERVE and not blocks:
        r.bad(at, "mode: a rule that allows has nothing to observe")
    return end_of_day(until) if until and mode == Mode.OBSERVE else 0
