"""A bundle stands alone: what is in it is proved record by record, and any change in any of its files shows."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from sluice.config import Settings
from sluice.ledger import pruned, reader, segment
from sluice.ledger.pruned import Pruned
from sluice.ledger.record import leaf_hash
from sluice.ledger.segment import Fault
from sluice.proof import bundle
from sluice.proof.bundle import Filter, Written
from sluice.proof.trust import Unchecked
from sluice.seal import PRUNED, keys
from tests.proof import attacks
from tests.seal import seal_rig as rig

AT = 1_780_000_000_000_000
"""`ts_received` of record 0 of the rig."""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    made = rig.deployment(tmp_path)
    for slot in (0, 1):
        rig.write(made, 60, slot)
        rig.seal(made, f"n-w{slot}")
    return made


def export(settings: Settings, out: Path, **wanted: object) -> Written:
    ring = rig.ring(settings)
    return bundle.write(
        out,
        ledger=settings.ledger_dir,
        seal=settings.seal_dir,
        ring=ring,
        signer=keys.load(settings, ring),
        wanted=Filter(**wanted),  # type: ignore[arg-type]
        at=1,
    )


def checked(settings: Settings, path: Path) -> bool:
    return bundle.verify(path, [rig.ring(settings).current.verifier]).sound


@pytest.mark.parametrize("name", ["bundle", "bundle.tar.gz"])
def test_a_bundle_is_sound_and_whole(settings: Settings, tmp_path: Path, name: str) -> None:
    """As a directory or packed: every record of every stream, each with a proof that leads to a signed root."""
    written = export(settings, tmp_path / name)
    assert (written.records, written.unsealed, written.streams) == (126, 0, ["n-w0", "n-w1", rig.OWN])
    verdict = bundle.verify(tmp_path / name, [rig.ring(settings).current.verifier])
    assert verdict.sound
    found = [(s.stream, s.records, s.sealed) for s in verdict.streams]
    assert found == [("n-w0", 62, 62), ("n-w1", 62, 62), (rig.OWN, 2, 2)]


def test_a_filtered_bundle_is_proved_record_by_record(settings: Settings, tmp_path: Path) -> None:
    """A part of the log is as provable as all of it."""
    written = export(settings, tmp_path / "b", since=AT + 10, until=AT + 20)
    assert written.records == 20
    assert checked(settings, tmp_path / "b")
    lines = (tmp_path / "b" / "records.jsonl").read_text().splitlines()
    assert {json.loads(line)["ts_received"] for line in lines} == set(range(AT + 10, AT + 20))
    assert export(settings, tmp_path / "none", subject="nobody").records == 0
    assert checked(settings, tmp_path / "none")


def test_records_are_the_ledgers_own_bytes(settings: Settings, tmp_path: Path) -> None:
    """What the auditor reads is what was hashed, not a rendering of it."""
    export(settings, tmp_path / "b")
    bodies = [e.body for s in reader.streams(settings.ledger_dir) for e in reader.read(s)]
    assert (tmp_path / "b" / "records.jsonl").read_bytes() == b"".join(b + b"\n" for b in bodies)


def test_any_change_in_any_file_shows(settings: Settings, tmp_path: Path) -> None:
    """One changed character, one file more or less: the bundle is broken or not believed, never sound."""
    out = tmp_path / "b"
    export(settings, out, until=AT + 10)
    for path in [p for p in out.rglob("*") if p.is_file()]:
        original = path.read_bytes()
        for at in {0, len(original) // 3, len(original) - 2}:
            path.write_bytes(original[:at] + bytes([original[at] ^ 1]) + original[at + 1 :])
            with pytest.raises(AssertionError):
                assert _sound(settings, out), (path, at)
        path.unlink()
        assert not _sound(settings, out), path
        path.write_bytes(original)
    (out / "more.txt").write_text("x")
    assert not _sound(settings, out)


def _sound(settings: Settings, out: Path) -> bool:
    try:
        return checked(settings, out)
    except (Unchecked, OSError):
        return False


def test_a_record_that_was_taken_out_is_missed(settings: Settings, tmp_path: Path) -> None:
    """Line and proof taken away together: the manifest names another file and another number of records."""
    out = tmp_path / "b"
    export(settings, out)
    for name in ("records.jsonl", "proofs.jsonl"):
        lines = (out / name).read_bytes().splitlines(keepends=True)
        (out / name).write_bytes(b"".join(lines[:5] + lines[6:]))
    faults = bundle.verify(out, []).faults
    assert {(f.segment, f.fault) for f in faults} == {("records.jsonl", Fault.EDIT), ("proofs.jsonl", Fault.EDIT)}


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda lines: lines[:5] + lines[6:], Fault.GAP),
        (lambda lines: lines[:-2], Fault.GAP),
        (lambda lines: [*lines[:5], lines[5].replace(b'"epoch":1', b'"epoch":2', 1), *lines[6:]], Fault.EDIT),
        (lambda lines: [*lines[:5], lines[6], lines[5], *lines[7:]], Fault.GAP),
        (lambda lines: [*lines[:6], lines[5], *lines[6:]], Fault.REORDER),
    ],
    ids=["taken out", "cut off", "changed", "swapped", "doubled"],
)
def test_what_was_done_to_the_records_is_named(
    settings: Settings, tmp_path: Path, change: Callable[[list[bytes]], list[bytes]], fault: Fault
) -> None:
    """One line taken out, changed, moved or doubled is named as that, at its place, and its neighbours are sound."""
    out = tmp_path / "b"
    export(settings, out)
    lines = (out / "records.jsonl").read_bytes().splitlines(keepends=True)
    changed = change(lines)
    assert changed != lines
    (out / "records.jsonl").write_bytes(b"".join(changed))
    faults = [f for f in bundle.verify(out, []).faults if f.stream != "manifest"]
    named = [f for f in faults if f.segment == "records.jsonl" and f.seq >= 0]
    assert named and named[0].fault is fault
    assert len(named) <= 3


def test_a_bundle_of_another_deployment_is_not_believed(settings: Settings, tmp_path: Path) -> None:
    """Consistent in itself and signed by somebody: not by the key that was given."""
    (tmp_path / "other").mkdir()
    other = rig.deployment(tmp_path / "other")
    rig.write(other, 5)
    rig.seal(other)
    export(other, tmp_path / "b")
    with pytest.raises(Unchecked, match="none of the keys"):
        checked(settings, tmp_path / "b")


def test_a_ledger_that_is_not_what_was_sealed_is_not_exported(settings: Settings, tmp_path: Path) -> None:
    """Nothing is signed over forged records, and no half bundle stays."""
    stream = settings.ledger_dir / "n-w0"
    attacks.relay(stream, attacks.rechained(attacks.edit(attacks.bodies(stream), 5), 5))
    with pytest.raises(Unchecked, match="record 5: rewrite: it is not the record that was sealed"):
        export(settings, tmp_path / "b")
    assert not (tmp_path / "b").exists()


def test_a_ledger_from_which_records_are_missing_is_not_exported(settings: Settings, tmp_path: Path) -> None:
    """A sealed tail that is cut, a stream that is gone, a head that went with a forged note: nothing is signed over
    what is left. With the sealer's word the head is retention's, and the manifest says so."""
    stream = settings.ledger_dir / "n-w0"
    kept = shutil.copytree(stream, tmp_path / "kept")
    attacks.relay(stream, attacks.bodies(stream)[:-3])
    with pytest.raises(Unchecked, match="records 59 to 61 were sealed and are missing"):
        export(settings, tmp_path / "b", until=AT + 5)
    shutil.rmtree(stream)
    with pytest.raises(
        Unchecked, match="n-w0/checkpoints record 0: deletion: records 0 to 61 were sealed and are missing"
    ):
        export(settings, tmp_path / "b")
    shutil.copytree(kept, stream)
    records = attacks.bodies(stream)
    header = segment.Header("n", 0, 1, 20, leaf_hash(records[19]), 0)
    for name in segment.segments(stream):
        (stream / name).unlink()
    data = header.pack() + b"".join(segment.frame(b, first=True) for b in records[20:])
    (stream / segment.file_name(1, 20)).write_bytes(data)
    pruned.write(stream, Pruned(below_seq=20, leaf_hash=leaf_hash(records[19]).hex(), at=1))
    with pytest.raises(Unchecked, match="the records below 20; the sealer's stream does not"):
        export(settings, tmp_path / "b")
    assert not (tmp_path / "b").exists()
    rig.stand(settings, "n-w0", "n-w1")
    rig.sealer_says(settings, PRUNED, stream="n-w0", below_seq=20, sealed=True)
    assert export(settings, tmp_path / "b").pruned == {"n-w0": 20}
    assert "\npruned 20 n-w0\n" in (tmp_path / "b" / "MANIFEST").read_text()
    verdict = bundle.verify(tmp_path / "b", [])
    assert verdict.sound
    assert {s.stream: (s.pruned, s.records) for s in verdict.streams if s.stream == "n-w0"} == {"n-w0": (20, 42)}


def test_what_is_not_sealed_yet_is_counted_and_left_out(settings: Settings, tmp_path: Path) -> None:
    """Every record of a bundle can be proved; the newest ones have to wait for a checkpoint."""
    rig.write(settings, 8, first=60)
    assert export(settings, tmp_path / "b").unsealed == 10
    assert checked(settings, tmp_path / "b")


def test_the_page_for_readers_without_us_is_true(settings: Settings, tmp_path: Path) -> None:
    """The Python of HOW-TO-VERIFY says ok for what is sound and BAD for what is not, and needs nothing but Python."""
    out = tmp_path / "b"
    export(settings, out)
    page = (out / "HOW-TO-VERIFY.txt").read_text()
    scripts = [re.sub(r"^    ", "", s, flags=re.M) for s in re.findall(r"<<'END'\n(.*?)\n    END", page, re.S)]
    assert len(scripts) == 3

    def run(script: str) -> str:
        done = subprocess.run(
            [sys.executable, "-I", "-"], input=script, cwd=out, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "BAD" not in run(scripts[0])
    signed = run(scripts[2])
    assert "BAD" not in signed and "ok  MANIFEST" in signed and "checkpoints/n-w0" in signed
    for file in ("MANIFEST", "checkpoints/n-w0"):
        before = (out / file).read_text()
        first, second, rest = before.split("\n", 2)  # not just anywhere: the last letter of base64 has bits to spare
        (out / file).write_text(f"{first}\n{second}0\n{rest}")
        assert f"BAD {file}" in run(scripts[2])
        (out / file).write_text(before)
    assert run(scripts[1]) == "126 good 0 bad\n"
    records = (out / "records.jsonl").read_text()
    (out / "records.jsonl").write_text(records.replace('"decision":"allow"', '"decision":"block"', 1))
    assert "BAD records.jsonl" in run(scripts[0])
    assert run(scripts[1]).endswith("125 good 1 bad\n")


@pytest.mark.parametrize("name", ["proofs.jsonl", "records.jsonl"])
@pytest.mark.parametrize("line", [b'{"a":' * 200_000, b'{"index":1e999,"path":[],"stream":"n-w0"}'])
def test_odd_lines_are_faults(settings: Settings, tmp_path: Path, name: str, line: bytes) -> None:
    """A line that no reader can take is a fault like any other, not an error of the program."""
    export(settings, tmp_path / "b")
    (tmp_path / "b" / name).write_bytes(line + b"\n")
    assert not bundle.verify(tmp_path / "b", []).sound
