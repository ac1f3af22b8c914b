"""The pages, by path; and what can be downloaded."""

from __future__ import annotations

from sluice.console.file import Download
from sluice.console.page import View
from sluice.console.pages import (
    decision,
    decisions,
    evidence,
    findings,
    graph,
    inventory,
    overview,
    policy,
    posture,
    reports,
)

NAV = (
    ("/", "Overview"),
    ("/posture", "Posture"),
    ("/findings", "Findings"),
    ("/decisions", "Decisions"),
    ("/inventory", "Inventory"),
    ("/keys", "Keys"),
    ("/graph", "Data flow"),
    ("/reports", "Reports"),
    ("/policy", "Policy"),
    ("/evidence", "Evidence"),
)

VIEWS: dict[str, View] = {
    "/": overview.view,
    "/posture": posture.view,
    "/findings": findings.listed,
    "/findings/{id}": findings.view,
    "/decisions": decisions.view,
    "/decisions/{id}": decision.view,
    "/inventory": inventory.listed,
    "/inventory/{kind}": inventory.view,
    "/keys": inventory.keys,
    "/graph": graph.view,
    "/reports": reports.listed,
    "/reports/{name}": reports.view,
    "/policy": policy.view,
    "/evidence": evidence.view,
}

DOWNLOADS: dict[str, Download] = {"/reports/{name}/file": reports.file}
