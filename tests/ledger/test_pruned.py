"""The note of what retention took: durable, exact, and never smaller than before."""

from __future__ import annotations

from pathlib import Path

import pytest

from sluice.ledger import pruned
from sluice.ledger.pruned import BadNote, Pruned

NOTE = Pruned(below_seq=1000, leaf_hash="ab" * 32, at=1_700_000_000_000_000)


def test_a_note_comes_back_as_it_was_written(tmp_path: Path) -> None:
    """What is written is read again, and no draft of it stays."""
    assert pruned.read(tmp_path) is None
    pruned.write(tmp_path, NOTE)
    assert pruned.read(tmp_path) == NOTE
    assert [p.name for p in tmp_path.iterdir()] == ["pruned.json"]


def test_a_note_only_grows(tmp_path: Path) -> None:
    """A note that says less was pruned than before would turn a hole by policy into a fault, or hide one."""
    pruned.write(tmp_path, NOTE)
    with pytest.raises(BadNote):
        pruned.write(tmp_path, Pruned(below_seq=999, leaf_hash="cd" * 32, at=NOTE.at))
    assert pruned.read(tmp_path) == NOTE


@pytest.mark.parametrize(
    "text",
    ["", "{}", "[]", '{"below_seq":0,"leaf_hash":"' + "a" * 64 + '","at":1}', '{"below_seq":3,"leaf_hash":"x","at":1}'],
)
def test_a_broken_note_is_no_note(tmp_path: Path, text: str) -> None:
    """A note that says nonsense is a fault, and not the same as none."""
    (tmp_path / "pruned.json").write_text(text)
    with pytest.raises(BadNote):
        pruned.read(tmp_path)
