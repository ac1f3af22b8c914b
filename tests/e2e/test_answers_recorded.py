"""What an answer says of itself reaches the outcome's row, and the client gets the answer byte for byte.

Through the whole appliance: TLS on both sides, HTTP/1.1 and HTTP/2, answers whole and streamed, plain and coded.
"""

from __future__ import annotations

import json
import ssl
from pathlib import Path
from typing import Any

import brotli
import httpx
import pytest
import zstandard

from sluice.model import Answered
from tests.answers.answer_samples import SAMPLES, Sample
from tests.clients.appliance import SHIP_SOON, Appliance
from tests.upstream import Upstream
from tests.upstream.journal import Received
from tests.upstream.reply import Reply

HOSTS = {
    "openai": "api.openai.com",
    "anthropic": "api.anthropic.com",
    "google": "generativelanguage.googleapis.com",
}
BY_NAME = {s.name: s for s in SAMPLES}
CODERS = {"": bytes, "br": brotli.compress, "zstd": zstandard.ZstdCompressor().compress}
PIECE = 333


def answer(request: Received) -> Reply | None:
    """The sample that the request's `x-request-id` names, in pieces, in the coding that it names."""
    name, _, coding = (request.request_id or "").partition("|")
    sample = BY_NAME.get(name)
    if sample is None:
        return None
    body = CODERS[coding](sample.body)
    kind = "text/event-stream" if "stream" in name and sample.dialect != "google" else "application/json"
    headers = [("content-type", kind), ("openai-organization", "org-of-the-answer")]
    if coding:
        headers.append(("content-encoding", coding))
    return Reply(200, tuple(headers), events=tuple(body[at : at + PIECE] for at in range(0, len(body), PIECE)))


def probe(sample: Sample, coding: str) -> str:
    """The program that asks: one for each request, so that its row can be found."""
    return f"probe-{sample.name}-{coding or 'plain'}"


def ask(client: httpx.Client, sample: Sample, coding: str) -> bytes:
    """One request for a sample; the bytes that came back, still coded."""
    host = HOSTS[sample.dialect] if not sample.path.startswith("/v1internal") else "cloudcode-pa.googleapis.com"
    path = sample.path if sample.path.startswith(("/v1", "/v1beta")) else "/v1/chat/completions"
    body = {"model": "asked-for", "messages": [{"role": "user", "content": "hello"}]}
    headers = {"x-request-id": f"{sample.name}|{coding}", "user-agent": f"{probe(sample, coding)}/1.0"}
    with client.stream("POST", f"https://{host}{path}", json=body, headers=headers) as response:
        assert response.status_code == 200, response.read()
        return b"".join(response.iter_raw())


def expected(told: Answered) -> dict[str, Any]:
    return {
        "model_served": told.model,
        "response_id": told.id,
        "finish_reason": told.finish,
        "tokens_in": told.tokens_in,
        "tokens_out": told.tokens_out,
        "tokens_cached": told.tokens_cached,
        "tokens_reasoning": told.tokens_reasoning,
        "tool_calls_returned": list(told.calls),
    }


@pytest.mark.timeout(300)
def test_rows_say_what_the_answers_said(tmp_path: Path) -> None:
    """For every family, form and coding: the row has model, id, tokens, end and calls; the client has every byte."""
    with Upstream(override=answer, delay=0) as upstream:
        programs = [probe(sample, coding) for sample in SAMPLES for coding in CODERS]
        own = f"{SHIP_SOON}\n[evidence]\nprograms = {json.dumps(programs)}\n"
        appliance = Appliance(tmp_path, upstream, settings=own)
        appliance.start()
        try:
            context = ssl.create_default_context(cafile=str(appliance.ca_file))
            sent = [(sample, coding) for sample in SAMPLES for coding in CODERS]
            for http2 in (False, True):
                with httpx.Client(proxy=appliance.proxy, verify=context, http2=http2, timeout=30) as client:
                    for sample, coding in sent[http2::2]:
                        assert ask(client, sample, coding) == CODERS[coding](sample.body)
            told = (*expected(Answered()), "org_id_seen", "response_fp", "stream_aborted", "ts_committed", "commit_us")
            names = ", ".join(f"o.{n} as o_{n}" for n in (*told, "retention_class"))
            rows = appliance.rows_when(
                f"select d.user_agent as who, d.ts_decided as decided, d.identity_us as us, d.retention_class as kept, "
                f"{names} from sluice.events d join sluice.events o on o.decision_id = d.decision_id "
                "where d.record_type = 'decision' and o.record_type = 'outcome' and startsWith(d.user_agent, 'probe-')",
                lambda rows: len(rows) >= len(sent),
            )
        finally:
            appliance.stop()
    assert len(rows) == len(sent)
    by_agent = {row["who"]: row for row in rows}
    fingerprints = set()
    for sample, coding in sent:
        row = by_agent[f"{probe(sample, coding)}/1.0"]
        want = expected(sample.told)
        assert {k: _plain(row[f"o_{k}"]) for k in want} == want, sample.name
        assert row["o_org_id_seen"] == "org-of-the-answer"
        assert row["o_stream_aborted"] is False
        assert row["o_ts_committed"] >= row["decided"]
        assert int(row["o_commit_us"]) > 0
        assert int(row["us"]) >= 0
        assert row["kept"] == row["o_retention_class"] == "standard"
        if sample.told.id:
            assert row["o_response_fp"] != sample.told.id
            fingerprints.add((sample.told.id, row["o_response_fp"]))
    assert len(fingerprints) == len({s.told.id for s in SAMPLES if s.told.id}), "one fingerprint for one id"


def _plain(value: object) -> object:
    """ClickHouse writes 64-bit integers as text."""
    return json.loads(value) if isinstance(value, str) and value.isdigit() else value
