"""Reading a policy file: what the good and bad files of tests/config do not show."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from policy_facts import NOW, facts, policy_of

from sluice import policy
from sluice.errors import Misconfigured
from sluice.model import Action


def test_the_digest_is_that_of_the_file(tmp_path: Path) -> None:
    """The digest in every record can be computed from the file with a tool that everyone has."""
    rules = policy_of(tmp_path, "")
    assert rules.digest == hashlib.sha256((tmp_path / "policy.toml").read_bytes()).hexdigest()
    assert (rules.id, rules.version) == ("test", "1")


def test_a_missing_file_is_no_empty_policy(tmp_path: Path) -> None:
    """Without its file a policy is an error, never `allow all`."""
    with pytest.raises(Misconfigured, match="cannot be read"):
        policy.load(tmp_path / "absent.toml")


def test_names_are_checked_only_against_what_is_known(tmp_path: Path) -> None:
    """Without lists of classes and providers any pattern is taken, so that a file can be checked on its own."""
    rules = policy_of(tmp_path, '[[rule]]\nid = "a"\naction = "block"\nwhen = { class = "x.*", provider = "nobody" }\n')
    assert len(rules.rules) == 1
    with pytest.raises(Misconfigured, match="fits no provider"):
        policy.load(tmp_path / "policy.toml", known_providers=["openai"])
    with pytest.raises(Misconfigured, match="fits no class"):
        policy.load(tmp_path / "policy.toml", known_classes=["secret.cloud"])


def test_a_rule_without_conditions_matches_everything(tmp_path: Path) -> None:
    """`deny all` at the end is a rule like any other."""
    rules = policy_of(tmp_path, '[[rule]]\nid = "deny"\naction = "block"\n')
    assert rules.decide(facts()).rule == "deny"
    assert rules.decide(facts(at=NOW)).action is Action.BLOCK


def test_long_patterns_do_not_take_long(tmp_path: Path) -> None:
    """A pattern of many stars against a long name that a client chose is decided without backtracking."""
    rules = policy_of(tmp_path, f'[[rule]]\nid = "a"\naction = "block"\nwhen = {{ model = "{"*a" * 30}b" }}\n')
    assert rules.decide(facts(model="a" * 20_000)).action is Action.ALLOW
