"""The lint finds each kind of fault that it promises to find."""

from __future__ import annotations

from pathlib import Path

import pytest

from sluice import config
from sluice.detect import benign, lint

VOCABULARY = config.signatures_dir() / "vocabulary.toml"

ONE = """
[[detector]]
id          = "{id}"
rev         = {rev}
title       = "Acme API key"
why         = "It orders anvils."
pattern     = '''{pattern}'''
severity    = "high"
class       = "{data_class}"
regulations = ["gdpr:32"]
references  = ["https://acme.example/keys"]
match       = {match}
reject      = {reject}
"""
FIELDS = {
    "id": "acme.api-key",
    "rev": "1",
    "pattern": r"\b(acme_[a-z0-9]{32})\b",
    "data_class": "secret.saas-key",
    "match": '["key acme_{lowernum*32}", "acme_{hex*32}"]',
    "reject": '["acme_{lowernum*12}", "acme"]',
}


def entry(**changes: str) -> str:
    text = ONE
    for name, value in (FIELDS | changes).items():
        text = text.replace("{" + name + "}", value, 1)
    return text


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A directory of packs beside a small benign corpus."""
    (tmp_path / "packs").mkdir()
    (tmp_path / "benign").mkdir()
    (tmp_path / "benign" / "notes.txt").write_text("nothing at all\nacme_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n", "utf-8")
    return tmp_path


def check(site: Path, *entries: str) -> list[str]:
    (site / "packs" / "acme.toml").write_text('family = "acme"\n' + "".join(entries), "utf-8")
    return [str(p) for p in lint.check([site / "packs"], VOCABULARY, corpus=site / "benign")]


@pytest.fixture(autouse=True)
def _short_corpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """The generated half of the corpus is the shipped packs' own test."""
    monkeypatch.setattr(benign, "ROUNDS", 1)


def test_benign_text_that_would_be_blocked_is_a_problem(site: Path) -> None:
    """The clean corpus names file, line and detector, and not the value."""
    (message,) = check(site, entry())
    assert "notes.txt:2" in message
    assert "acme.api-key: would block" in message
    assert "aaaa" not in message


def test_what_does_not_block_may_stand_in_benign_text(site: Path) -> None:
    """A class that is only observed may be found anywhere."""
    assert check(site, entry(data_class="contact.email")) == []


def test_a_match_that_is_not_found(site: Path) -> None:
    """An example that the pattern does not match is told, for every guise."""
    messages = check(site, entry(data_class="contact.email", match='["acme_{lowernum*32}", "acme-{hex*32}"]'))
    assert len([m for m in messages if "match 2" in m and "not found" in m]) == len(lint.variants(""))


def test_a_reject_that_is_found(site: Path) -> None:
    """An example that should not match and does is told."""
    (message,) = check(site, entry(data_class="contact.email", reject='["acme_{lowernum*32}", "acme"]'))
    assert "reject 1 is found" in message


def test_undeclared_overlap(site: Path) -> None:
    """Two detectors of one kind over one place must say who gives way."""
    second = entry(id="acme.other", data_class="contact.email", pattern=r"\b(acme_[a-z0-9]{16,40})\b")
    messages = check(site, entry(data_class="contact.email"), second)
    assert any("also seen by acme.other" in m for m in messages)


def test_a_pattern_hyperscan_does_not_take(site: Path) -> None:
    """What `re` accepts and hyperscan does not is told by the detector's name."""
    message = check(site, entry(data_class="contact.email", pattern=r"\b((?:acme_|[a-z]{1,20}){20}x{20})\b"))
    assert any("acme.api-key" in m for m in message)


def test_revisions_are_locked(site: Path) -> None:
    """Content that changes under one revision is refused; a raised revision asks to be recorded; then all is well."""
    quiet = {"data_class": "contact.email"}
    packs = site / "packs"
    assert check(site, entry(**quiet)) == []
    assert lint.record_revisions(packs, VOCABULARY) == []
    assert check(site, entry(**quiet)) == []

    changed = quiet | {"pattern": r"\b(acme_[a-z0-9]{31,32})\b"}
    (message,) = check(site, entry(**changed))
    assert "changed under rev 1" in message
    assert [str(p).partition("acme.api-key: ")[2] for p in lint.record_revisions(packs, VOCABULARY)] == [
        "changed under rev 1: raise `rev` first"
    ]

    (message,) = check(site, entry(**changed, rev="2"))
    assert "rev 2 is not recorded" in message
    assert lint.record_revisions(packs, VOCABULARY) == []
    assert check(site, entry(**changed, rev="2")) == []

    (message,) = check(site, entry(**quiet))
    assert "rev went back from 2 to 1" in message
    (message,) = check(site, entry(**quiet, id="acme.new-key"))
    assert "is not in revisions.toml" in message


def test_a_retired_id_stays_locked(site: Path) -> None:
    """An id that is gone is kept in the lock, so that it is never used for something else under an old revision."""
    packs = site / "packs"
    check(site, entry(data_class="contact.email", rev="3"))
    assert lint.record_revisions(packs, VOCABULARY) == []
    check(site, entry(data_class="contact.email", id="acme.new-key"))
    assert lint.record_revisions(packs, VOCABULARY) == []
    assert set(lint.read_lock(site / lint.LOCK)) == {"acme.api-key", "acme.new-key"}


def test_all_problems_of_loading_are_told_too(site: Path) -> None:
    """A pack that does not load is a problem among the others, not the end of the check."""
    messages = check(site, entry(), entry(id="Bad Id"))
    assert any("is not of the form" in m for m in messages)
    assert any("would block" in m for m in messages)


def test_benign_text_is_the_same_every_time() -> None:
    """The corpus is made without chance."""
    first = list(benign.documents(config.signatures_dir() / "benign"))
    assert first == list(benign.documents(config.signatures_dir() / "benign"))
    assert len({name for name, _ in first}) == len(first)
