"""What several findings together say: health data of a person, a list of people, a piece of source code.

 PHI      an identifier of a person near medical words of the same text is `phi.record` (HIPAA: identifier and health
          information together; GDPR Art. 9: data concerning health)
 bulk     one e-mail address is a contact, fifty are a customer list: distinct values of a class over the whole request
 source   the lines of one language in a text are one finding, from the first line to the last

Pure and linear: it sees the sightings that stayed, never the text. The findings it adds are observed by the shipped
policy; a site's own may act on `phi.*` and `bulk.*`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from types import MappingProxyType

from sluice.detect.evidence import Fingerprinter, normalised, seal
from sluice.detect.resolve import Sighting
from sluice.model import Detector, Finding, Severity

VERSION = 1
"""Part of the engine's digest: raised when a change here can change findings."""
NEAR = 800
"""Characters between an identifier and the medical words that make it health data."""
MOST = 100
"""Findings of one kind that are added for one text."""

_MEDICAL = ("health.condition", "health.medication", "health.clinical", "health.provider")
_IDENTIFYING = (
    "government.",
    "contact.",
    "pii.name",
    "pii.birth-date",
    "health.record-number",
    "health.insurance-number",
)
_BELONGS_TO_CARE = ("health.record-number", "health.insurance-number", "government.health-number")


def _judgement(
    ident: str, title: str, why: str, data_class: str, severity: Severity, regulations: tuple[str, ...]
) -> Detector:
    return Detector(
        id=ident,
        rev=1,
        title=title,
        why=why,
        data_class=data_class,
        severity=severity,
        regulations=regulations,
        pattern="",
        family="judgement",
    )


PHI = _judgement(
    "phi.record",
    "Health data of a person: an identifier near medical words",
    "It tells who suffers from what, or is treated how.",
    "phi.record",
    Severity.MEDIUM,
    ("gdpr:9", "hipaa:164.514(b)(2)"),
)
_LIST = "A list of people is a copy of a register: what harms one of them harms all."
BULK = tuple(
    (
        prefixes,
        threshold,
        _judgement(f"bulk.{kind}", title, _LIST, f"bulk.{kind}", Severity.MEDIUM, ("gdpr:32", "ccpa:1798.140(v)")),
    )
    for kind, prefixes, threshold, title in (
        ("contact", ("contact.email", "contact.phone"), 50, "Many e-mail addresses or telephone numbers"),
        ("person", ("pii.name", "pii.birth-date"), 50, "Many names or dates of birth"),
        ("government", ("government.",), 10, "Many numbers of identity documents"),
        ("financial", ("financial.card", "financial.iban", "financial.account"), 10, "Many card or account numbers"),
        ("health", ("phi.", "health.record-number", "health.insurance-number"), 10, "Many patients"),
        ("secret", ("secret.",), 10, "Many secrets"),
    )
)
"""Classes, how many distinct values of one of them make a list, and what is then reported."""
DETECTORS = (PHI, *(detector for _, _, detector in BULK))
CLASSES = frozenset(d.data_class for d in DETECTORS)
LISTS = frozenset(detector.id for _, _, detector in BULK)
"""Detectors that are about a whole request, not about one part of it."""


def conclude(
    kept: list[Sighting], reach: Mapping[tuple[int, str], int] = MappingProxyType({}), *, lists: bool = True
) -> list[Sighting]:
    """The sightings with what follows from them, in order of (part, start). `kept` is in that order. `reach`: how far
    source code goes on, by part and detector. `lists`: with what many of them say together, which needs the whole
    request."""
    if not kept:
        return kept
    whole = [*_joined_source(kept, reach), *_phi(kept)]
    if lists:
        whole += _bulk(whole)
    whole.sort(key=lambda s: (s.part, s.start, s.end, s.detector.id))
    return whole


def _add(detector: Detector, like: Sighting, value: str, confidence: float) -> Sighting:
    return Sighting(detector, like.part, like.start, like.end, value, None, confidence, example=False)


def _joined_source(kept: list[Sighting], known: Mapping[tuple[int, str], int]) -> Iterator[Sighting]:
    first: dict[tuple[int, str], Sighting] = {}
    reach = dict(known)
    for s in kept:
        if not s.detector.data_class.startswith("source_code."):
            yield s
            continue
        key = (s.part, s.detector.id)
        first.setdefault(key, s)
        reach[key] = max(reach.get(key, 0), s.end)
    for key, s in first.items():
        yield Sighting(s.detector, s.part, s.start, reach[key], s.value, s.validated, s.confidence, s.example)


def _phi(kept: list[Sighting]) -> Iterator[Sighting]:
    medical: dict[int, list[Sighting]] = {}
    for s in kept:
        if s.detector.data_class in _MEDICAL:
            medical.setdefault(s.part, []).append(s)
    if not medical and not any(s.detector.data_class in _BELONGS_TO_CARE for s in kept):
        return
    added: dict[int, int] = {}
    seen: set[tuple[int, str]] = set()
    for s in kept:
        if not s.detector.data_class.startswith(_IDENTIFYING) or s.example or s.detector.status != "stable":
            continue
        words = medical.get(s.part, [])
        if (s.part, s.value) in seen or added.get(s.part, 0) >= MOST or not _about_health(s, words):
            continue
        seen.add((s.part, s.value))
        added[s.part] = added.get(s.part, 0) + 1
        yield _add(PHI, s, s.value, 0.85 if s.detector.data_class in _BELONGS_TO_CARE else 0.75)


def _about_health(s: Sighting, words: list[Sighting]) -> bool:
    """True with two different medical words near, one of them more than a word of the clinic's daily life.

    A number that only patients have needs one.
    """
    at = bisect_left(words, s.start - NEAR, key=lambda w: w.start)
    near = [w for w in words[at : at + 32] if w.start <= s.end + NEAR]
    distinct = {w.value.lower() for w in near}
    if s.detector.data_class in _BELONGS_TO_CARE:
        return bool(distinct)
    telling = any(w.detector.data_class != "health.clinical" for w in near)
    return len(distinct) >= (2 if telling else 4)


def _bulk(found: Iterable[Sighting]) -> list[Sighting]:
    values: dict[str, set[str]] = {}
    first: dict[str, Sighting] = {}
    for s in found:
        if s.example or s.detector.status != "stable":
            continue
        name = s.detector.data_class
        values.setdefault(name, set()).add(normalised(name, s.value))
        if name not in first or (s.part, s.start) < (first[name].part, first[name].start):
            first[name] = s
    return [_add(detector, first[name], f"{name} in bulk", 0.9) for detector, name in _over(values)]


def bulk_findings(found: Sequence[Finding], fingerprinter: Fingerprinter) -> list[tuple[int, Finding]]:
    """What `_bulk` adds, from findings that are sealed already, in their order: a fingerprint stands for its value.

    With each the index of the finding that it is put beside.
    """
    values: dict[str, set[str]] = {}
    first: dict[str, int] = {}
    for i, f in enumerate(found):
        if not f.example and f.status == "stable":
            values.setdefault(f.data_class, set()).add(f.fingerprint)
            first.setdefault(f.data_class, i)
    out = []
    for detector, name in _over(values):
        like = found[first[name]]
        sealed = seal(
            detector,
            f"{name} in bulk",
            fingerprinter,
            pointer=like.pointer,
            provenance=like.provenance,
            start=like.start,
            end=like.end,
            validated=None,
            confidence=0.9,
            example=False,
        )
        out.append((first[name], sealed))
    return out


def _over(values: Mapping[str, Set[str]]) -> Iterator[tuple[Detector, str]]:
    """The judgements that hold, each with the first class that has enough distinct values."""
    for prefixes, threshold, detector in BULK:
        names = sorted(n for n in values if n.startswith(prefixes))
        over = [n for n in names if len(values[n]) >= threshold]
        if over:
            yield detector, over[0]
