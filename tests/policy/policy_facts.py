"""Facts and findings for the policy tests: a plain request to OpenAI, changed where a test needs it."""

from __future__ import annotations

import datetime as dt
from copy import replace
from pathlib import Path
from typing import Any

from sluice import policy
from sluice.model import (
    Assurance,
    Completeness,
    Coverage,
    Credential,
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

TARGET = Target(
    row="openai-api",
    provider="openai",
    product="openai-api",
    kind="api",
    dialect="openai",
    status=Status.UNREVIEWED,
    mode=Mode.ENFORCE,
    host="api.openai.com",
)
SUBJECT = Subject("user:alice", "user", "header_trusted", Assurance.ASSERTED, ("staff", "finance"))


def ns(text: str) -> int:
    """An ISO time as nanoseconds since the epoch."""
    return int(dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC).timestamp()) * 1_000_000_000


NOW = ns("2026-11-24T12:00:00")

FACTS = Facts(
    target=TARGET,
    subject=SUBJECT,
    method="POST",
    path="/v1/chat/completions",
    operation="chat",
    model="gpt-5.1-mini",
    agent="codex-cli",
    tools=("shell", "lookup"),
    client_address="10.1.2.3",
    findings=(),
    coverage=Coverage(Completeness.FULL, 100, 100, 100, 0),
    credential=Credential("header:authorization:bearer", "openai.project", "f" * 32, "sk-proj"),
    at=NOW,
)

FINDING = Finding(
    detector="cloud.aws-key",
    rev=1,
    data_class="secret.cloud",
    severity=Severity.CRITICAL,
    pointer="/messages/0/content",
    start=0,
    end=20,
    validated=None,
    confidence=0.9,
    fingerprint="a" * 32,
    provenance=Provenance.USER,
    regulations=("pci-dss-4:3.5",),
)
CARD = replace(
    FINDING,
    detector="payment.card-number",
    data_class="financial.card",
    severity=Severity.HIGH,
    validated=True,
    fingerprint="b" * 32,
)
MAIL = replace(
    FINDING,
    detector="personal.email",
    data_class="personal.email",
    severity=Severity.LOW,
    confidence=0.6,
    fingerprint="c" * 32,
    provenance=Provenance.FILE,
    regulations=(),
)


def facts(*findings: Finding, **changes: Any) -> Facts:
    """The plain request with findings; `target` and `subject` as dicts change single fields of theirs."""
    if isinstance(changes.get("target"), dict):
        changes["target"] = replace(TARGET, **changes["target"])
    if isinstance(changes.get("subject"), dict):
        changes["subject"] = replace(SUBJECT, **changes["subject"])
    return replace(FACTS, findings=findings, **changes)


def policy_of(directory: Path, body: str) -> PolicySet:
    """The policy with that text below an id and a version."""
    file = directory / "policy.toml"
    file.write_text(f'id = "test"\nversion = "1"\n{body}')
    return policy.load(file)
