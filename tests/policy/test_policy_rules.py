"""Rules: what each condition asks, which rule wins, and that a mistake in the file does not let a secret out."""

from __future__ import annotations

from copy import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from policy_facts import CARD, FINDING, MAIL, facts, ns, policy_of

from sluice import policy
from sluice.model import (
    Action,
    Assurance,
    Completeness,
    Coverage,
    Credential,
    Decision,
    Facts,
    Finding,
    Mode,
    Provenance,
    Severity,
    Status,
    Subject,
    Target,
)
from sluice.policy import PolicySet

PARTIAL = Coverage(Completeness.PARTIAL, 1, 1, 1, 5, ("image",))


def rule(when: str, *more: str, action: str = "block", id: str = "r") -> str:
    """A rule as text."""
    return "\n".join(["[[rule]]", f'id = "{id}"', f'action = "{action}"', f"when = {{ {when} }}", *more, ""])


@pytest.mark.parametrize(
    ("when", "yes", "no"),
    [
        ('provider = "openai"', {}, {"target": {"provider": "google"}}),
        ('provider = ["google", "OPEN*"]', {}, {"target": {"provider": "xai"}}),
        ('product = "openai-*"', {}, {"target": {"product": "chatgpt"}}),
        ('host = "*.openai.com"', {}, {"target": {"host": "openai.com.example"}}),
        ('target = "openai-api"', {}, {"target": {"row": "openai-api-eu"}}),
        ('kind = ["web", "api"]', {}, {"target": {"kind": "agent"}}),
        ('dialect = "openai"', {}, {"target": {"dialect": "opaque"}}),
        ('status = "unreviewed"', {}, {"target": {"status": Status.SANCTIONED}}),
        ('method = "post"', {}, {"method": "GET"}),
        ('operation = "chat*"', {}, {"operation": "embeddings"}),
        ('path = "/V1/*"', {}, {"path": "/v2/chat"}),
        ('model = "GPT-?.1*"', {}, {"model": "o3"}),
        ('model = "*"', {}, {"model": None}),
        ('agent = "codex*"', {}, {"agent": None}),
        ('tool = ["bash", "SHELL"]', {}, {"tools": ()}),
        ('tool = "look*"', {}, {"tools": ("overlook",)}),
        ('subject = "user:*"', {}, {"subject": {"id": "10.1.2.3"}}),
        ('subject = "Alice"', {"subject": {"id": "user:alice"}}, {"subject": {"id": "user:alice2"}}),
        ('subject = "al*"', {"subject": {"id": "service:alice"}}, {"subject": {"id": "user:bob"}}),
        ('subject = "user:alice"', {"subject": {"id": "user:alice"}}, {"subject": {"id": "service:alice"}}),
        ('subject = "10.1.2.*"', {"subject": {"id": "10.1.2.3"}}, {"subject": {"id": "10.1.20.3"}}),
        ('subject = "db8::1"', {"subject": {"id": "user:db8::1"}}, {"subject": {"id": "2001:db8::1"}}),
        ('group = "FINANCE"', {}, {"subject": {"groups": ("staff",)}}),
        ('assurance = ["none", "asserted"]', {}, {"subject": {"assurance": Assurance.VERIFIED}}),
        ('network = "10.1.0.0/16"', {}, {"client_address": "10.2.0.1"}),
        ('network = ["192.0.2.1", "2001:db8::/32"]', {"client_address": "2001:db8::9"}, {}),
        ('network = "10.0.0.0/8"', {"client_address": "::ffff:10.9.9.9"}, {"client_address": "::10.9.9.9"}),
        ('network = "fe80::/10"', {"client_address": "fe80::1%eth0"}, {"client_address": "nonsense"}),
        ('credential = "openai.*"', {}, {"credential": None}),
        ('credential = "none"', {"credential": None}, {}),
        ('inspection = ["partial", "none"]', {"coverage": PARTIAL}, {}),
    ],
)
def test_request_conditions(tmp_path: Path, when: str, yes: dict[str, Any], no: dict[str, Any]) -> None:
    """Each condition holds for what it names, in any case of letters, and for nothing else."""
    rules = policy_of(tmp_path, rule(when))
    assert rules.decide(facts(**yes)).action is Action.BLOCK
    assert rules.decide(facts(**no)).action is Action.ALLOW


@pytest.mark.parametrize(
    ("when", "yes", "no"),
    [
        ('class = "secret.*"', FINDING, CARD),
        ('class = ["financial.iban", "FINANCIAL.CARD"]', CARD, FINDING),
        ('detector = "payment.*"', CARD, FINDING),
        ('regulation = "pci-*"', CARD, MAIL),
        ('severity = "high"', CARD, MAIL),
        ("confidence = 0.8", CARD, MAIL),
        ("validated = true", CARD, FINDING),
        ("validated = false", FINDING, CARD),
        ("validated = false", replace(CARD, validated=False), CARD),
        ('provenance = ["user", "system"]', CARD, MAIL),
        ('novelty = "new"', CARD, replace(CARD, novelty="known")),
        ('class = "*", examples = true', replace(CARD, example=True), None),
        ('class = "*", test_detectors = true', replace(CARD, status="test"), None),
        ('class = "*"', CARD, replace(CARD, example=True)),
        ('class = "*"', CARD, replace(CARD, status="test")),
    ],
)
def test_finding_conditions(tmp_path: Path, when: str, yes: Finding, no: Finding | None) -> None:
    """Each condition holds for the findings it names; samples and detectors on trial only where a rule asks."""
    rules = policy_of(tmp_path, rule(when))
    assert rules.decide(facts(yes)).action is Action.BLOCK
    assert rules.decide(facts(*([no] if no else []))).action is Action.ALLOW


def test_conditions_meet_on_one_finding(tmp_path: Path) -> None:
    """A valid card and a critical secret together are not a valid secret: the conditions hold on one finding."""
    rules = policy_of(tmp_path, rule('class = "secret.*", validated = true'))
    assert rules.decide(facts(FINDING, CARD)).action is Action.ALLOW
    assert rules.decide(facts(replace(FINDING, validated=True))).action is Action.BLOCK


def test_count_is_of_different_values(tmp_path: Path) -> None:
    """The same address ten times is one address; three addresses are three, whatever else was found."""
    rules = policy_of(tmp_path, rule('class = "personal.*", count = 3'))
    assert rules.decide(facts(*[MAIL] * 10)).action is Action.ALLOW
    three = [replace(MAIL, fingerprint=str(n) * 32) for n in range(3)]
    assert rules.decide(facts(*three)).action is Action.BLOCK
    assert rules.decide(facts(*three[:2], CARD, FINDING)).action is Action.ALLOW


def test_the_first_rule_that_matches_wins(tmp_path: Path) -> None:
    """Rules are asked in their order, and the record names the one that decided and how many were asked."""
    text = (
        rule('provider = "google"', id="a")
        + rule('model = "gpt-*"', id="b", action="allow")
        + rule('kind = "api"', id="c")
    )
    decision = policy_of(tmp_path, text).decide(facts())
    assert (decision.action, decision.rule, decision.rules_evaluated) == (Action.ALLOW, "b", 2)
    decision = policy_of(tmp_path, text).decide(facts(model="o3"))
    assert (decision.action, decision.rule, decision.rules_evaluated) == (Action.BLOCK, "c", 3)
    decision = policy_of(tmp_path, text).decide(facts(model="o3", target={"kind": "web"}))
    assert (decision.action, decision.rule, decision.rules_evaluated) == (Action.ALLOW, "default", 3)


def test_rules_for_findings_count_as_asked(tmp_path: Path) -> None:
    """A rule about findings is skipped for a request without any; its place in the order stays its number."""
    text = rule('class = "*"', id="a") + rule('class = "*", count = 2', id="b") + rule('kind = "api"', id="c")
    assert policy_of(tmp_path, text).decide(facts()).rules_evaluated == 3


@pytest.mark.parametrize(
    ("unless", "changes", "blocked"),
    [
        ('group = "finance"', {}, False),
        ('group = "red-team"', {}, True),
        ('group = "finance", network = "10.9.0.0/16"', {}, True),
        ('group = "finance", network = "10.1.0.0/16"', {}, False),
        ('model = ["gpt-4*", "o3"]', {"model": None}, True),
    ],
)
def test_unless_leaves_requests_alone(tmp_path: Path, unless: str, changes: dict[str, Any], blocked: bool) -> None:
    """All conditions of `unless` together keep a rule from matching; what is not known fits none of them."""
    rules = policy_of(tmp_path, rule('kind = "api"', f"unless = {{ {unless} }}"))
    assert (rules.decide(facts(**changes)).action is Action.BLOCK) is blocked


def test_unless_takes_out_findings_one_by_one(tmp_path: Path) -> None:
    """An exception for one class does not excuse another secret in the same request."""
    spared = replace(FINDING, data_class="secret.jwt", fingerprint="d" * 32)
    rules = policy_of(tmp_path, rule('class = "secret.*"', 'unless = { class = "secret.jwt" }'))
    assert rules.decide(facts(spared)).action is Action.ALLOW
    decision = rules.decide(facts(spared, FINDING))
    assert (decision.action, decision.blocked) == (Action.BLOCK, ("secret.cloud",))


def test_unless_of_both_kinds(tmp_path: Path) -> None:
    """Findings are excused only for the requests that `unless` names beside them."""
    rules = policy_of(
        tmp_path, rule('class = "financial.*"', 'unless = { class = "financial.card", provider = "stripe" }')
    )
    assert rules.decide(facts(CARD, target={"provider": "stripe"})).action is Action.ALLOW
    assert rules.decide(facts(CARD)).action is Action.BLOCK


def test_unless_a_finding_keeps_a_rule_without_findings_from_matching(tmp_path: Path) -> None:
    """`allow, unless a secret was found`: one secret and the rule does not match."""
    text = rule('provider = "openai"', 'unless = { class = "secret.*" }', action="allow", id="ok") + rule(
        'kind = "api"', id="no"
    )
    rules = policy_of(tmp_path, text)
    assert rules.decide(facts(MAIL)).rule == "ok"
    assert rules.decide(facts(MAIL, FINDING)).rule == "no"


def test_an_exception_does_not_carry_other_findings(tmp_path: Path) -> None:
    """A rule that allows cards lets a card pass, and not the private key beside it; samples do not count."""
    text = rule('class = "financial.card"', action="allow", id="cards") + rule('severity = "low"', id="all")
    rules = policy_of(tmp_path, text)
    assert rules.decide(facts(CARD)).rule == "cards"
    assert rules.decide(facts(CARD, FINDING)).action is Action.BLOCK
    assert rules.decide(facts(CARD, replace(FINDING, example=True))).rule == "cards"
    assert rules.decide(facts(replace(CARD, example=True))).action is Action.ALLOW


OBSERVED = ('mode = "observe"', "observe_until = 2026-12-31")


def test_observing_notes_and_lets_pass(tmp_path: Path) -> None:
    """An observed rule says what it would have done, and nothing is blocked."""
    decision = policy_of(tmp_path, rule('class = "financial.*"', *OBSERVED)).decide(facts(CARD))
    assert decision == Decision(
        action=Action.ALLOW,
        reason="OBSERVE_ONLY",
        rule="r",
        mode=Mode.OBSERVE,
        would=Action.BLOCK,
        classes=("financial.card",),
        rules_evaluated=1,
        blocked=("financial.card",),
    )


def test_observing_ends_with_its_day(tmp_path: Path) -> None:
    """Through the last day, in UTC, a rule observes; from the next second on it binds."""
    rules = policy_of(tmp_path, rule('kind = "api"', *OBSERVED))
    assert rules.decide(facts(at=ns("2026-12-31T23:59:59"))).action is Action.ALLOW
    assert rules.decide(facts(at=ns("2027-01-01T00:00:00"))).action is Action.BLOCK


def test_an_observed_rule_does_not_end_the_search(tmp_path: Path) -> None:
    """An observed rule above a binding one does not open the gate for what the lower one blocks."""
    text = rule('class = "*"', *OBSERVED, id="watch") + rule('class = "secret.*"', id="bind")
    rules = policy_of(tmp_path, text)
    assert rules.decide(facts(CARD)).would is Action.BLOCK
    decision = rules.decide(facts(CARD, FINDING))
    assert (decision.action, decision.rule, decision.would) == (Action.BLOCK, "bind", None)


def test_the_whole_policy_can_observe(tmp_path: Path) -> None:
    """With mode observe at the top no rule binds until the day after, and records name the first that would have."""
    text = 'mode = "observe"\nobserve_until = 2026-12-31\ndefault = "block"\n'
    rules = policy_of(tmp_path, text + rule('model = "gpt*"', id="a") + rule('kind = "api"', id="b"))
    decision = rules.decide(facts())
    assert (decision.action, decision.mode, decision.rule, decision.would) == (
        Action.ALLOW,
        Mode.OBSERVE,
        "a",
        Action.BLOCK,
    )
    other = rules.decide(facts(model="o3", target={"kind": "web"}))
    assert (other.action, other.rule, other.would) == (Action.ALLOW, "default", Action.BLOCK)
    assert rules.decide(facts(at=ns("2027-01-01T00:00:00"))).action is Action.BLOCK


def test_a_destination_can_observe(tmp_path: Path) -> None:
    """A destination in mode observe is blocked by no rule until its day has passed."""
    rules = policy_of(tmp_path, rule('kind = "api"'))
    observed = {"mode": Mode.OBSERVE, "observe_until": ns("2027-01-01T00:00:00")}
    assert rules.decide(facts(target=observed)).would is Action.BLOCK
    assert rules.decide(facts(target=observed, at=ns("2027-01-01T00:00:00"))).action is Action.BLOCK
    assert rules.decide(facts(target={**observed, "kind": "web"})).mode is Mode.OBSERVE


@pytest.mark.parametrize(
    ("text", "findings", "changes", "reason"),
    [
        (rule('class = "*"'), (CARD, FINDING), {}, "SECRET_FOUND"),
        (rule('class = "financial.*"'), (CARD, FINDING), {}, "CLASS_BLOCKED"),
        (rule('status = ["prohibited", "unreviewed"]'), (), {}, "PROVIDER_PROHIBITED"),
        (rule('kind = "api"', 'unless = { model = "o3" }'), (), {}, "MODEL_NOT_APPROVED"),
        (rule('tool = "shell"'), (), {}, "TOOL_NOT_ALLOWED"),
        (rule('assurance = "asserted"'), (), {}, "IDENTITY_MISSING"),
        (rule('kind = "api"'), (), {}, "POLICY_RULE"),
        (rule('kind = "api"', 'reason = "KEY_PERSONAL"'), (), {}, "KEY_PERSONAL"),
        ('default = "block"\n', (), {}, "NO_POLICY"),
        ("", (), {}, "NO_FINDINGS"),
        ("", (MAIL,), {}, "POLICY_RULE"),
        ("", (replace(MAIL, example=True),), {}, "NO_FINDINGS"),
    ],
)
def test_reason_codes(
    tmp_path: Path, text: str, findings: tuple[Finding, ...], changes: dict[str, Any], reason: str
) -> None:
    """The code says what kind of rule decided."""
    assert policy_of(tmp_path, text).decide(facts(*findings, **changes)).reason == reason


def test_classes_are_the_worst_first(tmp_path: Path) -> None:
    """A decision lists every class found, most severe first, without samples; `blocked` those that the rule names."""
    sample = replace(MAIL, data_class="personal.phone", example=True)
    decision = policy_of(tmp_path, rule('class = "financial.*"')).decide(facts(MAIL, CARD, sample, FINDING))
    assert decision.classes == ("secret.cloud", "financial.card", "personal.email")
    assert decision.blocked == ("financial.card",)


def test_message_and_contact(tmp_path: Path) -> None:
    """What a person reads is the rule's message and the contact, on one line."""
    text = 'contact = "Call 4711."\ndefault = "block"\n' + rule('model = "gpt*"', 'message = """\nNot\nthis."""')
    rules = policy_of(tmp_path, text)
    assert rules.decide(facts()).message == "Not this. Call 4711."
    assert rules.decide(facts(model="o3")).message == "Call 4711."


@pytest.mark.parametrize(
    ("expired", "action", "degraded"),
    [("", Action.REFUSE, ()), ('expired = "keep"', Action.ALLOW, ("policy_expired",))],
)
def test_a_policy_out_of_date(tmp_path: Path, expired: str, action: Action, degraded: tuple[str, ...]) -> None:
    """After its last day a policy refuses everything, or is kept and said to be old, as it says itself."""
    rules = policy_of(tmp_path, f"valid_to = 2026-12-31\n{expired}\n")
    assert rules.decide(facts(at=ns("2026-12-31T23:59:59"))).reason == "NO_FINDINGS"
    decision = rules.decide(facts(at=ns("2027-01-01T00:00:00")))
    assert (decision.action, decision.degraded) == (action, degraded)


# ----------------------------------------------------------------------------------------------------- any facts at all

TEXTS = st.one_of(
    st.text(max_size=12), st.sampled_from(["openai", "gpt-5", "secret.cloud", "financial.card", "*", "["])
)
FINDINGS = st.builds(
    Finding,
    detector=TEXTS,
    rev=st.integers(0, 9),
    data_class=TEXTS,
    severity=st.sampled_from(Severity),
    pointer=TEXTS,
    start=st.integers(0, 99),
    end=st.integers(0, 99),
    validated=st.sampled_from([True, False, None]),
    confidence=st.floats(0, 1),
    fingerprint=TEXTS,
    provenance=st.sampled_from(Provenance),
    novelty=TEXTS,
    example=st.booleans(),
    status=st.sampled_from(["stable", "test"]),
    regulations=st.tuples(TEXTS),
)
ANY_FACTS = st.builds(
    Facts,
    target=st.builds(
        Target,
        row=TEXTS,
        provider=TEXTS,
        product=TEXTS,
        kind=TEXTS,
        dialect=TEXTS,
        status=st.sampled_from(Status),
        mode=st.sampled_from(Mode),
        host=TEXTS,
    ),
    subject=st.builds(
        Subject,
        id=TEXTS,
        kind=TEXTS,
        method=TEXTS,
        assurance=st.sampled_from(Assurance),
        groups=st.lists(TEXTS, max_size=3).map(tuple),
    ),
    method=TEXTS,
    path=TEXTS,
    operation=TEXTS,
    model=st.none() | TEXTS,
    agent=st.none() | TEXTS,
    tools=st.lists(TEXTS, max_size=3).map(tuple),
    client_address=TEXTS | st.ip_addresses().map(str),
    findings=st.lists(FINDINGS, max_size=4).map(tuple),
    coverage=st.builds(
        Coverage,
        completeness=st.sampled_from(Completeness),
        wire_bytes=st.just(1),
        decoded_bytes=st.just(1),
        scanned_bytes=st.just(1),
        unread_bytes=st.just(0),
    ),
    credential=st.none() | st.builds(Credential, location=TEXTS, kind=TEXTS, fingerprint=TEXTS, hint=TEXTS),
    at=st.integers(0, 2**63),
)
EVERYTHING = Path(__file__).parents[1] / "config" / "good" / "policy-everything.toml"
SHIPPED = Path(__file__).parents[2] / "deploy" / "policy.toml"


def load(file: Path) -> PolicySet:
    return policy.load(file)


@pytest.mark.parametrize("file", [EVERYTHING, SHIPPED], ids=lambda f: f.name)
@settings(max_examples=150, deadline=None)
@given(given_facts=ANY_FACTS)
def test_no_facts_break_it_and_the_same_facts_give_the_same_decision(file: Path, given_facts: Facts) -> None:
    """Deciding never raises, and two readings of one file decide alike: a record can be replayed."""
    decision = load(file).decide(given_facts)
    assert decision == load(file).decide(given_facts)
    assert decision.action in (Action.ALLOW, Action.BLOCK, Action.REFUSE)
    assert (decision.would is not None) == (decision.mode is Mode.OBSERVE and decision.reason == "OBSERVE_ONLY")


@settings(max_examples=150, deadline=None)
@given(given_facts=ANY_FACTS, findings=st.lists(FINDINGS, max_size=3))
def test_more_findings_never_open_the_gate(given_facts: Facts, findings: list[Finding]) -> None:
    """As shipped, a request that is blocked stays blocked whatever else is found in it."""
    rules = load(SHIPPED)
    if rules.decide(given_facts).action is Action.BLOCK:
        more = replace(given_facts, findings=(*findings, *given_facts.findings))
        assert rules.decide(more).action is Action.BLOCK
