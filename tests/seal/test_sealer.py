"""The sealer as a process beside writers: it seals what is new, keeps what is sealed, and says what it did."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sluice.heartbeat import Status
from sluice.ledger import checkpoint, reader
from sluice.ledger.merkle import Tree
from sluice.ledger.note import b64
from sluice.ledger.record import leaf_hash
from sluice.seal import SLOT, STANDING, announced, keys, store
from sluice.seal.sealer import POLL_SECONDS, QUICK_SECONDS, Sealer
from tests.proof import attacks
from tests.seal import seal_rig as rig

OWN = f"n-w{SLOT}"


def control(directory: Path) -> list[tuple[str, dict[str, object]]]:
    """What the sealer recorded of itself: kind and detail."""
    stream = directory / "var" / "ledger" / OWN
    found = [entry.record for entry in reader.read(stream)]
    return [(r.control_kind or "", json.loads(r.control_detail or "{}")) for r in found]


def kinds(directory: Path) -> list[str]:
    return [kind for kind, _ in control(directory)]


def test_it_seals_beside_a_writer(tmp_path: Path) -> None:
    """Records get a checkpoint while they are written, with the root of the tree over exactly these records."""
    settings = rig.deployment(tmp_path)
    writer = rig.opened(settings)
    with rig.sealing(tmp_path) as process:
        for start in (0, 300, 600):
            asyncio.run(rig.commit(writer, 300, start))
            rig.until(lambda start=start: rig.sealed_size(settings) == start + 301)  # type: ignore[misc]
        writer.close()
        rig.until(lambda: rig.sealed_size(settings) == 902)
        process.terminate()
        assert process.wait(20) == 0
    leaves = [leaf_hash(e.body) for e in reader.read(settings.ledger_dir / "n-w0")]
    ring, tree = rig.ring(settings), Tree(leaves)
    past = [ring.checkpoint(s.note) for s in store.history(settings.seal_dir / "n-w0")]
    assert past[-1].size == 902
    assert all(c.root == tree.root(c.size) for c in past)
    assert [c.size for c in past] == sorted({c.size for c in past})
    assert (settings.seal_dir / "n-w0" / "checkpoint").read_text() == store.history(settings.seal_dir / "n-w0")[-1].note


def test_a_thousand_records_do_not_wait_for_the_clock(tmp_path: Path) -> None:
    """The unprotected tail is never above so many records: they are sealed at once, whatever the interval says."""
    settings = rig.deployment(tmp_path, seconds=3600, records=100)
    writer = rig.opened(settings)
    with rig.sealing(tmp_path):
        rig.until(lambda: rig.sealed_size(settings) == 1)
        asyncio.run(rig.commit(writer, 250))
        rig.until(lambda: rig.sealed_size(settings) > 150)
    writer.close()


def test_it_records_and_seals_its_own_life(tmp_path: Path) -> None:
    """Key creation, start and stop are records of its own stream, and its last checkpoint covers its stop."""
    settings = rig.deployment(tmp_path)
    for sizes in (2, 5):
        with rig.sealing(tmp_path) as process:
            rig.until(lambda sizes=sizes: rig.sealed_size(settings, OWN) >= sizes)  # type: ignore[misc]
            process.terminate()
            assert process.wait(20) == 0
    assert kinds(tmp_path) == ["start", "seal_key_made", STANDING, "stop", "start", STANDING, "stop"]
    assert control(tmp_path)[1][1]["key"] == str(rig.ring(settings).current.verifier)
    assert rig.sealed_size(settings, OWN) == 7


def test_the_key_is_private_and_no_worker_knows_it(tmp_path: Path) -> None:
    """The key file is for its owner alone, and nothing that a worker imports can find it."""
    settings = rig.deployment(tmp_path)
    with rig.sealing(tmp_path):
        rig.until(lambda: rig.sealed_size(settings, OWN) > 0)
    (key,) = settings.seal_keys_dir.iterdir()
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert b"PRIVATE KEY" in key.read_bytes()
    for file in settings.paths.var.rglob("*"):
        assert file == key or not file.is_file() or b"PRIVATE KEY" not in file.read_bytes(), file
    code = "import addons.worker, sys; print([m for m in sys.modules if m.startswith('sluice.seal')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"


def test_a_second_sealer_is_refused(tmp_path: Path) -> None:
    """Two sealers on one deployment could sign two histories; the second ends at once."""
    settings = rig.deployment(tmp_path)
    with rig.sealing(tmp_path):
        rig.until(lambda: rig.sealed_size(settings, OWN) > 0)
        with rig.sealing(tmp_path) as second:
            assert second.wait(20) == 75


def test_rotation_while_it_runs(tmp_path: Path) -> None:
    """A new key is taken up without a restart; checkpoints before and after verify; the change is a record (T35)."""
    settings = rig.deployment(tmp_path)
    rig.write(settings, 50)
    with rig.sealing(tmp_path):
        rig.until(lambda: rig.sealed_size(settings) == 52)
        before = rig.ring(settings).current.verifier
        after = keys.rotate(settings).current.verifier
        rig.until(lambda: "seal_key_rotated" in kinds(tmp_path))
        rig.write(settings, 50, first=50)
        rig.until(lambda: rig.sealed_size(settings) == 104)
    detail = dict(control(tmp_path))["seal_key_rotated"]
    assert (detail["before"], detail["key"]) == (str(before), str(after))
    ring = rig.ring(settings)
    past = [s.note for s in store.history(settings.seal_dir / "n-w0")]
    assert [ring.checkpoint(n).size for n in past][-1] == 104
    assert len(ring.trusting([before]).keys) == len(ring.trusting([after]).keys) == 2
    signed_by = [checkpoint.signed(n, [before, after])[1][0].public for n in past]
    assert signed_by[0] == before.public
    assert signed_by[-1] == after.public


def test_a_missing_key_is_waited_for(tmp_path: Path) -> None:
    """Without its key the sealer stays, says so, signs nothing and makes no second key; with the key it goes on."""
    settings = rig.deployment(tmp_path)
    rig.write(settings, 10)
    with rig.sealing(tmp_path):
        rig.until(lambda: rig.sealed_size(settings) == 12)
    (key,) = settings.seal_keys_dir.iterdir()
    key.rename(tmp_path / "key")
    rig.write(settings, 10, first=10)
    with rig.sealing(tmp_path) as process:
        rig.until(lambda: "cannot be read" in (tmp_path / "sealer.log").read_text())
        assert process.poll() is None
        assert rig.sealed_size(settings) == 12
        (tmp_path / "key").rename(key)
        rig.until(lambda: rig.sealed_size(settings) == 24)
    assert len(rig.ring(settings).keys) == 1


def test_a_lost_key_list_is_not_made_anew(tmp_path: Path) -> None:
    """Where there are checkpoints, a missing list is a fault: a new first key would orphan what is sealed."""
    settings = rig.deployment(tmp_path)
    rig.write(settings, 10)
    rig.seal(settings)
    (settings.seal_dir / "keys.json").unlink()
    with rig.sealing(tmp_path) as process:
        rig.until(lambda: "restore it" in (tmp_path / "sealer.log").read_text())
        assert process.poll() is None
    assert not (settings.seal_dir / "keys.json").exists()


def test_pruning_is_recorded(tmp_path: Path) -> None:
    """A note of what retention took, once seen, is a record of the sealer, with whether its hash is the sealed one."""
    from sluice.ledger import pruned

    settings = rig.deployment(tmp_path)
    rig.write(settings, 50)
    with rig.sealing(tmp_path):
        rig.until(lambda: rig.sealed_size(settings) == 52)
        leaf = store.leaf(settings.seal_dir / "n-w0", 9)
        assert leaf
        pruned.write(settings.ledger_dir / "n-w0", pruned.Pruned(below_seq=10, leaf_hash=leaf.hex(), at=1))
        rig.until(lambda: announced.read(settings.seal_dir).pruned == {"n-w0": 10})
        assert "pruned" in kinds(tmp_path), "the record comes first"
        pruned.write(settings.ledger_dir / "n-w0", pruned.Pruned(below_seq=20, leaf_hash="ab" * 32, at=1))
        rig.until(lambda: kinds(tmp_path).count("pruned") == 2)
        own = store.leaf(settings.seal_dir / OWN, 0)
        assert own
        pruned.write(settings.ledger_dir / OWN, pruned.Pruned(below_seq=1, leaf_hash=own.hex(), at=1))
        rig.until(lambda: kinds(tmp_path).count("pruned") == 4)
        rig.until(lambda: announced.read(settings.seal_dir).pruned == {"n-w0": 10, OWN: 1})
    said = [detail for kind, detail in control(tmp_path) if kind == "pruned"]
    assert said == [
        {"stream": "n-w0", "below_seq": 10, "sealed": True},
        {"stream": "n-w0", "below_seq": 20, "sealed": False},
        {"stream": OWN, "below_seq": 1, "sealed": True},
        {"stream": "n-w0", "below_seq": 10, "sealed": True},
    ], "what did not fit is not believed later; what goes with our own records is said again"


def test_it_ends_with_its_supervisor(tmp_path: Path) -> None:
    """When nobody reads its heartbeat any more, it stops in order by itself."""
    settings = rig.deployment(tmp_path)
    read_end, write_end = os.pipe()
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "sluice.seal.sealer",
            "--config",
            tmp_path / "sluice.toml",
            "--status-fd",
            str(write_end),
        ],
        pass_fds=(write_end,),
        stderr=subprocess.DEVNULL,
    )
    os.close(write_end)
    try:
        rig.until(lambda: rig.sealed_size(settings, OWN) > 0)
        os.close(read_end)
        assert process.wait(20) == 0
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


@pytest.mark.parametrize("seed", range(4))
def test_killed_at_any_moment_it_goes_on_consistently(tmp_path: Path, seed: int) -> None:
    """kill -9 at random moments under load: nothing that was signed is ever contradicted, and everything is sealed."""
    settings = rig.deployment(tmp_path, seconds=0.1, records=20)
    writer = rig.opened(settings)
    written = 0
    for turn in range(4):
        with rig.sealing(tmp_path) as process:
            rig.until(lambda written=written: rig.sealed_size(settings) > written)  # type: ignore[misc]
            for _ in range(5 + seed):
                asyncio.run(rig.commit(writer, 40 + turn, written))
                written += 40 + turn
            os.kill(process.pid, signal.SIGKILL)
            process.wait(20)
    writer.close()
    with rig.sealing(tmp_path):
        rig.until(lambda: rig.sealed_size(settings) == written + 2)
    leaves = [leaf_hash(e.body) for e in reader.read(settings.ledger_dir / "n-w0")]
    ring, tree = rig.ring(settings), Tree(leaves)
    past = [ring.checkpoint(s.note) for s in store.history(settings.seal_dir / "n-w0")]
    assert all(c.root == tree.root(c.size) for c in past)
    assert list(store.leaves(settings.seal_dir / "n-w0", written + 2)) == leaves


def told(directory: Path) -> dict[str, list[object]]:
    """What the sealer's own stream says of how far others are sealed."""
    found: dict[str, list[object]] = {}
    for kind, detail in control(directory):
        if kind == STANDING:
            found |= detail["streams"]
    return found


def test_it_records_how_far_each_stream_is_sealed(tmp_path: Path) -> None:
    """A stream that is sealed for the first time is told in the sealer's own stream, with the root that was signed."""
    settings = rig.deployment(tmp_path)
    rig.write(settings, 50)
    with rig.sealing(tmp_path):
        rig.until(lambda: "n-w0" in told(tmp_path))
    root = checkpoint.unverified((settings.seal_dir / "n-w0" / "checkpoint").read_text()).root
    assert told(tmp_path) == {"n-w0": [52, b64(root)]}


def test_its_end_leaves_nothing_unsealed(tmp_path: Path) -> None:
    """What the others left is sealed whatever the interval is, and told as all of it, before the last checkpoint."""
    settings = rig.deployment(tmp_path, seconds=3600, records=100_000)
    rig.write(settings, 50)
    with rig.sealing(tmp_path) as process:
        rig.until(lambda: "n-w0" in told(tmp_path))
        rig.write(settings, 50, first=50)
        rig.write(settings, 50, slot=1)
        process.terminate()
        assert process.wait(20) == 0
    assert [rig.sealed_size(settings, stream) for stream in ("n-w0", "n-w1", OWN)] == [104, 52, len(control(tmp_path))]
    (before, last), (stop, _) = control(tmp_path)[-2:]
    assert (before, stop, last["final"]) == (STANDING, "stop", True)
    assert {name: root[0] for name, root in told(tmp_path).items()} == {"n-w0": 104, "n-w1": 52}


def test_an_end_beside_a_live_writer_is_not_final(tmp_path: Path) -> None:
    """A sealer that is stopped alone does not say that nothing comes any more."""
    settings = rig.deployment(tmp_path)
    writer = rig.opened(settings)
    with rig.sealing(tmp_path) as process:
        rig.until(lambda: "n-w0" in told(tmp_path))
        process.terminate()
        assert process.wait(20) == 0
    writer.close()
    assert kinds(tmp_path)[-1] == "stop"
    assert not any("final" in detail for kind, detail in control(tmp_path) if kind == STANDING)


def sealer(tmp_path: Path, **seal: object) -> Sealer:
    """A sealer in this process, whose rounds the test makes."""
    made = Sealer(rig.deployment(tmp_path, **seal), Status(None))
    made._keys()
    return made


def test_a_clock_that_jumps_makes_everything_due(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set, or after a sleep of the machine: what waited is older at once, and is sealed at once."""
    one = sealer(tmp_path, seconds=3600)
    settings = one._settings
    rig.write(settings, 5)
    one._round()
    rig.write(settings, 5, first=5)
    one._round()
    assert rig.sealed_size(settings) == 7, "not due"
    shift = time.time() + 28_800
    monkeypatch.setattr(time, "time", lambda: shift)
    one._round()
    assert rig.sealed_size(settings) == 14


def test_it_looks_more_often_while_records_come_quickly(tmp_path: Path) -> None:
    """By the next look of a leisurely sealer there would be too many."""
    one = sealer(tmp_path, seconds=3600, records=100)
    settings = one._settings
    writer = rig.opened(settings)
    try:
        one._round()
        assert one._until_next() == POLL_SECONDS
        asyncio.run(rig.commit(writer, 40))
        one._round()
        assert one._until_next() == QUICK_SECONDS
        one._round()
        assert one._until_next() == POLL_SECONDS
    finally:
        writer.close()


def test_what_told_of_the_others_is_told_again(tmp_path: Path) -> None:
    """A start, and a pruning of its own stream, tell how far every stream is sealed, also one that stands still."""
    from sluice.ledger import pruned

    settings = rig.deployment(tmp_path)
    rig.write(settings, 50)
    times = lambda: sum("n-w0" in d["streams"] for k, d in control(tmp_path) if k == STANDING)  # type: ignore[operator]  # noqa: E731
    with rig.sealing(tmp_path):
        rig.until(lambda: times() == 1)
    with rig.sealing(tmp_path):
        rig.until(lambda: times() == 2)
        own = store.leaf(settings.seal_dir / OWN, 0)
        assert own
        pruned.write(settings.ledger_dir / OWN, pruned.Pruned(below_seq=1, leaf_hash=own.hex(), at=1))
        rig.until(lambda: times() == 3)


def test_seals_that_were_taken_away_are_not_begun_anew(tmp_path: Path) -> None:
    """With its seals gone a stream is not sealed again from the beginning over another, shorter history."""
    settings = rig.deployment(tmp_path)
    rig.write(settings, 50)
    with rig.sealing(tmp_path):
        rig.until(lambda: "n-w0" in told(tmp_path))
    shutil.rmtree(settings.seal_dir / "n-w0")
    stream = settings.ledger_dir / "n-w0"
    attacks.relay(stream, attacks.rechained(attacks.delete(attacks.bodies(stream), 20), 20))
    with rig.sealing(tmp_path):
        rig.until(lambda: "seal_stopped" in kinds(tmp_path))
    assert dict(control(tmp_path))["seal_stopped"]["fault"] == "rollback"
    assert rig.sealed_size(settings) == 0
