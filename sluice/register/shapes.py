"""The rows of each register. A key that is not here is an error; one that is absent is unknown.

Names of models, tools and routes may hold `*` for any text, as in file names. The text below a key is also what the
column of the same name says of itself in the event store.
"""

from __future__ import annotations

import datetime as dt
from typing import Annotated, ClassVar, Literal

import msgspec

type Text = Annotated[str, msgspec.Meta(min_length=1, max_length=1000)]
type Word = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
type Words = Annotated[tuple[Word, ...], msgspec.Meta(max_length=500)]
type Count = Annotated[int, msgspec.Meta(ge=0, le=100_000)]

type Category = Literal[
    "llm_api", "chat_app", "code_assistant", "embedded_saas", "aggregator", "image", "voice", "self_hosted", "cloud"
]
type Plan = Literal["consumer_free", "consumer_paid", "team", "enterprise", "api_free", "api_paid", "cloud_hosted"]
type Training = Literal["no", "opt_out", "opt_in", "yes"]
type Effect = Literal["read", "write", "destructive", "exec", "payment", "message", "unknown"]


class Evidence(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"of": "for"}, kw_only=True):
    """Where a claim of a row is written, and when somebody looked."""

    of: Words
    """Keys of the row that the page speaks of."""
    url: Word
    checked: dt.date


class Row(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What every row has."""

    KEY: ClassVar[tuple[str, ...]] = ("id",)
    """The keys that together name a row: a site's row with the same ones changes the shipped row, key by key."""

    owner: Word | None = None
    """Who answers for it, as written"""
    notes: Text | None = None
    """Notes"""
    evidence: tuple[Evidence, ...] = ()
    """Where the claims are written: keys, address, day on which somebody looked"""


class Provider(Row, frozen=True):
    """A company that receives prompts. Its status (sanctioned ...) stands in `paths.targets`."""

    id: Word
    """Provider, as the destination table and the records name it"""
    name: Word | None = None
    """Name for people"""
    legal_entity: Word | None = None
    """Company that is the party to the contract"""
    country: Annotated[str, msgspec.Meta(pattern="^[A-Z]{2}$")] | None = None
    """Country of its seat, ISO 3166-1 alpha-2"""
    category: Category | None = None
    """What it offers"""
    function: Text | None = None
    """What the organisation uses it for"""
    critical: bool | None = None
    """It supports a critical or important function (DORA)"""
    dora_critical: bool | None = None
    """Designated as a critical third party under DORA"""
    substitutes: Words | None = None
    """Providers that could take its place"""
    risk_score: Annotated[int, msgspec.Meta(ge=0, le=100)] | None = None
    """Risk score of the organisation, 0 to 100"""
    reviewed: dt.date | None = None
    """Day of the last review"""
    review_due: dt.date | None = None
    """Day by which it is reviewed again"""
    contract_end: dt.date | None = None
    """Day on which the contract ends"""
    dpa: Word | None = None
    """Data processing agreement that was signed: reference"""
    dpa_available: bool | None = None
    """The provider offers a data processing agreement"""
    baa: Word | None = None
    """Business associate agreement that was signed: reference"""
    baa_scope: Words | None = None
    """Products that the signed agreement covers; empty = not said"""
    baa_available: bool | None = None
    """The provider offers a business associate agreement"""
    zdr: Word | None = None
    """Agreement on zero data retention: reference"""
    transfer_basis: Word | None = None
    """Basis of a transfer to a third country: standard clauses, framework"""
    regions: Words | None = None
    """Regions in which data may lie by contract; empty = not said"""
    subprocessors: Word | None = None
    """Address of the list of subprocessors"""
    certifications: Words | None = None
    """Certifications that the provider claims"""
    tenant_header: Word | None = None
    """Request header that binds traffic to the organisation's own tenant"""


class Tier(Row, frozen=True):
    """The terms of one plan of a provider: they hang on the plan, not on the vendor."""

    KEY = ("provider", "tier")

    provider: Word
    """Provider"""
    tier: Plan
    """Plan"""
    products: Words | None = None
    """Products of the destination table that can be used under this plan; empty = all"""
    contracted: bool | None = None
    """The organisation has this plan: its traffic is taken to run under it"""
    organisations: Words | None = None
    """Organisations or workspaces of this plan, as answers name them"""
    trains_on_input: Training | None = None
    """Whether prompts train models: no, opt_in (only if asked), opt_out (unless refused), yes"""
    retention_days: Count | None = None
    """Days that prompts and answers are kept by default; 0 = not at all"""
    zdr_available: bool | None = None
    """Zero data retention can be had"""
    human_review: bool | None = None
    """People of the provider may read prompts"""
    baa_covered: bool | None = None
    """A business associate agreement covers it"""
    regions: Words | None = None
    """Regions in which data can be kept"""


class Model(Row, frozen=True):
    """A model, or all whose name fits a pattern."""

    KEY = ("provider", "id")

    id: Word
    """Model, as requests name it; `*` for any text"""
    provider: Word
    """Provider"""
    family: Word | None = None
    """Family"""
    alias_of: Word | None = None
    """Model that this name stands for at present: a name that moves"""
    modality: Words | None = None
    """What goes in and comes out"""
    lifecycle: Literal["active", "legacy", "deprecated", "shutdown"] | None = None
    """Where it is in its life"""
    shutdown: dt.date | None = None
    """Day on which it stops answering"""
    replacement: Word | None = None
    """Model that the provider names in its place"""
    approved: bool | None = None
    """The organisation has approved it"""
    classes: Words | None = None
    """Data classes that may go to it; `*` for any text"""
    ai_act_role: Literal["provider", "deployer", "none"] | None = None
    """Role of the organisation under the EU AI Act"""
    high_risk: bool | None = None
    """Its use here is high-risk under the EU AI Act"""


class Role(Row, frozen=True):
    """What a role (as records name it) is entitled to."""

    id: Word
    """Role, as the records name it"""
    name: Word | None = None
    """Name for people"""
    groups: Words | None = None
    """Groups of the identity provider that have it"""
    providers: Words | None = None
    """Providers that it may use; empty = not said"""
    models: Words | None = None
    """Models that it may use, `*` for any text; empty = not said"""
    routes: Words | None = None
    """Routes that it may use; empty = not said"""
    classes: Words | None = None
    """Data classes that it may send, `*` for any text; empty = not said"""
    reviewer: Word | None = None
    """Who reviews the entitlement"""
    reviewed: dt.date | None = None
    """Day of the last review"""
    review_due: dt.date | None = None
    """Day by which it is reviewed again"""


class Agent(Row, frozen=True):
    """A program that calls models and tools by itself. It is known by its client's name, its subject or its key."""

    id: Word
    """Agent; the client's name in the records (`claude-code`) or one of the organisation's own"""
    name: Word | None = None
    """Name for people"""
    framework: Word | None = None
    """What it is built with"""
    subjects: Words | None = None
    """Subjects that it asks as (pseudonyms in the store)"""
    keys: Words | None = None
    """Fingerprints of API keys that it alone uses"""
    on_behalf_of: Literal["human", "none"] | None = None
    """For whom it acts"""
    autonomy: Literal["assist", "approve_each", "autonomous"] | None = None
    """How far it acts by itself"""
    models: Words | None = None
    """Models that it may use, `*` for any text"""
    providers: Words | None = None
    """Providers that it may use"""
    routes: Words | None = None
    """Routes that it may use"""
    tools: Words | None = None
    """Tools that it may declare, `*` for any text; empty = not said"""
    classes: Words | None = None
    """Data classes that it may send; empty = not said"""
    approval_gate: bool | None = None
    """A person approves before a tool with side effects runs"""
    kill_switch: Word | None = None
    """How it is stopped"""
    purpose: Text | None = None
    """What it is for"""
    system: Word | None = None
    """System of the register that it belongs to"""
    registered: dt.date | None = None
    """Day on which it was entered"""
    reviewed: dt.date | None = None
    """Day of the last review"""
    review_due: dt.date | None = None
    """Day by which it is reviewed again"""


class AgentTool(Row, frozen=True):
    """A tool that one agent was given."""

    KEY = ("agent", "tool")

    agent: Word
    """Agent"""
    tool: Word
    """Tool"""
    approved_by: Word | None = None
    """Who approved it"""
    approved_until: dt.date | None = None
    """Day on which the approval ends"""


class Tool(Row, frozen=True):
    """A tool that requests offer to a model, by its name."""

    id: Word
    """Tool, as requests name it; `*` for any text"""
    kind: Literal["function", "hosted", "mcp", "connector"] | None = None
    """What runs it"""
    server: Word | None = None
    """MCP server that it belongs to"""
    side_effect: Effect | None = None
    """The gravest thing that it can do"""
    reach: Literal["internal", "external"] | None = None
    """Whether it reaches out of the organisation"""
    untrusted_input: bool | None = None
    """What it returns may be written by strangers: web pages, mail, tickets"""
    sensitive_data: bool | None = None
    """What it returns may be sensitive: customers, finance, source code"""
    classes: Words | None = None
    """Data classes that it may carry"""
    schema_hash: Word | None = None
    """Hash of its definition when it was approved"""
    approved: bool | None = None
    """The organisation has approved it"""
    approved_by: Word | None = None
    """Who approved it"""
    approved_until: dt.date | None = None
    """Day on which the approval ends"""


class McpServer(Row, frozen=True):
    """An MCP server that providers are asked to call."""

    id: Word
    """Server, by the label in requests"""
    url: Word | None = None
    """Address"""
    transport: Literal["http", "sse", "stdio", "provider_side"] | None = None
    """How it is reached"""
    auth: Literal["none", "bearer", "oauth"] | None = None
    """How callers prove who they are"""
    require_approval: Literal["always", "never", "some"] | None = None
    """Whether calls wait for approval"""
    tools: Words | None = None
    """Tools that it may offer"""
    tool_list_hash: Word | None = None
    """Hash of its list of tools when it was approved"""
    approved: bool | None = None
    """The organisation has approved it"""
    approved_by: Word | None = None
    """Who approved it"""
    approved_until: dt.date | None = None
    """Day on which the approval ends"""
    reviewed: dt.date | None = None
    """Day of the last review"""
    review_due: dt.date | None = None
    """Day by which it is reviewed again"""


class System(Row, frozen=True):
    """An AI system in the sense of a law: what it is for, and which traffic belongs to it."""

    id: Word
    """System"""
    name: Word | None = None
    """Name for people"""
    purpose: Text | None = None
    """What it is for"""
    use: Text | None = None
    """In what manner it is used"""
    ai_act_class: Literal["prohibited", "high", "limited", "minimal"] | None = None
    """Class under the EU AI Act"""
    ai_act_role: Literal["provider", "deployer", "none"] | None = None
    """Role of the organisation under the EU AI Act"""
    annex: Word | None = None
    """Where the law lists it, as in `III.5(b)`"""
    agents: Words | None = None
    """Agents that belong to it"""
    providers: Words | None = None
    """Providers that it uses"""
    models: Words | None = None
    """Models that it uses, `*` for any text"""
    routes: Words | None = None
    """Routes that it uses"""
    roles: Words | None = None
    """Roles that use it"""
    departments: Words | None = None
    """Departments that use it"""
    classes: Words | None = None
    """Data classes that it is meant to see"""
    safeguards: Text | None = None
    """Safeguards"""
    oversight: Text | None = None
    """How people oversee it"""
    impact_assessment: Word | None = None
    """Impact assessment: reference"""
    registration: Word | None = None
    """Entry in a public database: reference"""
    reviewed: dt.date | None = None
    """Day of the last review"""
    review_due: dt.date | None = None
    """Day by which it is reviewed again"""


class Route(Row, frozen=True):
    """A use of an API: route of the records, of one provider or all."""

    KEY = ("provider", "id")

    id: Word
    """Route, as the records name it (`openai.chat`); `*` for any text"""
    provider: Word = "*"
    """Provider; `*` for all"""
    application: Word | None = None
    """Application that it belongs to"""
    environment: Word | None = None
    """Environment: production, test"""
    purpose: Text | None = None
    """Purpose of the processing"""
    data_owner: Word | None = None
    """Who answers for the data"""
    data_subjects: Words | None = None
    """Whose data it is: customers, employees, patients"""
    tags: Words | None = None
    """What regulates it: phi, pci, gdpr, ai_act_high_risk, gse"""
    classes: Words | None = None
    """Data classes that may go through it, `*` for any text; empty = not said"""
    regions: Words | None = None
    """Regions in which the data may be processed; empty = not said"""
    retention_days: Count | None = None
    """Most days that a provider may keep what it gets"""
    lawful_basis: Word | None = None
    """Lawful basis of the processing"""
    transfer_basis: Word | None = None
    """Basis of a transfer to a third country"""
    reviewed: dt.date | None = None
    """Day of the last review"""
    review_due: dt.date | None = None
    """Day by which it is reviewed again"""


class Application(Row, frozen=True):
    """A program of the organisation that calls AI services, known by its SDK or client name."""

    id: Word
    """Application: the client's or SDK's name in the records, or one of the organisation's own"""
    name: Word | None = None
    """Name for people"""
    kind: Literal["browser", "sdk", "ide", "cli", "service", "saas", "mobile", "desktop"] | None = None
    """What it is"""
    user_agent: Word | None = None
    """User-Agent that it sends; `*` for any text"""
    repository: Word | None = None
    """Where its source is kept"""
    environment: Word | None = None
    """Environment: production, test"""
    approved: bool | None = None
    """The organisation has approved it"""


class Exemption(Row, frozen=True):
    """A deviation that somebody has accepted, until a day."""

    id: Word
    """Exception"""
    expires: dt.date
    """Day after which it no longer holds"""
    finding: Word | None = None
    """Posture finding that it accepts, by id"""
    provider: Word | None = None
    """Provider that it is for"""
    model: Word | None = None
    """Model that it is for"""
    route: Word | None = None
    """Route that it is for"""
    subject: Word | None = None
    """Subject that it is for (a pseudonym in the store)"""
    key: Word | None = None
    """Fingerprint of the API key that it is for"""
    agent: Word | None = None
    """Agent that it is for"""
    tool: Word | None = None
    """Tool that it is for"""
    rule: Word | None = None
    """Rule or failure rule of the policy that it stands for"""
    reason: Text | None = None
    """Why"""
    control: Text | None = None
    """What makes up for it"""
    granted: dt.date | None = None
    """Day on which it was granted"""
    granted_by: Word | None = None
    """Who granted it"""
    approved_by: Word | None = None
    """Who approved it, another person"""


KINDS: dict[str, type[Row]] = {
    "provider": Provider,
    "tier": Tier,
    "model": Model,
    "role": Role,
    "agent": Agent,
    "agent_tool": AgentTool,
    "tool": Tool,
    "mcp_server": McpServer,
    "system": System,
    "route": Route,
    "application": Application,
    "exception": Exemption,
}
"""Name of the table in a register file (`[[provider]]`) to the shape of its rows."""

PATTERNS: dict[str, tuple[str, ...]] = {
    "model": ("id", "classes"),
    "role": ("models", "routes", "classes"),
    "agent": ("models", "routes", "tools", "classes"),
    "tool": ("id",),
    "system": ("models", "routes"),
    "route": ("id", "provider", "classes"),
    "application": ("user_agent",),
}
"""Keys that may hold `*`; the store has each of them a second time as LIKE patterns."""
