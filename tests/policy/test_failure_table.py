"""The failure table: refuse unless opened, never what must not open, exceptions that end."""

from __future__ import annotations

from copy import replace
from pathlib import Path

import pytest
from policy_facts import NOW, TARGET, ns, policy_of

from sluice.errors import ALWAYS_REFUSED, Cause, Opacity, Reason
from sluice.model import Action, Status
from sluice.policy import cause_of

PARTS_ONLY = {
    Opacity.BINARY,
    Opacity.IMAGE,
    Opacity.AUDIO,
    Opacity.DOCUMENT,
    Opacity.ARCHIVE,
    Opacity.FILE_ID,
    Opacity.REMOTE_URL,
    Opacity.ENCRYPTED,
    Opacity.TOKEN_IDS,
    Opacity.SERVER_STATE,
}


@pytest.mark.parametrize("opacity", list(Opacity))
def test_every_reason_has_its_row(opacity: Opacity) -> None:
    """A reason that concerns the body as a whole leads to a cause; one that concerns a part leads to none."""
    assert (cause_of(opacity) is None) is (opacity in PARTS_ONLY)


@pytest.mark.parametrize("cause", list(Cause))
def test_an_empty_table_refuses(tmp_path: Path, cause: Cause) -> None:
    """What the file does not mention is refused, with the code of the cause."""
    decision = policy_of(tmp_path, 'contact = "Call 4711."\n').on_failure(cause, TARGET, NOW)
    assert decision.action is Action.REFUSE
    assert decision.cause == cause
    assert decision.reason in list(Reason)
    assert (decision.rule, decision.message) == (f"failure.{cause}", "Call 4711.")


@pytest.mark.parametrize("cause", sorted(set(Cause) - ALWAYS_REFUSED))
def test_an_open_row_allows_and_says_so(tmp_path: Path, cause: Cause) -> None:
    """A cause that the operator opened passes, marked as degraded; no other does."""
    rules = policy_of(tmp_path, f'[failure]\n{cause} = "allow"\n')
    decision = rules.on_failure(cause, TARGET, NOW)
    assert (decision.action, decision.cause, decision.degraded) == (Action.ALLOW, cause, (cause,))
    others = set(Cause) - {cause}
    assert all(rules.on_failure(other, TARGET, NOW).action is Action.REFUSE for other in others)


def test_an_unknown_cause_is_refused(tmp_path: Path) -> None:
    """A cause that nobody knows is a fault of ours, and refused."""
    decision = policy_of(tmp_path, "").on_failure("moon_phase", TARGET, NOW)
    assert (decision.action, decision.reason) == (Action.REFUSE, "INTERNAL")


EXCEPTION = """
[failure]
scan_timeout = "refuse"
overload = "allow"

[[failure_rule]]
id = "strict"
action = "refuse"
when = { cause = "overload", status = "prohibited" }

[[failure_rule]]
id = "house"
action = "allow"
until = 2026-12-31
when = { cause = ["scan_timeout", "body_too_large"], provider = "openai", kind = "api" }
"""


def test_an_exception_is_for_its_destination_and_time(tmp_path: Path) -> None:
    """An exception opens its causes for its destinations through its last day, and nothing beyond."""
    rules = policy_of(tmp_path, EXCEPTION)
    opened = rules.on_failure(Cause.SCAN_TIMEOUT, TARGET, NOW)
    assert (opened.action, opened.rule) == (Action.ALLOW, "failure.house")
    for cause, target, at in (
        (Cause.SCAN_TIMEOUT, replace(TARGET, provider="google"), NOW),
        (Cause.SCAN_TIMEOUT, replace(TARGET, kind="web"), NOW),
        (Cause.SCAN_TIMEOUT, None, NOW),
        (Cause.SCAN_ERROR, TARGET, NOW),
        (Cause.SCAN_TIMEOUT, TARGET, ns("2027-01-01T00:00:00")),
    ):
        assert rules.on_failure(cause, target, at).action is Action.REFUSE


def test_an_exception_can_close_what_the_table_opened(tmp_path: Path) -> None:
    """Exceptions are asked first, also those that refuse."""
    rules = policy_of(tmp_path, EXCEPTION)
    assert rules.on_failure(Cause.OVERLOAD, TARGET, NOW).action is Action.ALLOW
    prohibited = replace(TARGET, status=Status.PROHIBITED)
    assert rules.on_failure(Cause.OVERLOAD, prohibited, NOW).rule == "failure.strict"
