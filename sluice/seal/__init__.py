"""The sealer: a process of its own that signs what the workers wrote, with a key that they never open.

    keyring    public keys of a deployment, the chain of their rotations, and what each may sign
    keys       the private key: made on first start, replaced on request, one holder of the lock at a time
    store      `var/seal/<stream>/`: checkpoints, leaf hashes, state. Durable before anybody else hears of it
    chain      one stream: new records verified from where the last checkpoint ended
    witness    copies elsewhere: directory, HTTP PUT, syslog. Retried for ever, never waited for
    standing   what is sealed and what is not, from the files alone: right with a dead sealer too
    sealer     the process

A checkpoint is never inconsistent with an earlier one. What cannot be sealed on top of the last checkpoint (an edit, a
gap, a shorter ledger, a second history) ends the sealing of that stream; the last good checkpoint stays.
"""

from sluice.ledger.segment import SEALER as SLOT

__all__ = ["PRUNED", "SLOT", "STANDING"]

STANDING = "seal_standing"
"""The kind of the sealer's records that say how far each stream was sealed, and with which root; `final` in the last
one before an orderly end: everything that was there is sealed."""
PRUNED = "pruned"
"""The kind of its records that say what retention was about to take from a stream. A note without one is believed by
nobody."""
