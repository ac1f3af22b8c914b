"""Findings held against what was planted: recall and precision by class, flags and false blocks of clean text."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from sluice import config
from sluice.detect import packs
from sluice.detect.engine import Engine, scan_text
from sluice.detect.evidence import Fingerprinter
from sluice.model import Finding, Severity
from tests.quality.corpus import Document, Planted

FAMILIES = {"prefixed": 0.97, "checked": 0.97, "named": 0.95, "generic": 0.90, "generic assigned": 0.90, "named assigned": 0.90, "identity": 0.95, "structured": 0.95, "address": 0.90, "name": 0.90, "said": 0.95, "told": 0.90, "prose name": 0.0}  # fmt: skip
"""Groups of values and the recall that is asked of each; none is asked of names in prose."""
UNCOUNTED = (
    "source_code.",
    "special.",
    "health.clinical",
    "health.condition",
    "health.medication",
    "marking.",
    "bulk.",
    "phi.",
)
"""Classes that say what a text is about. They hold no value that could be planted, so precision is not asked of them."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One finding of any tool: where, which kind of data, how grave, and what says so."""

    start: int
    end: int
    data_class: str
    medium: bool
    blocks: bool
    by: str


type Scanner = Callable[[str], Sequence[Seen]]


def blocks(f: Finding) -> bool:
    """What `deploy/policy.toml` blocks as shipped, whoever sends it to whom."""
    if f.example or f.status != "stable":
        return False
    if f.data_class.startswith("secret."):
        return f.severity.rank >= Severity.MEDIUM.rank
    return f.validated is True and f.data_class.startswith(("financial.card", "government."))


def engine() -> Engine:
    """The shipped packs, compiled."""
    signatures = config.signatures_dir()
    return Engine(
        packs.load([signatures / "packs"], signatures / "vocabulary.toml"), Fingerprinter(b"q" * 32, "quality")
    )


def ours(compiled: Engine) -> Scanner:
    """The shipped detectors as a scanner. Examples are no findings here: they are there to say that they are none."""

    def scan(text: str) -> list[Seen]:
        return [
            Seen(f.start, f.end, f.data_class, f.status == "stable" and f.severity.rank >= 2, blocks(f), f.detector)
            for f in scan_text(compiled, text).findings
            if not f.example
        ]

    return scan


@dataclass(slots=True)
class Tally:
    """What a scanner did with the corpora. All counts."""

    planted: Counter[str] = field(default_factory=Counter)
    found: Counter[str] = field(default_factory=Counter)
    blocked: Counter[str] = field(default_factory=Counter)
    families: dict[str, str] = field(default_factory=dict)
    carriers: Counter[str] = field(default_factory=Counter)
    carrier_found: Counter[str] = field(default_factory=Counter)
    right: Counter[str] = field(default_factory=Counter)
    wrong: Counter[str] = field(default_factory=Counter)
    clean: int = 0
    flagged: Counter[str] = field(default_factory=Counter)
    by_class: Counter[str] = field(default_factory=Counter)
    by_detector: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    characters: int = 0
    seconds: float = 0.0
    missed: list[tuple[str, str, str]] = field(default_factory=list, repr=False)
    false: list[tuple[str, str, str]] = field(default_factory=list, repr=False)


def group(data_class: str) -> str:
    """The row of the table that a data class belongs to."""
    return data_class.partition(".")[0] if data_class.startswith(("secret.", "government.", "health.")) else data_class


def measure(documents: Iterable[Document], scan: Scanner) -> Tally:
    """Scan everything and count."""
    t = Tally()
    for d in documents:
        start = time.process_time()
        seen = [s for s in scan(d.text) if not s.data_class.startswith(UNCOUNTED)]
        t.seconds += time.process_time() - start
        t.characters += len(d.text.encode())
        for p in d.planted:
            _hold(t, d, p, seen)
        for s in seen:
            if any(s.start < p.end and p.start < s.end for p in d.planted):
                t.right[group(s.data_class)] += 1
            else:
                t.wrong[group(s.data_class)] += 1
                if d.planted:
                    t.false.append((s.by, d.carrier, d.text[max(s.start - 50, 0) : s.end + 20]))
        if not d.planted:
            _clean(t, d, seen)
    return t


def _hold(t: Tally, d: Document, p: Planted, seen: Sequence[Seen]) -> None:
    t.planted[p.kind] += 1
    t.families[p.kind] = p.family
    t.carriers[d.carrier] += 1
    hits = [
        s
        for s in seen
        if s.data_class.startswith(p.classes) and 2 * (min(s.end, p.end) - max(s.start, p.start)) >= p.end - p.start
    ]
    if hits:
        t.found[p.kind] += 1
        t.carrier_found[d.carrier] += 1
        t.blocked[p.kind] += any(s.blocks for s in hits)
    else:
        t.missed.append((p.kind, d.carrier, d.text[max(p.start - 60, 0) : p.end + 20]))


def _clean(t: Tally, d: Document, seen: Sequence[Seen]) -> None:
    t.clean += 1
    t.flagged["any"] += bool(seen)
    t.flagged["medium"] += any(s.medium for s in seen)
    t.flagged["block"] += any(s.blocks for s in seen)
    for name in {group(s.data_class) for s in seen}:
        t.by_class[name] += 1
    for s in {s.by: s for s in seen}.values():
        level = "block" if s.blocks else "medium" if s.medium else "low"
        t.by_detector[level][s.by] += 1
        t.false.append((f"{level} {s.by}", d.carrier, d.text[max(s.start - 50, 0) : s.end + 20]))


def recall(t: Tally, family: str) -> float:
    """Share of a family's values that were found."""
    kinds = [k for k, f in t.families.items() if f == family]
    return sum(t.found[k] for k in kinds) / max(sum(t.planted[k] for k in kinds), 1)


def precision(t: Tally) -> float:
    """Share of all findings, in planted and clean text together, that stand on something planted."""
    right = sum(t.right.values())
    return right / max(right + sum(t.wrong.values()), 1)
