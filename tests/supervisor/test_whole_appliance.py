"""The real appliance, two workers: killed, stopped, drained and asked, while a client sends and an upstream answers."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from sluice import metrics
from sluice.ledger import reader
from sluice.tally import DEFINITIONS, Definition
from tests.rig.warm import warm
from tests.upstream import Upstream

pytestmark = pytest.mark.timeout(400)  # five restarts on a machine that others use as well

BIN = Path(sys.executable).parent
HOST = "api.openai.com"
CARD = "5425233430109903"
PATIENCE = 90.0


class Running:
    """`sluice-proxy` in a directory of its own, with its upstream, as an operator would look at it."""

    def __init__(self, directory: Path, upstream: Upstream) -> None:
        self.directory = directory
        self.upstream = upstream
        self.var = directory / "var"
        self.missing = ""
        warm(self.var)
        (directory / "upstream-ca.pem").write_bytes(upstream.ca_pem)
        (directory / "sluice.toml").write_text(
            '[proxy]\nlisten = "127.0.0.1:0"\nworkers = 2\n[admin]\nlisten = "127.0.0.1:0"\n'
            '[console]\nlisten = "127.0.0.1:0"\n'
            "[clickhouse]\nbatch_seconds = 0.2\n[limits]\ndrain_seconds = 5.0\n"
            f'[upstream]\ntrusted_ca = "upstream-ca.pem"\nhosts = {{"{HOST}" = "{upstream.address}"}}\n'
            '[[upstream.tenant]]\nprovider = "openai"\nheader = "X-Tenant"\nvalue = "ws-1,ws-2"\n'
        )
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith("SLUICE_")}
        self.output = directory / "output"
        with self.output.open("wb") as output, (directory / "log").open("wb") as log:
            self.process = subprocess.Popen(
                [BIN / "sluice-proxy", "--config", "sluice.toml"],
                cwd=directory,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=log,
            )

    def until(self, true: Callable[[], bool], what: str, seconds: float = PATIENCE) -> None:
        """Wait for something to become true."""
        deadline = time.monotonic() + seconds
        while not true():
            assert self.process.poll() is None, f"it ended: {self.log()}"
            assert time.monotonic() < deadline, f"{what} ({self.missing}) after {seconds} s: {self.log()}"
            time.sleep(0.05)

    def log(self) -> str:
        return (self.directory / "log").read_text()[-3000:]

    def endpoint(self, name: str) -> tuple[str, int]:
        host, _, port = json.loads((self.var / "run" / "endpoints.json").read_text())[name].rpartition(":")
        return host, int(port)

    def admin(self, path: str) -> httpx.Response:
        host, port = self.endpoint("admin")
        return httpx.get(f"http://{host}:{port}{path}", timeout=10, trust_env=False)

    @property
    def ready(self) -> bool:
        """As /readyz says; `missing` keeps its reasons."""
        try:
            answer = self.admin("/readyz")
        except (httpx.HTTPError, OSError) as e:
            self.missing = type(e).__name__
            return False
        self.missing = str(answer.json()["missing"])
        return answer.status_code == 200

    def pid(self, name: str) -> int:
        found = self.admin("/readyz").json()["processes"][name]["pid"]
        return found if isinstance(found, int) else 0

    def metrics(self) -> dict[str, float]:
        """Every sample of a scrape, by name and labels."""
        return {
            sample.name + json.dumps(sample.labels, sort_keys=True): sample.value
            for family in text_string_to_metric_families(self.admin("/metrics").text)
            for sample in family.samples
        }

    def client(self) -> httpx.Client:
        host, port = self.endpoint("proxy")
        trust = ssl.create_default_context(cafile=self.var / "ca" / "ca.pem")
        return httpx.Client(proxy=f"http://{host}:{port}", verify=trust, timeout=20, trust_env=False)

    def sluice(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [BIN / "sluice", *arguments],
            cwd=self.directory,
            env=self.environment | {"SLUICE_CONFIG": "sluice.toml"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def sql(self, query: str) -> list[dict[str, Any]]:
        done = self.sluice("sql", "--json", query)
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    def decisions(self) -> list[Any]:
        """The decision records that lie in the ledgers now."""
        entries = (entry for stream in reader.streams(self.var / "ledger") for entry in reader.read(stream))
        return [record for record in (e.record for e in entries) if record.record_type == "decision"]

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(40)
            except subprocess.TimeoutExpired:
                self.process.kill()
        return self.process.wait()


def chat(text: str, model: str = "gpt-5") -> dict[str, object]:
    return {"model": model, "messages": [{"role": "user", "content": text}]}


def ask(client: httpx.Client, text: str, model: str = "gpt-5") -> httpx.Response:
    return client.post(f"https://{HOST}/v1/chat/completions", json=chat(text, model))


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with Upstream() as server:
        yield server


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, upstream: Upstream) -> Iterator[Running]:
    made = Running(tmp_path_factory.mktemp("whole"), upstream)
    try:
        made.until(lambda: made.ready, "not ready")
        yield made
    finally:
        made.stop()


def test_it_tells_a_person_where_everything_is(running: Running) -> None:
    """Once ready, stdout names proxy, admin, events and CA, and shows a command; run, that command is refused."""
    running.until(lambda: "Sluice is ready." in running.output.read_text(), "no welcome")
    told = running.output.read_text()
    assert "starting 2 workers, the sealer and the shipper" in told
    assert "http://{}:{}".format(*running.endpoint("proxy")) in told
    assert str(running.var / "ca" / "ca.pem") in told
    command = told[told.index("curl ") :]
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60, check=False)
    refused = json.loads(done.stdout)
    assert "card" in refused["error"]["message"]


def test_the_console_shows_what_was_decided(running: Running) -> None:
    """Its own process on its own port: with the password of the file, the decision is there, and why it was made."""
    mark = f"m-{uuid.uuid4()}"
    with running.client() as client:
        assert ask(client, f"my card is {CARD}", mark).status_code == 400
    host, port = running.endpoint("console")
    assert f"http://{host}:{port}/" in running.output.read_text()
    password = (running.var / "keys" / "console.password").read_text().strip()
    with httpx.Client(base_url=f"http://{host}:{port}", timeout=20, trust_env=False) as browser:
        assert browser.get("/").status_code == 303
        browser.get("/login")
        fields = {"password": password, "token": browser.cookies["sluice-console-login"]}
        assert browser.post("/login", data=fields).status_code == 303
        running.until(lambda: "1 fit" in browser.get("/decisions", params={"model": mark}).text, "not on the page")
        (found,) = re.findall(r'href="(/decisions/[0-9a-f-]{36})"', browser.get(f"/decisions?model={mark}").text)
        shown = browser.get(found).text
    assert "a payment card number" in shown
    assert CARD not in shown


def test_what_is_said_of_a_finding_reaches_the_store(running: Running) -> None:
    """A finding out of real traffic, acknowledged by the form of its page: the shipper enters it, the page shows who
    and why, and the ledger says that the console did it."""
    mark = f"m-{uuid.uuid4()}"
    with running.client() as client:
        assert ask(client, "hello", mark).status_code == 200
    host, port = running.endpoint("console")
    password = (running.var / "keys" / "console.password").read_text().strip()
    with httpx.Client(base_url=f"http://{host}:{port}", timeout=20, trust_env=False) as browser:
        browser.get("/login")
        fields = {"password": password, "token": browser.cookies["sluice-console-login"]}
        assert browser.post("/login", data=fields).status_code == 303
        running.until(lambda: "1 fit" in browser.get("/decisions", params={"model": mark}).text, "not on the page")
        done = subprocess.run(
            [BIN / "sluice", "findings", "evaluate", "--config", "sluice.toml"],
            cwd=running.directory, env=running.environment, capture_output=True, text=True, timeout=130, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        form = browser.get("/findings/PRV-01").text.partition('action="/findings/PRV-01/say"')[2]
        hidden = dict(re.findall(r'type="hidden" name="(token|scope|state)" value="([^"]*)"', form))
        said = browser.post("/findings/PRV-01/say", data=hidden | {"event": "acknowledged", "reason": "asked them"})
        assert said.headers["location"].startswith("/findings/PRV-01?said=")
        shown = "console: asked them"
        running.until(lambda: shown in browser.get("/findings/PRV-01").text, "the shipper has not entered it")
    records = [e.record for s in reader.streams(running.var / "ledger") for e in reader.read(s)]
    assert [r for r in records if f"/findings/PRV-01 acknowledged {hidden['scope']}" in (r.control_detail or "")]


def test_what_is_let_pass_is_bound_to_the_tenant(running: Running, upstream: Upstream) -> None:
    """The upstream gets the site's header, once, and none of the copies that the client sent; the record names it, and
    holds no value; what is blocked has none."""
    mark = f"m-{uuid.uuid4()}"
    mine = [("x-tenant", "personal"), ("X-TENANT", "other"), ("x-request-id", mark)]
    with running.client() as client:
        sent = {"json": chat("hello", mark), "headers": mine}
        assert client.post(f"https://{HOST}/v1/chat/completions", **sent).status_code == 200
        blocked = {"json": chat(f"my card is {CARD}", mark), "headers": mine}
        assert client.post(f"https://{HOST}/v1/chat/completions", **blocked).status_code == 400
    (arrived,) = [one for one in upstream.journal.requests if one.request_id == mark]
    assert [value for name, value in arrived.headers if name.lower() == "x-tenant"] == ["ws-1,ws-2"]
    records = [e.record for s in reader.streams(running.var / "ledger") for e in reader.read(s)]
    named = {r.decision: r.injected_tenant_header for r in records if r.model_requested == mark}
    assert named == {"allow": "x-tenant", "block": None}
    assert not [r for r in records if "ws-1" in str(r)]


def test_what_it_writes_is_private(running: Running) -> None:
    """Nothing below `var` can be read or written by anyone else."""
    for path in [running.var, *running.var.rglob("*")]:
        if not path.is_symlink() and path.name not in ("ca.pem",):
            assert path.stat().st_mode & 0o077 == 0 or path.parent.stat().st_mode & 0o077 == 0, path
    assert running.var.stat().st_mode & 0o077 == 0


def test_block_and_allow_can_be_asked_for(running: Running, upstream: Upstream) -> None:
    """A card number is refused, a question is answered, and both are rows a moment later; the row names no card."""
    mark = f"m-{uuid.uuid4()}"
    with running.client() as client:
        assert ask(client, "hello", mark).status_code == 200
        assert ask(client, f"my card is {CARD}", mark).status_code == 400
    query = f"select * from events where record_type = 'decision' and model_requested = '{mark}'"
    running.until(lambda: len(running.sql(query)) == 2, "no rows")
    rows = running.sql(query)
    assert {row["decision"] for row in rows} == {"allow", "block"}
    assert CARD not in json.dumps(rows)
    lines = running.sluice("tail", "--no-follow", "--since", "1h", "--decision", "block").stdout
    assert mark in lines
    assert CARD not in lines
    assert running.sluice("verify").returncode == 0


def test_sql_answers_a_wrong_question(running: Running) -> None:
    """A query that ClickHouse does not take is one line on stderr, exit code 2 and no traceback."""
    done = running.sluice("sql", "select nothing from nowhere")
    assert done.returncode in (1, 2)
    assert done.stderr.startswith("sluice: ")
    assert "Traceback" not in done.stderr


def test_a_second_one_is_refused(running: Running) -> None:
    """Another `sluice-proxy` on the same `var` ends at once and says who has it."""
    done = subprocess.run(
        [BIN / "sluice-proxy", "--config", "sluice.toml"],
        cwd=running.directory,
        env=running.environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 78
    assert f"pid {running.process.pid}" in done.stderr


SPELLINGS = ("127.0.0.1", "localhost", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "0.0.0.0", "[::1]")  # noqa: S104
MAPPED = ("[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "127.0.0.1.", "localhost.", "LOCALHOST")


@pytest.mark.parametrize("method", ["GET", "CONNECT"])
@pytest.mark.parametrize("spelling", [*SPELLINGS, *MAPPED])
def test_the_admin_listener_is_not_reached_through_the_proxy(running: Running, method: str, spelling: str) -> None:
    """However its address is spelled, and whether asked for or tunnelled to, nothing of it comes back."""
    port = running.endpoint("admin")[1]
    inner = f"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n".encode()
    place = f"{spelling}:{port}"
    outer = f"CONNECT {place} HTTP/1.1\r\nHost: {place}\r\n\r\n".encode() + inner
    if method == "GET":
        outer = f"GET http://{place}/metrics HTTP/1.1\r\nHost: {place}\r\nConnection: close\r\n\r\n".encode()
    with socket.create_connection(running.endpoint("proxy"), timeout=20) as raw:
        raw.sendall(outer)
        raw.shutdown(socket.SHUT_WR)
        answer = b""
        while piece := raw.recv(65536):
            answer += piece
    assert b"sluice_" not in answer
    if method == "GET":
        assert not answer.startswith(b"HTTP/1.1 200")


def test_planted_values_are_nowhere(running: Running) -> None:
    """A secret in a header, the URL, a body, half a head, a bad request line, broken chunks and a TLS tunnel that is
    not TLS: not in the log, the metrics, the ledger, ClickHouse's files or anything else below `var`."""
    canary = "sk-proj-" + "".join(random.Random(60).choices("ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnpqrstuvwxyz", k=40))
    with running.client() as client:
        client.post(
            f"https://{HOST}/v1/chat/completions?key={canary}",
            json=chat(f"{canary} and {CARD}", "canary"),
            headers={"x-odd": canary, "cookie": canary, "authorization": f"Bearer {canary}"},
        )
        client.post(f"https://{HOST}/v1/{canary}", content=canary.encode(), headers={"content-type": canary})
    for raw in (
        f"GET /{canary} HTTP/1.1\r\nAuthorization: Bearer {canary}",
        f"{canary}\r\n\r\n",
        f"POST http://{HOST}/{canary} HTTP/1.1\r\nHost: {canary}\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{canary}",
        f"CONNECT {HOST}:443 HTTP/1.1\r\nHost: {HOST}\r\n\r\n{canary}",
        f"CONNECT {canary}.example:443 HTTP/9.9\r\n{canary}: {canary}\r\n\r\n",
        f"GET http://{HOST}/ HTTP/1.1\r\nHost: {HOST}\r\nX: {canary}\0\r\n\r\n",
    ):
        with socket.create_connection(running.endpoint("proxy"), timeout=20) as plain:
            plain.sendall(raw.encode())
            plain.shutdown(socket.SHUT_WR)
            while plain.recv(65536):
                pass
    rows = "select count() as n from events where model_requested = 'canary'"
    running.until(lambda: int(running.sql(rows)[0]["n"]) > 0, "no row")
    places = [f for f in [*running.var.rglob("*"), running.directory / "log", running.output] if f.is_file()]
    assert len(places) > 10
    found = [str(f) for f in places if any(v.encode() in _content(f) for v in (canary, CARD))]
    assert found == []
    everything = running.sluice("sql", "--json", "select * from events").stdout  # ClickHouse's files are compressed
    assert '"canary"' in everything
    assert canary not in everything
    assert CARD not in everything
    assert canary not in running.admin("/metrics").text + running.admin("/readyz").text
    assert canary not in running.sluice("tail", "--no-follow", "--all", "--since", "1h").stdout


def test_every_line_of_the_log_is_one_object(running: Running) -> None:
    """Whatever clients sent until now: stderr holds JSON lines alone, each with time, level and component."""
    lines = (running.directory / "log").read_text().splitlines()
    for line in lines:
        assert {"time", "level", "component", "message"} <= set(json.loads(line)), line


def test_a_killed_worker_leaves_the_counters(running: Running) -> None:
    """kill -9 of a worker: it is back, ready, and no counter of the scrape went down."""
    with running.client() as client:
        for _ in range(4):
            ask(client, "count me")
    before, pid = running.metrics(), running.pid("worker-0")
    began = before['sluice_process_start_time_seconds{"process": "worker-0"}']
    os.kill(pid, signal.SIGKILL)
    running.until(lambda: running.pid("worker-0") not in (pid, 0) and running.ready, "worker-0 did not come back")
    after = running.metrics()
    counters = [name for name in before if "_total" in name or "_count" in name or "_bucket" in name]
    assert counters
    assert {name: after.get(name) for name in counters if after.get(name, -1.0) < before[name]} == {}
    assert after['sluice_process_restarts_total{"process": "worker"}'] >= 1
    assert after['sluice_process_up{"process": "worker-0"}'] == 1
    assert after['sluice_process_start_time_seconds{"process": "worker-0"}'] > began


def test_every_series_is_a_defined_one(running: Running) -> None:
    """After everything that was sent here: each sample is of a metric that is defined, with exactly its labels, and no
    value of a closed list is outside of it; every metric that the supervisor measures is there."""
    families = list(text_string_to_metric_families(running.admin("/metrics").text))
    for family in families:
        made = DEFINITIONS[family.name]
        assert (family.type, family.documentation) == (made.kind, made.help)
        for sample in family.samples:
            labels = {k: v for k, v in sample.labels.items() if k != "le"}
            assert set(labels) == set(made.labels), sample
            for label, value in labels.items():
                closed = made.labels[label]
                assert isinstance(closed, str) or value in closed, sample
    found = {family.name for family in families} | {metrics.LEAF_NOT_AFTER.name}  # it comes with the first self-test
    assert {d.name for d in vars(metrics).values() if isinstance(d, Definition)} <= found


def test_a_stopped_worker_is_replaced(running: Running) -> None:
    """SIGSTOP of a worker: the appliance says so, serves on, and kills and replaces it."""
    pid = running.pid("worker-1")
    os.kill(pid, signal.SIGSTOP)
    running.until(lambda: running.pid("worker-1") not in (pid, 0) and running.ready, "worker-1 was not replaced")
    with running.client() as client:
        assert ask(client, "still here?").status_code == 200


def test_killed_workers_forward_nothing_without_a_record(running: Running, upstream: Upstream) -> None:
    """Five workers killed under load: what reached the upstream was allowed by a durable record, each record is a row
    once, none is missing, and the ledger verifies.

    Each request has a model name of its own, which joins what the upstream received to what was decided.
    """
    upstream.forget()
    stop = threading.Event()
    answered: set[str] = set()
    failed: list[str] = []
    away: list[float] = []

    def send() -> None:
        while not stop.is_set():
            with running.client() as client:
                try:
                    for _ in range(20):
                        if stop.wait(0.02):  # a restart needs a share of the two cores, too
                            return
                        mark = f"t11-{uuid.uuid4()}"
                        if ask(client, "hello", mark).status_code == 200:
                            answered.add(mark)
                        else:
                            failed.append(mark)
                except httpx.HTTPError:
                    failed.append(mark)

    senders = [threading.Thread(target=send) for _ in range(4)]
    for sender in senders:
        sender.start()
    chance = random.Random(11)
    try:
        for _ in range(5):
            time.sleep(chance.uniform(0.5, 1.5))
            victim = f"worker-{chance.randrange(2)}"
            pid = running.pid(victim)
            if pid:
                os.kill(pid, signal.SIGKILL)
            killed = time.monotonic()
            running.until(lambda victim=victim, pid=pid: running.pid(victim) not in (pid, 0), "no worker")  # type: ignore[misc]
            running.until(lambda: running.ready, "not ready again")
            away.append(time.monotonic() - killed)
        time.sleep(1.0)
    finally:
        stop.set()
        for sender in senders:
            sender.join(30)
    received = {json.loads(request.body)["model"] for request in upstream.journal.requests if request.complete}
    decided = [r for r in running.decisions() if (r.model_requested or "").startswith("t11-")]
    allowed = {r.model_requested for r in decided if r.decision == "allow"}
    assert len(answered) > 50
    assert received <= allowed, f"forwarded without a record: {received - allowed}"
    assert answered <= received
    assert len(decided) == len({r.decision_id for r in decided})
    verified = running.sluice("verify", "--json")
    assert verified.returncode == 0, verified.stdout
    query = (
        "select count() as rows, uniqExact(node_id, chain_id, epoch, seq) as events from events "
        "where record_type = 'decision' and startsWith(model_requested, 't11-')"
    )
    running.until(lambda: int(running.sql(query)[0]["rows"]) >= len(decided), "rows are missing")
    (told,) = running.sql(query)
    assert int(told["rows"]) == int(told["events"]) == len(decided)
    counted = running.sql(
        "select sum(decided) as counted, sum(unrecorded) as without, count(decided) as n from decided"
    )
    assert int(counted[0]["n"]) >= 3, "the epochs of killed workers are counted, too"
    assert int(counted[0]["counted"]) > 0
    assert int(counted[0]["without"]) == 0
    status = running.sluice("ship", "status", "--json")
    assert status.returncode == 0, status.stdout
    streams = [c for c in json.loads(status.stdout) if c["decided"] is not None]
    assert len(streams) == 2
    assert all(c["unrecorded"] == 0 and c["recorded"] == c["decided"] for c in streams), "nothing is in flight now"
    print(f"{len(answered)} answered, {len(failed)} failed, {len(received)} received, {len(decided)} decided, ", end="")
    print(f"worker ready again after {', '.join(f'{seconds:.1f}' for seconds in away)} s")


def test_sigterm_drains_and_ends_with_0(tmp_path: Path, upstream: Upstream) -> None:
    """A stream that is under way when the signal comes is finished; then everything ends, the shipper last, with 0."""
    made = Running(tmp_path, upstream)
    try:
        made.until(lambda: made.ready, "not ready")
        pids = [made.pid(name) for name in ("worker-0", "worker-1", "shipper", "console")]
        with made.client() as client, upstream.hold(after=1) as release:
            body = chat("hello") | {"stream": True}
            with client.stream("POST", f"https://{HOST}/v1/chat/completions", json=body) as answer:
                pieces = answer.iter_text()
                first = next(pieces)
                made.process.send_signal(signal.SIGTERM)
                made.until(lambda: made.admin("/readyz").status_code == 503, "still ready")
                release()
                rest = "".join(pieces)
        assert "[DONE]" in first + rest
        assert made.process.wait(60) == 0
        for pid in pids:
            with pytest.raises(ProcessLookupError):
                os.kill(pid, 0)
        verified = made.sluice("verify", "--json")
        assert verified.returncode == 0, verified.stdout + verified.stderr
        streams = {s["stream"]: s["records"] - s["sealed"] for s in json.loads(verified.stdout)["streams"]}
        assert set(streams.values()) == {0}, f"an orderly end leaves nothing unsealed: {streams}"
        (node,) = {name.rpartition("-w")[0] for name in streams}
        for name in (f"{node}-w1", f"{node}-w1000"):
            for place in ("ledger", "seal"):
                shutil.rmtree(made.var / place / name)
        attacked = made.sluice("verify", "--json")
        assert attacked.returncode == 2
        unchecked = {s["stream"] for s in json.loads(attacked.stdout)["streams"] if s["unchecked"]}
        assert unchecked == {f"{node}-w1", f"{node}-w1000"}, "what is left names the streams that are gone"
        assert made.sluice("sql", "select 1").stdout == "1\n1\n"  # the engine is opened for the question
        assert made.sluice("tail").returncode == 3
    finally:
        made.stop()


def test_children_end_with_a_killed_supervisor(tmp_path: Path, upstream: Upstream) -> None:
    """kill -9 of the supervisor leaves no worker that nobody watches; a new one starts on the same `var`."""
    made = Running(tmp_path, upstream)
    try:
        made.until(lambda: made.ready, "not ready")
        pids = [made.pid(name) for name in ("worker-0", "worker-1", "shipper", "console")]
        made.process.kill()
        made.process.wait()
        deadline = time.monotonic() + 30
        while any(_alive(pid) for pid in pids):
            assert time.monotonic() < deadline, "a child outlived its supervisor"
            time.sleep(0.1)
        again = Running(tmp_path, upstream)
        try:
            again.until(lambda: again.ready, "not ready on the same var")
            assert again.sluice("verify").returncode == 0
        finally:
            assert again.stop() == 0
    finally:
        made.stop()


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except FileNotFoundError:  # ClickHouse merged it away since it was listed
        return b""


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
