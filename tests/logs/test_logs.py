"""The log of a process says what happened and never what was in a request."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator

import pytest

from sluice import logs
from sluice.errors import Cause, Unavailable

CANARY = "sk-proj-canary-7Hq2Zk"


@pytest.fixture
def lines() -> Iterator[Lines]:
    """A process set up for logging, put back as it was afterwards."""
    root, ours = logging.getLogger(), logging.getLogger("sluice")
    kept = (root.handlers[:], root.level, ours.level, logging.raiseExceptions)
    hooks = (sys.excepthook, threading.excepthook, sys.unraisablehook)
    out = io.StringIO()
    logs.setup("worker-0", out)
    yield Lines(out)
    logging.captureWarnings(False)
    root.handlers[:], logging.raiseExceptions = kept[0], kept[3]
    root.setLevel(kept[1])
    ours.setLevel(kept[2])
    sys.excepthook, threading.excepthook, sys.unraisablehook = hooks


class Lines:
    """What was written so far."""

    def __init__(self, out: io.StringIO) -> None:
        self._out = out

    @property
    def text(self) -> str:
        return self._out.getvalue()

    def parsed(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.text.splitlines()]


def test_one_object_a_line_with_fixed_text_and_facts(lines: Lines) -> None:
    """Our own record is one JSON object: time, level, component, logger, message, facts."""
    logging.getLogger("sluice.ledger").warning("disk is low", extra={"facts": {"free_bytes": 5, "slot": 1}})
    (line,) = lines.parsed()
    assert line["component"] == "worker-0"
    assert line["logger"] == "sluice.ledger"
    assert (line["level"], line["message"], line["facts"]) == ("WARNING", "disk is low", {"free_bytes": 5, "slot": 1})
    assert str(line["time"]).endswith("Z")


def test_arguments_are_never_formatted(lines: Lines) -> None:
    """A value handed over as an argument does not reach the line, even from our own rooms."""
    logging.getLogger("sluice.gate").warning("refused %s", CANARY)
    assert CANARY not in lines.text
    assert lines.parsed()[0]["message"] == "refused %s"


@pytest.mark.parametrize("level", [logging.DEBUG, logging.WARNING])
def test_a_library_record_is_withheld(lines: Lines, level: int) -> None:
    """Text, arguments and exception message of a library never appear, at DEBUG level either."""
    logging.getLogger().setLevel(logging.DEBUG)
    foreign = logging.getLogger("mitmproxy.proxy.server")
    foreign.log(level, f"client sent {CANARY}")
    foreign.log(level, "Authorization: Bearer %s", CANARY)
    logging.getLogger("root").error(CANARY)
    logging.error(CANARY)
    try:
        raise ValueError(CANARY)
    except ValueError:
        logging.getLogger("h2").log(level, "crashed: %s", CANARY, exc_info=True)
    assert CANARY not in lines.text
    told = lines.parsed()
    assert "mitmproxy.proxy.server" in {line["logger"] for line in told}
    assert "ValueError" in {line.get("exception") for line in told}


def test_a_library_that_repeats_itself_is_counted(lines: Lines) -> None:
    """A flood from one logger becomes a line with the number of records, not a flood."""
    foreign = logging.getLogger("noisy")
    for _ in range(50):
        foreign.warning("again")
    assert len(lines.parsed()) == 1
    late = foreign.makeRecord("noisy", logging.WARNING, "f", 1, "again", (), None)
    late.created += logs.REPEAT_SECONDS + 1
    foreign.handle(late)
    assert lines.parsed()[1]["facts"] == {"records": 50}


def test_an_exception_of_ours_is_told_and_a_foreign_one_only_named(lines: Lines) -> None:
    """Our errors hold no content by contract; the message of anything else may."""
    log = logging.getLogger("sluice.gate")
    for error in (Unavailable(Cause.AUDIT_UNAVAILABLE, "disk full"), KeyError(CANARY)):
        try:
            raise error
        except Exception:
            log.exception("cannot commit")
    ours, foreign = lines.parsed()
    assert ours["error"] == "audit_unavailable: disk full"
    assert foreign["exception"] == "KeyError"
    assert "error" not in foreign
    assert CANARY not in lines.text
    assert any("test_logs.py:" in frame for frame in foreign["frames"])  # type: ignore[attr-defined]


def test_a_client_cannot_forge_a_line(lines: Lines) -> None:
    """Newlines, escapes and bidirectional marks in a fact are taken out, long text is cut, and the line stays one."""
    nasty = 'a\r\n{"level":"CRITICAL"}\x1b[31m\u202ee\u2028\x00' + "x" * 1_000_000
    logging.getLogger("sluice.tunnel").warning("odd", extra={"facts": {"host": nasty, "other": [CANARY], "n": 1}})
    (line,) = lines.parsed()
    host = line["facts"]["host"]  # type: ignore[index]
    assert len(host) < 400
    assert not set(host) & set("\r\n\x1b\u202e\u2028\x00")
    assert line["facts"]["other"] == "<list>"  # type: ignore[index]
    assert CANARY not in lines.text


def test_text_that_cannot_be_encoded_does_not_stop_the_log(lines: Lines) -> None:
    """A lone surrogate, a broken `__str__`, a closed stream: nothing is raised at the caller."""
    log = logging.getLogger("sluice.x")
    log.warning("\ud800", extra={"facts": {"\ud800": "\udfff"}})

    class Broken:
        def __str__(self) -> str:
            raise RuntimeError(CANARY)

    log.warning(Broken())
    lines._out.close()
    log.warning("nobody hears this")


def test_warnings_are_withheld_too(lines: Lines) -> None:
    """`warnings.warn` prints source lines and text; here it is only counted."""
    warnings.simplefilter("always")
    warnings.warn(f"deprecated {CANARY}", DeprecationWarning, stacklevel=1)
    assert CANARY not in lines.text
    assert lines.parsed()[0]["logger"] == "py.warnings"


async def test_an_exception_in_the_event_loop_is_named(lines: Lines) -> None:
    """A callback that dies is reported by type and code line, without its text."""
    loop = asyncio.get_running_loop()
    logs.watch(loop)

    def dies() -> None:
        raise LookupError(CANARY)

    loop.call_soon(dies)
    await asyncio.sleep(0.01)
    assert lines.parsed()[0]["exception"] == "LookupError"
    assert CANARY not in lines.text


@pytest.mark.parametrize(
    "death",
    [
        f"raise ValueError({CANARY!r})",
        f"import threading\nt = threading.Thread(target=lambda: [].index({CANARY!r})); t.start(); t.join()",
        f"class A:\n    def __del__(self): raise RuntimeError({CANARY!r})\na = A(); del a",
        f"import logging\nlogging.getLogger('lib').error('%d', {CANARY!r})",
        f"import asyncio\nasync def f(): raise OSError({CANARY!r})\n"
        "async def main():\n    t = asyncio.ensure_future(f()); await asyncio.sleep(0.01); del t\nasyncio.run(main())",
    ],
    ids=["main", "thread", "finaliser", "bad-format", "task"],
)
def test_a_process_dies_without_telling(death: str) -> None:
    """However a process fails, stderr holds JSON lines alone and the text of no exception."""
    code = f"from sluice import logs\nlogs.setup('worker-0')\n{death}\n"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False)
    assert CANARY not in done.stderr + done.stdout
    told = [json.loads(line) for line in done.stderr.splitlines()]
    assert told
    assert all(line["component"] == "worker-0" for line in told)


def test_a_terminal_gets_a_line_for_a_person(lines: Lines) -> None:
    """On a terminal time, level, component, sentence and facts in one line, no JSON; control characters stay out."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    out = Terminal()
    logs.setup("worker-0", out)
    logging.getLogger("sluice.test").warning("late", extra={"facts": {"cause": "disk\x1b[31m", "seconds": 2}})
    (line,) = out.getvalue().splitlines()
    assert line.endswith("warning worker-0: late (cause disk\N{REPLACEMENT CHARACTER}[31m, seconds 2)")
    assert "{" not in line
