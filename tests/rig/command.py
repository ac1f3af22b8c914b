"""The command line in the test's own process."""

from __future__ import annotations

import pytest

import sluice.cli


def run(*arguments: str) -> int:
    """Run a `sluice` command; its exit code."""
    with pytest.raises(SystemExit) as ended:
        sluice.cli.main(list(arguments))
    assert isinstance(ended.value.code, int)
    return ended.value.code
