"""Structured logging for every process of the appliance: JSON on stderr, one object a line, never any content.

In a terminal the same is a line for a person: time, level, component, sentence, facts.

Rules
1. A logger below `sluice.` says a fixed sentence and scalar facts: `log.warning("late", extra={"facts": {...}})`.
   Arguments are never formatted into the sentence.
2. Any other logger belongs to a library, and libraries print what they hold: mitmproxy logs the raw bytes of a bad
   request, keys included. Of such a record only its origin, level, exception type, code lines and count are kept.
3. An exception is named by its type and the code lines it passed; its message only when it is one of ours
   (`errors.SluiceError`), whose messages hold no content by contract.
4. Text in facts loses control and bidirectional characters and is cut, so that a client cannot forge a line.
5. Nothing here raises, and nothing falls back to Python's own handlers, which print messages and arguments.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, TextIO

from sluice.errors import SluiceError

if TYPE_CHECKING:
    import asyncio

OURS = "sluice"
REPEAT_SECONDS = 10.0
"""A library that repeats itself is reported once in this time, with the number of records held back."""

_TEXT_LIMIT = 300
_FACTS_LIMIT = 32
_FRAMES_LIMIT = 12
# C0, DEL and C1; bidi marks, embeddings and isolates; line and paragraph separators; zero width; lone surrogates.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")

_fault = logging.getLogger("sluice.fault")


def setup(component: str, stream: TextIO | None = None) -> None:
    """Make this process log as `component` (`supervisor`, `worker-0`, `shipper`), and name what it dies of.

    Replaces every handler of the root logger; libraries at WARNING and above, our own rooms at INFO and above.
    """
    logging.raiseExceptions = False  # the standard report of a failing handler prints message and arguments
    root = logging.getLogger()
    for handler in root.handlers[:]:
        root.removeHandler(handler)
    root.addHandler(_Lines(component, stream or sys.stderr))
    root.setLevel(logging.WARNING)
    logging.getLogger(OURS).setLevel(logging.INFO)
    logging.captureWarnings(True)
    sys.excepthook = _uncaught
    threading.excepthook = lambda args: _died("thread ended by an exception", args.exc_value)
    sys.unraisablehook = lambda args: _died("exception that nobody could catch", args.exc_value)


def watch(loop: asyncio.AbstractEventLoop) -> None:
    """Name exceptions that nobody awaited in this event loop, without their text."""
    loop.set_exception_handler(lambda _loop, context: _died("exception in the event loop", context.get("exception")))


def safe(text: str, limit: int = _TEXT_LIMIT) -> str:
    """Text fit for a log line or a terminal: control, bidirectional and invisible characters out, length capped."""
    cleaned = _UNSAFE.sub("\N{REPLACEMENT CHARACTER}", text[: limit + 1])
    return cleaned if len(cleaned) <= limit else cleaned[:limit] + "..."


def frames(trace: TracebackType | None) -> list[str]:
    """The code lines of a traceback, innermost last (`ledger/writer.py:120 commit`): no source text and no values."""
    lines: list[str] = []
    while trace is not None:
        code = trace.tb_frame.f_code
        lines.append(f"{'/'.join(Path(code.co_filename).parts[-2:])}:{trace.tb_lineno} {code.co_name}")
        trace = trace.tb_next
    return lines[-_FRAMES_LIMIT:]


def described(error: BaseException) -> dict[str, object]:
    """An exception as facts: its type, the types that caused it, its code lines, and its words if they are ours."""
    names: list[str] = []
    link: BaseException | None = error
    while link is not None and len(names) < 5:
        names.append(type(link).__name__)
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
    told: dict[str, object] = {"exception": safe(" < ".join(names)), "frames": frames(error.__traceback__)}
    if isinstance(error, SluiceError):
        told["error"] = safe(str(error))
    return told


def _died(message: str, error: BaseException | None) -> None:
    _fault.critical(message, exc_info=(type(error), error, error.__traceback__) if error else None)


def _uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if not issubclass(kind, KeyboardInterrupt):
        _died("process ended by an exception", error)


class _Lines(logging.Handler):
    """Writes records as JSON lines. Ours in full, a library's only as the fact that there was one."""

    def __init__(self, component: str, stream: TextIO) -> None:
        super().__init__()
        self._component = component
        self._stream = stream
        self._people = stream.isatty()
        self._foreign: dict[tuple[str, str], tuple[float, int]] = {}

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self._ours(record) if _is_ours(record.name) else self._theirs(record)
            if record.levelno >= logging.ERROR:
                self._count()
            if line is not None:
                whole = self._head(record) | line
                told = _for_people(whole) if self._people else json.dumps(whole, ensure_ascii=True, default=_kind)
                self._stream.write(told + "\n")
                self._stream.flush()
        except Exception:  # noqa: BLE001 - a log line must never end a request, nor fall back to printing its content
            self.handleError(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the name is logging's
        """Say that a line was lost, with fixed text, past every layer that might have failed."""
        try:
            os.write(2, b'{"level": "ERROR", "logger": "sluice.logs", "message": "a log line could not be written"}\n')
        except OSError:
            return  # stderr is gone: there is nowhere left to say so

    def _head(self, record: logging.LogRecord) -> dict[str, object]:
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return {
            "time": at,
            "level": record.levelname,
            "component": self._component,
            "pid": record.process,
            "logger": safe(record.name, 80),
        }

    def _ours(self, record: logging.LogRecord) -> dict[str, object]:
        line: dict[str, object] = {"message": safe(str(record.msg))}
        if facts := _scalars(getattr(record, "facts", None)):
            line["facts"] = facts
        error = record.exc_info[1] if record.exc_info else None
        return line | described(error) if error else line

    def _theirs(self, record: logging.LogRecord) -> dict[str, object] | None:
        error = record.exc_info[1] if record.exc_info else None
        key = (record.name, type(error).__name__ if error else "")
        since, count = self._foreign.get(key, (0.0, 0))
        if count and abs(record.created - since) < REPEAT_SECONDS:
            self._foreign[key] = (since, count + 1)
            return None
        if len(self._foreign) > 200:  # logger names are a library's own, yet nothing here may grow for ever
            self._foreign.clear()
        self._foreign[key] = (record.created, 1)
        line: dict[str, object] = {
            "message": "a library logged; its text is withheld",
            "facts": {"records": count or 1},
        }
        return line | described(error) if error else line

    def _count(self) -> None:
        # Imported late: prometheus_client fixes where its values live when it is first imported, and the supervisor
        # has to name that directory before.
        if "sluice.metrics" in sys.modules:
            sys.modules["sluice.metrics"].LOGGED_ERRORS.labels(self._component.partition("-")[0]).inc()


def _for_people(line: dict[str, Any]) -> str:
    """The same facts in the order that somebody reads them in."""
    at = datetime.fromisoformat(line["time"]).astimezone()
    told = dict(line.get("facts") or {})
    told |= {key: line[key] for key in ("exception", "error") if key in line}
    facts = ", ".join(f"{key} {value}" for key, value in told.items())
    frames = "".join(f"\n    {frame}" for frame in line.get("frames", ()))
    head = f"{at:%H:%M:%S} {line['level'].lower()} {line['component']}: {line['message']}"
    return head + (f" ({facts})" if facts else "") + frames


def _is_ours(name: str) -> bool:
    return name == OURS or name.startswith(OURS + ".")


def _scalars(facts: object) -> dict[str, object]:
    """The facts of a record, made safe: scalars only, text cleaned and cut."""
    if not isinstance(facts, Mapping):
        return {}
    kept: dict[str, object] = {}
    for key, value in list(facts.items())[:_FACTS_LIMIT]:
        kept[safe(str(key), 60)] = safe(value) if isinstance(value, str) else _scalar(value)
    return kept


def _scalar(value: Any) -> object:
    return value if value is None or isinstance(value, bool | int | float) else _kind(value)


def _kind(value: object) -> str:
    """What to write in place of something that is not a scalar: its type, never its content."""
    return f"<{type(value).__name__}>"
