"""`sluice graph`: where data flows."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from sluice.cli.terminal import config_option

if TYPE_CHECKING:
    from sluice.config import Settings


@click.command("graph", short_help="Where data flows: tool, data class, model, provider.")
@config_option
@click.option("--agent", metavar="NAME", default="", help="Traffic of this agent alone.")
@click.option("--role", metavar="NAME", default="", help="Traffic of this role alone.")
@click.option("--class", "data_class", metavar="NAME", default="", help="Of the data classes, this one alone.")
@click.option(
    "--least", type=click.IntRange(1), default=1, show_default=True, help="Edges with at least so many requests."
)
@click.option("--since", metavar="SPAN|TIME", help="Requests from then on [default: all on record].")
@click.option("--until", metavar="TIME", help="End of the span, excluded [default: the minute just over].")
@click.option("--format", "form", default="json", show_default=True, help="json, dot (Graphviz) or mermaid.")
@click.option("--json", "form", flag_value="json", help="The same as --format json.")
def command(
    settings: Settings,
    agent: str,
    role: str,
    data_class: str,
    least: int,
    since: str | None,
    until: str | None,
    form: str,
) -> int:
    """Where data flows: role, agent, tool, data class, model, provider, with the requests of each step.

    A tool and a data class are joined when one request holds both; `through_tools` counts the requests in which the
    class was found in a tool's call or result. Dashed in the pictures: nothing of it was let pass.
    """
    from sluice.cli.asking import questions
    from sluice.posture import graph, question

    forms = {"json": graph.as_json, "dot": graph.as_dot, "mermaid": graph.as_mermaid}
    if form not in forms:
        raise click.UsageError(f"--format is one of {', '.join(graph.FORMATS)}")
    try:
        span = question.span(since, until, "90d", datetime.now(UTC)) if since or until else None
    except question.BadQuestion as e:
        raise click.UsageError(str(e)) from e
    with questions(settings) as asked:
        found = graph.edges(asked, agent=agent, role=role, data_class=data_class, least=least, span=span)
    click.echo(forms[form](found))
    return 0
