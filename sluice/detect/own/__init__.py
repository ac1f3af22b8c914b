"""The site's own data: what no pack can know, because only the site has it.

    words        a text as words without case, accents and punctuation, and the way back to its offsets
    index        the file that an index is: keyed, salted, sealed under a key of this deployment, mapped into memory
    table        keyed hashes in order, searched where they lie
    columns      types of columns: one spelling of a value, and what of a text could be a value
    exact        exact data match: a key column is found, other columns of its row must stand within N words
    phrases      dictionaries of whole words and phrases
    substrings   dictionaries inside of words, and canary tokens
    documents    shingles of documents: how much of one stands in a text
    secrets      values of an environment file or a vault
    site         all of it loaded from `[own]`, and one call for a text

No index holds a value: there are keyed hashes in it (BLAKE2b under a key derived from a fingerprint key of `var/keys`
and the salt of the file), so it says nothing to anyone without the key. What equal hashes still tell is said where they
are made. Building is `sluice.owndata`; this package opens and matches. A text costs one division into words and one
keyed hash for each distinct word; everything behind that happens at a hit. All of it is counted (`Spending`) and what
does not fit is reported as unread. Only `index` and `site` touch files, at start.
"""
