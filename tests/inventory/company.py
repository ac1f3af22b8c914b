"""A small company whose traffic goes through the real gate, a real ledger and the real delivery into the store.

Three people and a service sit behind addresses that a map knows. `SAID` lists what each of them does.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sluice.config import Identity, Paths, Settings
from sluice.gate import Gate
from sluice.identity import Resolver
from sluice.ledger.writer import open_stream
from sluice.model import Answered, Clearance, Client, Exchange, Outcome, Rulebook
from sluice.ship.clickhouse import Embedded
from sluice.ship.delivery import Delivery

HOSTILE = "<script>alert('x')</script>\"'`; DROP TABLE events; --\u202e=cmd|' /C calc'!A0"
"""What a client chooses to be called."""
CORPORATE, PERSONAL, STRAY = (
    f"sk-proj-{start}Zk3Xw8LrT2sYh5Nd4Gc6Jf1Pb0AT3BlbkFJe8Ru2Vx7Mz4Kq9Ws1Lt6Hy3Dn5Cg0Fj"
    for start in ("Qm9v", "Hb4n", "Ww1p")
)
CARD = "4556 7375 8689 9855"
AT = 1_795_000_000_000_000_000
"""2026-11-18, ns."""
ADDRESSES = {"alice": "10.0.0.1", "bob": "10.0.0.2", "service:invoices": "10.0.0.3", "eve": "10.0.0.4"}
OPENAI, ANTHROPIC = "api.openai.com", "api.anthropic.com"


@dataclass(frozen=True)
class Said:
    """One request and its answer. `served` None: no answer came."""

    who: str
    host: str
    body: dict[str, Any]
    key: str = CORPORATE
    agent: str = "OpenAI/Python 3.54.0"
    served: str | None = None
    organisation: str | None = None
    calls: tuple[str, ...] = ()
    status: int = 200
    path: str = ""


def chat(model: str, text: str, **more: object) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": text}], **more}


def function(*names: str) -> list[dict[str, Any]]:
    return [{"type": "function", "function": {"name": n, "parameters": {}}} for n in names]


def tool_turn(model: str, result: str, tools: tuple[str, ...]) -> dict[str, Any]:
    """A turn of an agent loop, as Anthropic's API has it: the result of a tool comes back."""
    return {
        "model": model,
        "max_tokens": 10,
        "tools": [{"name": n, "input_schema": {"type": "object"}} for n in tools],
        "messages": [
            {"role": "user", "content": "go on"},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": tools[0], "input": {}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": result}]},
        ],
    }


SAID: tuple[Said, ...] = (
    *(
        Said("alice", OPENAI, chat("gpt-5", f"hello {n}"), served="gpt-5-2026-08-07", organisation="org-acme")
        for n in range(3)
    ),
    Said("alice", OPENAI, chat("gpt-5", f"pay with {CARD}")),
    Said("bob", OPENAI, chat("gpt-4o", "my own"), key=PERSONAL, served="gpt-4o", organisation="org-bob"),
    Said("bob", OPENAI, chat("gpt-4o", f"what is {CORPORATE} for?"), key=PERSONAL),
    Said("bob", OPENAI, chat("gpt-4o", "no such key"), key=STRAY, status=401, served=None),
    *(
        Said(
            "service:invoices",
            OPENAI,
            chat("gpt-5-mini", "write to jane.miller@contoso-mail.net", tools=function("read_invoice", "send_email")),
            served="gpt-5-mini",
            organisation="org-acme",
            calls=("read_invoice", "read_invoice", "send_email"),
        )
        for _ in range(2)
    ),
    *(
        Said(
            "bob",
            ANTHROPIC,
            tool_turn("claude-sonnet-5", "mail of jane.miller@contoso-mail.net", ("Bash", "Read")),
            key="sk-ant-api03-unused-by-any-other-0000",
            agent="claude-cli/2.1.197 (external, cli)",
            served="claude-sonnet-5",
            calls=("Bash",),
        )
        for _ in range(2)
    ),
    Said(
        "alice",
        OPENAI,
        {
            "model": "gpt-5",
            "input": "look it up",
            "tools": [
                {"type": "web_search"},
                {
                    "type": "mcp",
                    "server_label": "crm",
                    "server_url": "http://mcp.example.com/key/4711",
                    "require_approval": "never",
                    "headers": {"X-Api-Key": "k-4711-for-crm"},
                },
            ],
        },
        path="/v1/responses",
        served="gpt-5",
    ),
    Said(
        "eve",
        OPENAI,
        chat(HOSTILE, "x", tools=function(HOSTILE)),
        key="",
        agent=f"curl/8 {HOSTILE}",
        served="gpt-5",
        organisation=HOSTILE,
        calls=(HOSTILE,),
    ),
)

REGISTERS = """
[[provider]]
id = "openai"
dpa = "C-17"
[[provider]]
id = "mistral"
dpa = "C-18"
[[tier]]
provider = "openai"
tier = "enterprise"
products = ["openai-api"]
contracted = true
organisations = ["org-acme"]
[[model]]
provider = "openai"
id = "gpt-5*"
family = "house-family"
approved = true
[[model]]
provider = "openai"
id = "gpt-5-mini"
approved = false
[[model]]
provider = "openai"
id = "gpt-9"
[[role]]
id = "analyst"
models = ["gpt-5*"]
providers = ["openai"]
[[role]]
id = "developer"
models = ["claude-*"]
classes = ["contact.*"]
[[role]]
id = "auditor"
[[agent]]
id = "invoice-bot"
subjects = ["service:invoices"]
tools = ["read_*"]
approval_gate = true
[[agent]]
id = "sleeper"
[[agent_tool]]
agent = "invoice-bot"
tool = "send_email"
approved_by = "cio"
approved_until = 2027-01-31
[[agent_tool]]
agent = "sleeper"
tool = "nothing"
[[tool]]
id = "send_*"
side_effect = "message"
reach = "external"
[[tool]]
id = "Bash"
side_effect = "exec"
[[tool]]
id = "unused"
[[mcp_server]]
id = "crm"
approved = true
[[mcp_server]]
id = "idle"
[[route]]
id = "openai.*"
provider = "openai"
purpose = "everything"
[[application]]
id = "browser"
[[exception]]
id = "e1"
expires = 2026-01-31
model = "gpt-4o"
"""


@dataclass
class Company:
    """The store with the traffic in it; `said` with what the gate let pass."""

    store: Embedded
    settings: Settings
    book: Rulebook
    passed: list[bool] = field(default_factory=list)

    def pseudonym(self, name: str) -> str:
        return self.book.detectors.fingerprint("subject", name if ":" in name else f"user:{name}")

    def key(self, raw: str) -> str:
        return self.book.detectors.fingerprint("value:secret", raw)


def settings_below(directory: Path, registers: bool = True) -> Settings:
    """Files of the company below a directory."""
    (directory / "registers").mkdir()
    (directory / "registers" / "company.toml").write_text(REGISTERS)
    lines = "".join(f"{address}/32,{name},,,\n" for name, address in ADDRESSES.items() if name != "eve")
    (directory / "addresses.csv").write_text("network,subject,groups,valid_from,valid_to\n" + lines)
    (directory / "people.csv").write_text(
        "subject,groups,role,department\nalice,staff,analyst,Finance\nbob,staff,developer,IT\ncarol,staff,auditor,Audit\n"
    )
    return Settings(
        paths=Paths(var=directory / "var", registers=directory / "registers" if registers else None),
        identity=Identity(
            address_map=directory / "addresses.csv", people=directory / "people.csv", organisations=("org-acme",)
        ),
    )


def happen(settings: Settings, book: Rulebook, store: Embedded) -> Company:
    """Everything in `SAID`, one tunnel to a host that is no AI, through gate and ledger into the store."""
    company = Company(store, settings, book)
    asyncio.run(_traffic(company))
    delivery = Delivery(settings.ledger_dir, settings.paths.var / "ship", batch_rows=1000, batch_seconds=0.0)
    while delivery.round(store, flush=True):
        pass
    return company


async def _traffic(company: Company) -> None:
    ledger = open_stream(company.settings.ledger_dir, node="gate-1", slot=0, segment_bytes=1 << 20, disk_low_bytes=0)
    gate = Gate(company.settings, company.book, ledger, Resolver.load(company.settings))
    for n, said in enumerate(SAID):
        exchange = _exchange(n, said)
        verdict = await gate.clear(exchange)
        company.passed.append(isinstance(verdict, Clearance))
        if isinstance(verdict, Clearance):
            target = company.book.targets.match(said.host, 443, exchange.path)
            answer = Answered(model=said.served, calls=said.calls, tokens_in=10, tokens_out=5) if said.served else None
            await gate.outcome(
                Outcome(
                    exchange_id=exchange.id, forwarded=True, target=target, ts_received=exchange.at // 1000,
                    ts_end=exchange.at // 1000 + 9, upstream_status=said.status, answer=answer,
                    org_id_seen=said.organisation, receipt=verdict.receipt, key=verdict.key,
                )
            )  # fmt: skip
    await gate.bypass(_exchange(len(SAID), Said("alice", "www.example.com", {}), method="CONNECT"), "tunnel")
    gate.close()
    ledger.close()


def _exchange(n: int, said: Said, method: str = "POST") -> Exchange:
    anthropic = said.host == ANTHROPIC
    credential = [("x-api-key", said.key)] if anthropic else [("authorization", f"Bearer {said.key}")]
    return Exchange(
        id=str(uuid.UUID(int=(0x0199D0F0 << 96) + (7 << 76) + (8 << 60) + n)),
        at=AT + n * 1_000_000_000,
        client=Client(ADDRESSES[said.who], 4000, "TLSv1.3", "http/1.1"),
        method=method,
        scheme="https",
        host=said.host,
        port=443,
        path=said.path or ("/v1/messages" if anthropic else "/v1/chat/completions"),
        headers=(
            ("content-type", "application/json"),
            ("user-agent", said.agent),
            *(credential if said.key else ()),
        ),
        body=json.dumps(said.body).encode(),
        connect_host=said.host,
        sni=said.host,
        host_header=said.host,
    )
