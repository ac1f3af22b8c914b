"""Signed notes: a text, a blank line, and one Ed25519 signature a line. Pure.

    note      = text, "\\n", signature line+
    signature = "— " name " " base64(key id 4, signature 64)
    key id    = SHA-256(name, "\\n", 0x01, public key)[:4]
    vkey      = name "+" hex(key id) "+" base64(0x01, public key)

Source: C2SP signed-note, https://c2sp.org/signed-note.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from sluice.errors import SluiceError

LARGEST_BYTES = 1_000_000
MOST_SIGNATURES = 100
_ED25519 = b"\x01"
_DASH = "\N{EM DASH} "


class BadNote(SluiceError):
    """A text that is no signed note, or is signed by none of the keys that were named, or wrongly by one of them."""


def named(name: str) -> bool:
    """Whether a text can be the name of a key."""
    return bool(name) and name.isascii() and not any(c.isspace() or c == "+" for c in name)


@dataclass(frozen=True, slots=True)
class Verifier:
    """A public key (32 bytes) under a name."""

    name: str
    public: bytes

    @property
    def id(self) -> bytes:
        return sha256(self.name.encode() + b"\n" + _ED25519 + self.public).digest()[:4]

    def __str__(self) -> str:
        """The key as a text to hand out (vkey)."""
        return f"{self.name}+{self.id.hex()}+{b64(_ED25519 + self.public)}"

    @staticmethod
    def parse(text: str) -> Verifier:
        """A key from its text. Raises `BadNote`."""
        name, _, rest = text.strip().partition("+")
        key_id, _, coded = rest.partition("+")
        try:
            key = unb64(coded)
        except ValueError as e:
            raise BadNote(f"not a verifier key such as `name+0123abcd+AQID...`: {e}") from e
        made = Verifier(name, key[1:])
        if not named(name) or len(key) != 33 or key[:1] != _ED25519 or made.id.hex() != key_id:
            raise BadNote("not an Ed25519 verifier key such as `name+0123abcd+AQID...`")
        return made

    def renamed(self, name: str) -> Verifier:
        """The same key as it signs under another name: checkpoints are signed in the name of their origin."""
        return Verifier(name, self.public)


@dataclass(frozen=True, slots=True)
class Signer:
    """A private key under a name."""

    name: str
    private: Ed25519PrivateKey

    @property
    def verifier(self) -> Verifier:
        return Verifier(self.name, self.private.public_key().public_bytes_raw())


def sign(text: str, *signers: Signer) -> str:
    """The note of a text. Raises `BadNote` for a text that no note can hold."""
    if not text.endswith("\n") or "\n\n" in text or any(ord(c) < 32 and c != "\n" for c in text):
        raise BadNote("the text of a note is whole lines without control characters, none of them empty")
    lines = [
        f"{_DASH}{s.name} {b64(s.verifier.id + s.private.sign(text.encode()))}\n" for s in signers if named(s.name)
    ]
    if not signers or len(lines) != len(signers):
        raise BadNote("a note needs signers, with names that have neither blanks nor `+`")
    return f"{text}\n{''.join(lines)}"


def opened(note: str, verifiers: Sequence[Verifier]) -> tuple[str, list[Verifier]]:
    """The text of a note and which of these keys signed it: at least one. Raises `BadNote`.

    Signatures by other keys are passed over; a wrong signature in the name of a key that is known refuses the note.
    """
    text, signatures = _parts(note)
    known = {(v.name, v.id): v for v in verifiers}
    found: list[Verifier] = []
    for name, raw in signatures:
        verifier = known.get((name, raw[:4]))
        if verifier is None or verifier in found:
            continue
        try:
            Ed25519PublicKey.from_public_bytes(verifier.public).verify(raw[4:], text.encode())
        except (InvalidSignature, ValueError) as e:
            raise BadNote(f"the signature of {name} does not fit the text") from e
        found.append(verifier)
    if not found:
        raise BadNote("signed by none of the keys that are trusted")
    return text, found


def _parts(note: str) -> tuple[str, list[tuple[str, bytes]]]:
    if len(note) > LARGEST_BYTES:
        raise BadNote("too long for a signed note")
    head, blank, tail = note.rpartition("\n\n")
    lines = tail.split("\n")
    if not blank or lines.pop() or not lines or len(lines) > MOST_SIGNATURES:
        raise BadNote("not a signed note: text, an empty line, signatures")
    signatures = []
    for line in lines:
        name, _, coded = line.removeprefix(_DASH).partition(" ")
        try:
            raw = unb64(coded)
        except ValueError as e:
            raise BadNote("a signature line that is none") from e
        if not line.startswith(_DASH) or len(raw) < 5:
            raise BadNote("a signature line that is none")
        signatures.append((name, raw))
    return head + "\n", signatures


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def unb64(text: str) -> bytes:
    """Base 64 in its one right spelling. Raises ValueError: of two spellings of the same bytes one would be a change
    that nothing shows."""
    try:
        data = base64.b64decode(text.encode("ascii"), validate=True)
    except (UnicodeEncodeError, binascii.Error) as e:
        raise ValueError("not base 64") from e
    if b64(data) != text:
        raise ValueError("not base 64 in its right spelling")
    return data
