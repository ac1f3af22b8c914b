"""A site's allow lists: exactly the values that they match whole are no findings, of that detector alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from sluice import config
from sluice.detect import lint, packs, tracing
from sluice.detect.engine import Engine, scan_text
from sluice.detect.evidence import Fingerprinter
from sluice.errors import Misconfigured
from sluice.model import Detector, Part, PartKind, Provenance, Role

CARD, OTHER = "5425233430109903", "4539578763621486"  # pass Luhn, issued by nobody
OVERLAY = (
    'family = "site"\n[[overlay]]\ndetector = "payment.card-number"\nallow = ["5425[0-9]{12}"]\nreason = "orders"\n'
)
SIGNATURES = config.signatures_dir()
SHIPPED = [SIGNATURES / "packs" / f"{pack}.toml" for pack in ("payment", "registers")]
"""The pack of the card numbers, and the one that it names."""


def load(tmp_path: Path, text: str) -> tuple[Detector, ...]:
    (tmp_path / "site.toml").write_text(text)
    return packs.load([*SHIPPED, tmp_path], SIGNATURES / "vocabulary.toml")


def engine(detectors: tuple[Detector, ...]) -> Engine:
    chosen = [d for d in detectors if d.id == "payment.card-number"]
    return Engine(chosen, Fingerprinter(bytes(32), "test"))


def test_only_what_is_allowed_is_left_out(tmp_path: Path) -> None:
    """The allowed value is no finding, another one is, and so is a longer one that only begins alike."""
    site, plain = engine(load(tmp_path, OVERLAY)), engine(load(tmp_path, 'family = "site"\n'))
    text = f"card {CARD} and card {OTHER}"
    assert [f.start for f in scan_text(plain, text).findings] == [5, 31]
    assert [f.start for f in scan_text(site, text).findings] == [31]
    assert site.digest != plain.digest
    partial = engine(load(tmp_path, OVERLAY.replace("5425[0-9]{12}", "5425[0-9]{4}")))
    assert [f.start for f in scan_text(partial, text).findings] == [5, 31]


def test_explain_says_that_it_was_allowed(tmp_path: Path) -> None:
    """The trace of a value that the site allows names the allow list."""
    part = Part("", Role.USER, PartKind.TEXT, Provenance.USER, f"card {CARD}")
    _, (trace,) = tracing.explain(engine(load(tmp_path, OVERLAY)), (part,))
    assert (trace.outcome, trace.why) == ("dropped", "on the allow list of this site")


def test_a_shipped_revision_stays_what_it_is(tmp_path: Path) -> None:
    """An overlay is the site's word about a detector: the reviewed revision is still the one that is recorded."""
    site = load(tmp_path, OVERLAY)
    recorded = lint.read_lock(SIGNATURES / lint.LOCK)
    assert any(d.allow for d in site)
    assert all(lint.content_digest(d) == recorded[d.id][1] for d in site)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (("payment.card-number", "no.such"), "there is no detector `no.such`"),
        (("5425[0-9]{12}", "5425.*"), "give every repeat an upper bound"),
        (("5425[0-9]{12}", "5"), "fewer than 3 required characters"),
        (("5425[0-9]{12}", "(5425"), "not a regular expression"),
        (('reason = "orders"\n', ""), "missing required field `reason`"),
        (("allow", "alow"), "unknown key `alow`"),
    ],
)
def test_a_wrong_overlay_is_named(tmp_path: Path, change: tuple[str, str], what: str) -> None:
    """Names must exist, expressions be bounded and say something, and a reason must be given."""
    with pytest.raises(Misconfigured) as refused:
        load(tmp_path, OVERLAY.replace(*change))
    assert any(what in p.what and p.file.endswith("site.toml") and p.line for p in refused.value.problems)
