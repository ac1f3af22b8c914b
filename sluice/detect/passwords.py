"""Is this a password, or only the place where one would stand?

Text about passwords is far more frequent than passwords: documentation, code that reads one from somewhere, forms,
templates. A generic assignment (`password = ...`) is believed only when its value could not be anything else, for it
is allowed to block. The order is: a reference is nothing; a placeholder is an example; a word is nothing; what remains
must have the make-up of a secret.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from hashlib import sha256
from itertools import pairwise

_PLACEHOLDER = re.compile(
    r"""(?ix)
    example | place[_-]?holder | change[_-]?(?:me|it|this|now) | replace[_-]?(?:me|this|with) | insert[_-]?(?:your|here)
    | (?:^|[^a-z])your[_-]?[a-z] | (?:^|[^a-z])my[_-](?:secret|password|token|api|key) | [_-]here$ | fixme | todo
    | redacted | dummy | (?:^|[_-])sample | lorem | foo[_-]?bar | (?:^|[_-])fake(?:[_-]|$)
    | x{6,} | \*{3,} | \.{3,} | •{3,} | _{6,} | \#{6,}
    | ^\[[a-z _-]+\]$ | ^(?:abc|123){2,}
    """
)
"""What nobody would take for a value. Runs of other letters are not in it: `AAAA...` may be somebody's key."""

_REFERENCE = re.compile(
    r"""(?x)
    ^<[^<>]*>?$ | ^\$ | ^%[A-Za-z_({] | \$\{ | \{\{ | <%= | \#\{ | ^\{[A-Za-z_][\w.]*\}?$
    | ^[@&][A-Za-z_][\w.:-]*$ | ^!\w+$
    | ^(?:os|process|env|ENV|environ|config|settings|self|this|args|opts|options|params|request|req|ctx|data|secrets
        |vars?|local|module|vault|System|std|http|https|ftp|file|ssm|kv|op)[.:\[(/]
    | getenv | environ\b | ^\w+\( | ^(?:new|await|return|lambda|function|async|const|let|def)\b
    | ^(?:[A-Za-z_]+\d?\.)+[A-Za-z_]+\d?[\[(;,)]*$
    | ^[A-Za-z_]\w*\[ | ^[A-Za-z_]\w*(?:->|::) | \(\)$
    | ^[a-z]+://[^:@/\s]*(?:/|$) | ^(?:\.{0,2}/|[A-Z]:\\|~/)
    """
)
"""A way to a value: variable, call, member, template, path, URL without credentials."""

_WORDS = frozenset(
    """
    password passwd pass pwd secret token apikey key string str text none null nil true false undefined required
    optional hidden input field type name value user username admin root login email default disabled enabled empty
    unset static dynamic auto plain hash hashed encrypted bcrypt sha256 md5 base64 argon2 scrypt pbkdf2 utf8 utf-8
    number integer boolean object array file path env environment variable prompt interactive basic bearer digest oauth
    """.split()  # noqa: SIM905 - words read better as words
)
_SUBSTRINGS = re.compile(
    r"(?i)passw|secret|token|credential|api_?key|username|_key\b|(?:private|public)key|placeholder|undefined|required"
)
_IDENTIFIER = re.compile(r"[A-Za-z]+|[A-Za-z]+(?:[_-][A-Za-z]+)+[0-9]?|[a-z]+(?:[A-Z][a-z]+)+[0-9]?")
_CONSTANT = re.compile(r"(?=.*[A-Z]{3})[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+")
_VERSIONISH = re.compile(r"v?\d+(?:[.\-:/]\d+)*[a-z]?\d*")
_PIECE = re.compile(r"[A-Z]?[a-z]{4,}|[A-Z][a-z]{3}|[A-Z]{4,}")
_UNHEARD = re.compile(
    r"(?i)a[oq]|b[kqvwxz]|c[jqwxz]|d[kqz]|f[hjkqvwxz]|g[bjkqvwx]|h[bcfghjqvwxz]|i[hwy]|j[bcdfghjklmnpqrtvwxyz]|"
    r"k[bcjkqvxz]|l[hjqz]|m[fghjkqwxz]|nx|o[qz]|p[jqvz]|q[abcdefghijkmnopqrtvwxyz]|r[jqxz]|s[jxz]|t[jq]|"
    r"u[hjuvwy]|v[bcfghjklmnpqrtuvwxyz]|w[bfgjkmpqtuvxyz]|x[bgjknoqruvwyz]|y[ghjkqxyz]|"
    r"z[bcdfghjklmnpqrstuvwxyz]"
)
"""Pairs of letters that fewer than one in eight thousand pairs of written words are (counted over source code and
documentation): four of five random rows of six letters have one, and one word in twenty."""
_VOWELS = str.maketrans("", "", "aeiouAEIOU")
_UUID = re.compile(r"(?i)[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_TYPE = re.compile(r"(?:Big)?(?:[Uu]?[Ii]nt|[Ff]loat)\d{1,3}(?:Clamped)?(?:Array|_t)?(?:\[\])?")
"""Types of numbers: `password: Uint8Array`."""
_SENTENCE = re.compile(r"(?:[^\W\d]+[,;:.!?)]?\s|\d+[,.%]?\s){4,}(?:[^\W\d]+|\d+)[.!?]?")
"""Five words or more, and numbers among them: `the element has no tabindex greater than 0`."""
_DIGEST = re.compile(r"\$(?:2[abxy]|5|6|argon2\w*|pbkdf2[\w-]*|scrypt|y)\$|^\{?(?:SSHA|SHA|MD5|bcrypt)\}?[:$]")


_SAMPLE_TAIL = re.compile(r"(?:AKIA|ASIA)[A-Z0-9]{9}EXAMPLE$|[+/@ :;|&-]?example(?:\.com|\.org|\.net)?$", re.I)
"""A sample at the end of a value: with a real password before it, it makes no sample of the whole."""


_PUBLISHED = frozenset(
    """
    0011cc25eb432071 0b476bdf9acf2123 2037abcaffb2b777 27a9a42931dff7eb 2cafc0970149a84f 2d1f7723aabc5c7a
    37f8f09bdf12c2f2 3a8b61d0f636b007 3f370c9dd8225c63 49f777db995e8260 4c98242dcadc8b29 64034b44c579b335
    78314b11be2e5815 7e8de44ea9ecf6d5 7f75367e78812551 82e74299544e0073 8335c55334821eef 8731261cb72d8626
    8d4ef6536dc8895f 95e82a7ebb036b3c 97380bed40c76b62 9bf6e00ac4a42853 a19f89ab3555eac1 a6c814bc555ae62c
    aa6547439583c3a2 b26ab6529d20ebeb bc1a50966c9e6486 bc3ae723f57c6b9e c794fa6d20c64efb da816f9f2c16e6c5
    dc0fcf046c61640c e4a5542bb7fd7b67 ea9bb1082cf95663 eb540d2b6ee2a0a4 f2d6ca16515033e5 f5e95c9954635b65
    """.split()  # noqa: SIM905 - digests read better as words
)
"""SHA-256, 16 digits of it, of keys that vendors print in their documentation or build into emulators: Google's and
Stripe's samples, GitHub's in its API reference, the tokens of RFC 7515 and jwt.io, the keys of Azurite, of the Cosmos
emulator and of Hardhat's first accounts."""


def published(value: str) -> bool:
    """True for a key that everybody has, alone or as the account key of a connection string."""
    body = value.rpartition("AccountKey=")[2].removeprefix("0x")
    return len(body) >= 16 and sha256(body.encode("utf-8", "surrogatepass")).hexdigest()[:16] in _PUBLISHED


_RUN = re.compile(r"[a-z0-9]+")
_SCHEME = re.compile(r"(?i)hash|cod(?:e|ing)|crypt|sha-?\d|base\d|md5|utf|aes|rsa\d|oauth|http|x509|pkcs|argon|pbkdf")
"""How passwords are kept, not what they are: `SHA256-hashed`."""


def placeholder(value: str) -> bool:
    """True for an unmistakable stand-in: `AKIA...EXAMPLE`, `xxxxxxxx`, `your-api-key`, `<token>`, `changeme`."""
    if _PLACEHOLDER.search(value) is None:
        return published(value)
    rest = _SAMPLE_TAIL.sub("", value)
    glued = rest != value and len(rest) >= 8 and kinds(rest) >= 3
    return not (glued and _PLACEHOLDER.search(rest) is None and password(rest))


def sequence(value: str) -> bool:
    """True for characters that follow each other: `1234567890abcdef`, `aaaa...`, `a1b2c3d4`. It is nobody's key, but
    the place of one; less than one random key in a million reads like that."""
    body = max(_RUN.findall(value.lower()), key=len, default="")
    return any(_steps(body, apart) for apart in (1, 2)) if len(body) >= 12 else False


def _steps(body: str, apart: int) -> bool:
    pairs = list(zip(body, body[apart:], strict=False))
    return 10 * sum(abs(ord(a) - ord(b)) <= 1 for a, b in pairs) >= 7 * len(pairs)


def reference(value: str) -> bool:
    """True when the text names a place where a value comes from: `${VAR}`, `os.environ[...]`, `config.password`."""
    return _REFERENCE.search(value) is not None


def entropy(value: str) -> float:
    """Shannon entropy of the characters, in bits per character."""
    total = len(value)
    if not total:
        return 0.0
    return -sum(n / total * math.log2(n / total) for n in Counter(value).values())


def kinds(value: str) -> int:
    """How many of lower case, upper case, digits and other characters occur."""
    return (
        any(c.islower() for c in value)
        + any(c.isupper() for c in value)
        + any(c.isdigit() for c in value)
        + any(not c.isalnum() for c in value)
    )


def password(value: str) -> bool:
    """True when the value of a `password = ...` has the make-up of a real one (people choose them: short, readable)."""
    if not 6 <= len(value) <= 128 or not value.isascii():
        return False
    if reference(value) or value.lower() in _WORDS or _DIGEST.search(value):
        return False
    if value.isalpha() and (scrambled(value) or (len(value) >= 10 and _mixed(value))):
        return True
    if _TYPE.fullmatch(value) or _IDENTIFIER.fullmatch(value) or _VERSIONISH.fullmatch(value) or _UUID.fullmatch(value):
        return False
    letters = any(c.isalpha() for c in value)
    digits = any(c.isdigit() for c in value)
    if not letters or len(set(value)) < 5:
        return False
    if _SUBSTRINGS.search(value) and kinds(value) < 3:
        return False
    if value[0] in ",;)" or value.count(":") > 1 or value.count("/") > 1:
        return False  # a line of /etc/passwd, a path, a time
    if " " in value and (not digits or _SENTENCE.fullmatch(value)):
        return False
    symbols = [c for c in value if not c.isalnum() and c not in "_-."]
    if not digits and (not symbols or value.endswith("=")):
        return False  # `username= password= version=` is a list of names
    return (kinds(value) >= 2 and entropy(value) >= 2.3) if digits else (kinds(value) >= 3 and entropy(value) >= 2.8)


def strong(value: str) -> bool:
    """True for a password that is no word of a sentence: eight characters, a digit, three kinds, not a name."""
    cased = any(c.islower() for c in value) and any(c.isupper() for c in value)
    signs = any(not c.isalnum() and c not in "-_./:,;'" for c in value)
    if len(value) < 8 or kinds(value) < 3 or "=" in value or not any(c.isdigit() for c in value):
        return False
    return (cased or signs) and _SCHEME.search(value) is None and password(value) and entropy(value) >= 2.8


def signed(value: str) -> bool:
    """True for the key of a web framework: twenty characters or more, signs among letters and digits, few spaces."""
    if "://" in value or value.startswith("arn:") or reference(value):
        return False
    signs = sum(not c.isalnum() and c not in " _-.,/" for c in value)
    mixed = any(c.isdigit() for c in value) and any(c.isalpha() for c in value)
    return (
        mixed and signs >= 2 and value.count(" ") * 10 <= len(value) and not wordlike(value) and entropy(value) >= 3.5
    )


def token(value: str) -> bool:
    """True when the value of an `api_key = ...` was made by a machine: long, mixed, and without words in it."""
    if len(value) < 16 or reference(value) or (_UUID.fullmatch(value) and len(set(value)) < 10):
        return False
    if any(shape.fullmatch(value) for shape in (_IDENTIFIER, _VERSIONISH, _CONSTANT)) or _SUBSTRINGS.search(value):
        return False
    digits = sum(c.isdigit() for c in value)
    letters = sum(c.isalpha() for c in value)
    if not letters or (not digits and not scrambled(value)):
        return False
    if re.fullmatch(r"[0-9a-fA-F]+", value):
        return len(value) >= 20 and entropy(value) >= 3.0
    if wordlike(value):
        return False
    return entropy(value) >= 3.3


def scrambled(value: str) -> bool:
    """True when capitals and small letters change so often that nobody wrote it: `VDxkMWUrentNohdrSomDrD`.

    One random key in fifty of 22 characters has no digit in it; its letters still tell it from `maxRetriesPerRequest`.
    """
    letters = [c for c in value if c.isalpha()]
    turns = sum(a.isupper() != b.isupper() for a, b in pairwise(letters))
    return len(letters) >= 16 and turns * 10 >= len(letters) * 3 and not wordlike(value)


def unheard(value: str) -> bool:
    """True when two pairs of letters or more are in it that written words do not have."""
    return len(_UNHEARD.findall("".join(c for c in value if c.isalpha()))) >= 2


def _mixed(value: str) -> bool:
    """Two in five letters change the case, and a pair among them is in no word: `awMhKZixMtoL`."""
    turns = sum(a.isupper() != b.isupper() for a, b in pairwise(value))
    odd = any(_UNHEARD.search(piece) for piece in re.findall(r"[A-Z]?[a-z]+", value))
    return turns * 5 >= len(value) * 2 and odd and not wordlike(value)


def wordlike(value: str) -> bool:
    """True when most of it is words: `checkout-service-v2-production-eu-west-1` is a name, not a key.

    A word is four letters or more of one case (a capital in front), at least every fifth a vowel, and no two of them
    in a row that no word has.
    """
    head = value[:64]
    letters = 0
    for word in _PIECE.findall(head):
        consonants = len(word.translate(_VOWELS))
        if 5 * (len(word) - consonants) >= len(word) and _UNHEARD.search(word) is None:
            letters += len(word)
    return letters > len(head) * 0.6
