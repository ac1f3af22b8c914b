"""The check of everything that can hold evidence: ledger directories, rows out of ClickHouse, one proof."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
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
from sluice.proof import absent, said
from sluice.proof.absent import Untold
from sluice.proof.judge import Judge
from sluice.proof.said import Said
from sluice.proof.trust import Trust, Unchecked
from sluice.seal import SLOT, keyring, store
from sluice.seal.keyring import Keyring
from sluice.ship import rows
from sluice.ship.columns import COLUMNS, micros

type Progress = Callable[[int], None] | None
type Checked = tuple[StreamVerdict, Judge]


def ledger(directory: Path, trust: Trust, *, progress: Progress = None) -> Verdict:
    """Check a ledger directory, or one stream of it, against what is believed. A stream that is gone is found by its
    checkpoints and by what others say of it, one whose head is gone by the sealer's own stream, which is looked for
    beside a stream that is checked alone. Raises OSError, `Unchecked` when a stream cannot be compared with its
    checkpoints, or when it is not at hand whether retention took its head.
    """
    streams = {stream.name: stream for stream in audit.streams(directory)}
    alone = list(streams.values()) == [directory]
    node = said.node(directory.name)
    own = said.streams(directory.parent, node) if alone else said.streams(directory)
    sealers = said.read(own)
    trust.told = said.told(sealers.values())
    found: list[Checked] = []
    for name in sorted(streams.keys() | (set() if alone else {*trust.streams, *trust.told, *trust.rotated})):
        judge = _judge(trust, name, sealers)
        if stream := streams.get(name):
            verdict = audit.verify_stream(stream, on_leaf=judge.leaf, progress=progress)
        else:
            verdict = StreamVerdict(name)
        if verdict.pruned and (own or not alone):
            _taken(trust, verdict, own)
        _finish(trust, judge, verdict)
        if verdict.sound and verdict.pruned and alone and not own:
            what = f"its records below {verdict.pruned} are gone; whether retention took them says the sealer's stream"
            raise Unchecked(f"{name}: {what} {said.own_stream(node)}, which is not beside it: check the whole ledger")
        found.append((verdict, judge))
    held = {name for name, stream in streams.items() if reader.is_held(stream)}
    _uncovered(trust, found, held, sealers, sealed=bool(own))
    if alone:
        return Verdict(tuple(verdict for verdict, _ in found))
    now = dict.fromkeys(held, trust.at)
    return Verdict(_missing(trust, found, held, sealers, now))


def table(file: Path, trust: Trust, *, expired: bool = False, progress: Progress = None) -> Verdict:
    """Check rows as ClickHouse writes them: JSONEachRow, ordered by chain_id and seq, one stream behind the other.

    Rows are turned back into canonical records. What the sealer's own rows say of the other streams counts like
    checkpoints of a ledger, and a stream that is named and has no row is gone. `expired`: the table's retention
    took the oldest rows, so that a stream may begin anywhere; its roots can then be compared where its leaf hashes are
    at hand. Raises OSError, `Unchecked` for what is no row.
    """
    found: dict[str, tuple[StreamVerdict, Records, Judge]] = {}
    sealers: dict[str, Said] = {}
    if file.is_file():  # nothing of what can be read once only
        with file.open("rb") as lines:
            sealers = said.rows(lines)
    trust.told = said.told(sealers.values())
    for number, body, stream in _rows(file, progress):
        if stream not in found:
            verdict = StreamVerdict(stream)
            judge = _judge(trust, stream, sealers)
            found[stream] = (verdict, Records(verdict, judge.leaf), judge)
            if not expired:
                found[stream][1].next = 0
        found[stream][1].record(file.name, number, body, None)
    for verdict, _, judge in found.values():
        _finish(trust, judge, verdict, partial=expired)
    checked = [(verdict, judge) for verdict, _, judge in found.values()]
    _uncovered(trust, checked, set(), sealers, sealed=any(s.endswith(f"-w{SLOT}") for s in found))
    for name in sorted({*trust.streams, *(() if expired else (*trust.told, *trust.rotated))}):
        if name not in found:
            verdict, judge = StreamVerdict(name), _judge(trust, name, sealers)
            _finish(trust, judge, verdict)
            checked.append((verdict, judge))
    if expired:
        return Verdict(tuple(sorted((verdict for verdict, _ in checked), key=lambda v: v.stream)))
    newest = max((_moment(judge.last) for _, judge in checked), default=0)
    live = {verdict.stream for verdict, judge in checked if _STOP not in judge.last}
    return Verdict(_missing(trust, checked, set(), sealers, dict.fromkeys(live, newest)))


_STOP = b'"control_kind":"stop"'


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


def _taken(trust: Trust, verdict: StreamVerdict, own: Sequence[Path]) -> None:
    """Hold it against what the sealer's own stream says now, which retention may have gone on in since, that a head is
    gone. A record of it that is not sealed could have been put in afterwards."""
    node = said.node(verdict.stream)
    now = said.read(own).get(node, Said())
    sealed = trust.reaches(said.own_stream(node)) if trust.streams else None
    if verdict.pruned > (below := now.below(verdict.stream)):
        what = f"a note says that retention took the records below {verdict.pruned}; the sealer's stream does not"
        verdict.fault(pruned.FILE, 0, below, Fault.GAP, what)
    elif verdict.pruned > now.below(verdict.stream, sealed):
        what = f"retention took its records below {verdict.pruned}, by a record of the sealer's that is not sealed"
        verdict.doubts.append(what)


def _judge(trust: Trust, stream: str, sealers: Mapping[str, Said]) -> Judge:
    told = trust.told.get(stream, [])
    points = sorted([*trust.points.get(stream, []), *told], key=lambda p: (p.size, not p.local))
    return Judge(
        points,
        trust.leaves.get(stream),
        sealing=bool(trust.streams),
        told=max((p.size for p in told), default=0),
        records=_cadence(trust, said.node(stream), sealers)[1],
    )


def _cadence(trust: Trust, node: str, sealers: Mapping[str, Said]) -> tuple[float, int]:
    """After how many seconds, and how many records, a node's sealer signs."""
    sealed = max((p.size for p in trust.points.get(said.own_stream(node), [])), default=0)
    return sealers.get(node, Said()).cadence(sealed)


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


LATE_SECONDS = 10.0
"""How late an honest sealer may be, on a busy machine; or half of its period, where that is what it waits for."""


def _uncovered(
    trust: Trust, found: Sequence[Checked], held: Collection[str], sealers: Mapping[str, Said], *, sealed: bool
) -> None:
    """Name the records that are under no checkpoint though a sealer had the time, or though none is at hand at all.

    It signs after the seconds, or the records, that its own stream says. Whether they were over is said by the newest
    records of the node: those were written while the first one that is not covered waited. One that ended in order left
    nothing. `held`: streams with a live writer, whose newer records the checkpoints that were read before cannot know.
    `sealed`: a sealer wrote here.
    """
    if not sealed and not trust.streams:
        return  # no sealer: the caller is told that nothing but the chain was checked
    for verdict, judge in found:
        node = said.node(verdict.stream)
        if not trust.streams:
            verdict.uncovered = verdict.records
            continue
        seconds, _ = _cadence(trust, node, sealers)
        newest, first = _newest(trust, node, found, held, sealers), _moment(judge.first_behind)
        late = newest - first > (seconds + max(LATE_SECONDS, seconds / 2)) * 1e6
        if judge.late:  # it came behind the first one, whatever time it bears
            late |= newest - max(first, _moment(judge.late)) > LATE_SECONDS * 1e6
        stopped = node in sealers and sealers[node].stopped and verdict.stream not in held
        if late or stopped:
            verdict.uncovered = judge.behind


def _newest(
    trust: Trust, node: str, found: Sequence[Checked], held: Collection[str], sealers: Mapping[str, Said]
) -> int:
    """When the node was last heard of (Unix us): when the checkpoints were read, at the latest, where it still runs."""
    bodies = [judge.last for verdict, judge in found if said.node(verdict.stream) == node]
    newest = max(map(_moment, [*bodies, sealers.get(node, Said()).last]))
    return min(newest, trust.at) if any(said.node(name) == node for name in held) else newest


def _missing(
    trust: Trust,
    found: Sequence[Checked],
    held: Collection[str],
    sealers: Mapping[str, Said],
    now: Mapping[str, int],
) -> tuple[StreamVerdict, ...]:
    """All verdicts, with one for each stream that has to be there and is not; a sealer's own that is not whole."""
    verdicts = {verdict.stream: verdict for verdict, _ in found}
    there = {name for name, v in verdicts.items() if v.records or not v.sound}
    named = {verdict.stream: judge.named for verdict, judge in found}
    sealed = {name for name, points in trust.points.items() if points}
    for name, why in absent.absent(there, named, sealed, now=now).items():
        verdicts.setdefault(name, StreamVerdict(name)).doubts.append(why)
    for node in sealers:
        others = [
            Untold(v.stream, _moment(judge.first_untold), judge.told, judge.fits)
            for v, judge in found
            if said.node(v.stream) == node and v.stream != said.own_stream(node)
        ]
        if why := absent.untold(others, _newest(trust, node, found, held, sealers)):
            verdicts[said.own_stream(node)].doubts.append(why)
    return tuple(verdicts[name] for name in sorted(verdicts))


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
