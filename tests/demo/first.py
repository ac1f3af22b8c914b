"""The first part of `make demo`: the product without any provider account.

A local TLS upstream speaks the wire formats of OpenAI, Anthropic and Google; the appliance runs on ports that the
system chooses, with everything it writes in a temporary directory; official SDKs send a handful of requests through
it. At the end stand the rows that `sluice sql` gives, and the proof that nothing planted is in them.
"""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from tests.clients.appliance import Appliance
from tests.clients.calling import Refused
from tests.demo.scenes import Scene, scenes
from tests.upstream import Upstream

DECISIONS = """
select ts, provider_id as provider, model_requested as model, operation, decision, rule_id as rule,
       data_classes as classes, client_status as status, outcome,
       arraySum(x -> coalesce(x, 0), [decode_us, parse_us, scan_us, decide_us]) / 1000 as took_ms
from sluice.exchanges left join (select * from sluice.events where record_type = 'decision') as d using (decision_id)
order by ts
"""
POSTURE = """
select provider_id as provider, class, count() as requests, countIf(decision != 'allow') as refused
from sluice.events array join data_classes as class
where record_type = 'decision' group by provider, class order by provider, requests desc, class
"""

console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)


def play() -> bool:
    """The scenes and their rows; True when everything was as it should be."""
    begun = time.monotonic()
    before = dict(os.environ)
    with tempfile.TemporaryDirectory(prefix="sluice-demo-") as directory, Upstream() as upstream:
        appliance = Appliance(Path(directory), upstream)
        try:
            _start(appliance, upstream)
            played = [(scene, _play(scene, upstream)) for scene in scenes()]
            good = _report(appliance, upstream, played)
        finally:
            appliance.stop()
            os.environ.clear()
            os.environ.update(before)
    console.print(f"\n[dim]Everything stopped and removed after {time.monotonic() - begun:.0f} s.[/]\n")
    return good


def _start(appliance: Appliance, upstream: Upstream) -> None:
    console.rule("[bold]Sluice: an egress gate for AI traffic")
    console.print(f"A local upstream plays OpenAI, Anthropic and Google on {upstream.address}.")
    with console.status("Starting the appliance ...") as status:
        appliance.start(lambda missing: status.update(f"Starting the appliance: {missing}"))
    for name in list(os.environ):  # a proxy of the developer's own must not take part
        if name.lower().endswith("_proxy"):
            del os.environ[name]
    os.environ.update(appliance.environment)
    console.print(f"The appliance is ready: proxy {appliance.proxy}, admin {appliance.admin}.")
    console.print("Clients know two things of it: HTTPS_PROXY and the CA certificate.\n")


def _play(scene: Scene, upstream: Upstream) -> bool:
    """One scene; True when it ended as it should: clean ones answered, the others refused with nothing forwarded."""
    upstream.forget()
    console.print(Text.assemble(("-> ", "cyan"), (scene.client, "bold"), "   ", (scene.asks.replace("\n", " "), "")))
    begun = time.monotonic()
    answered = False
    try:
        for piece in scene.act():
            console.print(("" if answered else "   ") + escape(piece), style="green", end="")
            answered = True
        console.print(f"   [dim]{(time.monotonic() - begun) * 1000:.0f} ms[/]")
    except Refused as refused:
        said = Text.assemble((f"{refused.kind} {refused.status} ", "red"), _message(refused.message))
        console.print(Padding(said, (0, 0, 0, 3)))
    reached = len(upstream.journal)
    where = "1 request reached the provider" if reached else "nothing reached the provider, no connection was opened"
    console.print(f"   [dim]{where}[/]\n")
    return answered and reached == 1 if scene.clean else not answered and not upstream.journal.connections


def _message(shown: str) -> str:
    """Our message out of what a client shows: some put words before it, some show the whole error object."""
    found = re.search(r"Sluice .*Decision [0-9a-f-]+\.", shown)
    return found[0] if found else shown


def _report(appliance: Appliance, upstream: Upstream, played: list[tuple[Scene, bool]]) -> bool:
    console.rule("[bold]What the appliance recorded")
    console.print('[dim]sluice sql "select ... from sluice.events", answered by the embedded ClickHouse:[/]')
    with console.status("Waiting for the last rows ..."):
        rows = appliance.rows_when(
            DECISIONS,
            lambda rows: len(rows) >= len(played) and all(row["outcome"] for row in rows),
        )
        posture = appliance.sql(POSTURE)
        everything = json.dumps(appliance.sql("select * from sluice.events")).encode() + _written(appliance)
    console.print(_decisions(rows))
    console.print(_posture(posture))
    leaked = [value for scene, _ in played for value in scene.planted if value.encode() in everything]
    unexpected = [scene.asks for scene, good in played if not good]
    planted = sum(len(scene.planted) for scene, _ in played)
    if leaked:
        console.print(f"[bold red]{len(leaked)} of {planted} planted values are in rows or logs.[/]")
    else:
        console.print(f"None of the {planted} planted values is in any row, ledger, log or other file that it wrote.")
    for asks in unexpected:
        console.print(f"[bold red]Not as expected:[/] {escape(asks)}")
    return not leaked and not unexpected


def _written(appliance: Appliance) -> bytes:
    """Every byte that the appliance wrote, less the event store: that is compressed, and is looked at as rows."""
    kept = (file for file in appliance.var.rglob("*") if file.is_file() and "clickhouse" not in file.parts)
    return b"\n".join(file.read_bytes() for file in (appliance.log, *kept))


def _decisions(rows: list[dict[str, Any]]) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in ("time", "provider", "model", "operation", "decision", "rule", "classes", "status"):
        table.add_column(heading, overflow="fold")
    table.add_column("inspected in", justify="right")
    for row in rows:
        colour = "green" if row["decision"] == "allow" else "red"
        table.add_row(
            str(row["ts"]).split()[-1][:8],
            row["provider"],
            row["model"],
            row["operation"],
            f"[{colour}]{row['decision']}[/]",
            row["rule"],
            ", ".join(row["classes"] or ()),
            str(row["status"] or "-"),
            f"{float(row['took_ms']):.1f} ms",
        )
    return table


def _posture(rows: list[dict[str, Any]]) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False, title="\nWhich data was on its way to whom")
    for heading in ("provider", "class of data"):
        table.add_column(heading)
    for heading in ("requests", "refused"):
        table.add_column(heading, justify="right")
    for row in rows:
        table.add_row(row["provider"], row["class"], str(row["requests"]), str(row["refused"]))
    return table
