"""The names behind pseudonyms: sealed, found again, and never looked up without a record."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from sluice import subjects
from sluice.config import Settings
from sluice.errors import Misconfigured, Unavailable
from sluice.ledger import reader, segment
from sluice.model import Assurance, RecordType, Subject
from sluice.subjects import Subjects

P, Q = "ab" * 16, "cd" * 16
ALICE = Subject("user:alice.wonderland", "user", "ip_map", Assurance.MAPPED)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    plain = Settings()
    return msgspec.structs.replace(plain, paths=msgspec.structs.replace(plain.paths, var=tmp_path))


def accesses(settings: Settings) -> list[dict[str, object]]:
    streams = segment.streams(settings.ledger_dir)
    records = [entry.record for stream in streams for entry in reader.read(stream, on_damage=lambda _: None)]
    return [
        json.loads(r.control_detail or "") | {"subject_id": r.subject_id}
        for r in records
        if r.record_type is RecordType.ACCESS
    ]


def test_a_name_is_found_again_and_looking_is_recorded(settings: Settings) -> None:
    """Each pseudonym is kept once; the look-up says who, why and whom, durably, before the name is told."""
    for _ in range(2):  # the second worker's life finds it there already
        store = Subjects(settings, 0)
        for _ in range(3):
            store.saw(P, ALICE)
            store.keep()
    (file,) = subjects.directory(settings).glob("subjects-w*")
    assert len(file.read_text().splitlines()) == 1
    assert "alice" not in file.read_text()
    assert file.stat().st_mode & 0o777 == 0o600
    assert subjects.reveal(settings, P, by="dpo", reason="DSR 7") == ALICE.id
    assert subjects.reveal(settings, Q, by="dpo", reason="DSR 8", approved_by="user:bob") is None
    told = accesses(settings)
    assert [(a["subject_id"], a["by"], a["reason"], a["found"], a["approved_by"]) for a in told] == [
        (P, "dpo", "DSR 7", True, None),
        (Q, "dpo", "DSR 8", False, "user:bob"),
    ]
    assert "alice" not in json.dumps(told)


def test_without_a_record_no_name(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """A ledger that takes nothing means that nothing is told."""
    store = Subjects(settings, 0)
    store.saw(P, ALICE)
    store.keep()

    def refuse(*_: object) -> None:
        raise Unavailable("audit_unavailable", "test")  # type: ignore[arg-type]

    monkeypatch.setattr(subjects, "_record", refuse)
    with pytest.raises(Unavailable):
        subjects.reveal(settings, P, by="dpo", reason="x")


def test_a_line_under_another_pseudonym_opens_nothing(settings: Settings) -> None:
    """A name cannot be moved to another pseudonym, and without the key no name opens."""
    store = Subjects(settings, 0)
    store.saw(P, ALICE)
    store.keep()
    (file,) = subjects.directory(settings).glob("subjects-w*")
    file.write_text(file.read_text() + file.read_text().replace(P, Q))
    with pytest.raises(Misconfigured, match="does not open"):
        subjects.reveal(settings, Q, by="dpo", reason="x")
    (settings.keys_dir / "subjects.key").unlink()
    with pytest.raises(Misconfigured, match="does not open"):
        subjects.reveal(settings, P, by="dpo", reason="x")


def test_addresses_are_not_kept(settings: Settings) -> None:
    """An address is in the record itself, as far as the site wants it kept."""
    store = Subjects(settings, 0)
    store.saw(P, Subject("192.0.2.1", "address", "none", Assurance.NONE))
    store.keep()
    assert not list(subjects.directory(settings).glob("*"))


@pytest.mark.parametrize("text", ["", "alice", "../../keys/subjects.key", "AB" * 16, "ab" * 15])
def test_only_a_pseudonym_is_looked_up(settings: Settings, text: str) -> None:
    """Anything else is refused before a file is touched."""
    with pytest.raises(Misconfigured):
        subjects.reveal(settings, text, by="dpo", reason="x")
