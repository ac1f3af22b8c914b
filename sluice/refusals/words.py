"""The text of a refusal: what happened, why, what to do, and the decision id to ask about."""

from __future__ import annotations

import re
from collections.abc import Sequence

from sluice.errors import Reason
from sluice.model import Action, Decision

MAX_TEXT = 1200
MAX_CLASSES = 5

_CLASS = {
    "secret.ai-key": "an AI provider's API key",
    "secret.cloud-key": "a cloud access key",
    "secret.code-key": "a code host's or registry's token",
    "secret.messaging-key": "a messaging service's key",
    "secret.payment-key": "a payment service's key",
    "secret.saas-key": "an API key",
    "secret.infrastructure-key": "an infrastructure key",
    "secret.private-key": "a private key",
    "secret.database-url": "a database address with its password",
    "secret.url-password": "an address with a password in it",
    "secret.token": "an access token",
    "secret.password": "a password",
    "secret.webhook": "a secret webhook address",
    "financial.card": "a payment card number",
    "financial.iban": "a bank account number (IBAN)",
    "financial.routing": "a bank routing number",
    "government.ssn": "a US social security or taxpayer number",
    "government.national-id": "a national identity number",
    "government.tax-id": "a personal tax number",
    "government.health-number": "a health insurance number",
    "government.passport": "a passport number",
    "business.registration": "a company registration number",
    "contact.email": "an e-mail address",
    "contact.phone": "a phone number",
    "network.ip": "an IP address",
    "network.mac": "a hardware address",
    "network.device": "a device number",
    "location.coordinates": "a position on the map",
    "contact.address": "a postal address",
    "canary.token": "a canary token",
    "secret.known": "a secret that is in use",
    "financial.account": "a bank number of somebody",
    "financial.bic": "a bank's code",
    "financial.card-detail": "a security code or expiry date",
    "financial.crypto-address": "a wallet's address",
    "financial.income": "a salary",
    "pii.name": "a person's own name",
    "pii.birth-date": "a date of birth",
    "pii.vehicle": "a number plate or chassis number",
    "pii.account": "a user's own identifier",
    "health.provider": "a doctor's or clinic's number",
    "health.record-number": "a patient number",
    "health.insurance-number": "a number of a health insurance",
    "health.condition": "a diagnosis",
    "health.medication": "a medicine",
    "health.clinical": "a medical note",
    "phi.record": "a medical statement about a person",
    "bulk.contact": "a long list of e-mail addresses or telephone numbers",
    "bulk.person": "a long list of people",
    "bulk.government": "a long list of identity numbers",
    "bulk.financial": "a long list of cards or accounts",
    "bulk.health": "a long list of patients",
    "bulk.secret": "a long list of keys or passwords",
    "special.religion": "a statement about somebody's faith",
    "special.orientation": "a statement about somebody's sexual life",
    "special.politics": "a statement about somebody's political opinion",
    "special.union": "a statement about membership in a trade association",
    "special.ethnicity": "a statement about somebody's origin",
    "special.biometric": "a statement about somebody's body or genes",
    "special.criminal": "a statement about offences or convictions",
    "marking.tlp": "a document marked by the traffic light protocol",
    "marking.classified": "a document with a security classification",
    "marking.confidential": "a document marked not for others",
    "marking.internal": "a document for use within the company",
    "marking.privileged": "a document between lawyer and client",
    "marking.insider": "a document with facts that move a share price",
    "source_code.python": "a program (Python)",
    "source_code.javascript": "a program (JavaScript)",
    "source_code.java": "a program (Java)",
    "source_code.c": "a program (C)",
    "source_code.go": "a program (Go)",
    "source_code.rust": "a program (Rust)",
    "source_code.sql": "a program (SQL)",
    "source_code.shell": "a program (shell)",
}
"""The classes of the shipped vocabulary; a site's own are told by their names."""

_FAMILY = {
    "secret": "a secret",
    "financial": "financial data",
    "government": "a government identity number",
    "contact": "contact data",
    "health": "health data",
}

_BLOCKED = {
    Reason.PROVIDER_PROHIBITED: "this AI service is not allowed here",
    Reason.TIER_NOT_ALLOWED: "this account tier is not allowed here",
    Reason.KEY_PERSONAL: "it uses a personal API key",
    Reason.MODEL_NOT_APPROVED: "the model it asks for is not approved",
    Reason.TOOL_NOT_ALLOWED: "it offers the model a tool that is not allowed",
    Reason.IDENTITY_MISSING: "it is not known who sends it",
    Reason.IDENTITY_EXPIRED: "the identity of its sender has expired",
    Reason.NO_POLICY: "no rule allows it",
}

_UNDECIDED = {
    Reason.SCAN_TIMEOUT: "checking it took too long",
    Reason.BODY_TOO_LARGE: "it is too large to check",
    Reason.DECODE_ERROR: "its compression or character set is broken",
    Reason.UNKNOWN_ENCODING: "its compression is not one that can be read (use gzip, deflate, br, zstd or none)",
    Reason.UNPARSED: "its body cannot be understood",
    Reason.PARTIAL_INSPECTION: "a part of it, such as an image or a file, cannot be read",
    Reason.NON_HTTP: "it is not HTTP",
    Reason.WEBSOCKET: "WebSocket connections to AI services are not inspected yet; plain HTTPS requests work",
    Reason.UPGRADE: "the connection cannot be upgraded; plain HTTPS requests work",
    Reason.HOST_MISMATCH: "the host names of the connection and of the request differ",
    Reason.NO_SNI: "the connection does not name its server",
    Reason.BAD_REQUEST: "it is not well-formed HTTP",
    Reason.TRAILERS: "it has trailers",
    Reason.DESTINATION_FORBIDDEN: "its destination is an internal address",
    Reason.AUDIT_UNAVAILABLE: "no record of it could be made; an operator must look at this",
    Reason.OVERLOAD: "too many requests are being checked; try again in a moment",
    Reason.IDENTITY_MISSING: "it could not be found out who sends it",
    Reason.IDENTITY_EXPIRED: "the identity of its sender has expired",
    Reason.POLICY_EXPIRED: "the policy is out of date; an operator must look at this",
}

_DESTINATION = {
    "port": "its port is not one that the gateway forwards to",
    "host name": "its destination is not a well-formed host name",
}
"""By `Decision.detail`, where "an internal address" would be untrue."""

_UPSTREAM = {
    Reason.UPSTREAM_TLS: "the certificate of the AI service could not be verified",
    Reason.UPSTREAM_UNREACHABLE: "the AI service could not be reached",
}

_ID = re.compile(r"[A-Za-z0-9-]{1,64}")


def message(decision: Decision, decision_id: str) -> str:
    """One line of plain text for a person."""
    if decision.reason in _UPSTREAM:
        said = f"Sluice could not pass this request on: {_UPSTREAM[Reason(decision.reason)]}."
    elif decision.action is Action.BLOCK:
        said = f"Sluice blocked this request: {_why_blocked(decision)}. Nothing was sent."
    else:
        said = f"Sluice did not send this request: {_why_undecided(decision)}."
    return " ".join(filter(None, (said, decision.message, f"Decision {known_id(decision_id)}.")))[:MAX_TEXT]


def _why_blocked(decision: Decision) -> str:
    if decision.blocked:
        return f"it contains {spoken(decision.blocked)}"
    return _BLOCKED.get(_reason(decision), "policy does not allow it")


def _why_undecided(decision: Decision) -> str:
    reason = _reason(decision)
    if reason is Reason.DESTINATION_FORBIDDEN and decision.detail in _DESTINATION:
        return _DESTINATION[decision.detail]
    return _UNDECIDED.get(reason, "it could not be checked")


def spoken(classes: Sequence[str]) -> str:
    """Data classes in words: `a secret (cloud), a payment card number`. The values are never known here."""
    said = [_CLASS.get(name) or _in_family(name) for name in classes]
    unique = list(dict.fromkeys(said))
    if len(unique) > MAX_CLASSES:
        unique = [*unique[: MAX_CLASSES - 1], f"{len(unique) - MAX_CLASSES + 1} more kinds of data"]
    return " and ".join(filter(None, (", ".join(unique[:-1]), unique[-1])))


def _in_family(name: str) -> str:
    family, _, kind = name.partition(".")
    kind = re.sub(r"[^a-z0-9]+", " ", kind.lower()).strip()
    said = _FAMILY.get(family)
    if said is None:
        return f"data of the class {re.sub(r'[^a-z0-9.-]+', ' ', name.lower()).strip()}"
    return f"{said} ({kind})" if kind else said


def known_id(decision_id: str) -> str:
    """The decision id, which we made ourselves; anything else would be somebody's text."""
    return decision_id if _ID.fullmatch(decision_id) else "unknown"


def _reason(decision: Decision) -> Reason:
    try:
        return Reason(decision.reason)
    except ValueError:
        return Reason.INTERNAL
