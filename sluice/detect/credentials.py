"""The key that a request authenticates with: which kind it is, sealed.

Told by prefix, not by the detectors: a vendor that lengthens its keys must not turn them into `unknown`. The hint is
the scheme prefix and the length, nothing of the secret itself. A key in its proper place is no leak, so it makes no
finding; its fingerprint has the domain of secrets, so that the same key in a prompt can be recognised.
"""

from __future__ import annotations

import base64
import binascii
import json
import re

from sluice.detect.evidence import Fingerprinter, purpose
from sluice.model import Credential, RawCredential

PREFIXES = (
    ("sk-proj-", "openai.project"),
    ("sk-svcacct-", "openai.service-account"),
    ("sk-admin-", "openai.admin"),
    ("sk-ant-api", "anthropic.api"),
    ("sk-ant-admin", "anthropic.admin"),
    ("sk-ant-oat", "anthropic.oauth"),
    ("sk-ant-ort", "anthropic.oauth-refresh"),
    ("sk-ant-sid", "anthropic.session"),
    ("sk-or-", "openrouter.api"),
    ("sk-lf-", "langfuse.secret"),
    ("sk-ant-", "unknown"),
    ("sk-", "openai.legacy"),
    ("AIza", "google.api"),
    ("ya29.", "google.oauth"),
    ("AQ.", "google.auth-key"),
    ("xai-", "xai.api"),
    ("gsk_", "groq.api"),
    ("hf_", "huggingface.user"),
    ("api_org_", "huggingface.organisation"),
    ("r8_", "replicate.api"),
    ("pplx-", "perplexity.api"),
    ("fw_", "fireworks.api"),
    ("tgp_v1_", "together.api"),
    ("nvapi-", "nvidia.api"),
    ("csk-", "cerebras.api"),
    ("ABSK", "bedrock.api"),
    ("bedrock-api-key-", "bedrock.short-term"),
    ("gho_", "github.oauth"),
    ("ghu_", "github.app-user"),
    ("ghp_", "github.personal"),
    ("github_pat_", "github.fine-grained"),
    ("ghs_", "github.app-installation"),
    ("pcsk_", "pinecone.api"),
    ("jina_", "jina.api"),
    ("tvly-", "tavily.api"),
)
"""Prefix and kind, the more specific one first."""
_LEGACY, _OPENAI_INSIDE = "openai.legacy", "T3BlbkFJ"
"""A bare `sk-` is what a dozen services begin their keys with: it is OpenAI's at OpenAI, or with OpenAI's name (in
base 64) in the middle. Every other prefix is one vendor's own, wherever the key is sent."""

_SIGV4 = re.compile(r"AWS4-(?:HMAC-SHA256|ECDSA-P256-SHA256)\b.{0,64}?Credential=([A-Z0-9]{16,128})[/%]", re.DOTALL)
_PRESIGNED = re.compile(r"([A-Z0-9]{16,128})(?:/|%2[Ff])\d{8}(?:/|%2[Ff])")
_SCHEME = re.compile(r"(?i)(bearer|basic|token|apikey|api-key)[ \t]+")


def seal_credential(raw: RawCredential, fingerprinter: Fingerprinter, provider: str | None = None) -> Credential:
    """The credential of a request to `provider`, sealed. AWS SigV4 is fingerprinted by its access key id: the rest is a
    signature that differs in every request."""
    value = raw.value.strip()
    if scheme := _SCHEME.match(value):
        value = value[scheme.end() :].strip()
    kind, hint, identity = _recognise(value, raw.location.lower(), (scheme[1] if scheme else "").lower())
    if kind == _LEGACY and provider != "openai" and _OPENAI_INSIDE not in value:
        kind = "unknown"
    return Credential(
        location=raw.location,
        kind=kind,
        fingerprint=fingerprinter.fingerprint(purpose("secret."), identity),
        hint=hint,
    )


def _recognise(value: str, location: str, scheme: str) -> tuple[str, str, str]:
    if signed := _SIGV4.match(value) or (_PRESIGNED.match(value) if "credential" in location else None):
        return "aws.sigv4", signed[1][:4], signed[1]
    for prefix, kind in PREFIXES:
        if value.startswith(prefix):
            return kind, f"{prefix}({len(value)})", value
    if _is_jwt(value):
        return "jwt", f"jwt({len(value)})", value
    if scheme == "basic" or location.endswith(":basic"):
        return "http.basic", f"basic({len(value)})", value
    if "cookie" in location:
        return "cookie", f"cookie({len(value)})", value
    return "unknown", f"({len(value)})", value


def _is_jwt(value: str) -> bool:
    head, dot, rest = value.partition(".")
    if not dot or "." not in rest or not head.startswith("eyJ") or len(head) > 4096:
        return False
    try:
        header = json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))
    except (ValueError, binascii.Error, RecursionError):
        return False
    return isinstance(header, dict) and "alg" in header
