"""Server-sent events as they arrive (WHATWG HTML, 9.2.6): lines in, the data of each event out.

Most events are a few hundred bytes and handed over whole. One that is longer than `LONGEST` (a response that repeats
its instructions and tools) goes through a `Pruner` while it arrives, so that no event is held.
"""

from __future__ import annotations

from collections.abc import Callable

from sluice.answers.prune import Pruner, Tree, Unreadable

MOST_LINES = 64 * 1024
"""Lines that one chunk of the wire may bring: what is compressed can hold millions of empty ones."""
LONGEST = 16 * 1024
"""Bytes of one event, or of one line, that are held."""
_MARK = b"data:"


class Events:
    """One stream. `whole` gets the data of an event; `piece` gets what is left of a long one. Cut anywhere."""

    __slots__ = ("_data", "_line", "_long", "_piece", "_pruner", "_return", "_tree", "_whole", "lines")

    def __init__(self, tree: Tree, whole: Callable[[bytes], None], piece: Callable[[bytes], None]) -> None:
        self._tree = tree
        self._whole = whole
        self._piece = piece
        self._line = bytearray()
        self._long = False
        """The line was too long to hold, and what is wanted of it has gone on."""
        self._data: bytes | None = None
        self._pruner: Pruner | None = None
        self._return = False
        self.lines = 0
        """Lines since the reader set it back, which it does with each chunk of the wire."""

    def feed(self, data: bytes) -> None:
        """The next bytes. Raises `Unreadable`."""
        if self._return and data[:1] == b"\n":
            data = data[1:]
        self._return = data[-1:] == b"\r"
        if b"\r" in data:
            data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        lines = data.split(b"\n")
        rest = lines.pop()
        self.lines += len(lines)
        if self.lines > MOST_LINES:
            raise Unreadable("too many lines at once")
        for line in lines:
            self._end(line)
        if rest:
            self._more(rest)

    def finish(self) -> None:
        """The stream is over. What a service sent without the empty line behind it counts all the same."""
        self._end(b"")
        self._dispatch()

    def _more(self, data: bytes) -> None:
        """A part of a line."""
        if self._long:
            if self._pruner is not None:
                self._pruner.feed(data)
            return
        self._line += data
        if len(self._line) > LONGEST:
            self._long = True
            if self._line.startswith(_MARK):
                self._prune(bytes(self._line[len(_MARK) :]))
            self._line.clear()

    def _end(self, data: bytes) -> None:
        """The last part of a line."""
        if self._long:
            self._more(data)
            self._long = False
            return
        if self._line:
            data = bytes(self._line) + data
            self._line.clear()
        if not data:
            self._dispatch()
        elif data.startswith(_MARK):
            data = data[len(_MARK) :]
            if self._pruner is not None:
                self._pruner.feed(b"\n" + data)
            elif self._data is None:
                self._data = data
            elif len(self._data) + len(data) > LONGEST:
                self._prune(b"\n" + data)
            else:
                self._data += b"\n" + data

    def _prune(self, data: bytes) -> None:
        if self._pruner is None:
            self._pruner = Pruner(self._tree, self._piece)
            if self._data is not None:
                self._pruner.feed(self._data + b"\n")
                self._data = None
        self._pruner.feed(data)

    def _dispatch(self) -> None:
        if self._pruner is not None:
            self._pruner.finish()
            self._pruner = None
        if self._data is not None:
            data, self._data = self._data, None
            self._whole(data)
