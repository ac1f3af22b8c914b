"""The public keys of a deployment: one in force, and those before it, each tied to the next by a signed rotation.

`var/seal/keys.json` is a list, oldest first: {"at": us, "key": vkey, "rotation": signed note or ""}. A rotation is
signed by the old key and by the new one, and says how far the old one had sealed each stream:

    <deployment> key rotation
    at <Unix us>
    old <vkey>
    new <vkey>
    size <stream> <records>

Whoever trusts one key of the chain can therefore trust the others; and a stolen old key signs nothing new.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from sluice.ledger import checkpoint, segment
from sluice.ledger.checkpoint import Checkpoint
from sluice.ledger.note import BadNote, Verifier, opened

FILE = "keys.json"


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One line of the list."""

    at: int
    key: str
    rotation: str = ""


_read = msgspec.json.Decoder(list[Entry])


@dataclass(frozen=True, slots=True)
class Key:
    """A public key, and how far it may sign: None = in force; else the sizes of streams when it was replaced."""

    verifier: Verifier
    at: int
    sizes: Mapping[str, int] | None = None


@dataclass(frozen=True, slots=True)
class Keyring:
    """The keys of one deployment, oldest first."""

    keys: tuple[Key, ...]
    entries: tuple[Entry, ...] = field(default=(), repr=False)

    @property
    def current(self) -> Key:
        return self.keys[-1]

    @property
    def name(self) -> str:
        """The deployment: the name of its keys, and the beginning of every origin."""
        return self.current.verifier.name

    def checkpoint(self, note: str) -> Checkpoint:
        """A checkpoint of this deployment, signed by a key that was in force. Raises `BadNote`."""
        said, by = checkpoint.signed(note, [k.verifier for k in self.keys])
        if said.origin != f"{self.name}/{said.stream}":
            raise BadNote(f"a checkpoint of {said.origin}, which is no stream of {self.name}")
        public = {v.public for v in by}
        for key in self.keys:
            if key.verifier.public in public and (key.sizes is None or said.size <= key.sizes.get(said.stream, 0)):
                return said
        raise BadNote("signed by a key that had been replaced before")

    def trusting(self, pinned: Sequence[Verifier]) -> Keyring:
        """This ring, when one of its keys is among those that are trusted from elsewhere. Raises `BadNote`."""
        if not {k.verifier.public for k in self.keys} & {v.public for v in pinned}:
            raise BadNote("none of the keys in the list is the one that was given")
        return self


def single(verifier: Verifier) -> Keyring:
    """A ring of one key, in force."""
    return Keyring((Key(verifier, 0),))


def rotation_text(at: int, old: Verifier, new: Verifier, sizes: Mapping[str, int]) -> str:
    """What old and new key sign when one follows the other."""
    lines = [f"{old.name} key rotation", f"at {at}", f"old {old}", f"new {new}"]
    return "\n".join([*lines, *(f"size {stream} {size}" for stream, size in sorted(sizes.items()))]) + "\n"


def build(entries: Sequence[Entry]) -> Keyring:
    """The ring of a list, every rotation checked. Raises `BadNote`."""
    if not entries:
        raise BadNote("a list without keys")
    verifiers = [Verifier.parse(entry.key) for entry in entries]
    sizes: list[Mapping[str, int] | None] = []
    for old, new, entry in zip(verifiers, verifiers[1:], entries[1:], strict=False):
        text, by = opened(entry.rotation, [old, new])
        if len(by) != 2 or old.name != new.name:
            raise BadNote("a rotation that only one of its two keys signed")
        said = _sizes(text)
        if text != rotation_text(entry.at, old, new, said):
            raise BadNote("a rotation that says something else than the list")
        sizes.append(said)
    sizes.append(None)
    keys = (Key(v, e.at, s) for v, e, s in zip(verifiers, entries, sizes, strict=True))
    return Keyring(tuple(keys), tuple(entries))


def _sizes(text: str) -> dict[str, int]:
    out: dict[str, int] = {}
    for line in text.splitlines():
        match line.split(" "):
            case ["size", stream, size] if size.isascii() and size.isdigit():
                out[stream] = int(size)
    return out


def read(directory: Path) -> Keyring | None:
    """The ring of a seal directory; None when there is no list. Raises `BadNote`, OSError."""
    try:
        data = segment.content(directory / FILE)
    except FileNotFoundError:
        return None
    return parse(data)


def parse(data: bytes) -> Keyring:
    """The ring of a list's bytes. Raises `BadNote`."""
    try:
        entries = _read.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as e:
        raise BadNote(f"not a list of keys: {e}") from e
    return build(entries)


def dump(entries: Sequence[Entry]) -> bytes:
    return msgspec.json.format(msgspec.json.encode(list(entries), order="sorted"), indent=1) + b"\n"
