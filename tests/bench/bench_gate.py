"""CPU per inspected request: the whole appliance against `mitmdump -q` without an addon, side by side in one run.

Both proxy to the same nginx (TLS, keep-alive), from the same load client, in turns. CPU is user + system time of
every process of the proxy (supervisor, worker, shipper for Sluice), from /proc, over a run after warm-up; the ratio is
Sluice / mitmdump. Needs nginx on the PATH (Debian: nginx-light) and nothing else. Loopback only.

    python -m tests.bench.bench_gate [--quick]
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from tests.bench.authority import throwaway_authority
from tests.rig.ports import free_port

ROOT = Path(__file__).resolve().parent.parent.parent
BIN = Path(sys.executable).parent
TICK = os.sysconf("SC_CLK_TCK")

NGINX = """
daemon off; master_process off; worker_processes 1; pid {dir}/nginx.pid; error_log {dir}/error.log;
events {{ worker_connections 512; }}
http {{
  access_log off; client_body_temp_path {dir}/body; proxy_temp_path {dir}/proxy; fastcgi_temp_path {dir}/f;
  uwsgi_temp_path {dir}/u; scgi_temp_path {dir}/s; client_max_body_size 64m; client_body_buffer_size 4m;
  keepalive_requests 10000000; keepalive_timeout 600s;
  server {{
    listen 127.0.0.1:{port} ssl; ssl_certificate {dir}/leaf.pem; ssl_certificate_key {dir}/leaf.key;
    location / {{
      default_type application/json;
      return 200 '{{"id":"x","choices":[{{"message":{{"content":"ok"}}}}]}}';
    }}
  }}
}}
"""


def tree(pid: int) -> list[int]:
    """A process and all its descendants."""
    found = [pid]
    for parent in found:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            for task in Path(f"/proc/{parent}/task").iterdir():
                found += [int(c) for c in (task / "children").read_text().split()]
    return found


def cpu_seconds(pids: list[int]) -> float:
    """User and system time that these processes have used."""
    total = 0
    for pid in pids:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            total += int(fields[11]) + int(fields[12])
    return total / TICK


def rss_kib(pids: list[int]) -> int:
    """Resident memory of these processes, in KiB."""
    total = 0
    for pid in pids:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            for line in Path(f"/proc/{pid}/status").read_text().splitlines():
                if line.startswith("VmRSS:"):
                    total += int(line.split()[1])
    return total


def wait_port(port: int, seconds: float = 30.0) -> None:
    """Until something listens."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.1)
    raise TimeoutError(f"nothing listens on 127.0.0.1:{port}")


@contextlib.contextmanager
def running(
    command: list[str], env: dict[str, str] | None = None, log: Path | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is stopped by its own pid at the end."""
    out = log.open("wb") if log else subprocess.DEVNULL
    process = subprocess.Popen(command, cwd=ROOT, stdout=out, stderr=out)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextlib.contextmanager
def nginx(directory: Path) -> Iterator[tuple[int, Path]]:
    """An nginx that answers every POST over TLS; (port, CA file)."""
    path = shutil.which("nginx") or "/usr/sbin/nginx"
    if not Path(path).exists():
        sys.exit("this benchmark needs nginx as its TLS upstream (Debian: apt-get install nginx-light)")
    port = free_port()
    ca = throwaway_authority(directory, ["api.openai.com", "localhost"])
    conf = directory / "nginx.conf"
    conf.write_text(NGINX.format(dir=directory, port=port))
    with running([path, "-p", str(directory), "-c", str(conf), "-e", str(directory / "error.log")]):
        wait_port(port)
        yield port, ca


def ready(admin: int) -> bool:
    """Whether the appliance behind this admin port says that it is ready."""
    with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{admin}/readyz", timeout=2) as r:
        return bool(r.status == 200)
    return False


@contextlib.contextmanager
def sluice(directory: Path, upstream: int, ca: Path, workers: int = 1) -> Iterator[tuple[int, int, Path, int]]:
    """The appliance; (proxy port, supervisor pid, CA file, admin port)."""
    proxy, admin = free_port(), free_port()
    config = directory / "sluice.toml"
    config.write_text(
        f'[proxy]\nlisten = "127.0.0.1:{proxy}"\nworkers = {workers}\n[admin]\nlisten = "127.0.0.1:{admin}"\n'
        '[console]\nlisten = ""\n'
        f'[paths]\nvar = "{directory}/var"\n[upstream]\ntrusted_ca = "{ca}"\n'
        f'[upstream.hosts]\n"api.openai.com" = "127.0.0.1:{upstream}"\n'
    )
    with running([str(BIN / "sluice-proxy"), "--config", str(config)], log=directory / "sluice.log") as process:
        deadline = time.monotonic() + 60
        while True:
            with (
                contextlib.suppress(OSError),
                urllib.request.urlopen(f"http://127.0.0.1:{admin}/readyz", timeout=2) as r,
            ):
                if r.status == 200:
                    break
            if time.monotonic() > deadline or process.poll() is not None:
                sys.exit((directory / "sluice.log").read_text()[-4000:] or "the appliance did not become ready")
            time.sleep(0.2)
        yield proxy, process.pid, next((directory / "var" / "ca").glob("*.pem")), admin


@contextlib.contextmanager
def mitmdump(directory: Path, ca: Path) -> Iterator[tuple[int, int, Path]]:
    """The baseline: mitmdump -q, no addon of ours; (port, pid, CA file)."""
    port = free_port()
    home = directory / "mitm"
    command = [str(BIN / "mitmdump"), "-q", "--listen-host", "127.0.0.1", "-p", str(port)]
    command += ["--set", f"confdir={home}", "--set", f"ssl_verify_upstream_trusted_ca={ca}"]
    with running(command) as process:
        wait_port(port)
        yield port, process.pid, home / "mitmproxy-ca-cert.pem"


def load(proxy: int, authority: str, ca: Path, **options: object) -> dict[str, float]:
    """Run the load client in its own process; its figures."""
    command = [sys.executable, "-m", "tests.bench.load", "--proxy", f"127.0.0.1:{proxy}", "--authority", authority]
    command += ["--ca", str(ca)]
    for name, value in options.items():
        command += [f"--{name}", str(value)]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    if done.returncode or json.loads(done.stdout)["errors"]:
        sys.exit(f"load failed: {done.stderr[-2000:]}")
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


def compare(size: int, requests: int, rounds: int) -> float:
    """Print one row of the comparison and return the ratio of CPU (all processes of Sluice / mitmdump)."""
    with tempfile.TemporaryDirectory() as tmp:
        directory = Path(tmp)
        with (
            nginx(directory) as (upstream, ca),
            mitmdump(directory, ca) as (m_port, m_pid, m_ca),
            sluice(directory, upstream, ca) as (s_port, s_pid, s_ca, _),
        ):
            load(m_port, f"localhost:{upstream}", m_ca, size=size, requests=max(64, requests // 5))
            load(s_port, "api.openai.com:443", s_ca, size=size, requests=max(64, requests // 5))
            m_ms: list[float] = []
            s_ms: list[float] = []
            worker_ms: list[float] = []
            for _ in range(rounds):
                before = cpu_seconds(tree(m_pid))
                load(m_port, f"localhost:{upstream}", m_ca, size=size, requests=requests)
                m_ms.append((cpu_seconds(tree(m_pid)) - before) / requests * 1000)
                pids = tree(s_pid)
                each = {p: cpu_seconds([p]) for p in pids}
                load(s_port, "api.openai.com:443", s_ca, size=size, requests=requests)
                time.sleep(2.0)  # the shipper's share of these requests belongs to them
                used = {p: cpu_seconds([p]) - each[p] for p in pids}
                s_ms.append(sum(used.values()) / requests * 1000)
                worker_ms.append(max(used.values()) / requests * 1000)
    m, s, w = min(m_ms), min(s_ms), min(worker_ms)
    print(
        f"{size / 1024:8.0f} KB   mitmdump -q {m:7.3f} ms   Sluice {s:7.3f} ms (worker alone {w:7.3f})   "
        f"ratio {s / m:5.2f}x (worker {w / m:5.2f}x)",
        flush=True,
    )
    return s / m


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer requests: a look, not a measurement")
    args = parser.parse_args()
    print("CPU per request, keep-alive, 8 connections, one worker, best of the rounds:", flush=True)
    compare(4096, 800 if args.quick else 4000, 2 if args.quick else 3)
    compare(1024 * 1024, 48 if args.quick else 160, 1 if args.quick else 3)


if __name__ == "__main__":
    main()
