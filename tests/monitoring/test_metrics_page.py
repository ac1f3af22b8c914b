"""deploy/prometheus/METRICS.md says what the code says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import sluice.metrics  # noqa: F401 - the definitions are made by importing them
from sluice.tally import DEFINITIONS

HERE = Path(__file__).parents[2] / "deploy" / "prometheus"


def test_the_page_is_what_the_definitions_say() -> None:
    """Whoever adds or changes a metric runs `make generate`; a hand that edits the page is overruled."""
    done = subprocess.run(
        [sys.executable, HERE / "metrics_page.py", "--check"], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr


PROMISED = {
    "sluice_decisions_total": {"action", "reason", "provider", "route_class"},
    "sluice_decision_classes_total": {"action", "data_class"},
    "sluice_refusals_total": {"cause"},
    "sluice_fail_open_total": {"cause"},
    "sluice_added_seconds": set(),
    "sluice_stage_seconds": {"stage"},
    "sluice_inspected_bytes_total": set(),
    "sluice_uninspected_bytes_total": {"reason"},
    "sluice_ledger_commit_seconds": set(),
    "sluice_ledger_flush_records": set(),
    "sluice_ledger_bytes": set(),
    "sluice_ledger_disk_free_bytes": set(),
    "sluice_ship_lag_seconds": set(),
    "sluice_ship_batches_total": {"outcome"},
    "sluice_ship_dead_letters_total": set(),
    "sluice_reconcile_difference": set(),
    "sluice_rulebook_workers": {"digest"},
    "sluice_rulebook_loaded_seconds": set(),
    "sluice_rulebook_loads_total": {"result"},
    "sluice_tunnels_total": {"outcome"},
    "sluice_tls_client_reject_total": {"client"},
    "sluice_loop_lag_seconds": set(),
    "sluice_process_resident_bytes": {"process"},
    "sluice_client_connections": set(),
    "sluice_inflight_bytes": set(),
    "sluice_selftest_ok": set(),
    "sluice_ca_not_after_seconds": set(),
    "sluice_leaf_not_after_seconds": set(),
}
"""What a SOC and a network team were told that they can ask for, with the labels to ask by."""
NOBODY = {"subject", "user", "key", "host", "address", "path", "model", "tool", "agent", "session"}
"""What no label is: who, which key, what a client chose."""


def test_what_was_promised_is_measured() -> None:
    """Each metric of the list is there, under the name that it is scraped by, with its labels and a sentence."""
    known = {definition.exposed: definition for definition in DEFINITIONS.values()}
    for name, labels in PROMISED.items():
        assert labels <= set(known[name].labels), name
        assert known[name].help.endswith("."), name


def test_no_label_says_who() -> None:
    """Whoever reads metrics learns nothing of persons, keys or what a client named."""
    assert not {label for definition in DEFINITIONS.values() for label in definition.labels} & NOBODY
