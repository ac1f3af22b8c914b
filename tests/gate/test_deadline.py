"""A time limit cuts off what is overdue, nothing else, and never swallows a cancellation."""

from __future__ import annotations

import asyncio

import pytest

from sluice.deadline import Deadline


async def test_the_overdue_is_cut_off_and_the_others_go_on() -> None:
    """Of many waits under one limit, those that come back in time are not touched by those that do not."""
    deadline = Deadline(0.6)
    never = asyncio.Event()

    async def one(seconds: float | None) -> str:
        try:
            with deadline():
                await (never.wait() if seconds is None else asyncio.sleep(seconds))
        except TimeoutError:
            return "cut off"
        return "in time"

    first = asyncio.gather(one(None), one(0.001), one(None), one(0))
    await asyncio.sleep(0.3)
    second = asyncio.gather(one(0.3), one(None))
    assert list(await first) == ["cut off", "in time", "cut off", "in time"]
    assert list(await second) == ["in time", "cut off"]
    assert await one(0) == "in time"
    assert await one(None) == "cut off"


async def test_a_cancellation_from_elsewhere_passes() -> None:
    """Cancelling the task ends it as cancelled, alone and together with the limit."""
    deadline = Deadline(0.02)
    turned = asyncio.Event()

    async def waits() -> None:
        with deadline():
            await asyncio.Event().wait()

    async def cancelled_when_overdue() -> None:
        try:
            with deadline():
                try:
                    await asyncio.Event().wait()
                finally:
                    turned.set()
                    await asyncio.sleep(0)
        except TimeoutError:
            return

    alone = asyncio.create_task(waits())
    await asyncio.sleep(0)
    alone.cancel()
    both = asyncio.create_task(cancelled_when_overdue())
    await turned.wait()
    both.cancel()
    results = await asyncio.gather(alone, both, return_exceptions=True)
    assert [type(r) for r in results] == [asyncio.CancelledError, asyncio.CancelledError]


async def test_the_task_can_go_on_after_its_limit() -> None:
    """After `TimeoutError` the task counts as not cancelled: what it does next is not cut off."""
    deadline = Deadline(0.01)
    with pytest.raises(TimeoutError), deadline():
        await asyncio.Event().wait()
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
    async with asyncio.timeout(5):
        await asyncio.sleep(0.001)


async def test_nested_limits_tell_apart() -> None:
    """The inner limit is raised inside, and the outer one still holds for what follows."""
    inner, outer = Deadline(0.01), Deadline(0.05)
    seen: list[str] = []
    with pytest.raises(TimeoutError), outer():
        try:
            with inner():
                await asyncio.Event().wait()
        except TimeoutError:
            seen.append("inner")
        await asyncio.Event().wait()
    assert seen == ["inner"]


async def test_an_error_inside_is_the_error() -> None:
    """What fails in time fails as itself."""
    with pytest.raises(KeyError), Deadline(5)():
        raise KeyError("x")


def test_loops_one_after_another() -> None:
    """A limit that was used in a loop that has ended works in the next one."""
    deadline = Deadline(0.02)

    async def cut() -> None:
        with deadline():
            await asyncio.Event().wait()

    async def in_time() -> None:
        with deadline():
            await asyncio.sleep(0)

    asyncio.run(in_time())
    with pytest.raises(TimeoutError):
        asyncio.run(asyncio.wait_for(cut(), 5))
