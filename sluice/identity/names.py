"""Names of subjects and groups, in one spelling: `Alice` and `user:alice` are one person."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

MAX_NAME = 128
KINDS = ("user", "service", "device", "team")
"""What a subject may be: the part of an id before the colon. A name without one is a user."""
METHODS = ("proxy_basic", "header_trusted", "ip_map", "key_map", "none")
"""The ways of knowing a subject, best first."""

NAME_FAULT = f"must be 1 to {MAX_NAME} printable characters"


def subject_id(text: str) -> str | None:
    """`Alice` -> `user:alice`, `service:CI` -> `service:ci`; None when it is no name."""
    text = folded(text)
    if not text or len(text) > MAX_NAME or not text.isprintable():
        return None
    kind, colon, name = text.partition(":")
    if colon and kind in KINDS:
        return text if name else None
    return f"user:{text}"


def group_names(texts: Iterable[str]) -> tuple[str, ...]:
    """Group names of header values or a CSV cell, split at `;` and `,`, each once."""
    names = (folded(g) for text in texts for g in re.split("[;,]", text))
    return tuple(dict.fromkeys(name for name in names if name and name.isprintable()))


def folded(text: str) -> str:
    """Blanks around it gone, characters composed (NFC), without case."""
    return unicodedata.normalize("NFC", text.strip()).casefold()
