"""The posture score with everything it is made of, its trend, and clauses with their evidence."""

from __future__ import annotations

from datetime import timedelta

from sluice.config import Settings
from sluice.console import catalogue, chart
from sluice.console.given import Given, stamp
from sluice.console.page import Answers, Context, Page, Question
from sluice.posture import compliance, coverage, question, score
from sluice.posture.question import BadQuestion

TREND = """
SELECT
    toDate(taken_at) AS day,
    argMax(value, taken_at) AS points
FROM posture_snapshot
WHERE metric = 'score' AND taken_at >= {since} AND taken_at < {until}
GROUP BY day
ORDER BY day
"""
LATEST = """
SELECT
    taken_at,
    metric,
    value,
    numerator,
    denominator,
    weight,
    query_sha256
FROM posture_snapshot
WHERE taken_at = (SELECT max(taken_at) FROM posture_snapshot)
ORDER BY metric = 'score' DESC, weight DESC, metric
"""
DAYS = 90


def view(given: Given, _: Settings) -> Page:
    since, until = given.span("30d")
    frameworks = list(dict.fromkeys(c.framework for c in catalogue.controls()))
    framework = given.text("framework")
    if framework and framework not in frameworks:
        raise BadQuestion("there is no such framework")
    chosen = [c for c in catalogue.controls() if framework in ("", c.framework)]
    measures = catalogue.measures()
    shares = coverage.questions(since, until)[0]
    trend = question.filled(TREND, {"since": until - timedelta(days=DAYS), "until": until})

    def fill(answers: Answers) -> Context:
        rows = answers["latest"].dicts()
        by_id = {str(row["metric"]): row for row in rows}
        points = [
            (str(row["day"])[5:], [("plain", round(float(str(row["points"]))))]) for row in answers["trend"].dicts()
        ]
        requests = int(str(answers["coverage"].rows[0][0] or 0))
        return {
            "since": since,
            "until": until,
            "score": by_id.get(score.SCORE),
            "measures": [(m, by_id.get(m.id)) for m in measures],
            "formula": score.FORMULA,
            "chart": chart.stacked(points, max(len(points), 12)),
            "clauses": compliance.told(chosen, answers["standing"], requests).dicts(),
            "frameworks": frameworks,
            "framework": framework,
        }

    return Page(
        "posture.html",
        "Posture",
        {
            "latest": Question("The score as computed last, with its parts", LATEST.strip()),
            "trend": Question("The score by day", trend),
            "standing": Question("Findings that stand", question.filled(compliance.STANDING, {"until": until})),
            "coverage": Question("Requests in the span", shares),
            **{
                f"m-{m.id}": Question(m.title, question.filled(m.sql, {"since": since, "until": until}), asked=False)
                for m in measures
            },
        },
        fill,
        {"since": stamp(since), "until": stamp(until)},
        looks=False,
    )
