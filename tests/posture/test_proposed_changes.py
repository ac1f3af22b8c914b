"""No proposed change is dead: each rule matches the records that raised its finding, each row is one that the registers
take and that closes it, each command is one that there is.

Each finding of the catalogue that proposes a change is raised by its fixture in a store; what is proposed for it then
is put where it says.
"""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Sequence
from copy import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import click
import pytest

from sluice import cli, config, policy, targets
from sluice.model import Mode, Record, RecordType, Status, Target
from sluice.posture import evaluation, proposal, question, units
from sluice.register import elsewhere, files, snapshot
from sluice.register.agents import undeclared
from sluice.simulate import Known, decide
from tests.posture.finding_fixtures import FIXTURES
from tests.posture.posture_rig import NOW, Rig
from tests.posture.test_findings import evaluate, put

FINDINGS = units.findings()
FIXED = {name: unit for name, unit in FINDINGS.items() if unit.fix is not None}
OPEN = 'id = "open"\nversion = "1"\n'
NO_RULE = {"OPS-02", "POL-04"}
"""Their change takes something out of the policy that is there."""
NOT_CLOSED_BY_A_ROW = {"POL-03"}
"""Its change takes a row out."""

BEFORE = {
    "AGT-07": '[[agent]]\nid = "unknown of agt-07-x"\n',  # as AGT-02 proposes it
    "PRV-04": '[[provider]]\nid = "prv-04"\n',  # as PRV-03 proposes it; those of the table have rows as shipped
}
"""Rows that a proposed row hangs on."""


@pytest.fixture(scope="module")
def facts(rig: Rig) -> dict[tuple[str, str], str]:
    """Every finding's fixture in one store, evaluated: the facts of each finding and scope."""
    put(rig, [f.raised for f in FIXTURES.values()])
    rig.declare([row for f in FIXTURES.values() for row in f.raised.register], NOW - timedelta(hours=1))
    assert evaluate(rig, NOW).failed == {}
    rows = rig.rows("SELECT finding, scope, facts FROM findings")
    return {(row["finding"], row["scope"]): row["facts"] for row in rows}


def proposed(facts: dict[tuple[str, str], str], name: str) -> str | None:
    scope = FIXTURES[name].scope
    return proposal.text(FINDINGS[name], scope, facts[name, scope], NOW.date())


def of_kind(*kinds: str) -> list[str]:
    return [name for name, unit in FIXED.items() if unit.fix and unit.fix.kind in kinds]


def known(record: Record) -> Known:
    """What stands beside one record: its destination, and names of its agent as without a register."""
    target = Target(
        record.target_row or "row",
        record.provider_id or "",
        record.product or "",
        "api",
        "openai",
        Status.UNREVIEWED,
        Mode.ENFORCE,
        record.host or "",
    )
    return Known(
        lambda _: target, {}, agents=lambda client, subject, _: (undeclared(client, subject),), open_subjects=False
    )


def matched(file: Path, records: Sequence[Record]) -> list[str]:
    """By which rule each record would be decided that policy decides at all."""
    rules, out = policy.load(file), []
    for record in records:
        if record.record_type != RecordType.DECISION or record.decision != "allow":
            continue
        whole = replace(record, target_row=record.target_row or "row", inspection_status=record.inspection_status)
        decided = decide(whole, rules, known(record))
        assert decided is not None
        out.append(decided.rule)
    return out


@pytest.mark.parametrize("name", [n for n in of_kind("policy") if n not in NO_RULE])
def test_a_proposed_rule_matches_what_raised_it(facts: dict[tuple[str, str], str], name: str, tmp_path: Path) -> None:
    """Alone in an open policy it decides every record that raised the finding and was let pass."""
    text = proposed(facts, name)
    records = [r for r in FIXTURES[name].raised.records if not FINDINGS[name].days or r.record_type == "decision"]
    passed = [r for r in records if r.decision == "allow"]
    if text is None:
        assert not passed, "a change may be wanting only where nothing was let pass"
        return
    file = tmp_path / "policy.toml"
    file.write_text(OPEN + text)
    if "[failure]" in text:
        closed = policy.load(file).failure
        causes = tomllib.loads(text)["failure"]
        assert causes
        assert all(str(closed.rows[cause]) == "refuse" for cause in causes)
        return
    rule = tomllib.loads(text)["rule"][0]["id"]
    assert passed
    assert set(matched(file, passed)) == {rule}


@pytest.mark.parametrize("name", [n for n in of_kind("register") if n not in NOT_CLOSED_BY_A_ROW])
def test_a_proposed_row_is_taken_and_closes_it(
    rig: Rig, facts: dict[tuple[str, str], str], name: str, tmp_path: Path
) -> None:
    """`sluice register check` finds nothing wrong with it, and with it declared the same traffic raises nothing."""
    text, unit, scope = proposed(facts, name), FINDINGS[name], FIXTURES[name].scope
    assert text
    assert unit.fix
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for fixture in FIXTURES.values():
        rows |= {(kind, key): row for kind, key, row in fixture.raised.register}
    if unit.fix.file == "identity.keys":
        (tmp_path / "keys.toml").write_text(as_fingerprints(text))
        site = replace(config.Settings(), identity=config.Identity(keys=tmp_path / "keys.toml"))
        new = [(kind, key, fields) for kind, key, _, fields in elsewhere._keys(site, lambda name: name)]
        new = [(kind, proposal.keys(unit, scope)["key"], fields) for kind, _, fields in new]
    else:
        (tmp_path / "rows.toml").write_text(BEFORE.get(name, "") + text)
        files.load(config.registers_dir(), tmp_path)
        site = replace(config.Settings(), paths=config.Paths(registers=tmp_path))
        made = snapshot._registers(site, lambda name: [name])
        new = [(kind, key, snapshot._said(fields)) for kind, key, origin, fields in made if origin != "shipped"]
    assert new
    for kind, key, fields in new:
        rows[kind, key] = rows.get((kind, key), {}) | {k: v for k, v in fields.items() if v is not None}
    rig.declare([(kind, key, row) for (kind, key), row in rows.items()], NOW + timedelta(seconds=len(facts)))
    try:
        begin = evaluation.midnight(NOW.date() - timedelta(days=unit.days))
        raised = rig.rows(question.filled(unit.sql, {"since": begin, "until": NOW}))
        assert sum(row["hits"] for row in raised if row["scope"] == scope) == 0
    finally:
        later = f"loaded_at > '{NOW:%Y-%m-%d %H:%M:%S}'"
        rig.store.command(f"ALTER TABLE register_rows DELETE WHERE {later} SETTINGS mutations_sync = 1")


def as_fingerprints(text: str) -> str:
    """Keys of the fixtures are short names; the register of keys takes 32 digits."""
    return re.sub(r'fingerprint = "[^"]*"', f'fingerprint = "{"0" * 32}"', text)


@pytest.mark.parametrize("name", of_kind("target"))
def test_a_proposed_destination_is_taken(facts: dict[tuple[str, str], str], name: str, tmp_path: Path) -> None:
    """The table of destinations loads with it, and it says something of the host or provider."""
    text = proposed(facts, name)
    assert text
    provider = proposal.keys(FINDINGS[name], FIXTURES[name].scope).get("provider")
    text = text.replace(f'"{provider}" = ', '"openai" = ')  # providers of the fixtures are made up
    file = tmp_path / "targets.toml"
    file.write_text(text.replace('host = "api.openai.com"', 'host = "chatgpt.com"'))
    shipped = config.signatures_dir() / "targets.toml"
    assert targets.load(shipped, file).digest != targets.load(shipped).digest or name == "COV-01"


@pytest.mark.parametrize("name", of_kind("setting"))
def test_a_proposed_setting_is_one(facts: dict[tuple[str, str], str], name: str, tmp_path: Path) -> None:
    """Settings load with it."""
    text = proposed(facts, name)
    if text is None or FIXED[name].fix.file == "the nodes":  # type: ignore[union-attr]
        return
    (tmp_path / "deploy").mkdir()
    (tmp_path / "deploy" / "users").touch()
    file = tmp_path / "sluice.toml"
    file.write_text(text)
    config.load(file, {})


@pytest.mark.parametrize("name", of_kind("command"))
def test_a_proposed_command_is_one(facts: dict[tuple[str, str], str], name: str) -> None:
    """Each command exists with the options that are given."""
    text = proposed(facts, name)
    assert text
    for line in text.strip().splitlines():
        is_a_command(line)


@pytest.mark.parametrize("name", [name for name, unit in FINDINGS.items() if unit.feeds])
def test_what_feeds_a_finding_is_a_command(name: str) -> None:
    """What a finding needs beside the records is entered by commands that exist, and it says that it needs it."""
    assert FINDINGS[name].needs or name == "KEY-02"
    for feed in FINDINGS[name].feeds:
        is_a_command(feed)


def is_a_command(line: str) -> None:
    for one in re.split(r"&&", line.partition("   #")[0]):
        words = shlex.split(one)
        assert words[0] == "sluice"
        group: click.Command = cli.group
        while isinstance(group, click.Group) and len(words) > 1:
            _, found, rest = group.resolve_command(click.Context(group), words[1:])
            assert found, one
            group, words = found, ["", *rest]
        options = {o for param in group.params for o in param.opts}
        assert {w for w in words[1:] if w.startswith("--")} <= options, one
