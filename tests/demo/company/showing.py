"""The day at the company on a terminal: progress, what reports and findings say, and every number checked."""

from __future__ import annotations

import signal
import sys
import tempfile
import threading
import time
from pathlib import Path
from types import FrameType

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from tests.demo.company.catalogue import PRODUCTS
from tests.demo.company.compared import Compared
from tests.demo.company.planning import Size
from tests.demo.company.running import Company
from tests.demo.company.sending import Sent

console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)
_SEVERITY = {"critical": "bold red", "high": "red", "medium": "yellow", "low": "dim"}
_FINDINGS = """
SELECT finding, toString(max(f.severity)) AS severity, any(f.title) AS title, count() AS places, sum(f.hits) AS hits
FROM findings AS f WHERE f.status != 'fixed' GROUP BY finding ORDER BY max(f.severity) DESC, hits DESC
"""
_SERVICES = """
SELECT provider_id AS provider, any(ifNull(provider_status, '')) AS status, count() AS requests,
    countIf(decision != 'allow') AS stopped, uniqExact(subject_id) AS people,
    countIf(notEmpty(data_classes)) AS carrying
FROM exchanges WHERE kind = 'decision' GROUP BY provider ORDER BY requests DESC LIMIT 8
"""
_AGENTS = """
SELECT agent_id AS agent, requests, not_allowed AS stopped, tool_loops AS loops, tool_count AS tools,
    arrayStringConcat(arraySort(dangerous_tools), ', ') AS acting, ifNull(owner, 'nobody') AS owner
FROM inventory_agent WHERE source != 'declared' ORDER BY requests DESC LIMIT 8
"""
_SHOWN_DIFFERENCES = 12


def play(size: Size, seed: int, *, stay: bool) -> bool:
    """The whole day; True when no number differs and every request ended as it should."""
    begun = time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="sluice-company-") as directory,
        Company(Path(directory), size, seed=seed, console="127.0.0.1:0") as company,
    ):
        _introduce(company)
        with console.status("Starting the appliance ...") as status:
            company.start(lambda missing: status.update(f"Starting the appliance: {missing}"))
        good = _traffic(company)
        with console.status("Waiting for the last rows ..."):
            company.settle()
        if stay:
            _minute_over()
        with console.status("Evaluating the findings ..."):
            company.enter()
            company.work()
        _results(company)
        good = _checked(company) and good
        console.print(f"[dim]The day took {time.monotonic() - begun:.0f} s.[/]")
        if stay:
            _stay(company)
    return good


def _introduce(company: Company) -> None:
    plan = company.plan
    console.rule("[bold]A day at a company")
    decided = sum(x.decided for x in plan.exchanges)
    console.print(
        f"Nordhaven, which does not exist: {len(plan.people)} people in 12 departments, {len(PRODUCTS)} AI products, "
        f"30 agents with 90 tools, {len(plan.keys)} API keys, seed {plan.seed}.\n"
        f"{decided:,} requests and {len(plan.exchanges) - decided} opaque tunnels go through the real gate, each "
        "person from an address of her own.\n"
        "Everything happens now: nothing is inserted and no clock is set, so trends and baselines of weeks stay empty."
    )


def _traffic(company: Company) -> bool:
    total = len(company.plan.exchanges)
    columns = (TextColumn("Traffic"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("traffic", total=total)
        begun = time.monotonic()
        sent = company.send(lambda number: progress.advance(task, number))
        took = time.monotonic() - begun
    statuses = ", ".join(f"{number:,} x {status}" for status, number in sorted(sent.statuses.items()))
    console.print(f"{total:,} in {took:.0f} s ({total / took:.0f}/s). Clients saw: {statuses}.\n")
    return _answered(company, sent)


def _answered(company: Company, sent: Sent) -> bool:
    """Every client got an answer, and the provider got exactly what may pass."""
    for name, why in sent.failed[:_SHOWN_DIFFERENCES]:
        console.print(f"[bold red]No answer for {name}:[/] {escape(why)}")
    opaque = {x.id for x in company.plan.exchanges if not x.decided}
    arrived = sorted(name for name in company.providers.arrived if name not in opaque)
    expected = sorted(x.id for x in company.plan.exchanges if x.arrives)
    if arrived != expected:
        wrong = sorted(set(arrived) ^ set(expected))
        console.print(f"[bold red]{len(wrong)} requests passed that should not, or the other way round:[/] {wrong[:5]}")
    return not sent.failed and arrived == expected


def _results(company: Company) -> None:
    console.print(_table("Who gets what (R1, R3): the eight busiest", company, _SERVICES))
    console.print(_table("Agents (R11): the eight busiest", company, _AGENTS))
    found = Table(title="Open findings", box=None, header_style="bold", pad_edge=False, title_justify="left")
    for heading in ("finding", "severity", "what"):
        found.add_column(heading)
    for heading in ("places", "violations"):
        found.add_column(heading, justify="right")
    rows = company.ask(_FINDINGS)
    for row in rows:
        severity = str(row["severity"])
        style = _SEVERITY.get(severity, "")
        cells = (f"[{style}]{severity}[/]", escape(str(row["title"])), f"{row['places']}", f"{row['hits']}")
        found.add_row(str(row["finding"]), *cells)
    console.print(found)
    score, parts = company.scored()
    shares = ", ".join(f"{part.measure.id} {part.value:.0%}" for part in parts if part.value is not None)
    told = "none" if score is None else f"{score:.1f} of 100"
    console.print(f"\n{len(rows)} of 61 findings are open. Posture score {told}: {shares}.\n")


def _table(title: str, company: Company, sql: str) -> Table:
    table = Table(title=title, box=None, header_style="bold", pad_edge=False, title_justify="left")
    rows = company.ask(sql)
    for name, value in (rows[0] if rows else {}).items():
        table.add_column(name, justify="right" if isinstance(value, int) else "left", overflow="ellipsis")
    for row in rows:
        table.add_row(*(f"{v:,}" if isinstance(v, int) else escape(str(v)) for v in row.values()))
    return table


def _checked(company: Company) -> bool:
    table = Table(title="Every number twice", box=None, header_style="bold", pad_edge=False, title_justify="left")
    for heading in ("source", "what is counted"):
        table.add_column(heading)
    for heading in ("rows", "said by the generator", "said by Sluice"):
        table.add_column(heading, justify="right")
    table.add_column("")
    done: list[Compared] = []
    with console.status("Checking every number against the generator ..."):
        for one in company.compare():
            done.append(one)
            mark = "[green]same[/]" if one.same else f"[bold red]{len(one.differences)} differ[/]"
            numbers = (f"{one.rows:,}", f"{one.generator:,}", f"{one.sluice:,}")
            table.add_row(one.count.source, one.count.title, *numbers, mark)
        written = company.written()
    console.print(table)
    for one in done:
        for difference in one.differences[:_SHOWN_DIFFERENCES]:
            console.print(f"  [red]{one.count.source}[/] {escape(difference)}")
    planted = company.planted()
    leaked = sum(value.encode() in written for value in planted)
    if leaked:
        console.print(f"[bold red]{leaked} of {len(planted):,} planted values are in rows or files.[/]")
    else:
        console.print(f"None of the {len(planted):,} planted values and keys is in any row, ledger, log or other file.")
    rows = sum(one.rows for one in done)
    wrong = sum(len(one.differences) for one in done)
    console.print(f"{rows:,} rows compared, {wrong:,} different.")
    return not leaked and not wrong


def _minute_over() -> None:
    """Pages, reports and the score speak of whole minutes: what is to be looked at has to be in one that is over."""
    with console.status("Waiting for the minute to be over: the console speaks of whole minutes ..."):
        time.sleep(60.5 - time.time() % 60)


def _stay(company: Company) -> None:
    """Until Ctrl-C or SIGTERM."""
    password = (company.appliance.var / "keys" / "console.password").read_text().strip()
    console.print(
        f"\n[bold]The console is up:[/] {company.appliance.console}/   password {password}\n"
        f"The proxy is {company.appliance.proxy}, the admin listener {company.appliance.admin}.\n"
        f"For `sluice` commands: export SLUICE_CONFIG={company.appliance.config}\n"
        "Ctrl-C ends it and removes everything."
    )
    over = threading.Event()

    def end(_: int, __: FrameType | None) -> None:
        over.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    over.wait()
