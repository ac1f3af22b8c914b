"""Everything of `[own]` loaded, as one value with one digest and one question: what of it stands in this text?

Nothing is half loaded: every problem of every file is collected and `Misconfigured` raised, and nothing starts.
"""

from __future__ import annotations

import datetime as dt
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from hashlib import blake2b, sha256
from pathlib import Path
from typing import Protocol

from sluice.config import Own, OwnDictionary, OwnIndex
from sluice.detect.own import documents, exact, index, phrases, secrets, substrings
from sluice.detect.own.hit import Hit, Spending
from sluice.detect.own.words import Words
from sluice.errors import Misconfigured, Problem
from sluice.model import Detector, Severity

CANARY, KNOWN = "canary.token", "secret.known"
CLASSES = frozenset({CANARY, KNOWN})
"""Classes of the vocabulary that only a site's own data has."""
SHORTEST_CANARY = 8
ENTRY = 500
"""Longest line of a word list, characters."""
REMEMBER = os.environ.get("PYTHONHASHSEED", "random") == "random"
"""The interpreter's hashes have a key that nobody knows."""
KEPT = 16
"""Compiled dictionaries kept in `var/cache`."""


def detector(name: str, data_class: str, severity: Severity, title: str, why: str) -> Detector:
    """What a finding says of the kind of data that was found."""
    return Detector(
        id=name, rev=1, title=title, why=why, data_class=data_class, severity=severity, regulations=(), pattern="",
        family="own",
    )  # fmt: skip


class Matcher(Protocol):
    """One list or index, ready to match."""

    def find(self, words: Words, spending: Spending) -> Iterator[Hit]:
        """What stands in a text. Raises `hit.Exhausted` where the budget ends; what came before counts."""
        ...


@dataclass(frozen=True, slots=True)
class OwnData:
    """The site's own data, ready to match. Read-only; safe to use from any thread. Each matcher has a budget of its
    own, so that no text can hide a canary token behind a million account numbers."""

    matchers: tuple[Matcher, ...]
    detectors: tuple[Detector, ...]
    digest: str

    @property
    def classes(self) -> frozenset[str]:
        return frozenset(d.data_class for d in self.detectors)


def load(own: Own, keys: Mapping[str, bytes], cache: Path) -> OwnData | None:
    """What the settings name; None when they name nothing. `keys`: the deployment's keys, the one in force last.

    `cache`: directory of compiled dictionaries. Raises `Misconfigured` with every problem of every file.
    """
    if not own.used:
        return None
    loading = _Loading(keys, cache)
    for file in own.canaries:
        loading.attempt(loading.canaries, file.file)
    for file in own.secrets:
        loading.attempt(loading.secrets, file.file)
    for rows in own.edm:
        loading.attempt(loading.rows, rows)
    for table in own.dictionary:
        loading.attempt(loading.phrases if table.whole_words else loading.substrings, table)
    for file in own.documents:
        loading.attempt(loading.documents, file.file)
    if loading.problems:
        raise Misconfigured(loading.problems)
    digest = sha256("\n".join(loading.digests).encode()).hexdigest()
    return OwnData(tuple(loading.matchers), tuple(loading.detectors), digest)


class _Loading:
    """One loading: what is wrong, and what makes the digest."""

    def __init__(self, keys: Mapping[str, bytes], cache: Path) -> None:
        self.keys = keys
        self.cache = cache
        self.matchers: list[Matcher] = []
        self.problems: list[Problem] = []
        self.detectors: list[Detector] = []
        self.digests: list[str] = []

    def attempt[T](self, step: Callable[[T], Matcher], what: T) -> None:
        try:
            self.matchers.append(step(what))
        except Misconfigured as e:
            self.problems.extend(e.problems)

    def _note(self, digest: str, *detectors: Detector) -> None:
        for d in detectors:
            if d.id not in {known.id for known in self.detectors}:
                self.detectors.append(d)
            self.digests.append(f"{d.id} {d.data_class} {d.severity}")
        self.digests.append(digest)

    def secrets(self, file: Path) -> secrets.Secrets:
        opened = index.load(file, secrets.KIND, self.keys)
        made = detector(
            "own.known-secret", KNOWN, Severity.CRITICAL, "Secret of this site", "It is in use: replace it at once."
        )
        self._note(opened.digest, made)
        return secrets.Secrets(opened, made, remember=REMEMBER)

    def rows(self, table: OwnIndex) -> exact.Rows:
        opened = index.load(table.file, exact.KIND, self.keys)
        data_class = table.data_class or f"own.{table.name}"
        title = f"Row of {table.name}"
        made = detector(f"own.{table.name}", data_class, table.severity, title, "A record of this site.")
        self._note(opened.digest, made)
        return exact.Rows(opened, made, remember=REMEMBER)

    def documents(self, file: Path) -> documents.Documents:
        opened = index.load(file, documents.KIND, self.keys)
        made = {
            d.name: detector(
                f"own.{d.name}", d.data_class, Severity(d.severity), f"Document {d.name}", "A document of this site."
            )
            for d in documents.about_of(opened).documents
        }
        self._note(opened.digest, *made.values())
        return documents.Documents(opened, made)

    def canaries(self, file: Path) -> substrings.Substrings:
        content = _private(file)
        entries: set[str] = set()
        for number, entry in _lines(content, file):
            if len(entry) < SHORTEST_CANARY:
                what = f"a canary token of fewer than {SHORTEST_CANARY} characters would be found by chance"
                self.problems.append(Problem(str(file), number, what))
            entries.add(entry)
        if not entries:
            raise Misconfigured(Problem(str(file), None, "has no canary token in it"))
        made = detector(
            "own.canary-token", CANARY, Severity.CRITICAL, "Canary token", "Whoever has it has been inside."
        )
        self._note(self._keyed_digest(content), made)
        return substrings.Substrings(frozenset(entries), made, case=True, confidence=1.0)

    def substrings(self, table: OwnDictionary) -> substrings.Substrings:
        content = _read(table.file)
        entries: set[str] = set()
        for number, entry in _lines(content, table.file):
            if len(entry) < 2:
                self.problems.append(Problem(str(table.file), number, "an entry of one character is found everywhere"))
            entries.add(entry)
        if not 0 < len(entries) <= substrings.MOST:
            what = f"has {len(entries)} entries; with whole_words = false there may be 1 to {substrings.MOST}"
            raise Misconfigured(Problem(str(table.file), None, what))
        made = _of(table)
        self._note(f"{self._keyed_digest(content)} case={table.case} inside", made)
        return substrings.Substrings(frozenset(entries), made, case=table.case, confidence=0.8)

    def phrases(self, table: OwnDictionary) -> phrases.Phrases:
        """Compiled, or as it was compiled before: kept in the cache under a keyed digest of the word list."""
        digest = self._list_digest(table)
        opened = None
        with suppress(Misconfigured):  # of another key or version, or damaged: compiled anew
            opened = index.load(self._kept(digest), phrases.KIND, self.keys)
        if opened is None:
            content = _read(table.file)
            digest = self._keyed_digest(content, case=table.case)  # of what is compiled, should the file change now
            opened = self._compile(table, content, self._kept(digest))
        made = _of(table)
        self._note(digest, made)
        return phrases.Phrases(opened, made, case=table.case, remember=REMEMBER)

    def _compile(self, table: OwnDictionary, content: bytes, kept: Path) -> index.Index:
        key_id, secret = list(self.keys.items())[-1]
        # The salt follows from the content: the same list compiled by two processes at once is the same file.
        salt = blake2b(content, digest_size=index.SALT, key=secret, person=b"sluice words").digest()
        keyed = index.Keyed(secret, salt, phrases.KIND.encode())
        arrays, count, bad = phrases.compile_entries(_lines(content, table.file), keyed, case=table.case)
        if bad:
            raise Misconfigured([Problem(str(table.file), b.line, b.what) for b in bad[:20]])
        if not count:
            raise Misconfigured(Problem(str(table.file), None, "has no entry in it"))
        made = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
        try:
            self.cache.mkdir(parents=True, exist_ok=True, mode=0o700)
            sections = index.table_sections("entries", arrays)
            index.save(kept, phrases.KIND, key_id, secret, salt, made, {"entries": count}, sections)
            for old in sorted(self.cache.glob("*.words"), key=lambda p: p.lstat().st_mtime_ns)[:-KEPT]:
                old.unlink(missing_ok=True)
        except OSError as e:
            raise Misconfigured(Problem(str(kept), None, f"cannot be written: {e.strerror}")) from e
        return index.load(kept, phrases.KIND, self.keys)

    def _kept(self, digest: str) -> Path:
        return self.cache / f"{digest}.words"

    def _list_digest(self, table: OwnDictionary) -> str:
        """`_keyed_digest` of a word list without holding all of it: every worker asks, at every start."""
        hashed = self._hashing(case=table.case)
        try:
            with table.file.open("rb") as stream:
                while chunk := stream.read(1 << 18):
                    hashed.update(chunk)
        except OSError as e:
            raise Misconfigured(Problem(str(table.file), None, f"cannot be read: {e.strerror}")) from e
        return hashed.hexdigest()

    def _keyed_digest(self, content: bytes, *, case: bool = False) -> str:
        """Of a file in the clear: a plain digest of a short list could be guessed."""
        hashed = self._hashing(case=case)
        hashed.update(content)
        return hashed.hexdigest()

    def _hashing(self, *, case: bool) -> blake2b:
        return blake2b(
            digest_size=20, key=list(self.keys.values())[-1], person=b"sluice list", salt=b"case" if case else b""
        )


def _of(table: OwnDictionary) -> Detector:
    data_class = table.data_class or f"own.{table.name}"
    return detector(f"own.{table.name}", data_class, table.severity, f"Word of {table.name}", "A word of this site.")


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as e:
        raise Misconfigured(Problem(str(file), None, f"cannot be read: {e.strerror}")) from e


def _private(file: Path) -> bytes:
    """A file in the clear that nobody else may read."""
    try:
        mode = os.stat(file).st_mode  # noqa: PTH116
    except OSError as e:
        raise Misconfigured(Problem(str(file), None, f"cannot be read: {e.strerror}")) from e
    if not stat.S_ISREG(mode):
        raise Misconfigured(Problem(str(file), None, "is not a file"))
    if mode & 0o077:
        raise Misconfigured(Problem(str(file), None, "is readable by others; run `chmod 600` on it"))
    return _read(file)


def _lines(content: bytes, file: Path) -> Iterator[tuple[int, str]]:
    """(line, entry) of a word list. Raises `Misconfigured` with the line that is not one."""
    begin = 3 if content.startswith(b"\xef\xbb\xbf") else 0
    for number, line in enumerate(content[begin:].split(b"\n"), 1):
        try:
            entry = line.decode("utf-8").strip()
        except UnicodeDecodeError as e:
            raise Misconfigured(Problem(str(file), number, f"is not UTF-8 (byte {e.start} of the line)")) from e
        if len(entry) > ENTRY:
            raise Misconfigured(Problem(str(file), number, f"is longer than {ENTRY} characters: is it a word list?"))
        if entry and not entry.startswith("#"):
            yield number, entry
