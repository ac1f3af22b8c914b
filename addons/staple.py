"""Stapled OCSP answers of upstreams: a must-staple certificate needs a good one, and a revoked one is never used.

Nobody fetches OCSP or CRLs here: a gate that asks third parties for every connection tells them where its people go.
What the upstream itself sends along is free, and a certificate that promises a staple (RFC 7633) is held to it.
A staple that says `revoked` counts without its signature: only the upstream could have sent it, against itself.

Sources: RFC 6960 section 3.2 (acceptance), RFC 6066 section 8 (status_request), RFC 7633 (TLS feature).
"""

from __future__ import annotations

import datetime as dt

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID

SKEW = dt.timedelta(minutes=5)


def complaint(leaf: x509.Certificate, issuer: x509.Certificate | None, staple: bytes, now: dt.datetime) -> str | None:
    """Why the connection must not go on, as a word (`missing`, `invalid`, `revoked`); None when it may.

    `staple` is the DER answer, empty when the upstream sent none.
    """
    must = _promises_staple(leaf)
    if not staple:
        return "missing" if must else None
    try:
        answer = ocsp.load_der_ocsp_response(staple)
        mine = answer.response_status is ocsp.OCSPResponseStatus.SUCCESSFUL and (
            answer.serial_number == leaf.serial_number
        )
        status = answer.certificate_status if mine else None
    except ValueError:
        status = None
    if status is ocsp.OCSPCertStatus.REVOKED:
        return "revoked"
    if not must:
        return None
    good = status is ocsp.OCSPCertStatus.GOOD and issuer is not None
    return None if good and _current(answer, now) and _signed(answer, issuer, now) else "invalid"


def _promises_staple(leaf: x509.Certificate) -> bool:
    try:
        feature = leaf.extensions.get_extension_for_class(x509.TLSFeature).value
    except x509.ExtensionNotFound:
        return False
    return x509.TLSFeatureType.status_request in feature


def _current(answer: ocsp.OCSPResponse, now: dt.datetime) -> bool:
    until = answer.next_update_utc
    return answer.this_update_utc - SKEW <= now and until is not None and now <= until + SKEW


def _signed(answer: ocsp.OCSPResponse, issuer: x509.Certificate | None, now: dt.datetime) -> bool:
    """By the issuer itself, or by a responder that the issuer appointed for it (RFC 6960 4.2.2.2)."""
    if issuer is None:
        return False
    return any(_verifies(answer, c) for c in (issuer, *(c for c in answer.certificates if _appointed(c, issuer, now))))


def _appointed(responder: x509.Certificate, issuer: x509.Certificate, now: dt.datetime) -> bool:
    try:
        responder.verify_directly_issued_by(issuer)
        purposes = responder.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except (ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
        return False
    in_time = responder.not_valid_before_utc <= now <= responder.not_valid_after_utc
    return in_time and ExtendedKeyUsageOID.OCSP_SIGNING in purposes


def _verifies(answer: ocsp.OCSPResponse, signer: x509.Certificate) -> bool:
    key, algorithm = signer.public_key(), answer.signature_hash_algorithm
    signature, signed = answer.signature, answer.tbs_response_bytes
    try:
        if isinstance(key, rsa.RSAPublicKey) and algorithm is not None:
            key.verify(signature, signed, padding.PKCS1v15(), algorithm)
        elif isinstance(key, ec.EllipticCurvePublicKey) and algorithm is not None:
            key.verify(signature, signed, ec.ECDSA(algorithm))
        elif isinstance(key, ed25519.Ed25519PublicKey | ed448.Ed448PublicKey):
            key.verify(signature, signed)
        else:
            return False
    except InvalidSignature:
        return False
    return True
