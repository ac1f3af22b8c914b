"""`sluice report`: what a person types, and what it says when it cannot be answered."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import sluice.cli
from sluice import config, keys
from sluice.cli import asking
from sluice.detect.evidence import Fingerprinter, purpose
from sluice.posture import units

ANSWERS = {
    "FROM per_minute": f'["a","b","c","d","e","f","g","h"]\n[{",".join(['"UInt64"'] * 8)}]\n[10,8,1,0,0,1,1000,50]\n',
    "AS reason": '["reason","requests","bytes"]\n["String","UInt64","UInt64"]\n["image",1,50]\n',
    "AS departments": '["provider","requests"]\n["String","UInt64"]\n["openai",7]\n',
}


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        sluice.cli.main(["report", *arguments])
    assert isinstance(ended.value.code, int)
    return ended.value.code


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """Somebody answers; what was asked."""
    monkeypatch.setenv("SLUICE_PATHS__VAR", str(tmp_path / "var"))
    questions: list[str] = []

    def answer(sql: str, _: str) -> bytes:
        questions.append(sql)
        return next(said for mark, said in ANSWERS.items() if mark in sql).encode()

    @contextmanager
    def opened(_: object) -> Iterator[object]:
        yield answer

    monkeypatch.setattr(asking, "questions", opened)
    return questions


def test_a_report_is_asked_by_its_name(store: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """`sluice report R1` prints scope, coverage, basis and digest above the rows."""
    assert run("r1", "--since", "7d", "--until", "2026-11-20") == 0
    said = capsys.readouterr().out
    for word in ("2026-11-13T00:00Z to 2026-11-20T00:00Z", "2 of 10 requests", "image 1", "GOVERN 1.6", "openai"):
        assert word in said
    assert "query sha256" in said
    assert run("r1", "--since", "7d", "--until", "2026-11-20", "--json") == 0
    assert json.loads(capsys.readouterr().out)["rows"] == [{"provider": "openai", "requests": 7}]


def test_a_report_goes_into_a_file(store: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--out` writes the file and says its digest; stdout stays empty."""
    out = tmp_path / "r1.html"
    assert run("R1", "--format", "html", "--out", str(out)) == 0
    said = capsys.readouterr()
    assert "<!doctype html>" in out.read_text()
    assert (said.out, "query sha256" in said.err) == ("", True)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("R99",), "there is no report `R99`"),
        (("R1", "--format", "doc"), "csv, json, md, pdf"),
        (("R1", "--format", "xml"), "--format is one of"),
        (("R2", "--key", "ab"), "cannot be restricted by keys"),
        (("R1", "--since", "soon"), "neither a span"),
        (("R6",), "R6 needs fingerprints"),
    ],
)
def test_what_cannot_be_meant_is_said(
    store: list[str], arguments: tuple[str, ...], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2 and one line; the store is not asked for the report."""
    assert run(*arguments) == 2
    assert words in capsys.readouterr().err
    assert not any("AS departments" in sql for sql in store)


def test_the_query_can_be_seen_without_a_store(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """`--sql` prints what would be asked; without events, asking says that there are none (exit 3)."""
    monkeypatch.setenv("SLUICE_PATHS__VAR", str(tmp_path / "var"))
    assert run("R1", "--until", "2026-11-20", "--sql") == 0
    assert "toDateTime64('2026-11-20 00:00:00.000000', 6, 'UTC')" in capsys.readouterr().out
    assert run("R1") == 3
    assert "there are no events" in capsys.readouterr().err


def test_the_list_names_every_report(capsys: pytest.CaptureFixture[str]) -> None:
    """`sluice report list` has each with its question."""
    assert run("list") == 0
    said = capsys.readouterr().out
    assert all(f"{name} " in said for name in units.reports())


def test_a_value_is_looked_for_by_its_fingerprint_and_goes_no_further(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """`--value` reads a person's data from stdin; the query holds its keyed fingerprint and not the value."""
    monkeypatch.setenv("SLUICE_PATHS__VAR", str(tmp_path / "var"))
    key, name = keys.fingerprint_key(config.load(None))
    monkeypatch.setattr("sys.stdin", io.StringIO("jane.doe@contoso.com\n"))
    assert run("R6", "--value", "contact.email", "--sql") == 0
    said = capsys.readouterr()
    assert Fingerprinter(key, name).fingerprint(purpose("contact.email"), "jane.doe@contoso.com") in said.out
    assert "jane" not in said.out + said.err
    assert run("R6", "--value", "contact.mail", "--sql") == 2
