"""However many hosts, names and agents clients make up: the number of series stays what the closed lists allow."""

from __future__ import annotations

from copy import replace

from addons.clientkind import KINDS, kind_of
from sluice import metrics
from sluice.gate import _count
from sluice.model import Action, Decision, Subject
from sluice.recording import Inspection
from tests.gate.test_gate import TARGET


def test_a_hundred_thousand_names_are_one_series() -> None:
    """T61: providers that no table knows are `other`, hosts and subjects are no label, agents one of a few words."""
    series = ("allow", "NO_FINDINGS", "other", TARGET.kind, TARGET.status, "enforce")
    before, counted = len(metrics.DECISIONS), metrics.DECISIONS[series].count
    decision = Decision(action=Action.ALLOW, reason="NO_FINDINGS", rule="default")
    for n in range(100_000):
        host = f"h{n}.example"
        target = replace(TARGET, provider=f"made-up-{n}", host=host, row=host)
        subject = Subject(f"user:{n}", "user", "none", "none")  # type: ignore[arg-type]
        _count(Inspection(target=target, decision=decision, subject=subject), decision)
    assert metrics.DECISIONS[series].count == counted + 100_000
    assert len(metrics.DECISIONS) <= before + 1
    assert {kind_of(f"agent-{n}/{n}") for n in range(10_000)} <= set(KINDS)
