"""Detector packs: TOML in, `Detector`s out. Strict: an unknown key, class or validator is an error with its line.

Every problem of every file is collected before anything is raised, so that one run shows all there is to repair. What
this file checks is what loading needs; what a pack must *prove* (its examples, the benign corpus) is `lint`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from copy import replace
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec

from sluice import tomlfile
from sluice.detect import examples, shapes, validators
from sluice.errors import Misconfigured, Problem
from sluice.model import Detector, Severity

ID = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*\.[a-z0-9]+(?:-[a-z0-9]+)*")
"""`vendor.thing`, lower case, permanent: never reused, never renamed."""
WITHIN = 2_000
"""Farthest that a keyword may stand from a value, in characters."""


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"data_class": "class"}):
    """One `[[detector]]` of a pack, as written (`signatures/README.md` explains each key)."""

    id: str
    rev: Annotated[int, msgspec.Meta(ge=1)]
    title: str
    why: str
    severity: Severity
    data_class: str
    regulations: tuple[str, ...]
    match: tuple[str, ...]
    reject: tuple[str, ...]
    references: tuple[str, ...]
    pattern: str = ""
    keywords: tuple[str, ...] = ()
    keyword_use: str = "boost"
    within: Annotated[int, msgspec.Meta(ge=1, le=WITHIN)] = 80
    validators: tuple[str, ...] = ()
    status: str = "stable"
    overlaps: tuple[str, ...] = ()
    case_insensitive: bool = False


class _Pack(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    family: str
    detector: tuple[dict[str, object], ...] = ()
    overlay: tuple[dict[str, object], ...] = ()


class Overlay(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One `[[overlay]]`: values that the site says a detector is not to find. `allow` matches a value whole."""

    detector: str
    allow: Annotated[tuple[str, ...], msgspec.Meta(min_length=1, max_length=100)]
    reason: Annotated[str, msgspec.Meta(min_length=1)]


class _Words(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    classes: dict[str, str]
    severities: dict[str, str]
    regulations: dict[str, str]


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The closed lists of `vocabulary.toml`: each word with one line of what it means."""

    classes: dict[str, str]
    severities: dict[str, str]
    regulations: dict[str, str]


@dataclass(frozen=True, slots=True)
class Source:
    """Where a detector is written, for messages. The line is looked for when somebody asks: at start nobody does."""

    file: Path
    where: str

    @property
    def line(self) -> int | None:
        return tomlfile.line_of(self.file.read_text("utf-8"), self.where)


def load(directories: Sequence[Path], vocabulary: Path) -> tuple[Detector, ...]:
    """Every detector of the given directories (`*.toml`) and files, in order of id.

    Raises `Misconfigured` that lists every problem found.
    """
    detectors, _, problems = read(directories, vocabulary)
    if problems:
        raise Misconfigured(problems)
    return detectors


def read(
    directories: Sequence[Path], vocabulary: Path
) -> tuple[tuple[Detector, ...], dict[str, Source], list[Problem]]:
    """What `load` does, without raising: the good detectors, where each is written, and what is wrong with the rest."""
    try:
        words = load_vocabulary(vocabulary)
    except Misconfigured as e:
        return (), {}, e.problems
    problems: list[Problem] = []
    found: dict[str, Detector] = {}
    overlays: list[tuple[Overlay, Source]] = []
    sources: dict[str, Source] = {}
    lists = vocabulary.parent / "lists"
    for file in _files(directories, problems):
        try:
            text = file.read_text("utf-8")
            pack = tomlfile.convert(tomlfile.read(file), _Pack, file=file, text=text)
        except Misconfigured as e:
            problems.extend(e.problems)
            continue
        except (OSError, UnicodeDecodeError):
            problems.append(Problem(str(file), None, "cannot be read as UTF-8 text"))
            continue
        for i, raw in enumerate(pack.detector):
            where = f"$.detector[{i}]"
            try:
                entry = tomlfile.convert(raw, Entry, file=file, text=text, under=where)
            except Misconfigured as e:
                problems.extend(e.problems)
                continue
            wrong = _check(entry, words, lists)
            if entry.id in found:
                other = sources[entry.id]
                wrong.append(("id", f"`{entry.id}` is already defined at {other.file}:{other.line}"))
            name = entry.id or f"detector {i + 1}"
            problems.extend(
                Problem(str(file), tomlfile.line_of(text, f"{where}.{key}"), f"{name}: {key}: {what}")
                for key, what in wrong
            )
            if not wrong:
                found[entry.id] = _detector(entry, pack.family, lists)
                sources[entry.id] = Source(file, where)
        for i, raw in enumerate(pack.overlay):
            where = f"$.overlay[{i}]"
            try:
                overlays.append(
                    (tomlfile.convert(raw, Overlay, file=file, text=text, under=where), Source(file, where))
                )
            except Misconfigured as e:
                problems.extend(e.problems)
    for overlay, source in overlays:
        _lay_over(overlay, source, found, problems)
    for detector in found.values():
        for other_id in detector.overlaps:
            if other_id != "*" and other_id not in found:
                source = sources[detector.id]
                what = f"{detector.id}: overlaps: there is no detector `{other_id}`"
                problems.append(Problem(str(source.file), source.line, what))
    return tuple(found[i] for i in sorted(found)), sources, problems


def _lay_over(overlay: Overlay, source: Source, found: dict[str, Detector], problems: list[Problem]) -> None:
    """Add the allow list of a site to the detector that it names."""
    wrong: list[str] = []
    if overlay.detector not in found:
        wrong.append(f"there is no detector `{overlay.detector}` (`sluice packs list`)")
    for pattern in overlay.allow:
        try:
            shape = shapes.analyse(pattern)
        except shapes.Unusable as e:
            wrong.append(f"allow: `{pattern}` {e}")
            continue
        if shape.least < 3:
            wrong.append(f"allow: `{pattern}` begins with fewer than 3 required characters: it would allow nearly all")
    problems.extend(Problem(str(source.file), source.line, f"overlay: {what}") for what in wrong)
    if not wrong:
        detector = found[overlay.detector]
        found[overlay.detector] = replace(detector, allow=(*detector.allow, *overlay.allow))


def load_vocabulary(file: Path) -> Vocabulary:
    """The closed lists. Raises `Misconfigured`."""
    words = tomlfile.convert(tomlfile.read(file), _Words, file=file)
    known = {str(s) for s in Severity}
    if set(words.severities) != known:
        raise Misconfigured(Problem(str(file), None, f"severities must be exactly {', '.join(sorted(known))}"))
    return Vocabulary(words.classes, words.severities, words.regulations)


def _files(directories: Sequence[Path], problems: list[Problem]) -> list[Path]:
    files: list[Path] = []
    for path in directories:
        if path.is_dir():
            files.extend(sorted(path.glob("*.toml")))
        elif path.is_file():
            files.append(path)
        else:
            problems.append(Problem(str(path), None, "no such pack file or directory"))
    return files


def _listed(name: str, lists: Path) -> tuple[str, ...]:
    """The words of a list that a pack names as `@name`: each with a capital, and found with that capital only."""
    text = (lists / f"{name}.txt").read_text("utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    return tuple(word[:1].upper() + word[1:] for line in lines for word in line.split())


def _detector(entry: Entry, family: str, lists: Path) -> Detector:
    return Detector(
        id=entry.id,
        rev=entry.rev,
        title=entry.title,
        why=entry.why,
        data_class=entry.data_class,
        severity=entry.severity,
        regulations=entry.regulations,
        pattern=entry.pattern or r"\S",
        keywords=tuple(
            w for word in entry.keywords for w in (_listed(word[1:], lists) if word.startswith("@") else (word,))
        ),
        keyword_use=entry.keyword_use,
        within=entry.within,
        validators=entry.validators,
        status=entry.status,
        overlaps=entry.overlaps,
        references=entry.references,
        family=family,
        match=tuple(examples.expand(text, f"{entry.id}/match/{i}") for i, text in enumerate(entry.match)),
        reject=tuple(examples.expand(text, f"{entry.id}/reject/{i}") for i, text in enumerate(entry.reject)),
        case_insensitive=entry.case_insensitive,
    )


def _check(entry: Entry, words: Vocabulary, lists: Path) -> list[tuple[str, str]]:
    """(key, what is wrong) of one entry."""
    wrong: list[tuple[str, str]] = []
    if not ID.fullmatch(entry.id):
        wrong.append(("id", f"`{entry.id}` is not of the form `vendor.thing` (lower case, digits, hyphens)"))
    if not entry.title.strip():
        wrong.append(("title", "must say what is found"))
    if not entry.why.strip():
        wrong.append(("why", "must say what happens when it leaks"))
    if entry.data_class not in words.classes:
        wrong.append(("class", f"`{entry.data_class}` is not in vocabulary.toml; add it there or use a listed one"))
    wrong += [
        ("regulations", f"`{tag}` is not in vocabulary.toml")
        for tag in entry.regulations
        if tag not in words.regulations
    ]
    if entry.keyword_use not in {"boost", "require", "column", "word", "begin"}:
        wrong.append(("keyword_use", f"must be boost, require, column, word or begin, not `{entry.keyword_use}`"))
    if (entry.keyword_use == "word") != (not entry.pattern):
        wrong.append(("pattern", 'is needed, but with keyword_use = "word": there a keyword itself is what is found'))
    if entry.keyword_use != "boost" and not entry.keywords:
        wrong.append(("keywords", f'keyword_use = "{entry.keyword_use}" needs at least one'))
    wrong += [
        ("keywords", f"`{word}`: a keyword is lower case and at least two characters")
        for word in entry.keywords
        if len(word.strip()) < 2 or word != word.lower() or word != word.strip()
    ]
    wrong += [
        ("keywords", f"`{word}`: there is no list {lists.name}/{word[1:]}.txt beside the vocabulary")
        for word in entry.keywords
        if word.startswith("@") and not (lists / f"{word[1:]}.txt").is_file()
    ]
    if entry.status not in {"stable", "test"}:
        wrong.append(("status", f"must be stable or test, not `{entry.status}`"))
    for name in entry.validators:
        try:
            validators.find(name)
        except KeyError as e:
            wrong.append(("validators", str(e.args[0])))
    try:
        shape = shapes.analyse(entry.pattern or r"\S", caseless=entry.case_insensitive)
    except shapes.Unusable as e:
        wrong.append(("pattern", str(e)))
    else:
        if shape.least < 3 and entry.keyword_use == "boost":
            wrong.append(("pattern", "its first required part is shorter than 3 characters: it would fire everywhere"))
    for key, texts in (("match", entry.match), ("reject", entry.reject)):
        if len(texts) < 2:
            wrong.append((key, "at least two examples"))
        if len(set(texts)) != len(texts):
            wrong.append((key, "the same example twice"))
    return wrong
