"""Every attack of the specification's table: found, named for what it is, at the first bad record."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from sluice import config
from sluice.config import Settings
from sluice.ledger import pruned, segment
from sluice.ledger.pruned import Pruned
from sluice.ledger.record import leaf_hash
from sluice.ledger.segment import Damage, Fault
from sluice.proof import said, trust, verify
from sluice.proof.trust import Unchecked
from sluice.seal import PRUNED, SLOT, keyring, keys, store
from sluice.seal.chain import Stopped
from sluice.seal.witness import Directory
from tests.proof import attacks
from tests.seal import seal_rig as rig


class Case:
    """A deployment whose one stream was sealed at 300, 600 and 900 records, with a witness that saw all of it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.settings: Settings = rig.deployment(directory)
        self.stream = self.settings.ledger_dir / "n-w0"
        self.seals = self.settings.seal_dir / "n-w0"
        self.witness = directory / "witness"

    def grow(self, count: int = 298, first: int = 0) -> None:
        rig.write(self.settings, count, first=first, size=500)
        sealed = rig.seal(self.settings)
        assert sealed
        Directory(self.witness).send("n-w0", sealed)

    def faults(self, *, seal: bool = True, witness: bool = True) -> list[Damage]:
        believed = trust.load(
            self.settings.seal_dir if seal else None,
            [self.witness] if witness else [],
            [k.verifier for k in rig.ring(self.settings).keys],
        )
        return list(verify.ledger(self.settings.ledger_dir, believed).faults)

    def first(self, **options: bool) -> tuple[Fault, int] | None:
        found = self.faults(**options)
        return (found[0].fault, found[0].seq) if found else None

    def change(self, new: list[bytes]) -> None:
        attacks.relay(self.stream, new)


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("sealed")
    made = Case(directory)
    for first in (0, 298, 596):
        made.grow(first=first)
    assert made.faults() == []
    return directory


@pytest.fixture
def case(sealed: Path, tmp_path: Path) -> Case:
    shutil.copytree(sealed, tmp_path, dirs_exist_ok=True)
    return Case(tmp_path)


def test_what_is_sound_is_sealed_to_its_end(case: Case) -> None:
    """Nothing is reported where nothing was touched, and it is said how far the seals reach."""
    believed = trust.load(case.settings.seal_dir, [case.witness])
    verdict = verify.ledger(case.settings.ledger_dir, believed)
    assert verdict.sound
    assert [(s.stream, s.records, s.sealed) for s in verdict.streams] == [("n-w0", 900, 900), (rig.OWN, 2, 2)]


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (attacks.edit, Fault.EDIT),
        (attacks.delete, Fault.GAP),
        (attacks.swap, Fault.REORDER),
        (attacks.duplicate, Fault.DUPLICATE),
        (attacks.insert, Fault.DUPLICATE),
    ],
)
def test_a_change_in_the_middle(case: Case, change: attacks.Change, fault: Fault) -> None:
    """With checksums that match and the rest of the chain as it was: named by kind and number, seals or not."""
    records = attacks.bodies(case.stream)
    case.change(change(records, 411))
    assert case.first() == (fault, 411)
    assert case.first(seal=False, witness=False) == (fault, 411)


@pytest.mark.parametrize("change", [attacks.edit, attacks.delete, attacks.swap, attacks.insert])
def test_a_chain_that_was_built_anew(case: Case, change: attacks.Change) -> None:
    """A forger who recomputes every hash behind the change is invisible to the chain, and found by the seals."""
    records = attacks.bodies(case.stream)
    case.change(attacks.rechained(change(records, 411), 411))
    assert case.first(seal=False, witness=False) is None
    assert case.first(witness=False) == (Fault.REWRITE, 411)
    (case.seals / store.LEAVES).unlink()
    assert case.first(witness=False) == (Fault.REWRITE, 300), "without leaf hashes: behind the last seal that fits"
    assert case.first(seal=False) == (Fault.REWRITE, 300)


@pytest.mark.parametrize("count", [1, 10, 700])
def test_a_cut_tail(case: Case, count: int) -> None:
    """Sealed records that are cut off are missed by the seals beside the ledger, and by a witness alone (T32)."""
    case.change(attacks.bodies(case.stream)[:-count])
    assert case.first(seal=False, witness=False) is None
    assert case.first(witness=False) == (Fault.TRUNCATION, 900 - count)
    assert case.first(seal=False) == (Fault.ROLLBACK, 900 - count)


def test_an_unsealed_tail_is_the_unprotected_part(case: Case) -> None:
    """Records behind the newest checkpoint can be cut unseen: the seal interval bounds how many that are (T32)."""
    rig.write(case.settings, 98, first=894)
    assert case.faults() == []
    case.change(attacks.bodies(case.stream)[:900])
    assert case.faults() == []
    case.change(attacks.bodies(case.stream)[:899])
    assert case.first() == (Fault.TRUNCATION, 899)


def test_a_whole_stream_that_is_gone(case: Case) -> None:
    """A deleted stream directory leaves no trace in the ledger; its checkpoints name it."""
    shutil.rmtree(case.stream)
    case.settings.ledger_dir.mkdir(exist_ok=True)
    assert case.first() == (Fault.GAP, 0)
    assert case.faults()[0].stream == "n-w0"
    assert case.first(seal=False) == (Fault.ROLLBACK, 0)


def test_everything_rewritten_with_the_real_key(case: Case) -> None:
    """Ledger and seals made anew with the stolen key fit each other; the witness's copy shows the fork."""
    records = attacks.bodies(case.stream)
    case.change(attacks.rechained(attacks.edit(records, 100), 100))
    shutil.rmtree(case.seals)
    assert rig.seal(case.settings)
    assert case.first(witness=False) is None
    assert case.first() == (Fault.FORK, 0)


def test_a_rollback_of_the_whole_disk(case: Case, tmp_path: Path) -> None:
    """Ledger and seals as they were an hour ago fit each other; the witness saw more (T33)."""
    var, old = case.settings.paths.var, tmp_path / "old"
    shutil.copytree(var, old)
    case.grow(first=894)
    assert case.faults() == []
    shutil.rmtree(var)
    old.rename(var)
    assert case.first(witness=False) is None
    assert case.first() == (Fault.ROLLBACK, 900)


def test_a_second_history_with_the_real_key(case: Case, tmp_path: Path) -> None:
    """Rolled back, written on and sealed on: two histories under one key, and the witness has the other one (T33)."""
    var, old = case.settings.paths.var, tmp_path / "old"
    shutil.copytree(var, old)
    case.grow(first=894)
    shutil.rmtree(var)
    old.rename(var)
    rig.write(case.settings, 298, first=5000)
    assert rig.seal(case.settings)
    assert case.first(witness=False) is None
    assert case.first() == (Fault.FORK, 900)


def test_the_sealer_does_not_sign_a_fork(case: Case, tmp_path: Path) -> None:
    """A sealer that starts on a rolled-back disk learns it from its witness and signs nothing."""
    var, old = case.settings.paths.var, tmp_path / "old"
    shutil.copytree(var, old)
    case.grow(first=894)
    shutil.rmtree(var)
    old.rename(var)
    seen = Directory(case.witness).newest("n-w0", rig.ring(case.settings))
    assert seen
    with pytest.raises(Stopped) as stopped:
        rig.chain(case.settings).agree(seen)
    assert stopped.value.fault is Fault.ROLLBACK


@pytest.mark.parametrize(
    ("change", "faults"),
    [
        (lambda r: attacks.rechained(attacks.edit(r, 100), 100), {Fault.FORK}),
        (lambda r: r[:-5], {Fault.TRUNCATION}),
        (lambda r: attacks.edit(r, len(r) - 1), {Fault.TRUNCATION, Fault.FORK}),
        (lambda r: attacks.rechained([*r[:850], *[attacks.edited(b) for b in r[850:]], *r[850:]], 850), {Fault.FORK}),
    ],
)
def test_the_sealer_refuses_what_contradicts_the_sealed(
    case: Case, change: Callable[[list[bytes]], list[bytes]], faults: set[Fault]
) -> None:
    """An edit, a cut or a longer forgery of what was sealed gets no checkpoint, and the last good one stays."""
    before = store.history(case.seals)
    case.change(change(attacks.bodies(case.stream)))
    with pytest.raises(Stopped) as stopped:
        rig.seal(case.settings)
    assert stopped.value.fault in faults
    assert store.history(case.seals) == before


def test_a_checkpoint_that_nobody_trusted_signed(case: Case) -> None:
    """A forged checkpoint is a fault of its own, not something to compare with."""
    lines = (case.seals / store.HISTORY).read_bytes().splitlines()
    forged = msgspec.json.decode(lines[-1], type=store.Sealed)
    note = forged.note.replace("\n900\n", "\n901\n")
    (case.seals / store.HISTORY).write_bytes(
        b"\n".join([*lines, msgspec.json.encode(store.Sealed(forged.at, note))]) + b"\n"
    )
    assert case.first() == (Fault.SEAL, 0)


def test_another_deployments_keys_are_not_believed(case: Case, tmp_path: Path) -> None:
    """An attacker who replaces ledger, seals and keys together is stopped by a key that was pinned before."""
    pinned = [rig.ring(case.settings).current.verifier]
    shutil.rmtree(case.settings.seal_dir)
    assert rig.seal(case.settings)
    with pytest.raises(Unchecked, match="none of the keys"):
        trust.load(case.settings.seal_dir, [], pinned)


def prune(case: Case, *, keep: int = 1) -> Pruned:
    names = segment.segments(case.stream)
    below = segment.named(names[keep])[1]
    leaf = leaf_hash(attacks.bodies(case.stream)[below - 1])
    note = Pruned(below_seq=below, leaf_hash=leaf.hex(), at=1)
    pruned.write(case.stream, note)
    for name in names[:keep]:
        (case.stream / name).unlink()
    return note


def test_retention_is_not_an_attack(case: Case) -> None:
    """What policy took is named as that, the rest verifies up to its roots, and sealing goes on (T34)."""
    note = prune(case)
    rig.sealer_says(case.settings, PRUNED, stream="n-w0", below_seq=note.below_seq, sealed=True)
    believed = trust.load(case.settings.seal_dir, [case.witness])
    verdict = verify.ledger(case.settings.ledger_dir, believed)
    assert verdict.sound
    assert (verdict.streams[0].pruned, verdict.streams[0].sealed) == (note.below_seq, 900)
    case.grow(first=894)
    assert case.faults() == []
    case.change(attacks.rechained(attacks.edit(attacks.bodies(case.stream), 5), 0))
    assert case.faults()


def test_a_forged_note_of_pruning_is_no_policy(case: Case) -> None:
    """Segments deleted and a note written that fits the chain: without the sealer's record of it, it is a deletion."""
    rig.sealer_says(case.settings, "seal_key_made", key="k")
    note = prune(case)
    [fault] = case.faults()
    assert (fault.stream, fault.segment, fault.seq, fault.fault) == ("n-w0", pruned.FILE, 0, Fault.GAP)
    rig.sealer_says(case.settings, PRUNED, stream="n-w0", below_seq=note.below_seq, sealed=False)
    assert case.first() == (Fault.GAP, 0), "a note that did not fit the seals"
    rig.sealer_says(case.settings, PRUNED, stream="n-w0", below_seq=note.below_seq - 1, sealed=True)
    assert case.first() == (Fault.GAP, note.below_seq - 1)
    rig.sealer_says(case.settings, PRUNED, stream="n-w0", below_seq=note.below_seq, sealed=True)
    assert case.faults() == []


def test_a_forged_note_beside_one_stream_is_no_policy_either(case: Case, tmp_path: Path) -> None:
    """A stream checked alone is held against the sealer's stream beside it; where that is not at hand, nobody can say
    who took its head, and the answer is "could not check"."""
    rig.sealer_says(case.settings, "seal_key_made", key="k")
    note = prune(case)

    def alone(stream: Path) -> list[Damage]:
        return list(verify.ledger(stream, trust.load(case.settings.seal_dir)).faults)

    [fault] = alone(case.stream)
    assert (fault.segment, fault.seq, fault.fault) == (pruned.FILE, 0, Fault.GAP)
    apart = shutil.copytree(case.stream, tmp_path / "apart" / "n-w0")
    with pytest.raises(Unchecked, match=f"n-w{SLOT}, which is not beside it"):
        alone(apart)
    rig.sealer_says(case.settings, PRUNED, stream="n-w0", below_seq=note.below_seq, sealed=True)
    assert alone(case.stream) == []


def test_a_note_of_pruning_in_a_ledger_without_a_sealer(case: Case) -> None:
    """Taking the sealer's stream away, seals and all, makes no policy of a deletion."""
    prune(case)
    assert case.first() == (Fault.GAP, 0)


def test_a_pruned_log_without_its_leaf_hashes_cannot_be_compared(case: Case) -> None:
    """Where roots cannot be computed the answer is "could not check", never "sound"."""
    rig.sealer_says(case.settings, PRUNED, stream="n-w0", below_seq=prune(case).below_seq, sealed=True)
    with pytest.raises(Unchecked, match="leaf hashes"):
        case.faults(seal=False)


def test_old_checkpoints_verify_after_a_rotation(case: Case) -> None:
    """A new key takes nothing from what the old one signed, whichever of the two an auditor holds (T35)."""
    old = rig.ring(case.settings).current.verifier
    new = keys.rotate(case.settings).current.verifier
    case.grow(first=894)
    for pinned in (old, new):
        believed = trust.load(case.settings.seal_dir, [case.witness], [pinned])
        assert verify.ledger(case.settings.ledger_dir, believed).streams[0].sealed == 1200
        assert believed.faults == {}


def test_a_replaced_key_signs_nothing_new(case: Case) -> None:
    """Whoever stole a key before it was replaced cannot seal what came after."""
    stolen = keys.load(case.settings, rig.ring(case.settings))
    keys.rotate(case.settings)
    rig.write(case.settings, 298, first=894)
    chain = rig.chain(case.settings)
    forged = chain.seal(stolen)
    assert forged
    assert case.first() == (Fault.SEAL, 0)


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A deployment whose seals were made by the sealer's process, which keeps a stream of its own."""
    directory = tmp_path_factory.mktemp("lived")
    settings = rig.deployment(directory)
    rig.write(settings, 60)
    rig.write(settings, 60, slot=1)
    own = f"n-w{SLOT}"
    with rig.sealing(directory):
        rig.until(lambda: len(said.told(said.read(said.streams(settings.ledger_dir)).values())) == 2)
        size = rig.sealed_size(settings, own)
        rig.until(lambda: rig.sealed_size(settings, own) > size)
    return directory


def without_seals(settings: Settings) -> None:
    shutil.rmtree(settings.seal_dir / "n-w0")


def without_stream(settings: Settings) -> None:
    shutil.rmtree(settings.ledger_dir / "n-w0")
    shutil.rmtree(settings.seal_dir / "n-w0")


def rewritten(settings: Settings) -> None:
    without_seals(settings)
    stream = settings.ledger_dir / "n-w0"
    attacks.relay(stream, attacks.rechained(attacks.edit(attacks.bodies(stream), 20), 20))


def rewritten_and_sealed(settings: Settings) -> None:
    rewritten(settings)
    rig.seal(settings)


def cut(settings: Settings) -> None:
    without_seals(settings)
    stream = settings.ledger_dir / "n-w0"
    attacks.relay(stream, attacks.bodies(stream)[:-10])


@pytest.mark.parametrize(
    ("attack", "fault"),
    [
        (without_stream, Fault.GAP),
        (rewritten, Fault.REWRITE),
        (rewritten_and_sealed, Fault.FORK),
        (cut, Fault.TRUNCATION),
    ],
)
def test_seals_of_one_stream_taken_away(
    lived: Path, tmp_path: Path, attack: Callable[[Settings], None], fault: Fault
) -> None:
    """What the sealer's own stream says of another is held against it where its seals are gone or made anew."""
    shutil.copytree(lived, tmp_path / "d")
    settings = config.load(tmp_path / "d" / "sluice.toml", environ={})
    assert verify.ledger(settings.ledger_dir, trust.load(settings.seal_dir)).sound
    attack(settings)
    verdict = verify.ledger(settings.ledger_dir, trust.load(settings.seal_dir))
    assert [f.fault for f in verdict.faults if f.stream == "n-w0"][:1] == [fault]


@pytest.mark.parametrize("options", [(), ("--key",)])
def test_all_seals_taken_away_is_not_sound(lived: Path, tmp_path: Path, options: tuple[str, ...]) -> None:
    """Where a sealer wrote, or a key was given, and no checkpoint is left, the answer is "could not check"."""
    shutil.copytree(lived, tmp_path / "d")
    settings = config.load(tmp_path / "d" / "sluice.toml", environ={})
    key = str(rig.ring(settings).current.verifier)
    shutil.rmtree(settings.seal_dir)
    arguments = [*options, *([key] if options else [])]
    source = [] if not options else [str(shutil.copytree(settings.ledger_dir, tmp_path / "copy"))]
    command = [sys.executable, "-m", "sluice.cli", "verify", "--config", str(tmp_path / "d" / "sluice.toml")]
    assert subprocess.run([*command, *source, *arguments], capture_output=True, check=False).returncode == 2


@pytest.mark.parametrize("name", ["keys.json", "n-w0/checkpoints"])
def test_a_pipe_in_place_of_a_seal_is_no_hang(case: Case, name: str) -> None:
    """A pipe where keys or checkpoints belong is told at once: the answer is "could not check"."""
    (case.settings.seal_dir / name).unlink()
    os.mkfifo(case.settings.seal_dir / name)
    with pytest.raises(OSError, match="not a regular file"):
        trust.load(case.settings.seal_dir)


def test_a_pipe_in_place_of_the_note_of_pruning_is_a_fault(case: Case) -> None:
    """Neither the check nor the sealer waits for what will never be written."""
    os.mkfifo(case.stream / pruned.FILE)
    assert case.faults()[0].fault is Fault.DAMAGE


def test_a_record_nested_without_end_is_damage(case: Case) -> None:
    """Bytes with a right checksum that no reader of JSON can take are named like any others that are no record."""
    records = attacks.bodies(case.stream)
    attacks.relay(case.stream, records[:500])
    last = case.stream / segment.segments(case.stream)[-1]
    last.write_bytes(last.read_bytes() + segment.frame(b'{"a":' * 10_000, first=True))
    assert Fault.DAMAGE in {f.fault for f in case.faults()}


def test_a_clock_that_goes_back_is_no_attack(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """T20: a day back, then a day on. Records, checkpoints and the next sealing go by numbers and not by time."""
    now = time.time_ns()
    for number, day in enumerate((-1, 1)):
        at = now + day * 86_400 * 10**9
        monkeypatch.setattr(time, "time_ns", lambda at=at: at)
        monkeypatch.setattr(time, "time", lambda at=at: at / 1e9)
        case.grow(first=1000 * number)
    monkeypatch.undo()
    history = [sealed.at for sealed in store.history(case.seals)]
    assert sorted(history) != history
    assert case.faults() == []
    assert case.first(seal=False) is None
    case.change(attacks.bodies(case.stream)[:-1])
    assert case.first() == (Fault.TRUNCATION, 1499)


def files(settings: Settings, stream: str) -> list[Path]:
    directory = settings.ledger_dir / stream
    return [directory / name for name in segment.segments(directory)]


def swapped(settings: Settings, _: Settings) -> None:
    one, other = files(settings, "n-w0")[0], files(settings, "n-w1")[0]
    first = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(first)


def swapped_whole(settings: Settings, _: Settings) -> None:
    one, other = settings.ledger_dir / "n-w0", settings.ledger_dir / "n-w1"
    one.rename(settings.ledger_dir / "aside")
    other.rename(one)
    (settings.ledger_dir / "aside").rename(other)


def doubled(settings: Settings, _: Settings) -> None:
    last = files(settings, "n-w0")[-1]
    epoch, first = segment.named(last.name)
    shutil.copy(last, last.with_name(segment.file_name(epoch + 1, first)))


def doubled_inside(settings: Settings, _: Settings) -> None:
    first = files(settings, "n-w0")[0]
    shutil.copy(first, first.with_name(segment.file_name(1, 1)))


def stream_twice(settings: Settings, _: Settings) -> None:
    shutil.copytree(settings.ledger_dir / "n-w0", settings.ledger_dir / "n-w2")


def anothers_stream(settings: Settings, other: Settings) -> None:
    shutil.copytree(other.ledger_dir / "n-w0", settings.ledger_dir / "m-w0")


def anothers_checkpoint(settings: Settings, other: Settings) -> None:
    with (settings.seal_dir / "n-w0" / store.HISTORY).open("ab") as history:
        history.write((other.seal_dir / "n-w0" / store.HISTORY).read_bytes())


def anothers_newest(settings: Settings, other: Settings) -> None:
    shutil.copy(other.seal_dir / "n-w0" / store.LATEST, settings.seal_dir / "n-w0" / store.LATEST)


def of_another_stream(settings: Settings, _: Settings) -> None:
    with (settings.seal_dir / "n-w0" / store.HISTORY).open("ab") as history:
        history.write((settings.seal_dir / "n-w1" / store.HISTORY).read_bytes())


def emptied(settings: Settings, _: Settings) -> None:
    files(settings, "n-w0")[-1].write_bytes(b"")


def zeroed(settings: Settings, _: Settings) -> None:
    first = files(settings, "n-w0")[0]
    first.write_bytes(bytes(first.stat().st_size))


def a_directory(settings: Settings, _: Settings) -> None:
    first = files(settings, "n-w0")[0]
    first.unlink()
    first.mkdir()


def history_alone(settings: Settings, _: Settings) -> None:
    """Keys after a rotation, cut back to the first one: what the second signed is believed by nobody."""
    keys.rotate(settings)
    rig.write(settings, 20, first=900)
    rig.seal(settings)
    file = settings.seal_dir / keyring.FILE
    file.write_bytes(keyring.dump(keyring.parse(file.read_bytes()).entries[:1]))


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Settings]:
    """A deployment with two sealed streams, and another one."""
    directory = tmp_path_factory.mktemp("two")
    for name, slots in (("ours", (0, 1)), ("other", (0,))):
        (directory / name).mkdir()
        made = rig.deployment(directory / name)
        for slot in slots:
            rig.write(made, 60, slot)
            rig.seal(made, f"n-w{slot}")
    return directory / "ours", made


@pytest.mark.parametrize(
    ("attack", "stream", "fault"),
    [
        (swapped, "n-w0", Fault.FOREIGN),
        (swapped_whole, "n-w0", Fault.FOREIGN),
        (doubled, "n-w0", Fault.FOREIGN),
        (doubled_inside, "n-w0", Fault.DUPLICATE),
        (stream_twice, "n-w2", Fault.FOREIGN),
        (anothers_stream, "m-w0", Fault.FOREIGN),
        (anothers_checkpoint, "n-w0", Fault.SEAL),
        (anothers_newest, "n-w0", Fault.SEAL),
        (of_another_stream, "n-w0", Fault.SEAL),
        (emptied, "n-w0", Fault.HEADER),
        (zeroed, "n-w0", Fault.HEADER),
        (a_directory, "n-w0", Fault.DAMAGE),
        (history_alone, "n-w0", Fault.SEAL),
    ],
)
def test_pieces_put_where_they_do_not_belong(
    two: tuple[Path, Settings],
    tmp_path: Path,
    attack: Callable[[Settings, Settings], None],
    stream: str,
    fault: Fault,
) -> None:
    """Segments of another worker, streams and checkpoints of another deployment, a segment twice, nothing in its place:
    each is named for what it is, in the stream where it lies, and nothing that was not touched is."""
    ours, other = two
    shutil.copytree(ours, tmp_path / "d")
    settings = config.load(tmp_path / "d" / "sluice.toml", environ={})
    pinned = [rig.ring(settings).current.verifier]
    assert verify.ledger(settings.ledger_dir, trust.load(settings.seal_dir, [], pinned)).sound
    attack(settings, other)
    verdict = verify.ledger(settings.ledger_dir, trust.load(settings.seal_dir, [], pinned))
    assert verdict.first is not None
    assert (verdict.first.stream, verdict.first.fault) == (stream, fault)
    touched = {"n-w0", "n-w1"} if attack in (swapped, swapped_whole) else {stream}
    assert {f.stream for f in verdict.faults} == touched


def unsealed(settings: Settings, stream: str = "n-w0") -> int:
    verdict = verify.ledger(settings.ledger_dir, trust.load(settings.seal_dir))
    assert verdict.sound, verdict.faults
    return {s.stream: s.uncovered for s in verdict.streams}[stream]


def test_a_tail_that_a_sealer_had_the_time_for_is_unchecked(lived: Path, tmp_path: Path) -> None:
    """The newest checkpoints of a stream taken away, and the records behind rewritten: a sealer that was killed leaves
    the same, but only for seconds. As soon as another stream went on, nobody can say that those records are sound."""
    shutil.copytree(lived, tmp_path / "d")
    settings = config.load(tmp_path / "d" / "sluice.toml", environ={})
    history = (settings.seal_dir / "n-w0" / store.HISTORY).read_bytes()
    rig.opened(settings, SLOT).close()  # a sealer that was started again
    rig.write(settings, 40, first=100)
    rig.seal(settings)
    assert unsealed(settings) == 0
    (settings.seal_dir / "n-w0" / store.HISTORY).write_bytes(history)
    (settings.seal_dir / "n-w0" / store.LATEST).unlink()
    stream = settings.ledger_dir / "n-w0"
    attacks.relay(stream, attacks.rechained(attacks.edit(attacks.bodies(stream), 80), 80))
    assert unsealed(settings) == 0, "what a kill leaves too"
    rig.opened(settings, slot=1, later=15.0).close()
    rig.seal(settings, "n-w1")
    assert unsealed(settings) == 42
    assert unsealed(settings, "n-w1") == 0


@pytest.mark.parametrize(
    ("seconds", "records", "later", "expected"),
    [(60.0, 101, 60, 0), (60.0, 100, 60, 101), (60.0, 1000, 60, 0), (60.0, 1000, 110, 101)],
)
def test_the_time_that_a_sealer_has_is_the_one_that_it_says(
    tmp_path: Path, seconds: float, records: int, later: float, expected: int
) -> None:
    """More records than it lets wait, or older ones, and a few seconds for a busy machine: by its own settings, which
    are on record in its own stream."""
    settings = rig.deployment(tmp_path, seconds=seconds, records=records)
    rig.write(settings, 20)
    rig.seal(settings)
    rig.write(settings, 98, first=20)
    rig.opened(settings, later=later).close()
    stream = settings.ledger_dir / "n-w0"
    attacks.relay(stream, attacks.bodies(stream)[:-1])
    assert unsealed(settings) == expected


def test_a_stream_that_has_no_checkpoint_is_unchecked(two: tuple[Path, Settings], tmp_path: Path) -> None:
    """Seals of one stream gone, those of another there, and no word of the sealer's: not sound once time went by."""
    shutil.copytree(two[0], tmp_path / "d")
    settings = config.load(tmp_path / "d" / "sluice.toml", environ={})
    without_seals(settings)
    stream = settings.ledger_dir / "n-w0"
    old = [body.replace(b'"ts_received":17', b'"ts_received":16') for body in attacks.bodies(stream)]
    attacks.relay(stream, attacks.rechained(old))
    assert unsealed(settings) == 62


@pytest.mark.parametrize(
    ("attack", "fault", "seq"),
    [
        (without_seals, Fault.SEAL, 0),
        (rewritten, Fault.SEAL, 0),
        (cut, Fault.TRUNCATION, 52),
        (without_stream, Fault.GAP, 0),
    ],
)
def test_a_rotation_says_how_far_streams_were_sealed(
    two: tuple[Path, Settings], tmp_path: Path, attack: Callable[[Settings], None], fault: Fault, seq: int
) -> None:
    """Both keys signed how many records were under the old one: fewer records, or fewer seals, contradict them."""
    shutil.copytree(two[0], tmp_path / "d")
    settings = config.load(tmp_path / "d" / "sluice.toml", environ={})
    keys.rotate(settings)
    assert verify.ledger(settings.ledger_dir, trust.load(settings.seal_dir)).sound
    attack(settings)
    first = verify.ledger(settings.ledger_dir, trust.load(settings.seal_dir)).first
    assert first
    assert (first.stream, first.fault, first.seq) == ("n-w0", fault, seq)


def test_seals_that_the_sealer_told_of_are_missed(lived: Path, tmp_path: Path) -> None:
    """Records untouched, their checkpoints deleted: the sealer's own stream says that there were some."""
    shutil.copytree(lived, tmp_path / "d")
    settings = config.load(tmp_path / "d" / "sluice.toml", environ={})
    without_seals(settings)
    [fault] = verify.ledger(settings.ledger_dir, trust.load(settings.seal_dir)).faults
    assert (fault.stream, fault.fault) == ("n-w0", Fault.SEAL)


def test_a_ledger_that_a_sealer_wrote_without_its_seals_is_unchecked(lived: Path) -> None:
    """A copy of the ledger alone: every record of it could be another one."""
    verdict = verify.ledger(config.load(lived / "sluice.toml", environ={}).ledger_dir, trust.load(None))
    assert verdict.sound
    assert verdict.uncovered == verdict.records


def test_a_live_writer_is_no_tail(case: Case) -> None:
    """What a worker wrote and the sealer sealed while the check ran is not held against either."""
    believed = trust.load(case.settings.seal_dir)
    writer = rig.opened(case.settings)
    try:
        rig.asyncio.run(rig.commit(writer, 3500, 2000))
        rig.seal(case.settings)
        assert verify.ledger(case.settings.ledger_dir, believed).uncovered == 0
    finally:
        writer.close()
