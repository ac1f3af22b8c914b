"""Values that a gate must not let out, made up at run time: no file of the repository holds anything like a secret.

They are well-formed (issuer prefixes, checksums, key structure) and none is a documented example, because a detector
may rightly pass over those. All but a private key can be drawn from a
`Random` of the caller's, who then gets the same values again.
"""

from __future__ import annotations

import secrets
import string
import zlib
from random import Random

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

_BASE32 = string.ascii_uppercase + "234567"
_BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase
_BASE64 = string.ascii_letters + string.digits + "+/"
_SYSTEM = secrets.SystemRandom()


def _letters(alphabet: str, count: int, rng: Random) -> str:
    return "".join(rng.choice(alphabet) for _ in range(count))


def aws_access_key(rng: Random = _SYSTEM) -> str:
    """The identifier half of an AWS key pair."""
    return "AKIA" + _letters(_BASE32, 16, rng)


def aws_secret_key(rng: Random = _SYSTEM) -> str:
    """The secret half: 40 characters of base64."""
    return _letters(_BASE64, 40, rng)


def card_number(rng: Random = _SYSTEM) -> str:
    """A Visa number of 16 digits that passes the Luhn check."""
    digits = [int(d) for d in "453957" + _letters(string.digits, 9, rng)]
    doubled = sum(sum(divmod(2 * d, 10)) for d in digits[-1::-2])
    digits.append(-(doubled + sum(digits[-2::-2])) % 10)
    return "".join(map(str, digits))


def ssn(rng: Random = _SYSTEM) -> str:
    """A US social security number that could have been issued: area, group and serial are none of the void ones."""
    return f"{rng.randrange(501, 591)}-{rng.randrange(10, 99)}-{rng.randrange(1000, 9999)}"


def private_key() -> str:
    """A real RSA private key, PEM."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    ).decode()


def github_token(rng: Random = _SYSTEM) -> str:
    """A classic personal access token with its checksum: CRC-32 of the 30 random characters, as six of base 62
    (github.blog, "Behind GitHub's new authentication token formats")."""
    body = _letters(_BASE62, 30, rng)
    rest, checksum = zlib.crc32(body.encode()), ""
    for _ in range(6):
        rest, digit = divmod(rest, 62)
        checksum = _BASE62[digit] + checksum
    return f"ghp_{body}{checksum}"
