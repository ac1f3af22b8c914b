"""Evidence for an outsider: is it what was sealed, and how can one record of it be shown alone?

    trust     keys and checkpoints: which are believed, from here and from witnesses
    said      what the sealer put on record in its own stream
    judge     one stream against its checkpoints: rewrite, truncation, rollback, fork
    absent    which streams have to be there, because others name them
    verify    ledger directories, rows out of ClickHouse, bundles
    prove     the proof of one record
    bundle    what an auditor is handed, written and read

Everything here only reads, works without the appliance, and needs no private key but to sign a bundle.
"""
