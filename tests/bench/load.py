"""A load client of its own process: keep-alive HTTP/1.1 over TLS through a forward proxy, one thread a connection.

Prints one JSON object: requests, errors, seconds, latency percentiles in milliseconds.
"""

from __future__ import annotations

import argparse
import json
import socket
import ssl
import sys
import threading
import time

from tests.bench.prose import chat


def connect(proxy: tuple[str, int], authority: str, ca: str) -> ssl.SSLSocket:
    """A TLS connection to `authority` through the proxy's CONNECT."""
    sock = socket.create_connection(proxy, timeout=30)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.sendall(f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n".encode())
    answer = b""
    while b"\r\n\r\n" not in answer:
        piece = sock.recv(4096)
        if not piece:
            raise ConnectionError("proxy closed the connection at CONNECT")
        answer += piece
    if b" 200 " not in answer.split(b"\r\n", 1)[0]:
        raise ConnectionError(answer.split(b"\r\n", 1)[0].decode("latin-1"))
    context = ssl.create_default_context(cafile=ca)
    context.set_alpn_protocols(["http/1.1"])
    return context.wrap_socket(sock, server_hostname=authority.rpartition(":")[0])


def exchange(sock: ssl.SSLSocket, request: bytes) -> int:
    """Send one request, read the whole answer; the status."""
    sock.sendall(request)
    data = b""
    while b"\r\n\r\n" not in data:
        piece = sock.recv(65536)
        if not piece:
            raise ConnectionError("closed before an answer")
        data += piece
    head, rest = data.split(b"\r\n\r\n", 1)
    lowered = head.lower()
    if b"content-length:" in lowered:
        want = int(lowered.split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
        while len(rest) < want:
            piece = sock.recv(65536)
            if not piece:
                raise ConnectionError("answer cut short")
            rest += piece
    elif b"transfer-encoding: chunked" in lowered:
        while not rest.endswith(b"0\r\n\r\n"):
            piece = sock.recv(65536)
            if not piece:
                raise ConnectionError("answer cut short")
            rest += piece
    return int(head.split(b" ", 2)[1])


def percentile(values: list[float], share: float) -> float:
    """The value below which `share` of the sorted values lie."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))] if values else 0.0


def run(args: argparse.Namespace) -> dict[str, float]:
    """All connections at once, each its share of the requests, paced when `--rate` is given."""
    host, _, port = args.proxy.rpartition(":")
    body = chat(args.size)
    name = args.authority.rpartition(":")[0]
    request = (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: {name}\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer {args.key}\r\nUser-Agent: bench/1\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode() + body
    share = args.requests // args.connections
    latencies: list[float] = []
    errors: list[str] = []
    lock = threading.Lock()
    started = time.perf_counter()

    def one(index: int) -> None:
        mine: list[float] = []
        try:
            sock = connect((host, int(port)), args.authority, args.ca)
            gap = args.connections / args.rate if args.rate else 0.0
            due = time.perf_counter() + gap * index / args.connections
            for _ in range(share):
                if gap:
                    time.sleep(max(0.0, due - time.perf_counter()))
                    due += gap
                t = time.perf_counter()
                status = exchange(sock, request)
                mine.append((time.perf_counter() - t) * 1000)
                if status != args.expect:
                    raise ConnectionError(f"status {status}, not {args.expect}")
            sock.close()
        except (OSError, ValueError, ConnectionError) as e:
            with lock:
                errors.append(f"{type(e).__name__}: {e}")
        with lock:
            latencies.extend(mine)

    threads = [threading.Thread(target=one, args=(i,)) for i in range(args.connections)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    if errors:
        print(errors[0], file=sys.stderr)
    return {
        "requests": len(latencies),
        "errors": len(errors),
        "seconds": round(time.perf_counter() - started, 4),
        "p50_ms": round(percentile(latencies, 0.5), 3),
        "p99_ms": round(percentile(latencies, 0.99), 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--proxy", required=True)
    parser.add_argument("--authority", required=True, help="host:port for CONNECT")
    parser.add_argument("--ca", required=True)
    parser.add_argument("--key", default="bench-key")
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--requests", type=int, default=4000)
    parser.add_argument("--size", type=int, default=4096)
    parser.add_argument("--rate", type=float, default=0.0)
    parser.add_argument("--expect", type=int, default=200)
    print(json.dumps(run(parser.parse_args())))


if __name__ == "__main__":
    main()
