"""Reading packs: every mistake is told, with its line, all at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from sluice import config
from sluice.detect import packs
from sluice.errors import Misconfigured

VOCABULARY = config.signatures_dir() / "vocabulary.toml"

GOOD = """
family = "acme"

[[detector]]
id          = "acme.api-key"
rev         = 1
title       = "Acme API key"
why         = "It orders anvils."
pattern     = '''\\b(acme_[a-z0-9]{32})\\b'''
severity    = "high"
class       = "secret.saas-key"
regulations = ["gdpr:32"]
references  = ["https://acme.example/keys"]
match       = ["key acme_{lowernum*32}", "acme_{hex*32}"]
reject      = ["acme_{lowernum*12}", "acme"]
"""


def problems(tmp_path: Path, text: str) -> list[str]:
    """What is wrong with a pack of this text, one line each."""
    (tmp_path / "acme.toml").write_text(text, "utf-8")
    with pytest.raises(Misconfigured) as caught:
        packs.load([tmp_path], VOCABULARY)
    return [str(p).rpartition("acme.toml")[2] for p in caught.value.problems]


def test_a_good_pack_loads(tmp_path: Path) -> None:
    """Fields arrive as written, examples expanded and the same every time."""
    (tmp_path / "acme.toml").write_text(GOOD, "utf-8")
    (one,) = packs.load([tmp_path], VOCABULARY)
    (again,) = packs.load([tmp_path / "acme.toml"], VOCABULARY)
    assert one == again
    assert one.id == "acme.api-key"
    assert one.family == "acme"
    assert one.match[0].startswith("key acme_")
    assert len(one.match[0]) == len("key acme_") + 32
    assert "{" not in "".join(one.match)


@pytest.mark.parametrize(
    ("old", "new", "line", "complaint"),
    [
        ("rev         = 1", "rev         = 0", 6, "rev"),
        ("rev         = 1", "revision    = 1", 6, "unknown key `revision`"),
        ('"acme.api-key"', '"Acme Key"', 5, "is not of the form"),
        ('"secret.saas-key"', '"secret.anvil"', 11, "not in vocabulary.toml"),
        ('"gdpr:32"', '"gdpr:999"', 12, "not in vocabulary.toml"),
        ('"high"', '"huge"', 10, "severity"),
        ("[a-z0-9]{32}", "[a-z0-9]+", 9, "upper bound"),
        ("(acme_[a-z0-9]{32})", "(acme)(_x)", 9, "capture groups"),
        ('["acme_{lowernum*12}", "acme"]', '["acme"]', 15, "at least two examples"),
        ('["acme_{lowernum*12}", "acme"]', '["acme", "acme"]', 15, "the same example twice"),
        ('severity    = "high"', 'severity    = "high"\nvalidators  = ["magic"]', 11, "unknown validator"),
        ('severity    = "high"', 'severity    = "high"\nkeyword_use = "require"', None, "needs at least one"),
        ('severity    = "high"', 'severity    = "high"\nkeywords    = ["Acme"]', 11, "lower case"),
        ('severity    = "high"', 'severity    = "high"\nstatus      = "beta"', 11, "stable or test"),
        (
            'severity    = "high"',
            'severity    = "high"\noverlaps    = ["acme.other"]',
            None,
            "no detector `acme.other`",
        ),
        ("acme_[a-z0-9]{32}", "[a-z]{0,2}", 9, "no required beginning"),
    ],
)
def test_mistakes_are_told_with_their_line(
    tmp_path: Path, old: str, new: str, line: int | None, complaint: str
) -> None:
    """One mistake, one message: file, line, detector and what to do."""
    (message,) = problems(tmp_path, GOOD.replace(old, new))
    assert complaint in message
    if line:
        assert message.startswith(f":{line}:"), message


def test_every_mistake_is_told_at_once(tmp_path: Path) -> None:
    """Three mistakes in one run: nobody repairs a pack one error at a time."""
    text = GOOD.replace('"gdpr:32"', '"gdpr:999"').replace('"secret.saas-key"', '"x.y"').replace("{32})", "{32,})")
    assert len(problems(tmp_path, text)) == 3


def test_ids_are_unique_over_files(tmp_path: Path) -> None:
    """The second of two detectors with one id is refused, and says where the first is."""
    (tmp_path / "a.toml").write_text(GOOD, "utf-8")
    assert "already defined at" in problems(tmp_path, GOOD)[0]


def test_unreadable_files_are_told(tmp_path: Path) -> None:
    """Not TOML, not UTF-8, not there."""
    (tmp_path / "a.toml").write_bytes(b"family = \xff")
    (tmp_path / "b.toml").write_text("family = ", "utf-8")
    with pytest.raises(Misconfigured) as caught:
        packs.load([tmp_path, tmp_path / "missing"], VOCABULARY)
    text = str(caught.value)
    assert "UTF-8" in text
    assert "not valid TOML" in text
    assert "no such pack file" in text


def test_vocabulary_must_know_the_severities(tmp_path: Path) -> None:
    """The severities are the model's own; the file explains them and adds none."""
    file = tmp_path / "vocabulary.toml"
    file.write_text('[classes]\n[severities]\nhigh = "x"\n[regulations]\n', "utf-8")
    with pytest.raises(Misconfigured, match="severities must be exactly"):
        packs.load_vocabulary(file)
