"""The check of everything that can hold evidence: ledger directories, rows out of ClickHouse, one proof."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sluice.ledger import audit, checkpoint, pruned, reader
from sluice.ledger.audit import Verdict
from sluice.ledger.record import BadRecord, decode, encode
from sluice.ledger.segment import Fault
from sluice.ledger.sequence import Sequence as Records
from sluice.ledger.sequence import StreamVerdict
from sluice.model import Record
from sluice.proof import trust as trusted
from sluice.proof.judge import Judge
from sluice.proof.trust import Point, Trust, Unchecked, prunings, sealers, standing, standings
from sluice.seal import SLOT, STANDING, keyring, store
from sluice.seal.keyring import Keyring
from sluice.ship import rows
from sluice.ship.columns import COLUMNS, micros

type Progress = Callable[[int], None] | None


def ledger(directory: Path, trust: Trust, *, progress: Progress = None) -> Verdict:
    """Check a ledger directory, or one stream of it, against what is believed. A stream that is gone is found by its
    checkpoints, one whose head is gone by the sealer's own stream, which is looked for beside a stream that is checked
    alone. Raises OSError, `Unchecked` when a stream cannot be compared with its checkpoints, or when it is not at hand
    whether retention took its head.
    """
    streams = {stream.name: stream for stream in audit.streams(directory)}
    alone = list(streams.values()) == [directory]
    node = directory.name.rpartition("-w")[0]
    own = sealers(directory.parent, node) if alone else sealers(directory)
    trust.told = standings(own)
    taken = prunings(own)
    found, judges = [], []
    for name in sorted(streams.keys() | (set() if alone else {*trust.streams, *trust.told, *trust.rotated})):
        judge = _judge(trust, name)
        if stream := streams.get(name):
            verdict = audit.verify_stream(stream, on_leaf=judge.leaf, progress=progress)
        else:
            verdict = StreamVerdict(name)
        if verdict.pruned > taken.get(name, 0) and (own or not alone):
            what = f"a note says that retention took the records below {verdict.pruned}; the sealer's stream does not"
            verdict.fault(pruned.FILE, 0, taken.get(name, 0), Fault.GAP, what)
        _finish(trust, judge, verdict)
        if verdict.sound and verdict.pruned and not own:
            what = f"its records below {verdict.pruned} are gone; whether retention took them says the sealer's stream"
            raise Unchecked(f"{name}: {what} {node}-w{SLOT}, which is not beside it: check the whole ledger")
        found.append(verdict)
        judges.append(judge)
    held = {name for name, stream in streams.items() if reader.is_held(stream)}
    _uncovered(trust, list(zip(found, judges, strict=True)), held, sealed=bool(own), others=trusted.last(own))
    return Verdict(tuple(found))


def table(file: Path, trust: Trust, *, expired: bool = False, progress: Progress = None) -> Verdict:
    """Check rows as ClickHouse writes them: JSONEachRow, ordered by chain_id and seq, one stream behind the other.

    Rows are turned back into canonical records. What the sealer's own rows say of the other streams counts like
    checkpoints of a ledger, and a stream that they name and that has no row is gone. `expired`: the table's retention
    took the oldest rows, so that a stream may begin anywhere; its roots can then be compared where its leaf hashes are
    at hand. Raises OSError, `Unchecked` for what is no row.
    """
    found: dict[str, tuple[StreamVerdict, Records, Judge]] = {}
    trust.told = _standings(file)
    for number, body, stream in _rows(file, progress):
        if stream not in found:
            verdict = StreamVerdict(stream)
            judge = _judge(trust, stream)
            found[stream] = (verdict, Records(verdict, judge.leaf), judge)
            if not expired:
                found[stream][1].next = 0
        found[stream][1].record(file.name, number, body, None)
    for verdict, _, judge in found.values():
        _finish(trust, judge, verdict, partial=expired)
    verdicts = [verdict for verdict, _, _ in found.values()]
    _uncovered(trust, [(v, j) for v, _, j in found.values()], set(), sealed=any(s.endswith(f"-w{SLOT}") for s in found))
    for name in sorted({*trust.streams, *(() if expired else (*trust.told, *trust.rotated))}):
        if name not in found:
            verdicts.append(StreamVerdict(name))
            _finish(trust, _judge(trust, name), verdicts[-1])
    return Verdict(tuple(sorted(verdicts, key=lambda v: v.stream)))


def _standings(file: Path) -> dict[str, list[Point]]:
    """What the rows of the sealer's stream say of the others; nothing of what can be read once only."""
    told: dict[str, list[Point]] = {}
    if file.is_file():
        with file.open("rb") as lines:
            for line in lines:
                if _STANDING in line:
                    with contextlib.suppress(ValueError, AttributeError):  # the check of the rows says what it is
                        row = json.loads(line)
                        if row.get("control_kind") == STANDING and str(row.get("chain_id")).endswith(f"-w{SLOT}"):
                            standing(str(row.get("control_detail")), told)
    return told


_STANDING = f'"{STANDING}"'.encode()


def _rows(file: Path, progress: Progress) -> Iterator[tuple[int, bytes, str]]:
    """Each line: its number, the canonical bytes of its record, its stream."""
    with file.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if progress:
                progress(len(line))
            try:
                record = rows.restore(_timed(json.loads(line)))
                if not isinstance(record.chain_id, str | None):
                    raise ValueError("chain_id is no text")
            except (ValueError, TypeError, KeyError, AttributeError, ArithmeticError, RecursionError) as e:
                what = "not a row of `events` in JSONEachRow, as `sluice sql --json` or FORMAT JSONEachRow writes it"
                raise Unchecked(f"{file}:{number}: {what}") from e
            yield number, encode(record), record.chain_id or ""


_TIMES = tuple(c.name for c in COLUMNS if c.take is micros)


def _timed(row: dict[str, Any]) -> dict[str, Any]:
    """Times as seconds since the epoch, whichever of ClickHouse's two usual forms they came in."""
    for name in _TIMES:
        value = row.get(name)
        if isinstance(value, str) and "-" in value[1:]:
            at = datetime.fromisoformat(value)
            at = at if at.tzinfo else at.replace(tzinfo=UTC)
            whole = (at - _EPOCH) // timedelta(microseconds=1)
            row[name] = f"{whole // 1_000_000}.{whole % 1_000_000:06}"
    return row


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _judge(trust: Trust, stream: str) -> Judge:
    points = [*trust.points.get(stream, []), *trust.told.get(stream, [])]
    points.sort(key=lambda p: (p.size, not p.local))
    return Judge(points, trust.leaves.get(stream), sealing=bool(trust.streams))


def _finish(trust: Trust, judge: Judge, verdict: StreamVerdict, *, partial: bool = False) -> None:
    verdict.faults += trust.faults.get(verdict.stream, [])
    if verdict.sound and not judge.comparable and not partial:
        what = f"its first {verdict.first_seq} records are gone and their leaf hashes are not at hand"
        raise Unchecked(f"{verdict.stream}: the roots cannot be computed: {what}; give `var/seal` with --checkpoints")
    judge.finish(verdict)
    stated, seals = trust.stated(verdict.stream), [p for p in trust.points.get(verdict.stream, []) if p.local]
    if verdict.sound and stated > judge.end:
        what = f"records {judge.end} to {stated - 1} were sealed, as a rotation of keys says, and are missing"
        verdict.fault(keyring.FILE, 0, judge.end, Fault.TRUNCATION if judge.end else Fault.GAP, what)
    elif verdict.sound and trust.seal and trust.streams and stated > trust.covered(verdict.stream):
        here = max((p.size for p in seals), default=0)
        what = f"the sealer says that it sealed {stated} records of it, and checkpoints of only {here} are left"
        verdict.fault(store.HISTORY, 0, here, Fault.SEAL, what)


TAIL_SECONDS = 30.0
TAIL_RECORDS = 3000
"""What an honest sealer may not have reached: three times what it waits for by default (10 s, 1,000 records)."""


def _uncovered(
    trust: Trust,
    found: list[tuple[StreamVerdict, Judge]],
    held: set[str],
    *,
    sealed: bool,
    others: Sequence[bytes] = (),
) -> None:
    """Name the records that are under no checkpoint though a sealer had the time, or though none is at hand at all.

    Whether it had the time is said by the newest records of all streams: those were written while the first one that is
    not covered waited. `held`: streams with a live writer, whose newer records the checkpoints that were read before
    cannot know. `sealed`: a sealer wrote here. `others`: the last records of streams that are not checked themselves.
    """
    if not sealed and not trust.streams:
        return  # no sealer: the caller is told that nothing but the chain was checked
    end = max((_moment(body) for body in (*(judge.last for _, judge in found), *others)), default=0)
    end = min(end, trust.at) if held else end
    for verdict, judge in found:
        behind = judge.behind
        if not trust.streams:
            verdict.uncovered = verdict.records
            continue
        if verdict.stream in held and behind > TAIL_RECORDS:
            behind = min(behind, max(0, judge.end - trust.covered(verdict.stream)))
        if behind > TAIL_RECORDS or (behind and end - _moment(judge.first_behind) > TAIL_SECONDS * 1e6):
            verdict.uncovered = behind


def _moment(body: bytes) -> int:
    """The last moment that a record knows of, Unix us: an outcome bears the time of its request too. 0: none."""
    try:
        record = decode(body)
    except BadRecord:
        return 0
    return max(getattr(record, name) or 0 for name in _TIMES)


@dataclass(frozen=True, slots=True)
class Proved:
    """A record that a proof showed, and under which checkpoint."""

    record: Record
    stream: str
    seq: int
    size: int
    key: str


def proof(text: str, ring: Keyring) -> Proved:
    """Check a proof with nothing but public keys. Raises `BadNote` when it is none."""
    read = checkpoint.read_proof(text)
    said = ring.checkpoint(read.note)
    place = read.check(said)
    by = checkpoint.signed(read.note, [key.verifier for key in ring.keys])[1][0]
    return Proved(decode(read.body), said.stream, place.seq, said.size, str(by.renamed(ring.name)))
