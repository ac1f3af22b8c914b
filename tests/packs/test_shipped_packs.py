"""The shipped packs: every example of every detector. (The whole proof is `make check`, and in `tests/cli`.)"""

from __future__ import annotations

import re

import pytest

from sluice import config
from sluice.detect import judgement, packs, validators
from sluice.detect.engine import Engine, scan_text, sightings
from sluice.detect.evidence import Fingerprinter
from sluice.detect.own import site
from sluice.model import Detector, Part, PartKind, Provenance, Role
from tests.rig import compiled

SIGNATURES = config.signatures_dir()
DETECTORS = compiled.shipped()


@pytest.fixture(scope="module")
def engine() -> Engine:
    return compiled.engine(DETECTORS)


@pytest.mark.parametrize("detector", DETECTORS, ids=lambda d: d.id)
def test_every_match_is_found(engine: Engine, detector: Detector) -> None:
    """Each `match` gives a finding of this detector, with its class, revision and status."""
    for text in detector.match:
        mine = [f for f in scan_text(engine, text).findings if f.detector == detector.id]
        assert mine
        for f in mine:
            assert (f.data_class, f.rev, f.status) == (detector.data_class, detector.rev, detector.status)
            assert 0 <= f.start < f.end <= len(text)


@pytest.mark.parametrize("detector", DETECTORS, ids=lambda d: d.id)
def test_no_reject_is_found(engine: Engine, detector: Detector) -> None:
    """No `reject` is claimed by this detector, be it only to give way to another."""
    for text in detector.reject:
        _, raw = sightings(engine, (Part("", Role.USER, PartKind.TEXT, Provenance.USER, text),))
        assert not [s for s in raw if s.detector.id == detector.id and not s.example]


def test_there_are_enough() -> None:
    """The breadth that is promised: kinds of secrets, countries with checksums, and the classes that policy names."""
    classes = [d.data_class for d in DETECTORS]
    assert sum(c.startswith("secret.") for c in classes) >= 200
    countries = {d.id.partition(".")[0] for d in DETECTORS if d.data_class.startswith("government.")}
    assert len(countries) >= 40
    assert {
        "financial.card",
        "financial.iban",
        "government.ssn",
        "contact.email",
        "contact.phone",
        "network.ip",
    } <= set(classes)


def test_every_word_of_the_vocabulary_is_used() -> None:
    """A class or regulation that no detector has is a promise nobody keeps."""
    words = packs.load_vocabulary(SIGNATURES / "vocabulary.toml")
    assert set(words.classes) == {d.data_class for d in DETECTORS} | judgement.CLASSES | site.CLASSES
    assert set(words.regulations) == {r for d in DETECTORS for r in d.regulations}


def test_no_file_holds_what_looks_like_a_key() -> None:
    """Examples are markers: a push protection finds nothing in the packs, nor does the engine itself."""
    made_up = "pypi.rc-password"  # a person's password has no form that a push protection knows
    kinds = {"secret.ai-key", "secret.cloud-key", "secret.code-key", "secret.messaging-key", "secret.payment-key"}
    chosen = [d for d in DETECTORS if d.data_class in kinds and d.id != made_up]
    engine = Engine(chosen, Fingerprinter(b"k" * 32, "test"))
    for file in sorted((SIGNATURES / "packs").glob("*.toml")):
        text = file.read_text("utf-8")
        real = [f for f in scan_text(engine, text).findings if not f.example]
        assert [(f.detector, text.count("\n", 0, f.start) + 1) for f in real] == [], file.name


def test_the_guide_names_every_key_of_a_detector() -> None:
    """`signatures/README.md` explains each key that a pack may have."""
    guide = (SIGNATURES / "README.md").read_text("utf-8")
    block = guide.partition("```toml")[2].partition("```")[0]
    named = set(re.findall(r"(?m)^(\w+) +=", block))
    fields = {"class" if f == "data_class" else f for f in packs.Entry.__struct_fields__}
    assert named == fields


def test_numbers_of_many_countries_are_checked() -> None:
    """Government and tax numbers of at least 45 countries count only with their check digit."""
    countries = {
        d.id.partition(".")[0]
        for d in DETECTORS
        if d.data_class.startswith("government.")
        and d.family.startswith("national")
        and {v.partition(":")[0] for v in d.validators} & validators.CHECKSUMS
    }
    assert len(countries) >= 45
