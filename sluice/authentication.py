"""Keys in their proper place: what may stand where a request authenticates, and what is a leak there as well.

The key of a service, sent to that service in its credential header, is not a leak and must not be blocked, or nobody
could call anything. But the place is no hiding place: a card number or an identity number there is one wherever it
stands, and so is a key that authenticates nothing at this destination (a GitHub token sent to OpenAI).
"""

from __future__ import annotations

from collections.abc import Iterable

from sluice.model import Finding, Part, PartKind, Prompt, Provenance, Role, Target

PLACE = "credential:"
"""Pointers of the parts that `parts` makes begin with it."""

FOREIGN = frozenset(
    {
        "secret.cloud-key",
        "secret.code-key",
        "secret.database-url",
        "secret.infrastructure-key",
        "secret.messaging-key",
        "secret.payment-key",
        "secret.private-key",
        "secret.saas-key",
        "secret.url-password",
        "secret.webhook",
    }
)
"""Classes that no AI service takes as its key, unless key and service are of one vendor. AI keys, tokens and passwords
are not among them: gateways take each other's."""

_VENDORS = {"gcp": "google", "bedrock": "aws", "amazon": "aws"}


def parts(prompt: Prompt) -> tuple[Part, ...]:
    """**P** The values in credential positions, as parts for the detectors."""
    return tuple(
        Part(PLACE + c.location, Role.HEADER, PartKind.TEXT, Provenance.REQUEST, c.value) for c in prompt.credentials
    )


def leaks(findings: Iterable[Finding], target: Target) -> tuple[Finding, ...]:
    """The findings, without keys that are in their proper place."""
    return tuple(f for f in findings if not f.pointer.startswith(PLACE) or _out_of_place(f, target))


def _out_of_place(finding: Finding, target: Target) -> bool:
    if not finding.data_class.startswith("secret."):
        return True
    return finding.data_class in FOREIGN and not (_vendors(finding.detector) & _vendors(target.provider))


def _vendors(name: str) -> set[str]:
    """The words that name a vendor, in a detector's id (`github.app-token`) or a provider's (`github-copilot`)."""
    words = name.partition(".")[0].split("-")
    return {_VENDORS.get(word, word) for word in words}
