"""A record as others read it: RFC 5424, OCSF 1.6, or its own JSON. Pure; no content, because a record holds none.

The mapping is written down in `deploy/FORWARDING.md`; a test holds the two together.
"""

from __future__ import annotations

import importlib.metadata
import json
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from typing import Any

from sluice.model import Record, RecordType

OCSF_VERSION = "1.6.0"
SD_ID = "sluice@32473"
"""Structured data of ours. 32473 is the number that RFC 5612 keeps for examples: there is no registered one."""
FACILITY = 13
"""Log audit (RFC 5424, table 1)."""

_SYSLOG_SEVERITY = {"block": 4, "refuse": 4, "allow": 6}
_OCSF_SEVERITY = {"info": 1, "low": 2, "medium": 3, "high": 4, "critical": 5}
_ACTION = {"allow": (1, 1), "block": (2, 2), "refuse": (2, 2)}
"""OCSF action and disposition: allowed; denied and blocked. A refusal is told apart by `status_code`."""
_METHODS = {"CONNECT": 1, "DELETE": 2, "GET": 3, "HEAD": 4, "OPTIONS": 5, "POST": 6, "PUT": 7, "TRACE": 8, "PATCH": 9}
_LIFE = {"start": 3, "stop": 4}
_UNMAPPED = (
    *("provider_id", "provider_status", "product", "target_row", "operation", "model_requested", "model_served"),
    *("agent_id", "data_classes", "max_severity", "inspection_status", "uninspected_reason", "key_kind", "key_fp"),
    *(
        "key_ownership_at_decision",
        "identity_method",
        "identity_assurance",
        "would_decide",
        "reason_detail",
        "degraded",
    ),
    *("regulated_tags", "tools_declared", "dangerous_tools", "mcp_servers", "rulebook_digest", "hmac_key_id"),
    *("control_kind", "control_detail", "tokens_in", "tokens_out", "tunnel_bytes_up", "tunnel_bytes_down"),
    *("retention_class", "session_id", "prev_hash"),
)
"""Fields of the record that OCSF has no attribute for; they stand below `unmapped` under their own names."""

_STRUCTURED = (
    *("decision_id", "decision", "would_decide", "reason_code", "rule_id", "policy_version", "provider_id"),
    *("provider_status", "host", "method", "model_requested", "operation", "agent_id", "subject_id", "subject_kind"),
    *("identity_assurance", "src_ip", "key_fp", "key_kind", "data_classes", "max_severity", "inspection_status"),
    *("control_kind", "rulebook_digest"),
)
"""Fields of the record that a syslog message carries as structured data."""
_VALUE = 512
"""Characters of one value of structured data."""


@cache
def _version() -> str:
    return importlib.metadata.version("sluice")


def uid(record: Record) -> str:
    """What no other record has: its place in the evidence."""
    return f"{record.chain_id or record.node_id}/{record.epoch}/{record.seq}"


def plain(record: Record, body: bytes) -> bytes:
    """The record as the ledger has it, with its id, as one line of JSON."""
    return b'{"uid":' + json.dumps(uid(record)).encode() + b"," + body[1:]


# --------------------------------------------------------------------------------------------------------------- OCSF


def ocsf(record: Record, body: bytes = b"") -> bytes:
    """The record as an OCSF event, one line of JSON."""
    event = ocsf_event(record)
    return json.dumps(event, separators=(",", ":"), ensure_ascii=True).encode()


def ocsf_event(record: Record) -> dict[str, Any]:
    """The class follows from what the record is: a decision with findings is a Data Security Finding, one without an
    HTTP Activity, a tunnel a Network Activity, a control record Application Lifecycle, a lookup Entity Management."""
    match record.record_type:
        case RecordType.DECISION if record.matches:
            made = _finding(record)
        case RecordType.DECISION | RecordType.OUTCOME:
            made = _http(record)
        case RecordType.BYPASS:
            made = _network(record)
        case RecordType.CONTROL:
            activity = _LIFE.get(record.control_kind or "", 99)
            made = _class(6002, 6, activity) | {"app": {"name": "Sluice", "vendor_name": "Sluice"}}
        case _:
            made = _class(3004, 3, 2) | {"entity": {"uid": record.subject_id or "-", "type": "pseudonym"}}
    event = made | {
        "time": record.ts_received // 1000,
        "severity_id": _OCSF_SEVERITY.get(record.max_severity or "", 1),
        "metadata": {
            "version": OCSF_VERSION,
            "uid": uid(record),
            "correlation_uid": record.decision_id or None,
            "log_name": str(record.record_type),
            "profiles": ["security_control", "host"],  # `host` is what `actor` belongs to
            "product": {"name": "Sluice", "vendor_name": "Sluice", "version": _version()},
        },
        "unmapped": {k: v for k in _UNMAPPED if (v := getattr(record, k)) not in (None, ())},
    }
    if record.decision is not None:
        action, disposition = _ACTION.get(record.decision, (99, 99))
        event |= {"action_id": action, "disposition_id": disposition, "status_code": record.reason_code}
        event["is_alert"] = record.decision != "allow" or record.would_decide is not None
    if record.policy_id:
        event["policy"] = {"name": record.policy_id, "version": record.policy_version, "uid": record.policy_sha256}
    if record.rule_id:
        event["firewall_rule"] = {"uid": record.rule_id}
    said: dict[str, Any] = _said(event)
    return said


def _class(class_uid: int, category: int, activity: int) -> dict[str, Any]:
    return {
        "class_uid": class_uid,
        "category_uid": category,
        "activity_id": activity,
        "type_uid": class_uid * 100 + activity,
    }


def _ends(record: Record) -> dict[str, Any]:
    """Who and where to. A person is a pseudonym; an address is as the site keeps it."""
    user = {"uid": record.subject_id, "type": record.subject_kind} if record.subject_id else None
    source = {"ip": record.src_ip, "port": record.src_port} if record.src_ip else None
    return {
        "actor": {"user": user} if user else None,
        "src_endpoint": source,
        "dst_endpoint": {"hostname": record.host, "port": record.dst_port, "ip": record.dst_ip}
        if record.host
        else None,
    }


def _request(record: Record) -> dict[str, Any]:
    return {
        "http_method": record.method,
        "user_agent": record.user_agent,
        "version": record.http_version,
        "body_length": record.body_bytes,
        "uid": record.decision_id,
        "url": {"scheme": "https", "hostname": record.host, "path": record.path_template or "/"},
    }


def _http(record: Record) -> dict[str, Any]:
    method = _METHODS.get(record.method or "", 99 if record.method else 0)
    code = record.client_status or record.upstream_status
    response = {"code": code, "body_length": record.resp_bytes} if code else None
    return _class(4002, 4, method) | _ends(record) | {"http_request": _request(record), "http_response": response}


def _network(record: Record) -> dict[str, Any]:
    ends = _ends(record)
    ends["dst_endpoint"] = ends["dst_endpoint"] or {"name": "-"}
    return _class(4001, 4, 1) | ends


def _finding(record: Record) -> dict[str, Any]:
    matches = record.matches or ()
    classes = ", ".join(record.data_classes or sorted({m.data_class for m in matches}))
    ends = _ends(record)
    return _class(2006, 2, 1) | {
        "actor": ends["actor"],
        "src_endpoint": ends["src_endpoint"],
        "dst_endpoint": ends["dst_endpoint"],
        "finding_info": {
            "uid": record.decision_id,
            "title": f"{classes} in a request to {record.provider_id or record.host or 'an AI service'}",
            "types": list(record.data_classes or ()),
            "created_time": record.ts_received // 1000,
            "analytic": {"type_id": 1, "type": "Rule", "uid": matches[0].detector, "name": matches[0].detector},
        },
        "observables": [
            {"name": f"matches.{m.detector}", "type_id": 99, "type": m.data_class, "value": m.fingerprint}
            for m in matches[:20]
        ],
    }


def _said(value: Any) -> Any:
    """Without what is not known."""
    if isinstance(value, dict):
        return {k: said for k, v in value.items() if (said := _said(v)) is not None}
    return [_said(one) for one in value] if isinstance(value, list | tuple) else value


# ------------------------------------------------------------------------------------------------------------- syslog


def syslog(record: Record, body: bytes = b"") -> bytes:
    """An RFC 5424 message: structured data for machines, a sentence for people."""
    return message(record, _structured(record), _sentence(record))


def syslog_ocsf(record: Record, body: bytes = b"") -> bytes:
    """An RFC 5424 message whose text is the OCSF event."""
    return message(record, f'[{SD_ID} uid="{_escaped(uid(record))}"]', ocsf(record).decode())


def message(record: Record, data: str, text: str) -> bytes:
    """`<PRI>1 TIMESTAMP HOSTNAME APP-NAME PROCID MSGID SD MSG` (RFC 5424, section 6)."""
    at = datetime.fromtimestamp(record.ts_received / 1e6, UTC).isoformat(timespec="microseconds")
    priority = FACILITY * 8 + _severity(record)
    kind = record.decision or str(record.record_type)
    head = f"<{priority}>1 {at.replace('+00:00', 'Z')} {_word(record.node_id, 255)} sluice - {_word(kind, 32)} {data}"
    return f"{head} {text}".encode("ascii", "backslashreplace")


def _severity(record: Record) -> int:
    if record.record_type == RecordType.CONTROL or record.would_decide:
        return 5
    if record.decision == "block" and record.max_severity == "critical":
        return 3
    return _SYSLOG_SEVERITY.get(record.decision or "", 6)


def _structured(record: Record) -> str:
    pairs = [f'uid="{_escaped(uid(record))}"']
    for name in _STRUCTURED:
        value = getattr(record, name)
        if value not in (None, ()):
            shown = ",".join(value) if isinstance(value, tuple) else str(value)
            pairs.append(f'{name}="{_escaped(shown)}"')
    return f"[{SD_ID} {' '.join(pairs)}]"


def _escaped(value: str) -> str:
    r"""A PARAM-VALUE: `"`, `\` and `]` with a backslash, no control character (a record has none)."""
    value = "".join(c if c.isprintable() else "?" for c in value[:_VALUE])
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("]", "\\]")


def _word(value: str, most: int) -> str:
    """A header field: printable ASCII without blanks, or `-`."""
    return "".join(c for c in value if "!" <= c <= "~")[:most] or "-"


def _sentence(record: Record) -> str:
    if record.record_type == RecordType.CONTROL:
        return f"control {record.control_kind or '-'}"
    where = record.provider_id or record.host or "-"
    found = f", found {', '.join(record.data_classes)}" if record.data_classes else ""
    return f"{record.decision or record.record_type} to {where} ({record.reason_code or '-'}){found}"


type Format = Callable[[Record, bytes], bytes]
"""A record and its bytes in the ledger -> what is sent of it, without a line end."""

FORMATS: dict[str, Format] = {"json": plain, "ocsf": ocsf, "syslog": syslog, "syslog-ocsf": syslog_ocsf}
