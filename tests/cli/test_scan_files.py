"""`sluice scan` over folders and recorded traffic: what is found and not read, and how it came about; never a value."""

from __future__ import annotations

import base64
import gzip
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from sluice import config, targets
from sluice.cli import compiled, scanned
from sluice.cli.sources.opening import Opener
from sluice.detect import tracing
from sluice.detect.engine import Engine
from sluice.errors import Cause, Unavailable
from sluice.model import Part, PartKind, Provenance, Role
from tests.rig.command import run

CARD = "5425233430109903"  # passes Luhn, issued by nobody
KEY = "AKIA" + "QYLPMN5HHHFPZAM2"


@pytest.fixture(scope="module")
def engine() -> Engine:
    return compiled.make_engine(config.load(None, environ={}))


def data(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    told = capsys.readouterr()
    assert CARD not in told.out + told.err
    assert KEY not in told.out + told.err
    read = json.loads(told.out)
    assert isinstance(read, dict)
    return read


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Text, compressed, archived, binary, hidden."""
    root = tmp_path / "data"
    (root / "sub").mkdir(parents=True)
    (root / "a.txt").write_text(f"one\ncard {CARD}\n")
    (root / "sub" / "b.log.gz").write_bytes(gzip.compress(f"AWS_KEY={KEY}\n".encode()))
    with zipfile.ZipFile(root / "c.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("in/d.txt", f"\n\ncard {CARD}\n")
    (root / "e.bin").write_bytes(b"\0\1\2" * 50)
    (root / ".git").mkdir()
    (root / ".git" / "f.txt").write_text(f"card {CARD}")
    (root / "out").symlink_to("/etc/hostname")
    return root


def test_a_folder_is_scanned_whole(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Places inside containers are named, what has no text is listed by reason, and that is no failure."""
    assert run("scan", "--json", str(folder)) == 1
    told = data(capsys)
    places = {(f["file"].removeprefix(f"{folder}/"), f["line"], f["class"]) for f in told["findings"]}
    assert places >= {
        ("a.txt", 2, "financial.card"),
        ("c.zip!in/d.txt", 3, "financial.card"),
        ("sub/b.log.gz", 1, "secret.cloud-key"),
    }
    assert not any(".git" in name for name, _, _ in places)
    assert told["summary"]["files"] == 3
    assert told["summary"]["by_class"]["financial.card"] == 2
    assert told["summary"]["skipped"] == {"symbolic link": 1, "binary": 1}
    assert not any(s["failed"] for s in told["skipped"])


def test_patterns_choose_files(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Only what fits `--include` is read, and not what fits `--exclude`."""
    assert run("scan", "--json", "--include", "*.txt", "--exclude", "sub", str(folder)) == 1
    assert {Path(f["file"]).name for f in data(capsys)["findings"]} == {"a.txt"}


def test_the_summary_counts(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """For people: findings, then classes with severity, detectors and files; what was passed over on stderr."""
    assert run("scan", str(folder)) == 1
    told = capsys.readouterr()
    row = next(line for line in told.out.splitlines() if line.split()[:1] == ["financial.card"])
    assert row.split() == ["financial.card", "high", "2", "2", "payment.card-number", "2"]
    assert "passed over: " in told.err
    assert "in 3 files" in told.err


def test_a_named_file_without_text_is_a_failure(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Who names a file wants it read: that it was not is said, with exit code 2."""
    assert run("scan", str(folder / "e.bin")) == 2
    assert "e.bin: not read: binary" in capsys.readouterr().err


def test_damage_in_a_folder_is_a_failure(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A cut gzip file may have held something: exit code 2, and the rest is scanned."""
    (folder / "cut.gz").write_bytes(gzip.compress(b"x" * 1000)[:-6])
    assert run("scan", "--json", str(folder)) == 2
    told = data(capsys)
    assert [(Path(s["file"]).name, s["reason"]) for s in told["skipped"] if s["failed"]] == [
        ("cut.gz", "damaged gzip data")
    ]
    assert told["summary"]["findings"] >= 3


def test_the_name_of_a_member_commands_no_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever made an archive chose the names in it: what is said of them holds no control character."""
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("x\x1b]0;owned\x07\x1b[2J\u202e\x9b31m.7z", b"7z\xbc\xaf\x27\x1c....")
    assert run("scan", str(tmp_path / "a.zip")) == 2
    told = capsys.readouterr()
    assert "7z archive" in told.err
    assert not set("\x1b\x07\x9b\u202e") & set(told.out + told.err)


def test_fail_on_a_severity(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A finding below the severity is shown and does not fail; one of it does."""
    (tmp_path / "a.txt").write_text(f"card {CARD}")
    assert run("scan", "--fail-on", "critical", str(tmp_path)) == 0
    assert "1 finding in 1 file" in capsys.readouterr().err
    assert run("scan", "--fail-on", "high", str(tmp_path)) == 1


def test_context_is_shown_without_values(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The line around, with the class for every value on it; nothing where a value would still show."""
    (tmp_path / "a.txt").write_text(f"pay with {CARD} or the key {KEY} today\n")
    assert run("scan", "--json", "--show-context", str(tmp_path / "a.txt")) == 1
    contexts = {f["context"] for f in data(capsys)["findings"] if "context" in f}
    assert contexts == {"pay with [financial.card] or the key [secret.cloud-key] today"}
    hidden = base64.b64encode(f"the card is {CARD} and {CARD}".encode()).decode()
    (tmp_path / "b.txt").write_text(f"{hidden}\n")
    assert run("scan", "--json", "--show-context", str(tmp_path / "b.txt")) == 1
    for finding in data(capsys)["findings"]:
        shown = finding.get("context", "").encode()
        assert CARD.encode() not in base64.b64decode(shown.replace(b"[financial.card]", b"")[:-1] + b"====")


def test_a_har_goes_through_the_gate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The prompt's card is found at its pointer; the service's own key in its header is no finding, as in the gate."""
    openai_key = "sk-proj-" + "aB3dE5fG7h" * 12
    body = json.dumps({"model": "gpt-4o", "messages": [{"role": "user", "content": f"card {CARD}"}]})
    request = {
        "method": "POST",
        "url": "https://api.openai.com/v1/chat/completions",
        "headers": [{"name": "Authorization", "value": f"Bearer {openai_key}"}],
        "postData": {"mimeType": "application/json", "text": body},
    }
    (tmp_path / "x.har").write_text(json.dumps({"log": {"entries": [{"request": request}]}}))
    assert run("scan", "--json", str(tmp_path / "x.har")) == 1
    (found,) = data(capsys)["findings"]
    assert (found["class"], found["pointer"], found["line"]) == ("financial.card", "/messages/0/content", None)


def test_a_field_of_a_dataset(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--text-field` reads that field alone; the finding names the line of the dataset."""
    rows = [{"prompt": "hello", "n": CARD}, {"prompt": f"two lines\ncard {CARD}", "n": ""}]
    (tmp_path / "d.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert run("scan", "--json", "--text-field", "prompt", str(tmp_path / "d.jsonl")) == 1
    assert [f["line"] for f in data(capsys)["findings"]] == [2]
    assert run("scan", "--json", str(tmp_path / "d.jsonl")) == 1
    assert {f["line"] for f in data(capsys)["findings"]} == {1, 2}


def test_huge_lines_and_broken_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A line of megabytes with broken UTF-8 in it is read to its end."""
    (tmp_path / "a.txt").write_bytes(b"word \xff " * 500_000 + f" card {CARD}".encode())
    assert run("scan", "--json", str(tmp_path / "a.txt")) == 1
    assert [(f["line"], f["class"]) for f in data(capsys)["findings"]] == [(1, "financial.card")]


def test_two_processes_find_what_one_finds(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The results of many files are the same, in the same order, by one process and by two."""
    for i in range(12):
        (tmp_path / f"{i:02}.txt").write_text(f"line\ncard {CARD}\n" * (i % 3) + "nothing")
    paths = sorted(tmp_path.iterdir())
    opener = Opener(targets.load(config.signatures_dir() / "targets.toml"), config.Limits())
    scanner = scanned.Scanner(engine, opener)

    def places(size: int) -> list[list[tuple[str, int | None]]]:
        return [[(f.file, f.line) for f in r.found] for r in scanned.over(scanner, paths, size)]

    alone = places(0)
    assert sum(map(len, alone)) == 12
    assert places(scanned.PARALLEL_BYTES) == alone


def test_one_file_that_breaks_the_engine_is_named(engine: Engine, tmp_path: Path) -> None:
    """A fault in one file is a failure with its type, without its text, and no exception."""

    class Broken:
        detectors = engine.detectors

        def scan(self, parts: tuple[Part, ...]) -> object:
            if "canary" in parts[0].text:
                raise RuntimeError(parts[0].text)
            raise Unavailable(Cause.SCAN_ERROR, "detection failed: ValueError at x.py:1")

    opener = Opener(targets.load(config.signatures_dir() / "targets.toml"), config.Limits())
    scanner = scanned.Scanner(Broken(), opener)  # type: ignore[arg-type]
    (tmp_path / "a").write_text("a canary")
    (tmp_path / "b").write_text("other")
    told = [(s.reason, s.failed) for name in "ab" for s in scanner.file(tmp_path / name).skipped]
    assert told == [
        ("internal error: RuntimeError", True),
        ("scan_error: detection failed: ValueError at x.py:1", True),
    ]


# --------------------------------------------------------------------------------------------------------- explaining


def traces(engine: Engine, text: str, only: str | None = None) -> list[tuple[str, str, tuple[str, ...], str]]:
    parts = (Part("", Role.USER, PartKind.TEXT, Provenance.USER, text),)
    scan, told = tracing.explain(engine, parts, only)
    plain = engine.scan(parts)
    assert [(f.detector, f.start, f.end, f.example) for f in scan.findings] == [
        (f.detector, f.start, f.end, f.example) for f in plain.findings
    ]
    return [(t.detector, t.outcome, t.way, t.why) for t in told]


def test_explain_names_what_made_a_finding(engine: Engine) -> None:
    """Plain or in base64, with the checks that passed; a neighbour's claim gives way, and says to what."""
    hidden = base64.b64encode(f"my card number is {CARD} ok".encode()).decode()
    told = traces(engine, f"see {hidden} here")
    assert ("payment.card-number", "found", ("base64",), "") in told
    assert ("payment.card-number-unusual", "dropped", ("base64",), "gives way to payment.card-number") in told


def test_explain_names_what_dropped_a_candidate(engine: Engine) -> None:
    """The validator that said no, the sample that is known, the keyword that is missing."""
    wrong = CARD[:-1] + "4"
    assert ("payment.card-number", "dropped", (), "luhn says no") in traces(engine, f"card {wrong}")
    sample = traces(engine, "key AKIAIOSFODNN7EXAMPLE")
    assert any(outcome == "sample" and why for _, outcome, _, why in sample)
    far = traces(engine, "number 123456782 alone", only="us.npi")
    assert all(outcome != "found" for _, outcome, _, _ in far)
    (npi,) = traces(engine, "a number 1234567893 alone", only="us.npi")
    assert npi[1] == "dropped"
    assert npi[3].startswith("no keyword within ")


def test_explain_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--explain FILE` takes the file, `--explain DETECTOR FILE` the detector, and a stranger is refused."""
    file = tmp_path / "a.txt"
    file.write_text(f"card {CARD}")
    assert run("scan", "--json", "--explain", str(file)) == 1
    assert "payment.card-number" in {t["detector"] for t in data(capsys)["explained"]}
    assert run("scan", "--json", "--explain", "payment.card-number", str(file)) == 1
    (one,) = data(capsys)["explained"]
    assert (one["outcome"], one["undone"], one["keyword"]) == ("found", [], "card")
    assert "luhn" in one["passed"]
    assert run("scan", "--explain", str(file)) == 1
    told = capsys.readouterr()
    assert "how it came about" in told.out
    assert CARD not in told.out + told.err
    assert run("scan", "--explain", "no.such", str(file)) == 2
    assert "neither a detector nor a file" in capsys.readouterr().err


# -------------------------------------------------------------------------------------------------------------- start


def test_compiled_detectors_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second start reads what the first compiled; a key that others can read is not used."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    settings = config.load(None, environ={"SLUICE_PATHS__VAR": str(tmp_path / "var")})
    few = compiled.load_detectors(settings)[:20]
    assert not compiled.make_engine(settings, detectors=few).databases.cached
    assert compiled.make_engine(settings, detectors=few).databases.cached
    key = tmp_path / "cache" / "sluice" / "cache.key"
    assert key.stat().st_mode & 0o777 == 0o600
    key.chmod(0o644)
    assert not compiled.make_engine(settings, detectors=few).databases.cached


def test_a_scan_leaves_var_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No key, cache or directory is made below `var` by a scan."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    settings = config.load(None, environ={"SLUICE_PATHS__VAR": str(tmp_path / "var")})
    compiled.make_engine(settings, detectors=compiled.load_detectors(settings)[:5])
    assert not (tmp_path / "var").exists()
