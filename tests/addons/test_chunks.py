"""The buffer of an HTTP/1 connection gives the same lines as h11's, whatever arrives."""

from __future__ import annotations

import pytest
from h11._receivebuffer import ReceiveBuffer
from hypothesis import given, settings
from hypothesis import strategies as st

from addons.chunks import Arrived


def lines(buffer: ReceiveBuffer, pieces: list[bytes]) -> tuple[list[list[bytes] | None], bytes]:
    """What the buffer gives after each piece, and what is left in it."""
    given_out: list[list[bytes] | None] = []
    for piece in pieces:
        buffer += piece
        found = buffer.maybe_extract_lines()
        given_out.append(None if found is None else [bytes(line) for line in found])
    return given_out, bytes(buffer)


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\nbody",
        b"GET / HTTP/1.1\nHost: a\n\nbody\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\n\r\nbody\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\r\n\r\n",
        b"\r\n\r\n",
        b"\n\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n\r\n",
        b"a\rb\r\n\r\n",
        b"no end\r\n",
        b"",
    ],
)
def test_the_same_lines_as_the_original(data: bytes) -> None:
    """Whole, and byte by byte: the same lines at the same byte, and the same rest."""
    for pieces in ([data], [data[i : i + 1] for i in range(len(data))]):
        assert lines(Arrived(), pieces) == lines(ReceiveBuffer(), pieces)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from([b"\r\n", b"\n", b"\r", b"a", b": ", b"\r\n\r\n"]), max_size=12), st.integers(0, 12))
def test_no_mixture_of_line_ends_makes_a_difference(parts: list[bytes], at: int) -> None:
    """Any mixture of line ends, in two pieces."""
    pieces = [b"".join(parts[:at]), b"".join(parts[at:])]
    assert lines(Arrived(), pieces) == lines(ReceiveBuffer(), pieces)
