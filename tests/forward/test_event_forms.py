"""The forms of an event: OCSF classes with what they require, syslog with what it allows, and no content in any."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from sluice.forward import events
from sluice.ledger import record as ledger
from sluice.model import Match, Record, RecordType
from tests.forward.receivers import parsed

ROOT = Path(__file__).parents[2]
REQUIRED = ("activity_id", "category_uid", "class_uid", "metadata", "severity_id", "time", "type_uid")
MATCH = Match(
    detector="payment.card-number", rev=1, data_class="financial.card", severity="high", count=1, confidence=0.9,
    offset_bucket=0, fingerprint="a" * 32, mask="**** 0103",
)  # fmt: skip


def record(**facts: object) -> Record:
    told: dict[str, object] = {
        "record_type": RecordType.DECISION,
        "decision_id": "00000000-0000-7000-8000-000000000001",
        "chain_id": "n-w0",
        "epoch": 1,
        "seq": 7,
        "node_id": "n",
        "ts_received": 1_790_000_000_123_456,
        "decision": "block",
        "reason_code": "CLASS_BLOCKED",
        "rule_id": "payment-cards",
        "policy_id": "default",
        "policy_version": "1",
        "provider_id": "openai",
        "host": "api.openai.com",
        "dst_port": 443,
        "method": "POST",
        "path_template": "/v1/chat/completions",
        "subject_id": "f" * 32,
        "subject_kind": "user",
        "src_ip": "10.1.2.3",
        "src_port": 4711,
        "max_severity": "high",
    }
    return Record(**(told | facts))  # type: ignore[arg-type]


KINDS: tuple[tuple[Record, int], ...] = (
    (record(matches=(MATCH,), data_classes=("financial.card",)), 2006),
    (record(), 4002),
    (record(record_type=RecordType.OUTCOME, decision=None, client_status=200), 4002),
    (record(record_type=RecordType.BYPASS, decision="allow"), 4001),
    (record(record_type=RecordType.BYPASS, decision="allow", host=None, src_ip=None), 4001),
    (record(record_type=RecordType.CONTROL, decision=None, control_kind="start"), 6002),
    (record(record_type=RecordType.ACCESS, decision=None), 3004),
)
OF_CLASS = {
    2006: ("finding_info",),
    4002: ("http_request",),
    4001: ("dst_endpoint",),
    6002: ("app",),
    3004: ("entity",),
}


@pytest.mark.parametrize(("told", "class_uid"), KINDS, ids=lambda v: str(getattr(v, "record_type", v)))
def test_every_record_is_an_event_of_its_class(told: Record, class_uid: int) -> None:
    """What OCSF 1.6 requires of the class is there, `type_uid` follows from class and activity, nothing is null."""
    event = json.loads(events.ocsf(told))
    assert event["class_uid"] == class_uid
    assert not [name for name in (*REQUIRED, *OF_CLASS[class_uid]) if name not in event]
    assert event["type_uid"] == class_uid * 100 + event["activity_id"]
    assert event["category_uid"] == class_uid // 1000
    assert event["metadata"]["uid"] == "n-w0/1/7"
    assert "null" not in json.dumps(event)


@pytest.mark.parametrize(
    ("decision", "action", "priority"), [("allow", (1, 1), 110), ("block", (2, 2), 108), ("refuse", (2, 2), 108)]
)
def test_a_decision_is_an_action(decision: str, action: tuple[int, int], priority: int) -> None:
    """Allowed or denied in OCSF, a severity in syslog; observing is told apart."""
    event = events.ocsf_event(record(decision=decision))
    assert (event["action_id"], event["disposition_id"]) == action
    assert parsed(events.syslog(record(decision=decision)))["pri"] == str(priority)
    observed = record(decision="allow", would_decide="block")
    assert events.ocsf_event(observed)["is_alert"] is True
    assert parsed(events.syslog(observed))["pri"] == "109"


def test_json_is_the_record_with_an_id() -> None:
    """The line is the ledger's own bytes with `uid` in front."""
    body = ledger.encode(record())
    line = json.loads(events.plain(record(), body))
    assert line.pop("uid") == "n-w0/1/7"
    assert line == json.loads(body)


def test_syslog_stays_ascii_and_whole() -> None:
    """Whatever a client chose: one line of ASCII, fields in their form, values escaped, none longer than its bound."""
    odd = record(host='a"]\\\n\u202e\u00e9', node_id="h\u00f6st name", model_requested="x" * 5000)
    told = events.syslog(odd)
    assert told.isascii()
    assert b"\n" not in told
    assert len(told) < 4096
    assert parsed(told)["host"]
    assert re.fullmatch(r"[!-~]+", parsed(told)["host"].split(" ")[0])


def test_the_mapping_is_written_down() -> None:
    """What syslog or OCSF's `unmapped` carries is a field of the record; the page names what is mapped."""
    page = (ROOT / "deploy" / "FORWARDING.md").read_text("utf-8")
    known = set(Record.__struct_fields__)
    assert set(events._STRUCTURED) <= known
    assert set(events._UNMAPPED) <= known
    for name in ("decision", "reason_code", "rule_id", "subject_id", "src_ip", "matches", "data_classes"):
        assert f"`{name}`" in page
    for uid in OF_CLASS:
        assert str(uid) in page


def test_sigma_rules_name_fields_that_exist() -> None:
    """Each of the three examples asks for fields of the record, by values that a record can have."""
    files = sorted((ROOT / "deploy" / "sigma").glob("*.yml"))
    assert len(files) == 3
    known: set[str] = set(Record.__struct_fields__) | {f"matches.{f}" for f in Match.__struct_fields__}
    for file in files:
        asked = re.findall(r"^    ([a-z_.]+):", file.read_text("utf-8"), re.M)
        fields: set[Any] = {name for name in asked if name not in ("selection", "filter", "condition")}
        assert fields
        assert fields - {"gte"} <= known, file.name
