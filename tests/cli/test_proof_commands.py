"""`sluice seal`, `verify`, `prove`, `evidence export` as an operator and an auditor use them."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import re
import shutil
from pathlib import Path

import pytest

import sluice.cli
from sluice.config import Settings
from sluice.ledger import pruned, segment
from sluice.ledger.pruned import Pruned
from sluice.ledger.record import leaf_hash
from sluice.model import Record, RecordType
from sluice.seal import PRUNED
from tests.proof import attacks
from tests.seal import seal_rig as rig

DECISION = "00000000-0000-7000-8000-000000000007"


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A sealed deployment whose settings file is the one in force."""
    made = rig.deployment(tmp_path)
    monkeypatch.setenv("SLUICE_CONFIG", str(tmp_path / "sluice.toml"))
    monkeypatch.chdir(tmp_path)
    rig.write(made, 20)
    rig.seal(made)
    return made


def run(*arguments: str | Path) -> int:
    with pytest.raises(SystemExit) as ended:
        sluice.cli.main([str(a) for a in arguments])
    assert isinstance(ended.value.code, int)
    return ended.value.code


def key(capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    assert run("seal", "key") == 0
    return capsys.readouterr().out.strip()


def test_verify_finds_the_appliances_own_seals(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    """Without arguments: ledger and seals of this deployment; exit 0, and how far the seals reach."""
    assert run("verify", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["sound"], told["key_pinned"], told["streams"][0]["sealed"]) == (True, False, 22)


def test_verify_exit_codes(settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """0 sound, 1 broken with kind and number, 2 when it could not be checked."""
    public = key(capsys)
    assert run("verify", "--key", public) == 0
    stream = settings.ledger_dir / "n-w0"
    attacks.relay(stream, attacks.rechained(attacks.edit(attacks.bodies(stream), 5), 5))
    assert run("verify", "--key", public) == 1
    assert "record 5: rewrite" in capsys.readouterr().err
    other = "other+12345678+AAAA"
    assert run("verify", "--key", other) == 2
    assert run("verify", tmp_path / "nothing") == 2
    assert run("verify", settings.ledger_dir, "--witness", tmp_path) == 2, "no checkpoints there: not sound, unchecked"


def test_a_copy_elsewhere_is_checked_with_its_seals(
    settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An auditor has two directories and a key, and no appliance; without the seals it is told what is not shown."""
    public = key(capsys)
    copy = tmp_path / "copy"
    shutil.copytree(settings.ledger_dir, copy / "ledger")
    shutil.copytree(settings.seal_dir, copy / "seal")
    shutil.rmtree(copy / "seal" / "keys")
    assert run("verify", copy / "ledger", "--checkpoints", copy / "seal", "--key", public) == 0
    assert run("verify", copy / "ledger") == 2
    assert "none of its checkpoints is at hand" in capsys.readouterr().err


def test_exit_code_two_for_what_no_checkpoint_covers(
    settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A copy of a ledger that a sealer wrote, without its seals; a tail that a sealer had the time for: 2, and how
    many records that are, also for programs."""
    rig.sealer_says(settings, "seal_key_made", key="k")
    copy = shutil.copytree(settings.ledger_dir, tmp_path / "copy" / "ledger")
    assert run("verify", copy) == 2
    said = capsys.readouterr()
    assert "n-w0: 22 records under no checkpoint" in said.err
    assert "sound" not in said.out
    rig.write(settings, 5, first=100)
    assert run("verify") == 0
    rig.opened(settings, slot=1, later=20).close()
    rig.seal(settings, "n-w1")
    capsys.readouterr()
    assert run("verify", "--json") == 2
    told = json.loads(capsys.readouterr().out)
    assert (told["sound"], told["uncovered"], told["streams"][0]["uncovered"]) == (False, 7, 7)


def test_prove_and_verify_a_decision(settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A few kB that the public key alone opens; any altered byte is exit 1."""
    public = key(capsys)
    assert run("prove", DECISION, "-o", tmp_path / "p.tlog-proof") == 0
    shutil.rmtree(settings.paths.var)
    assert run("verify", "--proof", tmp_path / "p.tlog-proof", "--key", public, "--json") == 0
    assert json.loads(capsys.readouterr().out)["decision_id"] == DECISION
    text = (tmp_path / "p.tlog-proof").read_text()
    assert len(text) < 4096
    (tmp_path / "p.tlog-proof").write_text(text.replace("index 8", "index 9"))
    assert run("verify", "--proof", tmp_path / "p.tlog-proof", "--key", public) == 1


def test_prove_says_what_is_missing(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    """An unknown decision and one that is not sealed yet are told apart, both with exit 1."""
    assert run("prove", "no-such-id") == 1
    assert "no decision record" in capsys.readouterr().err
    assert run("prove", DECISION, "--record", "outcome") == 1
    assert "there is one with --record decision" in capsys.readouterr().err
    assert run("prove", DECISION, "--record", "control") == 2, "those records are of no decision"
    rig.write(settings, 5, first=100)
    assert run("prove", "00000000-0000-7000-8000-000000000100") == 1
    assert "not sealed yet" in capsys.readouterr().err


def test_rotate_keeps_the_past(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    """After `seal rotate` old and new public key both verify everything (T35)."""
    old = key(capsys)
    assert run("seal", "rotate") == 0
    new = key(capsys)
    assert old != new
    rig.write(settings, 5, first=100)
    rig.seal(settings)
    assert run("verify", "--key", old) == run("verify", "--key", new) == 0
    capsys.readouterr()
    assert run("seal", "key", "--all") == 0
    assert capsys.readouterr().out.split() == [old, new]


def test_seal_status(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    """How far each stream is sealed and what waits, from the files alone."""
    rig.write(settings, 5, first=100)
    assert run("seal", "status", "--json") == 0
    told, _ = json.loads(capsys.readouterr().out)
    assert (told["stream"], told["sealed"], told["unsealed"]) == ("n-w0", 22, 7)
    assert told["checkpoint_age_seconds"] >= 0


def test_export_and_verify_a_bundle(settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A bundle for an auditor: filtered, signed, checked with the key; a changed one is exit 1."""
    public = key(capsys)
    assert run("evidence", "export", "--out", tmp_path / "b", "--provider", "openai", "--since", "2020-01-01") == 0
    assert "20 records" in capsys.readouterr().err
    assert run("verify", tmp_path / "b", "--key", public) == 0
    assert run("evidence", "export", "--out", tmp_path / "b") == 2, "a bundle is written once"
    assert run("evidence", "export", "--out", tmp_path / "b.tar.gz") == 0
    assert run("verify", tmp_path / "b.tar.gz", "--key", public) == 0
    records = tmp_path / "b" / "records.jsonl"
    records.write_text(records.read_text().replace('"allow"', '"block"', 1))
    assert run("verify", tmp_path / "b", "--key", public) == 1


def test_no_private_key_is_needed_to_check(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    """Everything that checks works with the key files unreadable; only signing a bundle needs one."""
    public = key(capsys)
    for file in settings.seal_keys_dir.iterdir():
        file.unlink()
    assert run("verify", "--key", public) == 0
    assert run("prove", DECISION) == 0
    assert run("evidence", "export", "--out", "b") == 2
    assert not os.path.exists("b")  # noqa: PTH110 - relative on purpose


def test_a_fault_of_a_bundle_is_named_by_its_line(
    settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Bundles are read with an editor: a fault is a line of a file, and of the file itself no record is named."""
    out = tmp_path / "b"
    assert run("evidence", "export", "--out", out) == 0
    lines = (out / "records.jsonl").read_bytes().splitlines(keepends=True)
    lines[5] = lines[5].replace(b'"allow"', b'"block"')
    (out / "records.jsonl").write_bytes(b"".join(lines))
    capsys.readouterr()
    assert run("verify", out) == 1
    said = capsys.readouterr().err.splitlines()
    assert said[0].startswith("sluice: MANIFEST/records.jsonl: edit: ")
    assert said[1].startswith("sluice: n-w0/records.jsonl line 6, record 5: edit: ")


def test_an_empty_bundle_is_said(settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A filter that nothing fits is told; a time span that nothing can fit is refused."""
    assert run("evidence", "export", "--out", tmp_path / "b", "--provider", "nobody") == 0
    assert "no record fits: `--provider nobody` fits none of 24 records" in capsys.readouterr().err
    assert run("verify", tmp_path / "b") == 0, "a bundle of nothing is whole"
    both = ("--provider", "openai", "--decision", "block", "--until", "1d")
    assert run("evidence", "export", "--out", tmp_path / "d", *both) == 0
    assert "no record fits: `--decision block` fits none" in capsys.readouterr().err
    both = ("--provider", "openai", "--since", "2026-06-01", "--until", "2100-01-01")
    assert run("evidence", "export", "--out", tmp_path / "e", *both) == 0
    assert "no record fits `--since --until --provider openai` together" in capsys.readouterr().err
    assert run("evidence", "export", "--out", tmp_path / "c", "--since", "7d", "--until", "8d") == 2
    assert not (tmp_path / "c").exists()


def test_an_export_that_was_killed_is_no_bundle(settings: Settings, tmp_path: Path) -> None:
    """Whatever was written last when it ended, what lies there is never sound: the manifest comes when all is there."""
    assert run("evidence", "export", "--out", tmp_path / "b") == 0
    seals = ["checkpoints/n-w0", "checkpoints/n-w1000"]
    written = ["MANIFEST", "HOW-TO-VERIFY.txt", "keys.json", *seals, "proofs.jsonl", "records.jsonl"]
    assert {p.relative_to(tmp_path / "b").as_posix() for p in (tmp_path / "b").rglob("*") if p.is_file()} == {*written}
    for name in written:
        (tmp_path / "b" / name).unlink()
        assert run("verify", tmp_path / "b") == 2, name


def test_a_full_disk_leaves_no_half_bundle(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An export that cannot be finished says why, and takes away what it began, as a directory or packed."""

    def full(*_: object) -> str:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("sluice.proof.bundle._manifest", full)
    for name in ("b", "b.tar.gz"):
        assert run("evidence", "export", "--out", tmp_path / name) == 2
        assert "No space left on device" in capsys.readouterr().err
        assert not (tmp_path / name).exists()
    assert not list(tmp_path.glob(".bundle-*"))


def test_a_forged_note_of_pruning_by_exit_code(
    settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The head of a stream deleted with a note that fits: deletion for the ledger and for the stream alone, "could not
    check" for a copy of the stream, and nothing is exported."""
    rig.sealer_says(settings, "seal_key_made", key="k")
    stream = settings.ledger_dir / "n-w0"
    records = attacks.bodies(stream)
    attacks.relay(stream, records)
    [only] = segment.segments(stream)
    head = segment.unpack((stream / only).read_bytes())
    before = leaf_hash(records[9])
    header = segment.Header("n", 0, head.epoch, 10, before, head.created)
    (stream / only).unlink()
    data = header.pack() + b"".join(segment.frame(body, first=True) for body in records[10:])
    (stream / segment.file_name(head.epoch, 10)).write_bytes(data)
    pruned.write(stream, Pruned(below_seq=10, leaf_hash=before.hex(), at=1))
    capsys.readouterr()
    assert run("verify") == 1
    assert run("verify", stream) == 1
    assert capsys.readouterr().err.count("record 0: deletion: a note says") == 2
    assert run("verify", shutil.copytree(stream, tmp_path / "n-w0"), "--checkpoints", settings.seal_dir) == 2
    assert "check the whole ledger" in capsys.readouterr().err
    assert run("evidence", "export", "--out", tmp_path / "b") == 2
    rig.stand(settings, "n-w0")
    rig.sealer_says(settings, PRUNED, stream="n-w0", below_seq=10, sealed=True)
    assert run("verify") == run("verify", stream) == run("evidence", "export", "--out", tmp_path / "b") == 0
    assert "n-w0: records below 10 were deleted by retention" in capsys.readouterr().err


def test_rows_in_no_order_are_unchecked(settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A table has no order: an export without ORDER BY is told with the right command, and not called tampering."""
    bodies = attacks.bodies(settings.ledger_dir / "n-w0")
    facts = [json.loads(b) for b in bodies]
    rows = [
        json.dumps(f | {"ts_received": f"{f['ts_received'] / 1e6:.6f}"})
        for f in facts
        if f["record_type"] == "decision"
    ]
    (tmp_path / "r.jsonl").write_text("\n".join([rows[1], rows[0], *rows[2:]]) + "\n")
    assert run("verify", tmp_path / "r.jsonl") == 2
    assert "order by chain_id, seq" in capsys.readouterr().err


def test_what_a_filter_chose_does_not_look_gap_free(
    settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of a bundle: how many records there are between the first and the last number, and that each is sealed."""
    moments = [f"2026-05-28T20:26:40.{micros:06}Z" for micros in (5, 7)]
    assert run("evidence", "export", "--out", tmp_path / "b", "--since", moments[0], "--until", moments[1]) == 0
    said = json.loads((tmp_path / "b" / "records.jsonl").read_text().splitlines()[0])
    lines = (tmp_path / "b" / "MANIFEST").read_text().splitlines()
    assert re.fullmatch(r"at \d{16} \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", lines[1])
    capsys.readouterr()
    assert run("verify", tmp_path / "b") == 0
    row = next(line for line in capsys.readouterr().out.splitlines() if "n-w0" in line)
    assert row.split()[:8] == ["n-w0", "2", str(said["seq"]), "to", str(said["seq"] + 1), "-", "2", "-"]
    assert run("evidence", "export", "--out", tmp_path / "c", "--subject", "nobody", "--json") == 0
    assert run("evidence", "export", "--out", tmp_path / "w", "--provider", "openai") == 0
    records = tmp_path / "w" / "records.jsonl"
    assert records.read_text().count("\n") == 20


def test_prove_says_what_retention_deleted(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    """A decision of a time whose records were deleted: below which number of which stream, and where its row is."""
    stream = settings.ledger_dir / "n-w0"
    records = attacks.bodies(stream)
    header = segment.Header("n", 0, 1, 10, leaf_hash(records[9]), 0)
    for name in segment.segments(stream):
        (stream / name).unlink()
    data = header.pack() + b"".join(segment.frame(body, first=True) for body in records[10:])
    (stream / segment.file_name(1, 10)).write_bytes(data)
    assert run("prove", DECISION) == 1
    said = capsys.readouterr().err
    assert "retention deleted the records of its time (n-w0 below 10)" in said
    assert f"decision_id = '{DECISION}'" in said
    assert run("prove", "019fffff-0000-7000-8000-000000000007") == 1, "of a time of which all records are there"
    assert "retention deleted" not in capsys.readouterr().err


def test_verify_says_what_it_compared_with(
    settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Checkpoints here, those of witnesses, and the key: each is told, so that an option is seen to have worked."""
    public = key(capsys)
    shutil.copytree(settings.seal_dir, tmp_path / "witness", ignore=shutil.ignore_patterns("keys", "lock"))
    assert run("verify", "--key", public, "--witness", tmp_path / "witness") == 0
    said = capsys.readouterr().err
    assert "compared with 2 checkpoints and 2 checkpoints that witnesses kept, under the key that was given" in said


def test_prove_a_tunnel_hints_at_its_kind(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    """A bypass has no decision record: the option that proves it is named."""
    bypass = Record(record_type=RecordType.BYPASS, decision_id=DECISION.replace("0007", "0777"), ts_received=1)
    writer = rig.opened(settings)
    asyncio.run(writer.commit(bypass))
    writer.close()
    rig.seal(settings)
    assert run("prove", bypass.decision_id) == 1
    assert "there is one with --record bypass" in capsys.readouterr().err
    assert run("prove", bypass.decision_id, "--record", "bypass") == 0
