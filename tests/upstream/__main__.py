"""`python -m tests.upstream --port 9443 --ca-out ca.pem --log received.jsonl`: the upstream as a process.

Prints `listening 127.0.0.1:PORT` when it accepts connections. SIGTERM and Ctrl-C end it.
"""

from __future__ import annotations

import argparse
import signal
from pathlib import Path

from tests.upstream.server import ANSWER, HOSTS, Upstream


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.upstream", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 = any free port")
    parser.add_argument("--ca-out", type=Path, help="where to write the CA certificate that clients must trust")
    parser.add_argument("--log", type=Path, help="one fsynced JSON line for each connection and request")
    parser.add_argument("--hosts", default=",".join(HOSTS), help="names of the certificate, split by commas")
    parser.add_argument("--delay", type=float, default=0.02, help="seconds between the pieces of a streamed answer")
    parser.add_argument("--answer", default=ANSWER)
    parser.add_argument("--plain", action="store_true", help="HTTP/1.1 without TLS")
    parser.add_argument("--http1", action="store_true", help="offer HTTP/1.1 alone")
    given = parser.parse_args()
    upstream = Upstream(
        port=given.port,
        hosts=given.hosts.split(","),
        tls=not given.plain,
        alpn=("http/1.1",) if given.http1 else ("h2", "http/1.1"),
        answer=given.answer,
        delay=given.delay,
        log=given.log,
        keep=0,
        keep_bodies=False,
    )
    if given.ca_out:
        given.ca_out.write_bytes(upstream.ca_pem)
    # Blocked before the thread starts, so that the signal waits for sigwait instead of killing the process.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    with upstream:
        print(f"listening {upstream.address}", flush=True)
        signal.sigwait({signal.SIGTERM, signal.SIGINT})


if __name__ == "__main__":
    main()
