"""The files below `deploy/posture`: whatever is wrong in one is told, and what they propose can be used."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from sluice import policy
from sluice.config import posture_dir, shipped_policy
from sluice.errors import Misconfigured
from sluice.posture import compliance, proposal, score, units
from tests.posture.finding_fixtures import FIXTURES

FINDINGS = units.findings()
FACTS = "1 let pass; seen abc; header x-tenant; bash"
HOSTILE = 'x"\n[[rule]]\nid = "all"\naction = "allow'


def test_the_catalogue_is_whole() -> None:
    """61 findings, 21 reports, and the frameworks that were asked for."""
    assert len(FINDINGS) == 61
    assert list(units.reports()) == [f"R{n}" for n in range(1, 22)]
    wanted = {"EU AI Act", "HIPAA", "DORA", "GDPR", "PCI DSS", "NIST AI RMF", "ISO/IEC 42001", "SOC 2"}
    assert wanted | {"OWASP LLM 2025", "OWASP Agentic 2026", "MITRE ATLAS"} <= set(compliance.frameworks())


@pytest.mark.parametrize("name", list(FINDINGS))
def test_a_scope_can_be_taken_apart(name: str) -> None:
    """The keys that a finding names are those that its scope holds."""
    unit = FINDINGS[name]
    assert list(proposal.keys(unit, FIXTURES[name].scope)) == list(unit.scope)


@pytest.mark.parametrize("name", [n for n, u in FINDINGS.items() if u.fix and u.fix.file.endswith(".toml")])
def test_a_proposed_change_parses_and_is_only_what_it_says(name: str) -> None:
    """Whatever a client has written into a scope, the change has the tables of its template and no other."""
    unit = FINDINGS[name]
    good = proposal.text(unit, FIXTURES[name].scope, FACTS)
    bad = proposal.text(unit, " ".join(f"{key}={HOSTILE}" for key in unit.scope), f"{FACTS} {HOSTILE}")
    assert good
    assert bad
    tables = [{k: len(v) for k, v in tomllib.loads(text).items()} for text in (good, bad)]
    assert tables[0] == tables[1]


@pytest.mark.parametrize(
    "name", [n for n, u in FINDINGS.items() if u.fix and u.fix.kind == "policy" and "[[rule]]" in u.fix.text]
)
def test_a_proposed_rule_is_one_that_the_policy_takes(name: str, tmp_path: Path) -> None:
    """Pasted into the shipped policy it loads."""
    made = proposal.text(FINDINGS[name], FIXTURES[name].scope, FACTS)
    assert made
    rule = made[made.index("[[rule]]") :]
    shipped = shipped_policy().read_text()
    first = shipped.index("\n[[rule]]")
    path = tmp_path / "policy.toml"
    path.write_text(f"{shipped[:first]}\n{rule}\n{shipped[first:]}")
    assert len(policy.load(path).rules) == len(policy.load(shipped_policy()).rules) + 1


def copied(tmp_path: Path) -> Path:
    import shutil

    return Path(shutil.copytree(posture_dir(), tmp_path / "posture"))


@pytest.mark.parametrize(
    ("file", "old", "new", "words"),
    [
        ("reports/R1.toml", 'id = "R1"', 'id = "R9"', "the file is named otherwise"),
        ("reports/R1.toml", 'title = "', 'titel = "', "unknown field"),
        ("reports/R1.toml", '"standard: NIST', '"rumour: NIST', "must begin with one of"),
        ("reports/R1.toml", 'filters = ["providers"]', 'filters = ["people"]', "`people` is no filter"),
        ("findings/PRV-01.toml", 'severity = "high"', 'severity = "bad"', "Invalid enum value"),
        ("findings/PRV-01.toml", "escalation = ", "# escalation = ", "`severity_grave` without `escalation`"),
    ],
)
def test_what_is_wrong_in_a_unit_is_told_with_its_file(
    tmp_path: Path, file: str, old: str, new: str, words: str
) -> None:
    """Unknown keys, values that cannot be meant, a basis that is none."""
    directory = copied(tmp_path)
    path = directory / file
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))
    read = units.reports if "reports" in file else units.findings
    with pytest.raises(Misconfigured, match=re.escape(words)) as told:
        read(directory)
    assert str(path) in str(told.value)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('reports = ["R5", "R15"]', 'reports = ["R99"]', "there is no report `R99`"),
        ('id = "aiact-12"', 'id = "aiact-13"', "names `aiact-12`, which is no control"),
        ('basis = "law: Regulation (EU) 2024/1689 Art. 12(1)', 'basis = "hearsay: 12(1)', "basis must begin with"),
    ],
)
def test_a_clause_names_only_what_is_there(tmp_path: Path, old: str, new: str, words: str) -> None:
    """A clause without its report, a finding without its clause, a basis that is none."""
    directory = copied(tmp_path)
    path = directory / "controls.toml"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(Misconfigured, match=re.escape(words)):
        compliance.controls(directory)


@pytest.mark.parametrize(
    ("grave", "other", "accepted", "requests", "partial", "status"),
    [
        (1, 1, 1, 10, False, "gap"),
        (0, 1, 1, 10, False, "attention"),
        (0, 0, 1, 10, True, "accepted"),
        (0, 0, 0, 10, True, "supported in part"),
        (0, 0, 0, 10, False, "supported"),
        (0, 0, 0, 0, False, "no records"),
        (1, 0, 0, 0, False, "gap"),
    ],
)
def test_the_status_of_a_clause(
    grave: int, other: int, accepted: int, requests: int, partial: bool, status: str
) -> None:
    """The gravest word wins, and without records nothing is supported."""
    control = compliance.Control("i", "f", "c", "a", "own: x", partial=partial)
    sides = [{"X-1": n} if n else {} for n in (grave, other, accepted)]
    assert compliance.status(control, compliance.Against(*sides), requests) == status


def test_a_measure_without_a_denominator_has_no_part_in_the_score() -> None:
    """Nothing to measure is neither good nor bad; nothing at all is no score."""
    kind = score.Measure("a", "t", 3, "")
    good, none = score.Value(kind, 1, 2, ""), score.Value(score.Measure("b", "t", 1, ""), 0, 0, "")
    assert score.score([good, none]) == 50
    assert score.score([none]) is None
    assert score.score([good, score.Value(score.Measure("c", "t", 1, ""), 1, 1, "")]) == 62.5
