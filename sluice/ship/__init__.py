"""Delivery: the ledger is the outbox, ClickHouse the copy that people query.

    rows        a record as a flat row; one table of columns that the SQL schema is held to
    sqlgate     which SQL an analyst may run on the embedded engine
    clickhouse  the one door to ClickHouse, embedded or server
    batches     what is being shipped, frozen on disk, so that a retry repeats it exactly
    shipper     the process: tails the ledgers, inserts, answers SQL on a socket
    query       the asking side of that socket

An outage here costs freshness, never evidence and never traffic.
"""
