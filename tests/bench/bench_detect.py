"""CPU time of detection with the shipped packs, on one core: `python -m tests.bench.bench_detect`.

Printed: microseconds of CPU (best of several runs), MB/s, candidates per MB, and whether the goal is met. Then the cost
of compiling, of one keyword look-up done two ways, and the most that a hostile megabyte costs.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Callable

import ahocorasick

from sluice import config
from sluice.detect import benign, packs
from sluice.detect.engine import Engine
from sluice.detect.evidence import Fingerprinter
from sluice.detect.examples import expand
from sluice.model import Part, PartKind, Provenance, Role

GOALS = {"prose 10 KB": 200.0, "prose 1 MB": 15_000.0}
"""Microseconds: what the issue asks for."""


def parts(*texts: str) -> tuple[Part, ...]:
    return tuple(
        Part(f"/messages/{i}/content", Role.USER, PartKind.TEXT, Provenance.USER, t) for i, t in enumerate(texts)
    )


def lines(kind: str, size: int) -> str:
    """Generated text of one kind of the benign corpus."""
    source = benign.Source(f"bench/{kind}")
    out: list[str] = []
    total = 0
    while total < size:
        out.append(benign.LINE[kind](source))
        total += len(out[-1]) + 1
    return "\n".join(out)[:size]


def cpu(work: Callable[[], object], runs: int) -> float:
    """Least CPU seconds of one call."""
    best = float("inf")
    for _ in range(runs):
        start = time.process_time()
        work()
        best = min(best, time.process_time() - start)
    return best


def cases() -> dict[str, tuple[Part, ...]]:
    prose = benign.prose(1_000_000)
    mixed = lines("code", 400_000) + lines("record", 300_000) + lines("log", 300_000)
    secret = expand("Here is the file:\naws_access_key_id = AKIA{base32*16}\ncard 4111 1111 1111 1111\n", "bench")
    return {
        "chat 4 KB": parts("You are a helpful assistant.", prose[:1000], prose[1000:2000], prose[2000:4000]),
        "chat 4 KB, two findings": parts("You are a helpful assistant.", prose[:3900] + secret),
        "prose 10 KB": parts(prose[:10_240]),
        "prose 1 MB": parts(prose),
        "prose 10 KB, not ASCII": parts((prose[:5000] + "Zürich — “naïve” café, größer: 20 m². ") * 2),
        "code 100 KB": parts(lines("code", 100_000)),
        "JSON records 100 KB": parts(lines("record", 100_000)),
        "logs 100 KB": parts(lines("log", 100_000)),
        "lock file 100 KB": parts(lines("lock", 100_000)),
        "agent request 1 MB, 200 parts": parts(*(mixed[i : i + 5000] for i in range(0, 1_000_000, 5000))),
    }


HOSTILE = {
    "password=": "password=",
    "putty": "PuTTY-User-Key-File-2: ssh-rsa ",
    "connection strings": "server=a;",
    "addresses": "a@b.cc ",
    "invisible": "4\u200b",
}


def main() -> None:
    signatures = config.signatures_dir()
    start = time.process_time()
    detectors = packs.load([signatures / "packs"], signatures / "vocabulary.toml")
    loaded = time.process_time()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    engine = Engine(detectors, Fingerprinter(b"k" * 32, "bench"))
    compiled = time.process_time()
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(
        f"{len(detectors)} detectors: read {loaded - start:.2f} s, compiled {compiled - loaded:.2f} s, +{grown:.0f} MB"
    )
    print(engine.versions, "\n")
    print(f"{'':32}{'us':>10}{'MB/s':>8}{'cand./MB':>10}{'found':>7}  goal")
    for name, given in cases().items():
        scan, work = engine.measure(given)
        size = scan.scanned_bytes
        seconds = cpu(lambda given=given: engine.scan(given), 9 if size > 500_000 else 200)  # type: ignore[misc]
        goal = GOALS.get(name)
        verdict = "" if goal is None else f"  {goal:.0f} us: {'met' if seconds * 1e6 <= goal else 'MISSED'}"
        rate = work.candidates / size * 1e6
        print(
            f"{name:32}{seconds * 1e6:>10.0f}{size / seconds / 1e6:>8.0f}{rate:>10.0f}{len(scan.findings):>7}{verdict}"
        )

    print("\nkeywords near one candidate (window of 160 characters)")
    words = {w for d in detectors if d.keyword_use == "boost" for w in d.keywords}
    automaton = ahocorasick.Automaton()
    for word in words:
        automaton.add_word(word, word)
    automaton.make_automaton()
    window = benign.prose(160)
    some = sorted(words)[:10]
    one = cpu(lambda: [list(automaton.iter(window)) for _ in range(1000)], 5)
    other = cpu(lambda: [any(w in window for w in some) for _ in range(1000)], 5)
    print(f"  Aho-Corasick over all {len(words)} words {one * 1e3:.2f} us, `in` for ten words {other * 1e3:.2f} us")

    print("\nhostile megabyte")
    for name, piece in HOSTILE.items():
        given = parts(piece * (1_000_000 // len(piece)))
        scan, work = engine.measure(given)
        seconds = cpu(lambda given=given: engine.scan(given), 1)  # type: ignore[misc]
        said = "partial" if scan.unread else "full"
        print(f"  {name:30}{seconds * 1e3:>8.0f} ms  {work.candidates:>8} candidates {work.units:>8} units  {said}")


if __name__ == "__main__":
    main()
