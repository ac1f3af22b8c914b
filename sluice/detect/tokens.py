"""Tokens that say something of themselves: JSON web tokens, signed URLs, and tokens with a checksum of their vendor.

Pure functions of strings, nothing raises on any text, and there is no clock: a token's end is a number here.
"""

from __future__ import annotations

import base64
import binascii
import calendar
import json
import re
import zlib
from typing import NamedTuple
from urllib.parse import unquote

_LATEST = 1 << 40
"""A later moment than this many seconds is not one (or is in milliseconds)."""


class Token(NamedTuple):
    """`signed`: false for `alg: none`. `expires`: seconds since the epoch."""

    signed: bool
    expires: int | None


def jwt(value: str) -> Token | None:
    """RFC 7519, or RFC 7516 with five parts: the header is a JSON object with an algorithm, the payload is one too."""
    head, _, rest = value.partition(".")
    header = _object(head)
    algorithm = header.get("alg") if header else None
    if header is None or not isinstance(algorithm, str):
        return None
    signed = algorithm.lower() != "none"
    if "enc" in header and rest.count(".") == 3:
        return Token(True, None)
    claims = _object(rest.partition(".")[0])
    return None if claims is None else Token(signed, _moment(claims.get("exp")))


def _object(text: str) -> dict[str, object] | None:
    try:
        value = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (ValueError, binascii.Error, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _moment(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < _LATEST:
        return None
    return int(value)


# ---------------------------------------------------------------------------------------------------- signed URLs


class Signed(NamedTuple):
    """`whole`: the signature has its length, and everything that it needs stands beside it."""

    whole: bool
    expires: int | None


_PAIR = re.compile(r"([A-Za-z0-9-]{2,24})=([^&\s\"'<>]{0,2000})")
_AND = re.compile(r"&amp;|\\{1,4}u0026")
_BASIC = re.compile(r"(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z")
_EXTENDED = re.compile(r"(\d{4})-(\d\d)-(\d\d)(?:T(\d\d)(?::|%3[Aa])(\d\d)(?:(?::|%3[Aa])(\d\d))?)?")


def signed_url(value: str) -> Signed | None:
    """The query of an Azure shared access signature, or of a URL signed for Amazon S3 or Google Cloud Storage.

    None when the signature can be none."""
    query = {name.lower(): text for name, text in _PAIR.findall(_AND.sub("&", value))}
    if "sig" in query:
        return _azure(query)
    kind = "x-amz" if "x-amz-signature" in query else "x-goog"
    signature = query.get(f"{kind}-signature", "")
    if len(signature) < 64 or signature.strip("0123456789abcdefABCDEF") or len(set(signature)) < 8:
        return None
    begin = _time(_BASIC.match(query.get(f"{kind}-date", "")))
    lasts = query.get(f"{kind}-expires", "")
    if begin is None or not lasts.isdecimal() or len(lasts) > 9:
        return Signed(False, None)
    return Signed(f"{kind}-credential" in query, begin + int(lasts))


def _azure(query: dict[str, str]) -> Signed | None:
    """Microsoft's `create a service SAS`: an HMAC-SHA-256 in base64, a version, what it allows, and when it ends."""
    try:
        signature = base64.b64decode(unquote(query["sig"]).replace(" ", "+"), validate=True)
    except (ValueError, binascii.Error):
        return Signed(False, None)
    allowed = "sp" in query or "si" in query
    return Signed(len(signature) == 32 and "sv" in query and allowed, _time(_EXTENDED.match(query.get("se", ""))))


def _time(m: re.Match[str] | None) -> int | None:
    if m is None:
        return None
    year, month, day, hour, minute, second = (int(g or 0) for g in m.groups())
    if not (year >= 1970 and 1 <= month <= 12 and 1 <= day <= 31 and hour < 24 and minute < 60 and second < 62):
        return None
    return calendar.timegm((year, month, day, hour, minute, second))


# ---------------------------------------------------------------------------------------------------- checksums

_ROUTABLE = re.compile(r"(gl[a-z]{2,8}-([A-Za-z0-9_-]{27,300})\.0[0-9a-z]\.([0-9a-z]{2}))([0-9a-z]{7})")
_BASE36 = "0123456789abcdefghijklmnopqrstuvwxyz"


def gitlab(value: str) -> bool | None:
    """True when the CRC-32 of a routable token holds: base 36, over all that stands before it, prefix and all. None for
    a token of another form. Source: GitLab's handbook, Cells, Routable tokens."""
    m = _ROUTABLE.fullmatch(value)
    if m is None:
        return None
    number, digits = zlib.crc32(m[1].encode()), ""
    while number:
        number, rest = divmod(number, 36)
        digits = _BASE36[rest] + digits
    return int(m[3], 36) == len(m[2]) and digits.rjust(7, "0") == m[4]


def grafana(value: str) -> bool:
    """True when the CRC-32 of a service account token holds: hexadecimal, little-endian, over all before the last `_`.
    Source: Grafana, pkg/components/satokengen."""
    body, _, check = value.rpartition("_")
    return zlib.crc32(body.encode()).to_bytes(4, "little").hex() == check


def aws_account(key_id: str) -> int | None:
    """The account that an access key id was issued in: forty bits of it. None when it cannot be one. Ids that begin in
    `AKIAI` or `AKIAJ` are older than this form. Never shown: it tells whose account it is."""
    body = key_id[4:]
    if len(body) != 16 or body[0] in "IJ":
        return None
    try:
        raw = base64.b32decode(body)
    except (ValueError, binascii.Error):
        return None
    account = (int.from_bytes(raw[:6]) & 0x7FFFFFFFFF80) >> 7
    return account if account < 10**12 else None


def discord(value: str) -> bool:
    """True when the first part of a bot's token is its number in base64 (a snowflake: 17 to 20 digits)."""
    head = value.partition(".")[0]
    try:
        number = base64.urlsafe_b64decode(head + "=" * (-len(head) % 4))
    except (ValueError, binascii.Error):
        return False
    return number.isdigit() and 17 <= len(number) <= 20
