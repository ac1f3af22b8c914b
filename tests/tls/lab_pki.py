"""Certificates for the upstream suite: well-made by default, and wrong in exactly one way where a row asks for it."""

from __future__ import annotations

import base64
import datetime as dt
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

NOW = dt.datetime.now(dt.UTC).replace(microsecond=0)
DAY = dt.timedelta(days=1)
_SAN = x509.ObjectIdentifier("2.5.29.17")


def ec_key(curve: ec.EllipticCurve | None = None) -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(curve or ec.SECP256R1())


def rsa_key(bits: int) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, bits)


@dataclass(frozen=True)
class Issued:
    """A certificate with its key and what a server sends after it."""

    cert: x509.Certificate
    key: Any = field(repr=False)
    chain: tuple[x509.Certificate, ...] = ()

    def pem(self) -> bytes:
        private = self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        )
        return b"".join(c.public_bytes(serialization.Encoding.PEM) for c in (self.cert, *self.chain)) + private

    def certificate_pem(self) -> bytes:
        return self.cert.public_bytes(serialization.Encoding.PEM)


def issue(
    common_name: str,
    issuer: Issued | None = None,
    *,
    names: Sequence[str] | None = None,
    raw_san: bytes | None = None,
    ca: bool = False,
    path_length: int | None = None,
    key: Any = None,
    before: dt.datetime | None = None,
    after: dt.datetime | None = None,
    purposes: Sequence[x509.ObjectIdentifier] | None = (ExtendedKeyUsageOID.SERVER_AUTH,),
    usage: x509.KeyUsage | bool | None = True,
    basic: bool = True,
    identifiers: bool = True,
    extra: Sequence[tuple[x509.ExtensionType, bool]] = (),
    subject: x509.Name | None = None,
    issuer_name: x509.Name | None = None,
    sign_with: Any = None,
    chain: Sequence[Issued] | None = None,
) -> Issued:
    """A certificate by RFC 5280. `chain`: what to send along; the issuer, unless it is a root, when not given."""
    key = key or ec_key()
    subject = subject if subject is not None else x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    signer = sign_with or (issuer.key if issuer else key)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer_name or (issuer.cert.subject if issuer else subject))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(before or NOW - DAY)
        .not_valid_after(after or NOW + 90 * DAY)
    )
    if basic:
        builder = builder.add_extension(x509.BasicConstraints(ca=ca, path_length=path_length), critical=True)
    if usage is True:
        usage = key_usage(ca=ca)
    if usage:
        builder = builder.add_extension(usage, critical=True)
    if purposes and not ca:
        builder = builder.add_extension(x509.ExtendedKeyUsage(list(purposes)), critical=False)
    if identifiers:
        public = key.public_key()
        parent = (issuer.key if issuer else key).public_key()
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        builder = builder.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(parent), critical=False)
    if raw_san is not None:
        builder = builder.add_extension(x509.UnrecognizedExtension(_SAN, raw_san), critical=False)
    elif names:
        san = x509.SubjectAlternativeName([x509.DNSName(n) for n in names])
        builder = builder.add_extension(san, critical=not subject.rdns)
    for extension, critical in extra:
        builder = builder.add_extension(extension, critical=critical)
    cert = builder.sign(signer, hashes.SHA256())
    if chain is None:
        chain = [issuer] if issuer and issuer.cert.issuer != issuer.cert.subject else []
    return Issued(cert, key, tuple(c.cert for c in chain))


def key_usage(*, ca: bool, commitment_only: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not ca and not commitment_only,
        content_commitment=commitment_only,
        key_encipherment=not ca and not commitment_only,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=ca,
        crl_sign=ca,
        encipher_only=False,
        decipher_only=False,
    )


def issue_with_digest(digest: str, host: str, issuer: Issued, directory: Path, *, ca: bool = False) -> Issued:
    """As `issue`, signed by the openssl command with MD5 or SHA-1, which the library no longer does."""
    key = rsa_key(2048)
    csr = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)]))
        .sign(key, hashes.SHA256())
    )
    stem = directory / f"{digest}-{host}"
    csr_path, issuer_path, out = stem.with_suffix(".csr"), stem.with_suffix(".issuer"), stem.with_suffix(".crt")
    csr_path.write_bytes(csr.public_bytes(serialization.Encoding.PEM))
    issuer_path.write_bytes(issuer.pem())
    extensions = stem.with_suffix(".ext")
    extensions.write_text(
        "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign\n"
        if ca
        else f"basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\nsubjectAltName=DNS:{host}\n"
        "extendedKeyUsage=serverAuth\n"
    )
    with extensions.open("a") as file:
        file.write("subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n")
    command = ["openssl", "x509", "-req", "-in", csr_path, "-CA", issuer_path, "-CAkey", issuer_path, "-days", "30"]
    subprocess.run([*command, f"-{digest}", "-extfile", extensions, "-out", out], check=True, capture_output=True)
    chain = () if issuer.cert.issuer == issuer.cert.subject else (issuer.cert,)
    return Issued(x509.load_pem_x509_certificate(out.read_bytes()), key, chain)


def staple(
    leaf: Issued,
    issuer: Issued,
    *,
    revoked: bool = False,
    at: dt.datetime | None = None,
    until: dt.datetime | None = None,
    signer: Issued | None = None,
    about: Issued | None = None,
) -> bytes:
    """An OCSP answer for `leaf` (or `about` another certificate), signed by `signer` or the issuer."""
    by = signer or issuer
    builder = ocsp.OCSPResponseBuilder().add_response(
        cert=(about or leaf).cert,
        issuer=issuer.cert,
        algorithm=hashes.SHA1(),  # noqa: S303 - what RFC 6960 names and responders use
        cert_status=ocsp.OCSPCertStatus.REVOKED if revoked else ocsp.OCSPCertStatus.GOOD,
        this_update=at or NOW - dt.timedelta(hours=1),
        next_update=until or NOW + DAY,
        revocation_time=NOW - DAY if revoked else None,
        revocation_reason=None,
    )
    builder = builder.responder_id(ocsp.OCSPResponderEncoding.HASH, by.cert)
    if signer is not None:
        builder = builder.certificates([signer.cert])
    return builder.sign(by.key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def dh_parameters(directory: Path, kind: str) -> Path:
    """Diffie-Hellman parameters for servers that still use them. `dh1024` and `dh2048` by group size.

    `dh-small-subgroup` is a DSA group (its generator has an order of 160 bits), `dh-composite` a modulus that is not
    prime.
    """
    if kind == "dh-small-subgroup":
        numbers = dsa.generate_parameters(1024).parameter_numbers()
        modulus, generator = numbers.p, numbers.g
    else:
        generator = 2
        modulus = {
            "dh1024": _safe_prime(1024),
            "dh2048": _safe_prime(2048),
            "dh-composite": _safe_prime(1024) * (_safe_prime(1024) + 2),
        }[kind]
    body = _der_integer(modulus) + _der_integer(generator)
    der = b"\x30" + _der_length(len(body)) + body
    path = directory / f"{kind}.pem"
    text = base64.encodebytes(der).decode()
    path.write_text(f"-----BEGIN DH PARAMETERS-----\n{text}-----END DH PARAMETERS-----\n")
    return path


def _safe_prime(bits: int) -> int:
    """Oakley groups: RFC 2409 section 6.2 (1024 bits) and RFC 3526 section 3 (2048 bits), from their formula."""
    pi = {1024: 129093, 2048: 124476}[bits]
    return 2**bits - 2 ** (bits - 64) - 1 + 2**64 * (_pi_bits(bits - 130) + pi)


def _pi_bits(bits: int) -> int:
    """Floor of 2**bits times pi, by Machin's formula in integers."""

    def arctangent(inverse: int) -> int:
        total, term, divisor, sign = 0, (1 << (bits + 64)) // inverse, 1, 1
        while term:
            total += sign * (term // divisor)
            term //= inverse * inverse
            divisor, sign = divisor + 2, -sign
        return total

    return (16 * arctangent(5) - 4 * arctangent(239)) >> 64


def _der_integer(value: int) -> bytes:
    raw = value.to_bytes(value.bit_length() // 8 + 1)
    return b"\x02" + _der_length(len(raw)) + raw


def _der_length(length: int) -> bytes:
    if length < 128:
        return bytes([length])
    raw = length.to_bytes((length.bit_length() + 7) // 8)
    return bytes([0x80 | len(raw)]) + raw
