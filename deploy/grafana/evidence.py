"""Is what was decided on record, sealed, and in the event store."""

from __future__ import annotations

from panels import Board, lines, number, rows

I = 'instance=~"$instance"'  # noqa: E741 - the selector that every query carries

BOARD = Board(
    "sluice-evidence",
    "Sluice: evidence",
    "Ledger, seals, event store: lag, gaps, checkpoints, reconciliation.",
    [
        (
            "Now",
            [
                number(
                    "Chain gaps",
                    f"sum(sluice_chain_gap_total{{{I}}})",
                    "short",
                    "Run `sluice verify`.",
                    bad_above=1,
                    span=3,
                ),
                number(
                    "Ledger and store differ by",
                    f"sum(sluice_reconcile_difference{{{I}}})",
                    "short",
                    "Records that are missing or doubled.",
                    bad_above=1,
                    span=3,
                ),
                number(
                    "Acted on without record",
                    f"sum(sluice_reconcile_unrecorded{{{I}}})",
                    "short",
                    "The gate's own count against the ledger.",
                    bad_above=1,
                    span=3,
                ),
                number(
                    "Events late by",
                    f"max(sluice_ship_lag_seconds{{{I}}})",
                    "s",
                    "Age of the oldest record that is not in the event store.",
                    bad_above=120,
                    span=3,
                ),
                number(
                    "Unsealed for",
                    f"max(sluice_seal_lag_seconds{{{I}}})",
                    "s",
                    "Age of the oldest record without a checkpoint.",
                    bad_above=60,
                    span=3,
                ),
                number(
                    "Set aside",
                    f"sum(sluice_ship_dead_letters_total{{{I}}})",
                    "short",
                    "Records that the store will never take.",
                    bad_above=1,
                    span=3,
                ),
                number(
                    "Store open", f"min(sluice_store_open{{{I}}})", "short", "1 = the event store takes rows.", span=3
                ),
            ],
        ),
        (
            "Ledger",
            [
                lines(
                    "Records",
                    "cps",
                    "Made durable, by kind.",
                    (
                        f"sum by (record_type) (rate(sluice_ledger_records_total{{{I}}}[$__rate_interval]))",
                        "{{record_type}}",
                    ),
                ),
                lines(
                    "Commit and flush, p99",
                    "s",
                    "Every request waits for the first.",
                    (
                        f"histogram_quantile(0.99, sum by (le) (rate(sluice_ledger_commit_seconds_bucket{{{I}}}[$__rate_interval])))",
                        "commit",
                    ),
                    (
                        f"histogram_quantile(0.99, sum by (le) (rate(sluice_ledger_fsync_seconds_bucket{{{I}}}[$__rate_interval])))",
                        "flush",
                    ),
                ),
                lines(
                    "Records that shared a flush",
                    "short",
                    "Mean.",
                    (
                        f"sum(rate(sluice_ledger_flush_records_sum{{{I}}}[$__rate_interval])) / (sum(rate(sluice_ledger_flush_records_count{{{I}}}[$__rate_interval])) > 0) or vector(0)",
                        "records",
                    ),
                ),
                lines(
                    "Disk",
                    "bytes",
                    "Segments, what is left, and the mark below which nothing is forwarded.",
                    (f"sum by (instance) (sluice_ledger_bytes{{{I}}})", "segments"),
                    (f"sum by (instance) (sluice_ledger_disk_free_bytes{{{I}}})", "free"),
                    (f"sum by (instance) (sluice_ledger_disk_low_bytes{{{I}}})", "low-water mark"),
                ),
            ],
        ),
        (
            "Seals",
            [
                lines(
                    "Checkpoints",
                    "cps",
                    "Signed.",
                    (
                        f"sum by (instance) (rate(sluice_seal_checkpoints_total{{{I}}}[$__rate_interval]))",
                        "{{instance}}",
                    ),
                ),
                lines(
                    "Waiting",
                    "short",
                    "Records without a checkpoint, checkpoints without a witness, streams that are sealed no further.",
                    (f"sum(sluice_seal_unsealed_records{{{I}}})", "unsealed"),
                    (f"sum(sluice_seal_witness_pending{{{I}}})", "witness"),
                    (f"sum(sluice_seal_stopped_streams{{{I}}})", "stopped"),
                ),
            ],
        ),
        (
            "Event store",
            [
                lines(
                    "Rows",
                    "cps",
                    "Acknowledged.",
                    (f"sum by (instance) (rate(sluice_ship_rows_total{{{I}}}[$__rate_interval]))", "{{instance}}"),
                ),
                lines(
                    "Batches",
                    "cps",
                    "By outcome; failed ones are sent again.",
                    (f"sum by (outcome) (rate(sluice_ship_batches_total{{{I}}}[$__rate_interval]))", "{{outcome}}"),
                ),
                lines(
                    "Backlog",
                    "short",
                    "Records in the ledger and not yet in the store.",
                    (f"sum by (instance) (sluice_ship_pending_records{{{I}}})", "{{instance}}"),
                ),
                lines(
                    "Late by",
                    "s",
                    "Age of the oldest of them.",
                    (f"max by (instance) (sluice_ship_lag_seconds{{{I}}})", "{{instance}}"),
                ),
                rows(
                    "Streams",
                    "Rows = numbers = last - first + 1 where nothing is missing or doubled.",
                    "evidence-streams",
                    span=12,
                ),
                rows(
                    "What happened to the appliance",
                    "Control records: starts, rules, keys, seals.",
                    "evidence-what-happened-to-the-appliance",
                    span=12,
                ),
            ],
        ),
    ],
)
