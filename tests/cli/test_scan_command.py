"""`sluice scan`: one answer for each line, whatever the line holds; findings say where, never what."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sluice import config
from sluice.cli import scan
from sluice.detect.engine import Engine
from tests.rig.command import run

CARD = "5425233430109903"  # passes Luhn, issued by nobody
KEY = "AKIA" + "QYLPMN5HHHFPZAM2"


@pytest.fixture(scope="module")
def engine() -> Engine:
    return scan.make_engine(config.load(None, environ={}))


def scanned(engine: Engine, *lines: bytes) -> tuple[int, list[dict[str, object]]]:
    """Run lines through, and parse what comes out."""
    out = io.BytesIO()
    code = scan.scan_lines(engine, io.BytesIO(b"".join(lines)), out)
    return code, [json.loads(line) for line in out.getvalue().splitlines()]


def test_offsets_count_code_points(engine: Engine) -> None:
    """The offsets are those of the text as the caller sees it, with characters outside the BMP and accents before."""
    text = f"Zahlung \U0001f4b3 für Ärzte: Karte {CARD}, danke"
    code, (answer,) = scanned(engine, json.dumps({"id": 7, "text": text}).encode() + b"\n")
    assert code == 0
    assert answer["id"] == 7
    spans = [text[f["start"] : f["end"]] for f in answer["findings"]]  # type: ignore[index,attr-defined]
    assert CARD in spans
    (found,) = [f for f in answer["findings"] if text[f["start"] : f["end"]] == CARD]  # type: ignore[attr-defined]
    assert set(found) == {"detector", "class", "severity", "start", "end", "validated", "confidence"}
    assert (found["class"], found["validated"]) == ("financial.card", True)


def test_a_bad_line_is_answered_and_the_rest_goes_on(engine: Engine) -> None:
    """Every line gets one line back, in order; bad ones name their fault; the exit code says that there were some."""
    code, answers = scanned(
        engine,
        b'{"id": "a", "text": "nothing here"}\n',
        b"not json\n",
        b"\n",
        b"[1]\n",
        b'{"id": "e", "text": 5}\n',
        b'{"id": "f"}\n',
        b'\xff\xfe{"id": 1}\n',
        b"[" * 100_000 + b"\n",
        b'{"id": "lone", "text": "\\ud800 and more"}\n',
        json.dumps({"id": "last", "text": f"key {KEY}"}).encode(),  # no newline at the end
    )
    assert code == 2
    assert [a["id"] for a in answers] == ["a", None, None, None, "e", "f", None, None, "lone", "last"]
    assert [a["id"] for a in answers if "error" not in a] == ["a", "lone", "last"]
    assert answers[-1]["findings"]
    assert answers[0]["findings"] == []


def test_an_engine_that_breaks_is_an_error_line(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line that breaks the engine is answered with the type of the fault, not its text, and the stream goes on."""

    class Broken:
        calls = 0

        def scan(self, parts: object) -> object:
            self.calls += 1
            if self.calls == 1:
                raise RuntimeError("canary")
            return engine.scan(parts)  # type: ignore[arg-type]

    line = json.dumps({"id": 1, "text": f"card {CARD}"}).encode() + b"\n"
    code, answers = scanned(Broken(), line, line)  # type: ignore[arg-type]
    assert code == 2
    assert answers[0] == {"id": 1, "error": "internal error: RuntimeError"}
    assert answers[1]["findings"]


def test_lines_are_answered_as_they_come() -> None:
    """The answer to a line is there before the next line is written: a program can keep a scanner running."""
    with subprocess.Popen(
        [sys.executable, "-m", "sluice.cli", "scan", "--jsonl"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as running:
        assert running.stdin
        assert running.stdout
        for number in range(3):
            running.stdin.write(json.dumps({"id": number, "text": f"card {CARD}"}).encode() + b"\n")
            running.stdin.flush()
            answer = json.loads(running.stdout.readline())
            assert answer["id"] == number
            assert answer["findings"]
        running.stdin.close()
        assert running.wait(20) == 0


def test_files_give_a_table_without_the_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """File, line, column, detector, class: and nowhere the value. Exit code 1 because something was found."""
    (tmp_path / "a.txt").write_text(f"first line\nmy card is {CARD}\n")
    (tmp_path / "b.txt").write_text("nothing\n")
    assert run("scan", str(tmp_path / "a.txt"), str(tmp_path / "b.txt")) == 1
    told = capsys.readouterr()
    assert "a.txt:2:12" in "".join(told.out.split())
    assert CARD not in told.out + told.err
    assert "in 2 files" in told.err
    assert run("scan", str(tmp_path / "b.txt")) == 0


def test_files_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same as data: one object for each finding, with file, line and column."""
    (tmp_path / "a.txt").write_bytes(b"\xff broken bytes\n" + f"card {CARD}".encode())
    assert run("scan", "--json", str(tmp_path / "a.txt")) == 1
    found = json.loads(capsys.readouterr().out)["findings"]
    assert [(f["line"], f["column"]) for f in found if f["class"] == "financial.card"] == [(2, 6)]


def test_a_file_that_cannot_be_read_is_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A missing file or a pipe is named, the others are scanned, and the exit code says so."""
    (tmp_path / "a.txt").write_text(f"card {CARD}")
    os.mkfifo(tmp_path / "pipe")
    assert run("scan", str(tmp_path / "none.txt"), str(tmp_path / "pipe"), str(tmp_path / "a.txt")) == 2
    told = capsys.readouterr()
    assert "none.txt: No such file or directory" in told.err
    assert "a.txt:1:6" in "".join(told.out.split())
