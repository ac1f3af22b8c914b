"""What the organisation has written down: settings, policy, judgements, people, keys and registers, with their gaps.

The files are those that any site keeps (deploy/sluice.toml, policy.toml, registers/example.toml, the CSV files of
`identity`); `Site.write` makes them in a directory before the appliance starts there.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from sluice import keys
from sluice.config import Paths, Settings
from sluice.detect.evidence import Fingerprinter, normalised, purpose
from sluice.identity.users import hashed
from tests.demo.company.agents import AGENTS
from tests.demo.company.catalogue import APPROVED_MODELS, BY_ID, PRODUCTS, UNREAD
from tests.demo.company.exchange import FORBIDDEN_TOOL_RULE, FORBIDDEN_TOOLS, PASSWORD, Key
from tests.demo.company.people import BRANCH_PROXY, DEPARTMENTS, MANAGER
from tests.demo.company.planning import OURS, Plan
from tests.demo.company.tools import SERVERS, TOOLS

CHANGED = "read_ticket"
"""A tool whose definition is no longer the one that was approved."""
POLICY = f"""
id      = "nordhaven"
version = "2026-11"
default = "allow"
contact = "Questions: the AI desk, room 12."

[[rule]]
id      = "prohibited-provider"
title   = "Nothing goes to a provider that we have prohibited"
when    = {{ status = "prohibited" }}
action  = "block"
message = "This AI service is not approved here."

[[rule]]
id      = "secrets"
title   = "No passwords, keys or tokens to anyone"
when    = {{ class = "secret.*", severity = "medium" }}
action  = "block"
message = "Take the secret out, or start a new conversation."

[[rule]]
id      = "payment-cards"
title   = "No payment card numbers to anyone"
when    = {{ class = "financial.card", validated = true }}
action  = "block"

[[rule]]
id      = "government-ids"
title   = "No identity numbers issued by a state"
when    = {{ class = "government.*", validated = true }}
action  = "block"

[[rule]]
id      = "{FORBIDDEN_TOOL_RULE}"
title   = "No agent moves money"
when    = {{ tool = {json.dumps(FORBIDDEN_TOOLS)} }}
action  = "block"

[[rule]]
id            = "charts-on-trial"
title         = "Charts go to services with an agreement alone"
when          = {{ class = "phi.record" }}
unless        = {{ provider = "anthropic" }}
action        = "block"
mode          = "observe"
observe_until = 2027-03-31

[failure]
partial_inspection = "allow"
unparsed           = "allow"
"""


SYSTEMS: tuple[dict[str, Any], ...] = (
    {"id": "support-desk", "name": "Support desk", "purpose": "Answers members", "use": "Drafts and sends mail",
     "ai_act_class": "limited", "ai_act_role": "deployer", "providers": ["openai"], "routes": ["openai.responses"],
     "departments": ["Support"], "safeguards": "The gate blocks cards and secrets", "owner": "support-it"},
    {"id": "clinical-drafts", "name": "Clinical drafts", "purpose": "Drafts of summaries and letters",
     "use": "A doctor reads and signs each draft", "ai_act_class": "limited", "ai_act_role": "deployer",
     "providers": ["anthropic"], "models": ["claude-*"], "departments": ["Clinical Services"],
     "oversight": "Nothing is kept that nobody has signed", "impact_assessment": "dpia-2026-03",
     "owner": "clinical-it"},
    {"id": "assistant", "name": "Assistant for employees", "purpose": "Everyday questions",
     "use": "In the window of the assistant", "ai_act_class": "minimal", "ai_act_role": "deployer",
     "providers": ["openai"], "routes": ["openai.chat"], "owner": "ai-desk"},
)  # fmt: skip
"""Systems in the sense of a law, as the register has them."""


@dataclass(frozen=True, slots=True)
class Site:
    """The site of a plan, below a directory whose `var` holds the fingerprint key already."""

    plan: Plan
    directory: Path

    def write(self) -> str:
        """Write everything; the settings that name it, as TOML."""
        texts = {
            "policy.toml": POLICY,
            "targets.toml": _targets(),
            "people.csv": self._people(),
            "addresses.csv": self._addresses(),
            "keys.toml": self._keys(),
            "users": self._users(),
        }
        for name, text in texts.items():
            (self.directory / name).write_text(text)
        (self.directory / "users").chmod(0o600)
        registers = self.directory / "registers"
        registers.mkdir()
        for name, rows in _registers(_today()).items():
            (registers / f"{name}.toml").write_text("".join(_table(name, row) for row in rows))
        return (
            "[clickhouse]\nbatch_seconds = 0.5\n[paths]\n"
            'policy = "policy.toml"\ntargets = "targets.toml"\nregisters = "registers"\n'
            '[identity]\npeople = "people.csv"\naddress_map = "addresses.csv"\nkeys = "keys.toml"\nusers = "users"\n'
            f'trusted_proxies = ["{BRANCH_PROXY}/32"]\ntrusted_in_tunnels = true\n'
            f"organisations = {json.dumps(sorted(OURS.values()))}\n"
        )

    def pseudonym(self, subject: str) -> str:
        """How records name a subject."""
        return self._prints().fingerprint("subject", subject)

    def fingerprint(self, key: str) -> str:
        """How records name an API key."""
        return self._prints().fingerprint(purpose("secret."), normalised("secret.", key))

    def run(self, session: str) -> str:
        """How records name a run of an agent."""
        return self._prints().fingerprint("conversation", session)

    def value_fingerprint(self, data_class: str, value: str) -> str:
        """How records name a value that was found."""
        return self._prints().fingerprint(purpose(data_class), normalised(data_class, value))

    def _prints(self) -> Fingerprinter:
        version = keys.versions(Settings(paths=Paths(var=self.directory / "var")))[-1]
        return Fingerprinter(version.secret, version.id)

    def _people(self) -> str:
        rows = [(p.subject, p.groups, p.role, p.department) for p in self.plan.people]
        senders = {x.sender.subject: x.sender for x in self.plan.exchanges if x.sender.identity == "key_map"}
        rows += [(name, "services", s.role, s.department) for name, s in senders.items()]
        return "subject,groups,role,department\n" + "".join(f"{','.join(row)}\n" for row in rows)

    def _addresses(self) -> str:
        rows = [f"{p.address}/32,{p.login}\n" for p in self.plan.people if p.method == "ip_map"]
        return "network,subject\n" + "".join(rows)

    def _users(self) -> str:
        asking = sorted({x.sender.login for x in self.plan.exchanges if x.sender.identity == "proxy_basic"})
        return "".join(f"{login}:{hashed(PASSWORD.format(login=login))}\n" for login in asking)

    def _keys(self) -> str:
        return "".join(self._key(key) for key in self.plan.keys if key.registered)

    def _key(self, key: Key) -> str:
        made = _today() - timedelta(days=key.age)
        lines = [f'fingerprint = "{self.fingerprint(key.value)}"', 'ownership = "corporate"', f'owner = "{key.owner}"']
        lines += [f'provider = "{key.provider}"', f"created = {made}", f"shared = {str(key.shared).lower()}"]
        lines += [f'vault = "{key.place}"'] if key.place else []
        return "\n".join(("[[key]]", *lines, "", ""))


def _today() -> date:
    return datetime.now(UTC).date()


def _targets() -> str:
    """The site's judgements. The editor that refuses our CA passes unread."""
    judged = {p.provider: p.status for p in PRODUCTS if p.status != "unreviewed"}
    lines = [f'{provider} = "{status}"' for provider, status in judged.items()]
    return "[provider]\n" + "\n".join(lines) + f'\n[[target]]\nhost = "{UNREAD.host}"\nmode = "pass"\n'


def _registers(today: date) -> dict[str, list[dict[str, Any]]]:
    """Kind of register to its rows. What is left out is a gap that somebody should find."""

    def day(days: int) -> date:
        return today + timedelta(days=days)

    reviewed = {"reviewed": day(-120), "review_due": day(240)}
    contract = {"contract_end": day(400)}
    providers: list[dict[str, Any]] = [
        {"id": "openai", "dpa": "contract 2026-0117", "function": "Assistant, support, coding", "critical": True,
         "substitutes": ["anthropic", "mistral"], "owner": "ai-desk", "country": "US",
         "transfer_basis": "standard contractual clauses", **reviewed, **contract},
        {"id": "anthropic", "dpa": "contract 2026-0118", "baa": "agreement 2026-07", "zdr": "addendum 2026-07",
         "function": "Clinical drafts, coding", "critical": True, "substitutes": ["openai"], "owner": "ai-desk",
         "country": "US", "transfer_basis": "standard contractual clauses", **reviewed, **contract},
        {"id": "google", "dpa": "contract 2025-0441", "function": "Planning", "critical": False, "owner": "ai-desk",
         "country": "US", "transfer_basis": "data privacy framework", **reviewed, **contract},
        {"id": "azure-openai", "dpa": "framework 2024-0032", "function": "Personnel", "critical": False,
         "owner": "people-it", "country": "IE", "reviewed": day(-500), "review_due": day(-135)},
        {"id": "aws", "dpa": "framework 2023-0008", "function": "Papers for the board", "owner": "finance-it",
         "country": "US", "regions": ["EU"], **reviewed},
        {"id": "github-copilot", "dpa": "contract 2026-0090", "function": "Coding", "owner": "engineering",
         "country": "US", **reviewed},
        {"id": "mistral", "dpa": "contract 2026-0201", "function": "Translation", "owner": "marketing-it",
         "country": "FR", **reviewed},
        {"id": "voyage", "function": "Search", "owner": "data", "country": "US"},
        {"id": "openrouter", "category": "aggregator", "owner": "engineering", "country": "US", **reviewed},
    ]  # fmt: skip
    tiers: list[dict[str, Any]] = [
        {"provider": "openai", "tier": "api_paid", "contracted": True, "organisations": [OURS["openai"]]},
        {"provider": "openai", "tier": "enterprise", "products": ["chatgpt"], "contracted": True},
        {"provider": "anthropic", "tier": "api_paid", "products": ["claude-api"], "contracted": True,
         "baa_covered": True, "organisations": [OURS["anthropic"]], "trains_on_input": "no"},
        {"provider": "google", "tier": "api_paid", "contracted": True, "trains_on_input": "no"},
        {"provider": "azure-openai", "tier": "cloud_hosted", "contracted": True, "trains_on_input": "no"},
        {"provider": "mistral", "tier": "api_paid", "contracted": True, "trains_on_input": "opt_out"},
    ]  # fmt: skip
    models = [{"provider": p, "id": m, "approved": True} for p, names in APPROVED_MODELS.items() for m in names]
    agents = [
        {"id": a.id, "framework": "openai-agents" if a.subject else "vendor", "purpose": a.purpose,
         "owner": f"{a.department.lower().replace(' ', '-')}-it", "approval_gate": a.gate, "registered": day(-200),
         "autonomy": "approve_each" if a.gate else "autonomous", "tools": [t.name for t in a.tools[:-1] or a.tools],
         **({"subjects": [a.subject], "on_behalf_of": "none"} if a.subject else {"on_behalf_of": "human"}),
         **({"kill_switch": f"disable {a.subject}"} if a.subject else {})}
        for a in AGENTS if a.registered
    ]  # fmt: skip
    given = [
        {"agent": a.id, "tool": t.name, "approved_by": "ciso", "approved_until": day(150 if t.external else 300)}
        for a in AGENTS
        if a.registered and a.subject
        for t in a.acts
        if t.said
    ]
    tools = [
        {"id": t.name, "kind": "function", "side_effect": t.effect, "reach": "external" if t.external else "internal",
         "untrusted_input": t.untrusted, "sensitive_data": t.sensitive, "approved": t.effect != "payment",
         **({"schema_hash": "1f" * 32} if t.name == CHANGED else {})}
        for t in TOOLS if t.said
    ]  # fmt: skip
    servers = [
        {"id": s.label, "url": s.url, "transport": "http", "auth": s.auth, "require_approval": s.approval,
         "approved": s.approved, "owner": "platform"}
        for s in SERVERS if s.registered
    ]  # fmt: skip
    roles = [
        {"id": d.role, "name": d.name, "groups": [d.name.lower().replace(" ", "-")], "reviewer": "cio",
         "models": _entitled(d.name), **reviewed}
        for d in DEPARTMENTS
    ]  # fmt: skip
    roles.append({"id": MANAGER, "name": "Managers", "reviewer": "cio", **reviewed})
    return {
        "provider": providers,
        "tier": tiers,
        "model": models,
        "agent": agents,
        "agent_tool": given,
        "tool": tools,
        "mcp_server": servers,
        "role": roles,
        "route": _routes(day(-120), day(240)),
        "system": [{**system, **reviewed} for system in SYSTEMS],
        "application": [
            {"id": "claude-code", "kind": "cli", "approved": True, "owner": "engineering"},
            {"id": "github-copilot-chat", "kind": "ide", "approved": True, "owner": "engineering"},
            {"id": "openai-python", "kind": "sdk", "approved": True, "owner": "platform"},
            {"id": "cline", "kind": "ide", "approved": False, "owner": "engineering"},
        ],
        "exception": [
            {"id": "old-model", "finding": "MOD-01", "model": "gpt-5", "expires": day(12), "granted": day(-60),
             "reason": "The migration ends in December", "control": "Watched weekly", "granted_by": "cio",
             "approved_by": "ciso"},
            {"id": "broken-bodies", "rule": "failure.unparsed", "expires": day(40), "granted": day(-20),
             "reason": "An old client sends bodies that end early", "granted_by": "cio", "approved_by": "ciso"},
            {"id": "trial-of-groq", "finding": "PRV-01", "provider": "groq", "expires": day(-30), "granted": day(-120),
             "reason": "A trial that is over", "granted_by": "cio"},
        ],
    }  # fmt: skip


def _entitled(department: str) -> list[str]:
    """Models of a role: engineers may use more of them than others."""
    common = ["gpt-6.1*", "claude-*", "gemini-3-*", "mistral-*"]
    return common + (["gpt-5", "qwen/*", "llama-*"] if department in ("Engineering", "Data") else [])


def _routes(reviewed: date, due: date) -> list[dict[str, Any]]:
    again = {"reviewed": reviewed, "review_due": due}
    return [
        {"provider": "openai", "id": "openai.chat", "application": "assistant", "purpose": "Answers to employees",
         "data_subjects": ["employees", "members"], "classes": ["contact.*"], "retention_days": 14, "tags": ["gdpr"],
         "lawful_basis": "contract", **again},
        {"provider": "openai", "id": "openai.embeddings", "application": "search", "purpose": "Search in letters",
         "data_subjects": ["members"], "retention_days": 30, "tags": ["gdpr"], "lawful_basis": "contract", **again},
        {"provider": "anthropic", "id": "anthropic.messages", "application": "clinical-drafts",
         "purpose": "Drafts for doctors", "data_subjects": ["patients"], "classes": ["phi.*", "health.*"],
         "tags": ["phi"], "retention_days": 30, "lawful_basis": "care", **again},
        {"provider": "azure-openai", "id": "openai.chat", "application": "recruiting", "purpose": "Ranks applications",
         "data_subjects": ["applicants"], "tags": ["ai_act_high_risk", "gdpr"], "lawful_basis": "consent"},
        {"provider": "aws", "id": "openai.chat", "application": "board-papers", "purpose": "Papers for the board",
         "regions": ["eu-central-1"], **again},
    ]  # fmt: skip


def _table(name: str, row: Mapping[str, Any]) -> str:
    lines = (f"{key} = {_value(value)}" for key, value in row.items())
    return "\n".join((f"[[{name}]]", *lines, "", ""))


def _value(value: object) -> str:
    if isinstance(value, date):
        return value.isoformat()
    return json.dumps(list(value) if isinstance(value, Iterable) and not isinstance(value, str) else value)


def feed(plan: Plan, site: Site) -> dict[str, str]:
    """What other systems know and the site enters with `sluice posture import`: a resolver's log, who has left, the
    definition of a tool as it is offered today. Kind of import to CSV."""
    now = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S}+00:00"
    seen = [
        ("dns", "gemini.google.com", plan.people[0].subject, 40, "not_proxied"),
        ("flow", BY_ID["chatgpt"].host, plan.people[1].subject, 12, "quic"),
        ("flow", "copybuddy.nordhaven-shadow.example", plan.people[2].subject, 9, "ai_shaped"),
    ]
    head = "at,layer,domain,subject_id,seen,seen_bytes,decrypted,reason_not_inspected\n"
    rows = [f"{now},{layer},{name},{site.pseudonym(who)},{n},{n * 900},0,{why}\n" for layer, name, who, n, why in seen]
    left = next(x.sender.subject for x in plan.exchanges if x.sender.identity == "ip_map")
    yesterday = f"{datetime.now(UTC) - timedelta(days=1):%Y-%m-%dT%H:%M:%S}+00:00"
    facts = f"at,kind,name,number,text\n{yesterday},leaver,{site.pseudonym(left)},0,left\n"
    facts += f"{now},tool_definition,{CHANGED},0,{'2e' * 32}\n"
    return {"observations": head + "".join(rows), "facts": facts}
