"""One company for all tests of this directory."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import replace

import pytest

from sluice import rulebook
from sluice.ship.clickhouse import Embedded
from sluice.ship.registers import load
from tests.inventory.company import Company, happen, settings_below


@pytest.fixture(scope="session")
def _past(tmp_path_factory: pytest.TempPathFactory) -> Company:
    """The company with its traffic in a store on disk, closed: a process can have one engine open."""
    settings = settings_below(tmp_path_factory.mktemp("company"))
    store = Embedded(settings.clickhouse_dir, "sluice")
    try:
        store.migrate()
        load(store, settings, dt.datetime.now(dt.UTC))
        return happen(settings, rulebook.load(settings), store)
    finally:
        store.close()


@pytest.fixture(scope="module")
def company(_past: Company) -> Iterator[Company]:
    store = Embedded(_past.settings.clickhouse_dir, "sluice")
    store.command("USE sluice")
    yield replace(_past, store=store)
    store.close()
