"""Checks of keys, passwords and wallets: structure, checksums, and what only looks like one.

Pure functions of a candidate: no clock, and nothing raises on any text. `CHECKS` is what packs may name.
"""

from __future__ import annotations

import base64
import binascii
import re
from itertools import pairwise

from sluice.detect import passwords, private_keys, secrets, tokens
from sluice.detect.examples import checksum62
from sluice.detect.verdicts import EXAMPLE, FAIL, PASS, UNPROVED, Candidate, Validator, Verdict


def _github_crc32(c: Candidate) -> Verdict:
    """GitHub's and npm's tokens: the last six characters are a CRC-32, in base 62, of the thirty before."""
    body = c.value.rpartition("_")[2]
    return PASS if len(body) == 36 and checksum62(body[:30]) == body[30:] else FAIL


def _jwt(c: Candidate) -> Verdict:
    """RFC 7519: header and payload are JSON objects, and the header names an algorithm that signs or encrypts."""
    token = tokens.jwt(c.value)
    return FAIL if token is None or not token.signed else Verdict(True, expires=token.expires)


def _github_jwt(c: Candidate) -> Verdict:
    """An installation token of GitHub's newer form: prefix, number of the app, and a signed JSON web token."""
    token = tokens.jwt(c.value.partition("_")[2].partition("_")[2])
    return FAIL if token is None or not token.signed else Verdict(True, expires=token.expires)


def _jwt_unsigned(c: Candidate) -> Verdict:
    """RFC 7519, 6: `alg` is `none`, so that anybody can write such a token."""
    token = tokens.jwt(c.value)
    return FAIL if token is None or token.signed else Verdict(True, expires=token.expires)


def _pem(c: Candidate) -> Verdict:
    """RFC 7468: a key in the open. What stands there may also be its beginning alone: found, and not proved."""
    state = private_keys.pem(c.value)
    if state is private_keys.State.WHOLE:
        return PASS
    sealed = state is private_keys.State.ENCRYPTED or "Proc-Type: 4,ENCRYPTED" in c.value
    return FAIL if sealed else _armoured(c)


def _pem_encrypted(c: Candidate) -> Verdict:
    """A key under a passphrase: PKCS #8, the headers of RFC 1421, or OpenSSH's own."""
    state = private_keys.pem(c.value)
    if state is private_keys.State.ENCRYPTED:
        return PASS
    sealed = "BEGIN ENCRYPTED" in c.value or "Proc-Type: 4,ENCRYPTED" in c.value
    return _armoured(c) if sealed and state is private_keys.State.BROKEN else FAIL


def _pgp(c: Candidate) -> Verdict:
    return PASS if private_keys.pgp(c.value) is private_keys.State.WHOLE else _armoured(c)


def _putty(c: Candidate) -> Verdict:
    state = private_keys.putty(c.value, c.text[c.end : c.end + 120])
    if state is not private_keys.State.BROKEN:
        return PASS
    return EXAMPLE if passwords.placeholder(c.value.rpartition("Private-Lines")[2]) else UNPROVED


def _age(c: Candidate) -> Verdict:
    return PASS if private_keys.age(c.value) is private_keys.State.WHOLE else UNPROVED


def _wireguard(c: Candidate) -> Verdict:
    """A key made by `wg genkey` is clamped; one of `wg genpsk` need not be."""
    return PASS if private_keys.wireguard(c.value) else UNPROVED


def _armoured(c: Candidate) -> Verdict:
    """Between the lines stands base64 of at least a short key, not an ellipsis."""
    body = private_keys.body(c.value)
    if passwords.placeholder(body):
        return EXAMPLE
    return UNPROVED if len(body) >= 40 and len(set(body)) > 8 else FAIL


def _gitlab(c: Candidate) -> Verdict:
    """GitLab's routable tokens end in a CRC-32; older ones are random characters."""
    if (checked := tokens.gitlab(c.value)) is not None:
        return PASS if checked else UNPROVED
    return _keylike(c)


def _grafana(c: Candidate) -> Verdict:
    return PASS if tokens.grafana(c.value) else UNPROVED


def _discord(c: Candidate) -> Verdict:
    return PASS if tokens.discord(c.value) else UNPROVED


def _signed_url(c: Candidate) -> Verdict:
    """The query of a signed URL: a signature of the right length, and when it ends."""
    query = tokens.signed_url(c.value)
    return FAIL if query is None else Verdict(True, expires=query.expires, proved=query.whole)


def entropy(minimum: str) -> Validator:
    floor = float(minimum)

    def validator(c: Candidate) -> Verdict:
        if passwords.entropy(c.value) >= floor:
            return PASS
        return EXAMPLE if passwords.sequence(c.value) else FAIL

    return validator


def _not_placeholder(c: Candidate) -> Verdict:
    return EXAMPLE if passwords.placeholder(c.value) else PASS


_PREFIX = re.compile(r"(?:[A-Za-z]{1,10}\d{0,2}[-_.])+")


def _keylike(c: Candidate) -> Verdict:
    """A key of random characters: letters and digits mixed, no words. For formats known by their prefix alone.

    What stands there in place of one (`gsk_abcdefgh...`, `hvb.AAAA...`) is an example."""
    prefix = _PREFIX.match(c.value)
    body = c.value[prefix.end() :] if prefix else c.value
    mixed = any(ch.isdigit() for ch in body) and any(ch.isalpha() for ch in body)
    if (mixed or passwords.scrambled(body)) and len(set(body)) >= 6 and not passwords.wordlike(body):
        return PASS
    whole = re.split(r"[-_.]", c.value, maxsplit=1)[-1]  # one random key in thirty of 20 characters has no digit
    odd = len(whole) >= 16 and passwords.kinds(whole) >= 2 and passwords.unheard(whole)
    if odd and len(set(whole)) >= 10 and not passwords.wordlike(whole):
        return PASS
    return EXAMPLE if passwords.sequence(body) else FAIL


def _called(c: Candidate) -> bool:
    """True when the value goes on as a call or a subscript: it is code, not a value."""
    return c.text[c.end : c.end + 1] in {"(", "["}


def _password(c: Candidate) -> Verdict:
    if passwords.reference(c.value) or _called(c):
        return FAIL
    if passwords.placeholder(c.value):
        return EXAMPLE
    return PASS if passwords.password(c.value) else FAIL


_FINGERPRINT = re.compile(r"(?:0x)?(?:[0-9A-F]{40}|[0-9A-F]{64})")
_SIGNING = re.compile(r"(?i)(?:sign(?:ing|ed)?|gpg|pgp|upstream|maintainer)[ _-]{1,3}key[s:]?\s{1,3}$")


def _token(c: Candidate) -> Verdict:
    if passwords.reference(c.value) or _called(c):
        return FAIL
    if _FINGERPRINT.fullmatch(c.value) and _SIGNING.search(c.before(40)):
        return FAIL  # the fingerprint of a public key, as changelogs name it (RFC 9580, 5.5.4)
    if passwords.placeholder(c.value):
        return EXAMPLE
    if passwords.token(c.value):
        return PASS
    return EXAMPLE if passwords.sequence(c.value) else FAIL


_NAME = re.compile(
    r"(?i)([a-z][a-z0-9_.-]{1,48}?)[_. -]?key[_-]?\d?\\{0,3}[\"'`]?\]?\s{0,4}[:=>]{1,2}\s{0,4}\\{0,3}[\"'`]?$"
)
_ATTRIBUTE = re.compile(r"""(?i)\s(?:key|data-key)=\\{0,3}["'`]$""")
"""`<add key="..." value=...>`: the name of something, in markup."""
_NO_CREDENTIAL = re.compile(
    r"(?i)pub|prim|foreign|cach|sort|partition|group|hash|range|index|row|object|storage|bucket|s3|file|path|idempot"
    r"|i18n|transl|local|messag|lookup|map|dict|json|query|state|item|node|cell|field|col|table|registry|parent|unique"
    r"|natural|host|known|finger|gpg|pgp|ssh|vapid|site|anon|publish|event|metric|trace|route|entry|data|attr|prop|param"
    r"|label|tag|type|name|sub|next|last|first|start|end|min|max|prev|page|cursor|feature|flag|dedup|merge|shard"
    r"|(?:^|[_.-])(?:id|uid|uuid|a|k|on|tur|mon|don|hoc|joc|mic)$"
)
"""Keys that open nothing, and words that only end in `key`."""


def _named_key(c: Candidate) -> Verdict:
    """`acme_key = ...`: made by a machine, under a name that says whose key it is and not what it is the key of."""
    name = None if _ATTRIBUTE.search(c.before(12)) else _NAME.search(c.before(80))
    if name is None or _NO_CREDENTIAL.search(name[1]) or passwords.reference(c.value) or _called(c):
        return FAIL
    if passwords.placeholder(c.value):
        return EXAMPLE
    plain = re.fullmatch(r"[0-9a-fA-F-]+", c.value) is not None  # a digest or an identifier as well
    return PASS if not plain and secrets.random(c.value) and passwords.token(c.value) else FAIL


def _api_address(c: Candidate) -> Verdict:
    """The address that a value stands in is one of an API."""
    return PASS if "api" in re.split(r"[\s\"'<>`]", c.before(240))[-1].lower() else FAIL


def _jenkins_secret(c: Candidate) -> Verdict:
    """What Jenkins writes between braces: base64 that begins with the version of its format, or a token."""
    if c.value.startswith("AQAAABAAAA"):
        return PASS
    if passwords.placeholder(c.value) or passwords.sequence(c.value):
        return EXAMPLE
    mixed = any(x.isdigit() for x in c.value) and any(x.isalpha() for x in c.value)
    return PASS if mixed and not passwords.wordlike(c.value) and passwords.entropy(c.value) >= 3.0 else FAIL


def _coded_text(c: Candidate) -> Verdict:
    """Base64 of text with a secret in it, or of bytes that are none: what a Secret of Kubernetes keeps."""
    try:
        text = base64.b64decode(c.value, validate=True).decode("utf-8")
    except UnicodeDecodeError:
        return PASS if len(c.value) >= 24 and passwords.token(c.value) else FAIL
    except ValueError:
        return FAIL
    if not text.isprintable() and "\n" not in text:
        return FAIL
    if passwords.placeholder(text) or passwords.reference(text):
        return EXAMPLE
    return PASS if passwords.password(text.strip()) or len(text) >= 24 else FAIL


def _short_token(c: Candidate) -> Verdict:
    """Ten to fifteen letters and digits that take turns: too short for `token`, too odd for a name."""
    turns = sum(a.isdigit() != b.isdigit() for a, b in pairwise(c.value))
    odd = turns >= 4 and len(set(c.value)) >= 8 and sum(x.isdigit() for x in c.value) >= 3
    if not odd or passwords.sequence(c.value) or re.fullmatch(r"[0-9a-fA-F]+", c.value):
        return FAIL
    return EXAMPLE if passwords.placeholder(c.value) else PASS


def _url_password(c: Candidate) -> Verdict:
    """The password inside `scheme://user:password@host`: a reference is none, a placeholder is an example.

    `postgres:postgres`, a password that is the user's name, is the default of a container image: an example too.
    """
    user, secret = "", c.value
    if "://" in c.value:
        user, _, secret = c.value.partition("://")[2].rpartition("@")[0].partition(":")
    words = re.sub(r"%20|\+", "", secret)
    if words != secret and words.isalpha() and words.islower():
        return EXAMPLE  # `a%20secret`: how documentation shows that a password is quoted
    if not secret or secret[0] in "$<{[(*" or "{" in secret or "$" in secret[:2] or re.fullmatch(r"%\w+%?", secret):
        return FAIL
    lowered = secret.lower()
    if lowered == user.lower() or lowered in {
        "password",
        "pass",
        "passwd",
        "pwd",
        "secret",
        "user",
        "pw",
        "xxx",
        "***",
    }:
        return EXAMPLE
    if secret.isalpha() and secret.islower() and _SAMPLE_HOST.search(c.value):
        return EXAMPLE
    return EXAMPLE if passwords.placeholder(secret) else PASS


_SAMPLE_HOST = re.compile(
    r"@(?:[\w.-]*\.)?(?:example(?:\.[a-z]{2,4})?|host(?:name)?|server|proxyhost|domain(?:\.com)?)(?:[:/?]|$)"
)
"""RFC 2606 and what documentation writes: a word before such a host is no password."""


def _connection_password(c: Candidate) -> Verdict:
    """The password inside `...;Password=...` or `...&password=...`, judged as `url_password` does."""
    _, _, secret = c.value.rpartition("=")
    return _url_password(Candidate(secret, c.text, c.end - len(secret), c.end))


def _oracle_login(c: Candidate) -> Verdict:
    """The password inside `user/password@host`: a placeholder, or the user's name, is none."""
    user, _, secret = c.value.rpartition("@")[0].rpartition("/")
    named = re.split(r"[:\s\"']", user)[-1].lower() == secret.lower()
    return FAIL if named or passwords.placeholder(secret) or passwords.reference(secret) else PASS


def _user_password(c: Candidate) -> Verdict:
    """The password behind the colon of `user:password`, either of them in quotes of its own."""
    secret = c.value.partition(":")[2].strip("\"'")
    return _password(Candidate(secret, c.text, c.end - len(secret), c.end))


def _basic_auth(c: Candidate) -> Verdict:
    """RFC 7617: base64 of `user:password`, printable."""
    try:
        decoded = base64.b64decode(c.value + "=" * (-len(c.value) % 4), validate=True).decode("ascii")
    except (ValueError, binascii.Error):
        return FAIL
    user, colon, secret = decoded.partition(":")
    if not colon or not secret or not decoded.isprintable() or not user or user.startswith("{"):
        return FAIL  # the last: base64 of JSON, the head of a token
    published = decoded == "Aladdin:open sesame"  # RFC 7617's own
    return EXAMPLE if published or passwords.placeholder(decoded) or secret.lower() in {"password", "pass"} else PASS


def _aws_secret(c: Candidate) -> Verdict:
    """Forty characters of base64 with upper, lower and digits: not a hexadecimal digest, not a path."""
    v = c.value
    mixed = any(x.islower() for x in v) and any(x.isupper() for x in v) and any(x.isdigit() for x in v)
    if passwords.placeholder(v):
        return EXAMPLE
    return PASS if mixed and v.count("/") <= 6 and passwords.entropy(v) >= 3.8 and not passwords.wordlike(v) else FAIL


def _aws_key_id(c: Candidate) -> Verdict:
    """An access key id is base32 behind its prefix, and the account lies in it. A run of the alphabet is a sample."""
    body = c.value[4:]
    if passwords.placeholder(c.value) or len(set(body)) < 5 or body in "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789ABCDEF":
        return EXAMPLE
    return PASS if tokens.aws_account(c.value) is not None else UNPROVED


def _issued(c: Candidate) -> Verdict:
    """A key of a form that other things have too: random, and announced as a credential by the words before it."""
    if _SUM_LINE.match(c.text, c.end) and c.before(1) in {"", "\n"}:
        return FAIL  # a line of `md5sum` or `sha256sum`
    if secrets.issued(c.value, c.before(64)):
        return PASS
    return EXAMPLE if passwords.sequence(c.value) and secrets.announced(c.before(64)) else FAIL


_SUM_LINE = re.compile(r" [ *][\w./-]{2}")


def _not_otherwise(c: Candidate) -> Verdict:
    """Fails what the text itself calls a commit, a checksum or an identifier."""
    return FAIL if secrets.otherwise(c.before(64)) else PASS


def _strong_password(c: Candidate) -> Verdict:
    """A password that no sentence would hold by chance: letters, digits and signs, or both cases and digits."""
    if passwords.reference(c.value) or _called(c):
        return FAIL
    if passwords.placeholder(c.value):
        return EXAMPLE
    return PASS if passwords.strong(c.value) else FAIL


def _signed_secret(c: Candidate) -> Verdict:
    if passwords.reference(c.value):
        return FAIL
    if passwords.placeholder(c.value):
        return EXAMPLE
    return PASS if passwords.signed(c.value) else FAIL


def _seed_phrase(c: Candidate) -> Verdict:
    """BIP-39 words whose checksum holds; the published vectors (one byte repeated) are examples."""
    seed = secrets.seed_phrase(c.value)
    return Verdict(True, example=seed.published, keep=seed.end) if seed and seed.checked else FAIL


def _seed_words(c: Candidate) -> Verdict:
    """Twelve or more BIP-39 words in a row whose checksum does not hold: mistyped, or of another scheme."""
    seed = secrets.seed_phrase(c.value)
    return Verdict(True, keep=seed.end) if seed and not seed.checked else FAIL


_WIF_VERSIONS = frozenset({0x80, 0xEF, 0xB0, 0x9E, 0xCC})
"""Bitcoin, its test network, Litecoin, Dogecoin, Dash."""


def _wif(c: Candidate) -> Verdict:
    payload = secrets.base58check(c.value)
    return PASS if payload and payload[0] in _WIF_VERSIONS and len(payload) in {33, 34} else FAIL


def _extended_key(c: Candidate) -> Verdict:
    """BIP-32: 78 bytes under Base58Check."""
    payload = secrets.base58check(c.value)
    return PASS if payload and len(payload) == 78 else FAIL


def _ripple_seed(c: Candidate) -> Verdict:
    payload = secrets.base58check(c.value, secrets.RIPPLE58)
    return PASS if payload and len(payload) in {17, 19} else FAIL


def _stellar_seed(c: Candidate) -> Verdict:
    try:
        return PASS if secrets.strkey(base64.b32decode(c.value)) else FAIL
    except ValueError:
        return FAIL


CHECKS: dict[str, Validator] = {
    "github_crc32": _github_crc32,
    "jwt": _jwt,
    "jwt_unsigned": _jwt_unsigned,
    "github_jwt": _github_jwt,
    "pem": _pem,
    "pem_encrypted": _pem_encrypted,
    "pgp": _pgp,
    "putty": _putty,
    "age": _age,
    "wireguard": _wireguard,
    "gitlab": _gitlab,
    "grafana": _grafana,
    "signed_url": _signed_url,
    "discord": _discord,
    "not_placeholder": _not_placeholder,
    "keylike": _keylike,
    "password": _password,
    "token": _token,
    "url_password": _url_password,
    "basic_auth": _basic_auth,
    "aws_secret": _aws_secret,
    "connection_password": _connection_password,
    "aws_key_id": _aws_key_id,
    "issued": _issued,
    "oracle_login": _oracle_login,
    "not_otherwise": _not_otherwise,
    "strong_password": _strong_password,
    "signed_secret": _signed_secret,
    "seed_phrase": _seed_phrase,
    "seed_words": _seed_words,
    "wif": _wif,
    "extended_key": _extended_key,
    "ripple_seed": _ripple_seed,
    "stellar_seed": _stellar_seed,
    "user_password": _user_password,
    "named_key": _named_key,
    "short_token": _short_token,
    "jenkins_secret": _jenkins_secret,
    "coded_text": _coded_text,
    "api_address": _api_address,
}
"""What packs may name."""
