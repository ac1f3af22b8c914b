"""CPU time of detection with the shipped packs, on one core: `python -m tests.bench.bench_detect`.

Printed: MB/s by kind of text, candidates per MB, and whether the goals are met; the cost of compiling, and of reading
compiled detectors back; a conversation of an agent, turn by turn, with and without the memory of parts; the most that a
hostile megabyte costs; the memory of the process.

Side by side with other open scanners when SLUICE_BENCH_FIELD names the interpreter of an environment that has them:

    python3.13 -m venv field && field/bin/pip install --require-hashes -r tests/bench/requirements-field.txt
    SLUICE_BENCH_FIELD=field/bin/python python -m tests.bench.bench_detect
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import resource
import subprocess
import sysconfig
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from sluice import config
from sluice.cache import Cache
from sluice.detect import benign, packs
from sluice.detect.engine import Engine
from sluice.detect.evidence import Fingerprinter
from sluice.detect.examples import expand
from sluice.detect.novelty import Novelty
from sluice.model import Part, PartKind, Provenance, Role

MB = 1_000_000
GOALS = {"prose": 150, "code": 80, "JSON": 80}
"""MB/s."""
KEY = b"k" * 32


def part(text: str, pointer: str = "/messages/0/content", provenance: Provenance = Provenance.USER) -> Part:
    return Part(pointer, Role.USER, PartKind.TEXT, provenance, text)


def lines(kind: str, size: int) -> str:
    """Generated text of one kind of the benign corpus."""
    source = benign.Source(f"bench/{kind}")
    out: list[str] = []
    total = 0
    while total < size:
        out.append(benign.LINE[kind](source))
        total += len(out[-1]) + 1
    return "\n".join(out)[:size]


def code(size: int) -> str:
    """Source code as people wrote it: the standard library of this interpreter."""
    files = sorted(Path(sysconfig.get_paths()["stdlib"]).glob("*.py"))
    return "".join(f.read_text("utf-8", "ignore") for f in files).encode("ascii", "ignore").decode()[:size]


def records(size: int) -> str:
    """JSON as an API answers: nested, pretty, mostly words and small numbers."""
    source = benign.Source("bench/json")
    rows = [
        {
            "id": source.number(1, 9999),
            "name": source.words(2),
            "state": source.words(1),
            "tags": source.words(4).split(),
            "note": source.words(12),
            "position": {"row": i, "column": source.number(1, 80)},
        }
        for i in range(size // 330)
    ]
    return json.dumps(rows, indent=2)[:size]


def texts() -> dict[str, str]:
    """A megabyte of each kind, or what takes as long."""
    noise = b"".join(hashlib.sha256(str(i).encode()).digest() for i in range(25_000))
    return {
        "prose": benign.prose(MB),
        "code": code(MB),
        "JSON": records(MB),
        "records with identifiers": lines("record", MB // 2),
        "logs": lines("log", MB // 2),
        "minified JavaScript": lines("minified", MB // 4),
        "assignments in every line": lines("code", MB // 4),
        "base64": base64.b64encode(noise).decode()[:MB],
        "Chinese, Japanese, Korean": "这个请求的服务需要更多的时间来完成。한국어 문장도 있습니다. 接続が失敗しました。"
        * 8_000,
    }


def cpu(work: Callable[[], object], runs: int) -> float:
    """Least CPU seconds of one call."""
    best = float("inf")
    for _ in range(runs):
        start = time.process_time()
        work()
        best = min(best, time.process_time() - start)
    return best


def verdict(value: float, goal: float, *, most: bool) -> str:
    return f"  goal {goal:g}: {'met' if (value <= goal if most else value >= goal) else 'MISSED'}"


HOSTILE = {
    "password=": "password=",
    "putty": "PuTTY-User-Key-File-2: ssh-rsa ",
    "connection strings": "server=a;",
    "addresses": "a@b.cc ",
    "invisible": "4\u200b",
    "digits": "4111 1111 1111 1112 ",
    "rows of headings": "ssn,name,date of birth\n",
}


def conversation(turns: int) -> list[tuple[Part, ...]]:
    """The requests of an agent at work: each sends everything that was said before, and a little more."""
    source, files = benign.prose(400_000, "agent"), code(1_200_000)
    said: list[tuple[str, Provenance]] = [(source[:12_000], Provenance.SYSTEM)]
    requests = []
    for turn in range(turns):
        at = turn * 9_000
        now = [
            (source[at : at + 700], Provenance.USER),
            (files[4 * at : 4 * at + 24_000], Provenance.TOOL_RESULT),
            (json.dumps({"path": f"/srv/app/{turn}.py", "edit": files[at : at + 2_000]}), Provenance.TOOL_ARGS),
        ]
        past = [(text, p if p is Provenance.SYSTEM else Provenance.HISTORY) for text, p in said]
        requests.append(tuple(part(text, f"/messages/{i}", p) for i, (text, p) in enumerate([*past, *now])))
        said += [*now, (source[at + 700 : at + 1_500], Provenance.ASSISTANT)]
    return requests


def compiling(engine: Callable[[Cache | None], Engine]) -> None:
    with tempfile.TemporaryDirectory() as place:
        store = Cache(Path(place), KEY)
        cold = cpu(lambda: engine(store), 1)
        cached = cpu(lambda: engine(store), 3)
        size = sum(f.stat().st_size for f in Path(place).iterdir()) / MB
    print(f"compiled {cold:.2f} s{verdict(cold, 4, most=True)};  read back {cached:.2f} s", end="")
    print(f"{verdict(cached, 0.3, most=True)}  ({size:.1f} MB kept)")


def field(engine: Engine) -> None:
    """The same texts through other scanners; a tenth of a megabyte of each, for they are slow."""
    interpreter = os.environ.get("SLUICE_BENCH_FIELD")
    if not interpreter:
        print("\nother scanners: not measured (SLUICE_BENCH_FIELD is not set)")
        return
    given = {kind: text[:100_000] for kind, text in texts().items()}
    worker = Path(__file__).with_name("field_scanners.py")
    done = subprocess.run([interpreter, worker], input=json.dumps(given), capture_output=True, text=True, check=True)
    print(f"\n{done.stderr.strip().splitlines()[-1]}")
    theirs: dict[str, dict[str, float]] = json.loads(done.stdout)
    ours = {kind: cpu(lambda text=text: engine.scan((part(text),)), 5) for kind, text in given.items()}  # type: ignore[misc]
    print(f"{'100 KB, ms of CPU':32}{'Sluice':>10}" + "".join(f"{name:>18}{'ratio':>8}" for name in theirs))
    for kind in given:
        row = "".join(f"{t[kind] * 1e3:>18.0f}{t[kind] / ours[kind]:>8.0f}" for t in theirs.values())
        print(f"{kind:32}{ours[kind] * 1e3:>10.2f}{row}")


def main() -> None:
    signatures = config.signatures_dir()
    start = time.process_time()
    detectors = packs.load([signatures / "packs"], signatures / "vocabulary.toml")
    print(f"{len(detectors)} detectors read in {time.process_time() - start:.2f} s")
    compiling(lambda store: Engine(detectors, Fingerprinter(KEY, "bench"), store=store))
    engine = Engine(detectors, Fingerprinter(KEY, "bench"))
    print(engine.versions, "\n")
    print(f"{'':32}{'ms/MB':>8}{'MB/s':>8}{'cand./MB':>10}{'found':>7}{'unread':>8}")
    for name, text in texts().items():
        given = (part(text),)
        scan, work = engine.measure(given)
        size = scan.scanned_bytes / MB
        seconds = cpu(lambda given=given: engine.scan(given), 5)  # type: ignore[misc]
        goal = verdict(size / seconds, GOALS[name], most=False) if name in GOALS else ""
        print(
            f"{name:32}{seconds * 1e3 / size:>8.2f}{size / seconds:>8.0f}{work.candidates / size:>10.0f}"
            f"{len(scan.findings):>7}{len(scan.unread):>8}{goal}"
        )

    prose = benign.prose(MB)
    secret = expand("Here is the file:\naws_access_key_id = AKIA{base32*16}\ncard 4111 1111 1111 1111\n", "bench")
    print()
    for name, given, goal in (
        ("chat 4 KB, us", (part(prose[:3900]),), 0.0),
        ("chat 4 KB, two findings, us", (part(prose[:3900] + secret),), 0.0),
        ("prose 10 KB, us", (part(prose[:10_240]),), 150.0),
    ):
        micro = cpu(lambda given=given: engine.scan(given), 200) * 1e6  # type: ignore[misc]
        print(f"{name:32}{micro:>8.0f}{verdict(micro, goal, most=True) if goal else ''}")
    mixed = code(700_000) + prose[:300_000]
    request = tuple(part(mixed[i : i + 5000], f"/messages/{i}") for i in range(0, MB, 5000))
    milli = cpu(lambda: engine.scan(request), 7) * 1e3
    print(f"{'agent request 1 MB, 200 parts, ms':32}{milli:>8.1f}{verdict(milli, 12, most=True)}")

    requests = conversation(30)
    size = sum(len(p.text) for r in requests for p in r) / MB

    def replay(novelty: Novelty | None) -> float:
        engine.novelty = novelty
        return cpu(lambda: [engine.scan(r) for r in requests], 1)

    without, remembered = replay(None), replay(Novelty(KEY))
    engine.novelty = None
    print(
        f"\nreplay of 30 turns, {size:.1f} MB: {without * 1e3:.0f} ms; with the memory {remembered * 1e3:.0f} ms: ",
        end="",
    )
    print(f"{without / remembered:.1f} times cheaper{verdict(without / remembered, 5, most=False)}")

    print("\nhostile megabyte")
    for name, piece in HOSTILE.items():
        given = (part(piece * (MB // len(piece))),)
        scan, work = engine.measure(given)
        milli = cpu(lambda given=given: engine.scan(given), 1) * 1e3  # type: ignore[misc]
        said = "partial" if scan.unread else "full"
        print(f"  {name:30}{milli:>8.0f} ms  {work.candidates:>8} candidates {work.units:>8} units  {said}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"\nlargest memory of this process, corpora included: {peak:.0f} MB")
    print(f"compiled databases: {engine.databases.size / MB:.1f} MB")
    field(engine)


if __name__ == "__main__":
    main()
