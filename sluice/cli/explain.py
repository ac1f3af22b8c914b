"""`sluice explain`: what the gate would do with a request, and why."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sluice.cli.terminal import ACTION_STYLE, SEVERITY_STYLE, config_option, console, print_json, table, text, waiting
from sluice.errors import Misconfigured, Problem

if TYPE_CHECKING:
    from rich.console import Console

    from sluice.config import Settings


@click.command("explain", short_help="Say what the gate would do with a request, and why.")
@config_option
@click.argument("request", type=click.Path(path_type=Path, allow_dash=True))
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
@click.option("--show-text", is_flag=True, help="Print the text of every part as well.")
@click.option("--from", "client", metavar="ADDR", help="Suppose it comes from this address [default: 127.0.0.1].")
@click.option("--subject", metavar="NAME", help="Suppose a trusted proxy says that NAME sends it.")
@click.option("--group", "groups", metavar="G", multiple=True, help="Suppose the sender is in group G (repeatable).")
def command(
    settings: Settings,
    request: Path,
    as_json: bool,
    show_text: bool,
    client: str | None,
    subject: str | None,
    groups: Sequence[str],
) -> int:
    """Say what the gate understands of REQUEST (a JSON file, or - for stdin), finds in it, and decides.

    The file holds an object of method, host, path, headers, and body (JSON) or body_base64; and, if it matters, of
    scheme, http_version and client (an address). Nothing is sent and nothing is recorded. The exit code does not
    depend on the decision.
    """
    from sluice.cli.check import load_rulebook
    from sluice.explain import explain

    asked = _read(request)
    if client is not None:
        asked["client"] = client
    with waiting("loading rules and detectors ..."):
        book = load_rulebook(settings)
    seen = explain(
        asked,
        settings,
        book,
        show_text=show_text,
        file=str(request),
        at=time.time_ns(),
        subject=subject,
        groups=groups,
    )
    if as_json:
        print_json(seen)
    else:
        render(seen, console(), show_text=show_text)
    return 0


def _read(file: Path) -> dict[str, object]:
    try:
        asked = json.loads(sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes())
    except OSError as e:
        raise Misconfigured(Problem(str(file), None, f"cannot be read: {e.strerror}")) from e
    except json.JSONDecodeError as e:
        raise Misconfigured(Problem(str(file), e.lineno, f"not JSON: {e.msg}")) from e
    except (UnicodeDecodeError, RecursionError) as e:
        raise Misconfigured(Problem(str(file), None, "not JSON in UTF-8")) from e
    if not isinstance(asked, dict):
        raise Misconfigured(Problem(str(file), None, "must hold a JSON object"))
    return asked


# ----------------------------------------------------------------------------------------------------- for the terminal

type _Entry = Mapping[str, Any]


def render(seen: _Entry, out: Console, *, show_text: bool) -> None:
    """Print an explanation: destination, what was understood, what was found, the decision last."""
    target = seen["target"]
    if target is None:
        _line(out, "target", "not an AI destination: passed as an opaque tunnel, recorded by host and bytes")
    else:
        _line(out, "target", f"{target['provider']} / {target['product']} ({target['status']}, row {target['row']})")
        _line(out, "operation", f"{seen['operation'] or '-'}, {target.get('dialect', '-')} dialect")
        _line(out, "model", f"{seen['model'] or '-'}{', streamed' if seen['stream'] else ''}")
    _line(out, "agent", seen.get("agent"))
    if key := seen.get("credential"):
        _line(out, "key", f"{key['kind']} {key['hint']} in {key['location']}")
    if coverage := seen.get("coverage"):
        why = f" ({', '.join(coverage['reasons'])})" if coverage["reasons"] else ""
        _line(out, "read", f"{coverage['completeness']}: {coverage['scanned_bytes']} bytes of text{why}")
    _section("parts", ("pointer", "role", "kind", "provenance"), seen["parts"], "text" if show_text else None)
    _line(out, "tools", ", ".join(seen["tools"]))
    _section("MCP servers", ("label", "url"), seen.get("mcp_servers", ()))
    _section("files", ("kind", "mime", "name", "size"), seen["files"])
    _section("unread", ("pointer", "kind", "size", "reason"), seen["unread"])
    _findings(seen["findings"])
    _decision(out, seen["decision"])


def _line(out: Console, label: str, value: object) -> None:
    if value:
        out.print(text(f"{label:<10}", "bold") + text(value))


def _section(title: str, columns: Sequence[str], entries: Iterable[_Entry], wide: str | None = None) -> None:
    entries = list(entries)
    if entries:
        columns = (*columns, wide) if wide else columns
        table(columns, [[entry.get(column) for column in columns] for entry in entries], title=title)


def _findings(findings: Sequence[_Entry]) -> None:
    if not findings:
        return
    rows = [
        (
            f"{f['pointer']} [{f['start']}:{f['end']}]",
            f["detector"],
            f["class"],
            text(f["severity"], SEVERITY_STYLE.get(f["severity"], "")),
            {True: "yes", False: "no", None: "-"}[f["validated"]],
            f"{f['confidence']:.2f}",
        )
        for f in findings
    ]
    table(("where", "detector", "class", "severity", "validated", "confidence"), rows, title="findings")


def _decision(out: Console, decision: _Entry) -> None:
    action = decision["action"]
    why = f"by rule `{decision['rule']}` ({decision['reason']})"
    if decision.get("cause"):
        why += f", because of {decision['cause']}"
    if decision.get("would") and decision["would"] != action:
        why += f"; enforced it would be {decision['would']}"
    out.print(text(f"{'decision':<10}", "bold") + text(action, ACTION_STYLE.get(action, "")) + text(f" {why}"))
    _line(out, "message", decision.get("message"))
