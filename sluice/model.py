"""Every value that travels through the house: frozen, slotted, no behaviour beyond small properties.

A type marked **P** may hold plaintext of a request. Its plaintext fields are kept out of `repr`, so that no log line,
assertion or traceback that prints one can leak a prompt. Plaintext ends in `sluice.detect`: nothing below `Finding`
in this file may carry any.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import ClassVar, Protocol

import msgspec

from sluice.value import Value


class Status(StrEnum):
    """What the site says of a destination."""

    SANCTIONED = "sanctioned"
    TOLERATED = "tolerated"
    PROHIBITED = "prohibited"
    UNREVIEWED = "unreviewed"


class Mode(StrEnum):
    """Whether a decision binds. `PASS` destinations are tunnelled without decryption."""

    ENFORCE = "enforce"
    OBSERVE = "observe"
    PASS = "pass"


class Action(StrEnum):
    """`BLOCK`: policy said no. `REFUSE`: we could not decide. They call different people."""

    ALLOW = "allow"
    BLOCK = "block"
    REFUSE = "refuse"


class Assurance(StrEnum):
    """How far the identity of a subject can be trusted."""

    VERIFIED = "verified"
    MAPPED = "mapped"
    ASSERTED = "asserted"
    NONE = "none"


class Ownership(StrEnum):
    """Whose an API key is."""

    CORPORATE = "corporate"
    PERSONAL = "personal"
    UNKNOWN = "unknown"


class Severity(StrEnum):
    INFO = "info"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """0 (info) to 4 (critical)."""
        return _SEVERITY_RANK[self]


_SEVERITY_RANK = {s: i for i, s in enumerate(Severity)}


class Role(StrEnum):
    """The role a text has on the wire, across dialects."""

    SYSTEM = "system"
    DEVELOPER = "developer"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL_CALL = "tool_call"
    TOOL_RESULT = "tool_result"
    TOOL_DEFINITION = "tool_definition"
    DOCUMENT = "document"
    PROMPT = "prompt"
    SUFFIX = "suffix"
    QUERY = "query"
    TITLE = "title"
    FILE_NAME = "file_name"
    METADATA = "metadata"
    URL_QUERY = "url_query"
    HEADER = "header"
    UNKNOWN = "unknown"


class PartKind(StrEnum):
    """What sort of text a part is."""

    TEXT = "text"
    TOOL_ARGS = "tool_args"
    TOOL_RESULT = "tool_result"
    FILE = "file"
    URL = "url"


class Provenance(StrEnum):
    """Where a text came from, as policy sees it.

    `HISTORY` is everything up to and including the last assistant turn (agents resend the whole conversation);
    system text is always `SYSTEM`. `REQUEST` is text of the request around the body: query string and headers.
    """

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL_ARGS = "tool_args"
    TOOL_RESULT = "tool_result"
    FILE = "file"
    HISTORY = "history"
    REQUEST = "request"


class RecordType(StrEnum):
    """The kinds of record in the ledger (`bypass`: an opaque tunnel or pass-through request; `access`: somebody looked
    something up)."""

    DECISION = "decision"
    OUTCOME = "outcome"
    BYPASS = "bypass"
    CONTROL = "control"
    ACCESS = "access"


class Completeness(StrEnum):
    """How much of a request the detectors saw."""

    FULL = "full"
    PARTIAL = "partial"
    NONE = "none"


# --------------------------------------------------------------------------------------------- the request as it came


class Client(Value, frozen=True):
    """The peer that holds the connection. `port` is its source port."""

    address: str
    port: int = 0
    tls_version: str | None = None
    alpn: str | None = None


class Exchange(Value, frozen=True):
    """**P** One request, complete, as the proxy read it. Headers keep their wire order and spelling.

    `id` is the decision id (UUIDv7, text), `at` nanoseconds since the epoch. `host` is where the bytes would go: the
    CONNECT or absolute-form authority, never the `Host` header. `connect_host`, `sni` and `host_header` are what the
    three places said, for `targets.agreement`. `path` is without its query, `query` without the question mark.
    `subject` is who has proven on this connection, or with this request, who he is; no header of that is here.
    """

    HIDDEN: ClassVar[frozenset[str]] = frozenset({"path", "query", "headers", "trailers", "body"})

    id: str
    at: int
    client: Client
    method: str
    scheme: str
    host: str
    port: int
    path: str
    query: str = ""
    http_version: str = "HTTP/1.1"
    headers: tuple[tuple[str, str], ...] = ()
    trailers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    connect_host: str | None = None
    sni: str | None = None
    host_header: str | None = None
    subject: Subject | None = None

    def header(self, name: str) -> str | None:
        """The first value of a header, name compared without case; None when absent."""
        name = name.lower()
        return next((v for k, v in self.headers if k.lower() == name), None)

    def header_values(self, name: str) -> tuple[str, ...]:
        """Every value of a header, in wire order."""
        name = name.lower()
        return tuple(v for k, v in self.headers if k.lower() == name)


class Target(Value, frozen=True):
    """The row of the destination table that a request matched. `row` names it in records and explanations.

    `observe_until` ends mode observe: nanoseconds since the epoch, 0 = the row does not observe.
    """

    row: str
    provider: str
    product: str
    kind: str
    dialect: str
    status: Status
    mode: Mode
    host: str
    ai: bool = True
    observe_until: int = 0


class Subject(Value, frozen=True):
    """Who is asking. `id` is the real name (`user:alice`) or the address: records hold its fingerprint instead.

    `expired`: it was known who this is, until a map's or register's row ran out.
    """

    id: str
    kind: str
    method: str
    assurance: Assurance
    groups: tuple[str, ...] = ()
    role: str | None = None
    department: str | None = None
    expired: bool = False


# ------------------------------------------------------------------------------------------- the request as understood


class Payload(Value, frozen=True):
    """**P** A body with its content codings undone. `opacity` says why it could not be read, or is None.

    `data` is whatever was decoded before trouble (possibly empty); `encodings` in the order of the header;
    `wire_size` the bytes as they came, so that `len(data)` is the decoded size.
    """

    HIDDEN: ClassVar[frozenset[str]] = frozenset({"data"})

    data: bytes
    media_type: str
    charset: str | None
    encodings: tuple[str, ...]
    wire_size: int
    opacity: str | None = None
    boundary: str | None = None


class Part(Value, frozen=True):
    """**P** One text of a request. `pointer` is an RFC 6901 JSON pointer, with `#json` before the pointer inside a
    string that holds JSON (`/messages/2/tool_calls/0/function/arguments#json/to`), or `header:name`, `query:name`,
    `form:name`, `multipart:name` outside a JSON body.
    """

    HIDDEN: ClassVar[frozenset[str]] = frozenset({"text"})

    pointer: str
    role: Role
    kind: PartKind
    provenance: Provenance
    text: str


class Unread(Value, frozen=True):
    """Something that left with the request and that no detector saw. `reason` is from a closed list in `errors`."""

    pointer: str
    kind: str
    size: int
    reason: str


class Attachment(Value, frozen=True):
    """**P** (name, url) A file that a request carries or refers to.

    `transport`: inline-base64, inline-dataurl, inline-text, multipart, url, file_id. `size` is bytes, when known.
    """

    HIDDEN: ClassVar[frozenset[str]] = frozenset({"name", "url"})

    pointer: str
    kind: str
    mime: str | None
    transport: str
    size: int | None = None
    name: str | None = None
    url: str | None = None
    file_id: str | None = None


class McpServer(Value, frozen=True):
    """**P** (url may hold a token in its query) An MCP server that the request asks the provider to call."""

    HIDDEN: ClassVar[frozenset[str]] = frozenset({"url"})

    label: str
    url: str | None = None
    approval: str | None = None
    """Whether calls wait for approval, as the request says: `always`, `never`, `some`; None = it says nothing."""
    token: bool = False
    """A credential for the server lies in the request."""


class RawCredential(Value, frozen=True):
    """**P** A secret in a credential position: it authenticates the request itself, so it is not a leak.

    `location` as in `header:authorization:bearer`, `header:x-api-key`, `query:key`, `body:/mcp_servers/0/...`.
    """

    HIDDEN: ClassVar[frozenset[str]] = frozenset({"value"})

    location: str
    value: str


class Prompt(Value, frozen=True):
    """**P** What a request says, whatever its wire format. `unread` lists what could not be read, and why.

    `hosted` are kinds of tools that the provider runs or defines, and `sdk` a client library with its version, both
    from closed lists; `previous` is the id of the answer that this request continues, `trace` a W3C trace id.
    """

    HIDDEN: ClassVar[frozenset[str]] = frozenset({"parts", "session", "previous", "trace"})

    dialect: str
    operation: str
    model: str | None = None
    stream: bool = False
    parts: tuple[Part, ...] = ()
    tools: tuple[str, ...] = ()
    mcp_servers: tuple[McpServer, ...] = ()
    files: tuple[Attachment, ...] = ()
    unread: tuple[Unread, ...] = ()
    credentials: tuple[RawCredential, ...] = ()
    agent: str | None = None
    session: str | None = None
    tool_choice: str | None = None
    route: str | None = None
    hosted: tuple[str, ...] = ()
    previous: str | None = None
    sdk: str | None = None
    trace: str | None = None


# ------------------------------------------------------------------------------------------------ detection's results


class Detector(Value, frozen=True):
    """One detector as a pack declares it, validated. `status` `test` = observed, never blocks."""

    HIDDEN: ClassVar[frozenset[str]] = frozenset({"match", "reject"})

    id: str
    rev: int
    title: str
    why: str
    data_class: str
    severity: Severity
    regulations: tuple[str, ...]
    pattern: str
    keywords: tuple[str, ...] = ()
    keyword_use: str = "boost"
    within: int = 80
    validators: tuple[str, ...] = ()
    status: str = "stable"
    overlaps: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    family: str = ""
    match: tuple[str, ...] = ()
    reject: tuple[str, ...] = ()
    case_insensitive: bool = False
    allow: tuple[str, ...] = ()
    """Expressions of a site's overlay: a value that one of them matches whole is no finding."""


class Hit(Value, frozen=True):
    """A place where a pattern matched: offsets only, in code points of the part's text. `part` is its index."""

    detector: Detector
    part: int
    start: int
    end: int


class Finding(Value, frozen=True):
    """A confirmed, sealed hit: the only thing that leaves detection. It holds no plaintext.

    `start`/`end` are code points in the text at `pointer`; `validated` is None where the detector has no validator;
    `fingerprint` is a keyed HMAC-SHA-256 (16 bytes, hex) of the normalised value; `mask` a hint only where the class
    allows one (the last four digits of a card; nothing for a secret). `example`: a documented sample or placeholder.
    `live`: this very key was seen working, as the credential of a request that was answered.
    """

    detector: str
    rev: int
    data_class: str
    severity: Severity
    pointer: str
    start: int
    end: int
    validated: bool | None
    confidence: float
    fingerprint: str
    provenance: Provenance
    mask: str | None = None
    novelty: str = "new"
    example: bool = False
    status: str = "stable"
    regulations: tuple[str, ...] = ()
    suppressed: str | None = None
    """Id of the site's suppression that takes it out of the account: policy does not see it, the record does."""
    live: bool = False
    expires: int | None = None
    """Seconds since the epoch, where the value says itself when it ends (a token, a signed URL). Of this process alone:
    what it comes to is in `severity` and `confidence` (`detect.expiry`)."""


class Credential(Value, frozen=True):
    """The key a request authenticates with, sealed: keyed fingerprint, kind (`openai.project`, `jwt`, ...), hint."""

    location: str
    kind: str
    fingerprint: str
    hint: str


class Coverage(Value, frozen=True):
    """How much of one request was read: bytes, and why the rest was not."""

    completeness: Completeness
    wire_bytes: int
    decoded_bytes: int
    scanned_bytes: int
    unread_bytes: int
    reasons: tuple[str, ...] = ()


# --------------------------------------------------------------------------------------------------------- the decision


class Facts(Value, frozen=True):
    """What policy may look at: everything known of a request, and no plaintext."""

    HIDDEN: ClassVar[frozenset[str]] = frozenset({"path"})

    target: Target
    subject: Subject
    method: str
    path: str
    operation: str
    model: str | None
    agent: str | None
    tools: tuple[str, ...]
    client_address: str
    findings: tuple[Finding, ...]
    coverage: Coverage
    credential: Credential | None = None
    at: int = 0
    ownership: Ownership | None = None
    agents: tuple[str, ...] = ()
    """What else the agent is called, beside its client's name; filled where the policy asks for an agent."""


class Decision(Value, frozen=True):
    """What happens to a request, and by which rule. `would` is set in observe mode: what enforcement had done.

    `reason` is a code of `errors.Reason`; `cause` names the failure for `refuse`; `message` is the policy's word to
    the person (operator's text, never the client's); `classes` are data classes found, most severe first, `blocked`
    those of them that the blocking rule names; `detail` is a word of the proxy's own about a refusal (`port`).
    """

    action: Action
    reason: str
    rule: str
    mode: Mode = Mode.ENFORCE
    would: Action | None = None
    cause: str | None = None
    message: str = ""
    classes: tuple[str, ...] = ()
    rules_evaluated: int = 0
    degraded: tuple[str, ...] = ()
    blocked: tuple[str, ...] = ()
    detail: str = ""


class Receipt(Value, frozen=True):
    """Proof that a record is durable. Made by `ledger.writer` alone, after the flush that covers it."""

    node: str
    epoch: int
    seq: int
    leaf_hash: bytes
    durable_at: int
    waited_us: int = 0
    """From being placed in the order to being durable, microseconds."""


class Clearance(Value, frozen=True):
    """Permission to forward one exchange. Made by `gate` alone, from a durable allow; `addons.guard` demands it."""

    exchange_id: str
    decision: Decision
    receipt: Receipt
    key: str | None = None
    """Fingerprint of the credential that the exchange goes out with."""


class Refusal(Value, frozen=True):
    """The other answer of the gate: what to tell the client instead of forwarding. `receipt` is None only when the
    record of the refusal itself could not be made durable."""

    exchange_id: str
    decision: Decision
    target: Target | None
    receipt: Receipt | None


class Answer(Value, frozen=True):
    """What a refused client gets: status, headers in order, body. Built by `refusals`, sent by `addons`."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    error_code: str


class Answered(Value, frozen=True, kw_only=True):
    """**P** (every text: it is the provider's word and has not been looked at) What an answer says of itself.

    Tokens are the provider's own count. `calls` are names of the tools that the answer calls, each as often as called.
    """

    HIDDEN: ClassVar[frozenset[str]] = frozenset({"model", "id", "finish", "calls"})

    model: str | None = None
    id: str | None = None
    finish: str | None = None
    tokens_in: int | None = None
    tokens_out: int | None = None
    tokens_cached: int | None = None
    tokens_reasoning: int | None = None
    calls: tuple[str, ...] = ()


class Outcome(Value, frozen=True, kw_only=True):
    """How an exchange or tunnel ended, as the proxy saw it. Times are microseconds since the epoch.

    `forwarded` is True once a connection to the upstream stood for this exchange; a failed connect forwards nothing.
    `receipt` and `classes` are the decision record's, which this one is kept as long as; `key` is the fingerprint of
    the credential that went out.
    """

    exchange_id: str
    forwarded: bool
    target: Target | None = None
    client_status: int | None = None
    client_error_code: str | None = None
    ts_received: int = 0
    ts_forwarded: int | None = None
    ts_first_byte: int | None = None
    ts_end: int = 0
    upstream_status: int | None = None
    upstream_error: str | None = None
    reason: str | None = None
    resp_bytes: int | None = None
    stream_aborted: bool | None = None
    client_disconnected: bool | None = None
    latency_added_us: int | None = None
    latency_upstream_ms: int | None = None
    dst_ip: str | None = None
    dst_port: int | None = None
    http_version: str | None = None
    tls_version_client: str | None = None
    tls_version_upstream: str | None = None
    upstream_cert_sha256: str | None = None
    upstream_cert_verified: bool | None = None
    org_id_seen: str | None = None
    project_id_seen: str | None = None
    tunnel_bytes_up: int | None = None
    tunnel_bytes_down: int | None = None
    answer: Answered | None = None
    classes: tuple[str, ...] = ()
    receipt: Receipt | None = None
    key: str | None = None


# ------------------------------------------------------------------------------------------------------------ evidence


class Match(msgspec.Struct, frozen=True, kw_only=True):
    """Findings of one detector and value in one request, as the record keeps them (`offset_bucket` in kilobytes)."""

    detector: str
    rev: int
    data_class: str
    severity: str
    count: int
    validated: bool | None = None
    confidence: float
    offset_bucket: int
    fingerprint: str
    mask: str | None = None
    provenance: str = "user"
    novelty: str = "new"
    example: bool = False
    suppressed: str | None = None
    live: bool = False


class PartFact(msgspec.Struct, frozen=True, kw_only=True):
    """The shape of one part: role, kind and size in bytes. Never its text."""

    role: str
    kind: str
    bytes: int


class FileFact(msgspec.Struct, frozen=True, kw_only=True):
    """The shape of one attachment: kind, media type, transport, size. Never its name or content."""

    kind: str
    mime: str | None = None
    transport: str = ""
    bytes: int | None = None


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """The evidence of one event, field for field as `evidence.md` section 1.2 lists them; None = not known (yet).

    Times are microseconds since the epoch; durations say their unit. `node`, `epoch`, `seq` and `prev_hash` are set by
    the writer; everything else by whoever saw the event. A decision record is complete before a byte is forwarded;
    the outcome record carries the same `decision_id` and the O fields.

    Named by the specification, and None in every record so far, because nobody who sees the event knows it:
    `device_id`, `device_managed` (no device register is read), `country` (an address says nothing certain of it),
    `app_id` (programs are named in `user_agent`), `ja3`, `ja4` (the handshake's bytes are not kept by the TLS
    library), `lang` (a guess, paid for by every request), `risk_score` (rules decide, no score does), `approved_by`
    (an exception says who wrote it in the policy file, whose digest is here), `high_risk`, `ai_act_system_id`,
    `lawful_basis`, `baa_ref`, `transfer_basis` (of a register, by `provider_id`, and not of a request), `signature`,
    `signing_key_id`, `checkpoint_id` (checkpoints name the records that they cover, and are signed later), and the
    fields of transformation and review, which nothing does yet.
    """

    # identity of record
    record_type: RecordType
    decision_id: str
    schema_version: int = 1
    parent_decision_id: str | None = None
    tenant_id: str | None = None
    node_id: str = ""
    epoch: int = 0
    seq: int = 0
    retention_class: str = "standard"
    legal_hold: bool = False
    control_kind: str | None = None
    control_detail: str | None = None
    clipped: tuple[str, ...] | None = None
    # time (microseconds since the epoch)
    ts_received: int = 0
    ts_identity_done: int | None = None
    ts_scan_done: int | None = None
    ts_decided: int | None = None
    ts_committed: int | None = None
    ts_forwarded: int | None = None
    ts_first_byte: int | None = None
    ts_end: int | None = None
    clock_offset_ms: float | None = None
    clock_source: str | None = None
    # subject
    subject_id: str | None = None
    subject_kind: str | None = None
    identity_method: str | None = None
    identity_assurance: str | None = None
    idp: str | None = None
    role: str | None = None
    groups_hash: str | None = None
    department: str | None = None
    on_behalf_of: str | None = None
    delegation_chain: tuple[str, ...] | None = None
    session_id: str | None = None
    # origin
    src_ip: str | None = None
    src_port: int | None = None
    device_id: str | None = None
    device_managed: bool | None = None
    country: str | None = None
    app_id: str | None = None
    user_agent: str | None = None
    sdk: str | None = None
    ja3: str | None = None
    ja4: str | None = None
    # credential
    key_fp: str | None = None
    key_hint: str | None = None
    key_kind: str | None = None
    key_ownership_at_decision: str | None = None
    injected_tenant_header: str | None = None
    org_id_seen: str | None = None
    project_id_seen: str | None = None
    key_ownership_after: str | None = None
    # destination
    provider_id: str | None = None
    provider_tier: str | None = None
    provider_status: str | None = None
    product: str | None = None
    target_row: str | None = None
    host: str | None = None
    sni: str | None = None
    dst_ip: str | None = None
    dst_port: int | None = None
    http_version: str | None = None
    tls_version_client: str | None = None
    tls_version_upstream: str | None = None
    upstream_cert_sha256: str | None = None
    upstream_cert_verified: bool | None = None
    method: str | None = None
    path_template: str | None = None
    route_id: str | None = None
    operation: str | None = None
    region: str | None = None
    # model
    model_requested: str | None = None
    model_approved: bool | None = None
    model_served: str | None = None
    response_id: str | None = None
    response_fp: str | None = None
    tokens_in: int | None = None
    tokens_out: int | None = None
    tokens_cached: int | None = None
    tokens_reasoning: int | None = None
    finish_reason: str | None = None
    # agent and tools
    agent_id: str | None = None
    trace_id: str | None = None
    conversation_fp: str | None = None
    previous_response_ref: str | None = None
    tools_declared: tuple[str, ...] | None = None
    tool_choice: str | None = None
    mcp_servers: tuple[str, ...] | None = None
    mcp_facts: tuple[str, ...] | None = None
    hosted_tools: tuple[str, ...] | None = None
    dangerous_tools: tuple[str, ...] | None = None
    tool_calls_returned: tuple[str, ...] | None = None
    # content, measured and not stored
    body_bytes: int | None = None
    decoded_bytes: int | None = None
    content_type: str | None = None
    encodings: tuple[str, ...] | None = None
    dialect: str | None = None
    stream: bool | None = None
    parts: tuple[PartFact, ...] | None = None
    attachments: tuple[FileFact, ...] | None = None
    lang: str | None = None
    body_hmac: str | None = None
    hmac_key_id: str | None = None
    normalisation_version: int | None = None
    # inspection
    data_classes: tuple[str, ...] | None = None
    matches: tuple[Match, ...] | None = None
    max_severity: str | None = None
    inspection_status: str | None = None
    scanned_bytes: int | None = None
    uninspected_bytes: int | None = None
    uninspected_reason: tuple[str, ...] | None = None
    scan_us: int | None = None
    identity_us: int | None = None
    decode_us: int | None = None
    parse_us: int | None = None
    decide_us: int | None = None
    commit_us: int | None = None
    engine_versions: str | None = None
    detector_pack_version: str | None = None
    rulebook_digest: str | None = None
    # policy
    policy_id: str | None = None
    policy_version: str | None = None
    policy_sha256: str | None = None
    rule_id: str | None = None
    rules_evaluated: int | None = None
    policy_mode: str | None = None
    exception_id: str | None = None
    approved_by: str | None = None
    fail_mode: str | None = None
    policy_age_s: int | None = None
    # decision
    decision: str | None = None
    would_decide: str | None = None
    reason_code: str | None = None
    reason_detail: str | None = None
    risk_score: float | None = None
    degraded: tuple[str, ...] | None = None
    client_status: int | None = None
    client_error_code: str | None = None
    # transformation
    redactions: tuple[str, ...] | None = None
    body_hmac_after: str | None = None
    bytes_after: int | None = None
    # outcome
    forwarded: bool | None = None
    upstream_status: int | None = None
    upstream_error: str | None = None
    resp_bytes: int | None = None
    resp_hmac: str | None = None
    resp_classes: tuple[str, ...] | None = None
    resp_action: str | None = None
    stream_aborted: bool | None = None
    client_disconnected: bool | None = None
    latency_added_us: int | None = None
    latency_upstream_ms: int | None = None
    ws_messages: int | None = None
    tunnel_bytes_up: int | None = None
    tunnel_bytes_down: int | None = None
    # oversight
    reviewer: str | None = None
    review_verdict: str | None = None
    reviewed_at: int | None = None
    override_reason: str | None = None
    # regulatory tags
    regulated_tags: tuple[str, ...] | None = None
    ai_act_system_id: str | None = None
    high_risk: bool | None = None
    lawful_basis: str | None = None
    baa_ref: str | None = None
    transfer_basis: str | None = None
    # integrity
    chain_id: str | None = None
    prev_hash: str | None = None
    signature: str | None = None
    signing_key_id: str | None = None
    checkpoint_id: str | None = None


# ------------------------------------------------------------------------------------- contracts between the rooms


class Ledger(Protocol):
    """What the gate needs of evidence: one call that returns only when the record is durable."""

    async def commit(self, record: Record) -> Receipt:
        """Append and flush. Raises `errors.Unavailable` when the record is not known to be durable."""
        ...

    async def note(self, record: Record) -> Receipt:
        """Like `commit`, for a record that no traffic waits for: it may wait a little to share another's flush."""
        ...


class Policy(Protocol):
    """What the gate needs of policy: two pure functions and its name."""

    @property
    def id(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def digest(self) -> str: ...

    def decide(self, facts: Facts) -> Decision:
        """The first rule that matches. Pure; never raises on any `Facts`."""
        ...

    def on_failure(self, cause: str, target: Target | None, at: int) -> Decision:
        """The row of the failure table for a cause (`errors.Cause`): refuse, or allow when the operator chose so."""
        ...


class AgentNames(Protocol):
    """What the gate needs of the register of agents: by what names the agent behind a request goes."""

    def names(self, client: str | None, subject: str, key: str | None) -> tuple[str, ...]:
        """Beside its client's name: by its subject, as the gate names it, and the fingerprint of its API key."""
        ...


class Scanner(Protocol):
    """What the gate needs of detection: parts in, sealed findings out. Safe to call from any thread."""

    @property
    def digest(self) -> str: ...
    @property
    def versions(self) -> str: ...

    def scan(self, parts: tuple[Part, ...]) -> Scan: ...

    def seal_credential(self, raw: RawCredential, provider: str | None = None) -> Credential: ...

    def fingerprint(self, purpose: str, value: str | bytes) -> str:
        """Keyed HMAC-SHA-256, 16 bytes as hex, of a value under a purpose label (domain separation)."""
        ...

    @property
    def key_id(self) -> str: ...


class Scan(Value, frozen=True):
    """What came of scanning a request's parts: findings in order of (part, start), and what was not scanned."""

    findings: tuple[Finding, ...]
    scanned_bytes: int
    unread: tuple[Unread, ...] = ()


class Judgements(Protocol):
    """What the gate needs of a site's suppressions."""

    def mark(
        self, findings: tuple[Finding, ...], target: Target, subject: Subject, route: str | None, at: int
    ) -> tuple[Finding, ...]:
        """The findings; those that the site has judged to be none name the suppression."""
        ...


class Destinations(Protocol):
    """What the gate and the tunnel need of the destination table."""

    @property
    def digest(self) -> str: ...

    def match(self, host: str, port: int, path: str = "/") -> Target | None:
        """The most specific AI row for a normalised host and path, or None: not an AI destination."""
        ...

    def decrypts(self, host: str, port: int = 443) -> bool:
        """True when any row could make a path on this host an AI destination, so TLS must be opened."""
        ...


class Bound(Value, frozen=True):
    """What binds requests to a destination to the organisation's own tenant. `names` is what a record says of it.

    `fields` are (name, value) as they are sent, `taken` the names whose other copies go; all names in lower case.
    """

    names: str
    fields: tuple[tuple[bytes, bytes], ...]
    taken: frozenset[bytes]


class Rulebook(Value, frozen=True):
    """Everything that can change a decision, swapped whole. `digest` names exactly this combination."""

    targets: Destinations
    detectors: Scanner
    policy: Policy
    digest: str
    loaded_at: int
    suppressions: Judgements | None = None
    tenants: Mapping[str, Bound] = MappingProxyType({})
    """By row of the destination table."""
    agents: AgentNames | None = None
    """None where the policy asks for no agent."""


Attributes = Mapping[str, str | int | float | bool | None]
"""Shape of structured log fields: closed, scalar, no content."""
