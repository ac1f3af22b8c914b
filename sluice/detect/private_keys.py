"""Private keys in text: the block is decoded and parsed, so that a key is told from its beginning, a sample or garbage.

Nothing is ever tested mathematically (primes, points on curves): that costs a thousand times as much and says nothing
more about a leak. Each parse is of one candidate of at most some kilobytes, and the scan's budget counts it. Sources:
RFC 7468, 5958, 8017, 5915 (PEM and what is in it, by the library `cryptography`); OpenSSH PROTOCOL.key; RFC 9580
(PGP); PuTTY, appendix C. Pure functions, and nothing raises on any text.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from collections.abc import Iterator
from enum import Enum
from hashlib import sha1, sha256

from cryptography.exceptions import InternalError, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_der_private_key

from sluice.detect import secrets

MOST = 8_192
"""Bytes of the longest key that is parsed: RSA with 16,384 bits."""


class State(Enum):
    """What a block holds: a whole key, one under a passphrase, or something that does not parse (cut off, made up)."""

    WHOLE = "whole"
    ENCRYPTED = "encrypted"
    BROKEN = "broken"


_FRAME = re.compile(r"-----[^-]*-----")
_HEADER = re.compile(r"[A-Za-z-]{4,12}: [^\n\\]*")
_BREAK = re.compile(r"\\+[nrt]|[^A-Za-z0-9+/=]+")
"""Between the lines of a block: real or escaped line breaks, indentation, quotes and commas of code."""
_LEGACY = re.compile(r"DEK-Info: ?[A-Z0-9-]{3,20},([0-9A-Fa-f]{16,32})")
"""RFC 1421, 4.6.1.3: the cipher and its first block, in front of a body that is no structure."""


def body(text: str) -> str:
    """The base64 of a PEM block, without its frame, headers and line breaks, as far as its padding."""
    return _BREAK.sub("", _HEADER.sub("", _FRAME.sub("", text)))


def pem(text: str) -> State:
    """What a PEM block holds whose first line names a private key."""
    raw = decoded(body(text))
    if raw is None or not 24 <= len(raw) <= MOST:
        return State.BROKEN
    if "ENCRYPTED" in text[:120] and _LEGACY.search(text):
        return State.ENCRYPTED if len(raw) % 8 == 0 and len(raw) >= 48 else State.BROKEN
    if raw.startswith(_OPENSSH):
        return openssh(raw[len(_OPENSSH) :])
    length = _der(raw)
    if length is None or length > len(raw):
        return State.BROKEN
    powers = _of_powers(raw[:length])
    if powers is not None:
        return powers
    try:
        load_der_private_key(raw[:length], None, unsafe_skip_rsa_key_validation=True)
    except TypeError:
        return State.ENCRYPTED  # the library asks for the password before it does any work with one
    except (ValueError, UnsupportedAlgorithm, OverflowError, InternalError):
        return State.BROKEN
    return State.WHOLE


def decoded(text: str) -> bytes | None:
    """Base64, padded or not; None when it is none."""
    text, _, _ = text.partition("=")
    if len(text) % 4 == 1:
        return None
    try:
        return binascii.a2b_base64(text + "=" * (-len(text) % 4))
    except binascii.Error:
        return None


def _der(raw: bytes) -> int | None:
    """The length of the sequence at the beginning of `raw`, its head and all (X.690)."""
    if raw[0] != 0x30:
        return None
    if raw[1] < 0x80:
        return 2 + raw[1]
    size = raw[1] & 0x7F
    return 2 + size + int.from_bytes(raw[2 : 2 + size]) if 1 <= size <= 3 else None


_INTEGER, _OCTETS, _OID, _SEQUENCE = 0x02, 0x04, 0x06, 0x30
_POWERS = {
    bytes.fromhex("2a8648ce380401"): 3,  # id-dsa, RFC 3279, 2.3.2: p, q, g
    bytes.fromhex("2a864886f70d010301"): 2,  # dhKeyAgreement, PKCS #3: p, g
    bytes.fromhex("2a8648ce3e0201"): 3,  # dhpublicnumber, RFC 3279, 2.3.3: p, g, q
}
"""Algorithms whose public half is a power of g, and how many numbers their parameters have at least."""


def _of_powers(raw: bytes) -> State | None:
    """What a DSA or Diffie-Hellman key holds, by its structure; None for any other key.

    The library would compute g^x for it, with numbers that whoever wrote the text has chosen: seconds, in which nothing
    else runs.
    """
    outer = _inside(raw)
    items = _inside(outer[0][1]) if outer and outer[0][0] == _SEQUENCE else None
    if items is None:
        return None
    tags = [tag for tag, _ in items]
    if tags == [_INTEGER] * 6:  # OpenSSL's own form of a DSA key: 0, p, q, g, y, x
        return State.WHOLE if all(content for _, content in items) else State.BROKEN
    if tags[:3] != [_INTEGER, _SEQUENCE, _OCTETS]:
        return None
    algorithm = _inside(items[1][1])
    if not algorithm or algorithm[0][0] != _OID or algorithm[0][1] not in _POWERS:
        return None
    numbers = _inside(algorithm[1][1]) if len(algorithm) > 1 and algorithm[1][0] == _SEQUENCE else None
    secret = _inside(items[2][1])
    if not numbers or not secret or len(numbers) < _POWERS[algorithm[0][1]]:
        return State.BROKEN
    whole = all(tag == _INTEGER and content for tag, content in (*numbers[:2], secret[0]))
    return State.WHOLE if whole else State.BROKEN


def _inside(raw: bytes) -> list[tuple[int, bytes]] | None:
    """Tag and content of one after the other (X.690, definite lengths); None when it is none or does not end well."""
    found: list[tuple[int, bytes]] = []
    at = 0
    while at < len(raw):
        if at + 2 > len(raw):
            return None
        tag, size, at = raw[at], raw[at + 1], at + 2
        if size >= 0x80:
            width = size & 0x7F
            if not 1 <= width <= 3 or at + width > len(raw):
                return None
            size, at = int.from_bytes(raw[at : at + width]), at + width
        if at + size > len(raw):
            return None
        found.append((tag, raw[at : at + size]))
        at += size
    return found


# ---------------------------------------------------------------------------------------------------- OpenSSH

_OPENSSH = b"openssh-key-v1\0"


class _Short(Exception):
    """Not an error: the bytes end before the structure does."""


def _strings(raw: bytes) -> Iterator[bytes]:
    """The strings of RFC 4251, 5, one after the other, then what is left."""
    at = 0
    while True:
        size = int.from_bytes(raw[at : at + 4])
        if at + 4 > len(raw) or at + 4 + size > len(raw):
            raise _Short
        yield raw[at + 4 : at + 4 + size]
        at += 4 + size


def openssh(raw: bytes) -> State:
    """What stands behind the magic of `openssh-key-v1`: cipher, kdf and its options, one key, public and private."""
    try:
        head = _strings(raw)
        cipher, kdf, options = next(head), next(head), next(head)
        at = 12 + len(cipher) + len(kdf) + len(options)
        if int.from_bytes(raw[at : at + 4]) != 1:
            return State.BROKEN
        keys = _strings(raw[at + 4 :])
        public, private = next(keys), next(keys)
        kind = next(_strings(public))
    except _Short:
        return State.BROKEN
    if not kind.startswith((b"ssh-", b"ecdsa-sha2-", b"sk-ssh-", b"sk-ecdsa-")) or len(private) % 8:
        return State.BROKEN
    if cipher != b"none":
        return State.ENCRYPTED if kdf == b"bcrypt" and len(options) >= 8 else State.BROKEN
    try:  # two equal numbers that only a right decryption shows, then the kind once more
        same = len(private) >= 16 and private[:4] == private[4:8] and next(_strings(private[8:])) == kind
    except _Short:
        return State.BROKEN
    return State.WHOLE if same else State.BROKEN


# ---------------------------------------------------------------------------------------------------- PGP

_ALGORITHMS = frozenset({1, 2, 3, 16, 17, 18, 19, 22, 25, 26, 27, 28})
"""RFC 9580, 9.1."""


def pgp(text: str) -> State:
    """What an armoured block holds: its first packet is a whole secret key (RFC 9580, 5.5.3). The CRC-24 behind it is
    not computed: no writer has to give one any more."""
    raw = decoded(body(text))
    if raw is None or len(raw) < 24 or not raw[0] & 0x80:
        return State.BROKEN
    tag = raw[0] & 0x3F if raw[0] & 0x40 else raw[0] >> 2 & 0x0F
    sized = _packet(raw)
    if tag != 5 or sized is None or sized[0] + sized[1] > len(raw) or sized[1] < 8:
        return State.BROKEN
    version, algorithm = raw[sized[0]], raw[sized[0] + 5]
    return State.WHOLE if version in {4, 5, 6} and algorithm in _ALGORITHMS else State.BROKEN


def _packet(raw: bytes) -> tuple[int, int] | None:
    """Where the body of the first packet begins and how long it is (RFC 9580, 4.2)."""
    if raw[0] & 0x40:
        first = raw[1]
        if first < 192:
            return 2, first
        if first < 224:
            return 3, ((first - 192) << 8) + raw[2] + 192
        return (6, int.from_bytes(raw[2:6])) if first == 255 else None
    width = (1, 2, 4, 0)[raw[0] & 3]
    return (1 + width, int.from_bytes(raw[1 : 1 + width])) if width else None


# ---------------------------------------------------------------------------------------------------- PuTTY, age

_PUTTY = re.compile(r"PuTTY-User-Key-File-([23]): ([a-z0-9@.-]{1,60})")
_MAC = re.compile(r"Private-(?:MAC|Hash): ([0-9a-f]{40,64})")
_COUNT = re.compile(r"[0-9]{1,4}")
_DERIVATION = 8
"""Most lines between the halves: Key-Derivation and four of Argon2."""


def putty(text: str, behind: str) -> State:
    """What a PuTTY key file holds; `behind` is the text after the value, where its MAC stands.

    An open key's MAC is computed: over kind, encryption, comment and both halves, under a key that is no secret then.
    """
    whole = re.sub(r"\\+n", "\n", (text + behind[:120]).replace("\r", "").replace("\\r", ""))
    lines = [line for part in whole.split("\n") if (line := part.strip())]
    first = _PUTTY.fullmatch(lines[0]) if lines else None
    if first is None or len(lines) < 7:
        return State.BROKEN
    version, kind = first.groups()
    encryption, comment = _field(lines[1], "Encryption"), _field(lines[2], "Comment")
    rows = _number(_field(lines[3], "Public-Lines"))
    if not encryption or comment is None or rows is None:
        return State.BROKEN
    at = 4 + rows
    behind_public = lines[at : at + _DERIVATION]
    skipped = next((i for i, line in enumerate(behind_public) if line.startswith("Private-Lines:")), None)
    count = _number(_field(behind_public[skipped], "Private-Lines")) if skipped is not None else None
    if skipped is None or count is None:
        return State.BROKEN
    begin = at + skipped + 1
    mac = _MAC.match(lines[begin + count]) if begin + count < len(lines) else None
    public, private = decoded("".join(lines[4:at])), decoded("".join(lines[begin : begin + count]))
    if not public or not private or mac is None or public[4 : 4 + len(kind)] != kind.encode():
        return State.BROKEN
    if encryption != "none":
        return State.ENCRYPTED if len(private) % 16 == 0 else State.BROKEN
    parts = (kind.encode(), b"none", comment.encode("utf-8", "replace"), public, private)
    data = b"".join(len(p).to_bytes(4) + p for p in parts)
    if version == "3":
        right = hmac.new(b"", data, sha256).hexdigest()
    else:
        secret = sha1(b"putty-private-key-file-mac-key", usedforsecurity=False).digest()
        right = hmac.new(secret, data, "sha1").hexdigest()
    return State.WHOLE if hmac.compare_digest(right, mac[1]) else State.BROKEN


def _field(line: str, name: str) -> str | None:
    """What stands behind `name:`; None for another line."""
    found, colon, value = line.partition(":")
    return value.strip() if colon and found == name else None


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and _COUNT.fullmatch(text) else None


def age(text: str) -> State:
    """An age identity is Bech32 in capitals."""
    return State.WHOLE if secrets.bech32(text) else State.BROKEN


def wireguard(text: str) -> bool:
    """True when 32 bytes of base64 are a key as `wg genkey` makes them: clamped as X25519 wants it (RFC 7748, 5)."""
    try:
        raw = base64.b64decode(text)
    except ValueError:
        return False
    return len(raw) == 32 and not raw[0] & 7 and raw[31] & 0xC0 == 0x40
