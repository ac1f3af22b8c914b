"""Where plaintext ends: a value goes in, a keyed fingerprint and at most a mask come out.

A bare hash of a card number or a social security number is undone by trying them all, so every fingerprint is an
HMAC-SHA-256 under a key that is not in the ledger; destroying the key makes the fingerprints meaningless. A purpose
label separates the domains, so that a fingerprint of one kind says nothing about another.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from hashlib import sha256

from sluice.model import Detector, Finding, Provenance, Severity

KEY_BYTES = 16
"""Shortest key accepted: below it the key itself could be searched."""

NORMALISATION = 1
"""Version of `normalised` and `purpose`, for the record: raised when equal values would get other fingerprints."""

_BLOCK_BYTES = 64
_IPAD = bytes(b ^ 0x36 for b in range(256))
_OPAD = bytes(b ^ 0x5C for b in range(256))
_SEPARATORS = re.compile(r"[^0-9A-Za-z]+")


class Fingerprinter:
    """Keyed fingerprints. `key_id` names the key in records, so that a rotation can be seen; it is no secret."""

    __slots__ = ("_inner", "_outer", "key_id")

    def __init__(self, key: bytes, key_id: str) -> None:
        if len(key) < KEY_BYTES:
            raise ValueError(f"the fingerprint key has {len(key)} bytes; at least {KEY_BYTES}")
        # RFC 2104, with both of its keyed beginnings hashed once: a request has several fingerprints, most of short
        # values, and a body of a megabyte is not copied to stand behind its purpose.
        block = (sha256(key).digest() if len(key) > _BLOCK_BYTES else key).ljust(_BLOCK_BYTES, b"\0")
        self._inner, self._outer = sha256(block.translate(_IPAD)), sha256(block.translate(_OPAD))
        self.key_id = key_id

    def __repr__(self) -> str:
        return f"Fingerprinter(key_id={self.key_id!r})"

    def fingerprint(self, purpose: str, value: str | bytes) -> str:
        """HMAC-SHA-256 over `purpose`, NUL, `value`, cut to 16 bytes, as 32 hex characters."""
        data = value if isinstance(value, bytes) else value.encode("utf-8", "surrogatepass")
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(purpose.encode() + b"\0")
        inner.update(data)
        outer.update(inner.digest())
        return outer.digest()[:16].hex()


def purpose(data_class: str) -> str:
    """The domain of a value's fingerprint.

    All secrets share one, with the credential of a request: only so can "the key that leaked in this prompt" and
    "the key that this request authenticates with" be found to be the same. Anything else is its own class.
    """
    return "value:secret" if data_class.startswith("secret.") else f"value:{data_class}"


def normalised(data_class: str, value: str) -> str:
    """The form of a value that a fingerprint is taken of: spelling that does not change the value is removed."""
    if data_class.startswith(("financial.", "government.", "health.")):
        return _SEPARATORS.sub("", value).upper()
    if data_class == "contact.phone":
        return re.sub(r"[^0-9+]+", "", value)
    if data_class == "contact.email" or data_class.startswith("network."):
        return value.lower()
    return value


def _last_four(value: str) -> str:
    return "****" + _SEPARATORS.sub("", value)[-4:]


def _iban(value: str) -> str:
    text = _SEPARATORS.sub("", value).upper()
    return f"{text[:2]}****{text[-4:]}"


MASKS: dict[str, Callable[[str], str]] = {"financial.card": _last_four, "financial.iban": _iban}
"""Classes whose values may leave a hint: PCI DSS 3.4 lets the last four digits be shown. No other class has one."""


def seal(
    detector: Detector,
    value: str,
    fingerprinter: Fingerprinter,
    *,
    pointer: str,
    provenance: Provenance,
    start: int,
    end: int,
    validated: bool | None,
    confidence: float,
    example: bool,
    expires: int | None = None,
) -> Finding:
    """The finding that stands for a confirmed value from here on. An example is informational and never blocks."""
    data_class = detector.data_class
    mask = MASKS.get(data_class)
    return Finding(
        detector=detector.id,
        rev=detector.rev,
        data_class=data_class,
        severity=Severity.INFO if example else detector.severity,
        pointer=pointer,
        start=start,
        end=end,
        validated=validated,
        confidence=confidence,
        fingerprint=fingerprinter.fingerprint(purpose(data_class), normalised(data_class, value)),
        provenance=provenance,
        mask=mask(value) if mask else None,
        example=example,
        status=detector.status,
        regulations=detector.regulations,
        expires=expires,
    )
