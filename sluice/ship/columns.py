"""The columns of the `events` table: one line each, in the order of the record.

This table, `model.Record` and `deploy/clickhouse/*.sql` say the same thing three times; a test holds them together.
How to read a line: what it is for decides the type (`low` = few distinct values, `text` = many, `moment` = a time ...).
A field of the record that is None is NULL; lists are empty. In the sorting column `provider_id` None is the empty text.
Integers are 64 bits wide: what the ledger can say, every column can hold, and ClickHouse wraps around without a word.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

LOW = "LowCardinality(Nullable(String))"
ACTIONS = (
    "Enum8('allow' = 1, 'block' = 2, 'refuse' = 3, 'redact' = 4, 'tokenise' = 5, 'route_only' = 6, "
    "'require_approval' = 7)"
)
SEVERITIES = "Enum8('info' = 1, 'low' = 2, 'medium' = 3, 'high' = 4, 'critical' = 5)"
RECORD_TYPES = "Enum8('decision' = 1, 'outcome' = 2, 'bypass' = 3, 'control' = 4, 'ws_message' = 5, 'access' = 6)"
MODES = "Enum8('enforce' = 1, 'observe' = 2, 'pass' = 3)"
ASSURANCES = "Enum8('verified' = 1, 'mapped' = 2, 'asserted' = 3, 'none' = 4)"
COMPLETENESS = "Enum8('full' = 1, 'partial' = 2, 'none' = 3)"

MICRO = 1_000_000
LAST_SECOND = 10_413_791_999
"""End of the year 2299, beyond which a DateTime64 cannot go."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column, which is one field of the record. `items` (name, type) is set where the field is a list of facts.

    `put` turns the record's value into the column's where they differ, `take` turns back what ClickHouse writes (as
    JSON, times as `unix_timestamp`). None stands for "as it is".
    """

    name: str
    type: str
    comment: str
    codec: str = ""
    items: tuple[tuple[str, str], ...] = ()
    put: Callable[[Any], object] | None = None
    take: Callable[[Any], Any] | None = None
    absent: str | None = None
    """What stands in a column without NULL for a field that says nothing; a record that says just that has no row."""

    @property
    def sql(self) -> str:
        """This column in a CREATE TABLE."""
        codec = f" CODEC({self.codec})" if self.codec else ""
        comment = self.comment.replace("'", "''")
        return f"{self.name} {self.type}{codec} COMMENT '{comment}'"


def micros(text: object) -> int:
    """What ClickHouse writes for it as `unix_timestamp`."""
    whole, _, rest = str(text).partition(".")
    return int(whole) * MICRO + int(rest.ljust(6, "0"))


def low(name: str, comment: str) -> Column:
    return Column(name, LOW, comment)


def key(name: str, comment: str) -> Column:
    return Column(name, "LowCardinality(String)", comment, take=lambda v: v or None, absent="")


def text(name: str, comment: str) -> Column:
    return Column(name, "Nullable(String)", comment, "ZSTD(1)")


def moment(name: str, comment: str) -> Column:
    return Column(name, "Nullable(DateTime64(6, 'UTC'))", comment, "Delta, ZSTD(1)", take=micros)


def number(name: str, comment: str) -> Column:
    return Column(name, "Nullable(Int64)", comment, "T64, ZSTD(1)")


def real(name: str, comment: str) -> Column:
    return Column(name, "Nullable(Float64)", comment, take=float)


def flag(name: str, comment: str) -> Column:
    return Column(name, "Nullable(Bool)", comment)


def choice(name: str, values: str, comment: str) -> Column:
    return Column(name, f"Nullable({values})", comment)


def texts(name: str, comment: str) -> Column:
    return Column(name, "Array(LowCardinality(String))", comment)


def uuid(name: str, comment: str) -> Column:
    return Column(name, "Nullable(UUID)", comment)


def facts(name: str, comment: str, **items: str) -> Column:
    """A list of facts: `name.item` reads one of them as an array."""
    kinds = ", ".join(f"{item} {kind}" for item, kind in items.items())
    return Column(name, f"Array(Tuple({kinds}))", comment, items=tuple(items.items()), take=partial(_floats, items))


def _floats(items: Mapping[str, str], rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """ClickHouse writes the number 1.0 as 1."""
    return [{k: float(v) if items.get(k) == "Float64" else v for k, v in row.items()} for row in rows]


NO_ID = "00000000-0000-0000-0000-000000000000"

COLUMNS: tuple[Column, ...] = (
    # identity of the record
    Column("record_type", RECORD_TYPES, "What this row is: a decision, the outcome of one, a bypass, a control event"),
    Column(
        "decision_id",
        "UUID",
        "Id of the exchange (UUIDv7); decision and outcome carry the same one; zero for control events",
        put=lambda v: v or NO_ID,
        take=lambda v: "" if v == NO_ID else v,
        absent=NO_ID,
    ),
    Column("schema_version", "Int64", "Version of the record's schema", "T64, ZSTD(1)"),
    uuid("parent_decision_id", "The decision that this record belongs to or follows from"),
    low("tenant_id", "Tenant, where one deployment serves several"),
    Column("node_id", "LowCardinality(String)", "Node that wrote the record"),
    Column("epoch", "Int64", "Opening of the stream in which the record was written, from 1"),
    Column("seq", "Int64", "Number of the record in its stream, gap-free from 0", "Delta, ZSTD(1)"),
    Column("retention_class", "LowCardinality(String)", "Decides how long the row is kept; part of the partition"),
    Column("legal_hold", "Bool", "The row is not deleted while this is set"),
    low("control_kind", "Control events: start, stop, recovered, damage, policy load, key rotation ..."),
    text("control_detail", "Control events: facts as JSON"),
    texts("clipped", "Fields that were shortened to keep the record in bounds, as `parts 4000>200`"),
    # time
    Column(
        "ts_received",
        "DateTime64(6, 'UTC')",
        "When the request was complete, or the event happened",
        "Delta, ZSTD(1)",
        take=micros,
    ),
    moment("ts_identity_done", "When the subject was known"),
    moment("ts_scan_done", "When detection was done"),
    moment("ts_decided", "When policy had decided"),
    moment("ts_committed", "When the decision record was durable"),
    moment("ts_forwarded", "When the request was sent on"),
    moment("ts_first_byte", "When the first byte of the answer came"),
    moment("ts_end", "When the exchange was over"),
    real("clock_offset_ms", "Offset of the node's clock, milliseconds"),
    low("clock_source", "What the clock is synchronised to"),
    # subject
    low("subject_id", "Keyed pseudonym of the subject"),
    low("subject_kind", "Kind of subject: user, service, address"),
    low("identity_method", "How the subject was identified"),
    choice("identity_assurance", ASSURANCES, "How far the identity can be trusted"),
    low("idp", "Identity provider"),
    low("role", "Role of the subject"),
    low("groups_hash", "Keyed fingerprint of the subject's groups"),
    low("department", "Department of the subject"),
    low("on_behalf_of", "Subject for whom an agent acts (pseudonym)"),
    texts("delegation_chain", "Chain of delegation, outermost first (pseudonyms)"),
    text("session_id", "Keyed fingerprint of the client's session"),
    # origin
    low("src_ip", "Client address, full or truncated as the site has set"),
    number("src_port", "Client port"),
    low("device_id", "Device (pseudonym)"),
    flag("device_managed", "The device is managed by the organisation"),
    low("country", "Country of the client, ISO 3166-1 alpha-2"),
    low("app_id", "Application that made the request"),
    low("user_agent", "Programs that the User-Agent names, of a list, with their versions; any other is `other`"),
    low("sdk", "SDK and version, where recognised"),
    low("ja3", "TLS client fingerprint JA3"),
    low("ja4", "TLS client fingerprint JA4"),
    # credential
    low("key_fp", "Keyed fingerprint of the API key"),
    low("key_hint", "Hint at the API key, for the person who holds it"),
    low("key_kind", "Kind of API key"),
    low("key_ownership_at_decision", "Whose key it was taken to be when deciding"),
    low("injected_tenant_header", "Header that the gate added to bind the request to a tenant"),
    low("org_id_seen", "Organisation id in the answer"),
    low("project_id_seen", "Project id in the answer"),
    low("key_ownership_after", "Whose key it was, known from the answer"),
    # destination
    key("provider_id", "Provider of the AI service; empty when it is none"),
    low("provider_tier", "Contract tier of the provider"),
    low("provider_status", "Sanctioned, tolerated, prohibited or unreviewed"),
    low("product", "Product of the provider"),
    low("target_row", "Row of the destination table that matched"),
    low("host", "Host that the request was for"),
    low("sni", "Server name in the TLS handshake"),
    low("dst_ip", "Address that was connected to"),
    number("dst_port", "Port that was connected to"),
    low("http_version", "HTTP version"),
    low("tls_version_client", "TLS version of the client's side"),
    low("tls_version_upstream", "TLS version of the provider's side"),
    low("upstream_cert_sha256", "Hash of the provider's certificate"),
    flag("upstream_cert_verified", "The provider's certificate was verified"),
    low("method", "HTTP method"),
    low("path_template", "Path with its ids removed, without query"),
    low("route_id", "Route of the API"),
    low("operation", "Operation: chat, embeddings, ..."),
    low("region", "Region of the endpoint"),
    # model
    low("model_requested", "Model that the request names"),
    flag("model_approved", "The model is approved"),
    low("model_served", "Model that answered"),
    text("response_id", "Id of the answer at the provider"),
    text("response_fp", "Keyed fingerprint of that id: equals previous_response_ref of the request that continues it"),
    number("tokens_in", "Input tokens, as the provider counts them"),
    number("tokens_out", "Output tokens, as the provider counts them"),
    number("tokens_cached", "Input tokens read from the provider's cache; Anthropic counts them beside tokens_in"),
    number("tokens_reasoning", "Output tokens spent on reasoning; Google counts them beside tokens_out"),
    low("finish_reason", "Why the answer ended"),
    # agent and tools
    low("agent_id", "Coding agent or other agent"),
    text("trace_id", "Trace id of the client"),
    text("conversation_fp", "Keyed fingerprint of the conversation"),
    text("previous_response_ref", "Keyed fingerprint of the answer that the request continues"),
    texts("tools_declared", "Names of the tools that the request offers to the model"),
    low("tool_choice", "Tool that the request demands"),
    texts("mcp_servers", "MCP servers that the provider is asked to call"),
    texts(
        "mcp_facts",
        "What the request says of each: scheme, host, approval (always, never, some, unsaid), token or no-token, label",
    ),
    texts("hosted_tools", "Tools that run at the provider"),
    texts("dangerous_tools", "Declared tools with side effects"),
    texts("tool_calls_returned", "Tools that the answer calls"),
    # content, measured and not stored
    number("body_bytes", "Size of the body on the wire"),
    number("decoded_bytes", "Size of the body with its codings undone"),
    low("content_type", "Media type of the body"),
    texts("encodings", "Content codings, in the header's order"),
    low("dialect", "Wire format that the body was read as"),
    flag("stream", "The client asked for a streamed answer"),
    facts(
        "parts",
        "Parts of the prompt: role, kind, size in bytes",
        role="LowCardinality(String)",
        kind="LowCardinality(String)",
        bytes="Int64",
    ),
    facts(
        "attachments",
        "Attachments: kind, media type, how they are carried, size in bytes when known",
        kind="LowCardinality(String)",
        mime=LOW,
        transport="LowCardinality(String)",
        bytes="Nullable(Int64)",
    ),
    low("lang", "Language of the prompt"),
    text("body_hmac", "Keyed fingerprint of the body"),
    low("hmac_key_id", "Key of the fingerprints in this row"),
    number("normalisation_version", "Version of the normalisation before fingerprints"),
    # inspection
    texts("data_classes", "Data classes found, most severe first"),
    facts(
        "matches",
        "Findings by detector and value: revision, class, severity, how often, validator result, confidence 0 to 1, "
        "place in its part in kilobytes, keyed fingerprint, hint where the class allows one, where the text came from, "
        "new or seen before, a documented sample, the suppression that took it out of the account, a key that was seen "
        "working",
        detector="LowCardinality(String)",
        rev="Int64",
        data_class="LowCardinality(String)",
        severity=SEVERITIES,
        count="Int64",
        validated="Nullable(Bool)",
        confidence="Float64",
        offset_bucket="Int64",
        fingerprint="String",
        mask="Nullable(String)",
        provenance="LowCardinality(String)",
        novelty="LowCardinality(String)",
        example="Bool",
        suppressed="Nullable(String)",
        live="Bool",
    ),
    choice("max_severity", SEVERITIES, "Gravest severity found"),
    choice("inspection_status", COMPLETENESS, "How much of the request the detectors saw"),
    number("scanned_bytes", "Bytes that the detectors saw"),
    number("uninspected_bytes", "Bytes that left unread"),
    texts("uninspected_reason", "Why they were not read"),
    number("scan_us", "Time of detection, microseconds"),
    number("identity_us", "Time of matching the destination and finding the subject, microseconds"),
    number("decode_us", "Time of decoding, microseconds"),
    number("parse_us", "Time of parsing, microseconds"),
    number("decide_us", "Time of policy, microseconds"),
    number("commit_us", "Time until the decision record was durable, microseconds (on the outcome)"),
    low("engine_versions", "Versions of the detection engine"),
    low("detector_pack_version", "Digest of the detector packs"),
    low("rulebook_digest", "Digest of everything that can change a decision"),
    # policy
    low("policy_id", "Policy"),
    low("policy_version", "Version of the policy"),
    low("policy_sha256", "Hash of the policy file"),
    low("rule_id", "Rule that decided"),
    number("rules_evaluated", "Rules looked at"),
    choice("policy_mode", MODES, "Whether the decision binds"),
    low("exception_id", "Exception that applied"),
    low("approved_by", "Who approved the exception (pseudonym)"),
    low("fail_mode", "Failure table: open or closed"),
    number("policy_age_s", "Age of the policy, seconds"),
    # decision
    choice("decision", ACTIONS, "What happened to the request"),
    choice("would_decide", ACTIONS, "Observe mode: what enforcement had done"),
    low("reason_code", "Why, from a closed list"),
    low("reason_detail", "Detail of the reason"),
    real("risk_score", "Risk score"),
    texts("degraded", "Dependencies that were missing while deciding"),
    number("client_status", "HTTP status that the client got"),
    low("client_error_code", "Error code that the client got"),
    # transformation
    texts("redactions", "What was redacted, as class and count"),
    text("body_hmac_after", "Keyed fingerprint of the body after transformation"),
    number("bytes_after", "Size of the body after transformation"),
    # outcome
    flag("forwarded", "A connection to the provider stood for it"),
    number("upstream_status", "HTTP status of the provider"),
    low("upstream_error", "Why the provider could not be reached"),
    number("resp_bytes", "Size of the answer"),
    text("resp_hmac", "Keyed fingerprint of the answer"),
    texts("resp_classes", "Data classes found in the answer"),
    low("resp_action", "What happened to the answer"),
    flag("stream_aborted", "The answer was cut"),
    flag("client_disconnected", "The client went away first"),
    number("latency_added_us", "Time that the gate added, microseconds"),
    number("latency_upstream_ms", "Time that the provider took, milliseconds"),
    number("ws_messages", "Messages of a WebSocket"),
    number("tunnel_bytes_up", "Bytes from the client through a tunnel"),
    number("tunnel_bytes_down", "Bytes to the client through a tunnel"),
    # oversight
    low("reviewer", "Who reviewed the decision (pseudonym)"),
    low("review_verdict", "Verdict of the review"),
    moment("reviewed_at", "When it was reviewed"),
    text("override_reason", "Why the decision was overridden"),
    # regulatory tags
    texts("regulated_tags", "Regulations that the findings touch"),
    low("ai_act_system_id", "AI system under the EU AI Act"),
    flag("high_risk", "High-risk system under the EU AI Act"),
    low("lawful_basis", "Lawful basis of the processing"),
    low("baa_ref", "Business associate agreement"),
    low("transfer_basis", "Basis of the transfer to a third country"),
    # integrity
    Column("chain_id", "LowCardinality(String)", "Stream of the record", take=lambda v: v or None, absent=""),
    Column("prev_hash", "String", "Hash of the record before, hex", "ZSTD(1)", take=lambda v: v or None, absent=""),
    text("signature", "Signature over the record"),
    low("signing_key_id", "Key of the signature"),
    low("checkpoint_id", "Checkpoint that covers the record"),
)
