"""What the sealer of a node put on record in its own stream, which is chained and sealed like the others.

How far the others were sealed and with which roots, what retention took, how often it signs, and that it ended in
order. This is what is left of the seals of a stream where somebody took those away, with the stream or without.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from sluice.config.settings import Seal
from sluice.ledger import reader, segment
from sluice.ledger.note import unb64
from sluice.ledger.record import BadRecord, decode
from sluice.proof.trust import Point
from sluice.seal import PRUNED, SLOT, STANDING


class _Standing(msgspec.Struct):
    streams: dict[str, tuple[int, str]]
    final: bool = False


class _Pruned(msgspec.Struct):
    stream: str
    below_seq: int
    sealed: bool


class _Start(msgspec.Struct):
    seconds: float = Seal().seconds
    records: int = Seal().records


@dataclass(slots=True)
class Said:
    """`told`: what is said of each other stream. `last`: the canonical bytes of the last record."""

    told: dict[str, list[Point]] = field(default_factory=dict)
    last: bytes = b""
    stopped: bool = False
    """It sealed all that there was, said so and ended; nothing was recorded behind that."""
    _pruned: list[tuple[int, str, int]] = field(default_factory=list)
    _cadences: list[tuple[int, _Start]] = field(default_factory=list)
    _final: bool = False

    def take(self, seq: int, kind: str, detail: str) -> None:
        """One record of the stream; nothing where it is not one of ours: the check of that stream says what it is."""
        self.stopped = kind == "stop" and self._final
        self._final = False
        with contextlib.suppress(msgspec.MsgspecError, ValueError):
            if kind == STANDING:
                standing = _standing.decode(detail)
                for name, (size, root) in standing.streams.items():
                    self.told.setdefault(name, []).append(Point(size, unb64(root), local=True))
                self._final = standing.final
            elif kind == PRUNED and (what := _pruned.decode(detail)).sealed:
                self._pruned.append((seq, what.stream, what.below_seq))
            elif kind == "start" and (start := _start.decode(detail)).seconds > 0 < start.records:
                self._cadences.append((seq, start))

    def below(self, stream: str, sealed: int | None = None) -> int:
        """Below which number retention took the records of a stream; `sealed`: by the first so many records alone."""
        return max((b for seq, s, b in self._pruned if s == stream and (sealed is None or seq < sealed)), default=0)

    def cadence(self, sealed: int) -> tuple[float, int]:
        """After how many seconds, and how many records, a checkpoint follows. Believed from a record that is sealed
        itself alone: one that was put in later would excuse whatever is not."""
        believed = [start for seq, start in self._cadences if seq < sealed] or [_Start()]
        return believed[-1].seconds, believed[-1].records


_standing = msgspec.json.Decoder(_Standing)
_pruned = msgspec.json.Decoder(_Pruned)
_start = msgspec.json.Decoder(_Start)


def streams(ledger: Path, node: str = "") -> list[Path]:
    """The sealer's own streams below a ledger directory, or the one of a node."""
    own = [s for s in segment.streams(ledger) if s.name.endswith(f"-w{SLOT}")]
    return [s for s in own if not node or s.name == own_stream(node)]


def own_stream(node: str) -> str:
    """The name of the sealer's own stream of a node."""
    return f"{node}-w{SLOT}"


def node(stream: str) -> str:
    """The node of a stream."""
    return stream.rpartition("-w")[0]


def read(sealers: Sequence[Path]) -> dict[str, Said]:
    """What these streams say, by node; nothing for one that holds no record. Raises OSError."""
    found: dict[str, Said] = {}
    for stream in sealers:
        for entry in reader.read(stream, on_damage=lambda _: None):
            said = found.setdefault(node(stream.name), Said())
            said.last = entry.body
            with contextlib.suppress(BadRecord):
                said.take(entry.seq, entry.link.control_kind, decode(entry.body).control_detail or "")
    return found


def rows(lines: Iterable[bytes]) -> dict[str, Said]:
    """The same of rows out of ClickHouse, in order."""
    found: dict[str, Said] = {}
    for stream, seq, kind, detail in _rows(lines):
        found.setdefault(node(stream), Said()).take(seq, kind, detail)
    return found


def _rows(lines: Iterable[bytes]) -> Iterator[tuple[str, int, str, str]]:
    for line in lines:
        if _OWN not in line:
            continue
        with contextlib.suppress(ValueError, TypeError, AttributeError, KeyError, RecursionError):
            row = json.loads(line)
            if str(row["chain_id"]).endswith(f"-w{SLOT}"):
                yield str(row["chain_id"]), int(row["seq"]), str(row["control_kind"]), str(row["control_detail"])


_OWN = f'-w{SLOT}"'.encode()


def told(said: Iterable[Said]) -> dict[str, list[Point]]:
    """What several sealers say of streams, together."""
    found: dict[str, list[Point]] = {}
    for one in said:
        for name, points in one.told.items():
            found.setdefault(name, []).extend(points)
    return found
