"""Rotation without an outage: stage, export both, activate, retire. A client trusts the bundle all the way."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509 import verification

from sluice import ca
from sluice.ca import Authority
from sluice.config import Ca
from sluice.errors import Misconfigured


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    path = tmp_path / "ca"
    ca.init(path, Ca(), node="node-1")
    return path


def bundle(directory: Path) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(ca.export(directory, "pem"))


def accepts(anchors: list[x509.Certificate], authority: Authority) -> bool:
    """Whether a client with these anchors verifies a leaf of this authority."""
    store = verification.Store(anchors)
    verifier = verification.PolicyBuilder().store(store).build_server_verifier(x509.DNSName("api.openai.com"))
    try:
        verifier.verify(authority.leaf(["api.openai.com"]).cert, [])
    except verification.VerificationError:
        return False
    return True


def test_init_is_made_once(directory: Path) -> None:
    """A second `init` changes nothing and says so."""
    first = ca.show(directory)
    again = ca.init(directory, Ca())
    assert (again.created, again.sha256) == (False, first.sha256)


def test_a_client_that_has_the_bundle_never_fails(directory: Path) -> None:
    """The whole rotation: with the bundle of the staging day, old and new leaves verify before and after."""
    old = Authority.load_or_create(directory, Ca())
    ca.stage(directory, Ca(), node="node-1")
    prepared = bundle(directory)
    assert len(prepared) == 2
    still_old = Authority.load_or_create(directory, Ca())
    assert still_old.certificate == old.certificate
    ca.activate(directory)
    new = Authority.load_or_create(directory, Ca())
    assert new.certificate != old.certificate
    for authority in (old, still_old, new):
        assert accepts(prepared, authority)
    assert not accepts([old.certificate], new)


def test_the_overlap_lasts_until_it_is_retired(directory: Path) -> None:
    """After activation the old certificate stays in the bundle (other nodes may still use it), until `retire`."""
    old = ca.show(directory)
    ca.stage(directory, Ca())
    staged = ca.show(directory).staged
    assert staged is not None
    assert staged.key == directory / "next.key"
    info = ca.activate(directory)
    assert (info.sha256, info.staged) == (staged.sha256, None)
    assert [p.sha256 for p in info.previous] == [old.sha256]
    assert info.previous[0].key is None
    assert len(bundle(directory)) == 2
    info = ca.retire(directory)
    assert info.previous == ()
    assert len(bundle(directory)) == 1


def test_two_rotations_keep_both_predecessors(directory: Path) -> None:
    """Each CA that was ever in the bundle stays until it is retired, once."""
    seen = [ca.show(directory).sha256]
    for _ in range(2):
        ca.stage(directory, Ca())
        seen.append(ca.activate(directory).sha256)
    assert [p.sha256 for p in ca.show(directory).previous] == [seen[1], seen[0]]
    assert len(bundle(directory)) == 3


def test_a_staged_successor_is_not_replaced(directory: Path) -> None:
    """Clients may hold it already: staging twice is an error that says what to do."""
    ca.stage(directory, Ca())
    before = (directory / "next.pem").read_bytes()
    with pytest.raises(Misconfigured, match="staged already"):
        ca.stage(directory, Ca())
    assert (directory / "next.pem").read_bytes() == before


def test_nothing_staged_cannot_be_activated(directory: Path) -> None:
    """`activate` and `export next` before `stage` are errors, and nothing changes."""
    before = (directory / "ca.pem").read_bytes()
    with pytest.raises(Misconfigured, match="nothing is staged"):
        ca.activate(directory)
    with pytest.raises(Misconfigured, match="nothing is staged"):
        ca.export(directory, "pem", "next")
    assert (directory / "ca.pem").read_bytes() == before


def test_an_emergency_uses_the_new_one_at_once(directory: Path) -> None:
    """`rotate` stages and activates in one step, and takes a successor that clients may know already."""
    ca.stage(directory, Ca())
    staged = ca.show(directory).staged
    assert staged is not None
    assert ca.rotate(directory, Ca()).sha256 == staged.sha256
    assert ca.rotate(directory, Ca()).sha256 != staged.sha256


def test_the_old_key_is_gone(directory: Path) -> None:
    """After activation the old private key no longer exists: an old CA that clients still trust cannot sign."""
    old_key = (directory / "ca.key").read_bytes()
    ca.rotate(directory, Ca())
    assert old_key not in [p.read_bytes() for p in directory.iterdir()]


@pytest.mark.parametrize("which", ["bundle", "current", "next"])
@pytest.mark.parametrize("form", ["pem", "der"])
def test_an_export_never_holds_a_key(form: str, which: str, directory: Path) -> None:
    """Every form of every export is certificates, and only those asked for."""
    ca.stage(directory, Ca())
    data = ca.export(directory, form, which)  # type: ignore[arg-type]
    assert b"PRIVATE" not in data
    found = [x509.load_der_x509_certificate(data)] if form == "der" else x509.load_pem_x509_certificates(data)
    expected = {"bundle": 2 if form == "pem" else 1, "current": 1, "next": 1}[which]
    assert len(found) == expected
    current = x509.load_pem_x509_certificate((directory / "ca.pem").read_bytes())
    assert (found[0] == current) == (which != "next")
