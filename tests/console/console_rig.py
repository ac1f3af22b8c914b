"""A console on a real engine: records of the gate's own pipeline, a company's days, and hostile text in every field."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import socket
import threading
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import msgspec

from sluice import durable, recording
from sluice.cli.check import load_rulebook
from sluice.config import Paths, Settings
from sluice.console import app
from sluice.console.process import _Server
from sluice.explain import exchange_of
from sluice.gate import inspect
from sluice.identity import Resolver
from sluice.model import Record, RecordType
from sluice.ship import query
from sluice.ship.answers import Answers
from tests.posture.posture_rig import Rig, control, decision, ended, found, micros

PASSWORD = "correct-horse-battery-staple"
HOSTILE = "\"><script>alert(1)</script><img src=x onerror=alert(2)> '{{7*7}} ${7*7} \u202e%3Cscript"
SECRET = "ghp_" + "aB3dE5gH7jK9mN1pQ2rS4tU6vW8xY0zA1bC3"
HOSTILE_ID = "0193c000-0000-7000-8000-00000000beef"
BLOCKED_ID = "0193c000-0000-7000-8000-00000000b10c"
FORCED = {
    *("record_type", "decision_id", "parent_decision_id", "schema_version", "node_id", "epoch", "seq", "prev_hash"),
    *("retention_class", "identity_assurance", "max_severity", "inspection_status", "policy_mode", "decision"),
    *("would_decide", "chain_id", "legal_hold", "control_kind", "control_detail"),
}
"""Fields that are ours or come from a closed list: no client can write into them."""


def hostile(at: int) -> list[Record]:
    """A decision and an outcome with hostile text in every field that takes text."""
    values: dict[str, Any] = {}
    for field in msgspec.structs.fields(Record):
        kind = str(field.type)
        if field.name in FORCED or field.name.startswith("ts_"):
            continue
        if kind in ("<class 'str'>", "str | None"):
            values[field.name] = HOSTILE
        elif kind in ("tuple[str, ...]", "tuple[str, ...] | None"):
            values[field.name] = (HOSTILE, "ok")
    match = msgspec.structs.replace(found(HOSTILE), detector=HOSTILE, fingerprint=HOSTILE)
    values |= {"matches": (match,), "decision_id": HOSTILE_ID, "ts_received": at, "decision": "block"}
    values |= {"identity_assurance": "asserted", "inspection_status": "partial", "policy_mode": "enforce"}
    made = Record(record_type=RecordType.DECISION, **values)
    closing = values | {"record_type": RecordType.OUTCOME, "decision": None, "matches": None}
    return [made, Record(**closing)]


def gated(at: int) -> Iterator[Record]:
    """Records as the gate makes them: what it let pass, blocked and refused."""
    settings = Settings()
    book = load_rulebook(settings)  # compiled detectors are in the user's cache
    resolver = Resolver.load(settings)
    texts = ("hello", "card 5425233430109903", f"key {SECRET}", "write to ana@example.org")
    for number, host in enumerate(("api.openai.com", "api.anthropic.com", "api.deepseek.com")):
        for text in texts:
            body = {"model": "gpt-5", "messages": [{"role": "user", "content": text}]}
            asked = {"host": host, "path": "/v1/chat/completions", "body": body}
            exchange = exchange_of(asked | {"headers": {"authorization": f"Bearer sk-{number}"}}, at=at * 1000)
            secret = text.startswith("key") and not number
            exchange = copy.replace(exchange, id=BLOCKED_ID if secret else str(uuid.uuid4()))
            seen = inspect(exchange, book, settings.limits, resolver)
            yield recording.decision_record(exchange, seen, book, settings.evidence)


def month(now: datetime) -> Iterator[Record]:
    """Sixty requests an hour apart: several providers, classes, agents and keys; some stopped, some unread."""
    classes: tuple[tuple[str, ...], ...] = ((), ("phi.record",), ("secret.ai-key", "contact.email"))
    for n in range(60):
        stopped = n % 7 == 0
        yield from ended(
            decision(
                decision_id=str(uuid.UUID(int=(0x0193D << 108) | n)),
                ts_received=micros(now - timedelta(hours=n, minutes=5)),
                subject_id=f"{n % 5:032x}",
                department=("sales", "legal", "research")[n % 3],
                provider_id=("openai", "deepseek", "mistral")[n % 3],
                provider_status=("sanctioned", "prohibited", "unreviewed")[n % 3],
                data_classes=classes[n % 3],
                decision="block" if stopped else "allow",
                rule_id="prohibited-provider" if stopped else "default",
                reason_code="PROVIDER_PROHIBITED" if stopped else "NO_FINDINGS",
                key_fp=f"{n % 4:032x}",
                key_kind="openai.project",
                key_hint="sk-proj-(51)",
                agent_id="cline" if n % 2 else None,
                tools_declared=("bash", "read_file") if n % 2 else None,
                dangerous_tools=("bash",) if n % 2 else None,
                inspection_status="partial" if n % 15 == 0 else "full",
                uninspected_bytes=100 if n % 15 == 0 else 0,
                uninspected_reason=("image",) if n % 15 == 0 else None,
            ),
            tool_calls_returned=("bash",) if n % 2 else None,
        )


def a_finding(now: datetime, **more: object) -> dict[str, object]:
    at = f"{now - timedelta(hours=1):%Y-%m-%d %H:%M:%S}"
    given = {"at": at, "finding": "PRV-01", "version": 1, "title": "An AI service that is not sanctioned is in use"}
    given |= {"scope": "provider=deepseek", "event": "opened", "severity": "critical", "hits": 20, "grave": 3}
    given |= {"seen": 0, "first_seen": at, "last_seen": at, "facts": "5 subjects; phi.record", "by": "evaluation"}
    return given | {"reason": "", "query_sha256": "ab" * 32} | more


class Served:
    """A console on a port of its own, with an engine behind it that answers on the shipper's socket."""

    def __init__(self, directory: Path) -> None:
        self.now = datetime.now(UTC).replace(second=0, microsecond=0)
        self.rig = Rig(directory / "engine")
        self.settings = Settings(paths=Paths(var=directory / "var"))
        self.file = directory / "sluice.toml"
        self.file.write_text(f'[paths]\nvar = "{directory / "var"}"\n')
        self.settings.ledger_dir.mkdir(parents=True)
        self.settings.keys_dir.mkdir()
        durable.write(self.settings.console_password, PASSWORD.encode())
        self._fill()
        self.open_store()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._server: _Server | None = None
        self._up = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self._thread.start()
        assert self._up.wait(10)

    def _fill(self) -> None:
        self.rig.put(gated(micros(self.now - timedelta(minutes=7))), "n-w0")
        self.rig.put(month(self.now), "n-w1")
        self.rig.put(hostile(micros(self.now - timedelta(minutes=3))), "n-w2")
        at = micros(self.now - timedelta(minutes=9))
        self.rig.put([control("policy_load", at, id="default", version="1", sha256="cd" * 32, changed=None)], "n-w0")
        self.rig.add("finding_events", a_finding(self.now))
        said = dict.fromkeys(("title", "scope", "facts", "by", "reason"), HOSTILE)
        self.rig.add("finding_events", a_finding(self.now, finding="KEY-02", severity="high", **said))
        many = [a_finding(self.now, finding="KEY-06", severity="medium", scope=f"key={n:032x}") for n in range(60)]
        self.rig.add("finding_events", *many)
        self.rig.add(
            "decision_reviews",
            {"at": f"{self.now:%Y-%m-%d %H:%M:%S}", "decision_id": HOSTILE_ID, "verdict": HOSTILE, "reason": HOSTILE,
             "period_until": "1970-01-01 00:00:00", "by": HOSTILE},
        )  # fmt: skip

        day = f"{self.now - timedelta(hours=2):%Y-%m-%d %H:%M:%S}"
        parts = {"taken_at": day, "since": day, "until": day, "query_sha256": "ab" * 32}
        shares = {
            "inspected": (70, 73, 3),
            "identified": (40, 73, 2),
            "sanctioned": (20, 60, 2),
            "protected": (0, 0, 3),
        }
        rows = [
            {**parts, "metric": name, "value": n / d if d else 0, "numerator": n, "denominator": d, "weight": weight}
            for name, (n, d, weight) in shares.items()
        ]
        score = {"metric": "score", "value": 61.4, "numerator": 4.3, "denominator": 7, "weight": 0}
        self.rig.add("posture_snapshot", *rows, {**parts, **score})

    def open_store(self) -> None:
        """What the shipper does for whoever asks."""
        self.answers = Answers(query.bind(self.settings.run_dir), self.rig.ask)
        self.answers.start()

    def close_store(self) -> None:
        assert self.answers.close(5)

    async def _serve(self) -> None:
        async with app.opened(self.settings, "127.0.0.1", self.file) as application:
            self._server = _Server(application)
            asyncio.get_running_loop().call_soon(self._up.set)
            await self._server.serve(sockets=[self._listening])

    @contextlib.contextmanager
    def client(self, *, logged_in: bool = True) -> Iterator[httpx.Client]:
        with httpx.Client(base_url=self.url, trust_env=False, timeout=30) as client:
            if logged_in:
                assert self.login(client).status_code == 303
            yield client

    def login(self, client: httpx.Client, password: str = PASSWORD) -> httpx.Response:
        client.get("/login")
        token = client.cookies["sluice-console-login"]
        return client.post("/login", data={"password": password, "token": token}, headers={"origin": self.url})

    def close(self) -> None:
        assert self._server
        self._server.should_exit = True
        self._thread.join(10)
        with contextlib.suppress(OSError):
            self._listening.close()
        self.close_store()
        self.rig.close()
