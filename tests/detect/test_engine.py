"""The engine finds what `re` finds, says where, and never says what."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice.detect import passwords
from sluice.detect.engine import Engine, oracle, scan_text
from sluice.detect.evidence import Fingerprinter
from sluice.detect.examples import expand
from sluice.errors import Cause, Unavailable
from sluice.model import (
    Detector,
    Finding,
    Part,
    PartKind,
    Provenance,
    RawCredential,
    Role,
    Severity,
)

CARD = "4111 1111 1111 1111"
KEY = expand("AKIA{base32*16}", "engine/key")
SSN = "536-90-4399"


def part(text: str, pointer: str = "/x", provenance: Provenance = Provenance.USER) -> Part:
    return Part(pointer, Role.USER, PartKind.TEXT, provenance, text)


def found(engine: Engine, text: str) -> dict[str, str]:
    """Detector -> the stretch of the text that it names."""
    return {f.detector: text[f.start : f.end] for f in scan_text(engine, text).findings}


def detector(pattern: str, **more: object) -> Detector:
    """A detector for one test."""
    fields: dict[str, object] = {"id": "test.one", "rev": 1, "title": "t", "why": "w", "data_class": "secret.token"}
    fields |= {"severity": Severity.HIGH, "regulations": (), "pattern": pattern} | more
    return Detector(**fields)  # type: ignore[arg-type]


def lone(*detectors: Detector) -> Engine:
    return Engine(detectors, Fingerprinter(b"k" * 32, "test"))


# --------------------------------------------------------------------------------------------------------- spans


@settings(deadline=None, max_examples=60)
@given(
    before=st.text(max_size=30),
    after=st.text(max_size=30),
    value=st.sampled_from([CARD, KEY, SSN, "jane.doe@example.com", "DE89 3704 0044 0532 0130 00"]),
)
def test_spans_are_code_points_of_the_text(engine: Engine, before: str, after: str, value: str) -> None:
    """Whatever stands around a value, astral characters and newlines included, the span names exactly the value."""
    text = f"{before}\n {value} \n{after}"
    spans = [(f.start, f.end) for f in scan_text(engine, text).findings if value in text[f.start : f.end]]
    assert (len(before) + 2, len(before) + 2 + len(value)) in spans


@settings(deadline=None, max_examples=60)
@given(st.lists(st.sampled_from(["ab", "-", "12", " ", "é", "😀", "\n", "key-", "x" * 9, "1" * 9]), max_size=14))
def test_engine_agrees_with_re(pieces: list[str]) -> None:
    """On any text the engine finds exactly the matches of the pattern: hyperscan only says where to look."""
    engine = lone(detector(r"\b(key-[a-z0-9é]{2,40}|\d{4,12}-\d{2})\b", data_class="business.registration"))
    text = "".join(pieces)
    spans = [(f.start, f.end) for f in scan_text(engine, text).findings]
    assert spans == oracle(engine, text)


@pytest.mark.parametrize(
    "text",
    [
        f"{KEY} {KEY}",
        f"{KEY},{KEY},{KEY}",
        f"{KEY}\n{KEY}",
    ],
)
def test_neighbours_share_their_boundary(engine: Engine, text: str) -> None:
    """Two values with one separator between them are two findings."""
    assert len([f for f in scan_text(engine, text).findings if f.detector == "aws.access-key-id"]) == text.count(KEY)


def test_parts_are_scanned_together_and_told_apart(engine: Engine) -> None:
    """A finding names the part it lies in, with its pointer and provenance, and offsets of that part alone."""
    parts = (
        part("nothing here", "/a"),
        part(f"é {KEY}", "/b", Provenance.TOOL_RESULT),
        part("", "/c"),
        part(f"{SSN}", "/d", Provenance.SYSTEM),
    )
    findings = engine.scan(parts).findings
    assert [(f.pointer, f.start, f.provenance) for f in findings] == [
        ("/b", 2, Provenance.TOOL_RESULT),
        ("/d", 0, Provenance.SYSTEM),
    ]


def test_a_value_never_reaches_over_two_parts(engine: Engine) -> None:
    """What stands in two parts is not one value, though the parts are scanned as one buffer."""
    assert engine.scan((part(KEY[:10]), part(KEY[10:]))).findings == ()
    assert engine.scan((part("password:"), part("h7Kq-29xLm"))).findings == ()


@pytest.mark.parametrize(
    "write",
    [
        lambda v: "".join(f"\\u{ord(c):04x}" for c in v),
        lambda v: "".join(f"&#{ord(c)};" for c in v),
        lambda v: "".join(f"%{ord(c):02x}" for c in v),
        lambda v: "\u200b".join(v),
        lambda v: "".join(chr(ord(c) + 0xFEE0) if c != " " else "\u3000" for c in v),
        lambda v: "".join(f"%25{ord(c):02x}" for c in v),
        lambda v: "".join(f"&#37;{ord(c):02x}" for c in v),
    ],
    ids=["json", "entities", "percent", "zero-width", "full-width", "percent twice", "entity of percent"],
)
@pytest.mark.parametrize("value", [CARD, KEY], ids=["card", "key"])
def test_disguise_is_seen_through(engine: Engine, write: Callable[[str], str], value: str) -> None:
    """A disguised value is found, has the fingerprint of the plain one, and the span of what was sent."""
    disguised = write(value)
    text = f"look: {disguised} end"
    (finding,) = scan_text(engine, text).findings
    assert text[finding.start : finding.end] == disguised
    (plain,) = scan_text(engine, value).findings
    assert finding.fingerprint == plain.fingerprint


def test_base64_is_read(engine: Engine) -> None:
    """A key inside base64 is found, and the span lies in the base64."""
    text = f"data: {expand('{base64:' + 'aws_access_key_id = ' + KEY + '}', 's')} end"
    (finding,) = scan_text(engine, text).findings
    assert finding.detector == "aws.access-key-id"
    assert 6 <= finding.start < finding.end <= len(text) - 4


# ----------------------------------------------------------------------------------------------------- judgement


@given(st.lists(st.sampled_from(["A" * 23, "b0+/" * 6, "-_" * 12, " ", "=", "\n", "é", "x" * 24, "."]), max_size=6))
def test_runs_that_could_be_base64_are_noticed(engine: Engine, pieces: list[str]) -> None:
    """The pre-check agrees with a plain regular expression: nothing that could be base64 is passed over."""
    data = "".join(pieces).encode()
    assert engine.databases.has_runs(data) == bool(re.search(rb"[A-Za-z0-9+/_-]{24}", data))


def test_required_keyword_opens_a_window() -> None:
    """A weak pattern is looked for near its keywords only, before and behind, and as far as `within` says."""
    engine = lone(
        detector(
            r"\b(\d{9})\b", data_class="government.national-id", keywords=("badge",), keyword_use="require", within=20
        )
    )
    near = ["badge 123456789", "123456789 (badge)", "user_badge=123456789", "BADGE: 123456789"]
    far = ["123456789", "badges 123456789", "badge" + " " * 30 + "123456789", "xbadge 123456789"]
    assert [bool(scan_text(engine, t).findings) for t in near] == [True] * len(near)
    assert [bool(scan_text(engine, t).findings) for t in far] == [False] * len(far)


def test_keyword_is_a_whole_word_of_any_length() -> None:
    """Short or long, in any script, a keyword inside a longer word is none; `_` and an escape end a word."""
    for word in ("nas", "personnummer", "บัตรประชาชน", "आधार"):
        engine = lone(detector(r"\b(\d{9})\b", keywords=(word,), keyword_use="require", within=20))
        for text in (
            f"{word} 123456789",
            f"x_{word}_no 123456789",
            f"a\\n{word}: 123456789",
            f"{word.upper()}: 123456789",
        ):
            assert len(scan_text(engine, text).findings) == 1, text
        if word.isascii():
            assert not scan_text(engine, f"x{word} 123456789").findings
            assert not scan_text(engine, f"{word}s 123456789").findings


def test_windows_of_many_keywords_are_joined() -> None:
    """A value in the reach of several keywords is one finding."""
    engine = lone(detector(r"\b(\d{9})\b", keywords=("badge",), keyword_use="require", within=40))
    scan = scan_text(engine, "badge badge 123456789 badge 987654321 badge")
    assert len(scan.findings) == 2


def test_keyword_nearby_raises_the_confidence(engine: Engine) -> None:
    """`boost` keywords say how sure, not whether."""
    (alone,) = scan_text(engine, f"xx {CARD}").findings
    (near,) = scan_text(engine, f"Visa {CARD}").findings
    assert alone.confidence < near.confidence
    assert alone.validated is near.validated is True


def test_failing_validator_drops_the_hit(engine: Engine) -> None:
    """A number whose check digit is wrong is none."""
    assert scan_text(engine, "4111 1111 1111 1112").findings == ()


def test_detector_without_validator_says_none() -> None:
    """`validated` is None where nothing could be checked, so that a policy can tell the cases apart."""
    (finding,) = scan_text(lone(detector(r"\bzq[0-9]{8}\b")), "key zq12345678").findings
    assert finding.validated is None


def test_failed_start_does_not_hide_the_next(engine: Engine) -> None:
    """A number that fails in front of one that passes does not swallow it."""
    text = "ref 1234 4111 1111 1111 1111"
    assert found(engine, text)["payment.card-number"] == CARD


@pytest.mark.parametrize(
    "text",
    [
        "AKIAIOSFODNN7EXAMPLE",
        "password = 'changeme'",
        'password: "your-password"',
        "OPENAI_API_KEY=sk-proj-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        "postgres://postgres:postgres@localhost/app",
        "Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
    ],
)
def test_examples_are_told_and_harmless(engine: Engine, text: str) -> None:
    """A documented sample or placeholder is reported as such, at severity info."""
    findings = [f for f in scan_text(engine, text).findings if f.data_class.startswith("secret.")]
    assert findings
    assert all(f.example and f.severity is Severity.INFO and f.confidence < 0.5 for f in findings)


@pytest.mark.parametrize(
    "text",
    [
        "password: see below",
        'password = os.environ["DB_PASSWORD"]',
        "password=${DB_PASSWORD}",
        "password=<password>",
        "password = config.get('x')",
        "password := viper.GetString(name)",
        'password: "{{ vault_password }}"',
        "api_key = settings.api_key",
    ],
)
def test_references_are_nothing(engine: Engine, text: str) -> None:
    """Where a password comes from is no password."""
    assert scan_text(engine, text).findings == ()


def test_most_specific_detector_wins(engine: Engine) -> None:
    """A GitHub token in a secret's assignment is a GitHub token, once."""
    token = expand("{github:ghp}", "engine/gh")
    assert found(engine, f"SECRET_TOKEN={token}") == {"github.personal-token": token}


def test_a_card_in_an_account_number_is_seen(engine: Engine) -> None:
    """An IBAN, which may be allowed, does not hide the card number in it, which may not."""
    text = "IBAN PL30 2490 1028 4519 9619 8391 4549"
    assert set(found(engine, text)) == {"payment.iban", "payment.card-number"}


def test_a_key_glued_to_a_password_hides_neither(engine: Engine) -> None:
    """The password stays beside the key at its end: a policy may allow one of the two."""
    assert set(found(engine, f"db_password = Xk9!vTq2mZ+{KEY}")) == {"generic.password-plain", "aws.access-key-id"}


def test_a_url_with_a_password_shows_no_address(engine: Engine) -> None:
    """`password@host` in a database URL is not taken for somebody's mail address."""
    assert set(found(engine, "postgres://admin:Xk9vTq2mZ@db.corp.net/prod")) == {"database.postgres-url"}


# --------------------------------------------------------------------------------------- determinism and threads

_PROGRAM = """
import json, sys
from sluice import config
from sluice.detect import packs
from sluice.detect.engine import Engine, scan_text
from sluice.detect.evidence import Fingerprinter
root = config.signatures_dir()
engine = Engine(packs.load([root / "packs"], root / "vocabulary.toml"), Fingerprinter(b"k" * 32, "test"))
texts = json.load(sys.stdin)
out = [[repr(f) for f in scan_text(engine, t).findings] for t in texts]
print(json.dumps([engine.digest, engine.versions, out]))
"""


def test_same_findings_in_any_process(engine: Engine, detectors: tuple[Detector, ...]) -> None:
    """A process with another hash seed finds the same, in the same order, under the same digest."""
    texts = ["\n".join(d.match) for d in detectors[::5]]
    seed = "2" if os.environ.get("PYTHONHASHSEED") == "1" else "1"
    said = subprocess.run(
        [sys.executable, "-c", _PROGRAM],
        input=json.dumps(texts),
        capture_output=True,
        text=True,
        check=True,
        timeout=110,
        env={"PYTHONHASHSEED": seed, "PATH": "/usr/bin:/bin"},
    ).stdout
    digest, _, out = json.loads(said)
    assert digest == engine.digest
    assert out == [[repr(f) for f in scan_text(engine, t).findings] for t in texts]


def test_scans_from_many_threads(engine: Engine, detectors: tuple[Detector, ...]) -> None:
    """Scratch space is per thread: eight threads at once find what one finds."""
    texts = ["\n".join(d.match) for d in detectors[::3]]
    expected = [scan_text(engine, t).findings for t in texts]
    wrong: list[int] = []

    def work() -> None:
        wrong.extend(i for i, t in enumerate(texts) if scan_text(engine, t).findings != expected[i])

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_digest_moves_with_anything_that_can_change_a_finding(detectors: tuple[Detector, ...]) -> None:
    """A record's digest names exactly these detectors; words about them do not count."""
    base = lone(detector(r"\b(abcd\d{4})\b")).digest
    assert lone(detector(r"\b(abcd\d{4})\b", title="other", why="other")).digest == base
    assert lone(detector(r"\b(abcd\d{5})\b")).digest != base
    assert lone(detector(r"\b(abcd\d{4})\b", severity=Severity.LOW)).digest != base
    assert lone(detector(r"\b(abcd\d{4})\b", rev=2)).digest != base


# -------------------------------------------------------------------------------------------- plaintext ends here


def test_no_plaintext_in_what_leaves(engine: Engine, detectors: tuple[Detector, ...]) -> None:
    """For every example of every detector: the finding, printed, holds nothing of the value but an allowed mask.

    A marking is the name of its own class, and a word of a dictionary may be part of one: they are not secret.
    """
    for d in detectors:
        if d.data_class.startswith("marking.") or d.keyword_use == "word":
            continue
        for text in d.match:
            for f in scan_text(engine, text).findings:
                value = text[f.start : f.end]
                shown = repr(f)
                assert value not in shown
                if f.mask is None:
                    assert value[-6:] not in shown.replace(f.fingerprint, "")


def test_only_cards_and_ibans_leave_a_hint(engine: Engine, detectors: tuple[Detector, ...]) -> None:
    """The last four digits of a card, country and last four of an IBAN; nothing of a secret or a government number."""
    masked = {f.data_class for d in detectors for t in d.match for f in scan_text(engine, t).findings if f.mask}
    assert masked == {"financial.card", "financial.iban"}
    (card,) = scan_text(engine, CARD).findings
    assert card.mask == "****1111"
    assert CARD not in repr(part(CARD))


def test_failure_carries_no_text(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception from within may hold the prompt; what is raised holds its kind and its place only."""
    canary = "canary-7f3a91"

    def fail(_: object) -> bool:
        raise ValueError(canary)

    monkeypatch.setattr(passwords, "placeholder", fail)
    with pytest.raises(Unavailable) as caught:
        scan_text(engine, f"{canary} {KEY}")
    error = caught.value
    assert error.cause is Cause.SCAN_ERROR
    assert error.__context__ is None
    assert error.__cause__ is None
    assert canary not in str(error)
    assert "ValueError" in str(error)


def test_failed_sealing_carries_no_key(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same for the credential of a request."""
    canary = "sk-proj-canary-7f3a91"

    def fail(*_: object) -> object:
        raise RuntimeError(canary)

    monkeypatch.setattr("sluice.detect.credentials.seal_credential", fail)
    with pytest.raises(Unavailable) as caught:
        engine.seal_credential(RawCredential("header:authorization", canary))
    assert canary not in str(caught.value)
    assert caught.value.__context__ is None


def test_findings_are_findings(engine: Engine) -> None:
    """What leaves is `model.Finding` with the fields that policy and record read."""
    (f,) = engine.scan((part(f"x {SSN}", "/messages/0/content", Provenance.HISTORY),)).findings
    assert isinstance(f, Finding)
    assert (f.detector, f.data_class, f.pointer, f.start, f.end) == (
        "us.ssn",
        "government.ssn",
        "/messages/0/content",
        2,
        13,
    )
    assert (f.validated, f.novelty, f.example, f.status) == (True, "new", False, "stable")
    assert f.provenance is Provenance.HISTORY
    assert len(f.fingerprint) == 32


@settings(deadline=None, max_examples=80)
@given(st.lists(st.text(max_size=60), max_size=5))
def test_never_raises_on_any_text(engine: Engine, texts: list[str]) -> None:
    """Lone surrogates, controls, anything: a scan ends with a result."""
    scan = engine.scan(tuple(part(t, str(i)) for i, t in enumerate(texts)))
    assert scan.unread == ()
    assert scan.scanned_bytes == sum(len(t.encode("utf-8", "replace")) for t in texts)


@settings(deadline=None, max_examples=40)
@given(st.binary(max_size=200))
def test_never_raises_on_any_bytes(engine: Engine, data: bytes) -> None:
    """Bytes read as latin-1 or with surrogates in their place are texts too."""
    scan_text(engine, data.decode("latin-1"))
    scan_text(engine, data.decode("utf-8", "surrogateescape"))
