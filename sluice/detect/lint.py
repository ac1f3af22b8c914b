"""`sluice packs check`: what a pack must prove before anyone relies on it. Lists every problem, then the caller fails.

 1  everything that loading checks (`packs.read`): shapes, ids, vocabulary, validators, enough examples
 2  all patterns compile together in hyperscan; if not, the ones that do not compile alone are named
 3  the engine finds each `match` alone, deep in a long text, in the JSON of a chat request, and in `\\u` escapes
 4  it finds exactly what `re` alone finds there: hyperscan and `re` agree
 5  no detector claims one of its own `reject` texts (an example or placeholder may be reported as such)
 6  detectors of one kind that see the same place say so in `overlaps`
 7  `rev` moved when the content did, and no id was reused (`signatures/revisions.toml`)
 8  nothing in the benign corpus would be blocked

Messages name detectors and the number of the example, never the text of one.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path

import msgspec

from sluice.detect import benign, engine, packs, shapes
from sluice.detect.engine import Engine
from sluice.detect.evidence import Fingerprinter
from sluice.detect.packs import Source
from sluice.detect.resolve import ANY, Sighting
from sluice.errors import Misconfigured, Problem
from sluice.model import Detector, Part, PartKind, Provenance, Role

LOCK = "revisions.toml"
"""Beside the directory of packs: id -> revision and digest of the content that was reviewed."""
_NOT_CONTENT = frozenset({"title", "why", "references", "match", "reject", "family", "rev", "allow"})
"""What a revision does not stand for. `allow` is a site's word about a detector, not a change of it."""
_FILLER = benign.prose(6_000, "lint")


def check(directories: Sequence[Path], vocabulary: Path, *, corpus: Path | None = None) -> list[Problem]:
    """Every problem of the packs. `corpus`: hand-written benign texts, `benign` beside the vocabulary by default."""
    detectors, sources, problems = packs.read(directories, vocabulary)
    try:
        together = Engine(detectors, Fingerprinter(bytes(32), "lint"))
    except engine.CompileError as e:
        alone = _heads(detectors, sources) or [Problem("packs", None, f"the detectors do not compile together: {e}")]
        return [*problems, *alone]
    problems += _matches(together, sources)
    problems += _agreement(detectors, sources)
    problems += _rejects(together, sources)
    for directory in directories:
        if directory.is_dir() and (directory.parent / LOCK).is_file():
            inside = [d for d in detectors if sources[d.id].file.parent == directory]
            problems += _revisions(inside, sources, directory.parent / LOCK)
    problems += _benign(together, corpus or vocabulary.parent / "benign")
    return problems


def failing(together: Engine, chosen: Sequence[Detector], sources: dict[str, Source]) -> list[Problem]:
    """The examples of the chosen detectors that do not hold, each alone and with all detectors of the engine."""
    out: list[Problem] = []
    for d in chosen:
        kept, raw = engine.sightings(together, _parts([*d.match, *d.reject]))
        seen = {s.part for s in raw if s.detector.id == d.id}
        standing = {s.part for s in kept if s.detector.id == d.id}
        for i in range(len(d.match)):
            if i not in standing:
                why = "another detector takes its place" if i in seen else "not found"
                out.append(_problem(sources[d.id], d, f"match {i + 1}: {why}"))
        claimed = {s.part for s in raw if s.detector.id == d.id and not s.example}
        out += [
            _problem(sources[d.id], d, f"reject {i + 1} is found")
            for i in range(len(d.reject))
            if i + len(d.match) in claimed
        ]
    return out


def blocks(data_class: str, validated: bool | None) -> bool:
    """What the shipped policy would block: secrets, cards, government numbers with a passing check."""
    return (
        data_class.startswith("secret.")
        or data_class == "financial.card"
        or (data_class.startswith("government.") and bool(validated))
    )


def variants(text: str) -> dict[str, str]:
    """The guises in which a `match` must be found."""
    chat = {"model": "m", "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": text}]}
    escaped = "".join(f"\\u{unit:04x}" for unit in _utf16(text))
    return {
        "alone": text,
        "in a long text": f"{_FILLER}\n{text}\n{_FILLER}",
        "in chat JSON": json.dumps(chat),
        "in \\u escapes": f'{{"content":"{escaped}"}}',
    }


def _utf16(text: str) -> Iterator[int]:
    data = text.encode("utf-16-be", "surrogatepass")
    return (int.from_bytes(data[i : i + 2]) for i in range(0, len(data), 2))


def _problem(source: Source, detector: Detector, what: str) -> Problem:
    return Problem(str(source.file), source.line, f"{detector.id}: {what}")


def _parts(texts: Sequence[str]) -> tuple[Part, ...]:
    return tuple(Part(str(i), Role.USER, PartKind.TEXT, Provenance.USER, t) for i, t in enumerate(texts))


def _heads(detectors: Sequence[Detector], sources: dict[str, Source]) -> list[Problem]:
    out: list[Problem] = []
    for d in detectors:
        shape = shapes.analyse(d.pattern, caseless=d.case_insensitive)
        complaint = engine.compiles(shape.head, caseless=shape.caseless, utf8=shape.utf8)
        if complaint is None and d.keyword_use != "boost":
            joined = "|".join(engine.keyword_expression(w) for w in d.keywords[:500])
            complaint = engine.compiles(joined, caseless=True, utf8=True)
        if complaint:
            out.append(_problem(sources[d.id], d, f"pattern: hyperscan does not take it: {complaint}"))
    return out


def _matches(together: Engine, sources: dict[str, Source]) -> list[Problem]:
    out: list[Problem] = []
    yields = {d.id: frozenset(d.overlaps) for d in together.detectors}
    for d in together.detectors:
        for i, text in enumerate(d.match):
            guises = variants(text)
            kept, raw = engine.sightings(together, _parts(list(guises.values())))
            for part, guise in enumerate(guises):
                if not any(s.detector.id == d.id for s in kept if s.part == part):
                    seen = any(s.detector.id == d.id for s in raw if s.part == part)
                    why = "another detector takes its place" if seen else "not found"
                    out.append(_problem(sources[d.id], d, f"match {i + 1} {guise}: {why}"))
            out += [
                _problem(
                    sources[d.id], d, f"match {i + 1} is also seen by {other}: say so in `overlaps` of one of them"
                )
                for other in sorted(_undeclared(d, raw, yields))
            ]
    return out


def _undeclared(d: Detector, raw: list[Sighting], yields: dict[str, frozenset[str]]) -> set[str]:
    own = [s for s in raw if s.part == 0 and s.detector.id == d.id]
    kind = d.data_class.partition(".")[0]
    return {
        s.detector.id
        for s in raw
        if s.part == 0
        and s.detector.id != d.id
        and s.detector.data_class.partition(".")[0] == kind
        and any(s.start < o.end and o.start < s.end for o in own)
        and not (yields[d.id] & {s.detector.id, ANY} or yields[s.detector.id] & {d.id, ANY})
    }


def _agreement(detectors: Sequence[Detector], sources: dict[str, Source]) -> list[Problem]:
    """Each detector alone against `re` over the whole text, on all its examples."""
    out: list[Problem] = []
    for d in detectors:
        if d.keyword_use != "boost":
            continue  # hyperscan sees its keywords only; its pattern is run by `re` in any case
        alone = Engine([d], Fingerprinter(bytes(32), "lint"))
        texts = [*d.match, *d.reject]
        _, raw = engine.sightings(alone, _parts(texts))
        for i, text in enumerate(texts):
            found = {(s.start, s.end) for s in raw if s.part == i}
            missing = set(engine.oracle(alone, text)) - found
            if missing:
                name = f"match {i + 1}" if i < len(d.match) else f"reject {i - len(d.match) + 1}"
                out.append(_problem(sources[d.id], d, f"{name}: `re` finds it and hyperscan does not"))
    return out


def _rejects(together: Engine, sources: dict[str, Source]) -> list[Problem]:
    out: list[Problem] = []
    for d in together.detectors:
        _, raw = engine.sightings(together, _parts(d.reject))
        wrong = {s.part for s in raw if s.detector.id == d.id and not s.example}
        out += [_problem(sources[d.id], d, f"reject {i + 1} is found") for i in sorted(wrong)]
    return out


def _benign(together: Engine, written: Path) -> list[Problem]:
    out: list[Problem] = []
    for name, text in benign.documents(written):
        kept, _ = engine.sightings(together, _parts([text]))
        for s in kept:
            if blocks(s.detector.data_class, s.validated) and not s.example and s.detector.status == "stable":
                line = text.count("\n", 0, s.start) + 1
                out.append(Problem(name, line, f"{s.detector.id}: would block benign text"))
    return out


# ------------------------------------------------------------------------------------------------------- revisions


def content_digest(detector: Detector) -> str:
    """SHA-256 of what a detector finds and how it counts: everything but its words and examples."""
    content = {k: v for k, v in msgspec.structs.asdict(detector).items() if k not in _NOT_CONTENT}
    return sha256(msgspec.json.encode(sorted(content.items()))).hexdigest()[:32]


def _revisions(detectors: Sequence[Detector], sources: dict[str, Source], lock: Path) -> list[Problem]:
    try:
        recorded = read_lock(lock)
    except Misconfigured as e:
        return e.problems
    out: list[Problem] = []
    for d in detectors:
        if d.id not in recorded:
            out.append(_problem(sources[d.id], d, f"is not in {lock.name}: run `python -m sluice.detect.record`"))
            continue
        rev, digest = recorded[d.id]
        if d.rev < rev:
            out.append(_problem(sources[d.id], d, f"rev went back from {rev} to {d.rev}"))
        elif d.rev == rev and content_digest(d) != digest:
            out.append(_problem(sources[d.id], d, f"changed under rev {rev}: raise `rev`, then record it"))
        elif d.rev > rev:
            out.append(_problem(sources[d.id], d, f"rev {d.rev} is not recorded in {lock.name} yet (it has {rev})"))
    return out


def read_lock(lock: Path) -> dict[str, tuple[int, str]]:
    """id -> (rev, digest). Raises `Misconfigured`."""
    try:
        table = tomllib.loads(lock.read_text("utf-8"))["detectors"]
        return {str(k): (int(v["rev"]), str(v["digest"])) for k, v in table.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as e:
        raise Misconfigured(Problem(str(lock), None, f"cannot be read as a revision lock: {type(e).__name__}")) from e


def record_revisions(directory: Path, vocabulary: Path) -> list[Problem]:
    """Write the revisions of the packs in `directory` to the lock beside it. Ids that are gone stay: never reused.

    Refuses, and returns the problems, where content changed under the same `rev`.
    """
    detectors, sources, problems = packs.read([directory], vocabulary)
    lock = directory.parent / LOCK
    recorded = read_lock(lock) if lock.is_file() else {}
    for d in detectors:
        rev, digest = recorded.get(d.id, (0, ""))
        if d.rev < rev or (d.rev == rev and content_digest(d) != digest):
            problems.append(_problem(sources[d.id], d, f"changed under rev {rev}: raise `rev` first"))
        recorded[d.id] = (d.rev, content_digest(d))
    if problems:
        return problems
    lines = [f'"{i}" = {{ rev = {rev}, digest = "{digest}" }}' for i, (rev, digest) in sorted(recorded.items())]
    head = "# Written by `python -m sluice.detect.record`: the reviewed content of each revision. Ids stay for ever."
    lock.write_text("\n".join([head, "", "[detectors]", *lines, ""]), "utf-8")
    return []
