"""A candidate policy over recorded decisions: what changes is told, what cannot be told is not guessed."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from sluice import config, policy, recording
from sluice.cli.check import load_rulebook
from sluice.cli.policy import _candidate
from sluice.config import Settings
from sluice.explain import exchange_of
from sluice.gate import inspect
from sluice.identity import Resolver
from sluice.model import Action, Match, Policy, Record, RecordType, Rulebook, Target
from sluice.simulate import Known, Undetermined, decide, simulate

AT = 1_790_000_000_000_000
CARD = "5425233430109903"
KEY = "ghp_" + "aB3dE5gH7jK9mN1pQ2rS4tU6vW8xY0zA1bC3"
TARGET_ROW = "openai-api"


def record(**facts: object) -> Record:
    told: dict[str, object] = {
        "record_type": RecordType.DECISION,
        "decision_id": "0190",
        "ts_received": AT,
        "target_row": TARGET_ROW,
        "provider_id": "openai",
        "provider_status": "unreviewed",
        "host": "api.openai.com",
        "method": "POST",
        "path_template": "/v1/chat/completions",
        "operation": "chat",
        "model_requested": "gpt-5",
        "subject_id": "f" * 32,
        "subject_kind": "user",
        "identity_method": "header",
        "identity_assurance": "asserted",
        "src_ip": "10.1.2.3",
        "hmac_key_id": "k1",
        "inspection_status": "full",
        "decision": "allow",
        "rule_id": "default",
        "policy_id": "default",
        "policy_version": "1",
    }
    return Record(**(told | facts))  # type: ignore[arg-type]


def match(**facts: object) -> Match:
    told: dict[str, object] = {
        "detector": "payment.card-number",
        "rev": 1,
        "data_class": "financial.card",
        "severity": "high",
        "count": 1,
        "validated": True,
        "confidence": 0.9,
        "offset_bucket": 0,
        "fingerprint": "a" * 32,
    }
    return Match(**(told | facts))  # type: ignore[arg-type]


def target(row: str) -> Target | None:
    from sluice.model import Mode, Status

    if row != TARGET_ROW:
        return None
    return Target(row, "openai", "api", "api", "openai", Status.UNREVIEWED, Mode.ENFORCE, "api.openai.com")


KNOWN = Known(target, {})


def rules(tmp_path: Path, text: str) -> Policy:
    file = tmp_path / "candidate.toml"
    file.write_text(f'id = "candidate"\nversion = "2"\n{text}\n')
    return policy.load(file)


CARDS = '[[rule]]\nid = "cards"\nwhen = {{ class = "financial.card"{more} }}\naction = "block"\n'


def test_a_stricter_rule_changes_what_it_names(tmp_path: Path) -> None:
    """What the new rule blocks is one difference, with how many, whose, and an example; the rest stays."""
    candidate = rules(tmp_path, CARDS.format(more=""))
    past = [
        record(matches=(match(),), data_classes=("financial.card",), decision_id="1"),
        record(matches=(match(),), data_classes=("financial.card",), decision_id="2", ts_received=AT + 5),
        record(),
    ]
    found = simulate(past, candidate, KNOWN)
    (change,) = found.changes
    assert (change.before, change.after, change.rule_after) == ("allow", "block", "cards")
    difference = found.changes[change]
    assert (difference.decisions, difference.example, found.same) == (2, "2", 1)
    assert difference.classes == {"financial.card": 2}


def test_observing_is_a_difference_of_its_own(tmp_path: Path) -> None:
    """A rule that only observes at that time lets pass, and the table says what it would have done."""
    observed = CARDS.format(more="") + 'mode = "observe"\nobserve_until = 2027-01-31\n'
    found = simulate([record(matches=(match(),))], rules(tmp_path, observed), KNOWN)
    assert [(c.before, c.after) for c in found.changes] == [("allow", "allow (would block)")]


@pytest.mark.parametrize(
    ("condition", "facts", "missing"),
    [
        ('group = "staff"', {"groups_hash": "b" * 32}, "group"),
        ('subject = "al*"', {}, "subject"),
        ('path = "/v1/files/abc"', {"path_template": "/v1/files/{id}"}, "path"),
        ('tool = "bash"', {"tools_declared": ("(withheld)",)}, "tool"),
        ('model = "gpt-4*"', {"model_requested": "(withheld)"}, "model"),
        ('network = ["10.0.0.0/8"]', {"src_ip": None}, "network"),
    ],
)
def test_what_no_record_holds_is_not_guessed(
    tmp_path: Path, condition: str, facts: dict[str, object], missing: str
) -> None:
    """A rule that asks for something that records leave out makes the decision undetermined, by name."""
    candidate = rules(tmp_path, f'[[rule]]\nid = "r"\nwhen = {{ {condition} }}\naction = "block"\n')
    known = copy.replace(KNOWN, open_subjects=missing == "subject")
    with pytest.raises(Undetermined) as asked:
        decide(record(**facts), candidate, known)
    assert asked.value.missing == missing


def test_a_question_that_is_not_reached_does_no_harm(tmp_path: Path) -> None:
    """The group is asked for only where everything before it holds: other providers are decided."""
    candidate = rules(
        tmp_path, '[[rule]]\nid = "r"\nwhen = { provider = "anthropic", group = "staff" }\naction = "block"\n'
    )
    decision = decide(record(groups_hash="b" * 32), candidate, KNOWN)
    assert decision is not None
    assert decision.action is Action.ALLOW


def test_a_name_that_the_candidate_spells_is_compared_by_its_pseudonym(tmp_path: Path) -> None:
    """`subject = "alice"` finds alice's records, and nobody else's, without revealing a name."""
    candidate = rules(tmp_path, '[[rule]]\nid = "r"\nwhen = { subject = "alice" }\naction = "block"\n')
    known = copy.replace(KNOWN, names={("k1", "a1"): "user:alice"})
    hers, his = decide(record(subject_id="a1"), candidate, known), decide(record(subject_id="b2"), candidate, known)
    assert hers is not None
    assert his is not None
    assert (hers.action, his.action) == (Action.BLOCK, Action.ALLOW)


def test_what_no_policy_decides_stays(tmp_path: Path) -> None:
    """Refusals of the proxy itself, tunnels, and who was refused for having no name: no candidate changes those."""
    candidate = rules(tmp_path, 'default = "allow"')
    past = [
        record(decision="refuse", rule_id="gate", reason_code="WEBSOCKET"),
        record(target_row=None, decision="allow", rule_id="not-ai"),
        record(decision="block", rule_id="identity.require"),
    ]
    found = simulate(past, candidate, KNOWN)
    assert (found.untouched, found.changed) == (3, 0)


def test_the_failure_table_is_asked_too(tmp_path: Path) -> None:
    """A body that could not be read is decided by the candidate's own row, two that differ are not guessed."""
    opened = rules(tmp_path, '[failure]\ndecode_error = "allow"\n')
    broken = {"decision": "refuse", "rule_id": "failure.decode_error", "inspection_status": "none"}
    decision = decide(record(**broken, uninspected_reason=("corrupt_coding",)), opened, KNOWN)
    assert decision is not None
    assert decision.action is Action.ALLOW
    with pytest.raises(Undetermined):
        decide(record(**broken, uninspected_reason=("bad_json", "corrupt_coding")), opened, KNOWN)
    slow = record(
        decision="refuse", rule_id="failure.scan_timeout", reason_detail="scan_timeout", inspection_status=None
    )
    timed_out = decide(slow, opened, KNOWN)
    assert timed_out is not None
    assert timed_out.action is Action.REFUSE


def test_suppressed_findings_stay_out_of_the_account(tmp_path: Path) -> None:
    """What a suppression took out then is not counted now."""
    found = simulate([record(matches=(match(suppressed="s"),))], rules(tmp_path, CARDS.format(more="")), KNOWN)
    assert (found.changed, found.same) == (0, 1)


# ------------------------------------------------------------------------------------ against the gate's own records


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Settings, Rulebook]]:
    """The shipped rules as an appliance has them."""
    plain = Settings()
    settings = msgspec.structs.replace(plain, paths=config.Paths(var=tmp_path_factory.mktemp("var")))
    yield settings, load_rulebook(settings)


def past(settings: Settings, book: Rulebook) -> Iterator[Record]:
    """Records as the gate makes them, of requests of many kinds."""
    resolver = Resolver.load(settings)
    texts = ("hello", f"card {CARD}", f"key {KEY}", "4111 1111 1111 1111", "write to ana@example.org")
    for number, host in enumerate(("api.openai.com", "api.anthropic.com", "api.deepseek.com")):
        for text in texts:
            body = {"model": "gpt-5", "messages": [{"role": "user", "content": text}]}
            asked = {"host": host, "path": "/v1/chat/completions", "body": body}
            exchange = exchange_of(asked | {"headers": {"authorization": f"Bearer sk-{number}"}}, at=AT * 1000)
            seen = inspect(exchange, book, settings.limits, resolver)
            yield recording.decision_record(exchange, seen, book, settings.evidence)
    for odd in (b"{broken", b"\x1f\x8b broken"):
        headers = {"content-type": "application/json"} | ({"content-encoding": "gzip"} if odd[:1] == b"\x1f" else {})
        exchange = exchange_of(
            {"host": "api.openai.com", "path": "/v1/chat/completions", "headers": headers}, at=AT * 1000
        )
        exchange = copy.replace(exchange, body=odd)
        seen = inspect(exchange, book, settings.limits, resolver)
        yield recording.decision_record(exchange, seen, book, settings.evidence)


def test_the_policy_that_decided_changes_nothing(site: tuple[Settings, Rulebook]) -> None:
    """Records of the gate, decided once more by the very policy that made them: no difference, nothing undetermined."""
    settings, book = site
    same, known = _candidate(settings, config.shipped_policy())
    records = list(past(settings, book))
    assert {r.decision for r in records} == {"allow", "block", "refuse"}
    found = simulate(records, same, known)
    assert (found.changes, dict(found.undetermined), found.untouched) == ({}, {}, 0)
    assert found.same == len(records)


def test_a_candidate_over_the_gates_records(site: tuple[Settings, Rulebook], tmp_path: Path) -> None:
    """Without rules everything that was blocked would pass, and nothing else changes but the name of the rule."""
    settings, book = site
    file = tmp_path / "open.toml"
    file.write_text('id = "open"\nversion = "1"\n[failure]\npartial_inspection = "allow"\n')
    opened, known = _candidate(settings, file)
    records = list(past(settings, book))
    found = simulate(records, opened, known)
    blocked = sum(r.decision == "block" for r in records)
    assert (
        sum(d.decisions for c, d in found.changes.items() if (c.before, c.after) == ("block", "allow")) == blocked > 0
    )
    assert {c.before for c in found.changes} == {"block"}
