"""The posture score: shares with numerator and denominator, and one number made of them by a formula that is shown.

    score = 100 x sum(weight x value) / sum(weight), over the measures whose denominator is not 0

The measures are files (`deploy/posture/score.toml`): what counts, and how much, is a judgement that a site can read and
change. A measure without anything to measure says so and has no part in the score, rather than counting as good.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import msgspec

from sluice.config import posture_dir
from sluice.errors import Misconfigured, Problem
from sluice.posture import question
from sluice.posture.evaluation import Put
from sluice.posture.question import Ask

FORMULA = "score = 100 x sum(weight x numerator / denominator) / sum(weight), over measures with a denominator"
DAYS = 30
SCORE = "score"


class Measure(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One share. Its SQL has the columns `numerator` and `denominator`, for `{since}` to `{until}`."""

    id: str
    title: str
    weight: float
    sql: str


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    measure: tuple[Measure, ...]


@dataclass(frozen=True, slots=True)
class Value:
    """A measure with what it measured. `value` is None where there was nothing to measure."""

    measure: Measure
    numerator: float
    denominator: float
    sha256: str

    @property
    def value(self) -> float | None:
        return self.numerator / self.denominator if self.denominator else None


def measures(directory: Path | None = None) -> tuple[Measure, ...]:
    """Raises `Misconfigured`."""
    path = (directory or posture_dir()) / "score.toml"
    try:
        return msgspec.toml.decode(path.read_bytes(), type=_File).measure
    except (OSError, msgspec.DecodeError) as e:
        raise Misconfigured(Problem(str(path), None, str(e))) from e


def measured(asked: Ask, since: datetime, until: datetime) -> list[Value]:
    """Every measure over a span. Raises what `asked` raises."""
    out = []
    for measure in measures():
        sql = question.filled(measure.sql, {"since": since, "until": until})
        (row,) = question.ask(asked, sql).rows
        out.append(Value(measure, float(str(row[0] or 0)), float(str(row[1] or 0)), question.digest(sql)))
    return out


def score(values: Sequence[Value]) -> float | None:
    """0 to 100; None where nothing could be measured."""
    counted = [(v.measure.weight, v.value) for v in values if v.value is not None]
    total = sum(weight for weight, _ in counted)
    return 100 * sum(weight * value for weight, value in counted) / total if total else None


def is_due(asked: Ask, at: datetime) -> bool:
    """Whether no snapshot was taken on this day yet."""
    sql = f"SELECT count() FROM posture_snapshot WHERE toDate(taken_at) = '{at:%Y-%m-%d}'"  # noqa: S608 - a date
    return not question.ask(asked, sql).rows[0][0]


def keep(asked: Ask, put: Put, at: datetime) -> list[Value]:
    """Take a snapshot of the last 30 days. Raises what `asked` and `put` raise."""
    until = at.replace(second=0, microsecond=0)
    since = until - timedelta(days=DAYS)
    values = measured(asked, since, until)
    same = {"taken_at": _text(at), "since": _text(since), "until": _text(until)}
    rows = [
        {
            "metric": v.measure.id,
            "value": v.value or 0.0,
            "numerator": v.numerator,
            "denominator": v.denominator,
            "weight": v.measure.weight,
            "query_sha256": v.sha256,
        }
        for v in values
    ]
    total = score(values)
    if total is not None:
        weights = sum(v.measure.weight for v in values if v.value is not None)
        made_of = question.digest("\n".join(v.sha256 for v in values))
        rows.append(
            {
                "metric": SCORE,
                "value": total,
                "numerator": total * weights / 100,
                "denominator": weights,
                "weight": 0.0,
                "query_sha256": made_of,
            }
        )
    put("posture_snapshot", b"\n".join(msgspec.json.encode({**same, **row}) for row in rows), f"score {_text(at)}")
    return values


def _text(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S.%f}"
