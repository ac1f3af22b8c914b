"""Why an upstream connection failed, as a closed list: mitmproxy tells it as prose, records and metrics need a code.

The prose comes from three places: `addons.egress` (whose words are ours already), OpenSSL's verification result, and
OpenSSL's error queue. Nothing of it is passed on as it stands, so a peer cannot write into a record. A text that no
line below knows becomes `other`.
"""

from __future__ import annotations

from dataclasses import dataclass

from addons import egress
from sluice.errors import Reason


@dataclass(frozen=True, slots=True)
class Failure:
    """A reason code and a word of detail from this file or `egress`: fit for a record, a label and an answer."""

    reason: Reason
    detail: str

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}"


HANDSHAKE_TIMEOUT = Failure(Reason.UPSTREAM_TLS, "handshake_timeout")
VERIFY_FAILED = "Certificate verify failed: "

_VERIFICATION = (  # OpenSSL crypto/x509/x509_txt.c; the first that is contained wins
    ("has expired", "certificate_expired"),
    ("not yet valid", "certificate_not_yet_valid"),
    ("in certificate chain", "untrusted_root"),
    ("self-signed", "self_signed"),
    ("self signed", "self_signed"),
    ("local issuer", "untrusted_issuer"),
    ("get issuer certificate", "untrusted_issuer"),
    ("verify the first certificate", "untrusted_issuer"),
    ("mismatch", "name_mismatch"),
    ("path length", "path_length"),
    ("pathlen", "path_length"),
    ("subtree violation", "name_constraint"),
    ("name constraint", "name_constraint"),
    ("critical extension", "critical_extension"),
    ("key too weak", "weak_key"),
    ("too weak", "weak_signature"),
    ("revoked", "revoked"),
    ("purpose", "wrong_purpose"),
    ("CA certificate", "issuer_not_ca"),
    ("certificate signing", "issuer_not_ca"),
    ("signature failure", "bad_signature"),
)
_HANDSHAKE = (
    ("does not speak TLS", "not_tls"),
    ("agree on a TLS version", "protocol_version"),
    ("invalid status response", "staple"),
    ("alert certificate required", "client_certificate_required"),
    ("unsupported protocol", "protocol_version"),
    ("protocol version", "protocol_version"),
    ("version too low", "protocol_version"),
    ("handshake failure", "handshake_refused"),
    ("no ciphers", "cipher"),
    ("wrong cipher returned", "cipher"),
    ("cipher", "cipher"),
    ("dh key too small", "weak_key"),
    ("too weak", "weak_signature"),
    ("wrong signature type", "weak_signature"),
    ("unrecognized name", "name_mismatch"),
    ("bad certificate", "certificate_refused"),
    ("wrong version number", "not_tls"),
    ("unexpected eof", "handshake_closed"),
)
_OTHERS = ("certificate_refused", "handshake_closed", "client_gone", "closed", "other", HANDSHAKE_TIMEOUT.detail)
DETAILS = frozenset((*egress.WORDS, *(word for _, word in _VERIFICATION + _HANDSHAKE), *_OTHERS))
"""Every detail that a failure can have."""


def classify_upstream_error(text: str) -> Failure:
    """The failure behind mitmproxy's error text of a connection (`flow.error.msg`, `server.error`)."""
    for prefix, reason in (
        (egress.FORBIDDEN, Reason.DESTINATION_FORBIDDEN),
        (egress.UNREACHABLE, Reason.UPSTREAM_UNREACHABLE),
    ):
        _, found, word = text.partition(f"{prefix}: ")
        if found:
            return Failure(reason, word if word in egress.WORDS else "other")
    if VERIFY_FAILED in text:
        return Failure(
            Reason.UPSTREAM_TLS, _word(text.partition(VERIFY_FAILED)[2], _VERIFICATION, "certificate_refused")
        )
    if text == "connection closed":  # mitmproxy's tunnel layer: the peer or our deadline ended the handshake
        return Failure(Reason.UPSTREAM_TLS, "handshake_closed")
    if text == "connection cancelled":
        return Failure(Reason.CANCELLED, "client_gone")
    if "SSL routines" in text or "OpenSSL" in text or "TLS" in text:
        return Failure(Reason.UPSTREAM_TLS, _word(text, _HANDSHAKE, "other"))
    return Failure(Reason.UPSTREAM_UNREACHABLE, "closed" if "closed" in text else "other")


def _word(text: str, table: tuple[tuple[str, str], ...], otherwise: str) -> str:
    return next((word for part, word in table if part in text), otherwise)
