"""What a file holds: compressed, archived, in any encoding; hostile ones cost no more than the bounds."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
import tracemalloc
import zipfile
from pathlib import Path

import brotli
import pytest
import zstandard

from sluice import config, targets
from sluice.cli.sources import Bounds, Document, Item, Skipped, walk
from sluice.cli.sources.opening import Opener

WORDS = "the quick brown fox\n"


@pytest.fixture(scope="module")
def opener() -> Opener:
    return Opener(targets.load(config.signatures_dir() / "targets.toml"), config.Limits())


def texts(items: list[Item]) -> list[tuple[str, str]]:
    return [(d.name, p.text) for d in items if isinstance(d, Document) for p in d.parts]


def reasons(items: list[Item]) -> list[tuple[str, str]]:
    return [(s.name, s.reason) for s in items if isinstance(s, Skipped)]


def zipped(*files: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, content in files:
            archive.writestr(name, content)
    return out.getvalue()


def tarred(*files: tuple[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, content in files:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        link = tarfile.TarInfo("passwd")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    return out.getvalue()


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.txt.gz", gzip.compress(WORDS.encode())),
        ("two-members.gz", gzip.compress(WORDS[:5].encode()) + gzip.compress(WORDS[5:].encode())),
        ("a.zst", zstandard.compress(WORDS.encode())),
        ("a.txt.br", brotli.compress(WORDS.encode())),
        ("no-ending", gzip.compress(zstandard.compress(WORDS.encode()))),
        ("utf16.txt", WORDS.encode("utf-16")),
        ("bom.txt", b"\xef\xbb\xbf" + WORDS.encode()),
    ],
)
def test_compressed_and_encoded_text_is_read(opener: Opener, name: str, data: bytes) -> None:
    """The text comes out whole, under the name of the file on disk."""
    assert texts(list(opener.read(name, data))) == [(name, WORDS)]


def test_members_of_archives_are_files_of_their_own(opener: Opener) -> None:
    """Zip in tar in gzip: each member by its name; what is a link or has no text is passed over by reason."""
    inner = zipped(("deep/b.txt", b"inside"), ("x.png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"))
    items = list(opener.read("all.tgz", gzip.compress(tarred(("a.txt", b"outside"), ("b.zip", inner)))))
    assert texts(items) == [("all.tgz!a.txt", "outside"), ("all.tgz!b.zip!deep/b.txt", "inside")]
    assert reasons(items) == [("all.tgz!b.zip!x.png", "binary"), ("all.tgz!passwd", "not a regular file")]


def test_latin_1_and_broken_utf_8_are_told_apart(opener: Opener) -> None:
    """A file of Latin-1 keeps its umlauts; one bad byte in UTF-8 spoils no other character."""
    assert texts(list(opener.read("l", "Führerschein für Ärzte".encode("latin-1")))) == [
        ("l", "Führerschein für Ärzte")
    ]
    assert texts(list(opener.read("u", "Führerschein für ".encode() + b"\xff!"))) == [("u", "Führerschein für \ufffd!")]


@pytest.mark.parametrize("how", ["gzip", "zstd", "br", "zip", "tar.gz", "quine"])
def test_a_bomb_costs_no_more_than_the_bounds(opener: Opener, how: str) -> None:
    """A gigabyte of zeros in a megabyte is not unpacked: it is named as too much, and memory stays near the bound."""
    zeros = bytes(200 << 20)
    data = {
        "gzip": lambda: gzip.compress(zeros, 9),
        "zstd": lambda: zstandard.compress(zeros),
        "br": lambda: brotli.compress(zeros, quality=1),
        "zip": lambda: zipped(*((f"{i}", zeros) for i in range(3))),
        "tar.gz": lambda: gzip.compress(tarred(("z", zeros)), 9),
        "quine": lambda: gzip.compress(gzip.compress(gzip.compress(gzip.compress(gzip.compress(b"x"))))),
    }[how]()
    tracemalloc.start()
    try:
        items = list(opener.read("bomb.br" if how == "br" else "bomb", data, Bounds(size=32 << 20)))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert texts(items) == []
    assert items
    assert {reason for _, reason in reasons(items)} <= {"unpacks to more than is read", "nested too deeply"}
    assert peak < 160 << 20


def test_many_members_end(opener: Opener) -> None:
    """An archive with more members than the bounds allow is read up to there and says so."""
    items = list(opener.read("many.zip", zipped(*((f"{i}", b"x") for i in range(50))), Bounds(members=20)))
    assert len(texts(items)) == 20
    assert reasons(items) == [("many.zip", "more members than are read")]


@pytest.mark.parametrize(
    "data",
    [
        gzip.compress(WORDS.encode())[:-9],
        gzip.compress(WORDS.encode()) + b"trailing",
        zstandard.compress(WORDS.encode())[:-3],
        zipped(("a", b"abc"))[:40],
        zipped(("a", WORDS.encode() * 50))[:60] + b"\xff" * 20 + zipped(("a", WORDS.encode() * 50))[80:],
        b"BZh91AY&SY",
        b"%PDF-1.7\nsome text",
        b"7z\xbc\xaf\x27\x1c",
    ],
)
def test_what_is_damaged_or_unknown_is_a_failure(opener: Opener, data: bytes) -> None:
    """Not one of them is silence: each is named as not read, as a failure."""
    items = list(opener.read("file", data))
    assert any(isinstance(i, Skipped) and i.failed for i in items)


def test_an_encrypted_member_is_named(opener: Opener) -> None:
    """A zip member under a password is said to be encrypted."""
    data = bytearray(zipped(("a", b"abc"), method=zipfile.ZIP_STORED))
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    assert reasons(list(opener.read("a.zip", bytes(data)))) == [("a.zip!a", "encrypted")]


def test_any_bytes_are_answered(opener: Opener) -> None:
    """Random bytes behind each magic number end in an answer, never in an exception."""
    for head in (b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd", b"PK\x03\x04", b"12:", b"", b"5:hello}", bytes(257) + b"ustar"):
        for name in ("x", "x.har", "x.br", "x.request.json", "x.jsonl"):
            for seed in range(20):
                data = head + bytes((i * seed * 37 + i) % 256 for i in range(300))
                assert list(opener.read(name, data))


# ------------------------------------------------------------------------------------------------------------ folders


def test_folders_are_walked_within_themselves(tmp_path: Path) -> None:
    """Every file below, in order; .git, links out and pipes are not read, and patterns choose."""
    for name in ("b/x.py", "a.py", "b/build/y.py", ".git/config", "c.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "out").symlink_to("/etc/passwd")
    os.mkfifo(tmp_path / "pipe")
    found = list(walk.files(tmp_path))
    names = [str(f[0].relative_to(tmp_path)) for f in found if not isinstance(f, Skipped)]
    assert names == ["a.py", "c.txt", "b/x.py", "b/build/y.py"]
    passed = {Path(f.name).name: f.reason for f in found if isinstance(f, Skipped)}
    assert passed == {"loop": "symbolic link", "out": "symbolic link", "pipe": "not a regular file"}
    chosen = [f for f in walk.files(tmp_path, include=["*.py"], exclude=["b/build"]) if not isinstance(f, Skipped)]
    assert [f[0].name for f in chosen] == ["a.py", "x.py"]


def test_deep_folders_are_walked(tmp_path: Path) -> None:
    """Six hundred levels are no recursion of ours."""
    at = os.open(tmp_path, os.O_RDONLY)
    for _ in range(600):
        os.mkdir("d", dir_fd=at)
        below = os.open("d", os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = below
    os.close(at)
    (tmp_path / "z.txt").write_text("x")
    names = [f[0].name for f in walk.files(tmp_path) if not isinstance(f, Skipped)]
    assert names == ["z.txt"]
