"""Bars of a chart stand where they should, and none is taller than the drawing."""

from __future__ import annotations

from sluice.console.chart import FOOT, HEIGHT, WIDTH, stacked


def test_bars_stand_on_one_another_inside_the_drawing() -> None:
    """Heights are in proportion to the largest sum; a small number is still seen; nothing is drawn for none."""
    chart = stacked([("10:00", [("allow", 1000), ("block", 1)]), ("11:00", [("allow", 0), ("block", 500)])], 2)
    assert chart.most == 1001
    first, small, half = chart.bars
    assert small.y + small.height <= first.y + 0.2
    assert small.height >= 1
    assert abs(half.height / first.height - 0.5) < 0.02
    assert all(bar.y >= 0 and bar.y + bar.height <= HEIGHT - FOOT + 0.2 for bar in chart.bars)
    assert all(bar.x >= 0 and bar.x + bar.width <= WIDTH for bar in chart.bars)
    assert small.said == "10:00: 1 block"


def test_nothing_is_drawn_of_nothing() -> None:
    """No bars, and no division by none."""
    assert stacked([], 0).bars == ()
    assert stacked([("10:00", [("allow", 0)])], 1).most == 0
