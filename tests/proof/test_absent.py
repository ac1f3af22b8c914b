"""Streams that are taken away whole, with their seals, are missed by those that are left."""

from __future__ import annotations

import itertools
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import sluice.cli
from sluice import config
from sluice.config import Settings
from sluice.ledger import checkpoint, pruned, segment
from sluice.ledger.audit import Verdict
from sluice.ledger.record import leaf_hash
from sluice.proof import bundle, trust, verify
from sluice.proof.bundle import Filter
from sluice.proof.trust import Unchecked
from sluice.seal import PRUNED, keys, store
from tests.proof import attacks
from tests.seal import seal_rig as rig

SLOTS = [0, 1, 1000]


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A deployment as the appliance leaves it: two workers, somebody who looked a name up, the sealer, all stopped."""
    directory = tmp_path_factory.mktemp("lived")
    settings = rig.deployment(directory)
    with rig.sealing(directory):
        rig.until(lambda: rig.sealed_size(settings, rig.OWN) > 0)
        for slot, slots in ((0, SLOTS), (1, SLOTS), (1001, [1000])):
            writer = rig.opened(settings, slot, slots=slots)
            rig.asyncio.run(rig.commit(writer, 20))
            writer.close()
        rig.until(lambda: all(rig.sealed_size(settings, f"n-w{slot}") == 22 for slot in (0, 1, 1001)))
    return directory


@pytest.fixture
def settings(lived: Path, tmp_path: Path) -> Settings:
    shutil.copytree(lived, tmp_path / "d")
    return config.load(tmp_path / "d" / "sluice.toml", environ={})


def checked(settings: Settings) -> Verdict:
    return verify.ledger(settings.ledger_dir, trust.load(settings.seal_dir))


def take_away(settings: Settings, *slots: int) -> None:
    for slot in slots:
        shutil.rmtree(settings.ledger_dir / f"n-w{slot}")
        shutil.rmtree(settings.seal_dir / f"n-w{slot}", ignore_errors=True)


def put_back(settings: Settings, stream: str, size: int) -> None:
    """A stream and its seals as they were when so many records of it were sealed."""
    directory = settings.ledger_dir / stream
    attacks.relay(directory, attacks.bodies(directory)[:size])
    trim(settings, stream, size)


def trim(settings: Settings, stream: str, size: int) -> None:
    """The seals of a stream as they were when so many records of it were sealed."""
    seals = settings.seal_dir / stream
    kept = [s for s in store.history(seals) if checkpoint.unverified(s.note).size <= size]
    assert checkpoint.unverified(kept[-1].note).size == size
    lines = (seals / store.HISTORY).read_bytes().splitlines(keepends=True)
    (seals / store.HISTORY).write_bytes(b"".join(lines[: len(kept)]))
    (seals / store.LATEST).write_text(kept[-1].note)
    (seals / store.LEAVES).write_bytes((seals / store.LEAVES).read_bytes()[: size * 32])
    (seals / store.STATE).unlink()


def sealer(settings: Settings) -> None:
    take_away(settings, 1000)


def worker_and_sealer(settings: Settings) -> None:
    take_away(settings, 1, 1000)


def all_but_the_lookups(settings: Settings) -> None:
    take_away(settings, 0, 1, 1000)
    shutil.rmtree(settings.seal_dir)


def sealer_and_all_seals(settings: Settings) -> None:
    take_away(settings, 1000)
    shutil.rmtree(settings.seal_dir)


def worker_with_the_sealer_put_back(settings: Settings) -> None:
    take_away(settings, 1)
    put_back(settings, rig.OWN, 1)


def emptied(settings: Settings) -> None:
    take_away(settings, 1, 1000)
    (settings.ledger_dir / rig.OWN).mkdir()


ATTACKS = [
    (sealer, {rig.OWN}),
    (worker_and_sealer, {"n-w1", rig.OWN}),
    (all_but_the_lookups, {rig.OWN}),
    (sealer_and_all_seals, {rig.OWN}),
    (worker_with_the_sealer_put_back, {"n-w1"}),
    (emptied, {"n-w1", rig.OWN}),
]


@pytest.mark.parametrize(("attack", "missing"), ATTACKS)
def test_streams_that_were_taken_away_whole(
    settings: Settings,
    attack: Callable[[Settings], None],
    missing: set[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """With seals and all, and the sealer's own among them: what is left names them, without a witness. Exit code 2, and
    each one that is missing on a line."""
    monkeypatch.setenv("SLUICE_CONFIG", str(settings.paths.var.parent / "sluice.toml"))
    assert run("verify", "--json") == 0
    attack(settings)
    capsys.readouterr()
    assert run("verify") == 2
    said = capsys.readouterr().err
    assert {n for n in ("n-w0", "n-w1", "n-w1001", rig.OWN) if f"\nsluice: {n}: " in f"\n{said}"} == missing
    assert run("verify", "--json") == 2
    told = json.loads(capsys.readouterr().out)
    assert not told["sound"]
    assert {s["stream"] for s in told["streams"] if s["unchecked"]} == missing


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        sluice.cli.main([*arguments])
    assert isinstance(ended.value.code, int)
    return ended.value.code


@pytest.mark.parametrize(
    "attack",
    [lambda s: shutil.rmtree(s.seal_dir), lambda s: take_away(s, 0, 1, 1000, 1001)],
    ids=["all seals", "all streams"],
)
def test_nothing_left_of_one_half_is_not_sound(
    settings: Settings, attack: Callable[[Settings], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The seals emptied and the streams there; both gone, and a list of keys left: "could not be checked"."""
    monkeypatch.setenv("SLUICE_CONFIG", str(settings.paths.var.parent / "sluice.toml"))
    keys.rotate(settings)
    attack(settings)
    assert run("verify") == 2


def test_no_bundle_of_what_is_left(settings: Settings, tmp_path: Path) -> None:
    """Nothing is signed over a ledger from which streams are missing."""
    worker_and_sealer(settings)
    ring = rig.ring(settings)
    with pytest.raises(Unchecked, match=r"n-w1: it is not there, .*run `sluice verify`"):
        bundle.write(
            tmp_path / "b",
            ledger=settings.ledger_dir,
            seal=settings.seal_dir,
            ring=ring,
            signer=keys.load(settings, ring),
            wanted=Filter(),
            at=1,
        )
    assert not (tmp_path / "b").exists()


def test_rows_of_streams_that_were_taken_away_whole(settings: Settings, tmp_path: Path) -> None:
    """The same of a table, whose retention may have taken them when the caller says so."""
    rows = []
    for stream in segment.streams(settings.ledger_dir):
        for body in attacks.bodies(stream):
            facts = json.loads(body)
            rows.append(facts | {"ts_received": f"{facts['ts_received'] / 1e6:.6f}"})

    def missing(*streams: str, expired: bool = False, running: bool = False) -> set[str]:
        kept = [row for row in rows if row["chain_id"] not in streams]
        kept = [row for row in kept if not (running and row.get("control_kind") == "stop")]
        (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in kept))
        verdict = verify.table(tmp_path / "rows.jsonl", trust.load(None), expired=expired)
        return {stream for stream, _ in verdict.doubts}

    assert missing() == set()
    assert missing("n-w1", rig.OWN) == {"n-w1", rig.OWN}
    assert missing("n-w1", rig.OWN, expired=True) == set()
    assert missing("n-w1", rig.OWN, running=True) == set(), "what starts may be about to come"


def test_a_sealers_stream_that_was_put_back_with_another(settings: Settings) -> None:
    """Two streams as they were, each with its seals of then: the third one went on for longer than the sealer would
    keep silent."""
    rig.opened(settings, later=120, slots=SLOTS).close()
    rig.seal(settings)
    put_back(settings, "n-w1", 22)
    put_back(settings, rig.OWN, 1)
    doubts = checked(settings).doubts
    assert [stream for stream, _ in doubts] == [rig.OWN], "nothing of the others is on record after a minute"
    assert "it says so of 0" in doubts[0][1]


def test_a_sealer_says_in_time_how_far_it_sealed(settings: Settings) -> None:
    """The others go on, sealed: after more than ten minutes without a word of it, the sealer's newest records are
    missing; before that they need not be there."""
    rig.opened(settings, rig.SLOT).close()
    for later, expected in ((500, []), (1300, [rig.OWN])):
        rig.opened(settings, later=later, slots=SLOTS).close()
        rig.seal(settings)
        assert [stream for stream, _ in checked(settings).doubts] == expected, later
    rig.stand(settings, "n-w0", "n-w1")
    assert checked(settings).doubts == ()


def test_an_appliance_that_starts_is_not_suspected(tmp_path: Path) -> None:
    """The first worker is up, the second one and the sealer are about to come."""
    settings = rig.deployment(tmp_path)
    writer = rig.opened(settings, slots=SLOTS)
    try:
        assert verify.ledger(settings.ledger_dir, trust.load(None)).doubts == ()
    finally:
        writer.close()
    missing = [stream for stream, _ in verify.ledger(settings.ledger_dir, trust.load(None)).doubts]
    assert missing == ["n-w1", rig.OWN], "nobody is about to come"


def test_what_comes_after_an_orderly_end_is_named(settings: Settings) -> None:
    """A sealer that was told to stop leaves nothing unsealed; a record that is there all the same is not its."""
    before = checked(settings)
    assert before.sound and not before.doubts
    assert {s.stream: s.records - (s.sealed or 0) for s in before.streams} == dict.fromkeys(
        ("n-w0", "n-w1", "n-w1001", rig.OWN), 0
    )
    rig.opened(settings).close()
    assert {s.stream: s.uncovered for s in checked(settings).streams if s.uncovered} == {"n-w0": 2}
    rig.opened(settings, rig.SLOT).close()
    rig.seal(settings, rig.OWN)
    assert checked(settings).uncovered == 0, "a sealer that was started again has its time"


@pytest.mark.parametrize("halves", [("ledger", "seal"), ("seal",), ("ledger",)], ids=" and ".join)
def test_no_choice_of_streams_can_be_taken_away(settings: Settings, tmp_path: Path, halves: tuple[str, ...]) -> None:
    """Any of the streams, their seals, or both: never sound, whichever are left."""
    names = ("n-w0", "n-w1", "n-w1001", rig.OWN)
    tried = 0
    for count in range(1, len(names) + 1):
        for chosen in itertools.combinations(names, count):
            var = shutil.copytree(settings.paths.var, tmp_path / "copy", copy_function=os.link)
            for half, name in itertools.product(halves, chosen):
                shutil.rmtree(var / half / name)
            believed = trust.load(var / "seal")
            verdict = verify.ledger(var / "ledger", believed)
            left = [v.stream for v in verdict.streams if v.records] and believed.streams
            assert not verdict.sound or verdict.doubts or verdict.uncovered or not left, chosen
            shutil.rmtree(var)
            tried += 1
    assert tried == 15


def test_a_head_that_went_by_a_word_that_is_not_sealed(settings: Settings) -> None:
    """The sealer's stream written on, behind its last checkpoint, with a record that excuses a deletion."""
    stream = settings.ledger_dir / "n-w0"
    records = attacks.bodies(stream)
    attacks.relay(stream, records)
    [only] = segment.segments(stream)
    head, before = segment.unpack((stream / only).read_bytes()), leaf_hash(records[9])
    header = segment.Header("n", 0, head.epoch, 10, before, head.created)
    (stream / only).unlink()
    data = header.pack() + b"".join(segment.frame(body, first=True) for body in records[10:])
    (stream / segment.file_name(head.epoch, 10)).write_bytes(data)
    pruned.write(stream, pruned.Pruned(below_seq=10, leaf_hash=before.hex(), at=1))
    assert [f.fault for f in checked(settings).faults] == [segment.Fault.GAP]
    rig.sealer_says(settings, PRUNED, stream="n-w0", below_seq=10, sealed=True)
    verdict = checked(settings)
    assert verdict.sound and not verdict.doubts
    trim(settings, rig.OWN, checkpoint.unverified(store.history(settings.seal_dir / rig.OWN)[-2].note).size)
    verdict = checked(settings)
    assert verdict.sound
    assert verdict.doubts == (
        ("n-w0", "retention took its records below 10, by a record of the sealer's that is not sealed"),
    )
