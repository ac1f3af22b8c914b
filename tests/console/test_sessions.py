"""Sessions of the console: they end by themselves, and what is kept of them opens nothing."""

from __future__ import annotations

from sluice.console.sessions import LONGEST_SECONDS, MOST, Sessions, same


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_session_ends_when_nobody_uses_it() -> None:
    """Used within the time it lives on; a moment longer and it is gone, whatever the browser still holds."""
    clock = Clock()
    sessions = Sessions(60, clock=clock)
    value = sessions.begin()
    for _ in range(3):
        clock.now += 59
        assert sessions.find(value)
    clock.now += 61
    assert sessions.find(value) is None


def test_a_session_ends_after_a_day() -> None:
    """However busy it is."""
    clock = Clock()
    sessions = Sessions(3600, clock=clock)
    value = sessions.begin()
    for _ in range(int(LONGEST_SECONDS / 1800)):
        clock.now += 1800
        assert sessions.find(value)
    clock.now += 1
    assert sessions.find(value) is None


def test_what_is_kept_is_no_cookie() -> None:
    """Memory holds the digest of a cookie; the name in the records is part of that, and neither opens anything."""
    sessions = Sessions(60)
    value = sessions.begin()
    session = sessions.find(value)
    assert session
    assert sessions.find(session.name) is None
    assert [sessions.find(kept) for kept in sessions._known] == [None]
    assert not any(sessions.find(odd) for odd in ("", None, "x", "\udcff", value + "x"))


def test_there_are_only_so_many_sessions() -> None:
    """The one that was unused longest goes first."""
    clock = Clock()
    sessions = Sessions(3600, clock=clock)
    values = []
    for _ in range(MOST + 1):
        clock.now += 1
        values.append(sessions.begin())
    assert sessions.find(values[0]) is None
    assert all(sessions.find(value) for value in values[1:])


def test_an_empty_token_is_never_right() -> None:
    """No session's token equals a missing field."""
    assert not same("", "")
    assert not same("x", "")
    assert not same("\udc80", "x")
    assert same("x", "x")
