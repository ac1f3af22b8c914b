"""The tree: known roots and proofs of others, and a naive tree for all the rest."""

from __future__ import annotations

import base64
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice.ledger import merkle
from sluice.ledger.merkle import BadProof, Range, Tree, consistent, root_from_inclusion
from sluice.ledger.record import leaf_hash

# The eight entries of Certificate Transparency's reference tests, and the root after each.
ENTRIES = [bytes.fromhex(h) for h in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657")]
ENTRIES.append(bytes.fromhex("606162636465666768696a6b6c6d6e6f"))
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
# A consistency proof of transparency-dev/merkle (testdata/consistency/4/happy-path.json): 6 to 7 leaves.
SIX_TO_SEVEN = [
    "DrxdNDf74tsVi58Sah0RjjCBgQMdCpSfje3t68VY72o=",
    "sIaT7C5yFZcTBkHoIR5+7cy0wmQTlj7ubB4u0W/7Gl8=",
    "037kGJdt2VdTwcc4Yrk5j6Kiz5tP8P3+izDNlSCWFLc=",
]

LEAVES = [sha256(bytes([i])).digest() for i in range(70)]


def naive(leaves: list[bytes]) -> bytes:
    """RFC 6962, section 2.1, word by word."""
    if len(leaves) < 2:
        return leaves[0] if leaves else sha256(b"").digest()
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return sha256(b"\x01" + naive(leaves[:k]) + naive(leaves[k:])).digest()


def test_known_roots() -> None:
    """The roots of Certificate Transparency's reference tree come out, by both ways of making them."""
    grown = Range()
    for size, (entry, root) in enumerate(zip(ENTRIES, ROOTS, strict=True), start=1):
        grown.append(leaf_hash(entry))
        assert grown.root().hex() == root
        assert Tree([leaf_hash(e) for e in ENTRIES[:size]]).root().hex() == root
    assert Range().root() == Tree([]).root() == merkle.EMPTY


def test_a_known_consistency_proof() -> None:
    """A proof published by another implementation is made here byte for byte, and is accepted."""
    tree = Tree([leaf_hash(e) for e in ENTRIES])
    proof = [base64.b64decode(h) for h in SIX_TO_SEVEN]
    assert tree.consistency(6, 7) == proof
    assert consistent(6, bytes.fromhex(ROOTS[5]), 7, bytes.fromhex(ROOTS[6]), proof)


@given(st.integers(0, 70), st.integers(0, 70))
@settings(max_examples=200, deadline=None)
def test_a_range_goes_on_from_anywhere(stop: int, size: int) -> None:
    """A tree that is put down and taken up again from its frontier alone has the roots of one that never was."""
    stop = min(stop, size)
    grown = Range()
    for leaf in LEAVES[:stop]:
        grown.append(leaf)
    later = Range(grown.size, list(grown.peaks))
    for leaf in LEAVES[stop:size]:
        later.append(leaf)
    assert later.root() == naive(LEAVES[:size]) == Tree(LEAVES).root(size)


@given(st.integers(1, 70), st.data())
@settings(max_examples=300, deadline=None)
def test_inclusion_proofs_lead_to_the_root_and_to_no_other(size: int, data: st.DataObject) -> None:
    """Every leaf can be proved; another leaf, place, size or hash leads elsewhere or nowhere."""
    index = data.draw(st.integers(0, size - 1))
    tree = Tree(LEAVES)
    path = tree.inclusion(index, size)
    root = naive(LEAVES[:size])
    assert root_from_inclusion(LEAVES[index], index, size, path) == root
    assert root_from_inclusion(sha256(b"x").digest(), index, size, path) != root
    if path:
        at = data.draw(st.integers(0, len(path) - 1))
        bent = [*path]
        bent[at] = bytes([bent[at][0] ^ 1]) + bent[at][1:]
        assert root_from_inclusion(LEAVES[index], index, size, bent) != root
        with pytest.raises(BadProof):
            root_from_inclusion(LEAVES[index], index, size, path[:-1])
    with pytest.raises(BadProof):
        root_from_inclusion(LEAVES[index], index, size, [*path, *[root] * 8])
    with pytest.raises(BadProof):
        root_from_inclusion(LEAVES[index], size, size, path)


@given(st.integers(1, 70), st.data())
@settings(max_examples=300, deadline=None)
def test_consistency_proofs_show_growth_alone(new: int, data: st.DataObject) -> None:
    """A tree is the beginning of what it grew into, and of nothing else."""
    old = data.draw(st.integers(1, new))
    path = Tree(LEAVES).consistency(old, new)
    before, after = naive(LEAVES[:old]), naive(LEAVES[:new])
    assert consistent(old, before, new, after, path)
    assert not consistent(old, sha256(b"x").digest(), new, after, path)
    assert not consistent(old, before, new, sha256(b"x").digest(), path)
    assert not consistent(old, before, new, after, [*path, before])
    if path:
        assert not consistent(old, before, new, after, path[:-1])


def test_a_frontier_has_to_fit_its_size() -> None:
    """A stored frontier with a hash too many or too few is refused, not gone on with."""
    with pytest.raises(ValueError, match="frontier"):
        Range(3, [LEAVES[0]])
    with pytest.raises(ValueError, match="frontier"):
        Range(1, [b"short"])
