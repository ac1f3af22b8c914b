"""What the gate recorded and what the upstream received since a moment: the two ends that a test compares."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Sequence
from typing import Any

from sluice.refusals.words import spoken
from tests.clients.appliance import Appliance
from tests.upstream import Upstream

DECISION_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
"""A decision id: UUID version 7 (RFC 9562)."""


type Row = dict[str, Any]


def said(classes: list[str], message: str) -> bool:
    """Whether a message names one of the classes in the words that people are told."""
    return any(spoken([name]) in message for name in classes)


class Watch:
    """From its making on: decision rows through `sluice sql`, requests and connections at the upstream."""

    def __init__(self, appliance: Appliance, upstream: Upstream) -> None:
        self.appliance = appliance
        self.upstream = upstream
        self._since = time.time_ns() // 1000
        upstream.forget()

    def decisions(self, host: str, enough: Callable[[Sequence[Row]], bool] = bool) -> list[Row]:
        """Decision rows for one host, in order, once there are `enough` of them; any will do unless told otherwise."""
        return self._rows("decision", host, enough)

    def bypasses(self, host: str) -> list[Row]:
        """Bypass rows for one host, in order, once there are any."""
        return self._rows("bypass", host, bool)

    def _rows(self, record_type: str, host: str, enough: Callable[[Sequence[Row]], bool]) -> list[Row]:
        query = (
            f"select * from sluice.events where record_type = '{record_type}' and host = '{host}' "
            f"and ts_received >= fromUnixTimestamp64Micro({self._since}) order by epoch, seq"
        )
        return self.appliance.rows_when(query, enough)

    def outcome(self, decision: Row) -> Row:
        """The outcome row of one decision or bypass."""
        query = (
            f"select * from sluice.events where record_type = 'outcome' and decision_id = '{decision['decision_id']}'"
        )
        (row,) = self.appliance.rows_when(query, bool)
        return row

    def refusal(self, message: str, host: str, *planted: str) -> Row:
        """The one decision row behind a refusal, after checking the promises that hold for every refusal:

        the message names the decision and what was found, never the value; it was decided once (the client did not
        try again); nothing and no connection reached the upstream; the row holds no value either.
        """
        found = DECISION_ID.search(message)
        assert found, f"no decision id in: {message}"
        (row,) = self.decisions(host)
        assert row["decision_id"] == found[0]
        assert row["decision"] == "block"
        assert row["data_classes"], "the row names no class"
        assert said(row["data_classes"], message), f"none of {row['data_classes']} in: {message}"
        everything = message + json.dumps(row)
        for value in planted:
            assert value not in everything
        assert self.upstream.journal.requests == ()
        assert self.upstream.journal.connections == 0
        return row
