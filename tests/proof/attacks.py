"""What an attacker does to a sealed log: with the format known, the files writable, and sometimes the real key."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import groupby
from pathlib import Path

import msgspec

from sluice.ledger import segment
from sluice.ledger.record import GENESIS, leaf_hash, link


def bodies(stream: Path) -> list[bytes]:
    """Every record of a stream, in order."""
    found = []
    for name in segment.segments(stream):
        found += [f.body for f in segment.frames((stream / name).read_bytes())]
    return found


def relay(stream: Path, records: list[bytes]) -> None:
    """Write these records in place of a stream's own: one segment an epoch; names, headers, checksums, count right."""
    head = segment.unpack((stream / segment.segments(stream)[0]).read_bytes())
    for name in segment.segments(stream):
        (stream / name).unlink()
    first, before = link(records[0]).seq if records else 0, head.prev_hash
    for epoch, group in groupby(records, key=lambda body: link(body).epoch):
        part = list(group)
        header = segment.Header(head.node, head.slot, epoch, first, before, head.created)
        data = header.pack() + b"".join(segment.frame(b, first=True) for b in part)
        (stream / segment.file_name(epoch, first)).write_bytes(data)
        first, before = first + len(part), leaf_hash(part[-1])
    (stream / "durable").write_bytes(first.to_bytes(8, "little"))


def rechained(records: list[bytes], start: int = 0) -> list[bytes]:
    """The same records numbered and linked anew from `start` on: a chain that is sound in itself."""
    out = records[:start]
    for i in range(start, len(records)):
        facts = msgspec.json.decode(records[i])
        facts["seq"] = i
        facts["prev_hash"] = leaf_hash(out[-1]).hex() if out else GENESIS
        out.append(msgspec.json.encode(facts, order="sorted"))
    return out


def edited(body: bytes) -> bytes:
    """Another decision in a record, in its canonical form."""
    facts = msgspec.json.decode(body)
    facts["decision"] = "block" if facts.get("decision") == "allow" else "allow"
    return msgspec.json.encode(facts, order="sorted")


type Change = Callable[[list[bytes], int], list[bytes]]


def edit(records: list[bytes], i: int) -> list[bytes]:
    return [*records[:i], edited(records[i]), *records[i + 1 :]]


def delete(records: list[bytes], i: int) -> list[bytes]:
    return records[:i] + records[i + 1 :]


def swap(records: list[bytes], i: int) -> list[bytes]:
    return [*records[:i], records[i + 1], records[i], *records[i + 2 :]]


def duplicate(records: list[bytes], i: int) -> list[bytes]:
    return records[: i + 1] + records[i:]


def insert(records: list[bytes], i: int) -> list[bytes]:
    return [*records[:i], edited(records[i]), *records[i:]]


CHANGES: dict[str, Change] = {"edit": edit, "delete": delete, "swap": swap, "duplicate": duplicate}


def anywhere(records: list[bytes], rng: random.Random) -> int:
    """A record well inside the log."""
    return rng.randrange(2, len(records) - 3)


def number(body: bytes) -> int:
    return link(body).seq
