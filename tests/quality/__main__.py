"""`make quality`: measure, print, and write the tables between the markers of `signatures/README.md`.

python -m tests.quality                 the whole of it: 10,000 clean documents (two to four minutes)
python -m tests.quality --peers         and the comparison with detect-secrets and Presidio (downloads them once)
python -m tests.quality --show 40       what was missed and what was falsely found, so many of each; writes nothing
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Sequence
from copy import replace
from pathlib import Path

from sluice.detect.engine import Engine, scan_text
from tests.quality import clean, measure, peers, planted
from tests.quality.corpus import Document
from tests.quality.measure import FAMILIES, Tally

README = Path(__file__).parent.parent.parent / "signatures" / "README.md"
BEGIN, END = "<!-- quality: begin, written by `make quality` -->", "<!-- quality: end -->"
PEERS_BEGIN, PEERS_END = "<!-- peers: begin, written by `make quality` -->", "<!-- peers: end -->"
ROUNDS, CLEAN = 12, 10_000


def tables(t: Tally, c: Tally) -> list[str]:
    """Recall by family, precision by class, and what happens to clean text."""
    out = ["| planted | values | recall | asked | blocked by the shipped policy |", "|---|---|---|---|---|"]
    for family, goal in FAMILIES.items():
        kinds = [k for k, f in t.families.items() if f == family]
        count = sum(t.planted[k] for k in kinds)
        share = sum(t.blocked[k] for k in kinds) / max(count, 1)
        out.append(f"| {family} | {count} | {measure.recall(t, family):.3f} | {goal or '-'} | {share:.3f} |")
    out += ["", "| class | precision on both corpora | false, per 1,000 clean documents |", "|---|---|---|"]
    for name in sorted(set(t.right) | set(t.wrong) | set(c.wrong)):
        right, wrong = t.right[name], t.wrong[name] + c.wrong[name]
        out.append(f"| {name} | {right / (right + wrong):.3f} | {1000 * c.by_class[name] / c.clean:.1f} |")
    out += ["", "| clean documents with | of 1,000 |", "|---|---|"]
    for level, words in (
        ("any", "any finding"),
        ("medium", "a finding of medium severity or more"),
        ("block", "a false block"),
    ):
        out.append(f"| {words} | {1000 * c.flagged[level] / c.clean:.1f} |")
    weak = sorted((t.found[k] / t.planted[k], k) for k in t.planted if t.found[k] < 0.9 * t.planted[k])
    out += ["", "Kinds below 0.9: " + (", ".join(f"{k} {r:.2f}" for r, k in weak) or "none") + "."]
    forms = sorted((t.carrier_found[k] / t.carriers[k], k) for k in t.carriers)[:6]
    out += ["Forms of text found worst: " + ", ".join(f"{k} {r:.2f}" for r, k in forms) + "."]
    return out


def slowest(compiled: Engine, documents: Sequence[Document]) -> list[str]:
    """Milliseconds per megabyte that each detector alone costs on clean code and machine output, the ten worst."""
    text = "\n".join(d.text for d in documents)[:2_000_000]
    out = []
    alone = []
    for d in compiled.detectors:
        one = Engine((replace(d, overlaps=()),), compiled.fingerprinter)
        start = time.process_time()
        scan_text(one, text)
        alone.append((time.process_time() - start, d.id))
    for seconds, name in sorted(alone, reverse=True)[:10]:
        out.append(f"{name} {1000 * seconds / (len(text) / 1e6):.1f} ms/MB")
    return out


def write(begin: str, end: str, lines: Sequence[str]) -> None:
    """Put the lines between two markers of the packs' README."""
    text = README.read_text("utf-8")
    before, _, rest = text.partition(begin)
    _, _, behind = rest.partition(end)
    README.write_text("\n".join([before + begin, *lines, end]) + behind, "utf-8")


def _show(title: str, found: Sequence[tuple[str, str, str]], most: int) -> None:
    seen: Counter[str] = Counter()
    print(f"\n{title}")
    for what, carrier, text in found:
        seen[what] += 1
        if seen[what] <= most:
            print(f"  {what:34} {carrier:14} {text!r}")


def main() -> None:
    ask = argparse.ArgumentParser(prog="python -m tests.quality")
    ask.add_argument("--peers", action="store_true", help="compare with detect-secrets and Presidio")
    ask.add_argument("--slow", action="store_true", help="cost of each detector alone")
    ask.add_argument("--show", type=int, default=0, metavar="N")
    ask.add_argument("--rounds", type=int, default=ROUNDS)
    ask.add_argument("--clean", type=int, default=CLEAN)
    given = ask.parse_args()
    compiled = measure.engine()
    scan = measure.ours(compiled)
    t = measure.measure(planted.documents(given.rounds), scan)
    c = measure.measure(clean.documents(given.clean), scan)
    lines = tables(t, c)
    print("\n".join(lines))
    print(
        "\nmost flagged:",
        c.by_detector["block"].most_common(9),
        c.by_detector["medium"].most_common(9),
        c.by_detector["low"].most_common(9),
    )
    if given.show:
        _show("missed", t.missed, given.show)
        _show("false in planted text", t.false, given.show)
        _show("false in clean text", c.false, given.show)
        return
    write(BEGIN, END, lines)
    if given.slow:
        print("\nslowest alone:", *slowest(compiled, list(clean.documents(1_000))), sep="\n  ")
    if given.peers:
        lines = peers.table()
        print("\n".join(lines))
        write(PEERS_BEGIN, PEERS_END, lines)


if __name__ == "__main__":
    main()
