"""The deployment's own certificate authority: made on first start, signs leaves, rotated in steps.

Rules of this room
- A leaf has the key of its `Authority` instance, made in memory, one per worker and day, so that the key in every
  handshake is worth a day of one worker. The CA's key never meets a client.
- A new CA is staged before it is used: `stage` makes it, `export` gives both certificates to whoever prepares the
  clients, `activate` puts it in force at the next start, `retire` ends the overlap (`certs/README.md`).
- What the files are and when they are unfit: `castore`. What certificates look like: `certificate`.
"""

from __future__ import annotations

import datetime as dt
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from copy import replace
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from sluice import castore, certificate, durable, metrics
from sluice.certificate import SigningKey
from sluice.config import Ca
from sluice.errors import Cause, Misconfigured, Problem, Unavailable
from sluice.targets import normalise_host

LEAF_KEY_SECONDS = 86_400.0
LEAF_CACHE = 1024
"""Leaves kept: about 2 KB each. Clients name hosts freely, so the number must have an end."""
REFRESH_BELOW = 0.25
"""Share of a leaf's life below which it is minted anew, so that no client meets one about to expire."""

WARN_DAYS = 30
"""Time to stage a successor and bring it to every client."""

logger = logging.getLogger("sluice.ca")


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
        clock: castore.Clock = time.time,
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
    def load_or_create(
        cls, directory: Path, settings: Ca, clock: castore.Clock = time.time, *, node: str = ""
    ) -> Authority:
        """The CA of `directory`, made now when there is none. Raises `Misconfigured` when it must not be used."""
        with castore.locked(directory, create=True):
            if not castore.present(directory):
                castore.make(directory, settings, clock, node)
                castore.promote(directory)
            (issuer, *above), key = castore.load(directory, clock)
        chain = () if issuer.issuer == issuer.subject else (issuer, *above)
        end = issuer.not_valid_after_utc.timestamp()
        metrics.CA_NOT_AFTER.set(end)
        if (days := int((end - clock()) // 86_400)) < WARN_DAYS:
            logger.warning("the CA certificate ends soon; see `sluice ca rotate`", extra={"facts": {"days_left": days}})
        return cls(issuer, key, chain, leaf_days=settings.leaf_days, clock=clock)

    @property
    def sha256(self) -> str:
        """Fingerprint of the certificate that signs, lower-case hex."""
        return self.certificate.fingerprint(hashes.SHA256()).hex()

    def leaf(self, names: Sequence[str]) -> Leaf:
        """A certificate for host names and IP addresses, from the cache or minted now.

        Raises ValueError for what is not a host (wildcards included), `Unavailable` when the CA has expired.
        """
        wanted = tuple(dict.fromkeys(normalise_host(name) for name in names))
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
    with castore.locked(directory, create=True):
        created = not castore.present(directory)
        if created:
            castore.make(directory, settings, time.time, node)
            castore.promote(directory)
        return _info(directory, created=created)


def show(directory: Path) -> Info:
    """The CA in force, its staged successor and the ones before it. Raises `Misconfigured` when there is none."""
    with castore.locked(directory, create=False):
        return _info(directory)


def export(
    directory: Path, form: Literal["pem", "der"], which: Literal["bundle", "current", "next"] = "bundle"
) -> bytes:
    """What clients must trust. `bundle` (pem): the current CA, the staged one and those not yet retired.

    `der` holds one certificate: the current one, or the staged one with `next`. Raises `Misconfigured` when the
    asked one does not exist.
    """
    with castore.reading(directory):
        current = [castore.anchor(castore.certificates(directory / castore.CERTIFICATE))]
        staged = castore.optional(directory / castore.NEXT_CERTIFICATE)
        previous = castore.optional(directory / castore.PREVIOUS)
    if which == "next" and not staged:
        raise Misconfigured(Problem(str(directory / castore.NEXT_CERTIFICATE), None, "nothing is staged"))
    chosen = {"bundle": [*current, *staged, *previous], "current": current, "next": staged}[which]
    if form == "der":
        return chosen[0].public_bytes(serialization.Encoding.DER)
    return castore.pem(chosen)


def sha256(directory: Path) -> str:
    """Fingerprint of the certificate in force, lower-case hex. Raises `Misconfigured` when there is none."""
    with castore.reading(directory):
        return castore.certificates(directory / castore.CERTIFICATE)[0].fingerprint(hashes.SHA256()).hex()


def stage(directory: Path, settings: Ca, *, node: str = "") -> Info:
    """Make the successor without using it: export it, bring it to the clients, then `activate`.

    Raises `Misconfigured` when one is staged already (clients may hold it: it is not replaced silently).
    """
    with castore.locked(directory, create=False):
        castore.load(directory, time.time, expired_ok=True)
        staged = directory / castore.NEXT_CERTIFICATE
        if staged.exists():
            raise Misconfigured(Problem(str(staged), None, "a successor is staged already; activate it, or delete it"))
        castore.make(directory, settings, time.time, node)
        return _info(directory)


def activate(directory: Path) -> Info:
    """Put the staged CA in force. Workers use it from their next start; the old certificate stays in the bundle.

    Raises `Misconfigured` when nothing is staged.
    """
    with castore.locked(directory, create=False):
        _activate(directory)
        return _info(directory)


def rotate(directory: Path, settings: Ca, *, node: str = "") -> Info:
    """Stage (unless staged already) and activate at once, for a key that may be known to others.

    Clients fail until they trust the new certificate; `retire` then takes the old one out of the bundle.
    """
    with castore.locked(directory, create=False):
        castore.load(directory, time.time, expired_ok=True)
        if not (directory / castore.NEXT_CERTIFICATE).exists():
            castore.make(directory, settings, time.time, node)
        _activate(directory)
        return _info(directory)


def retire(directory: Path) -> Info:
    """Drop the CAs before the current one from the bundle, once no client needs them.

    Raises `Misconfigured` when there are none: whoever meant to activate first should learn of it.
    """
    with castore.locked(directory, create=False):
        past = directory / castore.PREVIOUS
        if not past.exists():
            raise Misconfigured(Problem(str(past), None, "there is nothing to retire: no CA before the current one"))
        past.unlink()
        durable.flush_directory(directory)
        return _info(directory)


def _activate(directory: Path) -> None:
    staged = directory / castore.NEXT_CERTIFICATE
    if not (staged.is_file() and (directory / castore.NEXT_KEY).is_file()):
        raise Misconfigured(Problem(str(staged), None, "nothing is staged; `sluice ca rotate` makes a successor first"))
    anchors = [castore.anchor(castore.certificates(directory / castore.CERTIFICATE))]
    anchors += [c for c in castore.optional(directory / castore.PREVIOUS) if c not in anchors]
    durable.write(directory / castore.PREVIOUS, castore.pem(anchors), 0o644)
    castore.promote(directory)


def _info(directory: Path, *, created: bool = False) -> Info:
    chain, _ = castore.load(directory, time.time, expired_ok=True)
    successor, past = directory / castore.NEXT_CERTIFICATE, directory / castore.PREVIOUS
    staged = [_describe(c, successor, castore.NEXT_KEY) for c in castore.optional(successor)]
    return replace(
        _describe(chain[0], directory / castore.CERTIFICATE, castore.KEY),
        created=created,
        staged=staged[0] if staged else None,
        previous=tuple(_describe(c, past, None) for c in castore.optional(past)),
    )


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
