"""One answer read while it passes: the traffic does not wait for it, does not depend on it, is not changed by it."""

from __future__ import annotations

import logging

import msgspec

from sluice import metrics
from sluice.answers.events import Events
from sluice.answers.formats import Format, Found
from sluice.answers.inflate import Undo
from sluice.answers.prune import Pruner, Unreadable
from sluice.model import Answered

log = logging.getLogger("sluice.answers")

WHOLE = 64 * 1024
"""A JSON answer up to this size is held and decoded at its end; a larger one is pruned as it passes."""
_EVENTS = (b"data:", b"event:", b"id:", b"retry:", b":")
_SNIFF = 6
"""Bytes that tell events from JSON."""


class Reader:
    """**P** The state of one answer: at most `WHOLE` bytes of it, usually none. `feed` and `end` never raise."""

    __slots__ = ("_events", "_format", "_found", "_held", "_pruner", "_state", "_undo")

    def __init__(self, form: Format, undo: Undo) -> None:
        self._format = form
        self._undo: Undo | None = undo
        self._found = Found()
        self._held = bytearray()
        self._events: Events | None = None
        self._pruner: Pruner | None = None
        self._state = ""

    def feed(self, chunk: bytes) -> None:
        """The next bytes as they came from the upstream."""
        if self._undo is None:
            return
        if self._events is not None:
            self._events.lines = 0
        try:
            for piece in self._undo(chunk):
                self._take(piece)
        except Exception as e:  # noqa: BLE001 - whatever an upstream sends, the client gets it; only the reading ends
            self._fail(e)

    def end(self, *, aborted: bool = False) -> Answered | None:
        """What was read, or None when nothing was. An answer that broke off may end anywhere."""
        if self._undo is not None:
            try:
                self._finish()
            except Exception as e:  # noqa: BLE001 - as above
                if not aborted:
                    self._fail(e)
            self._stop()
        if self._state != "fault":
            metrics.ANSWERS_READ.labels("cut" if aborted else "read").inc()
        found = self._found
        if found == Found():
            return None
        return Answered(
            model=found.model,
            id=found.id,
            finish=found.finish,
            tokens_in=found.tokens_in,
            tokens_out=found.tokens_out,
            tokens_cached=found.tokens_cached,
            tokens_reasoning=found.tokens_reasoning,
            calls=tuple(found.calls.values()),
        )

    def _take(self, data: bytes) -> None:
        if self._events is not None:
            self._events.feed(data)
        elif self._pruner is not None:
            self._pruner.feed(data)
        else:
            self._held += data
            self._begin()

    def _begin(self) -> None:
        """Tell events from JSON by the first bytes: content types are not to be relied on."""
        head = bytes(self._held[:_SNIFF]).lstrip(b"\xef\xbb\xbf \t\r\n")
        if not head:
            self._held.clear()  # white space before the answer
        elif head[:1] in b"{[":
            if len(self._held) > WHOLE:
                self._pruner = Pruner(self._format.tree, self._piece)
                self._pruner.feed(self._release())
        elif head.startswith(_EVENTS):
            self._events = Events(self._format.tree, self._event, self._piece)
            self._events.feed(self._release())
        elif len(head) == _SNIFF or not any(mark.startswith(head) for mark in _EVENTS):
            raise Unreadable("neither JSON nor events")

    def _release(self) -> bytes:
        data = bytes(self._held)
        self._held.clear()
        return data

    def _finish(self) -> None:
        if self._events is not None:
            self._events.finish()
        elif self._pruner is not None:
            self._pruner.finish()
        elif self._held:
            data = self._release().lstrip(b"\xef\xbb\xbf \t\r\n")
            if data[:1] == b"[":
                for told in self._format.decode_all(data):
                    self._format.note(self._found, told)
            else:
                self._piece(data)

    def _piece(self, data: bytes) -> None:
        self._format.note(self._found, self._format.decode(data))

    def _event(self, data: bytes) -> None:
        """An event's data. `[DONE]`, and words of a gateway that are no JSON, say nothing."""
        if data.lstrip()[:1] == b"{" and not self._format.is_dull(data):
            self._piece(data)

    def _fail(self, error: Exception) -> None:
        """Nothing more is read of this answer. The error may quote it, so only its type is told."""
        self._state = "fault"
        metrics.ANSWERS_READ.labels("fault").inc()
        if not isinstance(error, Unreadable | msgspec.MsgspecError | UnicodeError):
            log.error("an answer was not read", extra={"facts": {"error": type(error).__name__}})
        self._stop()

    def _stop(self) -> None:
        """Let go of everything that was held."""
        self._undo = self._events = self._pruner = None
        self._held.clear()
