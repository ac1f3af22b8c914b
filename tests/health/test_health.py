"""The admin listener tells the truth about readiness, adds up metrics of all processes, and cannot be turned round."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from sluice import health

CERTIFICATE: dict[str, bytes] = {"pem": b"-----BEGIN", "der": b"\0\1\2\3"}


def client(tmp_path: Path, missing: Sequence[str] = (), listen: str = "127.0.0.1") -> httpx.AsyncClient:
    application = health.app(
        status=lambda: health.Status(tuple(missing), {"worker-0": {"state": "ready"}}),
        certificate=CERTIFICATE.__getitem__,
        metrics=tmp_path,
        listen=listen,
    )
    return httpx.AsyncClient(transport=httpx.ASGITransport(application), base_url="http://127.0.0.1:8081")


def count(directory: Path, code: str) -> None:
    """Run a process that counts something into `directory`, and ends."""
    done = subprocess.run(
        [sys.executable, "-c", f"from sluice import metrics as m\n{code}"],
        env={"PROMETHEUS_MULTIPROC_DIR": str(directory)},
        check=False,
        capture_output=True,
        timeout=30,
    )
    assert done.returncode == 0, done.stderr


def values(body: bytes) -> dict[str, float]:
    """The samples of a scrape, by name and labels."""
    return {
        sample.name + json.dumps(sample.labels, sort_keys=True): sample.value
        for family in text_string_to_metric_families(body.decode())
        for sample in family.samples
    }


async def test_ready_only_when_nothing_is_missing(tmp_path: Path) -> None:
    """/readyz is 200 when all is there, and 503 with every missing thing in words otherwise."""
    async with client(tmp_path) as http:
        answer = await http.get("/readyz")
        assert (answer.status_code, answer.json()["missing"]) == (200, [])
    async with client(tmp_path, ["shipper is starting", "worker-1 is down"]) as http:
        answer = await http.get("/readyz")
        assert answer.status_code == 503
        assert answer.json()["missing"] == ["shipper is starting", "worker-1 is down"]
        assert answer.json()["processes"] == {"worker-0": {"state": "ready"}}
        assert (await http.get("/healthz")).status_code == 200  # alive, though not ready


async def test_the_ca_certificate_can_be_fetched(tmp_path: Path) -> None:
    """Both forms, each with the type that browsers and Windows know."""
    async with client(tmp_path) as http:
        assert (await http.get("/ca.pem")).content == CERTIFICATE["pem"]
        der = await http.get("/ca.der")
        assert der.content == CERTIFICATE["der"]
        assert der.headers["content-type"] == "application/pkix-cert"


async def test_nothing_else_is_served(tmp_path: Path) -> None:
    """The index links every route that exists; other paths are 404, other methods 405; all carry the headers."""
    async with client(tmp_path) as http:
        index = await http.get("/")
        for path in ("/healthz", "/readyz", "/metrics", "/ca.pem", "/ca.der"):
            assert f'href="{path}"' in index.text
        for path in ("/console", "/metrics/", "/ca.key", "/..%2fetc/passwd", "/ca/ca.key"):
            assert (await http.get(path, follow_redirects=True)).status_code == 404
        for method in ("POST", "PUT", "DELETE", "OPTIONS", "TRACE"):
            answer = await http.request(method, "/metrics")
            assert answer.status_code == 405
            assert "access-control-allow-origin" not in answer.headers
            assert answer.headers["x-frame-options"] == "DENY"
            assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("host", "listen", "known"),
    [
        ("127.0.0.1:8081", "127.0.0.1", True),
        ("localhost", "127.0.0.1", True),
        ("LOCALHOST:8081", "127.0.0.1", True),
        ("[::1]:8081", "::1", True),
        ("127.8.8.8", "127.0.0.1", True),
        ("10.1.2.3:8081", "10.1.2.3", True),
        ("10.1.2.3:8081", "0.0.0.0", True),  # noqa: S104
        ("10.1.2.3:8081", "127.0.0.1", False),
        ("rebound.example:8081", "127.0.0.1", False),
        ("rebound.example:8081", "0.0.0.0", False),  # noqa: S104
        ("127.0.0.1.nip.io", "127.0.0.1", False),
        ("localhost.evil.example", "127.0.0.1", False),
        ("127.1", "127.0.0.1", False),
        ("2130706433", "127.0.0.1", False),
        ("", "127.0.0.1", False),
    ],
)
async def test_a_rebound_name_is_refused(tmp_path: Path, host: str, listen: str, known: bool) -> None:
    """Only loopback names and the listen address are answered, on every route, the unknown ones too."""
    async with client(tmp_path, listen=listen) as http:
        for path in ("/metrics", "/readyz", "/ca.pem", "/none"):
            status = (await http.get(path, headers={"host": host})).status_code
            assert (status != 421) is known


async def test_two_host_headers_are_refused(tmp_path: Path) -> None:
    """Which of two Host headers counts is a matter of opinion, so neither does."""
    async with client(tmp_path) as http:
        request = httpx.Request(
            "GET", "http://127.0.0.1/metrics", headers=[("host", "127.0.0.1"), ("host", "evil.example")]
        )
        assert (await http.send(request)).status_code == 421


async def test_metrics_of_all_processes_are_added_up(tmp_path: Path) -> None:
    """Counters and histograms of living and dead processes are summed; both formats carry their content type."""
    code = "m.REFUSALS.labels('overload').inc(3); m.COMMIT_SECONDS.observe(0.002)"
    count(tmp_path, code)
    count(tmp_path, code)
    async with client(tmp_path) as http:
        plain = await http.get("/metrics")
        assert plain.headers["content-type"].startswith("text/plain; version=")
        got = values(plain.content)
        assert got['sluice_refusals_total{"cause": "overload"}'] == 6
        assert got["sluice_ledger_commit_seconds_count{}"] == 2
        openmetrics = await http.get("/metrics", headers={"accept": "application/openmetrics-text; version=1.0.0"})
        assert openmetrics.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
        assert openmetrics.text.endswith("# EOF\n")


def _entry(key: bytes, length: int | None = None, value: float = 1.0) -> bytes:
    padded = key + b" " * (8 - (len(key) + 4) % 8)
    return struct.pack("i", len(padded) if length is None else length) + padded + struct.pack("dd", value, 0.0)


BROKEN = {
    "noise": bytes(range(1, 256)) * 20,
    "short": b"\x10",
    "used beyond the file": struct.pack("ii", 1 << 30, 0),
    "negative used": struct.pack("ii", -5, 0),
    "negative key length, which loops for ever in the library": struct.pack("ii", 64, 0)
    + _entry(b"[]", -28)
    + b"\0" * 64,
    "key is not JSON": struct.pack("ii", 8 + len(_entry(b"{{{{")), 0) + _entry(b"{{{{"),
    "key is another JSON": struct.pack("ii", 8 + len(_entry(b"[1]")), 0) + _entry(b"[1]"),
    "torn entry": struct.pack("ii", 28, 0) + _entry(b'["a","a",{},"a"]')[:20],
    "not text": struct.pack("ii", 8 + len(_entry(b"\xff\xfe\xfd")), 0) + _entry(b"\xff\xfe\xfd"),
}


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
def test_a_broken_file_does_not_break_the_scrape(tmp_path: Path, content: bytes) -> None:
    """Whatever a killed process left behind, the rest is still counted, and the loss is counted too."""
    count(tmp_path, "m.REFUSALS.labels('overload').inc(3)")
    (tmp_path / "counter_999999.db").write_bytes(content)
    body, _ = health.exposition(tmp_path)
    assert values(body)['sluice_refusals_total{"cause": "overload"}'] == 3
    assert values(body)["sluice_metric_files_unreadable{}"] == 1


def test_strange_files_are_left_alone(tmp_path: Path) -> None:
    """A file that is just being made, one with another name, and one that nobody wrote are not metrics."""
    count(tmp_path, "m.REFUSALS.labels('overload').inc(3)")
    (tmp_path / "counter_7.db").touch()
    (tmp_path / "odd_7.db").write_bytes(BROKEN["noise"])
    (tmp_path / "gauge_livesum.db").write_bytes(BROKEN["noise"])
    body, _ = health.exposition(tmp_path)
    assert values(body)['sluice_refusals_total{"cause": "overload"}'] == 3
    assert values(body)["sluice_metric_files_unreadable{}"] == 0
