"""What holds for every test: the settings of whoever runs the tests are not those of the tests."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Generator
from typing import Any

import pytest

for _name in [name for name in os.environ if name == "SLUICE_CONFIG" or (name.startswith("SLUICE_") and "__" in name)]:
    del os.environ[_name]


PLACE = "SLUICE_TESTS_COMPILED"
"""Names the directory that `tests/rig/compiled.py` keeps compiled detectors in."""


def pytest_configure(config: pytest.Config) -> None:
    """One place for compiled detectors in all processes of a run."""
    if PLACE not in os.environ:
        made = tempfile.TemporaryDirectory(prefix="sluice-compiled-")
        os.environ[PLACE] = made.name
        config.add_cleanup(made.cleanup)
        config.add_cleanup(lambda: os.environ.pop(PLACE, None))


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Bytes go by their length: those of gzip hold the time, and a test has one name in every process."""
    return f"{argname}{len(val)}" if isinstance(val, bytes) else None


@pytest.hookimpl(wrapper=True)
def pytest_report_to_serializable() -> Generator[Any, Any, Any]:
    """Tests handle text that no UTF-8 can hold; xdist would end the whole run on a report that quotes some."""
    return _encodable((yield))


def _encodable(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, dict):
        return {_encodable(k): _encodable(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_encodable(v) for v in value)
    return value
