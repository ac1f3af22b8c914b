"""Several questions in a row, to whoever can answer: the running appliance, a server, or the engine opened once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sluice.config import Settings
    from sluice.posture.question import Ask


@contextmanager
def questions(settings: Settings) -> Iterator[Ask]:
    """A function that answers SQL. Raises `SqlError` when there is nobody to ask, `NotRunning` as `sluice sql`."""
    from sluice.cli import NotRunning
    from sluice.ship import query
    from sluice.ship.sqlgate import SqlError

    def asked(sql: str, form: str) -> bytes:
        return b"".join(query.ask(settings, sql, form))

    try:
        with query.opened(settings) as store:
            yield store.select if store else asked
    except SqlError as e:
        if e.code == query.NOT_OPEN:
            raise NotRunning(str(e)) from e
        raise
