"""Example texts of a pack: repeat markers expanded the same way every time.

A key that looks real would be stopped by a host's push protection and by other people's scanners, so no pack holds
one. It holds `sk-ant-api03-{b64url*93}AA`, and this file makes the key from the detector's id and the marker's place.

    {alnum*24}  24 characters of a class: digit hex HEX lower upper alpha alnum lowernum uppernum b64 b64url base32
                base32lower
    {github:ghp}      a GitHub token of that prefix with a correct checksum; {github-bad:ghp} with a wrong one
    {npm} {npm-bad}   the same for npm
    {jwt}             a signed-looking JSON web token
    {base64:text}     the text, base64-coded
    {pem:RSA PRIVATE KEY}  a whole PEM block (its body is not a key)
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import string
import zlib

CLASSES = {
    "digit": string.digits,
    "hex": "0123456789abcdef",
    "HEX": "0123456789ABCDEF",
    "lower": string.ascii_lowercase,
    "upper": string.ascii_uppercase,
    "alpha": string.ascii_letters,
    "alnum": string.ascii_letters + string.digits,
    "lowernum": string.ascii_lowercase + string.digits,
    "uppernum": string.ascii_uppercase + string.digits,
    "b64": string.ascii_letters + string.digits + "+/",
    "b64url": string.ascii_letters + string.digits + "-_",
    "base32lower": string.ascii_lowercase + "234567",
    "base32": string.ascii_uppercase + "234567",
}
BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase

_MARKER = re.compile(
    r"\{(?:(?P<cls>" + "|".join(CLASSES) + r")\*(?P<n>\d{1,4})|(?P<gen>github-bad|github|npm-bad|npm|jwt|base64|pem)"
    r"(?::(?P<arg>[^{}]*))?)\}"
)


def expand(text: str, seed: str) -> str:
    """The text with every marker replaced. The same `seed` gives the same text in any process."""
    ordinal = 0

    def replace(match: re.Match[str]) -> str:
        nonlocal ordinal
        ordinal += 1
        key = f"{seed}/{ordinal}"
        if match["cls"]:
            return draw(CLASSES[match["cls"]], int(match["n"]), key)
        return _generate(match["gen"], match["arg"] or "", key)

    return _MARKER.sub(replace, text)


def draw(alphabet: str, count: int, key: str) -> str:
    """`count` characters of an alphabet, from SHA-256 in counter mode over `key`: fixed, and without a pattern."""
    out: list[str] = []
    block = 0
    while len(out) < count:
        stream = hashlib.sha256(f"{key}/{block}".encode()).digest()
        out.extend(alphabet[int.from_bytes(stream[i : i + 2]) % len(alphabet)] for i in range(0, 32, 2))
        block += 1
    return "".join(out[:count])


def checksum62(body: str) -> str:
    """CRC-32 of the random part of a token in base 62, six characters: GitHub's and npm's token format."""
    number = zlib.crc32(body.encode())
    digits = ""
    while number:
        number, rest = divmod(number, 62)
        digits = BASE62[rest] + digits
    return digits.rjust(6, "0")


def _generate(kind: str, argument: str, key: str) -> str:
    alnum = CLASSES["alnum"]
    if kind in {"github", "github-bad", "npm", "npm-bad"}:
        body = draw(alnum, 30, key)
        check = checksum62(body)
        if kind.endswith("-bad"):
            check = check[:-1] + ("a" if check[-1] != "a" else "b")
        return f"{argument or 'npm'}_{body}{check}"
    if kind == "base64":
        return base64.b64encode(argument.encode()).decode()
    if kind == "jwt":
        return ".".join([
            _url64({"alg": "HS256", "typ": "JWT"}),
            _url64({"sub": draw(CLASSES["digit"], 10, key), "name": "A. Person", "iat": 1516239022}),
            draw(CLASSES["b64url"], 43, key + "/s"),
        ])  # fmt: skip
    body = draw(CLASSES["b64"], 64 * 6 + 40, key)
    lines = [body[i : i + 64] for i in range(0, len(body), 64)]
    return "\n".join([f"-----BEGIN {argument}-----", *lines, f"-----END {argument}-----"])


def _url64(value: dict[str, object]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value, separators=(",", ":")).encode()).decode().rstrip("=")
