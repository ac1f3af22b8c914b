"""Suppressions: what a site judged to be none is recorded and not counted, in its scope and until its end."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from copy import replace
from pathlib import Path

import msgspec
import pytest

import sluice.cli
from sluice import config, gate, inforce, recording, rulebook, suppressions
from sluice.errors import Misconfigured
from sluice.explain import exchange_of
from sluice.identity import Resolver
from sluice.ledger.record import decode, encode
from sluice.model import (
    Action,
    Assurance,
    Finding,
    Match,
    Mode,
    Provenance,
    Rulebook,
    Severity,
    Status,
    Subject,
    Target,
)
from sluice.ship import native
from sluice.targets.columns import end_of_day

CARD, OTHER = "5425233430109903", "4539578763621486"  # pass Luhn, issued by nobody
TODAY = dt.date(2026, 11, 24)
AT = end_of_day(TODAY) - 1
ENTRY = """
[[suppression]]
id = "orders"
detector = "payment.card-number"
owner = "ana@example.com"
reason = "Order numbers"
expires = 2026-12-31
"""
TARGET = Target("openai", "openai", "api", "api", "openai", Status.UNREVIEWED, Mode.ENFORCE, "api.openai.com")
SUBJECT = Subject("service:billing", "service", "map", Assurance.MAPPED)
FINDING = Finding(
    detector="payment.card-number", rev=1, data_class="financial.card", severity=Severity.HIGH, pointer="/x",
    start=0, end=16, validated=True, confidence=0.9, fingerprint="ab" * 16, provenance=Provenance.USER,
)  # fmt: skip


@pytest.fixture
def load(tmp_path: Path) -> Callable[[str], suppressions.Suppressions]:
    def read(text: str) -> suppressions.Suppressions:
        file = tmp_path / "suppressions.toml"
        file.write_text(text)
        return suppressions.load(
            file,
            detectors={"payment.card-number"},
            classes={"financial.card", "secret.token"},
            providers={"openai"},
            today=TODAY,
        )

    return read


type Load = Callable[[str], suppressions.Suppressions]


def marked(found: suppressions.Suppressions, finding: Finding = FINDING, at: int = AT, **who: object) -> str | None:
    target = replace(TARGET, provider=str(who.get("provider", "openai")))
    subject = replace(SUBJECT, id=str(who.get("subject", SUBJECT.id)))
    (one,) = found.mark((finding,), target, subject, str(who.get("route", "openai.chat")), at)
    return one.suppressed


def test_a_finding_in_scope_names_its_suppression(load: Load) -> None:
    """By detector or by class; another detector's finding is untouched."""
    assert marked(load(ENTRY)) == "orders"
    by_class = load(ENTRY.replace('detector = "payment.card-number"', 'class = "financial.*"'))
    assert marked(by_class) == "orders"
    assert marked(by_class, replace(FINDING, data_class="secret.token")) is None
    assert marked(load(ENTRY), replace(FINDING, detector="bank.iban")) is None


@pytest.mark.parametrize(
    ("line", "fits", "misses"),
    [
        ('provider = "openai"', {}, {"provider": "anthropic"}),
        ('subject = "service:*"', {}, {"subject": "user:eve"}),
        ('route = "openai.*"', {}, {"route": "anthropic.messages"}),
    ],
)
def test_every_part_of_a_scope_must_fit(load: Load, line: str, fits: dict[str, str], misses: dict[str, str]) -> None:
    """Provider, subject and route narrow a suppression; one that does not fit keeps the finding."""
    found = load(ENTRY + line)
    assert marked(found, **fits) == "orders"
    assert marked(found, **misses) is None


def test_a_fingerprint_is_one_value(load: Load) -> None:
    """Only the value with that fingerprint is suppressed."""
    found = load(ENTRY + f'fingerprint = "{"ab" * 16}"')
    assert marked(found) == "orders"
    assert marked(found, replace(FINDING, fingerprint="cd" * 16)) is None


def test_it_ends_with_its_last_day(load: Load) -> None:
    """In force to the end of the day of `expires`, UTC, and not a nanosecond longer; then it is a warning."""
    found = load(ENTRY)
    end = end_of_day(dt.date(2026, 12, 31))
    assert marked(found, at=end - 1) == "orders"
    assert marked(found, at=end) is None
    assert found.expired(end - 1) == []
    (warning,) = found.expired(end)
    assert warning.line == 2
    assert "`orders` of ana@example.com ended on 2026-12-31" in warning.what


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        (ENTRY.replace('owner = "ana@example.com"\n', ""), 2, "missing required field `owner`"),
        (ENTRY.replace("expires = 2026-12-31\n", ""), 2, "missing required field `expires`"),
        (ENTRY.replace("expires = 2026-12-31", 'expires = "never"'), 7, "invalid"),
        (ENTRY.replace("2026-12-31", "2028-01-01"), 7, "judge it again within a year"),
        (ENTRY.replace('reason = "Order numbers"', 'reason = ""'), 6, "length >= 1"),
        (ENTRY + 'ownr = "x"\n', 8, "unknown key `ownr`"),
        (ENTRY + 'class = "financial.card"\n', 4, "one of the two"),
        (ENTRY.replace("payment.card-number", "payment.card-numbr"), 4, "no detector `payment.card-numbr`"),
        (ENTRY.replace('detector = "payment.card-number"', 'class = "finan.*"'), 4, "fits no class"),
        (ENTRY.replace('detector = "payment.card-number"', 'class = "*"'), 4, "everything is no scope"),
        (ENTRY + 'provider = "opnai"\n', 8, "no provider `opnai`"),
        (ENTRY + f'fingerprint = "{CARD}"\n', 8, "32 hexadecimal digits"),
        (ENTRY + ENTRY, 10, "is there twice"),
        (ENTRY.replace('"orders"', '"Or ders"'), 3, "lower case"),
        ("supression = []\n", 1, "unknown key `supression`"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(load: Load, text: str, line: int, what: str) -> None:
    """Owner, reason and end are required, names must exist, and nothing may be unscoped or endless."""
    with pytest.raises(Misconfigured) as refused:
        load(text)
    (problem,) = refused.value.problems
    assert what in problem.what
    assert problem.line == line


# ------------------------------------------------------------------------------------------------- through the gate


def book(tmp_path: Path, text: str | None, at: int = AT) -> tuple[Rulebook, config.Settings]:
    settings = config.load(None, environ={"SLUICE_PATHS__VAR": str(tmp_path / "var")})
    if text is not None:
        (tmp_path / "s.toml").write_text(text)
        paths = msgspec.structs.replace(settings.paths, suppressions=tmp_path / "s.toml")
        settings = msgspec.structs.replace(settings, paths=paths)
    return rulebook.load(settings, clock=lambda: at), settings


def test_a_suppressed_finding_is_recorded_and_does_not_block(tmp_path: Path) -> None:
    """A card that would block passes while suppressed, its match names the suppression on the way to ClickHouse and
    back; another card beside it blocks; and after the end the first one blocks again."""
    free, settings = book(tmp_path, None)
    resolver = Resolver.load(settings)

    def inspect(with_book: Rulebook, prompt: str, at: int = AT) -> tuple[Action, dict[str, str | None]]:
        body = {"model": "gpt-4o", "messages": [{"role": "user", "content": prompt}]}
        request: dict[str, object] = {"host": "api.openai.com", "path": "/v1/chat/completions", "body": body}
        exchange = exchange_of(request, at=at)
        seen = gate.inspect(exchange, with_book, settings.limits, resolver)
        record = recording.decision_record(exchange, seen, with_book, settings.evidence)
        again = decode(encode(record))
        assert CARD not in encode(record).decode()
        shipped = native.block([encode(record)])
        assert CARD.encode() not in shipped
        assert (b"orders" in shipped) is any(m.suppressed for m in again.matches or ())
        matches: tuple[Match, ...] = again.matches or ()
        cards = {m.fingerprint: m.suppressed for m in matches if m.data_class == "financial.card"}
        if all(cards.values()):
            assert "financial.card" not in (again.data_classes or ())
            assert again.max_severity in (None, "info", "low")
        return seen.decision.action, cards

    blocked, cards = inspect(free, f"card {CARD}")
    assert blocked is Action.BLOCK
    (fingerprint,) = cards
    assert cards == {fingerprint: None}
    text = ENTRY + f'fingerprint = "{fingerprint}"\n'
    judged, _ = book(tmp_path, text)
    assert inspect(judged, f"card {CARD}") == (Action.ALLOW, {fingerprint: "orders"})
    action, both = inspect(judged, f"card {CARD} and card {OTHER}")
    assert action is Action.BLOCK
    assert sorted(both.values(), key=str) == [None, "orders"]
    assert inspect(judged, f"card {CARD}", end_of_day(dt.date(2026, 12, 31))) == (Action.BLOCK, {fingerprint: None})


def test_they_are_part_of_what_is_in_force(tmp_path: Path) -> None:
    """The rulebook's digest changes with the file, the load is on record, and so is the end of one."""
    free, _ = book(tmp_path, None)
    judged, _ = book(tmp_path, ENTRY)
    other, _ = book(tmp_path, ENTRY.replace("Order", "order"))
    assert len({free.digest, judged.digest, other.digest}) == 3
    current = inforce.now(judged, "", AT)
    events = dict(inforce.events(current, inforce.now(free, "", AT), judged))
    assert events["suppressions_load"]["sha256"] == current.suppressions
    assert "suppressions_load" not in dict(inforce.events(inforce.now(free, "", AT), None, free))
    end = end_of_day(dt.date(2026, 12, 31))
    deadlines = inforce.Deadlines(judged, AT)
    assert deadlines.passed(end - 1) == []
    assert deadlines.passed(end) == [("suppression_expired", {"ended": end // 1_000_000_000})]


def test_check_warns_of_an_end_that_has_passed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`sluice check` names the one that ended, with its owner, and calls the settings sound; a wrong file is not."""
    (tmp_path / "s.toml").write_text(ENTRY.replace("2026-12-31", "2025-12-31"))
    (tmp_path / "sluice.toml").write_text('[paths]\nsuppressions = "s.toml"\n')

    def check() -> int:
        with pytest.raises(SystemExit) as ended:
            sluice.cli.main(["check", "--config", str(tmp_path / "sluice.toml")])
        return int(ended.value.code or 0)

    assert check() == 0
    assert "s.toml:2: suppression `orders` of ana@example.com ended on 2025-12-31" in capsys.readouterr().err
    (tmp_path / "s.toml").write_text(ENTRY.replace("payment.card-number", "no.such"))
    assert check() == 2
    assert "s.toml:4: orders: detector: there is no detector `no.such`" in capsys.readouterr().err
