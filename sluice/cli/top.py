"""`sluice top`: what the running appliance does right now, out of its own counters."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from sluice.cli.terminal import ACTION_STYLE, config_option, console, print_json, text

if TYPE_CHECKING:
    from rich.console import RenderableType

    from sluice.config import Settings

ROWS = 8
WAIT = 5.0

type Labels = tuple[tuple[str, str], ...]
type Samples = dict[str, dict[Labels, float]]


@click.command("top", short_help="Watch the running appliance: rates, latency, processes.")
@config_option
@click.option(
    "--every", default=2.0, show_default=True, type=click.FloatRange(0.1, 3600), help="Seconds between looks."
)
@click.option("--count", type=click.IntRange(1), metavar="N", help="End after so many looks.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a look.")
def command(settings: Settings, every: float, count: int | None, as_json: bool) -> int:
    """Show what the appliance does: decisions a second by action, reason, provider and class, time added, backlog of
    evidence and shipping, and its processes. Ends with Ctrl-C. Exit code 3 when no appliance runs on this `var`.
    """
    admin = _admin(settings)
    before = look(admin)
    done = 0
    out = console()
    if as_json or not out.is_terminal:
        while count is None or done < count:
            time.sleep(every)
            now = look(admin)
            told = summary(before, now)
            if as_json:
                print_json(told, indent=None)
            else:
                out.print(page(told))
            before, done = now, done + 1
        return 0
    from rich.live import Live

    with Live(console=out, auto_refresh=False, screen=count is None) as live:
        while count is None or done < count:
            time.sleep(every)
            now = look(admin)
            live.update(page(summary(before, now)), refresh=True)
            before, done = now, done + 1
    return 0


def _admin(settings: Settings) -> str:
    from sluice import instance
    from sluice.cli import NotRunning

    try:
        said = json.loads((settings.run_dir / "endpoints.json").read_text("utf-8"))
    except (OSError, ValueError):
        said = {}
    if instance.running(settings.paths.var) is None or not isinstance(said.get("admin"), str):
        raise NotRunning(f"no appliance runs on {settings.paths.var}: there is nothing to watch")
    return str(said["admin"])


@dataclass(frozen=True, slots=True)
class Look:
    """What the admin listener said at a moment."""

    at: float
    samples: Samples = field(repr=False)
    ready: Mapping[str, Any] = field(repr=False)


def look(admin: str) -> Look:
    """Ask once. Raises `NotRunning`."""
    from prometheus_client.parser import text_string_to_metric_families

    samples: Samples = {}
    for family in text_string_to_metric_families(_get(admin, "/metrics").decode()):
        for sample in family.samples:
            samples.setdefault(sample.name, {})[tuple(sorted(sample.labels.items()))] = sample.value
    return Look(time.monotonic(), samples, json.loads(_get(admin, "/readyz")))


def _get(admin: str, path: str) -> bytes:
    import http.client

    from sluice import config
    from sluice.cli import NotRunning

    host, port = config.endpoint(admin)
    connection = http.client.HTTPConnection(host, port, timeout=WAIT)
    try:
        connection.request("GET", path, headers={"host": "localhost"})
        return connection.getresponse().read()
    except (OSError, http.client.HTTPException) as e:
        raise NotRunning(f"the admin listener on {admin} does not answer ({type(e).__name__})") from e
    finally:
        connection.close()


def summary(before: Look, now: Look) -> dict[str, Any]:
    """Two looks -> rates a second between them, and how things stand."""
    seconds = max(now.at - before.at, 1e-6)

    def rates(name: str, label: str) -> dict[str, float]:
        out: dict[str, float] = {}
        for labels, value in now.samples.get(name, {}).items():
            grown = value - before.samples.get(name, {}).get(labels, 0.0)
            key = dict(labels).get(label, "")
            out[key] = out.get(key, 0.0) + max(grown, 0.0) / seconds
        ordered = sorted(out.items(), key=lambda item: (-item[1], item[0]))
        return {key: round(rate, 2) for key, rate in ordered if rate}

    def value(name: str) -> float | None:
        found = now.samples.get(name)
        return sum(found.values()) if found else None

    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": round(seconds, 2),
        "ready": bool(now.ready.get("ready")),
        "missing": list(now.ready.get("missing", ())),
        "degraded": list(now.ready.get("degraded", ())),
        "per_second": {
            "action": rates("sluice_decisions_total", "action"),
            "reason": rates("sluice_decisions_total", "reason"),
            "provider": rates("sluice_decisions_total", "provider"),
            "class": rates("sluice_findings_total", "data_class"),
            "tunnel": rates("sluice_tunnels_total", "outcome"),
            "refusal": rates("sluice_refusals_total", "cause"),
        },
        "added_ms": {str(q): _quantile(before, now, "sluice_added_seconds_bucket", q) for q in (0.5, 0.95, 0.99)},
        "connections": value("sluice_client_connections"),
        "in_flight": value("sluice_inflight_requests"),
        "ship_pending": value("sluice_ship_pending_records"),
        "ship_lag_seconds": value("sluice_ship_lag_seconds"),
        "unsealed": value("sluice_seal_unsealed_records"),
        "disk_free_bytes": value("sluice_ledger_disk_free_bytes"),
        "processes": {
            name: {key: said.get(key) for key in ("state", "pid", "starts")}
            for name, said in now.ready.get("processes", {}).items()
        },
    }


def _quantile(before: Look, now: Look, name: str, q: float) -> float | None:
    """Milliseconds below which the share `q` of what came between two looks lies, by the bound of its bucket."""
    grown: dict[float, float] = {}
    for labels, value in now.samples.get(name, {}).items():
        bound = float(dict(labels)["le"])
        grown[bound] = grown.get(bound, 0.0) + value - before.samples.get(name, {}).get(labels, 0.0)
    total = grown.get(float("inf"), 0.0)
    if not total:
        return None
    bound = next(b for b, number in sorted(grown.items()) if number >= q * total)
    return None if bound == float("inf") else round(bound * 1000, 2)


def page(told: Mapping[str, Any]) -> RenderableType:
    """A summary for a terminal."""
    from rich import box
    from rich.columns import Columns
    from rich.console import Group
    from rich.table import Table

    rates = told["per_second"]
    total = sum(rates["action"].values())
    state = text("ready", "green") if told["ready"] else text("not ready", "bold red")
    quantiles = ", ".join(
        f"p{float(q) * 100:g} {'-' if ms is None else f'{ms:g}'}" for q, ms in told["added_ms"].items()
    )
    head = (
        text(f"{told['at']}  ", "dim")
        + state
        + text(f"  {total:.1f} decisions/s  added below (ms): {quantiles}  ")
        + text(f"connections {told['connections'] or 0:.0f}, in flight {told['in_flight'] or 0:.0f}")
    )
    lines = [head]
    lines += [text(f"  {what}", "yellow") for what in (*told["missing"], *told["degraded"])]
    backlog = f"to ship {told['ship_pending'] or 0:.0f} ({told['ship_lag_seconds'] or 0:.1f} s), unsealed "
    backlog += f"{told['unsealed'] or 0:.0f}, disk free {(told['disk_free_bytes'] or 0) / 2**30:.1f} GiB"
    lines.append(text(backlog, "dim"))
    tables = []
    for title in ("action", "reason", "provider", "class", "tunnel", "refusal"):
        if not rates[title]:
            continue
        made = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        made.add_column(title)
        made.add_column("/s", justify="right")
        for name, rate in list(rates[title].items())[:ROWS]:
            made.add_row(text(name or "-", ACTION_STYLE.get(name, "")), text(f"{rate:.1f}"))
        tables.append(made)
    processes = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("process", "state", "pid", "starts"):
        processes.add_column(column)
    for name, said in told["processes"].items():
        style = "green" if said["state"] == "ready" else "yellow"
        processes.add_row(text(name), text(said["state"], style), text(said["pid"] or "-"), text(said["starts"]))
    return Group(*lines, Columns(tables, padding=(0, 3)), processes)
