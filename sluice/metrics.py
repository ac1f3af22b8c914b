"""Every metric of the appliance, defined here and nowhere else: name, help sentence, unit, bounded labels.

Rules: base units, `_total` on counters, labels from closed lists only (actions, reasons, causes, data classes,
provider ids of the shipped table or `other`). Never a subject, key, client-chosen host, path, model or content.
Each process writes its own memory-mapped files below `PROMETHEUS_MULTIPROC_DIR` (set by the supervisor before this
module is imported), so counters survive a killed worker; the admin listener adds the files up. Without that variable
(offline tools, tests) the metrics are ordinary in-process ones.
A worker counts in memory (`hold`) and puts its counts into its files once a second and at its end (`flush`): a count
in a file costs a lock, a system call and a write, and a request has some twenty of them. A worker that is killed takes
the counts of its last second along, never a record: what happened is in the ledger.
A gauge that not every process sets has a mode `mostrecent`: with `min`, the zero of one that never set it would win.
Source of the list: evidence.md section 2 of the project's specification.
"""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Iterable
from typing import Any

from prometheus_client import Counter, Gauge, Histogram, values

_holding = False
_lock = threading.Lock()
_held: set[Any] = set()
"""Values that have counted since the last flush."""


def hold() -> None:
    """From here on this process counts in memory, and `flush` has to be called now and then."""
    global _holding
    if not _holding:
        _holding = True
        atexit.register(flush)


def flush() -> None:
    """Put what was counted since the last time where the admin listener reads it. Safe from any thread."""
    with _lock:
        due = [(value, value.waiting) for value in _held]
        _held.clear()
        for value, _ in due:
            value.waiting = 0.0
    for value, amount in due:
        value.store(amount)


def _counting(stored: type[Any]) -> type[Any]:
    """prometheus_client's value of a memory-mapped file, which can hold back what is added to it.

    A gauge's value is set and not added to, so it is never held back.
    """

    class Counting(stored):  # type: ignore[misc]  # the library makes it at run time
        def __init__(self, typ: str, *arguments: Any, **options: Any) -> None:
            super().__init__(typ, *arguments, **options)
            self.waiting = 0.0
            self._adds = typ != "gauge"

        def inc(self, amount: float) -> None:
            if not (_holding and self._adds):
                super().inc(amount)
                return
            with _lock:
                _held.add(self)
                self.waiting += amount

        def store(self, amount: float) -> None:
            super().inc(amount)

        def get(self) -> float:
            return float(super().get() + self.waiting)

    return Counting


if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
    # Each metric below asks this name for the class of its values; the library's own way to another process id.
    values.ValueClass = _counting(values.ValueClass)

_STAGE_BUCKETS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_FLUSH_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
_BODY_BUCKETS = (256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216)

DECISIONS = Counter(
    "sluice_decisions",
    "Decisions committed to the ledger, by what was decided and why.",
    ["action", "reason", "provider", "mode"],
)
FINDINGS = Counter("sluice_findings", "Findings in inspected requests.", ["data_class", "severity", "novelty"])
REFUSALS = Counter("sluice_refusals", "Requests refused because the gate could not decide, by cause.", ["cause"])
FAIL_OPEN = Counter(
    "sluice_fail_open", "Requests allowed by the failure table although undecided. Zero is the goal.", ["cause"]
)
DEGRADED = Counter("sluice_degraded", "Decisions taken while a dependency was missing.", ["dependency"])

STAGE_SECONDS = Histogram(
    "sluice_stage_seconds", "Time of each stage of inspection.", ["stage"], buckets=_STAGE_BUCKETS
)
ADDED_SECONDS = Histogram(
    "sluice_added_seconds", "Time from the complete request to its clearance or refusal.", buckets=_STAGE_BUCKETS
)
REQUEST_BYTES = Histogram(
    "sluice_request_bytes", "Size of inspected request bodies on the wire.", buckets=_BODY_BUCKETS
)
INSPECTED_BYTES = Counter("sluice_inspected_bytes", "Bytes of text that the detectors saw.")
UNINSPECTED_BYTES = Counter("sluice_uninspected_bytes", "Bytes that left unread, by reason.", ["reason"])
UPSTREAM_RESPONSES = Counter("sluice_upstream_responses", "Answers of upstreams, by status class.", ["status_class"])
UPSTREAM_ERRORS = Counter("sluice_upstream_errors", "Upstream connections that failed, by reason.", ["reason"])

LOGINS = Counter("sluice_logins", "Logins at the proxy, by what came of them.", ["result"])
LOCKOUTS = Counter("sluice_lockouts", "Locks after too many wrong passwords, by what was locked.", ["locked"])
IDENTITY_STALE = Gauge(
    "sluice_identity_stale",
    "1 while a changed identity file cannot be read and the one before stays in force.",
    multiprocess_mode="livemax",
)
REGISTERS_STALE = Gauge(
    "sluice_registers_stale",
    "1 while a register cannot be read and the snapshot before stays in force.",
    multiprocess_mode="livemax",
)

TUNNELS = Counter("sluice_tunnels", "CONNECT tunnels, by what became of them.", ["outcome"])
TUNNEL_BYTES = Counter("sluice_tunnel_bytes", "Bytes through opaque tunnels.", ["direction"])
TLS_CLIENT_REJECT = Counter("sluice_tls_client_reject", "Clients that gave up the handshake with our certificate.")
WEBSOCKETS = Counter("sluice_websockets", "WebSocket upgrades to AI destinations, by outcome.", ["outcome"])
BAD_REQUESTS = Counter("sluice_bad_requests", "Requests refused for their form, by rule.", ["rule"])

COMMIT_SECONDS = Histogram("sluice_ledger_commit_seconds", "Time to make one record durable.", buckets=_STAGE_BUCKETS)
FSYNC_SECONDS = Histogram("sluice_ledger_fsync_seconds", "Time of one flush to disk.", buckets=_STAGE_BUCKETS)
FLUSH_RECORDS = Histogram("sluice_ledger_flush_records", "Records that shared one flush.", buckets=_FLUSH_BUCKETS)
LEDGER_RECORDS = Counter("sluice_ledger_records", "Records made durable.", ["record_type"])
LEDGER_FAILURES = Counter("sluice_ledger_failures", "Commits that failed; the worker stops after one.", ["reason"])
LEDGER_BYTES = Gauge("sluice_ledger_bytes", "Bytes of ledger on disk.", multiprocess_mode="max")
LEDGER_DISK_FREE = Gauge(
    "sluice_ledger_disk_free_bytes", "Free space where the ledger lives.", multiprocess_mode="mostrecent"
)
CHAIN_GAPS = Counter("sluice_chain_gap", "Gaps or breaks found in a ledger chain.")

ANSWERS_READ = Counter(
    "sluice_answers_read",
    "Answers whose model, tokens and end were looked for: read, cut (broke off), fault.",
    ["result"],
)

SHIPPED_ROWS = Counter("sluice_ship_rows", "Rows acknowledged by ClickHouse.")
SHIP_BATCHES = Counter("sluice_ship_batches", "Insert batches, by outcome.", ["outcome"])
SHIP_LAG_SECONDS = Gauge(
    "sluice_ship_lag_seconds", "Age of the oldest record not yet in ClickHouse.", multiprocess_mode="mostrecent"
)
SHIP_PENDING = Gauge(
    "sluice_ship_pending_records", "Records in the ledger and not yet in ClickHouse.", multiprocess_mode="mostrecent"
)
SHIP_DEAD = Counter(
    "sluice_ship_dead_letters", "Rows that ClickHouse will never take, set aside in the dead-letter file."
)

SEAL_CHECKPOINTS = Counter("sluice_seal_checkpoints", "Checkpoints signed.")
SEAL_AGE_SECONDS = Gauge(
    "sluice_seal_checkpoint_age_seconds",
    "Time since the newest checkpoint was signed. Grows while nothing new is recorded, too.",
    multiprocess_mode="mostrecent",
)
SEAL_LAG_SECONDS = Gauge(
    "sluice_seal_lag_seconds",
    "Age of the oldest durable record that no checkpoint covers; 0 when all are sealed.",
    multiprocess_mode="mostrecent",
)
SEAL_UNSEALED = Gauge(
    "sluice_seal_unsealed_records", "Durable records that no checkpoint covers.", multiprocess_mode="mostrecent"
)
SEAL_STOPPED = Gauge(
    "sluice_seal_stopped_streams",
    "Streams that the sealer will not sign for any more: they contradict what was sealed.",
    multiprocess_mode="mostrecent",
)
SEAL_STOPS = Counter("sluice_seal_stops", "Times that the sealing of a stream was given up, by fault.", ["fault"])
SEAL_WITNESS_FAILURES = Counter("sluice_seal_witness_failures", "Copies that a witness did not take.", ["kind"])
SEAL_WITNESS_PENDING = Gauge(
    "sluice_seal_witness_pending", "Newest checkpoints that a witness does not have.", multiprocess_mode="mostrecent"
)

RECONCILE_DIFFERENCE = Gauge(
    "sluice_reconcile_difference",
    "Records of the ledgers that ClickHouse lacks, plus rows that it has twice. Zero is the goal.",
    multiprocess_mode="mostrecent",
)
LEDGER_PRUNED = Counter(
    "sluice_ledger_segments_pruned", "Ledger segments deleted after ClickHouse was found to hold them."
)

INFLIGHT_REQUESTS = Gauge("sluice_inflight_requests", "Requests in inspection.", multiprocess_mode="livesum")
INFLIGHT_BYTES = Gauge("sluice_inflight_bytes", "Request bytes held for inspection.", multiprocess_mode="livesum")
CONNECTIONS = Gauge("sluice_client_connections", "Open client connections.", multiprocess_mode="livesum")
LOOP_LAG_SECONDS = Gauge(
    "sluice_loop_lag_seconds",
    "How late the event loop ran in the last second, worst worker.",
    multiprocess_mode="livemax",
)
RULEBOOK_LOADED = Gauge(
    "sluice_rulebook_loaded_seconds",
    "When the rulebook in force was loaded (Unix time).",
    multiprocess_mode="livemostrecent",
)
CA_NOT_AFTER = Gauge(
    "sluice_ca_not_after_seconds",
    "When the CA certificate in use ends (Unix time).",
    multiprocess_mode="livemostrecent",
)
WORKER_RESTARTS = Counter("sluice_process_restarts", "Child processes that ended and were started again.", ["process"])
LOGGED_ERRORS = Counter("sluice_logged_errors", "Errors logged, by part of the program.", ["component"])
METRIC_FILES_UNREADABLE = Gauge(
    "sluice_metric_files_unreadable",
    "Metric files of a process that the last scrape could not read and left out.",
    multiprocess_mode="mostrecent",
)

_PROVIDERS: set[str] = set()


def know_providers(names: Iterable[str]) -> None:
    """Declare the provider ids of the destination table: the only values that the `provider` label may take."""
    _PROVIDERS.update(names)


def provider_label(name: str | None) -> str:
    """A provider id for use as a label: one of the table's, `none`, or `other`."""
    if not name:
        return "none"
    return name if name in _PROVIDERS else "other"
