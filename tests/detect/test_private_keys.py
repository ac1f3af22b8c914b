"""A private key is parsed: whole, under a passphrase, or only what one begins with."""

from __future__ import annotations

import base64
import hmac
import json
from functools import cache
from hashlib import sha256
from textwrap import indent

import pytest
from cryptography.exceptions import InternalError
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice.detect import private_keys
from sluice.detect.engine import Engine, scan_text
from sluice.detect.examples import expand
from sluice.detect.private_keys import State
from sluice.model import Finding, Severity

FORMS = {
    "pkcs8": PrivateFormat.PKCS8,
    "traditional": PrivateFormat.TraditionalOpenSSL,
    "openssh": PrivateFormat.OpenSSH,
}
KINDS = [
    *[(key, form) for key in ("rsa", "ec") for form in FORMS],
    *[("ed25519", form) for form in ("pkcs8", "openssh")],
    *[("dsa", form) for form in ("pkcs8", "traditional")],
]
EXPECTED = {
    ("rsa", "traditional"): "key.rsa",
    ("ec", "traditional"): "key.ec",
    ("dsa", "traditional"): "key.dsa",
}


@cache
def made(kind: str) -> rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | dsa.DSAPrivateKey | ed25519.Ed25519PrivateKey:
    if kind == "rsa":
        return rsa.generate_private_key(65537, 2048)
    if kind == "dsa":
        return dsa.generate_private_key(1024)  # noqa: S505 - read, never used
    return ec.generate_private_key(ec.SECP256R1()) if kind == "ec" else ed25519.Ed25519PrivateKey.generate()


@cache
def pem(kind: str, form: str, *, passphrase: bool = False) -> str:
    lock = BestAvailableEncryption(b"correct horse") if passphrase else NoEncryption()
    return made(kind).private_bytes(Encoding.PEM, FORMS[form], lock).decode()


def one(engine: Engine, text: str) -> Finding:
    (finding,) = [f for f in scan_text(engine, text).findings if f.detector.startswith("key.")]
    return finding


@pytest.mark.parametrize(("kind", "form"), KINDS)
def test_key_is_proved_however_its_lines_are_broken(engine: Engine, kind: str, form: str) -> None:
    """In a file, in JSON, in an env file, in YAML and in one line: the same key, and `validated`."""
    text = pem(kind, form)
    name = EXPECTED.get((kind, form), "key.openssh" if form == "openssh" else "key.pkcs8")
    guises = [
        text,
        json.dumps({"key": text}),
        json.dumps({"body": json.dumps({"key": text})}),
        f"PRIVATE_KEY={text.strip()!r}",
        "key: |\n" + indent(text, "    "),
        text.replace("\n", "\r\n"),
        text.replace("\n", " "),
    ]
    found = [one(engine, guise) for guise in guises]
    assert {f.detector for f in found} == {name}
    assert all(f.validated for f in found)


@pytest.mark.parametrize(("kind", "form"), KINDS)
def test_passphrase_is_recognised(engine: Engine, kind: str, form: str) -> None:
    """An encrypted key is found as one, in all its forms, and is not taken for an open one."""
    finding = one(engine, pem(kind, form, passphrase=True))
    names = {"pkcs8": "key.encrypted", "traditional": "key.pem-encrypted", "openssh": "key.openssh-encrypted"}
    assert (finding.detector, finding.validated, finding.severity) == (names[form], True, Severity.HIGH)


@pytest.mark.parametrize(("kind", "form"), [k for k in KINDS if k != ("ed25519", "pkcs8")])
def test_key_cut_off_is_found_and_not_proved(engine: Engine, kind: str, form: str) -> None:
    """Half a key may be half a secret: it is reported, without the word `validated` and with less confidence."""
    whole, text = one(engine, pem(kind, form)), pem(kind, form)
    lines = text.splitlines()
    finding = one(engine, "\n".join(lines[: max(len(lines) // 2, 2)]))
    assert finding.validated is None
    assert finding.confidence < whole.confidence


def test_garbage_between_the_lines_is_not_proved(engine: Engine) -> None:
    """Random base64 is no key, and looks like one."""
    finding = one(engine, expand("{pem:RSA PRIVATE KEY}", "keys/garbage"))
    assert (finding.detector, finding.validated, finding.example) == ("key.rsa", None, False)


def test_a_word_by_chance_does_not_make_a_key_a_sample() -> None:
    """`todo` stands somewhere in one base64 text of seven hundred."""
    assert private_keys.pem(pem("ec", "pkcs8")) is State.WHOLE
    assert private_keys.body("-----BEGIN X-----\nabTODOcd\n-----END X-----") == "abTODOcd"


def test_hostile_lengths_are_refused() -> None:
    """Lengths that promise more than there is, or nothing at all, cost nothing and prove nothing."""
    for raw in (b"\x30\x84\xff\xff\xff\xff", b"\x30\x80", b"\x30\x83\xff\xff\xff", b"openssh-key-v1\0" + b"\xff" * 8):
        text = base64.b64encode(raw + bytes(64)).decode()
        assert private_keys.pem(f"-----BEGIN PRIVATE KEY-----{text}-----END PRIVATE KEY-----") is State.BROKEN
    huge = base64.b64encode(b"\x30\x83\x01\x00\x00" + bytes(65_536)).decode()
    assert private_keys.pem(f"-----BEGIN PRIVATE KEY-----{huge}") is State.BROKEN


@settings(deadline=None, max_examples=150)
@given(st.binary(max_size=300), st.sampled_from(["RSA ", "EC ", "OPENSSH ", "ENCRYPTED ", ""]), st.booleans())
def test_no_bytes_raise(raw: bytes, kind: str, magic: bool) -> None:
    """Whatever stands between the lines, a state comes back."""
    body = base64.b64encode((b"openssh-key-v1\0" if magic else b"\x30\x82") + raw).decode()
    assert private_keys.pem(f"-----BEGIN {kind}PRIVATE KEY-----\n{body}\n-----END") in State
    assert private_keys.pgp(f"-----BEGIN PGP PRIVATE KEY BLOCK-----\n\n{body}") in State
    assert private_keys.putty(f"PuTTY-User-Key-File-3: ssh-rsa\n{body}", body) in State


def _tlv(tag: int, content: bytes) -> bytes:
    size = len(content)
    return bytes([tag, size] if size < 128 else [tag, 0x82, size >> 8, size & 0xFF]) + content


def _number(value: int) -> bytes:
    return _tlv(2, value.to_bytes(value.bit_length() // 8 + 1))


@pytest.mark.parametrize(
    ("oid", "numbers"),
    [("2a8648ce380401", 3), ("2a864886f70d010301", 2), ("2a8648ce3e0201", 3)],
    ids=["DSA", "DH", "X9.42 DH"],
)
def test_no_power_is_computed(monkeypatch: pytest.MonkeyPatch, oid: str, numbers: int) -> None:
    """A key whose public half would have to be computed from numbers of the text's choice is judged by its structure:
    7 kB of it kept everything else waiting for seconds."""

    def load(*_: object, **__: object) -> None:
        raise AssertionError("the library was asked")

    monkeypatch.setattr(private_keys, "load_der_private_key", load)
    parameters = b"".join([_number((1 << 28_000) - 3), *[_number(2)] * (numbers - 1)])
    algorithm = _tlv(0x30, _tlv(6, bytes.fromhex(oid)) + _tlv(0x30, parameters))
    whole = _tlv(0x30, _number(0) + algorithm + _tlv(4, _number((1 << 14_000) - 1)))
    short = _tlv(0x30, _number(0) + algorithm + _tlv(4, _tlv(2, b"")))
    assert private_keys.pem(block(whole)) is State.WHOLE
    assert private_keys.pem(block(short)) is State.BROKEN
    assert private_keys.pem(block(_tlv(0x30, b"".join(map(_number, (0, 7, 3, 2, 5, 4)))) + bytes(8))) is State.WHOLE


def test_what_the_library_fails_on_is_a_broken_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """An error inside the library is an answer about the key, not one of the scan."""

    def load(*_: object, **__: object) -> None:
        raise InternalError("inside", [])

    monkeypatch.setattr(private_keys, "load_der_private_key", load)
    assert private_keys.pem(block(_tlv(0x30, bytes(64)))) is State.BROKEN


def block(raw: bytes) -> str:
    return f"-----BEGIN PRIVATE KEY-----\n{base64.encodebytes(raw).decode()}-----END PRIVATE KEY-----"


# ------------------------------------------------------------------------------------------------ PuTTY, PGP, age


def _ssh(*fields: bytes) -> bytes:
    return b"".join(len(f).to_bytes(4) + f for f in fields)


def putty(version: str = "3") -> str:
    """A key file as PuTTY, appendix C, describes it."""
    public = _ssh(b"ssh-ed25519", bytes(range(32)))
    private = _ssh(bytes(range(32, 64)))
    data = _ssh(b"ssh-ed25519", b"none", b"till-7", public, private)
    if version == "3":
        mac = hmac.new(b"", data, sha256).hexdigest()
    else:
        mac = hmac.new(bytes.fromhex("16c7ea0cee3bd87a1ea3ab4a9ae5fa27ecd7d6a7"), data, "sha1").hexdigest()
    rows = base64.b64encode(public).decode()
    return (
        f"PuTTY-User-Key-File-{version}: ssh-ed25519\nEncryption: none\nComment: till-7\nPublic-Lines: 2\n{rows[:64]}\n"
        f"{rows[64:]}\nPrivate-Lines: 1\n{base64.b64encode(private).decode()}\nPrivate-MAC: {mac}\n"
    )


def test_putty_mac_is_computed(engine: Engine) -> None:
    """An open key file carries an HMAC that anybody can compute: one digit changed is no proof any more."""
    text = putty()
    assert one(engine, text).validated is True
    assert one(engine, json.dumps({"ppk": text})).validated is True
    assert one(engine, text.replace("till-7", "till-8")).validated is None


def test_putty_key_with_a_passphrase_is_recognised() -> None:
    """Public vector (RFC 8032, 7.1, test 1, as a key file of version 3): its MAC needs the passphrase."""
    text = """PuTTY-User-Key-File-3: ssh-ed25519
Encryption: aes256-cbc
Comment: RFC8032 7.1 Test Vector 1
Public-Lines: 2
AAAAC3NzaC1lZDI1NTE5AAAAINdamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3
B1Ea
Key-Derivation: Argon2id
Argon2-Memory: 8192
Argon2-Passes: 21
Argon2-Parallelism: 1
Argon2-Salt: 0102030405060708090a0b0c0d0e0f10
Private-Lines: 1
3EmFZdsp5lH3b5M4aH+kw418yYLI345osH2gg9iS3vYt3ETXCbvYS/V9OaGYmc7M
"""
    mac = "Private-MAC: 7d68efb8ce10c7787ad4dc973dabb5233b21d20692befb278f6ee89e3e134eef\n"
    assert private_keys.putty(text, mac) is State.ENCRYPTED
    assert private_keys.putty(text.replace("Public-Lines: 2", "Public-Lines: 3"), mac) is State.BROKEN


@pytest.mark.timeout(30)  # an expression that went back and forth took minutes for these
@pytest.mark.parametrize(
    "rows", ["1" + "\n" * 6000, "1" + " \n" * 3000, "9" * 4400, "\u00b2", "4000" + "\nAAAA" * 1500]
)
def test_putty_files_are_read_once_from_above(rows: str) -> None:
    """No number of lines, however many are empty, makes the reader go back."""
    text = f"PuTTY-User-Key-File-3: ssh-rsa\nEncryption: none\nComment: k\nPublic-Lines: {rows}"
    assert private_keys.putty(f"{text}Private-Lines: 1\nAbCdEfGh1234567890+/\n!!!!", "") is State.BROKEN
    assert private_keys.putty(text, text) is State.BROKEN


@pytest.mark.parametrize("head", [b"\xc5\x2b", b"\x94\x2b", b"\xc5\xff\x00\x00\x00\x2b"])
def test_pgp_packet_is_read(head: bytes) -> None:
    """A secret-key packet in the old and the new form of its length; a public key is none, nor one that is cut off."""
    packet = head + b"\x04\x65\x00\x00\x00\x16" + bytes(37)
    block = "-----BEGIN PGP PRIVATE KEY BLOCK-----\n\n{}\n-----END PGP PRIVATE KEY BLOCK-----"
    assert private_keys.pgp(block.format(base64.b64encode(packet).decode())) is State.WHOLE
    assert private_keys.pgp(block.format(base64.b64encode(packet[:30]).decode())) is State.BROKEN
    public = bytes([packet[0] + (1 if head[0] == 0xC5 else 4)]) + packet[1:]
    assert private_keys.pgp(block.format(base64.b64encode(public).decode())) is State.BROKEN


def test_age_key_has_a_checksum(engine: Engine) -> None:
    """The identity of age's own test suite, and its neighbour."""
    key = "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX"
    assert one(engine, f"identity: {key}").validated is True
    assert one(engine, f"identity: {key[:-1]}Q").validated is None


def test_public_halves_are_no_secrets(engine: Engine) -> None:
    """What every server may know is no finding."""
    key = made("ed25519").public_key()
    for text in (
        key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode() + " me@host",
        key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode(),
    ):
        assert not [f for f in scan_text(engine, text).findings if f.data_class.startswith("secret.")]
