"""The site's own data at full size, on one core: `python -m tests.bench.bench_owndata`.

A dictionary of a million entries, a million rows of three columns, a hundred documents, ten thousand secrets in use and
a few canary tokens. Printed: how long each takes to build and to load, how large it is, what a worker pays for it in
memory (`Pss_Anon`: its own; the rest of `Rss` is the mapped files, which workers share), and MB/s of prose, records and
code with each and with all of them, beside the engine without any. All values are made up here; nothing is kept.
"""

from __future__ import annotations

import csv
import json
import os
import random
import string
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from sluice import keys
from sluice.config import Own, OwnDictionary, OwnFile, OwnIndex, Paths, Settings
from sluice.detect import benign
from sluice.detect.engine import Engine
from sluice.detect.evidence import Fingerprinter
from sluice.detect.own import site
from sluice.model import Detector, Part, PartKind, Provenance, Role, Severity
from sluice.owndata import documents, rows, secrets

ENTRIES = ROWS = int(os.environ.get("OWNDATA_ROWS", "1000000"))
NOTHING = Detector(
    id="x.nothing", rev=1, title="t", why="w", data_class="contact.email", severity=Severity.LOW, regulations=(),
    pattern="zqzqzqzq[0-9]{4}", family="x",
)  # fmt: skip
"""The engine wants a detector; the packs' own cost is `bench_detect`'s matter."""


def word(r: random.Random, least: int = 4, most: int = 11) -> str:
    return "".join(r.choices(string.ascii_lowercase, k=r.randint(least, most)))


def timed[T](what: str, step: Callable[[], T]) -> T:
    start, cpu = time.perf_counter(), time.process_time()
    made = step()
    print(f"  {what:46}{time.process_time() - cpu:>8.2f} s CPU {time.perf_counter() - start:>8.2f} s", flush=True)
    return made


def memory(name: str) -> float:
    """MiB of this process: `Rss`, `Pss`, `Pss_Anon`."""
    for line in Path("/proc/self/smaps_rollup").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) / 1024
    return 0.0


def varied(size: int) -> str:
    """Text with the spread of words that people use: 30,000 different ones, the frequent ones most of it (Zipf)."""
    r = random.Random(4)
    vocabulary = [word(r, 2, 12) for _ in range(30_000)]
    weights = [1 / (n + 3) for n in range(30_000)]
    chosen = r.choices(vocabulary, weights, k=size // 6)
    return ". ".join(" ".join(chosen[i : i + 12]).capitalize() for i in range(0, len(chosen), 12))[:size]


def lines(kind: str, size: int) -> str:
    source = benign.Source(f"owndata/{kind}")
    out: list[str] = []
    total = 0
    while total < size:
        out.append(benign.LINE[kind](source))
        total += len(out[-1]) + 1
    return "\n".join(out)[:size]


def build(base: Path, settings: Settings) -> dict[str, Own]:
    r = random.Random(7)
    key_id, secret = list(keys.secrets_by_name(settings).items())[-1]
    print("building")
    words = base / "words.txt"
    words.write_text("\n".join(" ".join(word(r, 7, 12) for _ in range(r.choice((1, 1, 2, 3)))) for _ in range(ENTRIES)))
    table = base / "customers.csv"
    with table.open("w", newline="") as stream:
        out = csv.writer(stream)
        out.writerow(["name", "account", "email"])
        for i in range(ROWS):
            given, family = word(r, 3, 8).title(), word(r, 3, 10).title()
            out.writerow([f"{given} {family}", 4_000_000_000 + i * 31, f"{given}.{family}{i % 97}@{word(r)}.example"])
    index = base / "customers.edm"
    wanted = rows.Wanted(("name:name", "account:digits", "email:email"), ("account", "email"))
    timed(
        f"edm build, {ROWS:,} rows", lambda: rows.build(table, index, wanted, key_id, secret, "bench", lambda _: None)
    )
    docs = base / "contracts.docs"
    given_docs = [(f"d{i}", Path(f"d{i}"), varied_document(i)) for i in range(100)]
    options = {"data_class": "own.contract", "severity": Severity.HIGH, "share": 0.3, "run": 60}
    timed(
        "docs add, 100 of 5,000 words",
        lambda: documents.add(docs, given_docs, keys.secrets_by_name(settings), "bench", **options),  # type: ignore[arg-type]
    )
    vault = base / "vault.json"
    vault.write_text(
        json.dumps(
            {f"k{i}": "".join(r.choices(string.ascii_letters + string.digits + "-_!", k=32)) for i in range(10_000)}
        )
    )
    known = base / "known.secrets"
    timed("known-secrets build, 10,000", lambda: secrets.build(vault, known, "json", key_id, secret, "bench"))
    canaries = base / "canaries.txt"
    canaries.write_text("\n".join(f"canary-{word(r, 16, 16)}" for _ in range(20)))
    canaries.chmod(0o600)
    print(f"  index of rows: {index.stat().st_size / 2**20:.1f} MiB, documents {docs.stat().st_size / 2**20:.1f} MiB")
    return {
        "dictionary": Own(dictionary=(OwnDictionary(file=words, name="words"),)),
        "rows": Own(edm=(OwnIndex(file=index, name="customers"),)),
        "documents": Own(documents=(OwnFile(file=docs),)),
        "secrets": Own(secrets=(OwnFile(file=known),)),
        "canaries": Own(canaries=(OwnFile(file=canaries),)),
    }


def varied_document(seed: int) -> str:
    r = random.Random(1000 + seed)
    return " ".join(word(r) for _ in range(5000))


def rate(engine: Engine, text: str) -> float:
    """MB/s, best of three."""
    given = (Part("/x", Role.USER, PartKind.TEXT, Provenance.USER, text),)
    best = float("inf")
    for _ in range(3):
        start = time.process_time()
        engine.scan(given)
        best = min(best, time.process_time() - start)
    return len(text) / best / 1e6


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="bench-owndata-") as name:
        base = Path(name)
        settings = Settings(paths=Paths(var=base / "var"))
        owns = build(base, settings)
        known = keys.secrets_by_name(settings)
        every = Own(
            dictionary=owns["dictionary"].dictionary,
            edm=owns["rows"].edm,
            documents=owns["documents"].documents,
            secrets=owns["secrets"].secrets,
            canaries=owns["canaries"].canaries,
        )
        # In a child, so that what building took does not count.
        if os.fork() == 0:
            code = 1
            try:
                timed(
                    f"first load: dictionary of {ENTRIES:,} compiled",
                    lambda: site.load(every, known, settings.cache_dir),
                )
                code = 0
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.wait()[1]) == 0
        texts = {
            "prose (few words)": benign.prose(1_000_000),
            "prose (30,000 words)": varied(1_000_000),
            "records": lines("record", 1_000_000),
            "code": lines("code", 1_000_000),
        }
        print("loading, all five")
        before = {n: memory(n) for n in ("Rss", "Pss_Anon")}
        all_of_it = timed("every later load", lambda: site.load(every, known, settings.cache_dir))
        print("  memory more: " + ", ".join(f"{n} {memory(n) - before[n]:.1f} MiB" for n in before))
        print("\nMB/s of CPU" + "".join(f"{n:>22}" for n in texts))
        choices = {"none": None} | {n: site.load(own, known, settings.cache_dir) for n, own in owns.items()}
        for what, own in (choices | {"all five": all_of_it}).items():
            engine = Engine((NOTHING,), Fingerprinter(b"k" * 32, "bench"), own=own)
            print(f"{what:11}" + "".join(f"{rate(engine, text):>22.0f}" for text in texts.values()))
        print("\nmemory more after scanning: " + ", ".join(f"{n} {memory(n) - before[n]:.1f} MiB" for n in before))


if __name__ == "__main__":
    main()
