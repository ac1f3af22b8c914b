"""Rows out of ClickHouse are checked like the ledger itself, and one decision can be shown alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from sluice import config
from sluice.config import Settings
from sluice.ledger import checkpoint, reader
from sluice.ledger.note import BadNote, b64
from sluice.ledger.record import GENESIS, leaf_hash, seal
from sluice.ledger.segment import Fault
from sluice.model import Record, RecordType
from sluice.proof import prove, trust, verify
from sluice.proof.trust import Unchecked
from sluice.seal import STANDING, keyring, keys, store
from sluice.ship.clickhouse import Embedded
from sluice.ship.columns import NO_ID
from tests.proof import attacks
from tests.seal import seal_rig as rig

EXPORT = "SELECT * FROM events ORDER BY chain_id, seq"


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sealed ledger, and the rows of all its records as the real engine gives them back."""
    directory = tmp_path_factory.mktemp("shipped")
    settings = rig.deployment(directory)
    for slot in (0, 1):
        rig.write(settings, 40, slot)
        rig.seal(settings, f"n-w{slot}")
    engine = Embedded(directory / "clickhouse", "sluice")
    try:
        engine.migrate()
        events = [e.body for s in reader.streams(settings.ledger_dir) for e in reader.read(s)]
        engine.insert(events, "t1")
        (directory / "rows.jsonl").write_bytes(engine.select(EXPORT, "JSONEachRow"))
    finally:
        engine.close()
    return directory


@pytest.fixture
def settings(shipped: Path) -> Settings:
    return config.load(shipped / "sluice.toml", environ={})


def believed(settings: Settings) -> trust.Trust:
    return trust.load(settings.seal_dir, [], [rig.ring(settings).current.verifier])


def test_rows_out_of_clickhouse_have_the_sealed_roots(shipped: Path, settings: Settings) -> None:
    """Records that went through the table and back hash to what was signed, without the ledger."""
    verdict = verify.table(shipped / "rows.jsonl", believed(settings))
    assert verdict.sound, verdict.faults
    found = [(s.stream, s.records, s.sealed) for s in verdict.streams]
    assert found == [("n-w0", 42, 42), ("n-w1", 42, 42), (rig.OWN, 2, 2)]


def changed(line: str, **facts: object) -> str:
    return json.dumps(json.loads(line) | facts)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda r: [*r[:9], changed(r[9], decision="block"), *r[10:]], (Fault.EDIT, 9)),
        (lambda r: r[:9] + r[10:], (Fault.GAP, 9)),
        (lambda r: [*r[:9], r[10], r[9], *r[11:]], (Fault.REORDER, 9)),
        (lambda r: r[:10] + r[9:], (Fault.DUPLICATE, 9)),
        (lambda r: r[5:], (Fault.GAP, 0)),
        (lambda r: r[:40] + r[42:], (Fault.TRUNCATION, 40)),
        (lambda r: r[42:], (Fault.GAP, 0)),
    ],
)
def test_tampered_rows_are_named(
    shipped: Path,
    settings: Settings,
    tmp_path: Path,
    change: Callable[[list[str]], list[str]],
    expected: tuple[Fault, int],
) -> None:
    """A row that was changed, taken out, moved or doubled in the table, and a stream that is gone from it."""
    lines = (shipped / "rows.jsonl").read_text().splitlines()
    (tmp_path / "rows.jsonl").write_text("\n".join(change(lines)) + "\n")
    first = verify.table(tmp_path / "rows.jsonl", believed(settings)).first
    assert first
    assert (first.stream, first.fault, first.seq) == ("n-w0", *expected)


def test_rows_are_held_against_what_the_sealer_says_in_its_own(
    shipped: Path, settings: Settings, tmp_path: Path
) -> None:
    """No checkpoint at hand: the sealer's rows name the roots of the others. A chain built anew, a tail that is cut and
    a stream without a row do not fit them; retention is said by the caller."""
    lines = (shipped / "rows.jsonl").read_text().splitlines()
    roots = {}
    for stream in ("n-w0", "n-w1"):
        newest = store.newest(settings.seal_dir / stream)
        assert newest
        said = rig.ring(settings).checkpoint(newest.note)
        roots[stream] = [said.size, b64(said.root)]
    told = Record(record_type=RecordType.CONTROL, decision_id="", ts_received=1, control_kind=STANDING,
                  control_detail=json.dumps({"streams": roots}))  # fmt: skip
    last = leaf_hash(attacks.bodies(settings.ledger_dir / rig.OWN)[-1]).hex()
    body = seal(told, node="n", epoch=1, seq=2, prev_hash=last, chain=rig.OWN)
    row = {"ts_received": "0.000001"} | {k: v for k, v in json.loads(body).items() if k != "ts_received"}
    lines, own = lines[:84], [*lines[84:], json.dumps(row | {"decision_id": NO_ID})]

    def faults(rows: list[str], **options: bool) -> list[tuple[str, Fault, int]]:
        (tmp_path / "rows.jsonl").write_text("\n".join([*rows, *own]) + "\n")
        verdict = verify.table(tmp_path / "rows.jsonl", trust.load(None), **options)
        return [(f.stream, f.fault, f.seq) for f in verdict.faults]

    assert faults(lines) == []
    assert faults(lines[:40] + lines[42:]) == [("n-w0", Fault.TRUNCATION, 40)]
    assert faults(lines[42:]) == [("n-w0", Fault.GAP, 0)]
    assert faults(lines[42:], expired=True) == []
    rebuilt, before = [], GENESIS
    for n, line in enumerate(lines[:42]):
        row = json.loads(line) | {"prev_hash": before} | ({"host": "elsewhere.example"} if n == 9 else {})
        rebuilt.append(json.dumps(row))
        before = leaf_hash(next(verify._rows(written(tmp_path, rebuilt[-1]), None))[1]).hex()
    assert faults(rebuilt + lines[42:]) == [("n-w0", Fault.REWRITE, 0)]


def written(directory: Path, line: str) -> Path:
    path = directory / "one.jsonl"
    path.write_text(line + "\n")
    return path


def test_rows_whose_oldest_expired_are_still_compared(shipped: Path, settings: Settings, tmp_path: Path) -> None:
    """The table's own retention is said by the caller; the rest is compared with the roots by the leaf hashes."""
    lines = (shipped / "rows.jsonl").read_text().splitlines()
    (tmp_path / "rows.jsonl").write_text("\n".join(lines[5:]) + "\n")
    verdict = verify.table(tmp_path / "rows.jsonl", believed(settings), expired=True)
    assert verdict.sound
    assert verdict.streams[0].sealed == 42


def test_what_is_no_row_is_not_checked(settings: Settings, tmp_path: Path) -> None:
    """A file of something else is "could not check", with what to do."""
    (tmp_path / "rows.jsonl").write_text('{"a": 1}\n')
    with pytest.raises(Unchecked, match="not a row"):
        verify.table(tmp_path / "rows.jsonl", believed(settings))


def test_one_decision_stands_alone(settings: Settings) -> None:
    """A proof of a few kB is accepted with the public key and nothing else, and tells what was decided."""
    found = next(prove.records(settings.ledger_dir, "00000000-0000-7000-8000-000000000007"))
    text = prove.Prover(settings.seal_dir / found.stream).proof(found.seq, found.body).text()
    assert len(text) < 4096
    shown = verify.proof(text, keyring.single(rig.ring(settings).current.verifier))
    assert (shown.stream, shown.seq, shown.record.decision) == ("n-w0", 8, "allow")


def test_no_byte_of_it_can_be_changed(settings: Settings) -> None:
    """Each byte changed by each of two bits: refused, every time."""
    ring = keyring.single(rig.ring(settings).current.verifier)
    found = next(prove.records(settings.ledger_dir, "00000000-0000-7000-8000-000000000007"))
    whole = prove.Prover(settings.seal_dir / found.stream).proof(found.seq, found.body).text().encode()
    for at in range(len(whole)):
        for bit in (1, 0x20):
            bent = whole[:at] + bytes([whole[at] ^ bit]) + whole[at + 1 :]
            with pytest.raises((BadNote, UnicodeDecodeError)):
                verify.proof(bent.decode(), ring)


def test_another_key_does_not_accept_it(settings: Settings, tmp_path: Path) -> None:
    """A proof is worth what the key is."""
    other = rig.deployment(tmp_path)
    with keys.locked(other):
        ring, _, _ = keys.load_or_create(other)
    found = next(prove.records(settings.ledger_dir, "00000000-0000-7000-8000-000000000007"))
    text = prove.Prover(settings.seal_dir / found.stream).proof(found.seq, found.body).text()
    with pytest.raises(BadNote):
        verify.proof(text, ring)


def test_what_was_forged_is_not_proved(tmp_path: Path) -> None:
    """A record that is not the sealed one gets no proof; one that is not sealed yet is told apart."""
    settings = rig.deployment(tmp_path)
    rig.write(settings, 20)
    rig.seal(settings)
    stream = settings.ledger_dir / "n-w0"
    records = attacks.bodies(stream)
    prover = prove.Prover(settings.seal_dir / "n-w0")
    with pytest.raises(Unchecked, match="not the one that was sealed"):
        prover.proof(5, attacks.edited(records[5]))
    with pytest.raises(prove.NotSealed):
        prover.proof(22, records[5])
    leaves = settings.seal_dir / "n-w0" / store.LEAVES
    leaves.write_bytes(leaves.read_bytes()[:-32] + bytes(32))
    with pytest.raises(Unchecked, match="not the leaf hashes"):
        prove.Prover(settings.seal_dir / "n-w0")


def test_the_text_is_the_published_form(settings: Settings) -> None:
    """Line by line what C2SP tlog-proof says, so that other tools read it."""
    found = next(prove.records(settings.ledger_dir, "00000000-0000-7000-8000-000000000007"))
    text = prove.Prover(settings.seal_dir / found.stream).proof(found.seq, found.body).text()
    head, _, note = text.partition("\n\n")
    lines = head.split("\n")
    assert lines[0] == "c2sp.org/tlog-proof@v1"
    assert lines[1].startswith("extra ")
    assert lines[2] == "index 8"
    assert checkpoint.unverified(note).size == 42


@pytest.mark.parametrize(
    "line",
    [
        b"[" * 200_000,
        b'{"a":' * 200_000,
        b'{"record_type":"decision","decision_id":"x","ts_received":"1.0","chain_id":["x"],"seq":0}',
        b'{"record_type":"decision","decision_id":"x","ts_received":1e999}',
    ],
)
def test_odd_rows_are_not_checked(settings: Settings, tmp_path: Path, line: bytes) -> None:
    """Whatever stands in a file of rows, the answer is one of the three that are promised."""
    (tmp_path / "rows.jsonl").write_bytes(line + b"\n")
    with pytest.raises(Unchecked, match="not a row"):
        verify.table(tmp_path / "rows.jsonl", trust.load(settings.seal_dir))
