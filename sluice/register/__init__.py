"""Registers: what an organisation has declared about the AI that it uses, as plain files that a team keeps in git.

The traffic says what is; a register says what was agreed. Posture is the difference of the two: which provider has no
contract, which model nobody approved, which agent nobody owns.

    shapes     the rows of each register, one class each. What stands there is all there is
    files      TOML and CSV into rows, the site's (`paths.registers`) layered over the shipped (`deploy/registers`)
    elsewhere  what other files of the site declare already: destinations, keys, people, policy, detectors
    agents     by what names the agent behind a request goes: what a rule of the policy may call it
    snapshot   all of it as rows for the event store, people as pseudonyms
    proposals  rows as TOML again: from a CSV file, or from what was observed

Rules
1. Nothing here decides. A register that cannot be read leaves the one in force, and is told. One thing of it reaches
   the gate: the names of agents, where a rule of the policy asks for one; that policy is not loaded without them.
2. Unknown stays unknown: a key that is absent is NULL in the store, never a guess.
3. What another file of the site says already is not said again here: the status of a provider stands in
   `paths.targets`, keys in `identity.keys`, people in `identity.people`, and the snapshot joins them.
4. No key, and no name of a person whom the records know by a pseudonym, reaches the store. Owners and reviewers of
   things are contacts: they stay as written.
"""
