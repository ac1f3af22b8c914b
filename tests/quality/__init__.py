"""How well detection does on text that nobody wrote for it: `make quality`.

    corpus      documents with known spans; the alphabets and checksums that values are made with
    keys        secrets, made from what their vendors publish of their form
    records     personal, financial and medical values, with check digits computed here
    people      three hundred names of many origins; Faker adds those of its locales
    carriers    the text around a value: mails, tickets, logs, dumps, code, notes
    syntaxes    assignments as languages and tools write them
    sayings     whole sentences of twelve languages with values in them
    clean       text with nothing in it that tempts all the same
    measure     documents scanned, findings held against what was planted
    peers       the same documents through detect-secrets and Presidio, in an environment of their own
    fuzz        mutated text: no crash, spans inside, the same findings in every process

Nothing here reads the packs: values come from published formats and checksums are written a second time, so that a
pattern which is wrong about a format is seen to be. Everything is drawn from fixed seeds.
"""
