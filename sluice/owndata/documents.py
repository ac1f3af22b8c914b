"""Documents into, out of and within an index (`sluice.detect.own.documents`).

An index is one file for many documents, so that a text is looked at once for all of them. Adding reads the index that
is there, and writes a whole new one under the same key and salt. When the key has been rotated since, nothing can be
added to it, because the new document would need the old key for ever: the documents are added anew, to another file.
"""

from __future__ import annotations

import secrets
from collections import defaultdict
from pathlib import Path

import msgspec

from sluice.config.file import OWN_CLASS, OWN_NAME
from sluice.detect.own import documents, index, table
from sluice.detect.own.documents import About, Document
from sluice.detect.own.words import words_of
from sluice.errors import Misconfigured, Problem
from sluice.model import Severity
from sluice.owndata.rows import write

SHORTEST = 30
"""Words that a document needs: a shorter text is a phrase, for a dictionary."""
MOST = 4096


def add(
    out: Path,
    texts: list[tuple[str, Path, str]],
    keys: dict[str, bytes],
    made: str,
    *,
    data_class: str,
    severity: Severity,
    share: float,
    run: int,
) -> list[Document]:
    """Put (name, file, text)s into an index, in the place of documents of the same names. Raises `Misconfigured`."""
    if not OWN_CLASS.fullmatch(data_class):
        raise Misconfigured(Problem("--class", None, f"`{data_class}` must be a class such as `own.contract`"))
    old, known, salt = _existing(out, keys)
    key_id, secret = list(keys.items())[-1]
    keyed = index.Keyed(secret, salt, documents.KIND.encode())
    for name, file, text in texts:
        if not OWN_NAME.fullmatch(name):
            raise Misconfigured(Problem(str(file), None, f"--name: `{name}` must be small letters, digits and hyphens"))
        words = words_of(text)
        if len(words) < SHORTEST:
            raise Misconfigured(Problem(str(file), None, f"has {len(words)} words; a document has at least {SHORTEST}"))
        found = documents.shingles(keyed, words)
        old.pop(name, None)
        old[name] = Document(name, data_class, str(severity), len(words), len(found), share, run)
        known[name] = found
    _write(out, old, known, key_id, secret, salt, made)
    return [old[name] for name, _, _ in texts]


def remove(out: Path, name: str, keys: dict[str, bytes], made: str) -> None:
    """Take a document out of an index. Raises `Misconfigured`."""
    old, known, salt = _existing(out, keys)
    if name not in old:
        raise Misconfigured(Problem(str(out), None, f"has no document `{name}`; there are {', '.join(old) or 'none'}"))
    del old[name], known[name]
    key_id, secret = list(keys.items())[-1]
    _write(out, old, known, key_id, secret, salt, made)


def _existing(out: Path, keys: dict[str, bytes]) -> tuple[dict[str, Document], dict[str, set[int]], bytes]:
    """Documents and shingles by name, and the salt, of the index that is there; fresh ones when there is none."""
    if not out.exists():
        return {}, {}, secrets.token_bytes(index.SALT)
    opened = index.load(out, documents.KIND, keys)
    if opened.head.key_id != list(keys)[-1]:
        what = f"was built under key `{opened.head.key_id}`, which is not in force any more; add its documents anew"
        raise Misconfigured(Problem(str(out), None, f"{what} to another file"))
    about = documents.about_of(opened)
    known: dict[str, set[int]] = defaultdict(set)
    numbers = opened.section("shingles.numbers").cast("I")
    for value, number in zip(opened.section("shingles.hashes").cast("Q"), numbers, strict=True):
        known[about.documents[number].name].add(value)
    return {d.name: d for d in about.documents}, dict(known), bytes.fromhex(opened.head.salt)


def _write(
    out: Path,
    chosen: dict[str, Document],
    known: dict[str, set[int]],
    key_id: str,
    secret: bytes,
    salt: bytes,
    made: str,
) -> None:
    if len(chosen) > MOST:
        raise Misconfigured(Problem(str(out), None, f"has more than {MOST} documents; use another file"))
    owners: dict[int, list[int]] = defaultdict(list)
    for number, name in enumerate(chosen):
        for value in known.get(name, ()):
            owners[value].append(number)
    pairs = [
        value << 32 | number
        for value, numbers in owners.items()
        if len(numbers) <= documents.COMMON
        for number in numbers
    ]
    about = msgspec.to_builtins(About(tuple(chosen.values())))
    sections = index.table_sections("shingles", table.build(pairs))
    write(out, documents.KIND, key_id, secret, salt, made, about, sections)
