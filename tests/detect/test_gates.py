"""Gates: what every match of a pattern is proved to hold, and that what stands behind a gate is found all the same."""

from __future__ import annotations

import json
import re
from copy import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice.detect import gates
from sluice.detect.databases import Databases
from sluice.detect.engine import Engine, expressions, oracle, scan_text
from sluice.detect.evidence import Fingerprinter
from sluice.model import Detector, Part, PartKind, Provenance, Role


@pytest.mark.parametrize(
    ("pattern", "least"),
    [
        (r"(?=[A-Z0-9-]{0,9}\d{4})[A-Z0-9-]{6,9}", 4),
        (r"(?![A-Z0-9-]{0,9}\d{4})[A-Z0-9-]{6,9}", 0),
        (r"(?<=\d{4})[A-Z0-9-]{6,9}", 0),
        (r"\b\d{9}\b", 9),
        (r"\d{3}[ -]?\d{3}[ -]?\d{4}", 10),
        (r"\d{2}(?:\.\d{2}){3}", 8),
        (r"(?:\d{4}|\d{6})", 4),
        (r"(?:\d{3}-)?\d{3}", 3),
        (r"(?:\d{6}x)?", 0),
        (r"[A-Z]{2}\d{6}[A-Z]", 6),
        (r"\d{3}x\d{4}", 4),
        (r"(?:\d{4}x|x\d{5})", 4),
        (r"(?:x\d{6}){2}", 6),
        (r"[0-9A]{9}", 0),
        (r"\d{3}\w\d{4}", 4),
        (r"[^0-9]{9}", 0),
        (r"(?:[ .]{0,2}\d){6,13}", 6),
    ],
)
def test_the_digits_that_every_match_holds(pattern: str, least: int) -> None:
    """Never more digits in a row are promised than the shortest match has."""
    assert gates.in_a_row(pattern, gates.DIGITS) == least


def test_runs_count_without_separators() -> None:
    """A hyphen belongs to a run, a full stop ends it."""
    assert gates.in_a_row(r"[12][A-Za-z0-9]{26}_[A-Za-z0-9]{21}\b", gates.RUNS) == 49
    assert gates.in_a_row(r"[A-Z][A-Za-z0-9]{20}\.[A-Za-z0-9_-]{27}", gates.RUNS) == 27


@pytest.mark.parametrize("gate", gates.ALL, ids=lambda gate: gate.name)
def test_what_stands_behind_a_gate_opens_it(engine: Engine, gate: gates.Gate) -> None:
    """The expression of a gate ends within every match among the packs' own examples."""
    look = re.compile(gate.expression)
    chosen, roles = expressions(engine.compiled)
    behind = {i for e in chosen if e.block == gate.name for i in roles[e.ident][0]}
    everywhere = {i for e in chosen if e.block != gate.name for i in roles[e.ident][0]}
    tried = 0
    for i in behind - everywhere:
        c = engine.compiled[i]
        for text in c.detector.match:
            for match in c.shape.confirm.finditer(text):
                assert look.search(match[0]), c.detector.id
                tried += 1
    assert tried > 1


@settings(deadline=None, max_examples=100)
@given(
    st.lists(st.sampled_from(["1", "23", " ", "(", ".", "a", "\n", "é", "-", "  ", "456"]), max_size=24).map("".join)
)
def test_a_gate_opens_once_for_every_stretch(text: str) -> None:
    """A row of numbers is told where it has enough digits, and from there to its end, however many digits it has."""
    data = text.encode()
    databases = Databases([])
    for gate in (gates.DIGITS, gates.NUMBERS):
        places = []
        for row in re.finditer(rb"[0-9 .()/+\-]+", data):
            counted = [row.start() + i + 1 for i, byte in enumerate(row[0]) if byte in gate.counted]
            if len(counted) >= gate.least:
                places.append((counted[gate.least - 1], row.end()))
        assert databases._places(gate, data) == places


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.sampled_from(
            [
                "4111 1111 1111 1111",
                "078-05-1120",
                "NHS number 943 476 5870",
                "+44 20 7946 0958",
                "2024-01-02",
                "é",
                "日本語 ",
                "\n",
                " ",
                "12345 ",
                "the report of the meeting " * 30,
                "nhs ",
                "x" * 40 + " ",
            ]
        ),
        min_size=1,
        max_size=12,
    )
)
def test_windows_find_what_the_whole_text_finds(engine: Engine, pieces: list[str]) -> None:
    """Looking around digits alone, and looking everywhere, end in the same findings."""
    text = "".join(pieces)
    part = Part("", Role.USER, PartKind.TEXT, Provenance.USER, text)
    sparse = engine.scan((part,)).findings
    dense = Part("/noise", Role.USER, PartKind.TEXT, Provenance.USER, "1 2 3 4 5 6 7 8 9 x\n" * (20 + len(text) // 20))
    assert [f for f in engine.scan((part, dense)).findings if f.pointer == ""] == list(sparse)


def test_windows_around_runs_are_wide_enough(engine: Engine) -> None:
    """A detector alone is looked for no farther around a run than it needs, and finds its examples in long text."""
    chosen, roles = expressions(engine.compiled)
    behind = {i for e in chosen if e.block == gates.RUNS.name for i in roles[e.ident][0]}
    filler = "the report of the meeting was sent to all of us. " * 20
    for i in sorted(behind):
        lone = Engine([replace(engine.detectors[i], overlaps=())], Fingerprinter(b"k" * 32, "test"))
        for example in engine.detectors[i].match:
            text = f"{filler} {example} {filler}"
            found = {(f.start, f.end) for f in scan_text(lone, text).findings}
            assert found >= set(oracle(lone, text)), engine.detectors[i].id
    assert len(behind) > 50


@pytest.fixture(scope="module")
def everywhere(detectors: tuple[Detector, ...]) -> Engine:
    """The same detectors with every gate left open: looked for in the whole text."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gates, "in_a_row", lambda *_args, **_more: 0)
        return Engine(detectors, Fingerprinter(b"k" * 32, "test"))


@pytest.mark.timeout(400)  # 1,065 detectors, each in six guises, twice
def test_gates_lose_nothing(detectors: tuple[Detector, ...], engine: Engine, everywhere: Engine) -> None:
    """On every example of every pack, bare, in long text, in JSON, in escapes and as a column far below its heading,
    gates change no finding."""
    assert {e.block for e in expressions(engine.compiled)[0]} > {"literal", "digits", "runs"}
    filler = "the report of the meeting was sent to all of us. " * 20
    for d in detectors:
        texts = [*d.match, *d.reject]
        heading = max(d.keywords, key=len, default="value")
        table = f"name,{heading}\n" + "Ann,\n" * 200 + "".join(f"Bob,{t}\n" for t in texts if "\n" not in t)
        guises = [g for t in texts for g in (t, f"{filler}\n{t}\n{filler}", json.dumps({"content": f"{filler}{t}"}))]
        parts = tuple(
            Part(str(i), Role.USER, PartKind.TEXT, Provenance.USER, t)
            for i, t in enumerate([*guises, table, json.dumps({"content": table}), f"é{table}"])
        )
        assert engine.scan(parts) == everywhere.scan(parts), d.id
