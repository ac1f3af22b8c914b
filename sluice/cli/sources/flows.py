"""mitmproxy's flow files, read without mitmproxy: a sequence of tnetstrings, one dictionary for each flow.

A tnetstring is `<length>:<bytes><type>`, the type being `,` bytes, `;` text, `#` integer, `^` float, `!` boolean,
`~` nothing, `]` list, `}` dictionary (https://tnetstrings.info, with mitmproxy's `;` for text). Lengths are checked
against what is there before anything is taken, nesting and the number of values are bounded.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

DEEPEST = 24
"""Nesting; a flow of mitmproxy 12 has seven levels."""
VALUES = 2_000_000
"""Values of one file."""
_DIGITS = 12


class Malformed(ValueError):
    """It is no flow file, or a damaged one. Says at which byte, nothing of its content."""


def is_flows(data: bytes) -> bool:
    """True when the file begins with a whole dictionary in a tnetstring."""
    head, colon, _ = data[: _DIGITS + 1].partition(b":")
    if not colon or not head.isdigit():
        return False
    end = len(head) + 1 + int(head)
    return data[end : end + 1] == b"}"


def flows(data: bytes) -> Iterator[dict[str, Any]]:
    """Each flow's dictionary. Raises `Malformed` at the first that cannot be read; those before it were good."""
    reader = _Reader(data)
    at = 0
    while at < len(data):
        flow, at = reader.value(at, len(data), 0)
        if not isinstance(flow, dict):
            raise Malformed(f"byte {at}: no flow")
        yield flow


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._left = VALUES

    def value(self, at: int, stop: int, depth: int) -> tuple[Any, int]:
        """The value that begins at `at` and ends before `stop`, and where the next one begins."""
        colon = self._data.find(b":", at, min(at + _DIGITS + 1, stop))
        digits = self._data[at:colon] if colon > at else b""
        self._left -= 1
        if not digits.isdigit() or depth > DEEPEST or self._left < 0:
            raise Malformed(f"byte {at}: no tnetstring, or too many")
        begin = colon + 1
        end = begin + int(digits)
        if end >= stop:
            raise Malformed(f"byte {at}: longer than the file")
        kind = self._data[end : end + 1]
        if kind in (b"]", b"}"):
            items = []
            place = begin
            while place < end:
                item, place = self.value(place, end, depth + 1)
                items.append(item)
            return (items if kind == b"]" else self._table(items, at)), end + 1
        return self._scalar(kind, self._data[begin:end], at), end + 1

    @staticmethod
    def _table(items: list[Any], at: int) -> dict[str, Any]:
        keys = [k.decode("ascii", "replace") if isinstance(k, bytes) else k for k in items[::2]]
        if len(items) % 2 or not all(isinstance(k, str) for k in keys):
            raise Malformed(f"byte {at}: a dictionary of odd shape")
        return dict(zip(keys, items[1::2], strict=True))

    @staticmethod
    def _scalar(kind: bytes, raw: bytes, at: int) -> Any:
        try:
            match kind:
                case b",":
                    return raw
                case b";":
                    return raw.decode("utf-8", "replace")
                case b"#":
                    return int(raw[:20])
                case b"^":
                    return float(raw[:40])
                case b"!":
                    return raw == b"true"
                case b"~":
                    return None
                case _:
                    raise Malformed(f"byte {at}: unknown type")
        except ValueError as e:
            raise Malformed(f"byte {at}: not a number") from e
