"""Every metric of the appliance, defined here and nowhere else: name, help sentence, type, unit, bounded labels.

Rules
1. Base units, `_total` on counters (added when scraped), a unit as the last word of the name.
2. Labels from closed lists only: a tuple of words, or words of the shipped and the site's own files. Never a subject,
   key, model, content, or a host or path that a client chose.
3. Counters and histograms of all processes are added up and outlive a killed process: each writes memory-mapped files
   of its own below `PROMETHEUS_MULTIPROC_DIR`, which the supervisor names before this module is imported. Without that
   variable (offline tools, tests) they are ordinary in-process ones. `sluice.tally` says how they are counted.
4. A gauge goes away with the process that set it, so that none is stale: mode `live...`. What is true of the whole
   appliance, even when a process is dead, is `measured` by the supervisor while it is scraped (sluice.gauges).
5. Series with one closed label begin at 0 with the process: an increase from nothing is an increase.

`deploy/prometheus/METRICS.md` is made from this file.
Source of the list: evidence.md section 2 of the project's specification.
"""

from __future__ import annotations

from collections.abc import Iterable

from sluice.errors import Cause, Opacity, Reason
from sluice.model import Action, Assurance, Mode, RecordType, Severity, Status
from sluice.tally import counter, flush, gauge, histogram, measured

__all__ = ["flush"]

_TIME = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_STAGE = (0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1.0, 2.5)
_LAG = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_FLUSH = (1, 2, 4, 8, 16, 32, 64, 128, 256)
_BODY = (256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216)

PROVIDERS = "provider ids of the destination table, `none` (no AI service), `other`"
KINDS = "`kind` of a row of the destination table, `none` (no AI service)"
CLASSES = "classes of `signatures/vocabulary.toml` and of the site's own data"
PROCESSES = "`worker-0` ..., `sealer`, `shipper`, `forwarder`, `console`"
STAGES = ("identity", "decode", "parse", "scan", "decide")
GRADES = ("critical", "high", "medium", "low")
STANDING = ("open", "acknowledged", "accepted")
CLIENTS = (
    "agent", "browser", "curl", "docker", "dotnet", "electron", "git", "go", "java", "jetbrains", "node", "none",
    "other", "powershell", "python", "rust",
)  # fmt: skip

# ---------------------------------------------------------------------------------------------------------- decisions

DECISIONS = counter(
    "sluice_decisions",
    "Decisions made, by what was decided and why; `status` is what the site says of the destination.",
    action=Action,
    reason=Reason,
    provider=PROVIDERS,
    route_class=KINDS,
    status=(*Status, "none"),
    mode=Mode,
)
DECISION_CLASSES = counter(
    "sluice_decision_classes",
    "Decisions on requests in which a class of data counted, once for each class.",
    action=Action,
    data_class=CLASSES,
)
FINDINGS = counter(
    "sluice_findings",
    "Findings in inspected requests; `history` was said in an earlier turn.",
    data_class=CLASSES,
    severity=Severity,
    novelty=("new", "history"),
)
LIVE_KEYS = counter(
    "sluice_live_keys",
    "Findings of an API key that was seen working as the credential of another request.",
    action=Action,
)
IDENTIFIED = counter(
    "sluice_identified_requests",
    "Requests decided, by how far it is known who sent them.",
    assurance=Assurance,
)
REFUSALS = counter("sluice_refusals", "Requests refused because the gate could not decide, by cause.", cause=Cause)
FAIL_OPEN = counter(
    "sluice_fail_open",
    "Requests allowed by the failure table although undecided. Zero is the goal.",
    cause=Cause,
)
DEGRADED = counter(
    "sluice_degraded",
    "Decisions taken while a dependency was missing.",
    dependency=(*Cause, "policy_expired", "identity_files"),
)
PROXY_HEADERS = counter(
    "sluice_proxy_headers",
    "Connections of load balancers closed for their PROXY header, by rule.",
    rule=("absent", "malformed", "too_long", "family", "slow", "cut_off"),
)
BAD_REQUESTS = counter("sluice_bad_requests", "Requests refused for their form, by rule.", rule="`addons/headcheck.py`")

STAGE_SECONDS = histogram("sluice_stage_seconds", "Time of each stage of inspection.", _STAGE, stage=STAGES)
ADDED_SECONDS = histogram(
    "sluice_added_seconds", "Time from the complete request to its clearance or refusal, its record included.", _TIME
)
REQUEST_BYTES = histogram("sluice_request_bytes", "Size of inspected request bodies on the wire.", _BODY)
INSPECTED_BYTES = counter("sluice_inspected_bytes", "Bytes of text that the detectors saw.")
UNINSPECTED_BYTES = counter(
    "sluice_uninspected_bytes",
    "Bytes of inspected requests that left unread, once for each reason that their request had.",
    reason=Opacity,
)
INSPECTED_REQUESTS = counter(
    "sluice_inspected_requests",
    "Requests to AI services that were inspected, by how much of them the detectors saw.",
    completeness=("full", "partial", "none"),
)

# ----------------------------------------------------------------------------------------------- connections, upstream

UPSTREAM_RESPONSES = counter(
    "sluice_upstream_responses",
    "Answers of upstreams, by status class.",
    status_class=("1xx", "2xx", "3xx", "4xx", "5xx", "other"),
)
UPSTREAM_ERRORS = counter(
    "sluice_upstream_errors",
    "Upstream connections that failed: UPSTREAM_TLS is a certificate or handshake that was not accepted.",
    reason=(Reason.UPSTREAM_TLS, Reason.UPSTREAM_UNREACHABLE, Reason.DESTINATION_FORBIDDEN),
)
LOGINS = counter(
    "sluice_logins",
    "Logins at the proxy, by what came of them.",
    result=("ok", "required", "malformed", "wrong", "expired", "locked out", "busy", "down"),
)
CONSOLE_LOGINS = counter(
    "sluice_console_logins",
    "Logins at the console, by what came of them.",
    result=("ok", "required", "malformed", "wrong", "expired", "locked out", "busy", "down"),
)
LOCKOUTS = counter(
    "sluice_lockouts", "Locks after too many wrong passwords, by what was locked.", locked=("user", "address")
)
IDENTITY_STALE = gauge(
    "sluice_identity_stale", "1 while a changed identity file cannot be read and the one before stays.", "livemax"
)
REGISTERS_STALE = gauge(
    "sluice_registers_stale", "1 while a register cannot be read and the snapshot before stays in force.", "livemax"
)
TUNNELS = counter(
    "sluice_tunnels",
    "CONNECT tunnels, by what became of them.",
    outcome=("decrypted", "opaque", "refused"),
)
TUNNEL_BYTES = counter("sluice_tunnel_bytes", "Bytes through opaque tunnels.", direction=("up", "down"))
TLS_CLIENT_REJECT = counter(
    "sluice_tls_client_reject",
    "Clients that gave up the handshake with our certificate, by the kind of client that asked for the tunnel.",
    client=CLIENTS,
)
WEBSOCKETS = counter("sluice_websockets", "WebSocket upgrades to AI destinations, by outcome.", outcome=("refused",))
ANSWERS_READ = counter(
    "sluice_answers_read",
    "Answers whose model, tokens and end were looked for: read, cut (broke off), fault.",
    result=("read", "cut", "fault"),
)

# ------------------------------------------------------------------------------------------------------------- ledger

COMMIT_SECONDS = histogram("sluice_ledger_commit_seconds", "Time to make one record durable.", _TIME)
FSYNC_SECONDS = histogram("sluice_ledger_fsync_seconds", "Time of one flush to disk.", _TIME)
FLUSH_RECORDS = histogram("sluice_ledger_flush_records", "Records that shared one flush.", _FLUSH)
LEDGER_RECORDS = counter("sluice_ledger_records", "Records made durable.", record_type=RecordType)
LEDGER_FAILURES = counter(
    "sluice_ledger_failures",
    "Commits that failed; a worker whose disk failed stops after one.",
    reason=("io", "disk_low", "failed", "closed"),
)
LEDGER_BYTES = measured("sluice_ledger_bytes", "Bytes of ledger segments on disk, preallocation included.")
LEDGER_SEGMENTS = measured("sluice_ledger_segments", "Segment files of the ledgers.")
LEDGER_DISK_FREE = measured("sluice_ledger_disk_free_bytes", "Free space where the ledger lives.")
LEDGER_DISK_LOW = measured(
    "sluice_ledger_disk_low_bytes", "Free space below which nothing is forwarded (`evidence.disk_low_bytes`)."
)
CHAIN_GAPS = counter("sluice_chain_gap", "Gaps or breaks found in a ledger chain.")

# ----------------------------------------------------------------------------------------------------------- shipping

SHIPPED_ROWS = counter("sluice_ship_rows", "Rows acknowledged by ClickHouse.")
SHIP_BATCHES = counter(
    "sluice_ship_batches",
    "Insert batches, by outcome: stored, failed (sent again later), split (a row in it was refused).",
    outcome=("stored", "failed", "split"),
)
SHIP_DEAD = counter(
    "sluice_ship_dead_letters", "Rows that ClickHouse will never take, set aside in the dead-letter file."
)
SHIP_LAG_SECONDS = gauge("sluice_ship_lag_seconds", "Age of the oldest record not yet in ClickHouse.", "livemostrecent")
SHIP_PENDING = gauge(
    "sluice_ship_pending_records", "Records in the ledger and not yet in ClickHouse.", "livemostrecent"
)
RECONCILE_DIFFERENCE = gauge(
    "sluice_reconcile_difference",
    "Records of the ledgers that ClickHouse lacks, plus rows that it has twice. Zero is the goal.",
    "livemostrecent",
)
RECONCILE_UNRECORDED = gauge(
    "sluice_reconcile_unrecorded",
    "Decisions that the gate counted when it acted on them, and that no ledger holds. Zero is the goal.",
    "livemostrecent",
)
LEDGER_PRUNED = counter(
    "sluice_ledger_segments_pruned", "Ledger segments deleted after ClickHouse was found to hold them."
)
POSTURE_FINDINGS = gauge(
    "sluice_posture_findings",
    "Findings of the posture as they stand, once a minute; those that are fixed are not among them.",
    "livemostrecent",
    severity=GRADES,
    state=STANDING,
)
SUBJECT_PEAK = gauge(
    "sluice_subject_peak_requests",
    "Requests of the subject that sent most in the last five minutes; the runbook's SQL says which one.",
    "livemostrecent",
)
SUBJECT_PEAK_BLOCKED = gauge(
    "sluice_subject_peak_blocked_requests",
    "Blocked requests of the subject that was blocked most in the last five minutes.",
    "livemostrecent",
)
KEY_PEAK = gauge(
    "sluice_key_peak_requests",
    "Requests with the API key that was used most in the last five minutes.",
    "livemostrecent",
)
STORE_OPEN = measured("sluice_store_open", "1 while the event store (ClickHouse) is open and takes rows.")

# ------------------------------------------------------------------------------------------------------------ outward

DESTINATIONS = "names of `forward.to` in the settings"
FORWARD_EVENTS = counter(
    "sluice_forward_events", "Events that a destination of `forward.to` has taken.", destination=DESTINATIONS
)
FORWARD_FAILURES = counter(
    "sluice_forward_failures", "Batches that a destination did not take; they are sent again.", destination=DESTINATIONS
)
FORWARD_REJECTED = counter(
    "sluice_forward_rejected", "Events that a destination will never take, set aside.", destination=DESTINATIONS
)
FORWARD_MISSED = counter(
    "sluice_forward_missed",
    "Records that the ledger had let go before a destination took them.",
    destination=DESTINATIONS,
)
FORWARD_LAG_SECONDS = gauge(
    "sluice_forward_lag_seconds",
    "Age of the oldest event that a destination has not taken, of the destination that is furthest behind.",
    "livemostrecent",
)

# ------------------------------------------------------------------------------------------------------------ sealing

SEAL_CHECKPOINTS = counter("sluice_seal_checkpoints", "Checkpoints signed.")
SEAL_AGE_SECONDS = measured(
    "sluice_seal_checkpoint_age_seconds",
    "Time since the newest checkpoint was signed. Grows while nothing new is recorded, too.",
)
SEAL_LAG_SECONDS = measured(
    "sluice_seal_lag_seconds", "Age of the oldest durable record that no checkpoint covers; 0 when all are sealed."
)
SEAL_UNSEALED = measured("sluice_seal_unsealed_records", "Durable records that no checkpoint covers.")
SEAL_STOPPED = gauge(
    "sluice_seal_stopped_streams",
    "Streams that the sealer will not sign for any more: they contradict what was sealed.",
    "livemostrecent",
)
SEAL_STOPS = counter(
    "sluice_seal_stops", "Times that the sealing of a stream was given up, by fault.", fault="`sluice/seal/chain.py`"
)
SEAL_WITNESS_FAILURES = counter(
    "sluice_seal_witness_failures", "Copies that a witness did not take.", kind=("directory", "http", "syslog")
)
SEAL_WITNESS_PENDING = gauge(
    "sluice_seal_witness_pending", "Newest checkpoints that a witness does not have.", "livemostrecent"
)

# ---------------------------------------------------------------------------------------- rules, certificates, process

SELFTESTS = counter(
    "sluice_selftest_runs",
    "Self-tests (a made-up secret through the listening socket), by what came of them; blocked and observed are good.",
    result=("blocked", "observed", "allowed", "not_found", "undecided", "unrecorded", "unanswered"),
)
SELFTEST_SECONDS = histogram(
    "sluice_selftest_seconds", "Time of a self-test, from its connection to its record in the ledger.", _TIME
)
SELFTEST_OK = measured(
    "sluice_selftest_ok", "1 when the last self-test was blocked and recorded; absent where it is switched off."
)
SELFTEST_PASSED = measured(
    "sluice_selftest_passed_time_seconds", "When a self-test passed last, or when the appliance began (Unix time)."
)
LEAF_NOT_AFTER = measured(
    "sluice_leaf_not_after_seconds", "When the certificate ends that the last self-test was shown (Unix time)."
)
BUILD = measured(
    "sluice_build_info",
    "Always 1; the labels say which program runs.",
    version="versions of Sluice",
    mitmproxy="versions of mitmproxy",
    python="versions of Python",
)
RULEBOOK = measured(
    "sluice_rulebook_workers",
    "Workers that follow a rulebook, by the first 16 digits of its digest. More than one digest is a skew.",
    digest="digests of rules that were in force",
)
RULEBOOK_LOADED = gauge(
    "sluice_rulebook_loaded_seconds", "When the rulebook in force was loaded (Unix time).", "livemostrecent"
)
RULEBOOK_LOADS = counter(
    "sluice_rulebook_loads",
    "Times that a process loaded the rulebook, or could not.",
    result=("loaded", "failed"),
)
IDENTITY_LOADS = counter(
    "sluice_identity_loads",
    "Times that changed identity files were read while running.",
    result=("loaded", "failed"),
)
CA_NOT_AFTER = gauge(
    "sluice_ca_not_after_seconds", "When the CA certificate in use ends (Unix time).", "livemostrecent"
)
INFLIGHT_REQUESTS = gauge("sluice_inflight_requests", "Requests in inspection.", "livesum")
INFLIGHT_BYTES = gauge("sluice_inflight_bytes", "Request bytes held for inspection.", "livesum")
CONNECTIONS = gauge("sluice_client_connections", "Open client connections.", "livesum")
LOOP_LAG_SECONDS = histogram(
    "sluice_loop_lag_seconds", "How late the event loop of a worker ran, looked at once a second.", _LAG
)
READY = measured("sluice_ready", "1 when `/readyz` says 200.")
TROUBLES = measured("sluice_troubles", "What `/readyz` lists under `degraded`: it forwards, and needs somebody.")
PROCESS_UP = measured("sluice_process_up", "1 while the process is ready and has been heard.", process=PROCESSES)
PROCESS_RESIDENT = measured("sluice_process_resident_bytes", "Resident memory of the process.", process=PROCESSES)
PROCESS_CPU = measured(
    "sluice_process_cpu_seconds",
    "CPU time of the process and of those that it replaced.",
    kind="counter",
    process=PROCESSES,
)
PROCESS_STARTED = measured(
    "sluice_process_start_time_seconds", "When the process was started (Unix time).", process=PROCESSES
)
PROCESS_FILES = measured("sluice_process_open_files", "Open file descriptors of the process.", process=PROCESSES)
WORKER_CONNECTIONS = measured("sluice_worker_connections", "Open client connections of one worker.", process=PROCESSES)
WORKER_RESTARTS = counter(
    "sluice_process_restarts",
    "Child processes that ended and were started again.",
    process=("worker", "sealer", "shipper", "forwarder", "console"),
)
LOGGED_ERRORS = counter(
    "sluice_logged_errors",
    "Errors logged, by part of the program.",
    component=("supervisor", "worker", "sealer", "shipper", "forwarder", "console"),
)
METRIC_FILES_UNREADABLE = measured(
    "sluice_metric_files_unreadable", "Metric files of a process that this scrape could not read and left out."
)

_PROVIDERS: set[str] = set()


def know_providers(names: Iterable[str]) -> None:
    """Declare the provider ids of the destination table: the only values that the `provider` label may take."""
    _PROVIDERS.update(names)


def know_classes(names: Iterable[str]) -> None:
    """Begin the series of these data classes at 0, so that the first leak is an increase like any other."""
    for name in names:
        for action in Action:
            DECISION_CLASSES[action, name].inc(0)


def provider_label(name: str | None) -> str:
    """A provider id for use as a label: one of the table's, `none`, or `other`."""
    if not name:
        return "none"
    return name if name in _PROVIDERS else "other"
