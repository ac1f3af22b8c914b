"""The same documents through detect-secrets and Presidio's pattern recognisers, side by side with ours.

`python -m tests.quality.peers` writes the corpora to a file, makes an environment of its own below `var/quality` with
`requirements.txt` (hash-checked) and runs `peer_scan.py` there: neither tool is a dependency of the project. Presidio
runs without a language model, as its pattern recognisers alone; detect-secrets with its default plugins on each line.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.quality import clean, measure, planted
from tests.quality.corpus import Document
from tests.quality.measure import Seen, Tally

HERE = Path(__file__).parent
HOME = HERE.parent.parent / "var" / "quality"
ROUNDS, CLEAN = 6, 2_000

SECRET_FAMILIES = frozenset({"prefixed", "checked", "named", "generic", "generic assigned", "named assigned", "told"})
PERSONAL_FAMILIES = frozenset({"identity", "structured", "address", "name", "said", "prose name"})
CLASSES = {
    "EMAIL_ADDRESS": "contact.email", "PHONE_NUMBER": "contact.phone", "CREDIT_CARD": "financial.card",
    "IBAN_CODE": "financial.iban", "US_BANK_NUMBER": "financial.account", "ABA_ROUTING_NUMBER": "financial.routing",
    "CRYPTO": "financial.crypto-address", "IP_ADDRESS": "network.ip", "MAC_ADDRESS": "network.mac", "DATE_TIME": "pii.birth-date",
    "MEDICAL_LICENSE": "health.provider", "US_NPI": "health.provider", "US_MBI": "government.health-number", "URL": "url",
}  # fmt: skip
"""Presidio's entities in our words; the rest are numbers that a state issues."""


def environment() -> Path:
    """The interpreter of the peers' environment, made when it is not there."""
    python = HOME / "venv" / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(HOME / "venv")], check=True)
        subprocess.run(
            [
                str(python),
                "-m",
                "pip",
                "install",
                "-q",
                "--require-hashes",
                "--no-deps",
                "-r",
                str(HERE / "requirements.txt"),
            ],
            check=True,
        )
    return python


def run(tool: str, documents: list[Document], python: Path) -> tuple[dict[str, list[Seen]], float]:
    """What a peer finds, by text, and the CPU seconds that it took."""
    file = HOME / "documents.jsonl"
    file.write_text("".join(json.dumps(d.text) + "\n" for d in documents), "utf-8")
    done = subprocess.run(
        [str(python), str(HERE / "peer_scan.py"), tool, str(file)], check=True, stdout=subprocess.PIPE, text=True
    )
    *lines, seconds = done.stdout.splitlines()
    out = {}
    for d, line in zip(documents, lines, strict=True):
        out[d.text] = [
            Seen(
                a,
                b,
                CLASSES.get(name, "government.national-id") if tool == "presidio" else "secret.token",
                True,
                True,
                name,
            )
            for a, b, name in json.loads(line)
            if CLASSES.get(name) != "url"
        ]
    return out, float(seconds)


def of(documents: list[Document], families: frozenset[str]) -> list[Document]:
    """The documents in which all that is planted is of these families."""
    return [d for d in documents if all(p.family in families for p in d.planted)]


def row(name: str, t: Tally, c: Tally, seconds: float) -> str:
    """One line of the table: recall, precision, flags per 1,000 clean documents, speed."""
    megabytes = (t.characters + c.characters) / 1e6
    found = sum(t.found.values()) / max(sum(t.planted.values()), 1)
    both = Tally(right=t.right + c.right, wrong=t.wrong + c.wrong)
    flags = f"{1000 * c.flagged['any'] / c.clean:.1f} | {1000 * c.flagged['medium'] / c.clean:.1f}"
    return f"| {name} | {found:.3f} | {measure.precision(both):.3f} | {flags} | {megabytes / seconds:.1f} |"


def table() -> list[str]:
    """Both comparisons as Markdown."""
    HOME.mkdir(parents=True, exist_ok=True)
    python = environment()
    compiled = measure.engine()
    scan = measure.ours(compiled)
    everything, clear = list(planted.documents(ROUNDS)), list(clean.documents(CLEAN))
    out = [
        "| corpus and tool | recall | precision | flagged per 1,000 clean, any | at medium or above | MB/s, one core |",
        "|---|---|---|---|---|---|",
    ]
    for tool, families, prefixes in (
        ("detect-secrets", SECRET_FAMILIES, ("secret.",)),
        ("presidio", PERSONAL_FAMILIES, ()),
    ):
        documents = of(everything, families)

        def mine(text: str, prefixes: tuple[str, ...] = prefixes) -> list[Seen]:
            return [
                s
                for s in scan(text)
                if (s.data_class.startswith(prefixes) if prefixes else not s.data_class.startswith("secret."))
            ]

        t, c = measure.measure(documents, mine), measure.measure(clear, mine)
        what = "secrets" if prefixes else "personal data"
        out.append(row(f"{what}: Sluice", t, c, t.seconds + c.seconds))
        found, seconds = run(tool, documents + clear, python)
        t, c = measure.measure(documents, found.__getitem__), measure.measure(clear, found.__getitem__)
        out.append(row(f"{what}: {tool}", t, c, seconds))
    return out


if __name__ == "__main__":
    print("\n".join(table()))
