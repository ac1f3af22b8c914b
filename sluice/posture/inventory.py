"""What is in use: the inventories of the event store, what people see of each first, and declared against observed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sluice.posture import within
from sluice.posture.question import Ask, Cell, Table, ask, text

UNNAMED = "(withheld)"
"""Stands in records for a name that held something no record may keep: nobody can declare it."""
SOURCES = ("declared", "observed", "both")


@dataclass(frozen=True, slots=True)
class Inventory:
    """One inventory. `key` are the columns that name a row, `shown` those that people see first; `register` is the
    view of what is declared, for kinds that a site declares itself."""

    kind: str
    what: str
    key: tuple[str, ...]
    shown: tuple[str, ...]
    order: str
    register: str = ""
    beyond: tuple[str, ...] = ()
    """Columns that list what was observed beyond what the row declares."""
    judged: str = ""
    """SQL of the site's judgement of a row in use, where it is against it or is missing; empty text otherwise."""

    @property
    def view(self) -> str:
        return f"inventory_{self.kind}"


def _of(kind: str, what: str, key: str, shown: str, order: str = "requests DESC", **more: str) -> Inventory:
    return Inventory(
        kind, what, tuple(key.split()), tuple(shown.split()), order, more.get("register", ""),
        tuple(more.get("beyond", "").split()), more.get("judged", ""),
    )  # fmt: skip


_STATUS = "if(requests > 0 AND status IN ('unreviewed', 'prohibited'), status, '')"
_APPROVED = "if(approved = false AND source != 'declared', 'not approved', '')"
KINDS = {
    made.kind: made
    for made in (
        _of("provider", "who receives what", "provider_id",
            "status requests not_allowed with_findings subjects contracted_tiers dpa review_due",
            register="register_provider", judged=_STATUS),
        _of("tier", "plans, and the traffic under their terms", "provider_id tier",
            "basis requests trains_on_input retention_days baa_covered contracted", register="register_tier"),
        _of("domain", "destinations", "domain provider_id", "surface mode status requests bypassed subjects"),
        _of("route", "uses of an API", "provider_id route_id",
            "requests not_allowed subjects data_classes purpose tags", register="register_route"),
        _of("model", "models asked for and served", "provider_id model",
            "requests answers served lifecycle shutdown approved", register="register_model", judged=_APPROVED),
        _of("subject", "who asks, by pseudonym", "subject_id",
            "subject_kind role requests not_allowed with_findings assurance_best providers",
            register="register_subject"),
        _of("role", "roles and their entitlement", "role",
            "requests subjects observed_models models_beyond providers_beyond classes_beyond review_due",
            register="register_role", beyond="models_beyond providers_beyond classes_beyond"),
        _of("application", "programs and SDKs", "app_id", "kind requests subjects providers sdks approved",
            register="register_application", judged=_APPROVED),
        _of("agent", "agents", "agent_id",
            "recognised_by requests tool_loops tool_count dangerous_tools tools_beyond approval_gate owner",
            register="register_agent", beyond="tools_beyond models_beyond"),
        _of("tool", "tools that models are offered", "tool",
            "kind declared denied called dangerous side_effect approved agents", "declared + called DESC",
            register="register_tool", judged=_APPROVED),
        _of("mcp_server", "MCP servers that providers are asked to call", "server",
            "requests agents url auth approved", register="register_mcp_server", judged=_APPROVED),
        _of("agent_tool", "which agent has which tool", "agent_id tool",
            "declared denied called last_classes approved_in approved_until", "declared + called DESC",
            register="register_agent_tool"),
        _of("key", "API keys by fingerprint", "key_fp",
            "key_hint providers ownership ownership_by requests subject_count found_in_prompts live_in_prompts rotated",
            register="register_key"),
        _of("data_class", "what is found", "data_class", "requests allowed findings severity subjects providers"),
        _of("policy", "rules, and what they decided", "policy_version rule_id",
            "what action in_force decisions blocked would_block observe_until", "decisions DESC, place"),
        _of("exception", "what somebody has accepted", "exception_id",
            "what expires expired used counted scope granted_by owner", "expires"),
        _of("detector", "what finds", "detector",
            "data_class severity status findings blocked examples suppressed", "findings DESC"),
        _of("node", "nodes of the appliance", "node_id",
            "decisions streams started policy_version detector_pack_version clock_source", "node_id"),
        _of("coverage", "what was not looked into", "provider_id host reason",
            "layer requests allowed subjects uninspected_bytes"),
    )
}  # fmt: skip


type Span = tuple[datetime, datetime]
"""From and to (excluded): rows are of what was seen then, and so are their numbers."""


def rows(
    asked: Ask, kind: Inventory, *, source: str = "", limit: int = 0, whole: bool = False, span: Span | None = None
) -> Table:
    """Rows of an inventory, the busiest first; with every column when `whole`. Raises a `SluiceError`."""
    columns = "*" if whole else ", ".join(dict.fromkeys((*kind.key, "source", *kind.shown, "last_seen")))
    return ask(asked, f"SELECT {columns} FROM {_ordered(kind, source, limit, span=span)}")  # noqa: S608 - our own names


def sql(kind: Inventory, *, source: str = "", used: bool = False, limit: int = 0, span: Span | None = None) -> str:
    """The question behind `rows`, with every column; with `used` of rows that are in use alone."""
    return f"SELECT * FROM {_ordered(kind, source, limit, used, span)}"  # noqa: S608 - our own names


def _ordered(kind: Inventory, source: str, limit: int, used: bool = False, span: Span | None = None) -> str:
    conditions = [f"source = {text(source)}"] if source else ["source != 'declared'"] if used else []
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    of = within.view(kind.view, *span) if span else kind.view
    return f"{of}{where} ORDER BY {kind.order}, {', '.join(kind.key)}{f' LIMIT {int(limit)}' if limit else ''}"


def count(asked: Ask, kind: Inventory) -> dict[str, int]:
    """How many rows are declared, observed, both. Raises a `SluiceError`."""
    found = ask(asked, f"SELECT source, count() FROM {kind.view} GROUP BY source")  # noqa: S608 - our own names
    return {str(source): int(str(number)) for source, number in found.rows}


@dataclass(frozen=True, slots=True)
class Difference:
    """Where what is declared and what is observed part."""

    kind: str
    name: str
    what: str
    detail: str
    last_seen: str | None = None
    requests: int | None = None


def differences(asked: Ask, kinds: tuple[Inventory, ...]) -> list[Difference]:
    """What is observed and was not declared or not approved, what the site declared and nobody uses, and use beyond
    what is declared.

    Rows that are only shipped are no declaration of the site. Raises a `SluiceError`.
    """
    out: list[Difference] = []
    for kind in kinds:
        asking = "declared + called" if "called" in kind.shown else "requests"
        undeclared = "source = 'observed'" + (" AND approved_in IS NULL" if kind.kind == "agent_tool" else "")
        columns = ", ".join(
            (
                *(*kind.key, "source", "last_seen", *kind.beyond),
                *(f"{undeclared} AS undeclared", f"{asking} AS n", f"{kind.judged or repr('')} AS judged"),
            )
        )
        ours = _ours(asked, kind)
        sql = f"SELECT {columns} FROM {kind.view} ORDER BY {', '.join(kind.key)}"  # noqa: S608 - our own names
        for row in ask(asked, sql).dicts():
            key = tuple(str(row[k]) for k in kind.key)
            name, seen, number = " ".join(key), row["last_seen"], row["n"]
            at = None if seen is None else str(seen)[:19]
            times = number if isinstance(number, int) else None
            if row["undeclared"] and any(key) and not any(UNNAMED in one for one in key):
                out.append(Difference(kind.kind, name, "not declared", _times(times), at, times))
            elif row["source"] == "declared" and key in ours:
                out.append(Difference(kind.kind, name, "not observed", "declared, and never seen"))
            if row["judged"]:
                out.append(Difference(kind.kind, name, str(row["judged"]), _times(times), at, times))
            for column in kind.beyond:
                if listed := row[column]:
                    what = f"{column.removesuffix('_beyond')}: {_joined(listed)}"
                    out.append(Difference(kind.kind, name, "beyond", what, at, times))
    return out


def _ours(asked: Ask, kind: Inventory) -> set[tuple[str, ...]]:
    sql = f"SELECT {', '.join(kind.key)} FROM {kind.register} WHERE origin != 'shipped'"  # noqa: S608 - our own names
    return {tuple(map(str, row)) for row in ask(asked, sql).rows}


def _times(number: int | None) -> str:
    return "" if number is None else f"{number} request{'' if number == 1 else 's'}"


def _joined(cell: Cell) -> str:
    return ", ".join(map(str, cell)) if isinstance(cell, list) else str(cell)
