"""Building the indexes of the site's own data (`sluice.detect.own` says what they are and matches them).

    rows        a CSV of customers, patients, accounts -> an index of rows
    documents   text and Word files -> an index of documents
    texts       the text of a file: plain, or .docx unpacked within bounds
    secrets     an environment file or a vault's export -> an index of secrets

The values are read once, streaming where the format allows, and leave only as keyed hashes; what could not be used is
reported by line, column or name, never by value.
"""
