"""Bars as SVG: drawn here, coloured by the stylesheet, without script and without inline style."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT, HEAD, FOOT = 720, 150, 18, 18
"""`HEAD`: the row in which the highest number stands, above the bars."""


@dataclass(frozen=True, slots=True)
class Bar:
    """A rectangle; `kind` is its class in the stylesheet, `said` its tooltip."""

    x: float
    y: float
    width: float
    height: float
    kind: str
    said: str


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawing of `width` by `height`. `labels`: (x, text) below the bars; `most`: what the height stands for."""

    bars: tuple[Bar, ...]
    labels: tuple[tuple[float, str], ...]
    most: int
    width: int = WIDTH
    height: int = HEIGHT
    foot: int = FOOT


def stacked(points: Sequence[tuple[str, Sequence[tuple[str, int]]]], slots: int) -> Chart:
    """Bars of several kinds on one another: (label, [(kind, number)]), one place for each of `slots`."""
    most = max((sum(n for _, n in parts) for _, parts in points), default=0)
    room = HEIGHT - FOOT
    step = WIDTH / max(slots, 1)
    bars: list[Bar] = []
    for at, (label, parts) in enumerate(points):
        top = float(room)
        for kind, number in parts:
            if number <= 0:
                continue
            height = max(1.0, (room - HEAD) * number / most)
            top -= height
            bars.append(
                Bar(round(at * step + 0.5, 1), round(top, 1), round(max(step - 1, 1), 1), round(height, 1), kind,
                    f"{label}: {number} {kind}")
            )  # fmt: skip
    marks = range(0, len(points), max(1, len(points) // 6))
    return Chart(
        tuple(bars), tuple((round(at * step, 1), points[at][0]) for at in marks if at * step < WIDTH - 40), most
    )
