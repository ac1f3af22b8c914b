"""What happens when a request could not be decided: one row per cause, refuse unless the operator opened it.

`cause_of` says which row answers for a body that could not be read. Reasons without a row of their own belong to one
part of a readable request (an image, a file id): such a request is partly inspected, policy sees that in
`inspection`, and the row `partial_inspection` decides.

| why bytes were not read | row |
|---|---|
| unknown_coding, too_many_codings | unknown_encoding |
| corrupt_coding, trailing_bytes, bad_charset | decode_error |
| ratio_limit, size_limit | body_too_large |
| time_limit, budget | scan_timeout |
| bad_json, bad_multipart, depth_limit, node_limit, part_limit | unparsed |
| image, audio, document, archive, binary, file_id, remote_url, encrypted, token_ids, server_state | (part only) |
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sluice.errors import ALWAYS_REFUSED, Cause, Opacity, Reason
from sluice.model import Action, Decision, Target
from sluice.policy.conditions import Ask

_CAUSE_OF = {
    Opacity.UNKNOWN_CODING: Cause.UNKNOWN_ENCODING,
    Opacity.TOO_MANY_CODINGS: Cause.UNKNOWN_ENCODING,
    Opacity.CORRUPT_CODING: Cause.DECODE_ERROR,
    Opacity.TRAILING_BYTES: Cause.DECODE_ERROR,
    Opacity.BAD_CHARSET: Cause.DECODE_ERROR,
    Opacity.RATIO_LIMIT: Cause.BODY_TOO_LARGE,
    Opacity.SIZE_LIMIT: Cause.BODY_TOO_LARGE,
    Opacity.TIME_LIMIT: Cause.SCAN_TIMEOUT,
    Opacity.BUDGET: Cause.SCAN_TIMEOUT,
    Opacity.BAD_JSON: Cause.UNPARSED,
    Opacity.BAD_MULTIPART: Cause.UNPARSED,
    Opacity.DEPTH_LIMIT: Cause.UNPARSED,
    Opacity.NODE_LIMIT: Cause.UNPARSED,
    Opacity.PART_LIMIT: Cause.UNPARSED,
}

_REASON_OF = {
    Cause.OVERLOAD: Reason.OVERLOAD,
    Cause.AUTH_BACKEND_DOWN: Reason.IDENTITY_MISSING,
    Cause.UPSTREAM_TLS_ERROR: Reason.UPSTREAM_TLS,
    Cause.DESTINATION: Reason.DESTINATION_FORBIDDEN,
}
"""Every other cause has the reason of its own name."""

PROVOKABLE = frozenset(
    {Cause.BODY_TOO_LARGE, Cause.DECODE_ERROR, Cause.UNKNOWN_ENCODING, Cause.UNPARSED, Cause.SCAN_TIMEOUT, Cause.NO_SNI}
)
"""Causes that a sender can bring about on purpose: opening one opens the gate to whoever knows it."""


def cause_of(opacity: Opacity) -> Cause | None:
    """The row of the failure table for a reason why bytes were not read; None when it concerns one part only."""
    return _CAUSE_OF.get(opacity)


def reason_of(cause: Cause) -> Reason:
    """The code that record and client see for a cause."""
    return _REASON_OF.get(cause) or Reason(cause.name)


@dataclass(frozen=True, slots=True)
class FailureRule:
    """An exception to the table for some destinations, until a day (ns since the epoch; 0 = without end)."""

    id: str
    causes: frozenset[Cause]
    action: Action
    when: tuple[Ask[Target], ...] = ()
    until: int = 0


@dataclass(frozen=True, slots=True)
class FailureTable:
    """The table in force: a row per cause, and exceptions that are asked first."""

    rows: Mapping[Cause, Action]
    rules: tuple[FailureRule, ...] = ()
    contact: str = ""

    def answer(self, cause: str, target: Target | None, at: int) -> Decision:
        """Refuse, or allow where the operator said so. Never raises; a cause that is not known is refused."""
        try:
            known = Cause(cause)
        except ValueError:
            known = Cause.INTERNAL
        action, rule = self._action(known, target, at)
        allowed = action is Action.ALLOW
        return Decision(
            action=action,
            reason=reason_of(known),
            rule=rule,
            cause=known,
            message="" if allowed else self.contact,
            degraded=(str(known),) if allowed else (),
        )

    def _action(self, cause: Cause, target: Target | None, at: int) -> tuple[Action, str]:
        if cause in ALWAYS_REFUSED:
            return Action.REFUSE, f"failure.{cause}"
        for rule in self.rules:
            if cause not in rule.causes or (rule.until and at >= rule.until):
                continue
            if not rule.when or (target is not None and all(holds(target) for holds in rule.when)):
                return rule.action, f"failure.{rule.id}"
        return self.rows.get(cause, Action.REFUSE), f"failure.{cause}"
