"""T60: what detectors know as secret or personal is sent in every place of a request, and then looked for everywhere.

Each detector's own example is planted in body, header, query, path, form, broken JSON, compressed body, a torn head, a
bad request line, a CONNECT line and a Host header; and in every place of a provider's answer. Afterwards ledger,
ClickHouse files, logs, metrics and every answer of ours are searched for the values, as they are and in the spellings
that a careless log would give them.
"""

from __future__ import annotations

import gzip
import json
import os
import signal
import socket
import ssl
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from copy import replace
from pathlib import Path

import pytest

from sluice import config, rulebook
from sluice.config import Settings
from sluice.detect import packs
from sluice.ledger import reader
from sluice.model import Part, PartKind, Provenance, Role
from sluice.ship.query import ask
from tests.bench.load import connect
from tests.clients.appliance import Appliance
from tests.upstream import Upstream
from tests.upstream.journal import Received
from tests.upstream.reply import Reply, json_reply, sse

KINDS = 50
"""Detectors whose examples are planted: every n-th, so that each family is there."""
NOT_TRAFFIC = (".key", ".pem", ".hsdb")
"""Keys, and the compiled detectors: whose own words may be words of an example."""
UNKNOWN = "zqCanary7x"
"""A word that no detector knows."""
LEAST = 8
"""Shorter values (a bare postcode, an address octet) occur by chance in any file."""


def secrets() -> list[tuple[str, str, str]]:
    """(detector, example text, the value in it) for every detector whose example yields a value worth searching for."""
    settings = Settings()
    engine = rulebook.load(settings).detectors
    detectors = packs.load([Path("signatures/packs")], Path("signatures/vocabulary.toml"))
    found: list[tuple[str, str, str]] = []
    for detector in detectors:
        text = detector.match[0]
        part = Part("/x", Role.USER, PartKind.TEXT, Provenance.USER, text)
        for f in engine.scan((part,)).findings:
            value = text[f.start : f.end]
            if f.detector == detector.id and len(value) >= LEAST and not detector.data_class.startswith("network."):
                found.append((detector.id, text, value))
                break
    return found


def requests(text: str) -> Iterator[bytes]:
    """The example in every place of an HTTP/1.1 request to an AI host."""
    one_line = " ".join(text.split())
    head = one_line.encode()
    chat = json.dumps({"model": "gpt-5.5", "messages": [{"role": "user", "content": text}]}).encode()
    url = urllib.parse.quote(text, safe="")[:8000]
    yield post("/v1/chat/completions", chat)
    yield post("/v1/chat/completions", gzip.compress(chat), b"Content-Encoding: gzip\r\n")
    yield post("/v1/chat/completions", chat[:-9])
    yield post("/v1/chat/completions", chat, b"Content-Encoding: bz2\r\n")
    yield post("/v1/chat/completions", b"{}", b"X-Note: " + head + b"\r\n")
    yield post("/v1/chat/completions", b"{}", b"Authorization: Bearer " + head + b"\r\n")
    yield post(f"/v1/chat/completions?note={url}", b"{}")
    yield post(f"/v1/{url}", b"{}")
    yield post("/v1/x", b"note=" + url.encode(), b"Content-Type: application/x-www-form-urlencoded\r\n")
    yield post("/v1/chat/completions", json.dumps({"model": text, "tools": [{"type": text}], text: 1}).encode())
    yield post("/v1/chat/completions", b"{}", b"User-Agent: " + head + b"\r\n", host=head)
    yield post("/v1/chat/completions", chat, b"Content-Encoding: " + head + b"\r\n")
    yield post("/v1/chat/completions", chat, b"Content-Type: text/" + head + b"\r\n")
    yield post("/v1/files", upload(head), b"Content-Type: multipart/form-data; boundary=bb\r\n")
    yield b"POST /v1/chat/completions HTTP/1.1\r\nHost: api.openai.com\r\nX-Torn: " + head
    yield b"GE T " + head + b" HTTP/9\r\n\r\n"
    yield head + b"\r\n\r\n"


def upload(kind: bytes) -> bytes:
    """A form whose one file says to be of that kind."""
    place = b'Content-Disposition: form-data; name="file"; filename="a.txt"\r\n'
    return b"--bb\r\n" + place + b"Content-Type: text/" + kind + b"\r\n\r\nhello\r\n--bb--\r\n"


def prose() -> list[bytes]:
    """Requests with words that no detector knows wherever a known word or a name should stand."""
    server = {"type": "mcp", "server_label": f"{UNKNOWN} a", "server_url": "https://mcp.example.org/"}
    tools = [{"type": "function", "function": {"name": f"{UNKNOWN} b"}}, {"type": f"{UNKNOWN} c"}, server]
    body = {"model": f"{UNKNOWN} is my password", "tools": tools, "tool_choice": f"{UNKNOWN} d", "messages": []}
    word = UNKNOWN.encode()
    return [
        post("/v1/chat/completions", json.dumps(body).encode()),
        post("/v1/chat/completions", b"{}", b"Content-Encoding: " + word + b"\r\n"),
        post("/v1/chat/completions", b"{}", b"Content-Type: text/" + word + b"\r\n"),
        post("/v1/files", upload(word), b"Content-Type: multipart/form-data; boundary=bb\r\n"),
        post("/v1/chat/completions", b"{}").replace(b"POST", word, 1),
    ]


def post(path: str, body: bytes, headers: bytes = b"", host: bytes = b"api.openai.com") -> bytes:
    kind = b"" if b"Content-Type" in headers else b"Content-Type: application/json\r\n"
    length = f"Content-Length: {len(body)}\r\n".encode()
    return b"POST " + path.encode() + b" HTTP/1.1\r\nHost: " + host + b"\r\n" + kind + headers + length + b"\r\n" + body


def send(appliance: Appliance, request: bytes, patience: float = 0.25) -> bytes:
    """Send bytes inside a decrypted tunnel, close when nothing more comes; what came back. `patience` in seconds."""
    parts = urllib.parse.urlsplit(appliance.proxy)
    sock = connect((parts.hostname or "", parts.port or 0), "api.openai.com:443", str(appliance.ca_file))
    return talk(sock, request, patience)


def talk(sock: socket.socket, request: bytes, patience: float = 0.25) -> bytes:
    answer = b""
    try:
        sock.settimeout(patience)
        sock.sendall(request)
        while piece := sock.recv(65536):
            answer += piece
            sock.settimeout(min(patience, 0.3) / 12)
    except (TimeoutError, ssl.SSLError, OSError):
        pass
    finally:
        sock.close()
    return answer


def answering(texts: list[str]) -> Callable[[Received], Reply | None]:
    """An upstream that writes the example which a request asks for (`x-request-id: answer-N-FORM`) into everything that
    an answer has: text, tool calls and their arguments, model, id, finish reason, error, organisation."""

    def answer(request: Received) -> Reply | None:
        kind, _, rest = (request.request_id or "").partition("-")
        if kind != "answer":
            return None
        number, _, form = rest.partition("-")
        text = texts[int(number)]
        line = " ".join(text.split()).encode("ascii", "replace").decode()
        headers = (("openai-organization", line), ("openai-project", line), ("x-request-id", line), (("x-note"), line))
        call = {"index": 0, "id": text, "type": "function", "function": {"name": text, "arguments": text}}
        message = {"role": "assistant", "content": text, "tool_calls": [call]}
        usage = {"prompt_tokens": 3, "completion_tokens": 5}
        chat = {"id": text, "model": text, "usage": usage}
        choice = {"index": 0, "finish_reason": text}
        match form:
            case "json":
                return json_reply(chat | {"choices": [choice | {"message": message}]}, headers=headers)
            case "long":
                filler = {"padding": text + "x" * 70_000, "choices": [choice | {"message": message}]}
                return json_reply(chat | filler, headers=headers)
            case "stream":
                event = chat | {"choices": [choice | {"delta": message}]}
                return sse([(None, event), (None, {"error": text}), (text.split()[0], text)], headers)
            case "torn":
                return replace(sse([(None, chat | {"choices": []})], headers), abort=True)
            case "error":
                return json_reply({"error": {"message": text, "type": text, "code": text}}, 429, headers)
        return json_reply(text, headers=headers)

    return answer


ANSWERS = ("json", "long", "stream", "torn", "error", "bare")
"""Forms of an answer that `answering` knows."""


def asking(number: int, form: str) -> bytes:
    """A harmless request for an answer of that form."""
    return post("/v1/chat/completions", b'{"model":"gpt-5.5"}', f"X-Request-Id: answer-{number}-{form}\r\n".encode())


def ours(answer: bytes) -> bytes:
    """An answer that the gate made; the upstream's own may repeat what it was sent."""
    made_upstream = answer[9:12] in (b"200", b"404") and b"x-sluice-decision" not in answer.lower()
    return b"" if made_upstream else answer


def spellings(value: str) -> set[bytes]:
    """The value as a careless writer could have left it."""
    texts = {
        value,
        value.lower(),
        json.dumps(value)[1:-1],
        repr(value)[1:-1],
        urllib.parse.quote(value),
        urllib.parse.quote_plus(value),
    }
    digits = "".join(c for c in value if c.isdigit())
    if len(digits) >= 11 and len(digits) > len(value) / 2:
        texts.add(digits)
    raw = {t.encode("utf-8", "surrogateescape") for t in texts if len(t) >= LEAST}
    return raw | {t.encode("utf-16-le", "surrogatepass") for t in texts if len(t) >= LEAST}


@pytest.mark.timeout(600)
def test_no_planted_value_is_found_anywhere(tmp_path: Path) -> None:
    """No value reaches ledger, database, log, metric or answer; not even from a worker that is killed with SIGABRT."""
    known = secrets()
    planted = known[:: len(known) // KINDS]
    assert len(planted) >= KINDS, "kinds of secrets to plant"
    answers = bytearray()
    texts = [text for _, text, _ in planted]
    with Upstream(override=answering(texts), delay=0) as upstream:
        appliance = Appliance(tmp_path, upstream, workers=1)
        appliance.start()
        try:

            def plant(text: str) -> list[bytes]:
                parts = urllib.parse.urlsplit(appliance.proxy)
                raw = socket.create_connection((parts.hostname or "", parts.port or 0), timeout=5)
                line = " ".join(text.split()).encode()
                connect_line = b"CONNECT " + line + b":443 HTTP/1.1\r\nHost: " + line + b"\r\n\r\n"
                return [ours(send(appliance, request)) for request in requests(text)] + [talk(raw, connect_line)]

            with ThreadPoolExecutor(6) as clients:  # they mostly wait for answers that do not come
                told = list(clients.map(plant, [text for _, text, _ in planted]))
            sent = sum(map(len, told))
            answers += b"".join(b"".join(some) for some in told)
            answers += b"".join(ours(send(appliance, request, patience=10)) for request in prose())
            asked = [asking(n, form) for n in range(len(planted)) for form in ANSWERS]
            with ThreadPoolExecutor(6) as clients:
                got = list(clients.map(lambda request: send(appliance, request, patience=10), asked))
            back = sum(text.split()[0].encode() in b"".join(got) for text in texts)
            assert back >= len(planted) * 0.9, "answers with planted values that came back to the client"
            read = appliance.rows_when(
                "select count() as n, countIf(tokens_out = 5) as counted, "
                "countIf(model_served = '(withheld)') as withheld "
                "from sluice.events where record_type = 'outcome' and forwarded",
                lambda rows: int(rows[0]["n"]) >= len(asked) * 0.9,
            )
            assert int(read[0]["counted"]) >= len(planted) * 3, "answers that were read"
            assert int(read[0]["withheld"]) >= len(planted) * 2, "answers whose names were withheld"
            rows = appliance.rows_when(
                "select count() as n from sluice.events where decision = 'block'",
                lambda rows: int(rows[0]["n"]) >= len(planted) // 2,
            )
            time.sleep(2)
            with urllib.request.urlopen(appliance.admin + "/metrics", timeout=10) as scrape:
                answers += scrape.read()
            supervisor = int((appliance.var / "sluice.pid").read_text())
            for pid in Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text().split():
                if b"addons.worker" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    os.kill(int(pid), signal.SIGABRT)
            time.sleep(1)
        finally:
            appliance.stop()

    places: dict[str, bytes] = {"answers and metrics": bytes(answers)}
    for file in tmp_path.rglob("*"):
        if file.is_file() and not file.is_symlink() and file.suffix not in NOT_TRAFFIC:
            places[str(file.relative_to(tmp_path))] = file.read_bytes()
    # ClickHouse compresses its columns: read the rows back as text as well.
    places["rows"] = json.dumps(dump(tmp_path)).encode()
    leaks = [
        (detector, place)
        for detector, _, value in planted
        for place, data in places.items()
        if any(s in data for s in spellings(value))
    ]
    leaks += [(UNKNOWN, place) for place, data in places.items() if UNKNOWN.lower().encode() in data.lower()]
    named = b'\\"encodings\\":[\\"other\\"]'
    assert named in places["rows"], "a coding of no list is recorded as `other`"
    print(f"\nplanted {len(planted)} values in {sent} requests, blocked rows {rows[0]['n']}, leaks {len(leaks)}")
    assert leaks == [], sorted({(d, p.split("/store/")[0]) for d, p in leaks})


def dump(directory: Path) -> list[str]:
    """Every row of every record, as text, read from the ledger that the rows were made from and from the table."""
    settings = config.load(directory / "sluice.toml", environ={})
    lines = [entry.body.decode() for s in reader.streams(settings.ledger_dir) for entry in reader.read(s)]
    table = ask(settings, "select * from sluice.events", "JSONEachRow")
    lines.append(table.decode() if isinstance(table, bytes) else "".join(map(str, table)))
    return lines
