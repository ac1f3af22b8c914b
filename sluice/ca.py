"""The deployment's own certificate authority: made on first start, kept in `var/ca`, rotated in steps.

    ca.key         private key, 0600; signs leaf certificates and nothing else
    ca.pem         its certificate, then those above it when the site's PKI issued it (see certs/README.md)
    next.key, .pem a staged successor: exported with the current one so that clients can be prepared, not used yet
    previous.pem   certificates of the CAs before this one, exported until `retire`

Rules of this room
- A leaf has the key of its `Authority` instance, made in memory, one per worker and day, so that the key in every
  handshake is worth a day of one worker. The CA's key never meets a client.
- Anything doubtful about the files (mismatch, open permissions, expiry) stops the start and says what to do.
- Files are written to a temporary name, flushed, then renamed, under a lock: two first starts make one CA, and an
  activation that a crash cut short is finished by the next start.
"""

from __future__ import annotations

import datetime as dt
import fcntl
import os
import socket
import stat
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from sluice import certificate
from sluice.certificate import SigningKey
from sluice.config import Ca
from sluice.errors import Cause, Misconfigured, Problem, Unavailable

KEY, CERTIFICATE = "ca.key", "ca.pem"
NEXT_KEY, NEXT_CERTIFICATE = "next.key", "next.pem"
PREVIOUS = "previous.pem"

LEAF_KEY_SECONDS = 86_400.0
LEAF_CACHE = 1024
"""Leaves kept: about 2 KB each. Clients name hosts freely, so the number must have an end."""
REFRESH_BELOW = 0.25
"""Share of a leaf's life below which it is minted anew, so that no client meets one about to expire."""

type Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Leaf:
    """A server certificate for one set of names, its key, and what must be sent beside it (nothing, for our own CA)."""

    cert: x509.Certificate
    key: ec.EllipticCurvePrivateKey = field(repr=False)
    chain: tuple[x509.Certificate, ...] = ()


@dataclass(frozen=True, slots=True)
class Info:
    """What there is to know of a CA certificate. Fingerprints are lower-case hex; `key` is None for one of the past."""

    subject: str
    serial: str
    sha256: str
    spki_sha256: str
    not_before: dt.datetime
    not_after: dt.datetime
    days_left: int
    certificate: Path
    key: Path | None
    created: bool = False
    staged: Info | None = None
    previous: tuple[Info, ...] = ()


class Authority:
    """Signs leaves for the names that clients ask for. Thread-safe; one per worker."""

    def __init__(
        self,
        issuer: x509.Certificate,
        key: SigningKey,
        chain: Sequence[x509.Certificate] = (),
        *,
        leaf_days: int = 7,
        clock: Clock = time.time,
    ) -> None:
        self.certificate = issuer
        self.chain = tuple(chain)
        self._key = key
        self._life = dt.timedelta(days=leaf_days)
        self._clock = clock
        self._lock = threading.Lock()
        self._leaves: OrderedDict[tuple[str, ...], tuple[Leaf, float]] = OrderedDict()
        self._leaf_key = certificate.new_key()
        self._leaf_key_at = clock()

    @classmethod
    def load_or_create(cls, directory: Path, settings: Ca, clock: Clock = time.time, *, node: str = "") -> Authority:
        """The CA of `directory`, made now when there is none. Raises `Misconfigured` when it must not be used."""
        with _locked(directory, create=True):
            if not _present(directory):
                _make(directory, settings, clock, node)
                _promote(directory)
            certificates, key = _load(directory, clock)
        own_root = certificates[0].issuer == certificates[0].subject
        return cls(certificates[0], key, () if own_root else certificates, leaf_days=settings.leaf_days, clock=clock)

    def leaf(self, names: Sequence[str]) -> Leaf:
        """A certificate for host names and IP addresses, from the cache or minted now.

        Raises ValueError for a name that no certificate should hold, `Unavailable` when the CA has expired.
        """
        wanted = tuple(dict.fromkeys(certificate.canonical(name) for name in names))
        if not wanted:
            raise ValueError("a leaf needs at least one name")
        with self._lock:
            now = self._clock()
            if now - self._leaf_key_at >= LEAF_KEY_SECONDS:
                self._leaf_key = certificate.new_key()
                self._leaf_key_at = now
                self._leaves.clear()
            if (kept := self._leaves.get(wanted)) and now < kept[1]:
                self._leaves.move_to_end(wanted)
                return kept[0]
            leaf, refresh_at = self._mint(wanted, now)
            self._leaves[wanted] = (leaf, refresh_at)
            self._leaves.move_to_end(wanted)
            while len(self._leaves) > LEAF_CACHE:
                self._leaves.popitem(last=False)
            return leaf

    def _mint(self, names: tuple[str, ...], now: float) -> tuple[Leaf, float]:
        at = dt.datetime.fromtimestamp(now, dt.UTC).replace(microsecond=0)
        until = min(at + self._life, self.certificate.not_valid_after_utc)
        if until <= at:
            raise Unavailable(Cause.INTERNAL, "the CA certificate has expired; see `sluice ca rotate`")
        cert = certificate.leaf(self.certificate, self._key, self._leaf_key.public_key(), names, at=at, until=until)
        life = (until - at).total_seconds()
        return Leaf(cert, self._leaf_key, self.chain), now + life * (1 - REFRESH_BELOW)


# ------------------------------------------------------------------------------------------ what the command line does


def init(directory: Path, settings: Ca, *, node: str = "") -> Info:
    """Make the CA unless there is one; `created` says which. Raises `Misconfigured` for files that must not be used."""
    with _locked(directory, create=True):
        created = not _present(directory)
        if created:
            _make(directory, settings, time.time, node)
            _promote(directory)
        return _info(directory, created=created)


def show(directory: Path) -> Info:
    """The CA in force, its staged successor and the ones before it. Raises `Misconfigured` when there is none."""
    with _locked(directory, create=False):
        return _info(directory)


def export(
    directory: Path, form: Literal["pem", "der"], which: Literal["bundle", "current", "next"] = "bundle"
) -> bytes:
    """What clients must trust. `bundle` (pem): the current CA, the staged one and those not yet retired.

    `der` holds one certificate: the current one, or the staged one with `next`. Raises `Misconfigured` when the
    asked one does not exist.
    """
    with _locked(directory, create=False):
        current = _anchor(_certificates(directory / CERTIFICATE))
        staged = _certificates(directory / NEXT_CERTIFICATE) if (directory / NEXT_CERTIFICATE).is_file() else []
        previous = _certificates(directory / PREVIOUS) if (directory / PREVIOUS).is_file() else []
    if which == "next" and not staged:
        raise Misconfigured(Problem(str(directory / NEXT_CERTIFICATE), None, "nothing is staged"))
    chosen = {"bundle": [current, *staged, *previous], "current": [current], "next": staged}[which]
    if form == "der":
        return chosen[0].public_bytes(serialization.Encoding.DER)
    return b"".join(c.public_bytes(serialization.Encoding.PEM) for c in chosen)


def stage(directory: Path, settings: Ca, *, node: str = "") -> Info:
    """Make the successor, without using it: export it, bring it to the clients, then `activate`.

    Raises `Misconfigured` when one is staged already (clients may hold it: it is not replaced silently).
    """
    with _locked(directory, create=False):
        _load(directory, time.time, expired_ok=True)
        if (directory / NEXT_CERTIFICATE).exists():
            raise Misconfigured(
                Problem(
                    str(directory / NEXT_CERTIFICATE), None, "a successor is staged already; activate it, or delete it"
                )
            )
        _make(directory, settings, time.time, node)
        return _info(directory)


def activate(directory: Path) -> Info:
    """Put the staged CA in force. Workers use it from their next start; the old certificate stays in the bundle.

    Raises `Misconfigured` when nothing is staged.
    """
    with _locked(directory, create=False):
        if not ((directory / NEXT_CERTIFICATE).is_file() and (directory / NEXT_KEY).is_file()):
            raise Misconfigured(
                Problem(str(directory / NEXT_CERTIFICATE), None, "nothing is staged; run the stage step")
            )
        old = directory / CERTIFICATE
        anchors = [_anchor(_certificates(old))]
        if (directory / PREVIOUS).is_file():
            anchors += [c for c in _certificates(directory / PREVIOUS) if c not in anchors]
        _write(directory / PREVIOUS, _pem(anchors), 0o644)
        _promote(directory)
        return _info(directory)


def rotate(directory: Path, settings: Ca, *, node: str = "") -> Info:
    """Both steps at once, for a key that may be known to others: clients fail until they trust the new certificate."""
    if show(directory).staged is None:
        stage(directory, settings, node=node)
    return activate(directory)


def retire(directory: Path) -> Info:
    """Drop the CAs before the current one from the bundle, once no client needs them."""
    with _locked(directory, create=False):
        (directory / PREVIOUS).unlink(missing_ok=True)
        _flush_directory(directory)
        return _info(directory)


# --------------------------------------------------------------------------------------------------- the files


@contextmanager
def _locked(directory: Path, *, create: bool) -> Iterator[None]:
    """One process at a time, and only in a directory that nobody else can enter. Finishes what a crash left."""
    if create:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    elif not directory.is_dir():
        raise Misconfigured(Problem(str(directory), None, "there is no CA here; `sluice ca init` makes one"))
    _private(directory, "chmod 700")
    try:
        handle = os.open(directory / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as e:
        raise Misconfigured(Problem(str(directory), None, f"cannot be written: {e.strerror}")) from e
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        _finish_activation(directory)
        yield
    finally:
        os.close(handle)


def _present(directory: Path) -> bool:
    return (directory / CERTIFICATE).exists() or (directory / KEY).exists()


def _make(directory: Path, settings: Ca, clock: Clock, node: str) -> None:
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
    _write(directory / NEXT_KEY, encoded, 0o600)
    _write(directory / NEXT_CERTIFICATE, _pem([made]), 0o644)


def _promote(directory: Path) -> None:
    """`next.*` become `ca.*`: certificate first, so that a crash in between is known by the key that does not fit."""
    (directory / NEXT_CERTIFICATE).replace(directory / CERTIFICATE)
    _flush_directory(directory)
    (directory / NEXT_KEY).replace(directory / KEY)
    _flush_directory(directory)


def _finish_activation(directory: Path) -> None:
    """After a crash inside `_promote`: `ca.pem` is the new certificate and its key still lies in `next.key`."""
    if not ((directory / CERTIFICATE).is_file() and (directory / NEXT_KEY).is_file()):
        return
    if (directory / NEXT_CERTIFICATE).exists():
        return
    if _fits(_certificates(directory / CERTIFICATE)[0], _private_key(directory / NEXT_KEY)):
        (directory / NEXT_KEY).replace(directory / KEY)
        _flush_directory(directory)


def _load(directory: Path, clock: Clock, *, expired_ok: bool = False) -> tuple[list[x509.Certificate], SigningKey]:
    """Certificate (and those above it) and key in force. Raises `Misconfigured` for whatever is wrong with them."""
    path = directory / CERTIFICATE
    certificates = _certificates(path)
    key = _private_key(directory / KEY)
    first = certificates[0]
    if not _fits(first, key):
        raise Misconfigured(
            Problem(str(path), None, f"is not the certificate of {KEY}; restore the pair from a backup, or remove both")
        )
    if (what := _unfit(first)) is not None:
        raise Misconfigured(Problem(str(path), None, what))
    now = dt.datetime.fromtimestamp(clock(), dt.UTC)
    if not expired_ok and now >= first.not_valid_after_utc:
        what = f"expired on {first.not_valid_after_utc:%Y-%m-%d}; `sluice ca rotate --now` makes another"
        raise Misconfigured(Problem(str(path), None, what))
    if now < first.not_valid_before_utc:
        what = f"is not valid before {first.not_valid_before_utc:%Y-%m-%d %H:%M} UTC; is this machine's clock right?"
        raise Misconfigured(Problem(str(path), None, what))
    return certificates, key


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


def _certificates(path: Path) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(path.read_bytes())
    except OSError as e:
        raise Misconfigured(Problem(str(path), None, f"cannot be read: {e.strerror}")) from e
    except ValueError as e:
        raise Misconfigured(Problem(str(path), None, "holds no readable PEM certificate")) from e


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
    if found.st_mode & 0o077:
        mode = stat.S_IMODE(found.st_mode)
        raise Misconfigured(Problem(str(path), None, f"is open to others (mode {mode:04o}); run `{remedy} {path}`"))
    if found.st_uid not in (os.geteuid(), 0):
        raise Misconfigured(Problem(str(path), None, f"belongs to user {found.st_uid}, not to the one running Sluice"))


def _fits(issuer: x509.Certificate, key: SigningKey) -> bool:
    return certificate.spki_sha256(issuer.public_key()) == certificate.spki_sha256(key.public_key())


def _anchor(certificates: list[x509.Certificate]) -> x509.Certificate:
    """What clients trust: our own CA, or the top of the chain that the site's PKI gave."""
    return certificates[-1]


def _pem(certificates: Sequence[x509.Certificate]) -> bytes:
    return b"".join(c.public_bytes(serialization.Encoding.PEM) for c in certificates)


def _write(path: Path, data: bytes, mode: int) -> None:
    """All or nothing, on disk before the name changes."""
    temporary = path.with_name(f".{path.name}.new")
    temporary.unlink(missing_ok=True)
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    _flush_directory(path.parent)


def _flush_directory(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _info(directory: Path, *, created: bool = False) -> Info:
    certificates, _ = _load(directory, time.time, expired_ok=True)
    staged = previous = None
    if (directory / NEXT_CERTIFICATE).is_file():
        staged = _describe(_certificates(directory / NEXT_CERTIFICATE)[0], directory / NEXT_CERTIFICATE, NEXT_KEY)
    if (directory / PREVIOUS).is_file():
        previous = [_describe(c, directory / PREVIOUS, None) for c in _certificates(directory / PREVIOUS)]
    current = _describe(certificates[0], directory / CERTIFICATE, KEY)
    return replace(current, created=created, staged=staged, previous=tuple(previous or ()))


def _describe(found: x509.Certificate, path: Path, key: str | None) -> Info:
    return Info(
        subject=found.subject.rfc4514_string(),
        serial=f"{found.serial_number:x}",
        sha256=found.fingerprint(hashes.SHA256()).hex(),
        spki_sha256=certificate.spki_sha256(found.public_key()),
        not_before=found.not_valid_before_utc,
        not_after=found.not_valid_after_utc,
        days_left=(found.not_valid_after_utc - dt.datetime.now(dt.UTC)).days,
        certificate=path,
        key=path.with_name(key) if key else None,
    )
