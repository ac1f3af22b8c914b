"""The local upstream is what the other tests stand on: it must answer like a provider and miss nothing that arrives."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.upstream import Reply, Upstream


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with Upstream(delay=0.005) as server:
        yield server


@pytest.fixture(params=["HTTP/1.1", "HTTP/2.0"])
def client(request: pytest.FixtureRequest, upstream: Upstream) -> Iterator[httpx.Client]:
    """A client that trusts the upstream's CA alone and speaks one protocol."""
    upstream.journal.clear()
    trust = ssl.create_default_context(cadata=upstream.ca_pem.decode())
    http2 = request.param == "HTTP/2.0"
    with httpx.Client(
        verify=trust, http1=not http2, http2=http2, base_url=f"https://localhost:{upstream.port}", trust_env=False
    ) as c:
        yield c


def test_journal_holds_the_exact_bytes(client: httpx.Client, upstream: Upstream) -> None:
    """A large body is journalled with its size, digest, protocol and server name, exactly as sent."""
    body = os.urandom(300_000)
    answer = client.post("/_/echo", content=body, headers={"x-request-id": "one"})
    assert answer.content == body
    (seen,) = upstream.journal.requests
    assert (seen.size, seen.sha256, seen.request_id) == (300_000, hashlib.sha256(body).hexdigest(), "one")
    assert seen.body == body
    assert seen.http_version == ("HTTP/2.0" if answer.http_version == "HTTP/2" else "HTTP/1.1")
    assert seen.sni == "localhost"


def test_large_answer_respects_flow_control(client: httpx.Client) -> None:
    """An answer larger than any HTTP/2 window arrives whole."""
    assert client.get("/_/bytes/3000000").content == b"x" * 3_000_000


def test_stream_comes_in_pieces(client: httpx.Client) -> None:
    """Each event is its own piece on the wire, so a proxy that buffers can be told from one that does not."""
    with client.stream("GET", "/_/events/5") as answer:
        assert len(list(answer.iter_raw())) >= 5


def test_hold_keeps_the_rest_back(client: httpx.Client, upstream: Upstream) -> None:
    """While an answer is held, its first pieces are with the client; after release all of them are."""
    with upstream.hold(after=2) as release, client.stream("GET", "/_/events/5") as answer:
        pieces = answer.iter_raw()
        first = next(pieces) + next(pieces)
        assert first.count(b"data:") == 2
        release()
        assert (first + b"".join(pieces)).count(b"data:") == 5


def test_cut_off_stream_is_an_error(client: httpx.Client) -> None:
    """`/_/abort` ends without a proper end, so that a proxy's handling of it can be tested."""
    with pytest.raises(httpx.RemoteProtocolError):
        client.get("/_/abort")


def test_override_answers_first(client: httpx.Client, upstream: Upstream) -> None:
    """A test can put its own answer in front of the wire formats."""
    upstream.override = lambda _: Reply(418, (("x-mine", "yes"),), b"teapot")
    try:
        answer = client.get("/v1/models")
        assert (answer.status_code, answer.headers["x-mine"], answer.content) == (418, "yes", b"teapot")
    finally:
        upstream.override = None


def test_connections_are_counted_without_a_request(upstream: Upstream) -> None:
    """A bare TCP connection is counted: `blocked requests open no connection` can be proven."""
    upstream.journal.clear()
    socket.create_connection(("127.0.0.1", upstream.port)).close()
    trust = ssl.create_default_context(cadata=upstream.ca_pem.decode())
    httpx.get(f"https://localhost:{upstream.port}/", verify=trust, trust_env=False)
    assert (upstream.journal.connections, len(upstream.journal)) == (2, 1)


def test_unfinished_request_is_journalled(upstream: Upstream) -> None:
    """Bytes that leave without forming a whole request are evidence of a leak too."""
    upstream.journal.clear()
    trust = ssl.create_default_context(cadata=upstream.ca_pem.decode())
    with (
        socket.create_connection(("127.0.0.1", upstream.port)) as plain,
        trust.wrap_socket(plain, server_hostname="localhost") as tls,
    ):
        tls.sendall(b"POST /v1/responses HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99\r\n\r\nhalf a bo")
    assert upstream.journal.wait_for(bool)
    (seen,) = upstream.journal.requests
    assert (seen.complete, seen.body) == (False, b"half a bo")


def test_process_writes_every_request_before_answering(tmp_path: Path) -> None:
    """As a process it says where it listens, logs each request durably, and stops on SIGTERM."""
    log, ca = tmp_path / "log.jsonl", tmp_path / "ca.pem"
    command = [sys.executable, "-m", "tests.upstream", "--ca-out", str(ca), "--log", str(log)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        address = process.stdout.readline().split()[1]
        trust = ssl.create_default_context(cafile=ca)
        httpx.post(f"https://{address}/_/echo", content=b"abc", verify=trust, trust_env=False)
        events = [json.loads(line) for line in log.read_text().splitlines()]
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    assert [e["event"] for e in events] == ["connection", "request"]
    assert events[1]["sha256"] == hashlib.sha256(b"abc").hexdigest()
