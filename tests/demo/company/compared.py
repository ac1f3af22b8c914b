"""Said by the generator, said by Sluice: every count side by side, and each row in which they part."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sluice.posture import question, report, units
from sluice.posture.question import Ask
from tests.demo.company.coding import RUNS
from tests.demo.company.office import MEMBER
from tests.demo.company.truth import Cell, Key, Rows, Truth


@dataclass(frozen=True, slots=True)
class Count:
    """One answer of Sluice with the rows that must be in it. `source` is where it comes from: a report, an inventory or
    SQL. Rows are named by their `keys`; `told` are the columns that are compared."""

    title: str
    source: str
    keys: tuple[str, ...]
    told: tuple[str, ...]
    expected: Callable[[Truth], Rows]
    where: str = ""
    sql: str = ""


@dataclass(frozen=True, slots=True)
class Compared:
    """`generator` and `sluice` are the first numbers of all rows added up."""

    count: Count
    rows: int
    generator: int
    sluice: int
    differences: tuple[str, ...]

    @property
    def same(self) -> bool:
        return not self.differences


def _report(name: str, title: str, keys: str, told: str, expected: Callable[[Truth], Rows], **more: object) -> Count:
    return Count(title, name, tuple(keys.split()), tuple(told.split()), expected, **more)  # type: ignore[arg-type]


def _inventory(kind: str, title: str, keys: str, told: str, expected: Callable[[Truth], Rows]) -> Count:
    columns = ", ".join((*keys.split(), *told.split()))
    asked = f"SELECT {columns} FROM inventory_{kind} WHERE source != 'declared'"
    return Count(title, f"inventory {kind}", tuple(keys.split()), tuple(told.split()), expected, sql=asked)


def _sql(title: str, columns: str, keys: int, where: str, expected: Callable[[Truth], Rows]) -> Count:
    names = tuple(f"c{n}" for n in range(columns.count(";") + 1))
    told = ", ".join(f"{text.strip()} AS {name}" for text, name in zip(columns.split(";"), names, strict=True))
    sql = f"SELECT {told} FROM exchanges WHERE {where} GROUP BY {', '.join(names[:keys])}"
    return Count(title, "SQL", names[:keys], names[keys:], expected, sql=sql)


COUNTS: Sequence[Count] = (
    _report("R1", "requests, allowed, people by service", "provider product", "requests allowed subjects",
            Truth.services, where="product"),
    _report("R2", "AI that is not sanctioned, by department", "department",
            "subjects requests with_class blocked allowed allowed_with_class", Truth.unsanctioned),
    _report("R3", "provider, model, class of data, decision", "provider model data_class action", "requests",
            Truth.flows),
    _report("R4", "classes of data that went out", "provider route data_class", "gone",
            Truth.exposed),
    _report("R5", "requests with health data", "provider decision", "requests", Truth.health),
    _report("R6", "requests with one member's address", "provider", "requests", Truth.member),
    _report("R7", "decisions under the policy", "policy", "decisions blocked", Truth.policy),
    _report("R9", "roles and the models they call", "role provider model", "requests subjects allowed", Truth.roles),
    _report("R10", "routes with personal data", "provider host operation data_class",
            "requests allowed blocked subjects", Truth.routes),
    _report("R11", "agents and their tools", "agent tool", "declared hosted mcp called denied",
            Truth.agents_tools),
    _report("R12", "API keys", "key provider", "requests subjects sources answered ownership", Truth.keys),
    _report("R13", "blocks by subject", "subject", "blocks", Truth.blocks),
    _report("R14", "tunnels that nobody reads", "host", "requests", Truth.tunnels, where="tunnel"),
    _report("R14", "requests read in part", "host", "requests", Truth.unread, where="partial"),
    _report("R15", "requests of each agent run", "conversation agent", "requests", Truth.runs),
    _report("R16", "systems of the register", "system", "requests blocked", Truth.systems),
    _report("R17", "record of processing", "recipient route", "requests requests_with_personal_data",
            Truth.processing),
    _report("R20", "allowed requests and tokens by provider", "provider", "requests tokens", Truth.concentration),
    _inventory("agent", "agents: requests, stopped, tool loops", "agent_id", "requests not_allowed tool_loops",
               Truth.agents),
    _inventory("agent_tool", "agent x tool: offered, denied, called", "agent_id tool", "declared denied called",
               Truth.agent_by_tool),
    _inventory("tool", "tools: offered, denied, called", "tool", "declared denied called", Truth.tools),
    _inventory("mcp_server", "MCP servers", "server", "requests", Truth.servers),
    _inventory("data_class", "classes of data: found in, allowed", "data_class", "requests allowed", Truth.classes),
    _sql("blocked, by rule", "rule_id; count()", 1, "decision = 'block'", Truth.rules),
    _sql("who is asking, and how that is known", "identity_method; count(); uniqExact(subject_id)", 1,
         "kind = 'decision'", Truth.identities),
    _sql("departments: requests, allowed, people",
         "ifNull(department, 'unknown'); count(); countIf(decision = 'allow'); uniqExact(subject_id)", 1,
         "kind = 'decision'", Truth.departments),
    _sql("each person and machine: requests, stopped", "subject_id; count(); countIf(decision != 'allow')", 1,
         "kind = 'decision' AND identity_method != 'none'", Truth.people),
    _sql("forwarded, by provider", "provider_id; count()", 1, "kind = 'decision' AND forwarded", Truth.forwarded),
)  # fmt: skip
FINDINGS = Count(
    "violations of findings that can be counted", "findings", ("finding",), ("hits",), Truth.violations,
    sql="SELECT finding, sum(hits) AS hits FROM findings GROUP BY finding",
)  # fmt: skip


def compared(asked: Ask, truth: Truth, count: Count, since: datetime, until: datetime) -> Compared:
    """Ask Sluice, and set its answer against the generator's. Raises a `SluiceError`."""
    wanted, got = count.expected(truth), _said(asked, truth, count, since, until)
    if count is FINDINGS:  # the plan cannot count them all
        got = {key: row for key, row in got.items() if key in wanted}
    differences = tuple(
        f"{' '.join(key)}: {_text(wanted.get(key))} said by the generator, {_text(got.get(key))} by Sluice"
        for key in sorted({*wanted, *got})
        if wanted.get(key) != got.get(key)
    )
    return Compared(count, len(wanted), _total(wanted), _total(got), differences)


def _said(asked: Ask, truth: Truth, count: Count, since: datetime, until: datetime) -> Rows:
    if count.sql:
        rows = question.ask(asked, count.sql).dicts()
    else:
        filters: dict[str, tuple[str, ...]] = {}
        if count.source == "R6":
            filters = {"fingerprints": (truth.site.value_fingerprint("contact.email", MEMBER),)}
        if count.source == "R15":
            filters = {"agents": tuple(RUNS)}
        if count.source == "R5":
            filters = {"classes": tuple(c for (c,) in truth.classes() if c.startswith(("health.", "phi.")))}
        rows = report.ask(asked, units.reports()[count.source], since, until, filters).table.dicts()
    out: dict[Key, list[Cell]] = {}
    for row in filter(None, (_derived(count, row) for row in rows)):
        key = tuple(str(row[name] if row[name] is not None else "") for name in count.keys)
        told = [value if isinstance(value := row[name], int | str) else 0 for name in count.told]
        if key in out:
            told = [
                a + b if isinstance(a, int) and isinstance(b, int) else b for a, b in zip(out[key], told, strict=True)
            ]
        out[key] = told
    return {key: tuple(told) for key, told in out.items()}


def _derived(count: Count, row: dict[str, question.Cell]) -> dict[str, question.Cell] | None:
    """A row with what the comparison needs of it beyond its columns; None for one that is about something else."""
    match count.source, count.where:
        case "R1", _:
            return row if row["product"] else None
        case "R4", _:
            gone = int(str(row["allowed_before"])) + int(str(row["allowed_after"]))
            return row | {"gone": gone}
        case "R5" | "R6" | "R15", _:
            return row | {"requests": 1}
        case "R14", "tunnel":
            return row if row["layer"] == "tunnel" else None
        case "R14", "partial":
            partial = row["layer"] == "proxy" and not row["failed_open"] and not row["failed_closed"]
            return row if partial else None
    return row


def _added(one: Cell, other: Cell) -> Cell:
    return one + other if isinstance(one, int) and isinstance(other, int) else other


def _total(rows: Rows) -> int:
    return sum(first for first, *_ in rows.values() if isinstance(first, int))


def _text(row: tuple[Cell, ...] | None) -> str:
    return "nothing" if row is None else " / ".join(map(str, row))
