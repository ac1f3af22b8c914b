"""Every text of a record that somebody else chooses has a closed grammar, and deploy/clickhouse/RECORD.md names it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from sluice import rulebook
from sluice.config import Paths, Settings
from sluice.model import Answered, FileFact, Match, Outcome, PartFact, Record, Rulebook
from sluice.recording import WITHHELD
from tests.gate.test_record_fields import exchange, outcome, record

PAGE = (Path(__file__).parents[2] / "deploy" / "clickhouse" / "RECORD.md").read_text("utf-8")
PROSE = "zqx7 is my password"
SLUG = "zqx7-is-my-password"
NAME = r"[A-Za-z0-9@_][A-Za-z0-9._:/@+-]{0,159}|\(withheld\)|\(\+\d+ more\)"
WORD = r"[a-z_.-]{1,40}"
SEGMENT = r"v\d{1,2}[a-z0-9]*|\{(?:id|other|model|project)\}|[A-Za-z_.-]{1,40}"
VERSION = r"v?\d{1,3}(?:\.\d{1,3}){0,2}(?:[-.]?[a-z]+[-.]?\d{0,3})?"
CLIENTS = {
    "method": r"[A-Z]{3,7}|other",
    "http_version": r"HTTP/\d(?:\.\d)?|other",
    "host": r"[a-z0-9_.:-]{1,253}",
    "sni": r"[a-z0-9_.:-]{1,253}",
    "path_template": rf"/|(?:/(?:{SEGMENT})(?::[A-Za-z]{{3,32}})?){{1,64}}",
    "user_agent": rf"(?:(?:other|[A-Za-z][\w.-]*)(?:/(?:{VERSION}|[A-Z]\w{{1,9}}(?: {VERSION})?))? ?){{1,8}}",
    "sdk": r"[a-z_-]{2,30}/\d{1,2}(?:\.\d{1,3}){0,2}",
    "agent_id": WORD,
    "content_type": r"[a-z]{4,11}/[a-z0-9.+-]{1,80}|other",
    "encodings": WORD,
    "dialect": WORD,
    "route_id": WORD,
    "operation": WORD,
    "region": r"[a-z0-9-]{2,30}",
    "model_requested": NAME,
    "tool_choice": NAME,
    "tools_declared": NAME,
    "mcp_servers": NAME,
    "mcp_facts": r"(?:https?|other|none) \S{1,60} (?:always|never|some|unsaid) (?:no-)?token (?:" + NAME + ")?",
    "hosted_tools": WORD,
    "dangerous_tools": r"[A-Za-z_.-]{1,60}",
    "key_kind": WORD,
    "key_hint": r"[A-Za-z0-9_.-]{0,20}\(\d{1,6}\)",
    "tls_version_client": r"TLSv1\.[0-3]",
    "src_ip": r"[0-9a-f.:]{2,39}",
}


def test_the_page_names_every_text() -> None:
    """Each text field of a record stands on the page, those of its lists too: a new field has to say what it holds."""
    fields = {f.name for f in msgspec.structs.fields(Record) if "str" in str(f.type) or "RecordType" in str(f.type)}
    nested = {f"{name}.{f.name}" for name, kind in (("attachments", FileFact), ("parts", PartFact))
              for f in msgspec.structs.fields(kind) if "str" in str(f.type)}  # fmt: skip
    named = set(re.findall(r"`([a-z_0-9]+(?:\.[a-z_]+)?)`", PAGE))
    assert len(fields) > 80
    assert fields | nested <= named
    ours = PAGE.partition("## Ours")[2]
    for field in msgspec.structs.fields(Match):
        if "str" in str(field.type) and field.name not in ("fingerprint", "mask"):
            assert f"`{field.name}`" in ours, field.name


def test_the_page_names_what_is_checked_here() -> None:
    """The table of what clients write is the list of this test."""
    table = PAGE.partition("## Written by a client")[2].partition("\n## ")[0]
    named = {
        name
        for row in table.splitlines()
        for name in re.findall(r"`([a-z_.]+)`", row.split("|")[1] if "|" in row else "")
    }
    assert {name for name in named if "." not in name} == set(CLIENTS)


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Rulebook:
    """The shipped rules."""
    return rulebook.load(Settings(paths=Paths(var=tmp_path_factory.mktemp("grammar"))))


def sent(text: str) -> list[Record | Any]:
    """Requests that say `text` wherever a client can say anything."""
    slug = re.sub(r"[^a-zA-Z0-9]+", "-", text).strip("-").lower()
    tool = {"type": "function", "name": text}
    server = {"type": "mcp", "server_label": text, "server_url": f"https://{text}/{text}", "require_approval": text}
    body = {"model": text, "input": text, "tools": [tool, server, {"type": text}], "tool_choice": text,
            "metadata": {text: text}, "previous_response_id": text, "user": text}  # fmt: skip
    chat = {"model": text, "messages": [{"role": text, "content": [{"type": text, "text": text}]}], "system": text}
    heads = {
        "user_agent": text,
        "x_title": text,
        "traceparent": text,
        "session_id": text,
        "originator": text,
        "referer": text,
        "openai_organization": text,
        "x_stainless_lang": text,
        "authorization": f"Bearer {text}",
    }
    words = "/".join(text.split())
    return [
        exchange(body, path=f"/v1/responses/{words}:{words}", **heads),
        exchange(chat, "api.anthropic.com", f"/{words}/v1/messages", **heads, content_encoding=text),
        exchange(body, f"{slug}.openai.azure.com", f"/openai/deployments/{words}/x", content_type=text, **heads),
        exchange(chat, "generativelanguage.googleapis.com", f"/v1beta/models/{slug}:{slug}", x_goog_api_key=text),
        msgspec.structs.replace(exchange(body, path=f"/{words}?{words}"), method=slug, http_version=text, sni=text),
    ]


@pytest.mark.parametrize("text", [PROSE, "two words", "curl/8.5.0 (hello) hello", "Mozilla/5.0 zqx7/9 x"])
def test_records_hold_to_the_grammar(book: Rulebook, text: str) -> None:
    """Whatever a client writes, every text of the record has the shape that the page says, and holds no sentence."""
    for request in sent(text):
        made = record(book, request)
        for field, grammar in CLIENTS.items():
            value = getattr(made, field)
            for one in value if isinstance(value, tuple) else (value,):
                assert one in (None, "", WITHHELD) or re.fullmatch(grammar, one), (field, one)
        assert text not in repr(made)
        if text == PROSE:  # in one word it may be a name of host, model or tool; nowhere else
            told = {f: v for f, v in msgspec.structs.asdict(made).items() if "zqx7" in repr(v)}
            assert set(told) <= {"host", "model_requested"}, told


def test_answers_hold_to_the_grammar(book: Rulebook) -> None:
    """Of what a service writes nothing but single words reaches a record."""
    answer = Answered(model=PROSE, id=PROSE, finish=PROSE, calls=(PROSE,))
    ended = Outcome(exchange_id="0199d0f0-0000-7000-8000-000000000001", forwarded=True, answer=answer,
                    http_version=PROSE, org_id_seen=PROSE, project_id_seen=PROSE)  # fmt: skip
    assert "zqx7" not in repr(outcome(book, ended))
