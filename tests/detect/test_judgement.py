"""What several findings say together: health data of a person, lists of people, pieces of source code."""

from __future__ import annotations

from sluice.detect.engine import Engine, scan_text
from sluice.detect.judgement import BULK, CLASSES
from sluice.model import Finding, Part, PartKind, Provenance, Role


def of(engine: Engine, text: str, prefix: str) -> list[Finding]:
    return [f for f in scan_text(engine, text).findings if f.data_class.startswith(prefix)]


def test_identifier_near_medical_words_is_health_data(engine: Engine) -> None:
    """A name or number beside a diagnosis or a medicine is `phi.record`, on its own place."""
    text = "Patient: Maria Gonzalez was diagnosed with hypertension and takes lisinopril."
    (finding,) = of(engine, text, "phi.")
    assert text[finding.start : finding.end] == "Maria Gonzalez"
    assert of(engine, "MRN: 00482913, chief complaint: chest pain", "phi.")


def test_neither_half_alone_is_health_data(engine: Engine) -> None:
    """Medical text without a person, and a person without medical words, are none; nor are two that stand far apart."""
    assert not of(engine, "Metformin lowers glucose in patients with type 2 diabetes.", "phi.")
    assert not of(engine, "Name: Maria Gonzalez, plan: gold", "phi.")
    far = "Name: Maria Gonzalez\n" + "The meeting was long and nothing was said. " * 60
    assert not of(engine, far + "diabetes, asthma and metformin", "phi.")


def test_fifty_addresses_are_a_list(engine: Engine) -> None:
    """`bulk.contact` is said once, at fifty different addresses over the whole request, and not at forty-nine."""

    def parts(count: int) -> tuple[Part, ...]:
        half = [f"user{i}@firm{i}.example.com" for i in range(count)]
        texts = ["\n".join(half[::2]), "\n".join(half[1::2])]
        return tuple(Part(str(i), Role.USER, PartKind.TEXT, Provenance.USER, t) for i, t in enumerate(texts))

    def bulk(count: int) -> list[str]:
        return [f.data_class for f in engine.scan(parts(count)).findings if f.data_class.startswith("bulk.")]

    assert bulk(50) == ["bulk.contact"]
    assert bulk(49) == []
    assert not of(engine, "same@example.com\n" * 80, "bulk.")


def test_ten_identity_numbers_are_a_list(engine: Engine) -> None:
    """Numbers of documents are a list from ten on."""
    numbers = [f"536-90-{4300 + i}" for i in range(10)]
    assert of(engine, "\n".join(numbers), "bulk.government")
    assert not of(engine, "\n".join(numbers[:9]), "bulk.government")


def test_source_code_is_one_finding(engine: Engine) -> None:
    """The lines of one language in one text are one finding, from the first to the last."""
    text = "\n".join(f"def step_{i}(value):\n    return value + {i}" for i in range(20))
    (finding,) = of(engine, text, "source_code.")
    assert finding.detector == "source.python"
    assert text[finding.start : finding.end].count("def ") == 20


def test_judgements_never_block_by_default() -> None:
    """Their classes are none that the shipped policy blocks."""
    assert {c.partition(".")[0] for c in CLASSES} == {"phi", "bulk"}
    assert all(threshold >= 10 for _, threshold, _ in BULK)
