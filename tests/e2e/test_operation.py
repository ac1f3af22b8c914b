"""What an operator meets in a running appliance: a closed terminal, gauges that mean something, a full disk."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.clients.appliance import BIN, Appliance
from tests.rig.warm import warm
from tests.upstream import Upstream


def start_into_a_pipe(directory: Path) -> tuple[subprocess.Popen[bytes], int]:
    """`sluice-proxy` whose standard output is a pipe; returns it and the reading end once it is ready."""
    (directory / "sluice.toml").write_text(
        '[proxy]\nlisten = "127.0.0.1:0"\nworkers = 1\n[admin]\nlisten = "127.0.0.1:0"\n[console]\nlisten = ""\n'
    )
    warm(directory / "var")
    reading, writing = os.pipe()
    process = subprocess.Popen(
        [BIN / "sluice-proxy", "--config", directory / "sluice.toml"], stdout=writing, stderr=subprocess.DEVNULL
    )
    os.close(writing)
    said = b""
    while b"Sluice is ready" not in said:
        piece = os.read(reading, 4096)
        assert piece, said.decode()
        said += piece
    return process, reading


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_although_nobody_reads_what_it_says(tmp_path: Path, number: signal.Signals) -> None:
    """`sluice-proxy | head` or a closed terminal: a signal still ends it, in order, with exit code 0."""
    process, reading = start_into_a_pipe(tmp_path)
    os.close(reading)
    process.send_signal(number)
    try:
        assert process.wait(30) == 0
    finally:
        process.kill()


def test_gauges_of_one_process_are_not_lost_in_the_sum(tmp_path: Path) -> None:
    """Age of the rules and end of the CA are real numbers, not the zero of a process that never set them."""
    with Upstream() as upstream:
        appliance = Appliance(tmp_path, upstream)
        appliance.start()
        try:
            appliance.sql("select 1")
            time.sleep(2)
            with urllib.request.urlopen(appliance.admin + "/metrics", timeout=10) as answer:
                text = answer.read().decode()
        finally:
            appliance.stop()
    for name in ("sluice_ca_not_after_seconds", "sluice_rulebook_loaded_seconds"):
        found = re.search(rf"^{name} (\S+)$", text, re.M)
        assert found, name
        assert float(found[1]) > 1e9, name


def test_too_little_disk_is_no_readiness(tmp_path: Path) -> None:
    """When the ledger would refuse every record for want of space, `/readyz` says so instead of 200."""
    with Upstream() as upstream:
        appliance = Appliance(
            tmp_path, upstream, settings=f"[clickhouse]\nbatch_seconds = 0.2\n[evidence]\ndisk_low_bytes = {1 << 53}\n"
        )
        process = subprocess.Popen(
            [BIN / "sluice-proxy", "--config", appliance.config], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            assert "disk space" in missing(appliance.var / "run" / "endpoints.json")
        finally:
            process.terminate()
            process.wait(40)


def missing(endpoints: Path) -> str:
    """What `/readyz` says is missing, once it speaks of the disk or half a minute has passed."""
    said = ""
    for _ in range(150):
        time.sleep(0.2)
        if not endpoints.is_file():
            continue
        admin = json.loads(endpoints.read_text())["admin"]
        try:
            with urllib.request.urlopen(f"http://{admin}/readyz", timeout=5) as answer:
                said = answer.read().decode()
        except urllib.error.HTTPError as e:
            said = e.read().decode()
        except OSError:
            continue
        if "disk space" in said:
            break
    return said
