"""curl, the client whose bytes can be chosen exactly: HTTP/1.1 and HTTP/2, with plain, gzip and zstd bodies."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import zstandard

from tests.clients.calling import Client, Refused, Sent

URL = "https://api.openai.com/v1/chat/completions"
MARK = "\n<<status %{http_code} version %{http_version}>>"
CODINGS = {"gzip": gzip.compress, "zstd": zstandard.ZstdCompressor().compress}


def _ask(version: str, coding: str | None, prompt: str, stream: bool, sent: Sent) -> Iterator[str]:
    question = {"model": "gpt-5.5", "stream": stream, "messages": [{"role": "user", "content": prompt}]}
    body = json.dumps(question).encode()
    if coding:
        body = CODINGS[coding](body)
    sent.body(body)
    with tempfile.NamedTemporaryFile() as file:
        file.write(body)
        file.flush()
        yield from _run(version, coding, Path(file.name))


def _run(version: str, coding: str | None, body: Path) -> Iterator[str]:
    command = ["curl", "--silent", "--show-error", "--no-buffer", "--max-time", "30", f"--http{version}"]
    command += ["--proxy", os.environ["HTTPS_PROXY"], "--cacert", os.environ["SSL_CERT_FILE"], "--write-out", MARK]
    command += ["--header", "content-type: application/json", "--header", "authorization: Bearer local-test-key"]
    command += ["--header", f"content-encoding: {coding}"] if coding else []
    command += ["--data-binary", f"@{body}", URL]
    plain: list[str] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        for line in process.stdout:
            if line.startswith("<<status"):
                _, status, _, spoken = line.strip("<>\n").split()
                if spoken != version:
                    raise AssertionError(f"asked for HTTP/{version}, spoke HTTP/{spoken}")
                yield from _finish(int(status), "".join(plain))
            elif line.startswith("data: {"):
                yield json.loads(line[6:])["choices"][0]["delta"].get("content", "")
            else:
                plain.append(line)
    if process.returncode:
        raise AssertionError(f"curl ended with {process.returncode}")


def _finish(status: int, text: str) -> Iterator[str]:
    if status >= 400:
        raise Refused("HTTP", status, json.loads(text)["error"]["message"])
    if text.lstrip().startswith("{"):
        yield json.loads(text)["choices"][0]["message"]["content"]


CLIENTS = tuple(
    Client(f"curl-http{version}-{coding or 'plain'}", "api.openai.com", partial(_ask, version, coding))
    for version in ("1.1", "2")
    for coding in (None, "gzip", "zstd")
)
