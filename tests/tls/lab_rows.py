"""The rows of the upstream suite (acceptance T51): one upstream each, and what must become of it.

Labels follow badssl.com where it has the case. `site` is the expected result when the root is the operator's own
(`upstream.trusted_ca`), `public` when it is one of the public roots, where RFC 5280 is enforced to the letter.
"accept", or the closed word of `addons.failure` with which it must be refused.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.tls import lab_pki as pki
from tests.tls.lab_pki import DAY, NOW, Issued, issue

ACCEPT = "accept"
NON_CRITICAL_OID = x509.ObjectIdentifier("1.3.6.1.4.1.55555.1")


class Lab:
    """The roots and intermediates that rows are made from."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.root = issue("Lab root", ca=True)
        self.stranger = issue("Stranger root", ca=True)
        self.middle = issue("Lab intermediate", self.root, ca=True, path_length=0)
        self.rsa_root = issue("Lab RSA root", ca=True, key=pki.rsa_key(2048))
        self.rsa_leaf_key = pki.rsa_key(2048)

    def roots(self) -> Path:
        """A bundle of the two roots that the suite's upstreams chain to."""
        path = self.directory / "roots.pem"
        path.write_bytes(self.root.certificate_pem() + self.rsa_root.certificate_pem())
        return path

    def leaf(self, host: str, issuer: Issued | None = None, **how: object) -> Issued:
        how.setdefault("names", [host])
        return issue(host[:60], issuer or self.root, **how)  # type: ignore[arg-type]

    def rsa_leaf(self, host: str, **how: object) -> Issued:
        return self.leaf(host, key=self.rsa_leaf_key, **how)


@dataclass(frozen=True)
class Row:
    name: str
    make: Callable[[Lab, str], Issued]
    site: str
    public: str = ""
    tls: Callable[[Lab, ssl.SSLContext], None] | None = None
    host: str = ""
    staple: Callable[[Lab, Issued], bytes] | None = None

    @property
    def server_name(self) -> str:
        return self.host or f"{self.name}.suite.test"

    @property
    def expected_public(self) -> str:
        return self.public or self.site


def good(lab: Lab, host: str) -> Issued:
    return lab.leaf(host)


def good_rsa(lab: Lab, host: str) -> Issued:
    return lab.rsa_leaf(host)


def _tls12(ciphers: str, dh: str | None = None) -> Callable[[Lab, ssl.SSLContext], None]:
    def change(lab: Lab, context: ssl.SSLContext) -> None:
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers(f"{ciphers}:@SECLEVEL=0")
        if dh is not None:
            context.load_dh_params(pki.dh_parameters(lab.directory, dh))

    return change


def _only(version: ssl.TLSVersion) -> Callable[[Lab, ssl.SSLContext], None]:
    def change(_: Lab, context: ssl.SSLContext) -> None:
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        context.maximum_version = version

    return change


def _middle(**how: object) -> Callable[[Lab, str], Issued]:
    """A leaf below an intermediate that is wrong in one way."""

    def make(lab: Lab, host: str) -> Issued:
        how.setdefault("ca", True)
        return lab.leaf(host, issue("Odd intermediate", lab.root, **how))  # type: ignore[arg-type]

    return make


def _leaf(**how: object) -> Callable[[Lab, str], Issued]:
    return lambda lab, host: lab.leaf(host, **how)


def _self_signed(lab: Lab, host: str) -> Issued:
    return issue(host, names=[host])


def _untrusted(lab: Lab, host: str) -> Issued:
    return lab.leaf(host, lab.stranger, chain=[lab.stranger])


def _nul(lab: Lab, host: str) -> Issued:
    name = f"{host}\0.evil.test".encode()
    general = b"\x82" + bytes([len(name)]) + name
    return lab.leaf(host, raw_san=b"\x30" + bytes([len(general)]) + general)


def _missing_intermediate(lab: Lab, host: str) -> Issued:
    return lab.leaf(host, lab.middle, chain=[])


def _reversed(lab: Lab, host: str) -> Issued:
    lower = issue("Lower", issue("Upper", lab.root, ca=True), ca=True)
    upper = Issued(lower.chain[0], None)
    return lab.leaf(host, lower, chain=[upper, lower])


def _two_intermediates(lab: Lab, host: str) -> Issued:
    upper = issue("Upper", lab.root, ca=True)
    lower = issue("Lower", upper, ca=True)
    return lab.leaf(host, lower, chain=[lower, upper])


def _leaf_signs_leaf(lab: Lab, host: str) -> Issued:
    return lab.leaf(host, lab.leaf("signer.suite.test"))


def _path_length(lab: Lab, host: str) -> Issued:
    deeper = issue("Too deep", lab.middle, ca=True)
    return lab.leaf(host, deeper, chain=[deeper, lab.middle])


def _constrained(*, permitted: str | None = None, excluded: str | None = None) -> Callable[[Lab, str], Issued]:
    limits = x509.NameConstraints(
        permitted_subtrees=[x509.DNSName(permitted)] if permitted else None,
        excluded_subtrees=[x509.DNSName(excluded)] if excluded else None,
    )
    return _middle(extra=[(limits, True)])


def _forged_name(lab: Lab, host: str) -> Issued:
    """Says that our root issued it, and is signed by another key."""
    return lab.leaf(host, sign_with=lab.stranger.key)


def _digest(digest: str, *, intermediate: bool = False) -> Callable[[Lab, str], Issued]:
    """By the RSA root: there is no such thing as ECDSA with MD5."""

    def make(lab: Lab, host: str) -> Issued:
        if not intermediate:
            return pki.issue_with_digest(digest, host, lab.rsa_root, lab.directory)
        middle = pki.issue_with_digest(digest, "middle", lab.rsa_root, lab.directory, ca=True)
        return lab.leaf(host, middle)

    return make


def many_names(count: int) -> Callable[[Lab, str], Issued]:
    return lambda lab, host: lab.leaf(host, names=[*(f"n{i}.suite.test" for i in range(count)), host])


_MUST_STAPLE = ((x509.TLSFeature([x509.TLSFeatureType.status_request]), False),)


def _must_staple(lab: Lab, host: str) -> Issued:
    return lab.leaf(host, extra=_MUST_STAPLE)


def _responder(lab: Lab, *, purposes: Sequence[x509.ObjectIdentifier]) -> Issued:
    return issue("Responder", lab.root, purposes=purposes)


ROWS: tuple[Row, ...] = (
    # validity
    Row("expired", _leaf(before=NOW - 90 * DAY, after=NOW - DAY), "certificate_expired"),
    Row("not-yet-valid", _leaf(before=NOW + DAY), "certificate_not_yet_valid"),
    Row("expired-intermediate", _middle(before=NOW - 90 * DAY, after=NOW - DAY), "certificate_expired"),
    Row("long-lived-10-years", _leaf(after=NOW + 3650 * DAY), ACCEPT),  # policy choice: the lifetime is the CA's affair
    # trust
    Row("self-signed", _self_signed, "self_signed"),
    Row("untrusted-root", _untrusted, "untrusted_root"),
    Row("incomplete-chain", _missing_intermediate, "untrusted_issuer"),
    Row("forged-issuer-name", _forged_name, "bad_signature"),
    Row("intermediate", lambda lab, host: lab.leaf(host, lab.middle), ACCEPT),
    Row("two-intermediates", _two_intermediates, ACCEPT),
    Row("reversed-chain", _reversed, ACCEPT),
    # names
    Row("wrong-host", _leaf(names=["other.suite.test"]), "name_mismatch"),
    Row("no-subject-alt-name", _leaf(names=()), "name_mismatch"),
    Row("wildcard", _leaf(names=["*.suite.test"]), ACCEPT),
    Row("wildcard-two-labels", _leaf(names=["*.suite.test"]), "name_mismatch", host="a.b.suite.test"),
    Row("wildcard-partial", _leaf(names=["wild*.suite.test"]), "name_mismatch"),
    Row("wildcard-top-level", _leaf(names=["*.toplevel"]), "name_mismatch", host="wildcard.toplevel"),
    Row("wildcard-bare", _leaf(names=["*"]), "name_mismatch"),
    Row("nul-in-name", _nul, "name_mismatch"),
    Row("empty-subject", _leaf(subject=x509.Name([])), ACCEPT),
    Row("4000-sans", many_names(4000), ACCEPT),
    # what a certificate may do
    Row("client-auth-only", _leaf(purposes=[ExtendedKeyUsageOID.CLIENT_AUTH]), "wrong_purpose"),
    Row("no-digital-signature", _leaf(usage=pki.key_usage(ca=False, commitment_only=True)), "wrong_purpose"),
    Row("no-eku", _leaf(purposes=None), ACCEPT),
    Row("leaf-signs-leaf", _leaf_signs_leaf, "issuer_not_ca"),
    Row("intermediate-not-ca", _middle(ca=False, purposes=None, usage=pki.key_usage(ca=True)), "issuer_not_ca"),
    Row("intermediate-may-not-sign", _middle(usage=pki.key_usage(ca=False)), "issuer_not_ca"),
    Row("path-length", _path_length, "path_length"),
    Row("name-constraint-permitted", _constrained(permitted="elsewhere.test"), "name_constraint"),
    Row("name-constraint-excluded", _constrained(excluded="suite.test"), "name_constraint"),
    Row("name-constraint-kept", _constrained(permitted="suite.test"), ACCEPT),
    Row(
        "unknown-critical-extension",
        _leaf(extra=[(x509.UnrecognizedExtension(NON_CRITICAL_OID, b"\x05\x00"), True)]),
        "critical_extension",
    ),
    # RFC 5280 to the letter, for public chains
    Row("leaf-without-identifiers", _leaf(identifiers=False), ACCEPT, "certificate_refused"),
    Row("intermediate-without-key-usage", _middle(usage=None), ACCEPT, "certificate_refused"),
    # keys and digests
    Row("rsa1024", lambda lab, host: lab.leaf(host, key=pki.rsa_key(1024)), "weak_key"),
    Row("rsa1024-intermediate", lambda lab, host: _middle(key=pki.rsa_key(1024))(lab, host), "weak_key"),
    Row("sha1-leaf", _digest("sha1"), "weak_signature"),
    Row("sha1-intermediate", _digest("sha1", intermediate=True), "weak_signature"),
    Row("md5-leaf", _digest("md5"), "weak_signature"),
    Row("rsa2048", good_rsa, ACCEPT),
    Row("ecc384", lambda lab, host: lab.leaf(host, key=pki.ec_key(ec.SECP384R1())), ACCEPT),
    Row("ecc256", good, ACCEPT),
    # protocol
    Row("tls-v1-0", good_rsa, "protocol_version", tls=_only(ssl.TLSVersion.TLSv1)),
    Row("tls-v1-1", good_rsa, "protocol_version", tls=_only(ssl.TLSVersion.TLSv1_1)),
    Row("tls-v1-2", good_rsa, ACCEPT, tls=_tls12("ECDHE+AESGCM")),
    Row("tls-v1-3", good_rsa, ACCEPT, tls=lambda _, c: setattr(c, "minimum_version", ssl.TLSVersion.TLSv1_3)),
    Row("chacha20", good_rsa, ACCEPT, tls=_tls12("ECDHE+CHACHA20")),
    Row("static-rsa", good_rsa, "handshake_refused", tls=_tls12("AES128-GCM-SHA256")),
    Row("cbc-sha1", good_rsa, "handshake_refused", tls=_tls12("ECDHE-RSA-AES128-SHA")),
    Row("cbc-sha256", good_rsa, "handshake_refused", tls=_tls12("ECDHE-RSA-AES128-SHA256")),
    Row("null-cipher", good_rsa, "handshake_refused", tls=_tls12("eNULL")),
    Row("dh-anonymous", good_rsa, "handshake_refused", tls=_tls12("aNULL")),
    Row("dh1024", good_rsa, "handshake_refused", tls=_tls12("DHE+AESGCM", "dh1024")),
    Row("dh2048", good_rsa, "handshake_refused", tls=_tls12("DHE+AESGCM", "dh2048")),  # policy: ECDHE only
    Row("dh-small-subgroup", good_rsa, "handshake_refused", tls=_tls12("DHE+AESGCM", "dh-small-subgroup")),
    Row("dh-composite", good_rsa, "handshake_refused", tls=_tls12("DHE+AESGCM", "dh-composite")),
    # stapling and revocation
    Row("must-staple-without", _must_staple, "staple"),
    Row("must-staple-good", _must_staple, ACCEPT, staple=lambda lab, leaf: pki.staple(leaf, lab.root)),
    Row(
        "must-staple-delegated",
        _must_staple,
        ACCEPT,
        staple=lambda lab, leaf: pki.staple(
            leaf, lab.root, signer=_responder(lab, purposes=[ExtendedKeyUsageOID.OCSP_SIGNING])
        ),
    ),
    Row(
        "must-staple-stranger-signs",
        _must_staple,
        "staple",
        staple=lambda lab, leaf: pki.staple(
            leaf, lab.root, signer=_responder(lab, purposes=[ExtendedKeyUsageOID.SERVER_AUTH])
        ),
    ),
    Row(
        "must-staple-stale",
        _must_staple,
        "staple",
        staple=lambda lab, leaf: pki.staple(leaf, lab.root, at=NOW - 9 * DAY, until=NOW - 2 * DAY),
    ),
    Row(
        "must-staple-of-another",
        _must_staple,
        "staple",
        staple=lambda lab, leaf: pki.staple(leaf, lab.root, about=lab.leaf("other.suite.test")),
    ),
    Row("revoked", good, "staple", staple=lambda lab, leaf: pki.staple(leaf, lab.root, revoked=True)),
    Row("stapled", good, ACCEPT, staple=lambda lab, leaf: pki.staple(leaf, lab.root)),
)

UNSERVABLE: dict[str, str] = {
    # What this OpenSSL refuses to serve at all; the suite asserts that it does, so that an upgrade brings them back.
    "rc4": "RC4",
    "3des": "3DES",
    "export": "EXPORT",
    "single-des": "DES",
}
KNOWN_BAD_ROOTS = ("superfish", "edellroot", "dsdtestprovider", "mitm-software", "privdog", "webpki: test")
