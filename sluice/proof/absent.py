"""Which streams have to be there: those that others name.

    a stream that was sealed             names the sealer's own stream of its node, which names all others
    the start record of a process        names the streams that the appliance keeps (`slots`)
    the sealer's own stream              is as new as the seals are: it says within a time how far it sealed the others

So whole streams cannot be taken away with the sealer's own and all their checkpoints while one of the others is left,
nor can the sealer's own be put back to what it was before it named them. What is missing is no proof of a crime: an
appliance whose second worker never came up has no stream of it. The answer is "could not be checked".
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from sluice.ledger.record import BadRecord, decode
from sluice.proof.said import node, own_stream
from sluice.seal import SLOT

START_SECONDS = 60.0
"""What the processes of an appliance need for their first start: so long a stream may be named and not there."""
STANDING_SECONDS = 660.0
"""The sealer says every 600 s how far it sealed what went on, and at once for a stream that is new."""


class _Slots(msgspec.Struct):
    slots: list[int] = []


_slots = msgspec.json.Decoder(_Slots)


@dataclass(slots=True)
class Named:
    """The slots that the start records of one stream name, each with when it did so first (Unix us)."""

    slots: dict[int, int] = field(default_factory=dict)

    def start(self, body: bytes) -> None:
        """One start record."""
        with contextlib.suppress(BadRecord, msgspec.MsgspecError):
            record = decode(body)
            for slot in _slots.decode(record.control_detail or "").slots:
                self.slots.setdefault(slot, record.ts_received or 0)


def absent(
    there: Collection[str], named: Mapping[str, Named], sealed: Collection[str], *, now: Mapping[str, int]
) -> dict[str, str]:
    """The streams that are not there and have to be, each with why. `now`: where a stream is still being written, until
    when its node was looked at: what it named just then may be about to be made."""
    found: dict[str, str] = {}
    for name in sorted({*there, *named}):
        own = own_stream(node(name))
        if name in sealed and own not in there:
            found[own] = f"the sealer's own stream is not there, and {name} was sealed: others may be missing with it"
    for name, one in sorted(named.items()):
        for slot, at in sorted(one.slots.items()):
            other = f"{node(name)}-w{slot}"
            if other not in there and at < now.get(name, 1 << 63) - START_SECONDS * 1e6:
                own = "the sealer's own stream" if slot == SLOT else "it"
                found.setdefault(other, f"{own} is not there, and the start record of {name} names it")
    return found


@dataclass(frozen=True, slots=True)
class Untold:
    """A stream that was sealed further than the sealer says: since when (Unix us), and how far it says."""

    stream: str
    since: int
    told: int
    sealed: int


def untold(streams: Sequence[Untold], end: int) -> str:
    """What is missing in the sealer's own stream, which had until `end` (Unix us) to say how far it sealed these; empty
    when nothing is."""
    for one in streams:
        wait = STANDING_SECONDS if one.told else START_SECONDS
        if one.sealed > one.told and end - one.since > wait * 1e6:
            what = f"{one.sealed} records of {one.stream} are sealed, and it says so of {one.told}"
            return f"its newest records are missing: {what}"
    return ""
