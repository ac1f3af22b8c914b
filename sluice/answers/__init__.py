"""What an upstream's answer says of itself, read while it streams past: model, id, tokens, how it ended, tools called.

Rules of this room
- A reader sees every chunk and changes none. It never raises: a fault ends the reading, is counted, and the answer goes
  on as it came.
- Memory is bounded (`reader.WHOLE`), time is linear, whatever the upstream sends and wherever it is cut.
- The text of an answer is never kept: `prune` passes over it, `formats` has no place for it. The few names that are
  kept are the provider's words, and go through the detectors before they reach a record (`sluice.recording`).

`reader` one answer; `events` server-sent events; `prune` long JSON; `inflate` content codings; `formats` what to keep.
"""

from __future__ import annotations

from sluice.answers.formats import FORMATS
from sluice.answers.inflate import undoing
from sluice.answers.reader import Reader
from sluice.dialects import routes

__all__ = ["Reader", "reader_for"]


def reader_for(dialect: str, path: str, status: int, coding: str) -> Reader | None:
    """A reader for the answer to a request for `path` at a destination of this dialect; None where there is nothing to
    read: errors (their text is for the client alone), formats and codings that are not known here."""
    if not 200 <= status < 300:
        return None
    form = FORMATS.get(routes.find(path, dialect).dialect)
    undo = undoing(coding) if form is not None else None
    return Reader(form, undo) if form is not None and undo is not None else None
