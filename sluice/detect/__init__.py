"""Detection: parts of a request in, sealed findings out. Plaintext ends in this room.

The way a text takes, file by file:

    packs       TOML -> `Detector`s; every problem with its file and line
    shapes      a detector's pattern -> the head that hyperscan looks for, and the `re` that confirms it
    normalise   texts beside the raw one, with the disguise taken off and a map back to the original offsets
    views       a text made from another one, and the way back; made by `escapes`, `characters` (look-alikes, what
                nobody sees), `encoded` (base64, hexadecimal, compressed) and `joined` (values in pieces)
    gates       which detectors can only match where something cheap to find stands (six digits, a base64 run)
    databases   all that is asked of hyperscan: blocks compiled, kept, run over a buffer
    engine      detectors compiled; one look at everything says where `re` has to
    novelty     parts that this worker has read before: their findings are used again, marked `history`
    scanning    one scan on its way: each hit confirmed by `re`, keywords and validators, under a budget
    validators  the names of pure judgements: `identifier_checks`, `secret_checks`, `national*`, `personal`, `people`
    private_keys, tokens  what a key or token says of itself: structure, checksum, end
    expiry      what has ended at the time of the request weighs less; for the gate, which has a clock
    resolve     findings that overlap -> the most specific one
    evidence    value -> keyed fingerprint and mask; from here on there is no plaintext
    credentials the key that a request authenticates with -> its kind, hint and fingerprint
    lint        `sluice packs check`: every proof that a pack must give

Rules of the room. No clock, randomness, file or socket (reading packs apart): the same parts give the same findings in
any process, so a decision replays exactly. Work is linear in the text and bounded by a budget; what does not fit the
budget is reported as unread, never as clean. A failure raises `errors.Unavailable` without a word of the text in it.
Only `databases` imports hyperscan, only `engine` ahocorasick.
"""
