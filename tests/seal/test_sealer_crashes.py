"""A sealer that dies at any step to the disk, or whose disk fails: it never contradicts itself, and goes on."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from sluice import durable
from sluice.ledger import reader
from sluice.ledger.merkle import Tree
from sluice.ledger.record import leaf_hash
from sluice.proof import trust, verify
from sluice.seal import chain as chains
from sluice.seal import keys, store
from sluice.seal.chain import Chain, Stopped
from tests.faults.scale import FULL
from tests.seal import seal_rig as rig

DEADLY = str(Path(__file__).with_name("deadly_sealer.py"))


def consistent(settings: rig.Settings) -> None:
    """Every checkpoint that was ever signed, here and at the witness, fits what lies in the ledger."""
    ring = rig.ring(settings)
    for stream in reader.streams(settings.ledger_dir):
        tree = Tree([leaf_hash(e.body) for e in reader.read(stream)])
        for place in (settings.seal_dir / stream.name, settings.paths.var.parent / "witness" / stream.name):
            for sealed in store.history(place):
                said = ring.checkpoint(sealed.note)
                assert said.root == tree.root(said.size), place


@pytest.mark.parametrize("when", ["before", "behind"])
@pytest.mark.parametrize("nth", range(1, 40) if FULL else (1, 3, 5, 8, 10, 11, 12, 13, 14, 15, 16, 17, 21))
def test_killed_at_every_step(tmp_path: Path, nth: int, when: str) -> None:
    """SIGKILL at each write, flush and rename of keys, leaves, history, checkpoint, state: the next one goes on."""
    settings = rig.deployment(tmp_path, witnesses=(tmp_path / "witness",))
    writer, written = rig.opened(settings), 0
    with rig.sealing(tmp_path, DEADLY, str(nth), when) as process:
        while process.poll() is None:
            asyncio.run(rig.commit(writer, 3, written))
            written += 3
            time.sleep(0.05)
        assert process.returncode == -signal.SIGKILL
    writer.close()
    with rig.sealing(tmp_path):
        rig.until(lambda: rig.sealed_size(settings) == written + 2)
    consistent(settings)
    assert verify.ledger(settings.ledger_dir, trust.load(settings.seal_dir, [tmp_path / "witness"])).sound
    assert len(rig.ring(settings).keys) == 1


class Failing:
    """Stands in for `os` in the store: the nth call of a function fails."""

    def __init__(self, name: str, nth: int) -> None:
        self.name, self.left = name, nth

    def __getattr__(self, name: str) -> Any:
        real = getattr(os, name)
        if name != self.name:
            return real

        def call(*arguments: Any) -> Any:
            self.left -= 1
            if self.left == 0:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return real(*arguments)

        return call


@pytest.mark.parametrize("name", ["write", "fsync"])
@pytest.mark.parametrize("nth", range(1, 5))
def test_a_failing_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, nth: int) -> None:
    """ENOSPC at any write or flush of a checkpoint: opened anew, the stream is sealed on without a contradiction."""
    settings = rig.deployment(tmp_path)
    rig.write(settings, 30)
    rig.seal(settings)
    rig.write(settings, 30, first=30)
    chain = rig.chain(settings)
    signer = keys.load(settings, rig.ring(settings))
    with monkeypatch.context() as patched:
        failing = Failing(name, nth)
        patched.setattr(store, "os", failing)
        patched.setattr(durable, "os", failing)
        with pytest.raises(OSError, match="No space"):
            chain.seal(signer)
    rig.seal(settings)
    assert rig.sealed_size(settings) == 64
    consistent(settings)


@pytest.mark.parametrize(
    "state", [b"", b"{}", b'{"size":32,"peaks":[]}', b'{"size":32,"peaks":["' + b"00" * 32 + b'"]}', None]
)
def test_a_state_that_is_lost_or_wrong_is_not_believed(tmp_path: Path, state: bytes | None) -> None:
    """The state saves work and decides nothing: without it, or with a wrong one, the leaves and the ledger say it."""
    settings = rig.deployment(tmp_path)
    rig.write(settings, 30)
    rig.seal(settings)
    path = settings.seal_dir / "n-w0" / store.STATE
    path.unlink()
    if state is not None:
        path.write_bytes(state)
    rig.write(settings, 30, first=30)
    rig.seal(settings)
    assert rig.sealed_size(settings) == 64
    consistent(settings)


def test_it_does_not_read_the_past_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With its state at hand a restart hashes what is new, not what was sealed."""
    settings = rig.deployment(tmp_path)
    rig.write(settings, 500)
    rig.seal(settings)
    rig.write(settings, 7, first=500)
    hashed = []

    def counting(body: bytes) -> bytes:
        hashed.append(body)
        return leaf_hash(body)

    monkeypatch.setattr(chains, "leaf_hash", counting)
    rig.seal(settings)
    assert rig.sealed_size(settings) == 511
    assert len(hashed) <= 9 + 3, "the new ones, and the last sealed one to find the place"


def test_leaves_that_were_changed_stop_the_sealing(tmp_path: Path) -> None:
    """Leaf hashes that do not have the signed root, and a missing state: nothing is built on them."""
    settings = rig.deployment(tmp_path)
    rig.write(settings, 30)
    rig.seal(settings)
    place = settings.seal_dir / "n-w0"
    data = (place / store.LEAVES).read_bytes()
    (place / store.LEAVES).write_bytes(bytes([data[0] ^ 1]) + data[1:])
    (place / store.STATE).unlink()
    with pytest.raises(Stopped, match="not those under"):
        rig.chain(settings)
    (place / store.LEAVES).write_bytes(data[:-32])
    with pytest.raises(Stopped, match="not all there"):
        Chain(settings.ledger_dir / "n-w0", place, rig.ring(settings))
