"""deploy/prometheus/METRICS.md says what the code says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parents[2] / "deploy" / "prometheus"


def test_the_page_is_what_the_definitions_say() -> None:
    """Whoever adds or changes a metric runs `make generate`; a hand that edits the page is overruled."""
    done = subprocess.run(
        [sys.executable, HERE / "metrics_page.py", "--check"], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
