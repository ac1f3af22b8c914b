"""The gate as a part of the network: traffic, time, errors, capacity, and each worker."""

from __future__ import annotations

from panels import Board, lines, number

I = 'instance=~"$instance"'  # noqa: E741 - the selector that every query carries


def quantile(q: float, name: str, by: str = "") -> str:
    over = f"le, {by}" if by else "le"
    return f"histogram_quantile({q}, sum by ({over}) (rate({name}_bucket{{{I}}}[$__rate_interval])))"


BOARD = Board(
    "sluice-network",
    "Sluice: network operations",
    "Traffic, latency, errors and capacity of the gate, per node and per worker.",
    [
        (
            "Now",
            [
                number(
                    "Nodes not ready",
                    f"count(sluice_ready{{{I}}} == 0) or vector(0)",
                    "short",
                    "`/readyz` says why.",
                    bad_above=1,
                ),
                number(
                    "Processes down",
                    f"count(sluice_process_up{{{I}}} == 0) or vector(0)",
                    "short",
                    "They are started again by themselves.",
                    bad_above=1,
                ),
                number(
                    "Requests",
                    f"sum(rate(sluice_decisions_total{{{I}}}[$__rate_interval]))",
                    "reqps",
                    "Decisions a second.",
                ),
                number(
                    "Added, p99",
                    quantile(0.99, "sluice_added_seconds"),
                    "s",
                    "Time in the gate, its record included.",
                    bad_above=0.25,
                ),
                number("Connections", f"sum(sluice_client_connections{{{I}}})", "short", "Open client connections."),
                number(
                    "CA ends in",
                    f"min(sluice_ca_not_after_seconds{{{I}}}) - time()",
                    "s",
                    "The certificate that clients trust.",
                ),
            ],
        ),
        (
            "Traffic",
            [
                lines(
                    "Requests and tunnels",
                    "reqps",
                    "Decisions, and CONNECT tunnels by what became of them.",
                    (f"sum(rate(sluice_decisions_total{{{I}}}[$__rate_interval]))", "decisions"),
                    (f"sum by (outcome) (rate(sluice_tunnels_total{{{I}}}[$__rate_interval]))", "tunnels {{outcome}}"),
                ),
                lines(
                    "Bytes",
                    "Bps",
                    "Read by the detectors, left unread, and through opaque tunnels.",
                    (f"sum(rate(sluice_inspected_bytes_total{{{I}}}[$__rate_interval]))", "inspected"),
                    (f"sum(rate(sluice_uninspected_bytes_total{{{I}}}[$__rate_interval]))", "unread"),
                    (
                        f"sum by (direction) (rate(sluice_tunnel_bytes_total{{{I}}}[$__rate_interval]))",
                        "tunnels {{direction}}",
                    ),
                ),
                lines(
                    "Size of requests",
                    "bytes",
                    "On the wire.",
                    (quantile(0.5, "sluice_request_bytes"), "p50"),
                    (quantile(0.99, "sluice_request_bytes"), "p99"),
                ),
                lines(
                    "Answers of providers",
                    "reqps",
                    "By status.",
                    (
                        f"sum by (status_class) (rate(sluice_upstream_responses_total{{{I}}}[$__rate_interval]))",
                        "{{status_class}}",
                    ),
                ),
            ],
        ),
        (
            "Time",
            [
                lines(
                    "Added",
                    "s",
                    "From the complete request to its clearance.",
                    (quantile(0.5, "sluice_added_seconds"), "p50"),
                    (quantile(0.9, "sluice_added_seconds"), "p90"),
                    (quantile(0.99, "sluice_added_seconds"), "p99"),
                ),
                lines(
                    "Stages, p99",
                    "s",
                    "Where it goes.",
                    (quantile(0.99, "sluice_stage_seconds", "stage"), "{{stage}}"),
                    (quantile(0.99, "sluice_ledger_commit_seconds"), "commit"),
                ),
            ],
        ),
        (
            "Errors",
            [
                lines(
                    "Refused, by cause",
                    "reqps",
                    "Requests that could not be decided.",
                    (
                        f'sum by (cause) (rate(sluice_refusals_total{{{I}}}[$__rate_interval])) > 0 or sum by (cause) (rate(sluice_refusals_total{{{I}, cause="internal"}}[$__rate_interval]))',
                        "{{cause}}",
                    ),
                ),
                lines(
                    "Providers out of reach",
                    "reqps",
                    "Connections that failed; UPSTREAM_TLS: their certificate.",
                    (f"sum by (reason) (rate(sluice_upstream_errors_total{{{I}}}[$__rate_interval]))", "{{reason}}"),
                ),
                lines(
                    "Clients that reject our certificate",
                    "reqps",
                    "By kind of client: without the CA, or pinned.",
                    (f"sum by (client) (rate(sluice_tls_client_reject_total{{{I}}}[$__rate_interval]))", "{{client}}"),
                ),
                lines(
                    "Malformed requests, restarts, errors logged",
                    "cps",
                    "Each is near zero on a sound node.",
                    (f"sum(rate(sluice_bad_requests_total{{{I}}}[$__rate_interval])) or vector(0)", "malformed"),
                    (f"sum(rate(sluice_process_restarts_total{{{I}}}[$__rate_interval]))", "restarts"),
                    (f"sum(rate(sluice_logged_errors_total{{{I}}}[$__rate_interval]))", "errors"),
                ),
            ],
        ),
        (
            "Capacity, per process",
            [
                lines(
                    "CPU",
                    "percentunit",
                    "Of one core.",
                    (
                        f"sum by (instance, process) (rate(sluice_process_cpu_seconds_total{{{I}}}[$__rate_interval]))",
                        "{{process}}",
                    ),
                ),
                lines("Memory", "bytes", "Resident.", (f"sluice_process_resident_bytes{{{I}}}", "{{process}}")),
                lines(
                    "Connections and open files",
                    "short",
                    "Of each worker, and its open files.",
                    (f"sluice_worker_connections{{{I}}}", "{{process}}"),
                    (f"sluice_process_open_files{{{I}}}", "files {{process}}"),
                ),
                lines(
                    "Event loop, late by",
                    "s",
                    "Of all workers.",
                    (quantile(0.5, "sluice_loop_lag_seconds"), "p50"),
                    (quantile(0.99, "sluice_loop_lag_seconds"), "p99"),
                ),
                lines(
                    "In inspection",
                    "short",
                    "Requests at this moment.",
                    (f"sum by (instance) (sluice_inflight_requests{{{I}}})", "{{instance}}"),
                ),
                lines(
                    "Bytes in inspection",
                    "bytes",
                    "Bodies held.",
                    (f"sum by (instance) (sluice_inflight_bytes{{{I}}})", "{{instance}}"),
                ),
            ],
        ),
        (
            "Self-test",
            [
                lines(
                    "A made-up secret through the listening socket",
                    "short",
                    "Blocked is good.",
                    (f"sum by (result) (increase(sluice_selftest_runs_total{{{I}}}[$__rate_interval]))", "{{result}}"),
                ),
                lines(
                    "How long it takes",
                    "s",
                    "From its connection to its record.",
                    (quantile(0.5, "sluice_selftest_seconds"), "p50"),
                    (quantile(0.99, "sluice_selftest_seconds"), "p99"),
                ),
            ],
        ),
    ],
)
