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
