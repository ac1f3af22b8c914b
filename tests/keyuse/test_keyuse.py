"""Keys that were seen working: learnt from answers, found again in prompts, shared between workers."""

from __future__ import annotations

from pathlib import Path

from sluice import keyuse
from sluice.identity.owners import Owners
from sluice.keyuse import KnownKeys
from sluice.model import Credential, Finding, Outcome, Ownership, Provenance, Severity

FP = "ab" * 16
KEY = Credential("", "", FP, "")


def outcome(key: str | None = FP, status: int | None = 200, organisation: str | None = None) -> Outcome:
    return Outcome(exchange_id="i", forwarded=True, upstream_status=status, org_id_seen=organisation, key=key)


def finding(fingerprint: str = FP, data_class: str = "secret.ai-key", *, example: bool = False) -> Finding:
    return Finding(
        "openai.project-key", 1, data_class, Severity.HIGH, "/m", 0, 9, True, 1.0, fingerprint, Provenance.USER,
        example=example,
    )  # fmt: skip


def test_a_key_that_works_is_live_in_a_prompt() -> None:
    """Only 2xx makes a key live; then a finding of it is critical, and no sample, other class or other key is."""
    keys = KnownKeys()
    for status in (None, 400, 401, 403, 429, 500):
        keys.answered(outcome(status=status), frozenset())
    assert not keys.marked((finding(),))[0].live
    keys.answered(outcome(), frozenset())
    found = keys.marked((finding(), finding("00" * 16), finding(data_class="financial.card"), finding(example=True)))
    assert [(f.live, f.severity) for f in found] == [(True, Severity.CRITICAL)] + [(False, Severity.HIGH)] * 3


def test_the_organisation_of_the_answer_says_whose_it_is() -> None:
    """Corporate by the site's list, personal otherwise, and nothing where answer or list says nothing."""
    keys, ours = KnownKeys(), frozenset({"org-acme"})
    assert keys.ownership(Owners(), KEY, "openai", 1) is Ownership.UNKNOWN
    assert keys.answered(outcome(organisation="org-acme"), frozenset()) is None
    assert keys.answered(outcome(), ours) is None
    assert keys.answered(outcome(organisation="org-acme"), ours) is Ownership.CORPORATE
    assert keys.ownership(Owners(), KEY, "openai", 1) is Ownership.CORPORATE
    assert keys.answered(outcome("cd" * 16, organisation="user-x"), ours) is Ownership.PERSONAL
    assert keys.answered(outcome("cd" * 16), ours) is None
    assert keys.ownership(Owners(), Credential("", "", "cd" * 16, ""), "openai", 1) is Ownership.PERSONAL


def test_workers_and_the_next_start_share_it(tmp_path: Path) -> None:
    """What one worker saw, the others know at their next look, and a new one after its first."""
    one, two, three = KnownKeys(), KnownKeys(), KnownKeys()
    one.answered(outcome(), frozenset())
    for keys in (one, two, three):
        keys.exchange(tmp_path)
    two.answered(outcome("cd" * 16, organisation="o"), frozenset({"o"}))
    for keys in (two, one):
        keys.exchange(tmp_path)
    new = KnownKeys()
    new.exchange(tmp_path)
    assert ("cd" * 16 in one, FP in two, FP in three) == (True, True, True)
    assert (FP in new, "cd" * 16 in new) == (True, True)
    assert new.ownership(Owners(), Credential("", "", "cd" * 16, ""), "x", 1) is Ownership.CORPORATE
    assert (tmp_path / keyuse.FILE).stat().st_mode & 0o777 == 0o600


def test_a_broken_or_removed_file_does_no_harm(tmp_path: Path) -> None:
    """Rubbish in the file is passed over, and a file that is gone is begun again."""
    (tmp_path / keyuse.FILE).write_bytes(b"\xff\xfe rubbish\n" + FP.encode() + b" nobody\n")
    keys = KnownKeys()
    keys.exchange(tmp_path)
    assert len(keys) == 0
    (tmp_path / keyuse.FILE).unlink()
    keys.answered(outcome(), frozenset())
    keys.exchange(tmp_path)
    assert FP in (tmp_path / keyuse.FILE).read_text()


def test_the_memory_is_bounded() -> None:
    """Ever new keys push out the oldest."""
    keys = KnownKeys()
    for n in range(keyuse.MOST + 100):
        keys.answered(outcome(f"{n:032x}"), frozenset())
    assert len(keys) == keyuse.MOST
    assert f"{0:032x}" not in keys
