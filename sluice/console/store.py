"""Asking the events: through whoever owns them, so many at a time, and never more than a page can hold.

The embedded engine is the shipper's, which answers on its socket; a server of `clickhouse.dsn` is asked directly. The
engine is never opened here: while the shipper restarts, this process would take its lock.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping

from sluice.config import Settings
from sluice.posture import question
from sluice.posture.question import Table
from sluice.ship import query
from sluice.ship.sqlgate import SqlError

AT_ONCE = 3
"""The shipper answers four at a time; one is left for the command line."""
LONGEST_ANSWER = 16 * 1024 * 1024


class Away(Exception):
    """Nobody answers for the events; the message says why and what to do."""


class TooMuch(Exception):
    """The answer is larger than a page can hold."""


class Asker:
    """Asks for the pages of one process."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def tables(self, questions: Mapping[str, str]) -> dict[str, Table]:
        """The answers to several questions, by name. Raises as `ask`."""
        found = await asyncio.gather(*(self._table(sql) for sql in questions.values()))
        return dict(zip(questions, found, strict=True))

    async def _table(self, sql: str) -> Table:
        async with self._turns:
            return await asyncio.to_thread(question.ask, self.ask, sql)

    def ask(self, sql: str, form: str) -> bytes:
        """An answer in a ClickHouse format, in this thread. Raises `Away`, `TooMuch`, or `SqlError` for a question that
        the store refuses."""
        out = bytearray()
        try:
            for chunk in self._chunks(sql, form):
                out += chunk
                if len(out) > LONGEST_ANSWER:
                    raise TooMuch
        except SqlError as e:
            if e.code == query.NOT_OPEN:
                raise Away(str(e)) from e
            raise
        return bytes(out)

    def _chunks(self, sql: str, form: str) -> Iterator[bytes]:
        if self._settings.clickhouse.dsn:
            return query.ask(self._settings, sql, form)
        return query.asked(self._settings.run_dir, sql, form)
