"""The policy that ships: what it blocks, what it lets pass, and that its own examples are right."""

from __future__ import annotations

import re
from copy import replace
from pathlib import Path

import pytest
from policy_facts import CARD, FINDING, MAIL, facts

from sluice import policy, targets
from sluice.errors import Cause
from sluice.model import Action, Finding, Severity, Status

ROOT = Path(__file__).parents[2]
FILE = ROOT / "deploy" / "policy.toml"
SHIPPED = policy.load(FILE, known_providers=targets.load(ROOT / "signatures" / "targets.toml").providers)
STATE_ID = replace(CARD, data_class="government.us-ssn", fingerprint="e" * 32)


@pytest.mark.parametrize(
    ("finding", "rule"),
    [
        (FINDING, "secrets"),
        (replace(FINDING, severity=Severity.MEDIUM, data_class="secret.password"), "secrets"),
        (CARD, "payment-cards"),
        (STATE_ID, "government-ids"),
    ],
)
@pytest.mark.parametrize("status", list(Status))
def test_what_is_blocked_to_anyone(finding: Finding, rule: str, status: Status) -> None:
    """Secrets, cards and government ids with a passing checksum go to nobody, sanctioned or not."""
    decision = SHIPPED.decide(facts(MAIL, finding, target={"status": status}))
    assert decision.action is Action.BLOCK
    assert decision.rule == ("prohibited-provider" if status is Status.PROHIBITED else rule)
    assert decision.message


@pytest.mark.parametrize(
    "finding",
    [
        MAIL,
        replace(CARD, validated=False),
        replace(STATE_ID, validated=None),
        replace(FINDING, severity=Severity.LOW),
        replace(FINDING, example=True),
        replace(FINDING, status="test"),
        replace(MAIL, data_class="financial.iban", validated=True, severity=Severity.HIGH),
    ],
)
def test_what_is_only_recorded(finding: Finding) -> None:
    """Everything else passes, and the record says what was found unless it was a sample or a trial."""
    decision = SHIPPED.decide(facts(finding))
    assert (decision.action, decision.rule) == (Action.ALLOW, "default")


def test_a_prohibited_provider_gets_nothing() -> None:
    """A clean request to a prohibited provider is blocked with its own code; to any other it passes."""
    decision = SHIPPED.decide(facts(target={"status": Status.PROHIBITED}))
    assert (decision.action, decision.reason) == (Action.BLOCK, "PROVIDER_PROHIBITED")
    assert SHIPPED.decide(facts()).reason == "NO_FINDINGS"


def test_only_unreadable_parts_pass() -> None:
    """Of all causes only partial inspection is open as shipped, and every cause has its row."""
    assert set(SHIPPED.failure.rows) == set(Cause)
    for cause in Cause:
        expected = Action.ALLOW if cause is Cause.PARTIAL_INSPECTION else Action.REFUSE
        assert SHIPPED.on_failure(cause, None, 0).action is expected
    assert SHIPPED.warnings == ()


def test_the_examples_in_its_comments_are_right(tmp_path: Path) -> None:
    """What the file shows commented out loads when the marks are taken away."""
    lines = FILE.read_text("utf-8").splitlines()
    shown = re.compile(r"# (\[\[|[a-z_]+ +=)")
    text = "\n".join(line.removeprefix("# ") if shown.match(line) else line for line in lines)
    file = tmp_path / "policy.toml"
    file.write_text(text.replace('provider = "house"', 'provider = "ollama"'))
    loaded = policy.load(file)
    assert len(loaded.rules) >= 8
    assert loaded.contact
    assert loaded.failure.rules
    assert loaded.observe_until
    assert loaded.expires
