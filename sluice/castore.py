"""The directory of the CA, `var/ca`: who may read it, how it is written, and what makes it unfit for use.

    ca.key           private key, 0600; signs leaf certificates and nothing else
    ca.pem           its certificate, then those above it when the site's PKI issued it
    next.key, .pem   a staged successor: exported so that clients can be prepared, not used yet
    previous.pem     certificates of the CAs before this one, exported until they are retired

Files are written to a temporary name, flushed, then renamed, under a lock: two first starts make one CA, and an
activation that a crash cut short is finished by whoever comes next. Anything doubtful is `Misconfigured`, with the
remedy.
"""

from __future__ import annotations

import datetime as dt
import fcntl
import os
import socket
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from sluice import certificate, durable
from sluice.certificate import SigningKey
from sluice.config import Ca
from sluice.errors import Misconfigured, Problem

KEY, CERTIFICATE = "ca.key", "ca.pem"
NEXT_KEY, NEXT_CERTIFICATE = "next.key", "next.pem"
PREVIOUS = "previous.pem"

type Clock = Callable[[], float]


@contextmanager
def locked(directory: Path, *, create: bool) -> Iterator[None]:
    """One process at a time, and only in a directory that nobody else can enter. Finishes what a crash left."""
    if create:
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as e:
            raise Misconfigured(Problem(str(directory), None, f"cannot be made: {e.strerror}")) from e
    elif not directory.is_dir():
        raise Misconfigured(Problem(str(directory), None, "there is no CA here; `sluice ca init` makes one"))
    _private(directory, "chmod 700")
    try:
        handle = os.open(directory / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, durable.SHARED)
    except OSError as e:
        raise Misconfigured(Problem(str(directory), None, f"cannot be written: {e.strerror}")) from e
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        _finish_activation(directory)
        yield
    finally:
        os.close(handle)


@contextmanager
def reading(directory: Path) -> Iterator[None]:
    """What `locked` is for whoever only hands out certificates, which are public: the supervisor, where the CA is the
    workers' (`sluice.accounts`). Nothing is made or finished."""
    try:
        handle = os.open(directory / ".lock", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError as e:
        raise Misconfigured(Problem(str(directory), None, "there is no CA here; `sluice ca init` makes one")) from e
    except OSError as e:
        raise Misconfigured(Problem(str(directory), None, f"cannot be read: {e.strerror}")) from e
    try:
        fcntl.flock(handle, fcntl.LOCK_SH)
        yield
    finally:
        os.close(handle)


def present(directory: Path) -> bool:
    """Whether there is a CA, complete or not: what is incomplete is for a person to look at, never overwritten."""
    return (directory / CERTIFICATE).exists() or (directory / KEY).exists()


def make(directory: Path, settings: Ca, clock: Clock, node: str) -> None:
    """Write `next.key` and `next.pem`."""
    key = certificate.new_key()
    made = certificate.authority(
        key,
        organisation=settings.organisation,
        node=node or socket.gethostname(),
        years=settings.years,
        at=dt.datetime.fromtimestamp(clock(), dt.UTC),
    )
    encoded = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    durable.write(directory / NEXT_KEY, encoded, 0o600)
    durable.write(directory / NEXT_CERTIFICATE, pem([made]), 0o644)


def promote(directory: Path) -> None:
    """`next.*` become `ca.*`: certificate first, so that a crash in between is known by the key that does not fit."""
    (directory / NEXT_CERTIFICATE).replace(directory / CERTIFICATE)
    durable.flush_directory(directory)
    (directory / NEXT_KEY).replace(directory / KEY)
    durable.flush_directory(directory)


def _finish_activation(directory: Path) -> None:
    """After a crash inside `promote`: `ca.pem` is the new certificate and its key still lies in `next.key`."""
    if not ((directory / CERTIFICATE).is_file() and (directory / NEXT_KEY).is_file()):
        return
    if (directory / NEXT_CERTIFICATE).exists():
        return
    if _fits(certificates(directory / CERTIFICATE)[0], _private_key(directory / NEXT_KEY)):
        (directory / NEXT_KEY).replace(directory / KEY)
        durable.flush_directory(directory)


def load(directory: Path, clock: Clock, *, expired_ok: bool = False) -> tuple[list[x509.Certificate], SigningKey]:
    """Certificate (and those above it) and key in force. Raises `Misconfigured` for whatever is wrong with them."""
    path = directory / CERTIFICATE
    found = certificates(path)
    key = _private_key(directory / KEY)
    first = found[0]
    if not _fits(first, key):
        raise Misconfigured(
            Problem(str(path), None, f"is not the certificate of {KEY}; restore the pair from a backup, or remove both")
        )
    if (what := _unfit(first)) is not None:
        raise Misconfigured(Problem(str(path), None, what))
    now = dt.datetime.fromtimestamp(clock(), dt.UTC)
    if not expired_ok and now >= first.not_valid_after_utc:
        what = f"expired on {first.not_valid_after_utc:%Y-%m-%d}; `sluice ca rotate --now` makes and uses another"
        raise Misconfigured(Problem(str(path), None, what))
    if now < first.not_valid_before_utc:
        what = f"is not valid before {first.not_valid_before_utc:%Y-%m-%d %H:%M} UTC; is this machine's clock right?"
        raise Misconfigured(Problem(str(path), None, what))
    return found, key


def _unfit(issuer: x509.Certificate) -> str | None:
    """Why clients would refuse what this certificate signs; None when they would not."""
    try:
        basic = issuer.extensions.get_extension_for_class(x509.BasicConstraints).value
        usage = issuer.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound as e:
        return f"lacks the extension {e.oid._name}; a CA certificate needs basicConstraints and keyUsage"
    if not basic.ca:
        return "is not a CA certificate (basicConstraints CA:FALSE)"
    return None if usage.key_cert_sign else "must not sign certificates (keyUsage lacks keyCertSign)"


def certificates(path: Path) -> list[x509.Certificate]:
    """The certificates of a PEM file, in its order; at least one. Raises `Misconfigured`."""
    try:
        return x509.load_pem_x509_certificates(path.read_bytes())
    except OSError as e:
        raise Misconfigured(Problem(str(path), None, f"cannot be read: {e.strerror}")) from e
    except ValueError as e:
        raise Misconfigured(Problem(str(path), None, "holds no readable PEM certificate")) from e


def optional(path: Path) -> list[x509.Certificate]:
    """The certificates of a file that need not exist."""
    return certificates(path) if path.is_file() else []


def _private_key(path: Path) -> SigningKey:
    _private(path, "chmod 600")
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except OSError as e:
        raise Misconfigured(Problem(str(path), None, f"cannot be read: {e.strerror}")) from e
    except (ValueError, TypeError) as e:  # TypeError: encrypted
        raise Misconfigured(Problem(str(path), None, "holds no readable unencrypted PEM private key")) from e
    if isinstance(key, ec.EllipticCurvePrivateKey) or (isinstance(key, rsa.RSAPrivateKey) and key.key_size >= 2048):
        return key
    raise Misconfigured(Problem(str(path), None, "must be an elliptic-curve key, or RSA of at least 2048 bits"))


def _private(path: Path, remedy: str) -> None:
    """Raises `Misconfigured` when others than the owner may read, write or enter."""
    try:
        found = path.stat()
    except OSError as e:
        raise Misconfigured(Problem(str(path), None, f"cannot be read: {e.strerror}")) from e
    # With accounts of their own (then the set-group-ID bit is there) the group sees the certificates, and never a key.
    theirs = 0o027 if stat.S_ISDIR(found.st_mode) and found.st_mode & stat.S_ISGID else 0o077
    if found.st_mode & theirs:
        mode = stat.S_IMODE(found.st_mode)
        raise Misconfigured(Problem(str(path), None, f"is open to others (mode {mode:04o}); run `{remedy} {path}`"))
    for_account = os.geteuid() == 0 and (path if path.is_dir() else path.parent).stat().st_mode & stat.S_ISGID
    if found.st_uid not in (os.geteuid(), 0) and not for_account:
        raise Misconfigured(Problem(str(path), None, f"belongs to user {found.st_uid}, not to the one running Sluice"))


def _fits(issuer: x509.Certificate, key: SigningKey) -> bool:
    return certificate.spki_sha256(issuer.public_key()) == certificate.spki_sha256(key.public_key())


def anchor(chain: list[x509.Certificate]) -> x509.Certificate:
    """What clients trust: our own CA, or the top of the chain that the site's PKI gave."""
    return chain[-1]


def pem(many: Sequence[x509.Certificate]) -> bytes:
    """PEM, one after the other."""
    return b"".join(c.public_bytes(serialization.Encoding.PEM) for c in many)
