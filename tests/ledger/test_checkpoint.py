"""Signed notes, checkpoints and proofs in their published forms: exact, and refused for any change."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sluice.ledger import checkpoint
from sluice.ledger.checkpoint import Checkpoint, Proof
from sluice.ledger.merkle import Tree
from sluice.ledger.note import BadNote, Signer, Verifier, opened, sign
from sluice.ledger.record import leaf_hash, seal
from sluice.model import Record, RecordType

# Published with C2SP's signed-note and Go's sumdb/note.
PUBLISHED = """This is an example message.

\N{EM DASH} example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=
"""
PUBLISHED_KEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"

SIGNER = Signer("sluice-test/n-w0", Ed25519PrivateKey.from_private_bytes(b"\x07" * 32))
BODIES = [
    seal(
        Record(record_type=RecordType.DECISION, decision_id=f"d{i}", ts_received=i),
        node="n",
        epoch=1,
        seq=i,
        prev_hash="0" * 64,
        chain="n-w0",
    )
    for i in range(11)
]
TREE = Tree([leaf_hash(b) for b in BODIES])
NOTE = sign(Checkpoint(SIGNER.name, 11, TREE.root()).text(), SIGNER)


def test_a_published_note_is_read() -> None:
    """A note signed by another implementation is accepted with its published key, and the key reads back."""
    key = Verifier.parse(PUBLISHED_KEY)
    assert str(key) == PUBLISHED_KEY
    assert opened(PUBLISHED, [key]) == ("This is an example message.\n", [key])


@pytest.mark.parametrize("at", range(0, len(PUBLISHED), 3))
def test_a_changed_note_is_refused(at: int) -> None:
    """No character of a note with one signature can be changed."""
    bent = PUBLISHED[:at] + ("x" if PUBLISHED[at] != "x" else "y") + PUBLISHED[at + 1 :]
    with pytest.raises(BadNote):
        opened(bent, [Verifier.parse(PUBLISHED_KEY)])


def test_unknown_signatures_are_passed_over() -> None:
    """A witness or a later key may add a line; the text is still what the known key signed."""
    other = Signer("witness.example", Ed25519PrivateKey.generate())
    note = sign("one line\n", SIGNER, other)
    assert opened(note, [SIGNER.verifier]) == ("one line\n", [SIGNER.verifier])
    with pytest.raises(BadNote):
        opened(sign("one line\n", other), [SIGNER.verifier])


@pytest.mark.parametrize("text", ["", "no newline", "two\n\nparagraphs\n", "tab\there\n"])
def test_a_text_that_no_note_can_hold_is_not_signed(text: str) -> None:
    """What would read back as something else is never signed."""
    with pytest.raises(BadNote):
        sign(text, SIGNER)


def test_a_checkpoint_is_signed_in_the_name_of_its_origin() -> None:
    """The same key under another name does not sign for this stream."""
    said, by = checkpoint.signed(NOTE, [SIGNER.verifier.renamed("anything")])
    assert (said.stream, said.size, said.root) == ("n-w0", 11, TREE.root())
    assert by == [SIGNER.verifier]
    foreign = sign(said.text(), Signer("sluice-test/n-w1", SIGNER.private))
    with pytest.raises(BadNote):
        checkpoint.signed(foreign, [SIGNER.verifier])


@pytest.mark.parametrize(
    "text", ["o\n1\n", "o\n01\nAA==\n", f"\n1\n{'A' * 43}=\n", f"o\n-1\n{'A' * 43}=\n", "o\n1\nx\ny\n"]
)
def test_a_misspelt_checkpoint_is_refused(text: str) -> None:
    """A size with a leading zero, a short root or a line too many is no checkpoint."""
    with pytest.raises(BadNote):
        checkpoint.parse(text)


@pytest.mark.parametrize("index", range(11))
def test_a_proof_stands_alone(index: int) -> None:
    """Record, path and checkpoint in one small text are enough to check any record."""
    text = Proof(BODIES[index], index, tuple(TREE.inclusion(index, 11)), NOTE).text()
    proof = checkpoint.read_proof(text)
    said, _ = checkpoint.signed(proof.note, [SIGNER.verifier])
    assert proof.check(said).seq == index
    assert len(text) < 3000


def test_no_byte_of_a_proof_can_be_changed() -> None:
    """Each byte of a proof, changed in its lowest bit or taken away, makes it no proof."""
    whole = Proof(BODIES[4], 4, tuple(TREE.inclusion(4, 11)), NOTE).text().encode()
    for at in range(len(whole)):
        for bent in (whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :], whole[:at] + whole[at + 1 :]):
            with pytest.raises((BadNote, UnicodeDecodeError)):
                proof = checkpoint.read_proof(bent.decode())
                proof.check(checkpoint.signed(proof.note, [SIGNER.verifier])[0])


def test_a_record_cannot_be_proved_at_another_place() -> None:
    """A true leaf of one stream is no record of another, nor at another number, whatever its proof says."""
    foreign = seal(
        Record(record_type=RecordType.DECISION, decision_id="d"),
        node="n",
        epoch=1,
        seq=0,
        prev_hash="0" * 64,
        chain="x-w1",
    )
    tree = Tree([leaf_hash(foreign)])
    with pytest.raises(BadNote, match="stream x-w1"):
        Proof(foreign, 0, (), "").check(Checkpoint("sluice-test/n-w0", 1, tree.root()))
