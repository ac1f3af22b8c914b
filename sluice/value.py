"""The base of every value that is made anew for each request: frozen, compared by content, quick to make.

A frozen dataclass of the standard library sets each field by a call into Python's object model, which for the 250
fields of one exchange took as long as scanning its text; a `msgspec.Struct` is made in C, twenty times as fast.
`replace` of the module `copy` makes a changed copy of either.
"""

from __future__ import annotations

from typing import ClassVar

import msgspec


class Value(msgspec.Struct, frozen=True):
    """A frozen value. Fields named in `HIDDEN` hold plaintext and stay out of `repr`."""

    HIDDEN: ClassVar[frozenset[str]] = frozenset()

    def __repr__(self) -> str:
        shown = (f"{name}={getattr(self, name)!r}" for name in self.__struct_fields__ if name not in self.HIDDEN)
        return f"{type(self).__qualname__}({', '.join(shown)})"
