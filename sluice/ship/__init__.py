"""Delivery: the ledger is the outbox, ClickHouse the copy that people query.

    columns      the columns of the `events` table, which the SQL schema is held to
    rows         a record as a flat row, and back. Pure
    schema       migrations, their cluster form, and how a store differs from them. Pure
    retries      what each error of ClickHouse means for a batch. Pure
    sqlgate      which SQL an analyst may run on the embedded engine
    admission    a statement's way through that gate
    allowance    what all questions may use of the memory together
    reading      one question whose answer is streamed
    clickhouse   the one door to ClickHouse, embedded or server
    stored       what the store holds of a stream
    batches      what is on its way, frozen on disk, so that a retry repeats it exactly
    deadletters  what ClickHouse will never take
    delivery     one round: wait, freeze, insert, advance
    answers      questions on a socket, each in a thread of its own
    reconcile    ledger against store; segments that may go
    retention    partitions of the store whose time is over
    holds        what may not be deleted
    keeping      when these three have their turn
    registers    what is declared, as snapshots in the store
    notes        what people and other tools have to say to the store
    assessing    findings evaluated, facts and snapshots of the posture
    again        shipping everything once more
    shipper      the process
    query        the asking side

An outage here costs freshness, never evidence and never traffic.
"""
