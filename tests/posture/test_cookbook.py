"""The cookbook: 41 questions, each run as it stands against the embedded engine, through the gate that analysts use."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest

from sluice.config import schema_dir
from sluice.posture import evaluation, score, units
from tests.posture.finding_fixtures import seen
from tests.posture.posture_rig import Rig, control, decision, ended, found, micros

COOKBOOK = (schema_dir() / "cookbook.md").read_text("utf-8")
QUESTIONS = re.findall(r"^### (\d+)\. (.+?)$.*?^```sql\n(.*?)^```$", COOKBOOK, re.MULTILINE | re.DOTALL)
EMPTY = {"10", "20"}
"""Questions about one decision, and about keys that work: nothing here answers them."""


@pytest.fixture(scope="module")
def asked(rig: Rig) -> Rig:
    """An hour of traffic that every question has something to say about."""
    at = micros(datetime.now(UTC) - timedelta(minutes=20))
    secret = found("secret.ai-key", suppressed="known", provenance="user")
    usual = {"ts_received": at, "key_fp": "k1", "key_kind": "openai.project", "conversation_fp": "c1", "sdk": "openai"}
    block = {"decision": "block", "rule_id": "secrets", "reason_code": "SECRET_FOUND"}
    acts = {"agent_id": "cline", "tools_declared": ("bash",), "dangerous_tools": ("bash",), "mcp_servers": ("files",)}
    partial = {"inspection_status": "partial", "uninspected_bytes": 9, "uninspected_reason": ("image",)}
    records = ended(
        *(decision(**usual, **block, subject_id="ann", data_classes=("pii.name",)) for _ in range(3)),
        decision(**usual, subject_id="bob", data_classes=("secret.ai-key",), matches=(secret,)),
        decision(**usual, **acts, policy_mode="observe", would_decide="block", identity_assurance="none"),
        decision(**usual, **partial, provider_status="unreviewed", fail_mode="open", reason_detail="scan_error"),
        tool_calls_returned=("bash",),
        upstream_status=503,
        tokens_in=5,
    )
    bypass = decision(record_type="bypass", ts_received=at, host="tunnel.example", inspection_status=None)
    rig.put([*records, bypass, control("start", at, clean=True)])
    rig.add("cov_observation", *seen("elsewhere.example", at)["cov_observation"])
    now = datetime.now(UTC)
    one = [u for u in units.findings().values() if u.id == "AGT-02"]
    for _ in evaluation.steps(rig.ask, rig.store.add, one, now, evaluation.Evaluated(now)):
        pass
    score.keep(rig.ask, rig.store.add, now)
    return rig


def test_there_are_forty_one() -> None:
    """Numbered from 1, each with its query."""
    assert [int(number) for number, _, _ in QUESTIONS] == list(range(1, 42))
    assert COOKBOOK.count("```sql") == 41


@pytest.mark.parametrize(("number", "title", "sql"), QUESTIONS, ids=[number for number, _, _ in QUESTIONS])
def test_a_question_is_answered(asked: Rig, number: str, title: str, sql: str) -> None:
    """It runs as it stands, and says something where the records have something to say."""
    rows = asked.table(sql).rows
    assert bool(rows) == (number not in EMPTY), title
