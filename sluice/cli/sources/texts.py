"""Plain files: which bytes are text, in which encoding, in blocks that a scan can hold; and fields of JSON lines."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from sluice import decode
from sluice.cli.sources import BINARY, Document, Item, Skipped, part

BLOCK = 16 * 1024 * 1024
"""Characters of one scan. A longer file is read in blocks that overlap."""
OVERLAP = 16 * 1024
"""Characters that two blocks have in common: a value is found whole in one of them."""
_HEAD = 8192


def text_of(data: bytes) -> str | None:
    """The text of a file, or None when it is binary.

    Bytes that are not UTF-8 are read as Latin-1 when most characters above ASCII are such bytes; a broken character in
    a file of UTF-8 is a replacement character.
    """
    read = decode.read_text(data)
    if not isinstance(read, str):
        return None
    if b"\0" in data[:_HEAD] and "\0" in read[:_HEAD]:
        return None
    if data.isascii():
        return read
    lenient = data.decode("utf-8", "replace")
    broken = lenient.count("\ufffd")
    good = sum(1 for c in lenient[:1_000_000] if c > "\x7f") - broken
    return lenient if broken and broken <= max(good, 1) else read


def plain(name: str, data: bytes) -> Iterator[Item]:
    """A text file, in blocks. Findings in the overlap come twice; `line` and the file tell that they are one."""
    text = text_of(data)
    if text is None:
        yield Skipped(name, BINARY, len(data))
        return
    if len(text) <= BLOCK:
        yield Document(name, (part(text),), len(data))
        return
    at = line = 0
    while at < len(text):
        block = text[at : at + BLOCK]
        last = at + BLOCK >= len(text)
        yield Document(name, (part(block),), len(data) if last else 0, line=line)
        if last:
            return
        step = block.rfind("\n", 0, BLOCK - OVERLAP) + 1 or BLOCK - OVERLAP
        line += block.count("\n", 0, step)
        at += step


def lines(name: str, data: bytes, field: str) -> Iterator[Item]:
    """The texts at `field` (`text`, `messages.content`: lists are walked) of every line of a JSONL file."""
    steps = field.split(".")
    missing = 0
    for number, line in enumerate(data.splitlines()):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            yield Skipped(f"{name}:{number + 1}", "not JSON", len(line))
            continue
        texts = tuple(_at(value, steps))
        missing += not texts
        if texts:
            yield Document(name, tuple(part(t) for t in texts), len(line), line=number, row=True)
    if missing:
        yield Skipped(name, f"{missing} line{'s' if missing > 1 else ''} without text at `{field}`")


def _at(value: Any, steps: list[str]) -> Iterator[str]:
    if isinstance(value, list):
        for item in value:
            yield from _at(item, steps)
    elif not steps:
        if isinstance(value, str):
            yield value
    elif isinstance(value, dict) and steps[0] in value:
        yield from _at(value[steps[0]], steps[1:])
