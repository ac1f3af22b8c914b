"""An exception of the register that names a finding: what it covers is accepted until its last day."""

from __future__ import annotations

import tomllib
from datetime import timedelta
from typing import Any

from sluice import metrics
from sluice.posture import evaluation, proposal, question, units
from sluice.ship import open_findings
from tests.posture.posture_rig import NOW, Rig, ago, decision, ended, micros

UNIT = units.findings()["PRV-01"]


def evaluate(rig: Rig, at: Any) -> dict[str, int]:
    out = evaluation.Evaluated(at)
    for _ in evaluation.steps(rig.store.own, rig.store.add, [UNIT], at, out):
        pass
    assert out.failed == {}
    return out.events


def stands(rig: Rig) -> dict[str, dict[str, Any]]:
    rows = rig.rows(
        "SELECT scope, toString(status) AS status, toString(severity) AS severity, owner, reason, hits,"
        " toString(accepted_until) AS until FROM findings"
    )
    return {row["scope"]: row for row in rows}


def test_its_life_in_the_store(rig: Rig) -> None:
    """Opened and accepted in one evaluation, of the scope that it covers and no other; open again when its time is
    over, when it grows graver, and when the row is gone; accepted anew by a changed row alone."""
    used = {"provider_status": "prohibited", "ts_received": ago(hours=30)}
    rig.put(ended(decision(provider_id="deepseek", **used), decision(provider_id="mistral", **used)))
    last = (NOW + timedelta(days=2)).date()
    row = {"expires": str(last), "finding": "PRV-01", "provider": "deepseek", "reason": "pilot", "granted_by": "ana"}
    rig.declare([("exception", "EX-1", row)], NOW - timedelta(hours=2))
    assert evaluate(rig, NOW) == {"opened": 2, "accepted": 1}
    found = stands(rig)["provider=deepseek"]
    assert (found["status"], found["owner"], found["hits"]) == ("accepted", "register", 1)
    assert (found["reason"], found["until"][:10]) == (
        "exception EX-1: pilot, granted by ana",
        str(last + timedelta(days=1)),
    )
    assert stands(rig)["provider=mistral"]["status"] == "open"
    assert evaluate(rig, NOW + timedelta(minutes=15)) == {}

    graver = {"data_classes": ("phi.record",), "provider_status": "prohibited"}
    rig.put(ended(decision(provider_id="deepseek", ts_received=micros(NOW + timedelta(minutes=20)), **graver)))
    assert evaluate(rig, NOW + timedelta(minutes=30)) == {"reopened": 1}
    found = stands(rig)["provider=deepseek"]
    assert (found["status"], found["severity"]) == ("reopened", "critical")
    assert evaluate(rig, NOW + timedelta(minutes=45)) == {}

    rig.declare([("exception", "EX-1", row | {"reason": "pilot, with patients"})], NOW + timedelta(minutes=50))
    assert evaluate(rig, NOW + timedelta(hours=1)) == {"accepted": 1}
    assert evaluate(rig, NOW + timedelta(hours=2)) == {}
    events = evaluate(rig, NOW + timedelta(days=3))
    assert events["reopened"] == 1
    assert stands(rig)["provider=deepseek"]["reason"] == "its acceptance has ended"

    rig.declare([("exception", "EX-2", row | {"expires": "2027-01-01"})], NOW + timedelta(days=3, hours=1))
    assert evaluate(rig, NOW + timedelta(days=3, hours=2)) == {"accepted": 1}
    rig.declare([("exception", "EX-3", row | {"finding": "PRV-02"})], NOW + timedelta(days=3, hours=3))
    assert evaluate(rig, NOW + timedelta(days=3, hours=4)) == {"reopened": 1}
    assert stands(rig)["provider=deepseek"]["reason"] == "no exception of the register covers it now"


def test_what_stands_is_measured(rig: Rig) -> None:
    """Every severity and state has its number, those with nothing too; what is fixed is in none."""
    rig.clear()
    at = {"at": "2026-11-20 10:00:00", "first_seen": "2026-11-20 10:00:00", "last_seen": "2026-11-20 10:00:00"}
    for scope, event, severity in (
        *(("a", "opened", "critical"), ("b", "reopened", "critical"), ("c", "accepted", "high")),
        *(("d", "acknowledged", "low"), ("e", "fixed", "critical")),
    ):
        row = {"finding": "X-1", "scope": scope, "severity": severity, **at}
        rig.add("finding_events", row | {"event": "opened"}, row | {"event": event, "at": "2026-11-20 11:00:00"})
    open_findings.publish(rig.store)
    told = {
        (s.labels["severity"], s.labels["state"]): s.value
        for family in metrics.POSTURE_FINDINGS.collect()
        for s in family.samples
    }
    assert len(told) == 12
    assert {key: n for key, n in told.items() if n} == {
        ("critical", "open"): 2,
        ("high", "accepted"): 1,
        ("low", "acknowledged"): 1,
    }


def test_what_was_bound_to_the_tenant_is_no_personal_account(rig: Rig) -> None:
    """IDN-05 counts requests to a sanctioned service's pages that went out without the header that the register names,
    and proposes the setting that adds it."""
    rig.clear()
    pages = {"target_row": "claude", "provider_id": "anthropic", "provider_status": "sanctioned"}
    bound = {"injected_tenant_header": "anthropic-allowed-org-ids"}
    rig.put(ended(decision(**pages), decision(**pages, **bound), decision(**pages, **bound)))
    rows = [
        ("domain", "claude", {"provider": "anthropic", "kind": "assistant"}),
        ("provider", "anthropic", {"tenant_header": "anthropic-allowed-org-ids"}),
    ]
    rig.declare(rows, NOW - timedelta(hours=2))
    unit = units.findings()["IDN-05"]
    sql = question.filled(unit.sql, {"since": NOW - timedelta(days=1), "until": NOW})
    (row,) = rig.rows(f"SELECT sum(q.hits) AS hits, sum(q.seen) AS seen, any(q.facts) AS facts FROM ({sql}) AS q")
    assert row == {"hits": 1, "seen": 3, "facts": "no tenant header; header anthropic-allowed-org-ids"}
    change = tomllib.loads(proposal.text(unit, 'provider=anthropic"\nx = 1', row["facts"]) or "")
    assert change["upstream"]["tenant"][0]["provider"] == 'anthropic" x = 1'
