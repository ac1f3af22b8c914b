"""The CA as a configuration profile for macOS and iOS: one certificate payload for each CA that is in force or comes.

Property list by Apple's device management reference (payload `com.apple.security.root`). It is not signed: a device
management signs it, or installs it as it is. The same certificates give the same identifiers, so that a new profile
takes the place of the one before.
"""

from __future__ import annotations

import plistlib
import uuid

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

TYPE = "application/x-apple-aspen-config"
_SPACE = uuid.UUID("6f2f2f0e-3a51-5c1c-9d0f-5d0d3c9b7a41")


def profile(bundle: bytes, organisation: str) -> bytes:
    """The profile of a PEM bundle."""
    payloads = []
    for certificate in x509.load_pem_x509_certificates(bundle):
        digest = certificate.fingerprint(hashes.SHA256()).hex()
        payloads.append(
            {
                "PayloadType": "com.apple.security.root",
                "PayloadVersion": 1,
                "PayloadIdentifier": f"sluice.ca.{digest[:16]}",
                "PayloadUUID": str(uuid.uuid5(_SPACE, digest)).upper(),
                "PayloadDisplayName": certificate.subject.rfc4514_string(),
                "PayloadCertificateFileName": f"sluice-ca-{digest[:8]}.cer",
                "PayloadContent": certificate.public_bytes(serialization.Encoding.DER),
            }
        )
    whole = {
        "PayloadType": "Configuration",
        "PayloadVersion": 1,
        "PayloadIdentifier": "sluice.ca",
        "PayloadUUID": str(uuid.uuid5(_SPACE, f"profile of {organisation}")).upper(),
        "PayloadDisplayName": f"{organisation}: CA of the AI gate",
        "PayloadDescription": "Lets this device trust the gate that inspects traffic to AI services.",
        "PayloadOrganization": organisation,
        "PayloadScope": "System",
        "PayloadContent": payloads,
    }
    return plistlib.dumps(whole)
