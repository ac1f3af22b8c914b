"""The private key that signs checkpoints: made on the first start, kept apart from everything a worker opens.

One file `seal-<key id>.key` (PKCS #8 PEM, 0600) for each key; the list of public keys, `var/seal/keys.json`, says which
is in force. The private file comes first and the list second, so that a crash between leaves a file without a meaning.
Whoever signs or replaces a key holds the lock: a rotation can so say how far the old key has sealed.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sluice import durable
from sluice.config import Settings
from sluice.errors import Misconfigured, Problem
from sluice.ledger import checkpoint
from sluice.ledger.note import BadNote, Signer, Verifier, sign
from sluice.seal import keyring, store
from sluice.seal.keyring import Entry, Keyring

LOCK = "lock"


@contextlib.contextmanager
def locked(settings: Settings) -> Iterator[None]:
    """Hold the right to sign. Waits for whoever has it (a round of the sealer, a rotation). Raises `Misconfigured`."""
    try:
        settings.seal_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        fd = os.open(settings.seal_dir / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as e:
        raise Misconfigured(Problem(str(settings.seal_dir), None, f"cannot be written: {e.strerror}")) from e
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def ring(settings: Settings) -> Keyring | None:
    """The public keys; None before the first start. Raises `Misconfigured`."""
    try:
        return keyring.read(settings.seal_dir)
    except (BadNote, OSError) as e:
        raise Misconfigured(Problem(str(settings.seal_dir / keyring.FILE), None, f"{e}; restore it")) from e


def load_or_create(settings: Settings) -> tuple[Keyring, Signer, bool]:
    """Ring and key in force, made when there is none; True when it was made. The caller holds the lock.

    Raises `Misconfigured`: a key that is missing or open to others is never made anew in silence.
    """
    existing = ring(settings)
    if existing is None:
        if store.streams(settings.seal_dir):
            what = "is missing, and there are checkpoints: restore it from a backup or a witness"
            raise Misconfigured(Problem(str(settings.seal_dir / keyring.FILE), None, what))
        made = _made(settings, settings.seal.origin)
        entry = Entry(at=_now(), key=str(made.verifier))
        _write(settings, [entry])
        return keyring.build([entry]), made, True
    return existing, load(settings, existing), False


def load(settings: Settings, existing: Keyring) -> Signer:
    """The private key in force. Raises `Misconfigured`."""
    verifier = existing.current.verifier
    path = _path(settings, verifier)
    try:
        if path.stat().st_mode & 0o077:
            raise Misconfigured(Problem(str(path), None, "is readable by others; run `chmod 600` on it"))
        private = serialization.load_pem_private_key(path.read_bytes(), None)
    except OSError as e:
        raise Misconfigured(Problem(str(path), None, f"the sealing key cannot be read: {e.strerror}")) from e
    except ValueError as e:
        raise Misconfigured(Problem(str(path), None, "is no private key; restore it from a backup")) from e
    if not isinstance(private, Ed25519PrivateKey) or private.public_key().public_bytes_raw() != verifier.public:
        raise Misconfigured(Problem(str(path), None, f"is not the private key of {verifier}"))
    return Signer(verifier.name, private)


def rotate(settings: Settings) -> Keyring:
    """Put a new key in force; what the old one signed so far stays valid. Raises `Misconfigured`."""
    with locked(settings):
        before = ring(settings)
        if before is None:
            raise Misconfigured(Problem(str(settings.seal_dir), None, "there is no key yet; sluice-proxy makes one"))
        old = load(settings, before)
        new = _made(settings, before.name)
        at = max(_now(), before.current.at + 1)
        text = keyring.rotation_text(at, old.verifier, new.verifier, sizes(settings.seal_dir))
        entry = Entry(at=at, key=str(new.verifier), rotation=sign(text, old, new))
        entries = [*before.entries, entry]
        after = keyring.build(entries)
        _write(settings, entries)
        return after


def sizes(directory: Path) -> Mapping[str, int]:
    """How far each stream is sealed, by its newest checkpoint."""
    found = {}
    for stream in store.streams(directory):
        if newest := store.newest(stream):
            found[stream.name] = checkpoint.unverified(newest.note).size
    return found


def _made(settings: Settings, name: str) -> Signer:
    """A new private key, on disk. Its name is the deployment's: given, or made from the key itself."""
    private = Ed25519PrivateKey.generate()
    public = private.public_key().public_bytes_raw()
    signer = Signer(name or f"sluice-{Verifier('', public).id.hex()}", private)
    directory = settings.seal_keys_dir
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = _path(settings, signer.verifier)
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        durable.write(path, pem)
    except OSError as e:
        raise Misconfigured(Problem(str(directory), None, f"a sealing key cannot be made: {e.strerror}")) from e
    return signer


def _path(settings: Settings, verifier: Verifier) -> Path:
    return settings.seal_keys_dir / f"seal-{verifier.id.hex()}.key"


def _write(settings: Settings, entries: list[Entry]) -> None:
    try:
        durable.write(settings.seal_dir / keyring.FILE, keyring.dump(entries), 0o644)
    except OSError as e:
        what = f"the list of keys cannot be written: {e.strerror}"
        raise Misconfigured(Problem(str(settings.seal_dir), None, what)) from e


def _now() -> int:
    return time.time_ns() // 1000
