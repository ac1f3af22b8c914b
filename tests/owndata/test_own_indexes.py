"""An index is bound to its key, whole and private, or nothing starts; and it says nothing without the key."""

from __future__ import annotations

import hashlib
import zlib
from pathlib import Path

import pytest

from sluice import keys
from sluice.config import Own, OwnDictionary, OwnFile, OwnIndex
from sluice.detect.own import exact, index, phrases, table
from sluice.errors import Misconfigured
from sluice.model import Severity
from sluice.owndata import documents, secrets
from tests.owndata.owndata_rig import NOW, Deployment

CSV = "name,account,email\n" + "".join(
    f"Given{i} Family{i},{7_000_000_000 + i * 7919},person{i}@mail{i}.example\n" for i in range(300)
)
CONTRACT = " ".join(f"clause{i % 41} party{i % 23} shall{i}" for i in range(200))
ENV = "API=zq8H_2kLm-99xPw\nDB=postgres://app:Xk9-vQ2z!mPa@db/app\nHOST=localhost\n"
WORDS = "Project Bluebird\nZanzibar Initiative\nquokka\n"


@pytest.fixture
def built(deployment: Deployment) -> dict[str, Path]:
    """One index of each kind, and a compiled dictionary."""
    rows, _ = deployment.rows(CSV, "name:name,account:digits,email:email", "account,email")
    docs = deployment.base / "d.docs"
    documents.add(
        docs, [("contract", Path("c.txt"), CONTRACT)], deployment.keys, NOW,
        data_class="own.contract", severity=Severity.HIGH, share=0.3, run=60,
    )  # fmt: skip
    known = deployment.base / "s.secrets"
    secrets.build(deployment.file(".env", ENV), known, "env", *deployment.newest, NOW)
    words = deployment.file("words.txt", WORDS)
    deployment.load(Own(dictionary=(OwnDictionary(file=words, name="projects"),)))
    (compiled,) = deployment.settings.cache_dir.glob("*.words")
    return {"rows": rows, "documents": docs, "secrets": known, "phrases": compiled}


VALUES = {
    "rows": [cell for line in CSV.splitlines()[1:] for cell in line.split(",")] + ["Given7", "Family7"],
    "documents": [*CONTRACT.split()[:60], " ".join(CONTRACT.split()[:6])],
    "secrets": ["zq8H_2kLm-99xPw", "Xk9-vQ2z!mPa", "99xPw", "2kLm", "vQ2z"],
    "phrases": ["project bluebird", "Zanzibar", "quokka", "bluebird", "initiative"],
}


@pytest.mark.parametrize("kind", VALUES)
def test_no_value_is_in_a_file(built: dict[str, Path], kind: str) -> None:
    """Neither a value, in any case or width, nor a plain hash of one that could be guessed, cut as hashes are cut."""
    content = built[kind].read_bytes()
    low = content.lower()
    assert len(VALUES[kind]) > 4
    for value in VALUES[kind]:
        for spelling in {value, value.lower(), value.upper()}:
            data = spelling.encode()
            assert data.lower() not in low
            assert spelling.encode("utf-16-le") not in content
            for name in ("md5", "sha1", "sha256", "sha512", "blake2b", "blake2s"):
                digest = hashlib.new(name, data).digest()
                assert digest[:8] not in content, name
                assert digest[:8][::-1] not in content, name
                assert digest.hex().encode()[:16] not in low
            for size in (8, 16):
                assert hashlib.blake2b(data, digest_size=size).digest() not in content
            if len(content) < 1 << 14:
                assert zlib.crc32(data).to_bytes(4, "little") not in content


def test_equal_values_look_different_in_every_file(deployment: Deployment) -> None:
    """The salt is the file's own: two indexes of one table have no hash in common."""
    seen = []
    for _ in range(2):
        path, _ = deployment.rows(CSV, "name:name,account:digits", "account")
        opened = index.load(path, exact.KIND, deployment.keys)
        seen.append(set(opened.section("key1.hashes").cast("Q")))
    assert not seen[0] & seen[1]


def test_equal_names_look_different_in_every_row(deployment: Deployment) -> None:
    """How often a name occurs cannot be counted in the file."""
    csv = "name,account\n" + "".join(f"John Smith,{9_000_000 + i}\n" for i in range(200))
    path, _ = deployment.rows(csv, "name:name,account:digits", "account")
    tags = index.load(path, exact.KIND, deployment.keys).section("tags").cast("I")
    assert len(set(tags[::2])) == 200


KINDS = {"rows": exact.KIND, "documents": "documents", "secrets": "secrets", "phrases": phrases.KIND}


@pytest.mark.parametrize("kind", KINDS)
def test_a_changed_file_is_refused(built: dict[str, Path], deployment: Deployment, kind: str) -> None:
    """One byte changed anywhere, or the end cut off: refused, with what to do; never loaded in part."""
    content = built[kind].read_bytes()
    index.load(built[kind], KINDS[kind], deployment.keys)
    places = sorted({0, 8, 17, 19, 30, 60, len(content) // 2, len(content) - 40, len(content) - 1})
    for at in places:
        built[kind].write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
        with pytest.raises(Misconfigured, match=r"build it|index of|not in `var/keys`"):
            index.load(built[kind], KINDS[kind], deployment.keys)
    for size in (0, 10, 100, len(content) - 8, len(content) - 1):
        built[kind].write_bytes(content[:size])
        with pytest.raises(Misconfigured, match="build it again"):
            index.load(built[kind], KINDS[kind], deployment.keys)


def test_a_damaged_index_stops_the_start(built: dict[str, Path], deployment: Deployment) -> None:
    """Every problem of every file is named, and nothing is loaded."""
    for kind in ("rows", "secrets"):
        content = bytearray(built[kind].read_bytes())
        content[-50] ^= 1
        built[kind].write_bytes(content)
    own = Own(
        edm=(OwnIndex(file=built["rows"], name="customers"),),
        secrets=(OwnFile(file=built["secrets"]),),
        documents=(OwnFile(file=built["rows"]),),
        canaries=(OwnFile(file=deployment.base / "missing.txt"),),
    )
    with pytest.raises(Misconfigured) as caught:
        deployment.load(own)
    said = "\n".join(map(str, caught.value.problems))
    assert said.count("does not match its seal") == 2
    assert "is an index of rows, not of documents" in said
    assert "missing.txt: cannot be read" in said


def test_a_rotated_key_keeps_indexes_until_it_is_destroyed(built: dict[str, Path], deployment: Deployment) -> None:
    """An index names its key: it works beside a newer one, and says what is wrong when its own is gone."""
    keys.rotate(deployment.settings)
    assert index.load(built["rows"], exact.KIND, deployment.keys).head.key_id == "k1"
    keys.destroy(deployment.settings, "k1")
    with pytest.raises(Misconfigured, match=r"built under key `k1`, which is not in `var/keys` \(there: k2\)"):
        index.load(built["rows"], exact.KIND, deployment.keys)


def test_documents_are_not_added_under_an_old_key(built: dict[str, Path], deployment: Deployment) -> None:
    """After a rotation an index is read and not extended."""
    keys.rotate(deployment.settings)
    with pytest.raises(Misconfigured, match="not in force any more"):
        documents.add(
            built["documents"], [("other", Path("o"), CONTRACT)], deployment.keys, NOW,
            data_class="own.contract", severity=Severity.HIGH, share=0.3, run=60,
        )  # fmt: skip


def test_another_deployments_index_is_told_from_a_damaged_one(built: dict[str, Path], tmp_path: Path) -> None:
    """The same key name with another key is a wrong key, not damage."""
    with pytest.raises(Misconfigured, match="another deployment's key `k1`; build it here"):
        index.load(built["rows"], exact.KIND, {"k1": b"x" * 32})


def test_an_index_that_others_can_change_is_refused(built: dict[str, Path], deployment: Deployment) -> None:
    """What anyone can write, or what is no file, is not mapped."""
    built["rows"].chmod(0o666)
    with pytest.raises(Misconfigured, match="can be changed by other users"):
        index.load(built["rows"], exact.KIND, deployment.keys)
    with pytest.raises(Misconfigured, match="is not a file"):
        index.load(deployment.base, exact.KIND, deployment.keys)


def test_an_index_is_private(built: dict[str, Path]) -> None:
    """0600, and no draft is left beside it."""
    for path in built.values():
        assert path.stat().st_mode & 0o777 == 0o600
        assert not list(path.parent.glob(".*.new"))


def test_a_build_that_fails_leaves_the_old_file(built: dict[str, Path], deployment: Deployment) -> None:
    """A table that cannot be read replaces nothing."""
    before = built["rows"].read_bytes()
    with pytest.raises(Misconfigured, match="no usable row"):
        deployment.rows("name,account\nonly one cell\n", "name:name,account:digits", "account")
    assert built["rows"].read_bytes() == before


def test_a_table_finds_what_is_in_it_and_nothing_else() -> None:
    """Every hash with all of its numbers, at the edges of the directory too; neighbours are not there."""
    values = [0, 1, (1 << 64) - 1, 1 << 63, 12345, 12345, *range(5000, 9000, 3)]
    pairs = [value << 32 | n for n, value in enumerate(values)]
    made = table.Table(*map(memoryview, table.build(pairs)))
    assert len(made) == len(values)
    for value in set(values):
        numbers = [n for n, v in enumerate(values) if v == value]
        assert made.all(value) == numbers
        assert made.first(value) == numbers[0]
    for value in (2, 5001, (1 << 64) - 2, (1 << 63) + 1):
        assert made.all(value) == []
        assert made.first(value) is None


@pytest.mark.parametrize("wrong", ["numbers", "directory", "hashes"])
def test_arrays_that_do_not_fit_together_are_no_table(wrong: str) -> None:
    """A table is not made of arrays of different sizes."""
    arrays = dict(zip(("hashes", "numbers", "directory"), table.build([n << 40 for n in range(100)]), strict=True))
    arrays[wrong] = arrays[wrong][:-8]
    with pytest.raises(table.Malformed):
        table.Table(*(memoryview(arrays[name]) for name in ("hashes", "numbers", "directory")))
