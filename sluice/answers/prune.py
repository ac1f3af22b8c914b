"""A stream of JSON cut down to the few keys that are wanted, with a few hundred bytes of state.

A `Tree` names the keys. Everything else is passed over at the speed of a regular expression: long texts are neither
kept nor decoded. What is left of a document goes to `emit` as JSON when the document ends; documents that follow each
other, and the elements of an array at the top, are documents of their own. The syntax is not judged: `emit` gets what a
strict decoder has to read.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import msgspec

type Tree = dict[bytes, Tree]
"""Wanted keys and what is wanted below them; empty = a scalar. Arrays are as their elements."""

LONGEST = 1024
"""Bytes of a wanted text; a longer one becomes null."""
LARGEST = 32 * 1024
"""Bytes that may be left of one document."""
MOST_DOCUMENTS = 50_000
"""Documents of one stream: `{}` over and over, compressed, would keep the event loop for seconds from a few kB."""

_SPACE = re.compile(rb"[\s,:]*+")
_TEXT = re.compile(rb'(?:[^"\\]++|\\.)*+', re.DOTALL)
_WORD = re.compile(rb'[^\s,:"{}\[\]]*+')
_SKIPPED = re.compile(rb'[^"{}\[\]]*+(?:"(?:[^"\\]++|\\.)*+(?:"|(\\?+)\Z)|([{\[])|([}\]])|(\Z))', re.DOTALL)
"""Inside a container that nobody wants, behind anything else: a whole string, one that the chunk cuts off (1), an
opening (2), a closing (3), the end of the chunk (4). Each match begins where the last one ended, so no byte is read
twice."""
_NOTHING: Tree = {}
_CLOSING = {0x7B: 0x7D, 0x5B: 0x5D}


class Unreadable(Exception):
    """This is not a stream of JSON, or more is left of it than may be. Control flow of this room."""


class Pruner:
    """One stream. `feed` takes chunks cut anywhere. Raises `Unreadable`."""

    __slots__ = (
        "_cut",
        "_depth",
        "_documents",
        "_emit",
        "_escape",
        "_keep",
        "_key",
        "_out",
        "_root",
        "_stack",
        "_start",
        "_state",
    )

    def __init__(self, root: Tree, emit: Callable[[bytes], None]) -> None:
        self._root = root
        self._emit = emit
        self._state: Callable[[bytes, int], int] = self._value
        self._stack: list[tuple[int, Tree]] = []
        """Closing bracket of each open container, and the keys wanted in it."""
        self._out = bytearray()
        self._key: bytearray | None = None
        self._keep: Tree | None = root
        """What is wanted of the value that comes next; None = nothing."""
        self._escape = False
        self._depth = 0
        self._start = 0
        self._cut = False
        self._documents = 0

    def feed(self, data: bytes) -> None:
        """The next bytes."""
        position, end = 0, len(data)
        while position < end:
            position = self._state(data, position)

    def finish(self) -> None:
        """The end of the stream: a number or word at the top has no other end."""
        if self._state == self._word and not self._stack:
            self._after()

    # Each state takes (chunk, position) and returns the position behind what it has read, at least one further unless
    # it has changed the state.

    def _value(self, data: bytes, position: int) -> int:
        """Before a value, or before what closes the container."""
        match = _SPACE.match(data, position)
        position = match.end() if match else position
        if position == len(data):
            return position
        byte = data[position]
        if byte in (0x7D, 0x5D):
            return self._close(byte, position)
        keep = self._keep
        if byte == 0x22:
            self._start = len(self._out)
            if keep is not None:
                self._mark()
                self._out += b'"' if not keep else b"null"
            self._keep = None if keep else keep  # a text where keys are wanted says nothing
            self._cut = False
            self._state = self._string
            return position + 1
        if byte in (0x7B, 0x5B):
            at_top_array = byte == 0x5B and not self._stack
            if keep is None or (not keep and not at_top_array):
                if keep is not None:
                    self._mark()
                    self._out += b"null"
                self._depth = 1
                self._state = self._skip
                return position + 1
            if at_top_array:
                self._stack.append((0x5D, keep))
                return position + 1
            self._mark()
            self._out.append(byte)
            self._stack.append((_CLOSING[byte], keep))
            self._state = self._name if byte == 0x7B else self._value
            return position + 1
        if keep is not None:
            self._mark()
        self._start = len(self._out)
        self._state = self._word
        return position

    def _mark(self) -> None:
        """A comma before an element of a kept array. Members of objects have had theirs with the key."""
        if self._out and self._out[-1] not in b"[{:":
            self._out += b","
        if len(self._out) > LARGEST:
            raise Unreadable("too much is left of a document")

    def _close(self, byte: int, position: int) -> int:
        if not self._stack or self._stack[-1][0] != byte:
            raise Unreadable("brackets do not agree")
        self._stack.pop()
        if self._out:
            self._out.append(byte)
        self._after()
        return position + 1

    def _after(self) -> None:
        """Behind a value: on with the container, or the document is whole."""
        depth = len(self._stack)
        if depth == 0 or (depth == 1 and self._top_array()):
            if self._out:
                document = bytes(self._out)
                self._out.clear()
                self._documents += 1
                if self._documents > MOST_DOCUMENTS:
                    raise Unreadable("too many documents")
                self._emit(document)
            self._keep = self._root
            self._state = self._value
            return
        closing, keep = self._stack[-1]
        self._keep = keep
        self._state = self._name if closing == 0x7D else self._value

    def _top_array(self) -> bool:
        return self._stack[0][0] == 0x5D

    def _name(self, data: bytes, position: int) -> int:
        """Before a key, or before the end of the object."""
        match = _SPACE.match(data, position)
        position = match.end() if match else position
        if position == len(data):
            return position
        if data[position] == 0x7D:
            return self._close(0x7D, position)
        if data[position] != 0x22:
            raise Unreadable("a key was expected")
        self._key = bytearray()
        self._state = self._string
        return position + 1

    def _string(self, data: bytes, position: int) -> int:
        """Inside a key, a wanted text, or any other text."""
        start = position
        if self._escape:
            self._escape = False
            position += 1
        match = _TEXT.match(data, position)
        position = match.end() if match else position
        whole = position < len(data) and data[position] == 0x22
        if position < len(data) and not whole:  # a backslash is the chunk's last byte
            self._escape = True
            position = len(data)
        sink = self._key if self._key is not None else self._out if self._keep is not None else None
        if sink is not None and not self._cut:
            if position - start + len(sink) - (0 if self._key is not None else self._start) > LONGEST:
                self._cut = True
            else:
                sink += data[start:position]
        if not whole:
            return position
        if self._key is not None:
            self._named(bytes(self._key))
        else:
            if self._keep is not None:
                if self._cut:
                    del self._out[self._start :]
                    self._mark()
                    self._out += b"null"
                else:
                    self._out += b'"'
            self._after()
        return position + 1

    def _named(self, key: bytes) -> None:
        """Behind a key: is its value wanted?"""
        cut, self._cut, self._key = self._cut, False, None
        if b"\\" in key and not cut:
            try:
                key = msgspec.json.decode(b'"' + key + b'"', type=str).encode()
            except (msgspec.MsgspecError, UnicodeError) as e:
                raise Unreadable("a key that is no text") from e
        self._keep = None if cut else self._stack[-1][1].get(key)
        if self._keep is not None:
            self._mark()
            self._out += b'"' + key + b'":'
        self._state = self._value

    def _word(self, data: bytes, position: int) -> int:
        """Inside a number, true, false or null."""
        match = _WORD.match(data, position)
        end = match.end() if match else position
        if self._keep is not None:
            self._out += data[position:end]
            if len(self._out) - self._start > LONGEST:
                raise Unreadable("a number that does not end")
        if end < len(data):
            if end == position and len(self._out) == self._start and self._keep is not None:
                raise Unreadable("a value was expected")
            self._after()
        return end

    def _skip(self, data: bytes, position: int) -> int:
        """Inside a container that nobody wants."""
        depth = self._depth
        for match in _SKIPPED.finditer(data, position):
            kind = match.lastindex
            if kind is None:
                continue
            if kind == 2:
                depth += 1
            elif kind == 3:
                depth -= 1
                if depth == 0:
                    self._after()
                    return match.end()
            elif kind == 1:
                self._escape = bool(match[1])
                self._state = self._skip_text
        self._depth = depth
        return len(data)

    def _skip_text(self, data: bytes, position: int) -> int:
        """Inside a text inside such a container."""
        if self._escape:
            self._escape = False
            position += 1
        match = _TEXT.match(data, position)
        position = match.end() if match else position
        if position == len(data):
            return position
        if data[position] == 0x22:
            self._state = self._skip
            return position + 1
        self._escape = True
        return len(data)


def tree_of(kind: type[msgspec.Struct]) -> Tree:
    """The keys that a struct reads, so that what is pruned is what is decoded."""
    return _tree(msgspec.inspect.type_info(kind))


def _tree(kind: msgspec.inspect.Type) -> Tree:
    match kind:
        case msgspec.inspect.StructType():
            return {f.encode_name.encode(): _tree(f.type) for f in kind.fields}
        case msgspec.inspect.ListType() | msgspec.inspect.VarTupleType():
            return _tree(kind.item_type)
        case msgspec.inspect.UnionType():
            return next((t for t in map(_tree, kind.types) if t), _NOTHING)
    return _NOTHING
