"""Which keys and checkpoints are believed: from a seal directory here, and from witnesses' copies elsewhere.

A key that was pinned (`--key`) has to be in the chain of keys. Without one, the list of keys is taken as it lies there:
that shows accidents and clumsy hands, and not an attacker who replaced list, seals and ledger together.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sluice.errors import SluiceError
from sluice.ledger.checkpoint import Checkpoint
from sluice.ledger.note import BadNote, Verifier
from sluice.ledger.segment import Damage, Fault
from sluice.seal import keyring, store
from sluice.seal.keyring import Keyring


class Unchecked(SluiceError):
    """What would be needed for a check is missing or cannot be believed: nothing was shown, either way."""


@dataclass(frozen=True, slots=True)
class Point:
    """A checkpoint that is believed. `local` when it lay beside the ledger, else a witness kept it."""

    size: int
    root: bytes
    local: bool


@dataclass(slots=True)
class Trust:
    """Checkpoints by stream, in order of size, and what was wrong with those that are not believed."""

    ring: Keyring | None = None
    pinned: bool = False
    points: dict[str, list[Point]] = field(default_factory=dict)
    leaves: dict[str, Path] = field(default_factory=dict)
    """Where the leaf hashes of a stream lie (a directory of `seal.store`)."""
    faults: dict[str, list[Damage]] = field(default_factory=dict)
    at: int = 0
    """When the checkpoints were read, Unix us: what a live writer added since is not theirs to cover."""
    seal: Path | None = None
    told: dict[str, list[Point]] = field(default_factory=dict)
    """What the sealer's own stream, in the ledger that is checked, says of the others (`said`)."""

    @property
    def streams(self) -> list[str]:
        return sorted(self.points.keys() | self.faults.keys())

    @property
    def rotated(self) -> dict[str, int]:
        """How far each stream was sealed when the key was last replaced, as both keys signed it."""
        found: dict[str, int] = {}
        for key in self.ring.keys if self.ring else ():
            for name, size in (key.sizes or {}).items():
                found[name] = max(size, found.get(name, 0))
        return found

    def stated(self, stream: str) -> int:
        """How far the sealer says that it sealed a stream, in its own stream or in a rotation of keys."""
        return max([self.rotated.get(stream, 0), *(p.size for p in self.told.get(stream, []))])

    def covered(self, stream: str) -> int:
        """How far the checkpoints beside the ledger go now; a live sealer may have added to those that were read."""
        read = max((p.size for p in self.points.get(stream, []) if p.local), default=0)
        with contextlib.suppress(ValueError, OSError, BadNote):  # read before: here it only adds nothing
            if self.seal and self.ring and (newest := store.newest(self.seal / stream)):
                said = self.ring.checkpoint(newest.note)
                return max(read, said.size if said.stream == stream else 0)
        return read

    def reaches(self, stream: str) -> int:
        """The same of witnesses' copies too."""
        return max([self.covered(stream), *(p.size for p in self.points.get(stream, []))])


def pinned_keys(text: str) -> list[Verifier]:
    """Keys from an option: a vkey, or a file that holds vkeys one a line, or a list of keys. Raises `Unchecked`."""
    path = Path(text)
    try:
        if not path.is_file():
            return [Verifier.parse(text)]
        data = path.read_bytes()
        if data.lstrip().startswith(b"["):
            return [key.verifier for key in keyring.parse(data).keys]
        return [Verifier.parse(line) for line in data.decode("utf-8", "replace").splitlines() if line.strip()]
    except (BadNote, OSError) as e:
        raise Unchecked(f"{text}: {e}") from e


def load(seal: Path | None, witnesses: Sequence[Path] = (), pinned: Sequence[Verifier] = ()) -> Trust:
    """Everything that is believed. Raises `Unchecked` when the keys are not, OSError."""
    trust = Trust(pinned=bool(pinned), at=time.time_ns() // 1000, seal=seal)
    trust.ring = ring([*([seal] if seal else []), *witnesses], pinned)
    if seal:
        _collect(trust, seal, local=True)
    for witness in witnesses:
        _collect(trust, witness, local=False)
    for points in trust.points.values():
        points.sort(key=lambda p: (p.size, not p.local))
    return trust


def ring(places: Sequence[Path], pinned: Sequence[Verifier]) -> Keyring | None:
    """The longest chain of keys that is consistent in itself and holds a pinned key, else the pinned key alone.

    Raises `Unchecked`, OSError.
    """
    rings = []
    for place in places:
        try:
            if found := keyring.read(place):
                rings.append(found.trusting(pinned) if pinned else found)
        except BadNote as e:
            raise Unchecked(f"{place / keyring.FILE}: {e}") from e
    if rings:
        return max(rings, key=lambda one: len(one.keys))
    return keyring.single(pinned[0]) if pinned else None


def _collect(trust: Trust, directory: Path, *, local: bool) -> None:
    for place in store.streams(directory):
        stream = place.name
        points = trust.points.setdefault(stream, [])
        for name, note in _notes(trust, place):
            said = _believed(trust, stream, name, note)
            if said:
                points.append(Point(said.size, said.root, local))
        if local and (place / store.LEAVES).is_file():
            trust.leaves[stream] = place


def _notes(trust: Trust, place: Path) -> list[tuple[str, str]]:
    """Every note that lies there, each once."""
    notes: dict[str, str] = {}
    try:
        for number, sealed in enumerate(store.history(place), start=1):
            notes.setdefault(sealed.note, f"{store.HISTORY}:{number}")
    except ValueError as e:
        _fault(trust, place.name, store.HISTORY, str(e))
    if (place / store.LATEST).is_file():
        notes.setdefault((place / store.LATEST).read_text("utf-8", "replace"), store.LATEST)
    return [(name, note) for note, name in notes.items()]


def _believed(trust: Trust, stream: str, name: str, note: str) -> Checkpoint | None:
    if trust.ring is None:
        raise Unchecked("there are checkpoints and no key to check them with: name it with --key")
    try:
        said = trust.ring.checkpoint(note)
        if said.stream != stream:
            raise BadNote(f"a checkpoint of stream {said.stream}")
    except BadNote as e:
        _fault(trust, stream, name, str(e))
        return None
    return said


def _fault(trust: Trust, stream: str, name: str, what: str) -> None:
    trust.faults.setdefault(stream, []).append(Damage(stream, name, 0, 0, Fault.SEAL, what))
