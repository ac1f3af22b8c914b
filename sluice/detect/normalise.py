"""Texts beside the raw one, with the disguise taken off, and the way back to the offsets of the original.

The raw text is always scanned as it is; a view is made only where a cheap test says that there is something to undo.
One view undoes everything of one level together: backslash escapes, HTML entities, percent-escapes, quoted-printable
(`escapes`), characters that only look different or that nobody sees (`characters`). Runs of base64, hexadecimal and
codes become views of their own (`encoded`), and so do values in pieces (`joined`). A view of a view is the next level:
the engine walks `LEVELS` of them under a byte budget, so cost stays linear.

Not undone here: letters with accents in one character, base85, binary digits, encryption, words for digits, text in
pictures.
"""

from __future__ import annotations

from sluice.detect import characters, escapes
from sluice.detect.encoded import RUN, decode_codes, decode_runs
from sluice.detect.views import AROUND, WHOLE, Coded, Spans, Step, View, replaced

__all__ = [
    "AROUND",
    "LEVELS",
    "RUN",
    "SHORTEST",
    "VERSION",
    "WHOLE",
    "Coded",
    "Spans",
    "Step",
    "View",
    "decode_codes",
    "decode_runs",
    "digest",
    "suspicious",
    "unescape",
    "unquote",
]

VERSION = 3
"""Goes into every record as `normalisation_version`; a change here can change findings."""
SHORTEST = 13
"""Characters of the shortest text that may hold something encoded or in pieces: a card number."""
LEVELS = 3
"""Escapes inside escapes that are followed."""


def digest() -> str:
    """What the data behind these views is, for the engine's digest."""
    return characters.digest()


def suspicious(text: str, places: escapes.Places | None = None) -> bool:
    """True when `unescape` would find something. `places`: where escapes may begin, if that is known."""
    return escapes.suspicious(text, places) or (not text.isascii() and characters.suspicious(text))


def unescape(text: str, limit: int, places: escapes.Places | None = None) -> tuple[View | None, bool]:
    """The view of `text` with one level of disguise taken off, or None when there is none.

    Undoes at most `limit` places; the second value is False when there were more. `places` as in `suspicious`.
    """
    found = escapes.replacements(text, places)
    if not text.isascii():
        found += characters.folds(text)
    found.sort()
    chosen = []
    done = 0
    for item in found:
        if item[0] >= done:
            chosen.append(item)
            done = item[1]
    if not chosen:
        return None, True
    return replaced(text, chosen[:limit]), len(chosen) <= limit


def unquote(text: str, limit: int, places: escapes.Places | None = None) -> tuple[View | None, bool]:
    """As `unescape`, with quoted-printable alone undone: a soft line break may have cut another escape in two."""
    found = escapes.soft_breaks(text, places)
    return (replaced(text, found[:limit]), len(found) <= limit) if found else (None, True)
