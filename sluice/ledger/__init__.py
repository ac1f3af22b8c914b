"""Evidence: one append-only stream per worker, flushed before anything is forwarded.

    record    a `model.Record` as canonical bytes, and its leaf hash. Pure
    segment   the file format: header, frames, and how a broken file is read
    appender  the files of an open stream: lock, preallocation, flush
    recovery  what an opening writer does with what the last one left
    writer    order, group commit, hash chain. The only maker of a `Receipt`
    reader    records from a position, live beside the writer
    sequence  records one by one: whole, in place, following
    acted     how many decisions the gate acted on, counted apart from the records
    audit     `verify`: is a ledger what its writers left
    pruned    the note that names what retention took from a stream's head
    merkle    the tree over a stream's leaf hashes: roots, proofs. Pure
    note      signed notes (C2SP). Pure
    checkpoint  size and root of a stream, signed; the proof of one record. Pure

A stream is a directory `<node>-w<slot>`; it holds segments named `<epoch>-<first seq>.seg`, so that names sort in
the order of writing, a `lock` (one writer), `durable` (how many records are flushed, for readers on this machine) and
`decided` (what the gate counted).
`seq` counts from 0 over the whole life of a stream and never restarts; `epoch` counts openings, from 1.
"""
