"""The shape of our certificates: names, lifetimes, extensions. `certs/profile.toml` says the same as data (by test).

Pure: the caller gives keys and the moment. What is made here passes `openssl verify -x509_strict` and the strict mode
that Python 3.13 turned on by default, since both are what clients meet us with.

Sources: RFC 5280 section 4.2 (extensions), CA/Browser Forum Baseline Requirements 7.1 (serial numbers of at least 64
random bits), X.520 (upper bound of 64 characters for organisation and common name), RFC 6125 (names).
"""

from __future__ import annotations

import datetime as dt
import ipaddress
from collections.abc import Sequence

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

type SigningKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

BACKDATE = dt.timedelta(hours=1)
"""Clients' clocks run late by minutes; an hour covers them."""
UPPER_BOUND = 64


def new_key() -> ec.EllipticCurvePrivateKey:
    """A fresh P-256 key: what every TLS client in use accepts, and the cheapest to sign with."""
    return ec.generate_private_key(ec.SECP256R1())


def authority(key: SigningKey, *, organisation: str, node: str, years: int, at: dt.datetime) -> x509.Certificate:
    """A self-signed CA that may sign leaves and no further CA. Its name tells node, day and key apart."""
    public = key.public_key()
    organisation = organisation or "Sluice"
    common = f"{_fit(organisation, 16)} CA {_fit(node, 20)} {at:%Y-%m-%d} {spki_sha256(public)[:8]}"
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, _fit(organisation, UPPER_BOUND)),
            x509.NameAttribute(NameOID.COMMON_NAME, common),
        ]
    )
    start = at.replace(microsecond=0) - BACKDATE
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + dt.timedelta(days=365 * years))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(ca=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(public), critical=False)
        .sign(key, digest(key))
    )


def leaf(
    issuer: x509.Certificate,
    issuer_key: SigningKey,
    public: ec.EllipticCurvePublicKey,
    names: Sequence[str],
    *,
    at: dt.datetime,
    until: dt.datetime,
) -> x509.Certificate:
    """A server certificate for `names`, as `targets.normalise_host` gives them.

    Without a name of at most 64 characters the subject stays empty, and RFC 5280 wants the names critical.
    """
    common = next((n for n in names if len(n) <= UPPER_BOUND), None)
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)] if common else []))
        .issuer_name(issuer.subject)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(max(at - BACKDATE, issuer.not_valid_before_utc))
        .not_valid_after(until)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(ca=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([_general_name(n) for n in names]), critical=common is None)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(key_id(issuer)), critical=False)
        .sign(issuer_key, digest(issuer_key))
    )


def key_id(certificate: x509.Certificate) -> x509.SubjectKeyIdentifier:
    """The subject key identifier as the certificate states it, else the usual one (RFC 5280 4.2.1.2, method 1)."""
    try:
        return certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    except x509.ExtensionNotFound:
        return x509.SubjectKeyIdentifier.from_public_key(certificate.public_key())


def digest(key: SigningKey) -> hashes.SHA256 | hashes.SHA384:
    """SHA-2 of the key's strength."""
    strong = isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.key_size > 256
    return hashes.SHA384() if strong else hashes.SHA256()


def spki_sha256(public: object) -> str:
    """SHA-256 of the public key's DER form, hex: what a pin names."""
    assert hasattr(public, "public_bytes")
    der = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    whole = hashes.Hash(hashes.SHA256())
    whole.update(der)
    return whole.finalize().hex()


def _fit(text: str, octets: int) -> str:
    """As much of a text as fits: the bound counts octets of UTF-8."""
    return text.encode()[:octets].decode(errors="ignore")


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _key_usage(*, ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not ca,
        key_cert_sign=ca,
        crl_sign=ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
