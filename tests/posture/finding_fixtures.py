"""For each finding: what raises it, and what clears it eight days later. All of them go into one store together, each with
a provider, agent, key or subject of its own, so that each also shows that it is not raised by the others' records.

`raised` at `NOW`, `cleared` at `LATER`: records, rows of other tables, rows of the registers. A register row of `cleared`
takes the place of the one of the same kind and id.
"""

# ruff: noqa: E501 - a fixture on a line

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from sluice.model import PartFact, Record, RecordType
from tests.posture.posture_rig import NOW, ago, decision, ended, found, micros, outcome

LATER = NOW + timedelta(days=8, hours=1)
THEN = micros(NOW + timedelta(days=7, hours=12))
"""When clean traffic comes: inside the clean days of every finding, as seen from `LATER`."""
SOON = micros(LATER - timedelta(minutes=20))

type Rows = dict[str, Sequence[dict[str, Any]]]
type Register = Sequence[tuple[str, str, dict[str, Any]]]


@dataclass(frozen=True)
class Side:
    """What is put into the store. `stream` and `node` are others than usual where that is the point."""

    records: Sequence[Record] = ()
    rows: Rows = field(default_factory=dict)
    register: Register = ()
    stream: str = "n-w0"
    node: str = "n"
    lost: bool = False


@dataclass(frozen=True)
class Fixture:
    scope: str
    severity: str
    raised: Side
    cleared: Side


def at(micro: int) -> str:
    from datetime import UTC, datetime

    return f"{datetime.fromtimestamp(micro / 1e6, UTC):%Y-%m-%d %H:%M:%S}"


def fact(kind: str, name: str, number: float, when: int, text: str = "") -> Rows:
    return {
        "posture_facts": [{"at": at(when), "kind": kind, "name": name, "number": number, "text": text, "by": "test"}]
    }


def seen(domain: str, when: int, **more: Any) -> Rows:
    given = {
        "at": at(when),
        "layer": "dns",
        "domain": domain,
        "subject_id": "alice",
        "seen": 3,
        "seen_bytes": 0,
        "decrypted": False,
        "reason_not_inspected": "not_proxied",
    }
    return {"cov_observation": [given | more]}


FIXTURES: dict[str, Fixture] = {}


def one(
    name: str,
    scope: str,
    severity: str,
    bad: dict[str, Any],
    good: dict[str, Any],
    register: Register = (),
    then: Register = (),
    **same: Any,
) -> None:
    """A finding that one decision raises and another clears: `bad` and `good` are their fields."""
    given = {"provider_id": name.lower(), "product": f"{name.lower()}-api"} | same
    FIXTURES[name] = Fixture(
        scope,
        severity,
        Side(ended(decision(**(given | bad))), register=register),
        Side(ended(decision(**(given | {"ts_received": THEN} | good))), register=then),
    )


BLOCK = {"decision": "block", "reason_code": "CLASS_BLOCKED", "rule_id": "b"}
PHI = {"data_classes": ("phi.record",)}

one(
    "PRV-01",
    "provider=prv-01",
    "critical",
    {"provider_status": "prohibited", "data_classes": ("contact.email",)},
    {"provider_status": "prohibited"} | BLOCK,
)
one(
    "PRV-02",
    "host=llm.unknown.example",
    "high",
    {},
    BLOCK,
    provider_id=None,
    host="llm.unknown.example",
    dialect="openai",
)
one(
    "PRV-03",
    "provider=prv-03",
    "medium",
    {},
    {},
    [("provider", "prv-03", {"review_due": "2026-10-01"})],
    [("provider", "prv-03", {"reviewed": "2026-11-21", "review_due": "2027-11-21"})],
)
one(
    "PRV-04",
    "provider=prv-04",
    "critical",
    PHI,
    PHI,
    [("tier", "prv-04 team", {"provider": "prv-04", "tier": "team", "contracted": True, "trains_on_input": "yes"})],
    [("tier", "prv-04 team", {"provider": "prv-04", "tier": "team", "contracted": True, "trains_on_input": "no"})],
)
one(
    "PRV-05",
    "provider=prv-05 route=chat",
    "medium",
    {},
    {},
    [
        (
            "route",
            "short",
            {"id": "*", "provider": "prv-05", "id_like": "%", "provider_like": "prv-05", "retention_days": 0},
        )
    ],
    [("provider", "prv-05", {"zdr": "zdr-1", "reviewed": "2026-11-01"})],
)
one(
    "PRV-06",
    "provider=prv-06 route=chat region=us-east-1",
    "high",
    {},
    {},
    [
        (
            "route",
            "eu",
            {"id": "*", "provider": "prv-06", "id_like": "%", "provider_like": "prv-06", "regions": ["eu-west-1"]},
        )
    ],
    [("provider", "prv-06", {"transfer_basis": "SCC", "reviewed": "2026-11-01"})],
    region="us-east-1",
    host="llm.us-east-1.example",
)
one(
    "PRV-07",
    "provider=prv-07",
    "medium",
    {},
    {},
    [("provider", "prv-07", {"category": "aggregator", "reviewed": "2026-11-01"})],
    [("provider", "prv-07", {"category": "llm_api", "reviewed": "2026-11-01"})],
)
FIXTURES["PRV-08"] = Fixture(
    "provider=prv-08",
    "low",
    Side([decision(provider_id="prv-08", ts_received=ago(hours=2), subject_id=f"p{n % 9}") for n in range(400)]),
    Side(ended(decision(provider_id="prv-08", ts_received=THEN))),
)

one(
    "DAT-01",
    "provider=dat-01 operation=chat",
    "high",
    {"rule_id": "default", "data_classes": ("pii.name",)},
    {"rule_id": "default"},
)
one(
    "DAT-02",
    "provider=dat-02",
    "critical",
    PHI,
    PHI,
    [],
    [("provider", "dat-02", {"baa": "baa-7", "reviewed": "2026-11-01"})],
)
one(
    "DAT-03",
    "provider=dat-03",
    "critical",
    {"data_classes": ("financial.card",)},
    {"data_classes": ("financial.card",)} | BLOCK,
)
one(
    "DAT-04",
    "provider=dat-04",
    "critical",
    {"data_classes": ("secret.cloud-key",), "policy_mode": "observe", "would_decide": "block"},
    {"data_classes": ("secret.cloud-key",)} | BLOCK,
)
one(
    "DAT-05",
    "provider=dat-05",
    "high",
    {"data_classes": ("special.religion",)},
    {"data_classes": ("special.religion",)} | BLOCK,
)
one(
    "DAT-06",
    "provider=dat-06",
    "medium",
    {"data_classes": ("source_code.go",), "provider_status": "tolerated"},
    {"data_classes": ("source_code.go",), "provider_status": "sanctioned"},
)
FIXTURES["DAT-07"] = Fixture(
    "subject=dat-07",
    "high",
    Side(
        [
            decision(subject_id="dat-07", provider_id="openai", body_bytes=100_000, ts_received=ago(days=n))
            for n in range(2, 9)
        ]
        + [decision(subject_id="dat-07", body_bytes=50_000_000, ts_received=ago(days=1))]
    ),
    Side(ended(decision(subject_id="dat-07", ts_received=THEN))),
)
_answered = decision(provider_id="dat-08")
_later = decision(provider_id="dat-08", ts_received=THEN)
FIXTURES["DAT-08"] = Fixture(
    "provider=dat-08",
    "medium",
    Side([_answered, outcome(_answered, resp_classes=("pii.name",))]),
    Side([_later, outcome(_later)]),
)

_personal = decision(provider_id="key-01", key_fp="k1", key_kind="openai.project")
_ours = decision(provider_id="key-01", key_fp="k1", key_kind="openai.project", ts_received=THEN)
FIXTURES["KEY-01"] = Fixture(
    "key=k1",
    "high",
    Side([_personal, outcome(_personal, key_ownership_after="personal")]),
    Side([_ours, outcome(_ours, key_ownership_after="corporate")]),
)
FIXTURES["KEY-02"] = Fixture(
    "key=k2",
    "high",
    Side(ended(*(decision(key_fp="k2", subject_id=s) for s in ("ann", "bob")))),
    Side(ended(decision(key_fp="k2", subject_id="ann", ts_received=THEN))),
)
FIXTURES["KEY-03"] = Fixture(
    "key=k3",
    "high",
    Side(ended(*(decision(key_fp="k3", src_ip=f"10.{n}.0.1") for n in range(6)))),
    Side(ended(decision(key_fp="k3", ts_received=THEN))),
)
one("KEY-04", "key=k4", "medium", {"key_kind": "openai.admin"}, {"key_kind": "openai.project"}, key_fp="k4")
FIXTURES["KEY-05"] = Fixture(
    "key=k5",
    "medium",
    Side(
        ended(decision(key_fp="k5")),
        register=[("key", "k5", {"ownership": "corporate", "created": "2025-01-01", "vault": "v"})],
    ),
    Side(
        ended(decision(key_fp="k5", ts_received=THEN)),
        register=[
            ("key", "k5", {"ownership": "corporate", "created": "2025-01-01", "rotated": "2026-11-21", "vault": "v"})
        ],
    ),
)
one(
    "KEY-06",
    "key=k6",
    "medium",
    {},
    {},
    [],
    [("key", "k6", {"ownership": "corporate", "vault": "vault:/ai/k6", "created": "2026-11-01"})],
    key_fp="k6",
)
one(
    "KEY-07",
    "subject=key-07",
    "critical",
    {"data_classes": ("secret.ai-key",), "matches": (found("secret.ai-key", fingerprint="77" * 16),)} | BLOCK,
    {},
    subject_id="key-07",
)

one(
    "IDN-01",
    "network=10.9.1.0/24",
    "high",
    {"identity_assurance": "none", "subject_kind": "address"},
    {"identity_assurance": "verified"},
    src_ip="10.9.1.7",
)
one(
    "IDN-02",
    "method=header_trusted",
    "medium",
    {"identity_assurance": "asserted"},
    {"identity_assurance": "verified"},
    identity_method="header_trusted",
)
one(
    "IDN-03",
    "role=clerk provider=idn-03 model=gpt-9",
    "medium",
    {},
    {},
    [("role", "clerk", {"models": ["gpt-5*"], "models_like": ["gpt-5%"]})],
    [("role", "clerk", {"models": ["gpt-*"], "models_like": ["gpt-%"]})],
    role="clerk",
    model_requested="gpt-9",
)
FIXTURES["IDN-04"] = Fixture(
    "subject=idn-04",
    "high",
    Side(ended(decision(subject_id="idn-04")), fact("leaver", "idn-04", 1, ago(days=2))),
    Side(
        ended(decision(subject_id="idn-04", ts_received=THEN, **BLOCK))
        + ended(decision(subject_id="idn-04", ts_received=ago(days=3)))
    ),
)
one(
    "IDN-05",
    "provider=idn-05",
    "high",
    {"path_template": "/backend-anon/conversation"},
    {"path_template": "/backend-api/conversation"},
)

one(
    "POL-01",
    "provider=pol-01 operation=chat",
    "high",
    {"rule_id": "default", "provider_status": "unreviewed"},
    {"rule_id": "default", "provider_status": "unreviewed"} | BLOCK,
)
_failure = {"what": "failure", "policy": "default", "conditions": {"cause": "scan_timeout"}}
FIXTURES["POL-02"] = Fixture(
    "policy=default",
    "high",
    Side(
        register=[("policy", "failure.scan_timeout", _failure | {"action": "allow"})],
        records=ended(
            decision(fail_mode="open", reason_detail="scan_timeout", regulated_tags=("gdpr",), provider_id="pol-02")
        ),
    ),
    Side(register=[("policy", "failure.scan_timeout", _failure | {"action": "refuse"})]),
)
FIXTURES["POL-03"] = Fixture(
    "exception=exc-1",
    "medium",
    Side(register=[("exception", "exc-1", {"expires": "2026-11-01", "reason": "trial"})]),
    Side(register=[("exception", "exc-1", {"expires": "2027-11-01", "reason": "trial"})]),
)
FIXTURES["POL-04"] = Fixture(
    "provider=pol-04",
    "medium",
    Side(
        [
            r
            for n in (40, 1)
            for r in ended(
                decision(provider_id="pol-04", policy_mode="observe", would_decide="block", ts_received=ago(days=n))
            )
        ]
    ),
    Side(ended(decision(provider_id="pol-04", ts_received=THEN))),
)
FIXTURES["POL-05"] = Fixture(
    "policy=pol-05",
    "high",
    Side(ended(decision(policy_id="pol-05", policy_sha256="aa" * 32))),
    Side(
        ended(decision(policy_id="pol-05", policy_sha256="aa" * 32, ts_received=THEN)),
        {
            "policy_approvals": [
                {"at": at(THEN), "sha256": "aa" * 32, "author": "ann", "approver": "bob", "changelog": "", "by": "x"}
            ]
        },
    ),
)
FIXTURES["POL-06"] = Fixture(
    "what=policy",
    "high",
    Side(ended(decision(policy_sha256="ee" * 32, ts_received=ago(minutes=20))), node="n2", stream="n2-w0"),
    Side(ended(decision(ts_received=SOON)), node="n2", stream="n2-w0"),
)

_acts = {"tools_declared": ("bash",), "dangerous_tools": ("bash",)}
one("AGT-01", "agent=cline", "critical", _acts, {"tools_declared": ("read_file",)}, agent_id="cline")
one(
    "AGT-02",
    "agent=openai-python of agt-02-f",
    "medium",
    {},
    {},
    [],
    [("agent", "openai-python of agt-02-f", {"owner": "ann"})],
    agent_id="openai-python",
    subject_id="agt-02-flow",
    tools_declared=("x",),
    parts=(PartFact(role="tool_result", kind="tool_result", bytes=9),),
)
one(
    "AGT-03",
    "server=files",
    "high",
    {},
    {},
    [("mcp_server", "files", {"auth": "none", "approved": True})],
    [("mcp_server", "files", {"auth": "oauth", "approved": True, "url": "https://files.example"})],
    mcp_servers=("files",),
)
one(
    "AGT-04",
    "agent=opencode",
    "critical",
    {"hosted_tools": ("web_search",), "data_classes": ("pii.name",)} | _acts,
    {"tools_declared": ("read_file",)},
    agent_id="opencode",
)
FIXTURES["AGT-05"] = Fixture(
    "tool=pay",
    "high",
    Side([], fact("tool_definition", "pay", 0, ago(hours=1), "hash-b"), [("tool", "pay", {"schema_hash": "hash-a"})]),
    Side([], fact("tool_definition", "pay", 0, THEN, "hash-a")),
)
one(
    "AGT-06",
    "server=crm",
    "high",
    {"mcp_facts": ("https crm.example never no-token crm",)},
    {"mcp_facts": ("https crm.example always no-token crm",)},
    mcp_servers=("crm",),
    tools_declared=("mcp:crm",),
)
FIXTURES["AGT-07"] = Fixture(
    "agent=unknown of agt-07-x",
    "medium",
    Side(
        [
            r
            for days, tool in ((10, "old"), (1, "new"))
            for r in ended(decision(subject_id="agt-07-x", tools_declared=(tool,), ts_received=ago(days=days)))
        ]
    ),
    Side(ended(decision(subject_id="agt-07-x", tools_declared=("old",), ts_received=THEN))),
)

one(
    "MOD-01",
    "provider=mod-01 model=old-1",
    "high",
    {},
    {},
    [
        (
            "model",
            "old-1",
            {
                "provider": "mod-01",
                "id_like": "old-1",
                "lifecycle": "deprecated",
                "shutdown": "2026-12-01",
                "approved": True,
            },
        )
    ],
    [("model", "old-1", {"provider": "mod-01", "id_like": "old-1", "lifecycle": "active", "approved": True})],
    model_requested="old-1",
)
one(
    "MOD-02",
    "provider=mod-02 model=wild-1",
    "medium",
    {},
    {},
    [("model", "wild-1", {"id": "wild*", "id_like": "wild%", "provider": "mod-02", "approved": False})],
    [("model", "wild-1", {"id": "wild*", "id_like": "wild%", "provider": "mod-02", "approved": True})],
    model_requested="wild-1",
)
_alias = decision(provider_id="mod-03", model_requested="m-latest", regulated_tags=("gdpr",))
_snap = decision(provider_id="mod-03", model_requested="m-latest", regulated_tags=("gdpr",), ts_received=THEN)
FIXTURES["MOD-03"] = Fixture(
    "provider=mod-03 model=m-latest",
    "low",
    Side([_alias, outcome(_alias, model_served="m-1")]),
    Side([_snap, outcome(_snap)]),
)
one(
    "MOD-04",
    "provider=mod-04 route=hiring model=gpt-5",
    "high",
    {},
    {},
    [
        (
            "route",
            "hiring",
            {
                "id": "hiring",
                "provider": "mod-04",
                "id_like": "hiring",
                "provider_like": "mod-04",
                "tags": ["ai_act_high_risk"],
            },
        )
    ],
    [("system", "hr", {"ai_act_class": "high", "routes": ["hiring"], "routes_like": ["hiring"]})],
    route_id="hiring",
)

FIXTURES["AUD-01"] = Fixture(
    "stream=gap-w0",
    "critical",
    Side(ended(decision()), stream="gap-w0", lost=True),
    Side(ended(decision(ts_received=THEN), decision(ts_received=SOON)), stream="gap-w0"),
)
FIXTURES["AUD-02"] = Fixture(
    "node=n",
    "high",
    Side([], fact("shipping", "n", 900, ago(hours=1), "4000 rows wait")),
    Side([], fact("shipping", "n", 1, SOON, "0 rows wait")),
)
FIXTURES["AUD-03"] = Fixture(
    "node=n3",
    "medium",
    Side([decision()], node="n3", stream="n3-w0"),
    Side(ended(decision(ts_received=THEN)), node="n3", stream="n3-w0"),
)
FIXTURES["AUD-04"] = Fixture(
    "stream=n-w0", "high", Side([], fact("seal", "n-w0", 7200, ago(hours=1))), Side([], fact("seal", "n-w0", 4, SOON))
)
FIXTURES["AUD-05"] = Fixture(
    "class=phi",
    "high",
    Side([], fact("retention", "phi", 13, ago(hours=1))),
    Side([], fact("retention", "phi", 73, SOON)),
)
one("AUD-06", "column=user_agent", "critical", {"user_agent": "curl sk-proj-abcdefghijkl"}, {"user_agent": "curl/8"})
FIXTURES["AUD-07"] = Fixture(
    "kind=health data",
    "medium",
    Side(ended(decision(provider_id="openai", retention_class="phi", ts_received=ago(days=35)))),
    Side(
        ended(decision(retention_class="phi", ts_received=THEN)),
        {
            "decision_reviews": [
                {
                    "at": at(THEN),
                    "decision_id": "00000000-0000-0000-0000-000000000000",
                    "period_until": at(ago(days=1)),
                    "verdict": "confirmed",
                    "reason": "",
                    "by": "x",
                }
            ]
        },
    ),
)

FIXTURES["COV-01"] = Fixture(
    "provider=cov-01 product=app",
    "high",
    Side(
        [
            decision(
                record_type=RecordType.BYPASS,
                provider_id="cov-01",
                product="app",
                inspection_status=None,
                reason_code="UNDECRYPTED",
            )
        ]
    ),
    Side(ended(decision(provider_id="cov-01", product="app", ts_received=THEN))),
)
FIXTURES["COV-02"] = Fixture(
    "domain=quic.example",
    "high",
    Side([], seen("quic.example", ago(hours=1), layer="flow", reason_not_inspected="quic")),
    Side([], seen("quic.example", THEN, layer="flow", reason_not_inspected="", decrypted=True)),
)
FIXTURES["COV-03"] = Fixture(
    "domain=hidden.example",
    "high",
    Side([], seen("hidden.example", ago(hours=1))),
    Side(ended(decision(host="hidden.example", ts_received=THEN)), seen("hidden.example", THEN)),
)
one("COV-04", "provider=cov-04", "medium", {"reason_code": "WEBSOCKET", "decision": "refuse"}, {})
one(
    "COV-05",
    "provider=cov-05",
    "medium",
    {"uninspected_bytes": 500, "inspection_status": "partial", "uninspected_reason": ("image",)},
    {},
)
FIXTURES["COV-06"] = Fixture(
    "host=registry.ollama.ai",
    "low",
    Side([decision(record_type=RecordType.BYPASS, provider_id=None, host="registry.ollama.ai")]),
    Side(
        [
            decision(
                record_type=RecordType.BYPASS, provider_id=None, host="registry.ollama.ai", ts_received=THEN, **BLOCK
            )
        ]
    ),
)
FIXTURES["COV-07"] = Fixture(
    "file=targets.toml",
    "medium",
    Side([], fact("targets", "targets.toml", 120, ago(hours=1))),
    Side([], fact("targets", "targets.toml", 2, SOON)),
)

one(
    "OPS-01",
    "cause=scan_error",
    "critical",
    {"fail_mode": "open", "regulated_tags": ("hipaa",)},
    {"fail_mode": "closed", "decision": "refuse"},
    reason_detail="scan_error",
)
FIXTURES["OPS-02"] = Fixture(
    "what=test of secret.aws",
    "high",
    Side([], fact("detectors", "secret.aws", 0, ago(hours=1))),
    Side([], fact("detectors", "secret.aws", 1, THEN)),
)
