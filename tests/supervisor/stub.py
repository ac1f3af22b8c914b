"""A child process that speaks the status protocol and does as it is told: the file `<dir>/<name>` holds its orders.

Orders, one a line: `lag S` before ready, `never` become ready, `fail CODE REASON` before ready, `end CODE S` that
many seconds after ready, `mute S` after ready (alive, yet silent), `noise` on the status pipe, `store WORD` and `sql
WORD` in heartbeats, `slow S` to end on SIGTERM, `deaf` to SIGTERM. What happens is appended to `<dir>/events`. A
worker answers each connection with its slot and pid.
"""

from __future__ import annotations

import argparse
import json
import os
import select
import signal
import socket
import sys
import time
from pathlib import Path

parser = argparse.ArgumentParser()
parser.add_argument("directory", type=Path)
parser.add_argument("--role", default="shipper")
parser.add_argument("--slot", type=int)
parser.add_argument("--listen-fd", type=int)
parser.add_argument("--selftest-fd", type=int)
parser.add_argument("--beside", type=int, nargs="*")
parser.add_argument("--status-fd", type=int, required=True)
parser.add_argument("--config")
options = parser.parse_args()
name = options.role if options.slot is None else f"worker-{options.slot}"
orders_file = options.directory / name
orders = dict(line.partition(" ")[::2] for line in orders_file.read_text().splitlines()) if orders_file.exists() else {}


def note(event: str) -> None:
    with (options.directory / "events").open("a") as file:
        file.write(f"{name} {os.getpid()} {event}\n")


def say(**facts: object) -> None:
    try:
        os.write(options.status_fd, json.dumps(facts).encode() + b"\n")
    except BrokenPipeError:
        note("orphaned")
        os._exit(1)


def on_term(*_: object) -> None:
    note("term")
    if "deaf" in orders:
        return
    time.sleep(float(orders.get("slow", 0)))
    note("exit")
    os._exit(0)


signal.signal(signal.SIGTERM, on_term)
note("start")
say(state="starting")
time.sleep(float(orders.get("lag", 0)))
if "noise" in orders:
    os.write(options.status_fd, b"not json\n[1,2]\n\xff\xfe\n" + b"x" * 200_000 + b"\n{}\n")
if "fail" in orders:
    code, _, reason = orders["fail"].partition(" ")
    if reason:
        say(state="failed", reason=reason)
    sys.exit(int(code))
while "never" in orders:
    time.sleep(0.1)
    say(state="starting")
say(state="ready")
note("ready")
began = time.monotonic()
told = {"sql": orders["sql"].replace("-", " ")} if "sql" in orders else {}
server = socket.socket(fileno=options.listen_fd) if options.listen_fd is not None else None
if "end" in orders:
    code, _, after = orders["end"].partition(" ")
while True:
    readable, _, _ = select.select([server] if server else [], [], [], 0.05)
    for listening in readable:
        try:
            connection, _ = listening.accept()
        except BlockingIOError:
            continue  # the other worker was faster
        connection.sendall(f"{name} {os.getpid()}".encode())
        connection.close()
    if "end" in orders and time.monotonic() - began > float(after):
        sys.exit(int(code))
    if "mute" not in orders or time.monotonic() - began < float(orders["mute"]):
        say(state="alive", store=orders.get("store", "open"), seen=1, nested={"a": 1}, text="a\x1b[31mb", **told)
