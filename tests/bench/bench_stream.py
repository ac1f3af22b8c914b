"""How much later the first event of a streamed answer arrives through the appliance than straight from the upstream.

The same client, the same local upstream, in turns; the difference of the medians is the cost of the gate, inspection
and commit included.

    python -m tests.bench.bench_stream [--quick]
"""

from __future__ import annotations

import argparse
import json
import socket
import ssl
import statistics
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

from tests.bench.load import connect
from tests.clients.appliance import Appliance
from tests.upstream import Upstream

BODY = json.dumps({"model": "gpt-5.5", "stream": True, "messages": [{"role": "user", "content": "hello"}]}).encode()
REQUEST = (
    b"POST /v1/chat/completions HTTP/1.1\r\nHost: api.openai.com\r\nContent-Type: application/json\r\n"
    b"Content-Length: %d\r\n\r\n" % len(BODY)
) + BODY


def first_event(sock: ssl.SSLSocket) -> float:
    """Milliseconds from the request to the first event; the rest of the answer is read as well."""
    began = time.perf_counter()
    sock.sendall(REQUEST)
    data, at = b"", 0.0
    while not data.endswith(b"0\r\n\r\n"):
        data += sock.recv(65536)
        if not at and b"data:" in data:
            at = (time.perf_counter() - began) * 1000
    return at


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    rounds = 30 if parser.parse_args().quick else 200
    with tempfile.TemporaryDirectory() as tmp, Upstream(delay=0.001) as upstream:
        appliance = Appliance(Path(tmp), upstream)
        appliance.start()
        try:
            proxy = urlsplit(appliance.proxy)
            through = connect((proxy.hostname or "", proxy.port or 0), "api.openai.com:443", str(appliance.ca_file))
            context = ssl.create_default_context(cafile=str(Path(tmp) / "upstream-ca.pem"))
            host, _, port = upstream.address.rpartition(":")
            direct = socket.create_connection((host, int(port)))
            straight = context.wrap_socket(direct, server_hostname="api.openai.com")
            times: dict[str, list[float]] = {"straight": [], "through": []}
            for _ in range(rounds):
                times["straight"].append(first_event(straight))
                times["through"].append(first_event(through))
        finally:
            appliance.stop()
    straight_ms, through_ms = (statistics.median(times[k]) for k in ("straight", "through"))
    late = sorted(b - straight_ms for b in times["through"])
    print(
        f"first event: straight {straight_ms:.2f} ms, through the gate {through_ms:.2f} ms, "
        f"added {through_ms - straight_ms:.2f} ms at the median, {late[int(len(late) * 0.99) - 1]:.2f} ms at p99"
    )


if __name__ == "__main__":
    main()
