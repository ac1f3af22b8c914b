"""Compiled databases are kept in a file, and a file that is not ours, or not whole, is never handed to the library."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sluice.cache import Cache
from sluice.detect.engine import Engine
from sluice.detect.evidence import Fingerprinter
from sluice.model import Detector, Part, PartKind, Provenance, Role

TEXT = "card 4111 1111 1111 1111, ssn 536-90-4399, NHS number 943 476 5870, jane.doe@example.com"
PART = Part("/x", Role.USER, PartKind.TEXT, Provenance.USER, TEXT)


@pytest.fixture
def few(detectors: tuple[Detector, ...]) -> tuple[Detector, ...]:
    """Detectors of several blocks, so that compiling takes no time."""
    return tuple(d for d in detectors if d.id in {"payment.card-number", "us.ssn", "gb.nhs", "contact.email"})


def make(few: tuple[Detector, ...], cache: Path | None, key: bytes = b"k" * 32) -> Engine:
    return Engine(few, Fingerprinter(b"k" * 32, "test"), store=Cache(cache, key) if cache else None)


def only(cache: Path) -> Path:
    (file,) = cache.glob("*.hsdb")
    return file


def test_a_second_engine_reads_what_the_first_compiled(few: tuple[Detector, ...], tmp_path: Path) -> None:
    """The same detectors are compiled once; the findings are the same; nobody else can read the file."""
    first, second = make(few, tmp_path / "cache"), make(few, tmp_path / "cache")
    assert (first.databases.cached, second.databases.cached) == (False, True)
    assert first.scan((PART,)) == second.scan((PART,)) == make(few, None).scan((PART,))
    assert first.scan((PART,)).findings
    assert only(tmp_path / "cache").stat().st_mode & 0o777 == 0o600
    assert [p.name for p in (tmp_path / "cache").iterdir()] == [only(tmp_path / "cache").name]


def test_other_detectors_have_a_file_of_their_own(few: tuple[Detector, ...], tmp_path: Path) -> None:
    """A changed rulebook never meets the databases of another, and old files do not pile up."""
    make(few, tmp_path)
    assert not make(few[1:], tmp_path).databases.cached
    for at in range(len(few)):
        make(few[: at + 1], tmp_path)
        make(few[at:], tmp_path)
    assert 1 <= len(list(tmp_path.iterdir())) <= 4


@pytest.mark.parametrize("at", [0, 40, -1])
def test_a_damaged_file_is_compiled_anew(few: tuple[Detector, ...], tmp_path: Path, at: int) -> None:
    """One changed byte anywhere, and the file is not used but replaced."""
    make(few, tmp_path)
    data = bytearray(only(tmp_path).read_bytes())
    data[at] ^= 1
    only(tmp_path).write_bytes(data)
    engine = make(few, tmp_path)
    assert not engine.databases.cached
    assert engine.scan((PART,)).findings
    assert make(few, tmp_path).databases.cached


@pytest.mark.parametrize("size", [0, 33, 5_000])
def test_half_a_file_is_compiled_anew(few: tuple[Detector, ...], tmp_path: Path, size: int) -> None:
    """A truncated file is not used."""
    make(few, tmp_path)
    only(tmp_path).write_bytes(only(tmp_path).read_bytes()[:size])
    assert not make(few, tmp_path).databases.cached


def test_a_file_made_with_another_key_is_not_used(few: tuple[Detector, ...], tmp_path: Path) -> None:
    """Only who holds the deployment's key can make a file that is read."""
    make(few, tmp_path, b"x" * 32)
    assert not make(few, tmp_path).databases.cached


def test_a_file_under_another_name_is_not_used(few: tuple[Detector, ...], tmp_path: Path) -> None:
    """A genuine file of other detectors, put in the place of this one, is not used."""
    make(few[1:], tmp_path / "a")
    make(few, tmp_path / "b")
    only(tmp_path / "b").write_bytes(only(tmp_path / "a").read_bytes())
    assert not make(few, tmp_path / "b").databases.cached


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_a_file_that_others_can_reach_is_not_used(few: tuple[Detector, ...], tmp_path: Path, mode: int) -> None:
    """What another account may read or write is not ours."""
    make(few, tmp_path)
    only(tmp_path).chmod(mode)
    assert not make(few, tmp_path).databases.cached


def test_a_link_is_not_followed(few: tuple[Detector, ...], tmp_path: Path) -> None:
    """The name must be the file itself."""
    make(few, tmp_path)
    kept = only(tmp_path)
    kept.rename(tmp_path / "elsewhere")
    kept.symlink_to(tmp_path / "elsewhere")
    assert not make(few, tmp_path).databases.cached


def test_a_file_of_another_account_is_not_used(
    few: tuple[Detector, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The owner of the file must be who runs the gate."""
    make(few, tmp_path)
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    assert not make(few, tmp_path).databases.cached


def test_a_directory_that_cannot_be_written_costs_time_only(few: tuple[Detector, ...], tmp_path: Path) -> None:
    """Without a place for the file the engine works as with one."""
    (tmp_path / "file").write_text("not a directory")
    assert make(few, tmp_path / "file" / "cache").scan((PART,)).findings


def test_no_text_is_in_the_file(few: tuple[Detector, ...], tmp_path: Path) -> None:
    """The file holds expressions in compiled form and nothing of any request."""
    engine = make(few, tmp_path)
    before = only(tmp_path).read_bytes()
    engine.scan((PART,))
    assert only(tmp_path).read_bytes() == before
