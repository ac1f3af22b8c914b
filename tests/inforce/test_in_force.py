"""What decides is on record: loaded at every start, each change once, and the moment at which observing ends."""

from __future__ import annotations

import datetime as dt
import json
from copy import replace
from pathlib import Path

import pytest

from sluice import inforce, rulebook
from sluice.config import Paths, Settings, shipped_policy
from sluice.model import RecordType, Rulebook

NS = 1_000_000_000
TODAY = dt.datetime(2026, 11, 24, 12, tzinfo=dt.UTC)
AT = int(TODAY.timestamp()) * NS
OBSERVING = """
id = "site"
version = "7"
valid_to = 2026-11-27
expired = "keep"
[[rule]]
id = "secrets"
when = { class = "secret.*" }
action = "block"
mode = "observe"
observe_until = 2026-11-25
[[rule]]
id = "cards"
when = { class = "financial.card" }
action = "block"
mode = "observe"
observe_until = 2026-11-26
"""


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Rulebook:
    """The shipped rules."""
    var = tmp_path_factory.mktemp("in-force")
    return rulebook.load(Settings(paths=Paths(var=var, policy=shipped_policy())), clock=lambda: AT)


@pytest.fixture(scope="module")
def observing(tmp_path_factory: pytest.TempPathFactory, shipped: Rulebook) -> Rulebook:
    """The shipped detectors and destinations under a policy of which two rules observe, and that ends."""
    from sluice import policy

    file = tmp_path_factory.mktemp("in-force") / "policy.toml"
    file.write_text(OBSERVING)
    return replace(shipped, policy=policy.load(file, today=TODAY.date()))


def kinds(events: list[inforce.Event]) -> list[str]:
    return [kind for kind, _ in events]


def test_every_start_says_what_it_loaded(shipped: Rulebook) -> None:
    """Policy, detectors and destinations by digest, and the mode; nothing is called changed that was never known."""
    current = inforce.now(shipped, "ca1", AT)
    events = inforce.events(current, None, shipped)
    assert kinds(events) == ["policy_load", "pack_load", "targets_load", "mode_change"]
    policy = dict(events[0][1])
    assert (policy["id"], policy["version"], policy["sha256"]) == (
        shipped.policy.id,
        shipped.policy.version,
        shipped.policy.digest,
    )
    assert policy["changed"] is None
    assert dict(events[3][1])["mode"] == "enforce"


def test_a_start_without_a_change_says_so(shipped: Rulebook) -> None:
    """The loads are told at every start, and that they are the same."""
    current = inforce.now(shipped, "ca1", AT)
    events = inforce.events(current, current, shipped)
    assert kinds(events) == ["policy_load", "pack_load", "targets_load"]
    assert {dict(facts)["changed"] for _, facts in events} == {False}


def test_changes_have_records_of_their_own(shipped: Rulebook, observing: Rulebook) -> None:
    """Another policy, mode, key and CA: each is told with what was before."""
    before = replace_key(inforce.now(shipped, "ca1", AT), "k0")
    current = inforce.now(observing, "ca2", AT)
    events = dict(inforce.events(current, before, observing))
    assert dict(events["policy_load"]) == {
        "id": "site",
        "version": "7",
        "sha256": observing.policy.digest,
        "before": shipped.policy.digest,
        "changed": True,
    }
    assert dict(events["pack_load"])["changed"] is False
    assert dict(events["mode_change"])["mode"] == "enforce; observing: rule secrets, rule cards"
    assert dict(events["mode_change"])["before"] == "enforce"
    assert dict(events["key_rotation"]) == {"hmac_key_id": "k1", "before": "k0"}
    assert dict(events["ca_rotation"]) == {"sha256": "ca2", "before": "ca1"}


def replace_key(value: inforce.InForce, key_id: str) -> inforce.InForce:
    return inforce.InForce(value.policy, value.detectors, value.targets, value.mode, key_id, value.ca)


def test_the_end_of_observing_is_told_when_it_comes(observing: Rulebook) -> None:
    """Each deadline is told once, in order, also when the clock is set back or several have passed at once."""
    deadlines = inforce.Deadlines(observing, AT)
    day = 24 * 3600 * NS
    midnight = AT + 12 * 3600 * NS
    assert deadlines.passed(AT) == []
    assert deadlines.passed(midnight + day - 1) == []
    ((kind, facts),) = deadlines.passed(midnight + day)
    assert kind == "mode_change"
    assert dict(facts)["mode"] == "enforce; observing: rule cards"
    assert deadlines.passed(AT) == deadlines.passed(midnight + day) == []
    told = deadlines.passed(midnight + 10 * day)
    assert kinds(told) == ["mode_change", "policy_expired"]
    assert dict(told[0][1])["mode"] == "enforce"
    assert deadlines.passed(midnight + 20 * day) == []


def test_rules_that_never_observe_have_no_deadline(shipped: Rulebook) -> None:
    """The shipped rules bind from the start and for good."""
    assert inforce.Deadlines(shipped, AT).passed(AT + 10**20) == []


def test_what_was_in_force_is_remembered(tmp_path: Path, shipped: Rulebook) -> None:
    """It survives in a file; a file that is missing or damaged counts as nothing known, one that cannot be written is
    no error."""
    file = tmp_path / "in-force-w0.json"
    assert inforce.remembered(file) is None
    current = inforce.now(shipped, "ca", AT)
    inforce.remember(file, current)
    assert inforce.remembered(file) == current
    file.write_bytes(b'{"policy": ')
    assert inforce.remembered(file) is None
    inforce.remember(tmp_path / "nowhere" / "file", current)
    assert not (tmp_path / "nowhere").exists()


def test_the_record_of_an_event() -> None:
    """A control record with its kind and its facts as JSON."""
    record = inforce.record(("mode_change", {"mode": "enforce", "before": None}), 5)
    assert (record.record_type, record.control_kind, record.ts_received) == (RecordType.CONTROL, "mode_change", 5)
    assert json.loads(record.control_detail or "") == {"mode": "enforce", "before": None}
