"""Mutated text against the engine: `python -m tests.quality.fuzz --seconds N [--seed N]`.

Each text is a document of the corpora, an example of a pack or noise, cut, joined, repeated and sprinkled with bytes and
characters that are hard to read. What must hold: no failure, every span inside its text, the same findings again, and
work in proportion to the text. Every hundredth text is scanned in another process with another hash seed as well.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import subprocess
import sys
import time

from sluice.detect.engine import Engine
from sluice.model import Finding, Part, PartKind, Provenance, Role
from tests.quality import clean, measure, planted

HARD = ["\u200b", "\u202e", "\ud800", "\uff11", "&#49;", "\\u0031", "%41", "=\n", "\x00", "é", "e\u0301", "İ", "ß", "𝟏", "\r\n", '\\"', "eyJ", "-----BEGIN ", "://a:b@", "password="]  # fmt: skip


def findings(engine: Engine, text: str) -> tuple[tuple[Finding, ...], int]:
    """What is found, and the units of work that it took."""
    part = Part("/a", Role.USER, PartKind.TEXT, Provenance.USER, text)
    scan, work = engine.measure((part,))
    return scan.findings, work.candidates + work.units


def digest(found: tuple[Finding, ...]) -> str:
    """One value for all that was found."""
    return hashlib.sha256(
        repr([(f.detector, f.start, f.end, f.confidence, f.fingerprint) for f in found]).encode()
    ).hexdigest()


def mutated(rng: random.Random, seeds: list[str]) -> str:
    """One text to try."""
    text = rng.choice(seeds)
    for _ in range(rng.randint(0, 8)):
        at = rng.randrange(len(text) + 1)
        to = min(at + rng.randrange(40), len(text))
        match rng.randrange(6):
            case 0:
                text = text[:at] + text[to:]
            case 1:
                text = text[:at] + rng.choice(HARD) * rng.choice((1, 1, 5, 200)) + text[at:]
            case 2:
                text = text[:at] + text[at:to] * rng.choice((2, 50)) + text[to:]
            case 3:
                text = text[:at] + rng.randbytes(rng.randrange(64)).decode("latin-1") + text[to:]
            case 4:
                text = text[:at] + rng.choice(seeds)[:2000] + text[at:]
            case _:
                text = json.dumps(text)
    return text[:200_000]


def problems(engine: Engine, text: str) -> list[str]:
    """What is wrong with the findings of a text; nothing, as a rule."""
    found, cost = findings(engine, text)
    wrong = [
        f"{f.detector} outside: {f.start}..{f.end} of {len(text)}"
        for f in found
        if not 0 <= f.start < f.end <= len(text)
    ]
    again, same = findings(engine, text)
    if digest(again) != digest(found) or same != cost:
        wrong.append("not the same twice")
    if cost > 2 * (engine.budget.floor + len(text.encode("utf-8", "replace")) // engine.budget.share):
        wrong.append(f"{cost} units for {len(text)} characters")
    return wrong


def elsewhere(texts: list[str], seed: int) -> list[str]:
    """The digests of the findings of texts, as another process sees them."""
    run = subprocess.run(
        [sys.executable, "-m", "tests.quality.fuzz", "--digests"], input=json.dumps(texts), text=True, check=True,
        stdout=subprocess.PIPE, env={**os.environ, "PYTHONHASHSEED": str(seed)},
    )  # fmt: skip
    return list(json.loads(run.stdout))


def run(seconds: float, seed: int, most: int = 1 << 30) -> tuple[int, list[str]]:
    """How many texts were tried, and what went wrong (with the text's number: a seed and a number give the text)."""
    engine = measure.engine()
    seeds = [d.text for d in planted.documents(1)] + [d.text for d in clean.documents(200)]
    seeds += [example for d in engine.detectors for example in d.match]
    stop = time.monotonic() + seconds
    wrong: list[str] = []
    kept: list[str] = []
    count = 0
    while time.monotonic() < stop and count < most:
        text = mutated(random.Random(f"{seed}/{count}"), seeds)
        try:
            wrong += [f"{seed}/{count}: {p}" for p in problems(engine, text)]
        except Exception as e:
            wrong.append(f"{seed}/{count}: {type(e).__name__}: {e}")
        if count % 100 == 0:
            kept.append(text)
        count += 1
    here = [digest(findings(engine, text)[0]) for text in kept]
    wrong += [
        f"{seed}/{100 * i}: another process finds something else"
        for i, (a, b) in enumerate(zip(here, elsewhere(kept, seed + 1), strict=True))
        if a != b
    ]
    return count, wrong


def main() -> int:
    ask = argparse.ArgumentParser(prog="python -m tests.quality.fuzz")
    ask.add_argument("--seconds", type=float, default=60)
    ask.add_argument("--seed", type=int, default=1)
    ask.add_argument("--digests", action="store_true", help="texts as JSON on stdin, digests of their findings out")
    given = ask.parse_args()
    if given.digests:
        engine = measure.engine()
        print(json.dumps([digest(findings(engine, text)[0]) for text in json.load(sys.stdin)]))
        return 0
    count, wrong = run(given.seconds, given.seed)
    print(f"{count} texts, {len(wrong)} problems", *wrong, sep="\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
