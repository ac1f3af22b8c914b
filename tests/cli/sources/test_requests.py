"""Recorded requests: HAR and flow files give what the gate would scan; damaged ones are named."""

from __future__ import annotations

import base64
import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mitmproxy.io import FlowWriter
from mitmproxy.test import tflow

from sluice import config, targets
from sluice.cli.sources import Document, Item, Skipped, flows, texts
from sluice.cli.sources.opening import Opener

PROMPT = "please summarise the attached minutes"
BODY = json.dumps({"model": "gpt-4o", "messages": [{"role": "user", "content": PROMPT}]}).encode()


@pytest.fixture(scope="module")
def opener() -> Opener:
    return Opener(targets.load(config.signatures_dir() / "targets.toml"), config.Limits())


def said(items: list[Item]) -> dict[str, list[tuple[str, str]]]:
    """By place: (pointer, text) of each part."""
    return {d.name: [(p.pointer, p.text) for p in d.parts] for d in items if isinstance(d, Document)}


def entry(url: str, **post: Any) -> dict[str, Any]:
    headers = [{"name": "Authorization", "value": "Bearer token"}, {"name": "Content-Encoding", "value": "gzip"}]
    return {"request": {"method": "POST", "url": url, "headers": headers, "postData": post}}


def test_a_har_is_read_as_the_gate_would(opener: Opener) -> None:
    """The prompt is a part with its pointer and the dialect's target; other hosts give their body as text."""
    url = "https://api.openai.com/v1/chat/completions"
    har = {
        "log": {
            "entries": [
                entry(url, mimeType="application/json", text=BODY.decode()),
                entry(
                    url,
                    mimeType="application/json",
                    text=base64.b64encode(gzip.compress(BODY)).decode(),
                    encoding="base64",
                ),
                entry(
                    "https://example.com/form",
                    mimeType="application/x-www-form-urlencoded",
                    params=[{"name": "q", "value": "a b"}],
                ),
                entry("not a url", text="x"),
                {"request": None},
                "garbage",
            ]
        }
    }
    items = list(opener.read("x.har", json.dumps(har).encode()))
    found = said(items)
    for place in ("x.har!0", "x.har!1"):
        assert ("/messages/0/content", PROMPT) in found[place]
        assert ("credential:header:authorization:bearer", "token") in found[place]
    assert found["x.har!2"] == [("body", "q=a+b")]
    assert [d.target.provider for d in items if isinstance(d, Document) and d.target] == ["openai", "openai"]
    assert [s.name for s in items if isinstance(s, Skipped)] == ["x.har!3", "x.har!4", "x.har!5"]


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"[" * 100_000, b'{"log": {"entries": {}}}', b"\xff\xfe", b'{"log": ' + b"9" * 5000]
)
def test_a_har_of_garbage_is_named(opener: Opener, data: bytes) -> None:
    """What is no HAR says so, as a failure."""
    (only,) = opener.read("x.har", data)
    assert isinstance(only, Skipped)
    assert only.failed


def test_a_flow_file_of_mitmproxy_is_read(opener: Opener, tmp_path: Path) -> None:
    """What mitmproxy writes, with a compressed body, is decoded and read by dialect; no HTTP is named."""
    flow = tflow.tflow()
    flow.request.url = "https://api.openai.com/v1/chat/completions"
    flow.request.method = "POST"
    flow.request.headers["content-type"] = "application/json"
    flow.request.headers["content-encoding"] = "gzip"
    flow.request.raw_content = gzip.compress(BODY)
    socket = tflow.twebsocketflow()
    with (tmp_path / "dump.flow").open("wb") as file:
        writer = FlowWriter(file)
        for one in (flow, tflow.ttcpflow(), socket):
            writer.add(one)
    items = list(opener.read("dump.flow", (tmp_path / "dump.flow").read_bytes()))
    assert ("/messages/0/content", PROMPT) in said(items)["dump.flow!0"]
    assert ("dump.flow!1", "no HTTP flow") in [(s.name, s.reason) for s in items if isinstance(s, Skipped)]
    assert ("dump.flow!2", "WebSocket messages") in [(s.name, s.reason) for s in items if isinstance(s, Skipped)]


def test_a_cut_flow_file_gives_what_is_whole(opener: Opener, tmp_path: Path) -> None:
    """The flows before the damage are read; the damage is a failure."""
    with (tmp_path / "dump").open("wb") as file:
        writer = FlowWriter(file)
        writer.add(tflow.tflow())
        writer.add(tflow.tflow())
    data = (tmp_path / "dump").read_bytes()
    items = list(opener.read("dump", data[:-40]))
    assert list(said(items)) == ["dump!0"]
    (damaged,) = [s for s in items if isinstance(s, Skipped)]
    assert damaged.failed
    assert "damaged flow file" in damaged.reason


@pytest.mark.parametrize(
    "data",
    [
        b"999999999999:x}",
        b"4:1:1#}",
        b"5:1:1#,}",
        (b"1:" * 100) + b"}",
        b"0:}" + b"0:]",
        b"6:3:abc#}",
        b"4:0:0:}",
    ],
)
def test_tnetstrings_of_odd_shape_are_malformed(data: bytes) -> None:
    """Lengths that lie, wrong types and odd dictionaries end in `Malformed`."""
    with pytest.raises(flows.Malformed):
        list(flows.flows(data))


def test_nesting_is_bounded() -> None:
    """A thousand lists inside each other are refused before the stack is at its end."""
    data = b""
    for _ in range(1000):
        data = b"%d:%s]" % (len(data), data)
    with pytest.raises(flows.Malformed):
        list(flows.flows(data))


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=200) | st.from_regex(rb"[0-9]{1,3}:[0-9:#,~!}\]]{0,60}", fullmatch=True))
def test_no_bytes_break_the_reader(data: bytes) -> None:
    """Any bytes give dictionaries or `Malformed`."""
    try:
        assert all(isinstance(flow, dict) for flow in flows.flows(data))
    except flows.Malformed as e:
        assert str(e).startswith("byte ")


def test_a_request_file_is_read_as_explain_does(opener: Opener) -> None:
    """Parts by pointer; a wrong key is named."""
    asked = {"host": "api.openai.com", "path": "/v1/chat/completions", "headers": {}, "body": json.loads(BODY)}
    items = list(opener.read("a.request.json", json.dumps(asked).encode()))
    assert ("/messages/0/content", PROMPT) in said(items)["a.request.json"]
    (wrong,) = opener.read("a.request.json", b'{"hots": "x"}')
    assert isinstance(wrong, Skipped)
    assert "unknown key `hots`" in wrong.reason


# --------------------------------------------------------------------------------------------------------- JSON lines


def test_a_field_of_json_lines() -> None:
    """Only the named field is read, through lists, each with its line; bad lines and lines without it are said."""
    data = b'{"t": "one", "o": "no"}\nnot json\n{"m": [{"t": "x"}]}\n\n{"t": ["two", "three"]}\n'
    items = list(texts.lines("d.jsonl", data, "t"))
    assert [(d.line, [p.text for p in d.parts]) for d in items if isinstance(d, Document)] == [
        (0, ["one"]),
        (4, ["two", "three"]),
    ]
    assert [(s.name, s.reason) for s in items if isinstance(s, Skipped)] == [
        ("d.jsonl:2", "not JSON"),
        ("d.jsonl", "1 line without text at `t`"),
    ]
    (nested,) = texts.lines("d.jsonl", b'{"m": [{"t": "x"}, {"t": 5}, 7]}', "m.t")
    assert isinstance(nested, Document)
    assert [p.text for p in nested.parts] == ["x"]


def test_a_long_file_is_read_in_blocks_that_overlap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every line is whole in some block, and every block knows which line it begins at."""
    monkeypatch.setattr(texts, "BLOCK", 1000)
    monkeypatch.setattr(texts, "OVERLAP", 100)
    rows = [f"row {i} of the file" for i in range(300)]
    blocks = [d for d in texts.plain("f", "\n".join(rows).encode()) if isinstance(d, Document)]
    assert len(blocks) > 5
    for block in blocks:
        (part,) = block.parts
        here = part.text.split("\n")
        assert here[1] == rows[block.line + 1]
    assert all(any(row in d.parts[0].text for d in blocks) for row in rows)
    one_line = [d for d in texts.plain("f", b"x" * 5000) if isinstance(d, Document)]
    assert {d.line for d in one_line} == {0}
