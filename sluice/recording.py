"""From what the gate saw to the record it commits: measured, sealed, clipped. No plaintext passes this page.

Of what a client can choose a record holds known words (method, codings, media types, words of routes, products of the
User-Agent), hosts, and names of bounded shape (model, tools, servers): field by field in deploy/clickhouse/RECORD.md.
Every list is capped, so that no request can make a record too large to write. All of it is looked at by the detectors
first (`labels`).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from fnmatch import fnmatchcase
from urllib.parse import urlsplit

from sluice import clock, dialects
from sluice.config import Evidence
from sluice.detect.evidence import NORMALISATION
from sluice.dialects import names, tool_kinds
from sluice.dialects.products import LOOKED_AT, products
from sluice.model import (
    Action,
    Credential,
    Decision,
    Exchange,
    FileFact,
    Finding,
    Match,
    McpServer,
    Outcome,
    Ownership,
    Part,
    PartFact,
    PartKind,
    Payload,
    Prompt,
    Provenance,
    Record,
    RecordType,
    Role,
    Rulebook,
    Scan,
    Scanner,
    Severity,
    Subject,
    Target,
)
from sluice.model import Coverage as CoverageFact
from sluice.targets import normalise_host
from sluice.targets.regions import region
from sluice.value import Value

MAX_TEXT = 256
MAX_LIST = 64
MAX_MATCHES = 200
MAX_PARTS = 100
MAX_NAMES = 1024
"""Combinations of names in answers that are remembered as harmless."""
LABELS = "request"
"""Pointer of the part that `labels` makes."""
RESPONSE = "response"
"""Domain of fingerprints of an answer's id: equal in the answer and in the request that continues it."""
WITHHELD = "(withheld)"
"""Stands in a record for a text in which the detectors found something."""
OFFSET_BUCKET = 1024
"""Offsets are kept in kilobytes: enough to find the place again, too coarse to reconstruct a text's layout."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@+=-]{0,127}")
"""Ids, models, tools and organisations as the providers write them: one word of ASCII."""
_ODD_HOST = re.compile(r"[^.]{16}")
"""A label of a host's name that is long enough for a key; few services have one."""
_CONTROL = dict.fromkeys((*range(32), *range(127, 160), *range(8234, 8239), *range(8294, 8298), 8232, 8233))


def clip(text: str | None, limit: int = MAX_TEXT) -> str | None:
    """Client-chosen text made safe to store and print: no control or direction characters, no lone surrogates."""
    if text is None:
        return None
    text = text[: limit * 2]
    if not (text.isascii() and text.isprintable()):
        text = text.translate(_CONTROL).encode("utf-8", "replace").decode("utf-8", "replace")
    return text[:limit]


def clip_all(texts: Iterable[str], limit: int = MAX_LIST) -> tuple[str, ...]:
    """At most `limit` clipped texts; the last one says how many more there were."""
    listed = [t for t in (clip(t, 128) for t in texts) if t]
    if len(listed) > limit:
        return (*listed[: limit - 1], f"(+{len(listed) - limit + 1} more)")
    return tuple(listed)


def named(text: str | None) -> str | None:
    """A model, a tool or a server as a record keeps it: what has not the shape of a name is withheld."""
    return text if not text or names.is_name(text) else WITHHELD


def named_all(texts: Iterable[str], limit: int = MAX_LIST) -> tuple[str, ...]:
    """At most `limit` names; the last one says how many more there were."""
    listed = [t if names.is_name(t) else WITHHELD for t in texts if t]
    if len(listed) > limit:
        return (*listed[: limit - 1], f"(+{len(listed) - limit + 1} more)")
    return tuple(listed)


def host_named(text: str | None) -> str | None:
    """A host as a record keeps it; None and empty stay."""
    return text if not text or names.is_host(text) else WITHHELD


def labels(exchange: Exchange, prompt: Prompt | None = None, payload: Payload | None = None) -> Part:
    """**P** Every text of a client's choosing that a record would keep, as one part for the detectors.

    A key pasted into a model name, a tool's name or the User-Agent is a leak like any other, and must not become one
    in the evidence: when the detectors find something here, the record keeps none of these texts.
    """
    texts: list[str | None] = [
        exchange.method,
        exchange.host,
        exchange.sni,
        exchange.http_version,
        exchange.header("user-agent"),
        exchange.path,
    ]
    if prompt is None or _ODD_HOST.search(exchange.host):
        texts.append(exchange.host.upper())  # names are compared without case, keys are not: one may hide in a name
    if prompt is not None:
        texts += [prompt.model, prompt.agent, prompt.tool_choice]
        texts += prompt.tools
        for server in prompt.mcp_servers:
            texts += (server.label, _host_sent(server.url))
    return Part(LABELS, Role.METADATA, PartKind.TEXT, Provenance.REQUEST, "\n".join(t for t in texts if t))


def tells(findings: Iterable[Finding]) -> bool:
    """Whether findings in `labels` forbid to keep them. An address as host name is what a record is for."""
    return any(f.pointer == LABELS and not f.data_class.startswith("network.") for f in findings)


class Timings(Value, frozen=True):
    """When each stage was done (microseconds since the epoch) and how long it took (microseconds)."""

    identity_done: int | None = None
    scan_done: int | None = None
    decided: int | None = None
    decode_us: int | None = None
    identity_us: int | None = None
    parse_us: int | None = None
    scan_us: int | None = None
    decide_us: int | None = None


class Inspection(Value, frozen=True):
    """**P** Everything that the pipeline learned about one exchange, up to and including the decision."""

    target: Target | None
    decision: Decision
    subject: Subject | None = None
    payload: Payload | None = None
    prompt: Prompt | None = None
    scan: Scan | None = None
    coverage: CoverageFact | None = None
    credential: Credential | None = None
    timings: Timings = Timings()
    withhold: bool = False
    """The client's own texts (model, tools, user agent, host ...) hold something that no record may keep."""
    ownership: Ownership | None = None
    """Whose the credential is, as far as was known."""


def decision_record(
    exchange: Exchange,
    seen: Inspection,
    rulebook: Rulebook,
    evidence: Evidence,
    *,
    record_type: RecordType = RecordType.DECISION,
    detail: str | None = None,
) -> Record:
    """The D record of one exchange: complete before a byte is forwarded or a refusal is sent."""
    target, decision, prompt, payload = seen.target, seen.decision, seen.prompt, seen.payload
    coverage, credential, subject, times = seen.coverage, seen.credential, seen.subject, seen.timings
    sealed = rulebook.detectors
    offset, source = clock.status()
    said = _withheld if seen.withhold else clip
    called = _withheld if seen.withhold else named
    hosted = _withheld if seen.withhold else host_named
    called_all = _withheld_all if seen.withhold else named_all
    findings = seen.scan.findings if seen.scan else ()
    severities = [f.severity for f in findings if not f.example and not f.suppressed]
    return Record(
        record_type=record_type,
        decision_id=exchange.id,
        tenant_id=evidence.tenant or None,
        retention_class=retention(decision.classes, evidence),
        ts_received=exchange.at // 1000,
        ts_identity_done=times.identity_done,
        ts_scan_done=times.scan_done,
        ts_decided=times.decided,
        clock_offset_ms=offset,
        clock_source=source,
        subject_id=sealed.fingerprint("subject", subject.id) if subject else None,
        subject_kind=subject.kind if subject else None,
        identity_method=subject.method if subject else None,
        identity_assurance=str(subject.assurance) if subject else None,
        groups_hash=sealed.fingerprint("groups", "\n".join(sorted(subject.groups)))
        if subject and subject.groups
        else None,
        role=subject.role if subject else None,
        department=subject.department if subject else None,
        session_id=sealed.fingerprint("session", prompt.session) if prompt and prompt.session else None,
        src_ip=address(exchange.client.address, evidence.address),
        src_port=exchange.client.port or None,
        user_agent=_products(exchange, evidence, seen.withhold),
        sdk=prompt.sdk if prompt else None,
        key_fp=credential.fingerprint if credential else None,
        key_hint=credential.hint if credential else None,
        key_kind=credential.kind if credential else None,
        key_ownership_at_decision=seen.ownership,
        provider_id=target.provider if target else None,
        provider_status=str(target.status) if target else None,
        product=target.product if target else None,
        target_row=target.row if target else None,
        host=hosted(exchange.host),
        sni=hosted(exchange.sni),
        dst_port=exchange.port,
        http_version=names.version(exchange.http_version),
        tls_version_client=exchange.client.tls_version,
        method=names.method(exchange.method),
        path_template=said(dialects.path_template(exchange.path)) if target else None,
        route_id=prompt.route if prompt else None,
        operation=prompt.operation if prompt else None,
        region=region(exchange.host) if target else None,
        injected_tenant_header=_bound(rulebook, target, decision) if rulebook.tenants else None,
        model_requested=called(prompt.model) if prompt else None,
        agent_id=said(prompt.agent, 64) if prompt else None,
        conversation_fp=sealed.fingerprint("conversation", prompt.session) if prompt and prompt.session else None,
        trace_id=sealed.fingerprint("trace", prompt.trace) if prompt and prompt.trace else None,
        previous_response_ref=sealed.fingerprint(RESPONSE, prompt.previous) if prompt and prompt.previous else None,
        tools_declared=called_all(prompt.tools) if prompt and prompt.tools else None,
        tool_choice=called(prompt.tool_choice) if prompt else None,
        mcp_servers=called_all(s.label for s in prompt.mcp_servers) if prompt and prompt.mcp_servers else None,
        mcp_facts=_mcp_facts(prompt, seen.withhold) if prompt and prompt.mcp_servers else None,
        hosted_tools=prompt.hosted or None if prompt else None,
        dangerous_tools=tool_kinds.dangerous(prompt.tools, prompt.hosted) or None if prompt and prompt.tools else None,
        body_bytes=len(exchange.body),
        decoded_bytes=len(payload.data) if payload else None,
        content_type=names.media_type(payload.media_type) if payload else None,
        encodings=tuple(map(names.coding, payload.encodings[:8])) if payload and payload.encodings else None,
        dialect=prompt.dialect if prompt else None,
        stream=prompt.stream if prompt else None,
        parts=_part_facts(prompt) if prompt and prompt.parts else None,
        attachments=_file_facts(prompt) if prompt and prompt.files else None,
        body_hmac=sealed.fingerprint("body", exchange.body) if exchange.body else None,
        hmac_key_id=sealed.key_id,
        normalisation_version=NORMALISATION,
        data_classes=decision.classes or None,
        matches=matches(findings) or None,
        max_severity=str(max(severities, key=_rank)) if severities else None,
        inspection_status=str(coverage.completeness) if coverage else None,
        scanned_bytes=coverage.scanned_bytes if coverage else None,
        uninspected_bytes=coverage.unread_bytes if coverage else None,
        uninspected_reason=coverage.reasons or None if coverage else None,
        scan_us=times.scan_us,
        identity_us=times.identity_us,
        decode_us=times.decode_us,
        parse_us=times.parse_us,
        decide_us=times.decide_us,
        engine_versions=sealed.versions,
        detector_pack_version=sealed.digest[:16],
        rulebook_digest=rulebook.digest,
        policy_id=rulebook.policy.id,
        policy_version=rulebook.policy.version,
        policy_sha256=rulebook.policy.digest,
        rule_id=decision.rule,
        rules_evaluated=decision.rules_evaluated,
        policy_mode=str(decision.mode),
        exception_id=_exception(decision),
        fail_mode=_fail_mode(decision),
        policy_age_s=max(0, (exchange.at - rulebook.loaded_at) // 1_000_000_000),
        decision=str(decision.action),
        would_decide=str(decision.would) if decision.would else None,
        reason_code=decision.reason,
        reason_detail=clip(detail or decision.cause),
        degraded=decision.degraded or None,
        regulated_tags=tuple(sorted({r for f in findings if not (f.example or f.suppressed) for r in f.regulations}))[
            :MAX_LIST
        ]
        or None,
    )


def _products(exchange: Exchange, evidence: Evidence, withhold: bool) -> str | None:
    """The known programs that the User-Agent names."""
    header = exchange.header("user-agent") if evidence.user_agent else None
    if not header:
        return None
    return WITHHELD if withhold else products(header[:LOOKED_AT], evidence.programs)


def _bound(rulebook: Rulebook, target: Target | None, decision: Decision) -> str | None:
    """The names of the headers that the gate adds to what it lets pass."""
    bound = rulebook.tenants.get(target.row) if target and decision.action is Action.ALLOW else None
    return bound.names if bound else None


def _host_sent(url: str | None) -> str | None:
    """The host of an address in the case in which it was written: a key has a case, and `mcp_fact` keeps none."""
    if not url:
        return None
    try:
        return urlsplit(url).netloc.rpartition("@")[2]
    except ValueError:
        return None  # the fact has no host then


def mcp_fact(server: McpServer) -> str:
    """What a request says of an MCP server, in five words: scheme, host, approval, credential, and its label.

    `https mcp.example.com never token crm`. Of the address scheme and host alone: the rest of it may be a secret.
    """
    scheme, host = "none", "-"
    if server.url:
        try:
            parts = urlsplit(server.url)
            scheme = parts.scheme if parts.scheme in ("http", "https") else "other"
        except ValueError:
            scheme = "other"
        else:
            host = _mcp_host(parts.hostname)
    token = "token" if server.token else "no-token"
    return f"{scheme} {host} {server.approval or 'unsaid'} {token} {(named(server.label) or '')[:40]}"


def _mcp_host(host: str | None) -> str:
    try:
        return normalise_host(host)[:60] if host else "-"
    except ValueError:
        return WITHHELD


class Names:
    """Looks at every text of an upstream's choosing that an outcome record would keep.

    A service may repeat in an id, a header or a tool's name what it was sent. All but the id are the same in thousands
    of answers: those that the detectors found nothing in are not scanned again, by the same detectors.
    """

    def __init__(self) -> None:
        self._clean: set[str] = set()
        self._digest = ""

    def withheld(self, outcome: Outcome, detectors: Scanner) -> bool:
        """Whether the record may keep none of them; yes, when that cannot be told."""
        answer = outcome.answer
        usual = [outcome.org_id_seen, outcome.project_id_seen]
        if answer is not None:
            usual += [answer.model, answer.finish, *answer.calls]
        names = "\n".join(t[:MAX_TEXT] for t in usual if t)
        identity = ((answer.id if answer else None) or "")[:MAX_TEXT]
        if self._digest != detectors.digest or len(self._clean) >= MAX_NAMES:
            self._clean.clear()
            self._digest = detectors.digest
        known = names in self._clean
        text = identity if known else f"{names}\n{identity}"
        if not text.strip():
            return False
        part = Part(LABELS, Role.METADATA, PartKind.TEXT, Provenance.REQUEST, text)
        try:
            told = tells(detectors.scan((part,)).findings)
        except Exception:  # noqa: BLE001 - the record is poorer then, and still says how it ended
            return True
        if not told and not known:
            self._clean.add(names)
        return told


def outcome_record(
    outcome: Outcome,
    rulebook: Rulebook,
    evidence: Evidence,
    *,
    withhold: bool,
    ownership: Ownership | None = None,
) -> Record:
    """The O record: how the exchange with that decision id ended."""
    target, answer, receipt, sealed = outcome.target, outcome.answer, outcome.receipt, rulebook.detectors
    identity = answer.id if answer else None
    return Record(
        record_type=RecordType.OUTCOME,
        decision_id=outcome.exchange_id,
        parent_decision_id=outcome.exchange_id,
        tenant_id=evidence.tenant or None,
        retention_class=retention(outcome.classes, evidence),
        ts_received=outcome.ts_received,
        ts_committed=receipt.durable_at if receipt else None,
        ts_forwarded=outcome.ts_forwarded,
        ts_first_byte=outcome.ts_first_byte,
        ts_end=outcome.ts_end,
        provider_id=target.provider if target else None,
        product=target.product if target else None,
        target_row=target.row if target else None,
        model_served=name(answer.model, withhold) if answer else None,
        response_id=name(identity, withhold),
        response_fp=sealed.fingerprint(RESPONSE, identity) if identity else None,
        tokens_in=answer.tokens_in if answer else None,
        tokens_out=answer.tokens_out if answer else None,
        tokens_cached=answer.tokens_cached if answer else None,
        tokens_reasoning=answer.tokens_reasoning if answer else None,
        finish_reason=name(answer.finish, withhold) if answer else None,
        tool_calls_returned=_calls(answer.calls, withhold) if answer and answer.calls else None,
        hmac_key_id=sealed.key_id if identity else None,
        commit_us=receipt.waited_us if receipt else None,
        forwarded=outcome.forwarded,
        client_status=outcome.client_status,
        client_error_code=clip(outcome.client_error_code, 64),
        reason_code=outcome.reason,
        upstream_status=outcome.upstream_status,
        upstream_error=clip(outcome.upstream_error, 64),
        resp_bytes=outcome.resp_bytes,
        stream_aborted=outcome.stream_aborted,
        client_disconnected=outcome.client_disconnected,
        latency_added_us=outcome.latency_added_us,
        latency_upstream_ms=outcome.latency_upstream_ms,
        dst_ip=outcome.dst_ip,
        dst_port=outcome.dst_port,
        http_version=names.version(outcome.http_version) if outcome.http_version else None,
        tls_version_client=outcome.tls_version_client,
        tls_version_upstream=outcome.tls_version_upstream,
        upstream_cert_sha256=outcome.upstream_cert_sha256,
        upstream_cert_verified=outcome.upstream_cert_verified,
        org_id_seen=name(outcome.org_id_seen, withhold),
        project_id_seen=name(outcome.project_id_seen, withhold),
        key_ownership_after=ownership,
        tunnel_bytes_up=outcome.tunnel_bytes_up,
        tunnel_bytes_down=outcome.tunnel_bytes_down,
    )


def name(text: str | None, withhold: bool) -> str | None:
    """A word of the upstream's as a record keeps it: only what has the shape of a name. Prose has none."""
    if text is None:
        return None
    return text if not withhold and _NAME.fullmatch(text) else WITHHELD


def _calls(calls: tuple[str, ...], withhold: bool) -> tuple[str, ...]:
    """The tools that an answer calls, each as often as it was called."""
    kept = tuple(name(call, withhold) or WITHHELD for call in calls[:MAX_LIST])
    return kept if len(calls) <= MAX_LIST else (*kept[:-1], f"(+{len(calls) - MAX_LIST + 1} more)")


def matches(findings: Iterable[Finding]) -> tuple[Match, ...]:
    """Findings counted by detector, value and provenance, most severe first; at most `MAX_MATCHES`."""
    groups: dict[tuple[str, str, str, bool, str | None], list[Finding]] = {}
    for f in findings:
        groups.setdefault((f.detector, f.fingerprint, f.provenance, f.example, f.suppressed), []).append(f)
    rows = [
        Match(
            detector=f.detector,
            rev=f.rev,
            data_class=f.data_class,
            severity=str(f.severity),
            count=len(group),
            validated=f.validated,
            confidence=f.confidence,
            offset_bucket=f.start // OFFSET_BUCKET,
            fingerprint=f.fingerprint,
            mask=f.mask,
            provenance=str(f.provenance),
            novelty=f.novelty,
            example=f.example,
            suppressed=f.suppressed,
            live=f.live,
        )
        for group in groups.values()
        for f in group[:1]
    ]
    rows.sort(key=lambda m: (-Severity(m.severity).rank, m.detector, m.fingerprint))
    return tuple(rows[:MAX_MATCHES])


def address(text: str, keep: str) -> str | None:
    """A client address as the site wants it kept: `full`, `truncated` (/24 or /48) or `none`."""
    if keep == "none":
        return None
    if keep == "full":
        return clip(text, 64)
    try:
        ip = ipaddress.ip_address(text)
    except ValueError:
        return None
    return str(ipaddress.ip_network((ip, 24 if ip.version == 4 else 48), strict=False).network_address)


def _rank(severity: Severity) -> int:
    return severity.rank


def _exception(decision: Decision) -> str | None:
    """The operator's exception to the failure table that let this pass (`[[failure_rule]]` of the policy)."""
    if decision.cause is None or decision.action is not Action.ALLOW or decision.rule == f"failure.{decision.cause}":
        return None
    return decision.rule.removeprefix("failure.")


def retention(classes: Iterable[str], evidence: Evidence) -> str:
    """How long a record is kept, decided with the decision: the longest class that its findings ask for. The periods
    stand in `ship.retention`."""
    found = tuple(classes)
    if found and any(fnmatchcase(name, pattern) for name in found for pattern in evidence.phi_classes):
        return "phi"
    return "standard"


def _fail_mode(decision: Decision) -> str | None:
    if decision.cause is None:
        return None
    return "open" if decision.action is Action.ALLOW else "closed"


def _part_facts(prompt: Prompt) -> tuple[PartFact, ...]:
    """The shape of the parts, neighbours of one role and kind added up: a long conversation stays a short list."""
    facts: list[PartFact] = []
    role, kind, size = "", "", 0
    for part in prompt.parts:
        length = len(part.text) if part.text.isascii() else len(part.text.encode("utf-8", "surrogatepass"))
        if (part.role, part.kind) == (role, kind):
            size += length
            continue
        if role:
            facts.append(PartFact(role=str(role), kind=str(kind), bytes=size))
        role, kind, size = part.role, part.kind, length
    facts.append(PartFact(role=str(role), kind=str(kind), bytes=size))
    return tuple(facts[:MAX_PARTS])


def _withheld(text: str | None, limit: int = MAX_TEXT) -> str | None:
    return None if text is None else WITHHELD


def _withheld_all(texts: Iterable[str], limit: int = MAX_LIST) -> tuple[str, ...]:
    return (WITHHELD,)


def _mcp_facts(prompt: Prompt, withhold: bool) -> tuple[str, ...]:
    return (WITHHELD,) if withhold else clip_all(map(mcp_fact, prompt.mcp_servers))


def _file_facts(prompt: Prompt) -> tuple[FileFact, ...]:
    return tuple(
        FileFact(kind=f.kind, mime=names.media_type(f.mime), transport=f.transport, bytes=f.size)
        for f in prompt.files[:MAX_LIST]
    )
