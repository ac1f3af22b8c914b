"""A process tells the supervisor how it is, and never waits for it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator

import pytest

from sluice.heartbeat import Status


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reading, writing = os.pipe()
    yield reading, writing
    os.close(writing)


def test_a_line_is_one_object(pipe: tuple[int, int]) -> None:
    """State and facts, a line each."""
    reading, writing = pipe
    status = Status(writing)
    assert status.say("starting")
    assert status.say("alive", lag_ms=1.5, down="a\nb")
    lines = os.read(reading, 65536).splitlines()
    os.close(reading)
    assert [json.loads(line) for line in lines] == [
        {"state": "starting"},
        {"state": "alive", "lag_ms": 1.5, "down": "a\nb"},
    ]


def test_a_supervisor_that_does_not_read_holds_nobody_up(pipe: tuple[int, int]) -> None:
    """When the pipe is full, lines are lost and the process goes on; it is not taken for one that nobody listens to."""
    reading, writing = pipe
    status = Status(writing)
    assert all(status.say("alive", fill="x" * 1000) for _ in range(200))
    assert not status.gone
    os.close(reading)


def test_a_supervisor_that_is_gone_is_noticed(pipe: tuple[int, int]) -> None:
    """Nobody reads any more: said at once, and for good."""
    reading, writing = pipe
    status = Status(writing)
    os.close(reading)
    assert not status.say("alive")
    assert status.gone
    assert not status.say("alive")


def test_without_a_supervisor_it_runs_as_well() -> None:
    """Started by hand: there is no pipe, and nobody is missed."""
    status = Status(None)
    assert status.say("alive")
    assert not status.gone
