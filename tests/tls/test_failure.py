"""Prose in, closed words out: nothing that a peer or OpenSSL says passes into a record as it stands."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addons.failure import DETAILS, Failure, classify_upstream_error
from sluice.errors import Reason

TLS, DOWN = Reason.UPSTREAM_TLS, Reason.UPSTREAM_UNREACHABLE


@pytest.mark.parametrize(
    ("text", "reason", "detail"),
    [
        ("Certificate verify failed: certificate has expired", TLS, "certificate_expired"),
        ("Certificate verify failed: self-signed certificate", TLS, "self_signed"),
        ("Certificate verify failed: self-signed certificate in certificate chain", TLS, "untrusted_root"),
        ("Certificate verify failed: unable to get local issuer certificate", TLS, "untrusted_issuer"),
        ("Certificate verify failed: hostname mismatch", TLS, "name_mismatch"),
        ("Certificate verify failed: IP address mismatch", TLS, "name_mismatch"),
        ("Certificate verify failed: EE certificate key too weak", TLS, "weak_key"),
        ("Certificate verify failed: CA signature digest algorithm too weak", TLS, "weak_signature"),
        ("Certificate verify failed: Missing Authority Key Identifier", TLS, "certificate_refused"),
        ("The remote server does not speak TLS.", TLS, "not_tls"),
        ("OpenSSL Error([('SSL routines', '', 'invalid status response')])", TLS, "staple"),
        ("OpenSSL Error([('SSL routines', '', 'sslv3 alert handshake failure')])", TLS, "handshake_refused"),
        ("OpenSSL Error([('SSL routines', '', 'something new')])", TLS, "other"),
        ("connection closed", TLS, "handshake_closed"),
        ("destination forbidden: loopback", Reason.DESTINATION_FORBIDDEN, "loopback"),
        ("upstream unreachable: dns", DOWN, "dns"),
        ("connection cancelled", Reason.CANCELLED, "client_gone"),
        ("server closed connection", DOWN, "closed"),
        ("", DOWN, "other"),
        ("Connection killed: refused", DOWN, "other"),
    ],
)
def test_known_texts(text: str, reason: Reason, detail: str) -> None:
    """The texts of mitmproxy, OpenSSL and the dialer, each with its code."""
    assert classify_upstream_error(text) == Failure(reason, detail)


@given(st.text(), st.sampled_from(["", "destination forbidden: ", "Certificate verify failed: ", "OpenSSL ", "TLS "]))
def test_nothing_unknown_gets_through(text: str, prefix: str) -> None:
    """Whatever the text, the detail is a word of the list."""
    assert classify_upstream_error(prefix + text).detail in DETAILS
