"""Who read what: an access record in a ledger stream of the console's own, durable before the page is shown.

It names the page, who is logged in, the session, the client's address, the digests of the questions and how many rows
came back; no filter's value and no row. Report R21 lists it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from importlib import metadata

from sluice.config import Settings
from sluice.console.sessions import Session
from sluice.ledger.segment import SEALER
from sluice.ledger.writer import Writer, open_stream
from sluice.model import Record, RecordType

SLOT = 1002
"""Slot of the console's ledger stream; workers have 0 to 255, the sealer 1000, lookups 1001."""
MOST_DIGESTS = 8


class Access:
    """The stream of access records. Raises `Unavailable` when it cannot be opened."""

    def __init__(self, settings: Settings) -> None:
        self._writer: Writer = open_stream(
            settings.ledger_dir,
            node=settings.node,
            slot=SLOT,
            segment_bytes=settings.evidence.segment_bytes,
            disk_low_bytes=settings.evidence.disk_low_bytes,
            facts={"version": metadata.version("sluice"), "role": "console", "slots": [SEALER]},
        )

    async def record(
        self, what: str, *, session: Session, client: str, digests: Sequence[str] = (), rows: int | None = None
    ) -> None:
        """Somebody is about to see something. Raises `Unavailable` when that cannot be recorded."""
        detail = {
            "by": session.by,
            "session": session.name,
            "from": client,
            "what": what,
            "queries": [digest[:16] for digest in digests[:MOST_DIGESTS]],
            "rows": rows,
        }
        record = Record(
            record_type=RecordType.ACCESS,
            decision_id="",
            ts_received=time.time_ns() // 1000,
            control_kind="console",
            control_detail=json.dumps(detail, sort_keys=True),
        )
        await self._writer.commit(record)

    def close(self) -> None:
        self._writer.close()
