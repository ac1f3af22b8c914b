"""Dictionaries and canary tokens: every entry is found as it is asked for, at full offsets, and nothing else."""

from __future__ import annotations

import random
import re
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice.config import Own, OwnDictionary, OwnFile
from sluice.detect import benign
from sluice.detect.engine import Engine
from sluice.detect.evidence import Fingerprinter
from sluice.detect.novelty import Novelty
from sluice.detect.own import site
from sluice.detect.own.words import Absent, Words, fold, words_of
from sluice.errors import Misconfigured
from sluice.model import Severity
from tests.owndata.owndata_rig import EMAIL, Deployment, found, part, scan

LIST = "# projects\nProject Bluebird\nBluebird\nZanzibar\n  Überraschung  \n\nalpha beta gamma delta\nC3PO unit\n"


def dictionary(deployment: Deployment, content: str | bytes = LIST, **more: object) -> Engine:
    file = deployment.file("words.txt", content)
    table = OwnDictionary(file=file, name="projects", **more)  # type: ignore[arg-type]
    return deployment.engine(Own(dictionary=(table,)))


def test_entries_are_found_whole_and_the_longest_first(deployment: Deployment) -> None:
    """Case, accents, punctuation and line ends between words do not matter; parts of words are not entries."""
    engine = dictionary(deployment)
    text = "The PROJECT\n  bluebird, bluebirds, (Bluebird) uberraschung; alpha-beta gamma/delta. ZANZIBAR's c3po\tUNIT"
    assert [t for _, t in found(engine, text)] == [
        "PROJECT\n  bluebird",
        "Bluebird",
        "uberraschung",
        "alpha-beta gamma/delta",
        "ZANZIBAR",
        "c3po\tUNIT",
    ]
    assert found(engine, "alpha beta gamma, projects, zanzibarian, project blue bird") == []


def test_case_counts_where_it_is_asked_for(deployment: Deployment) -> None:
    """`case = true` finds the entry as it is written."""
    engine = dictionary(deployment, "ACE\nBlue Sky\n", case=True, data_class="own.names", severity=Severity.CRITICAL)
    findings = scan(engine, "ace ACE Ace blue sky Blue Sky").findings
    assert [(f.start, f.end, f.data_class, f.severity) for f in findings] == [
        (4, 7, "own.names", Severity.CRITICAL),
        (21, 29, "own.names", Severity.CRITICAL),
    ]


def test_inside_of_words_where_it_is_asked_for(deployment: Deployment) -> None:
    """`whole_words = false` finds an entry wherever its characters stand; case as asked."""
    many = "".join(f"filler{i}zz\n" for i in range(30))
    engine = dictionary(deployment, many + "blue\nC++\n", whole_words=False)
    assert [t for _, t in found(engine, "xBLUEx İblue c++11")] == ["BLUE", "blue", "c++"]
    engine = dictionary(deployment, "blue\n", whole_words=False, case=True)
    assert [t for _, t in found(engine, "xBLUEx bluebird")] == ["blue"]


@settings(max_examples=80, deadline=None)
@given(st.text(st.sampled_from("aB éß\u0301ﬁ½ıİ-_'1٣中.\n\u200b"), max_size=40))
def test_words_and_their_places_agree(text: str) -> None:
    """Whatever the text: as many places as words, each folding to a text that has the word in it, in order."""
    words = Words(text)
    assert words.cased == words_of(text, case=True) == fold(text).split()
    spans = [words.span(i) for i in range(len(words.cased))]
    assert spans == sorted(spans)
    for (start, end), word in zip(spans, words.cased, strict=True):
        assert word in fold(text[start:end]).split() or (start, end) == (0, len(text))
    for place in range(len(text) + 1):
        assert words.before(place) == sum(start < place for start, _ in spans)


@pytest.mark.parametrize("end", [" ", " é "])
def test_places_are_right_in_every_block_of_a_long_text(end: str) -> None:
    """Asked for in any order, far into a text, without a space for a long time too."""
    text = benign.prose(30_000) + end + "x-y." * 5000 + " " + benign.prose(9000)
    words = Words(text)
    expected = [m.span() for m in re.finditer(r"[^\W_]+", text)]
    assert [words.span(i) for i in reversed(range(len(expected)))] == expected[::-1]
    for at in range(0, len(text), 97):
        assert words.before(at) == sum(start < at for start, _ in expected)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1 << 30))
def test_every_entry_of_a_random_list_is_found(engine_of_many: tuple[Engine, list[str]], seed: int) -> None:
    """A random entry in random text is found at its place."""
    engine, entries = engine_of_many
    r = random.Random(seed)
    entry = r.choice(entries)
    before = benign.prose(r.randint(0, 300))
    text = f"{before} \u00ab{entry.upper()}\u00bb {benign.prose(50)}"
    assert ("own.projects", entry.upper()) in found(engine, text)


@pytest.fixture(scope="module")
def engine_of_many(tmp_path_factory: pytest.TempPathFactory) -> tuple[Engine, list[str]]:
    r = random.Random(5)
    entries = [
        " ".join("q" + "".join(r.choices(string.ascii_lowercase, k=7)) for _ in range(r.randint(1, 4)))
        for _ in range(3000)
    ]
    deployment = Deployment(tmp_path_factory.mktemp("many"))
    return dictionary(deployment, "\n".join(entries)), entries


def test_prose_has_no_entry(engine_of_many: tuple[Engine, list[str]]) -> None:
    """Half a megabyte of prose: nothing, and all of it read, the second time as the first."""
    for _ in range(2):
        seen = scan(engine_of_many[0], benign.prose(500_000))
        assert (seen.findings, seen.unread) == ((), ())


def test_what_was_absent_costs_nothing_again(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    """The words of a text that was read before are not looked up again."""
    monkeypatch.setattr(site, "REMEMBER", True)
    engine = dictionary(deployment, "quokka\n")
    text = benign.prose(20_000)
    _, first = engine.measure((part(text),))
    _, again = engine.measure((part(text),))
    assert first.own > 50
    assert again.own == 0


def test_absence_is_not_kept_where_hashes_can_be_foreseen() -> None:
    """With a fixed hash key a word could be made that passes for another: then nothing is remembered."""
    absent = Absent(used=False)
    absent.add(["a"])
    assert absent.others(["a"]) == ["a"]
    kept = Absent(used=True)
    kept.add(["a"])
    assert kept.others(["a", "b"]) == ["b"]


@pytest.mark.parametrize(
    ("content", "line", "said", "more"),
    [
        (b"good\n\xff\xfe\n", 2, "not UTF-8", {}),
        (b"good\nx\n", 2, "fewer than two letters", {}),
        (b"good\n" + b"x" * 501, 2, "longer than 500", {}),
        (b"a b c d e f g h i\n", 1, "more than 8 words", {}),
        (b"# only a comment\n", None, "has no entry", {}),
        (b"good\nx\n", 2, "one character", {"whole_words": False}),
        (b"\n", None, "has 0 entries", {"whole_words": False}),
    ],
)
def test_a_bad_list_is_refused_with_its_line(
    deployment: Deployment, content: bytes, line: int | None, said: str, more: dict[str, object]
) -> None:
    """Nothing of a bad list is loaded."""
    with pytest.raises(Misconfigured) as caught:
        dictionary(deployment, content, **more)
    assert caught.value.problems[0].line == line
    assert said in caught.value.problems[0].what


def test_a_dictionary_is_compiled_once(deployment: Deployment) -> None:
    """The second start reads the compiled form; a changed list is compiled anew; a damaged form too."""
    engine = dictionary(deployment)
    (kept,) = deployment.settings.cache_dir.glob("*.words")
    made = kept.stat().st_mtime_ns
    assert dictionary(deployment).digest == engine.digest
    assert kept.stat().st_mtime_ns == made
    kept.write_bytes(kept.read_bytes()[:-3] + b"xyz")
    assert len(found(dictionary(deployment), "zanzibar")) == 1
    assert dictionary(deployment, LIST + "other\n").digest != engine.digest
    assert len(list(deployment.settings.cache_dir.glob("*.words"))) == 2


# ------------------------------------------------------------------------------------------------------------- canaries


def canaries(deployment: Deployment, content: str, mode: int = 0o600) -> Engine:
    return deployment.engine(Own(canaries=(OwnFile(file=deployment.file("canaries.txt", content, mode)),)))


@pytest.mark.parametrize("count", [1, 40])
def test_a_canary_is_found_anywhere(deployment: Deployment, count: int) -> None:
    """Inside of words, beside anything, as often as it stands there; critical and certain; never in another case."""
    tokens = [f"Kq7-canary-{i:04d}Zz" for i in range(count)]
    engine = canaries(deployment, "# bait\n" + "\n".join(tokens) + "\n")
    text = f"abc{tokens[-1]}def http://x/{tokens[0]}?q é{tokens[0]}"
    findings = scan(engine, text).findings
    assert [text[f.start : f.end] for f in findings] == [tokens[-1], tokens[0], tokens[0]]
    assert {(f.data_class, f.severity, f.validated, f.confidence) for f in findings} == {
        ("canary.token", Severity.CRITICAL, True, 1.0)
    }
    assert scan(engine, tokens[0].upper()).findings == ()


def test_canaries_are_private(deployment: Deployment) -> None:
    """A list that others can read, one of short tokens and an empty one are refused."""
    with pytest.raises(Misconfigured, match="chmod 600"):
        canaries(deployment, "Kq7-canary-0001\n", 0o644)
    with pytest.raises(Misconfigured, match=r"canaries.txt:1: .*fewer than 8"):
        canaries(deployment, "short\n")
    with pytest.raises(Misconfigured, match="no canary token"):
        canaries(deployment, "#\n")


def test_a_canary_cannot_hide_behind_a_budget(deployment: Deployment) -> None:
    """Each list has a budget of its own: a million entries of one leave the other all of its own."""
    words = deployment.file("words.txt", "needle\nneedle two\n")
    tokens = deployment.file("canaries.txt", "Kq7-canary-0001\n")
    engine = deployment.engine(Own(dictionary=(OwnDictionary(file=words, name="n"),), canaries=(OwnFile(file=tokens),)))
    text = "needle needles " * 60_000 + "Kq7-canary-0001"
    assert "canary.token" in {f.data_class for f in scan(engine, text).findings}


def test_a_part_that_was_read_before_gives_the_same(deployment: Deployment) -> None:
    """The memory of parts keeps findings of the site's data too, and a changed list begins with an empty one."""
    table = OwnDictionary(file=deployment.file("words.txt", "quokka\n"), name="projects")
    own = deployment.load(Own(dictionary=(table,)))
    engine = Engine((EMAIL,), Fingerprinter(b"k" * 32, "t"), own=own, novelty=Novelty(b"n" * 32))
    first, again = (scan(engine, "a quokka") for _ in range(2))
    assert [f.data_class for f in first.findings] == ["own.projects"]
    assert first == again
    assert engine.digest != Engine((EMAIL,), Fingerprinter(b"k" * 32, "t")).digest
