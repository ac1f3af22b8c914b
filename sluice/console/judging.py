"""What somebody says of a finding on its page: acknowledged, accepted until a day, opened again.

The same rules and the same way into the store as `sluice findings` (`sluice.ship.findings`). The ledger has it first:
who, from where, of which finding and scope (its digest). A scope may hold a text of a client's choosing, so that a form
names it by its digest; the finding as it stands in the store says the rest, and nothing of that is taken from the form.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime

from sluice.config import Settings
from sluice.console import catalogue
from sluice.console.access import Access
from sluice.console.page import Missing
from sluice.console.sessions import Session
from sluice.console.store import Asker
from sluice.posture import question
from sluice.ship import findings, notes

LONGEST_SAID = 16384
PLACED_SECONDS = 5.0
"""For as long the answer waits for the shipper to enter it, so that the page that follows shows it."""
WAITS = "waits"


class Refused(Exception):
    """It was not said: the form lacks something, or the finding stands otherwise by now."""

    def __init__(self, why: str, status: int = 400) -> None:
        super().__init__(why)
        self.status = status


def mark(scope: str) -> str:
    """A scope's name in forms."""
    return hashlib.sha256(scope.encode("utf-8", "surrogatepass")).hexdigest()[:32]


class Judging:
    """For one console."""

    def __init__(self, settings: Settings, asker: Asker, access: Access) -> None:
        self._settings = settings
        self._asker = asker
        self._access = access

    async def say(self, name: str, fields: Mapping[str, str], session: Session, client: str) -> str:
        """The event, or `WAITS` while it is kept and not in the store yet. Raises `Missing`, `Refused`, what the
        store raises, and `Unavailable` when it cannot be recorded."""
        unit = catalogue.findings().get(name.upper())
        if unit is None:
            raise Missing("There is no finding of this name.")
        now = datetime.now(UTC)
        try:
            what = findings.said(
                fields.get("event", ""), session.by, fields.get("reason", ""), fields.get("until", ""), now
            )
        except findings.Unsaid as e:
            raise Refused(str(e)) from e
        asked = {"rows": f"{findings.STANDING.strip()} WHERE finding = {question.text(unit.id)}"}
        rows = (await self._asker.tables(asked))["rows"].dicts()
        row = next((one for one in rows if mark(str(one["scope"])) == fields.get("scope")), None)
        if row is None:
            raise Refused("No such scope of it is on record.", 404)
        if row["status"] != fields.get("state"):
            raise Refused(f"It is {row['status']} by now: look again.", 409)
        try:
            told = findings.rows(unit, [row], what, now)
        except findings.Unsaid as e:
            raise Refused(str(e), 409) from e
        where = f"/findings/{unit.id} {what.event} {mark(str(row['scope']))}"
        await self._access.record(where, session=session, client=client)
        try:
            left = await asyncio.to_thread(notes.leave, self._settings.ship_dir, "finding_events", told)
        except OSError as e:
            raise Refused(f"It cannot be kept: {e.strerror}.", 503) from e
        there = await asyncio.to_thread(notes.gone, left, PLACED_SECONDS)
        return what.event if there else WAITS
