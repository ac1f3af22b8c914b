"""Findings over records that real requests made: clients, the appliance, its ledger, its shipper, its evaluation.

The fixtures of `finding_fixtures` say what each finding needs of a record; this says that the gate writes such records.
"""

from __future__ import annotations

import json
import random
import ssl
import tomllib
from collections.abc import Iterator
from pathlib import Path
from string import ascii_letters, digits
from typing import Any

import httpx
import pytest

from sluice import config
from sluice.cli.policy import _candidate, _ledger
from sluice.posture import proposal, units
from sluice.simulate import simulate
from tests.clients import planted
from tests.clients.appliance import SHIP_SOON, Appliance
from tests.upstream import AI_HOSTS, Received, Reply, Upstream, json_reply

ASKED = "gpt-5-latest"
THEIRS = "org-of-somebody"
POLICY = """
id      = "everything"
version = "1"
default = "allow"
[failure]
partial_inspection = "allow"
unparsed           = "allow"
"""
TARGETS = """
[provider]
openai    = "sanctioned"
anthropic = "prohibited"
[[target]]
host = "chatgpt.com"
mode = "pass"
"""
PEOPLE = "subject,groups,role,department\nann,,clerk,sales\n"
REGISTERS = {
    "models.toml": f'[[model]]\nid = "{ASKED}"\nprovider = "openai"\nlifecycle = "deprecated"\nshutdown = 2026-12-01\n'
    '[[model]]\nid = "other"\nprovider = "openai"\napproved = true\n',
    "routes.toml": '[[route]]\nid = "*"\nprovider = "openai"\nretention_days = 0\ntags = ["ai_act_high_risk"]\n',
    "roles.toml": '[[role]]\nid = "clerk"\nmodels = ["none-*"]\n',
    "exceptions.toml": '[[exception]]\nid = "old"\nexpires = 2026-01-01\nreason = "trial"\n',
}
SETTINGS = f"""
{SHIP_SOON}
[paths]
policy    = "policy.toml"
targets   = "targets.toml"
registers = "registers"
[identity]
trusted_proxies    = ["127.0.0.1/32"]
trusted_in_tunnels = true
organisations      = ["org-ours"]
people             = "people.csv"
"""
KEY, ADMIN = "sk-proj-" + "Ab3dEf6hIj9" * 5, "sk-admin-" + "Xy7zQw2eRt5" * 5
LEAKED = "sk-proj-" + "".join(random.Random(7).choices(ascii_letters + digits, k=74)) + "T3BlbkFJ"
LEAKED += "".join(random.Random(8).choices(ascii_letters + digits, k=74))
"""A key as OpenAI makes them, made up."""
CODE = "def main():\n    for name in os.listdir('.'):\n        print(name)\n    return 'jane.doe@contoso.com'\n"
OPENAI, ANTHROPIC = "https://api.openai.com/v1/chat/completions", "https://api.anthropic.com/v1/messages"
TOOLS = [{"type": "function", "function": {"name": name, "parameters": {"type": "object"}}} for name in ("bash", "crm")]


def answer(request: Received) -> Reply | None:
    """Another model than was asked for, of another organisation than ours."""
    if b"gpt-5-latest" not in request.body:
        return None
    told = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "model": "gpt-5-2026-08-07",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "yes"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 9, "completion_tokens": 1, "total_tokens": 10},
    }
    made = json_reply(told)
    return Reply(made.status, (*made.headers, ("openai-organization", THEIRS)), made.body)


def chat(text: str, **more: Any) -> dict[str, Any]:
    return {"model": ASKED, "messages": [{"role": "user", "content": text}], **more}


def requests() -> Iterator[tuple[str, dict[str, Any], dict[str, str]]]:
    """What is sent: address, body, headers beside the key."""
    ann, bob = {"x-authenticated-user": "ann"}, {"x-authenticated-user": "bob"}
    key = {"authorization": f"Bearer {KEY}"}
    yield OPENAI, chat("hello"), key
    yield OPENAI, chat("hello"), key | ann
    yield OPENAI, chat(f"Mail maria.delgado@contoso-hospital.com about card {planted.card_number()}"), key | bob
    yield OPENAI, chat(f"why does OPENAI_API_KEY={LEAKED} not work?"), key | ann
    yield OPENAI, chat("Patient MRN: 84512773, diagnosed with type 2 diabetes, metformin 500 mg"), key | ann
    yield OPENAI, chat("She is a practising Muslim and he came out as bisexual"), key | ann
    yield OPENAI, chat("hello"), {"authorization": f"Bearer {ADMIN}"} | ann
    yield OPENAI, chat("write to jane.doe@contoso-hospital.com", tools=TOOLS), key | {"user-agent": "Cline/3.1"} | ann
    acts = [{"type": "web_search"}, {"type": "function", "name": "bash", "parameters": {"type": "object"}}]
    asks = {"model": ASKED, "input": "write to jane.doe@contoso-hospital.com", "tools": acts}
    yield "https://api.openai.com/v1/responses", asks, key | {"user-agent": "Cline/3.1"} | ann
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYA"}}
    yield OPENAI, {"model": ASKED, "messages": [{"role": "user", "content": [image]}]}, key | ann
    servers = [
        {"type": "url", "url": "https://files.example/mcp", "name": "files", "authorization_token": "t-4711-files"}
    ]
    claude = {"model": "claude-5", "max_tokens": 9, "messages": [{"role": "user", "content": CODE}]}
    yield ANTHROPIC, claude | {"mcp_servers": servers}, {"x-api-key": "sk-ant-api03-" + "a" * 60} | ann


WANTED = {
    "PRV-01": "provider=anthropic",
    "PRV-03": "provider=openai",
    "PRV-04": "provider=openai",
    "DAT-01": "provider=openai operation=chat",
    "DAT-02": "provider=openai",
    "DAT-03": "provider=openai",
    "DAT-04": "provider=openai",
    "DAT-05": "provider=openai",
    "DAT-06": "provider=anthropic",
    "PRV-05": "",
    "KEY-01": "",
    "KEY-02": "",
    "KEY-04": "",
    "KEY-06": "",
    "KEY-07": "",
    "IDN-01": "network=127.0.0.0/24",
    "IDN-03": f"role=clerk provider=openai model={ASKED}",
    "IDN-02": "method=header_trusted",
    "POL-01": "provider=anthropic operation=chat",
    "POL-02": "policy=everything",
    "POL-03": "exception=old",
    "POL-05": "policy=everything",
    "AGT-01": "agent=cline",
    "AGT-02": "agent=cline",
    "AGT-03": "server=files",
    "AGT-04": "agent=cline",
    "AGT-06": "server=files",
    "MOD-04": "",
    "MOD-01": f"provider=openai model={ASKED}",
    "MOD-02": f"provider=openai model={ASKED}",
    "MOD-03": f"provider=openai model={ASKED}",
    "AUD-04": "stream=(witnesses)",
    "COV-01": "provider=openai product=chatgpt",
    "COV-04": "provider=openai",
    "COV-05": "provider=openai",
    "COV-06": "host=registry.ollama.ai",
    "OPS-01": "cause=unparsed",
}


REFUSED_TOO = {"COV-04"}
"""They count what was refused as well, which no rule decides."""


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Any]]:
    """What one appliance finds of its own traffic, by finding; and what it was asked for `summary`."""
    directory: Path = tmp_path_factory.mktemp("appliance")
    for name, text in {"policy.toml": POLICY, "targets.toml": TARGETS, "people.csv": PEOPLE}.items():
        (directory / name).write_text(text)
    (directory / "registers").mkdir()
    for name, text in REGISTERS.items():
        (directory / "registers" / name).write_text(text)
    hosts = (*AI_HOSTS, "registry.ollama.ai")
    with Upstream(override=answer, delay=0) as upstream:
        appliance = Appliance(directory, upstream, hosts=hosts, settings=SETTINGS)
        appliance.start()
        try:
            send(appliance)
            count = "SELECT countIf(record_type = 'decision') AS d, countIf(record_type = 'outcome') AS o FROM events"
            appliance.rows_when(count, lambda rows: int(rows[0]["d"]) >= 12 and int(rows[0]["o"]) >= 12)
            result = json.loads(appliance.sluice("findings", "evaluate", "--json"))
            rows = appliance.sql("SELECT finding, scope, severity, hits, facts FROM findings")
            kinds = appliance.sql("SELECT DISTINCT kind FROM posture_facts")
            assert {row["kind"] for row in kinds} == {"retention", "seal", "shipping", "targets"}
            settings = config.load(appliance.config)
            records = list(_ledger(settings, 0))
            span = ("--since", "2020-01-01", "--until", "2100-01-01")
            report = json.loads(appliance.sluice("report", "R3", *span, "--format", "json"))
        finally:
            appliance.stop()
    assert result["failed"] == {}
    by_finding: dict[str, list[Any]] = {"report": [report], "records": records, "settings": [settings]}
    for row in rows:
        by_finding.setdefault(row["finding"], []).append(row)
    return by_finding


def send(appliance: Appliance) -> None:
    context = ssl.create_default_context(cafile=str(appliance.ca_file))
    with httpx.Client(proxy=appliance.proxy, verify=context, timeout=30) as client:
        for url, body, headers in requests():
            client.post(url, json=body, headers=headers)
        client.post(
            OPENAI, content=b'{"model": "gpt-5-latest", "messages": [', headers={"content-type": "application/json"}
        )
        upgrade = {"connection": "upgrade", "upgrade": "websocket", "sec-websocket-version": "13"}
        client.get(
            "https://api.openai.com/v1/realtime", headers=upgrade | {"sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ=="}
        )
    for host in ("registry.ollama.ai", "chatgpt.com"):
        with httpx.Client(proxy=appliance.proxy, verify=False, timeout=30) as client:  # noqa: S501 - a tunnel is opaque
            try:
                client.get(f"https://{host}/")
            except httpx.HTTPError:
                continue  # what is in the tunnel is not the point


@pytest.mark.timeout(240)
@pytest.mark.parametrize("name", list(WANTED))
def test_real_requests_raise_it(found: dict[str, list[Any]], name: str) -> None:
    """The gate's own records raise the finding, in the scope that the traffic had."""
    assert name in found, sorted(found)
    scopes = {row["scope"] for row in found[name]}
    assert not WANTED[name] or WANTED[name] in scopes, scopes


def test_a_report_counts_what_was_sent(found: dict[str, list[Any]]) -> None:
    """The generator's own count and the report's are the same."""
    (report,) = found["report"]
    claude = [r for r in report["rows"] if r["provider"] == "anthropic"]
    assert {(r["model"], r["requests"]) for r in claude} == {("claude-5", 1)}
    sent = len(list(requests())) + 2  # the broken body, the upgrade
    assert report["coverage"]["requests"] == sent + report["coverage"]["tunnelled"]


RULED = [name for name, unit in units.findings().items() if name in WANTED and unit.fix and "[[rule]]" in unit.fix.text]


@pytest.mark.parametrize("name", RULED)
def test_its_rule_matches_the_traffic_that_raised_it(found: dict[str, list[Any]], name: str, tmp_path: Path) -> None:
    """The rule that is proposed for each scope, alone in an open policy, decides as many of the ledger's own records as
    the finding has counted that were let pass, and those that no record tells enough of are none."""
    unit = units.findings()[name]
    rows = [row for row in found[name] if not WANTED[name] or row["scope"] == WANTED[name]]
    made = [(row, proposal.text(unit, row["scope"], row["facts"])) for row in rows]
    assert any(text for _, text in made), rows
    for row, text in made:
        if text is None:
            continue
        file = tmp_path / "policy.toml"
        opened = '[failure]\npartial_inspection = "allow"\nunparsed = "allow"\n'
        file.write_text(f'id = "open"\nversion = "1"\n{opened}{text}')
        rule = tomllib.loads(text)["rule"][0]["id"]
        candidate, known = _candidate(found["settings"][0], file)
        told = simulate((r for r in found["records"] if r.decision == "allow"), candidate, known)
        decided = sum(d.decisions for change, d in told.changes.items() if change.rule_after == rule)
        assert decided > 0, (row, told)
        assert decided >= row["hits"] or name in REFUSED_TOO, (row, told)
