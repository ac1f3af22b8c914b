"""The page that goes with a bundle, for a reader with Python and nothing of ours."""

HOW_TO = """How to verify this bundle
=========================

With Sluice (any machine, no appliance needed):

    sluice verify --key '<the public key that you were given>' <this directory>

Exit code 0: sound; 1: broken, and the first bad record is named; 2: could not be checked. The key has to reach you by
another way than this bundle (at set-up, on paper, from a witness). The bundle says its own newest key is

    {key}

Without Sluice, with Python 3 alone
-----------------------------------
1. The files are those that MANIFEST names:

    python3 - <<'END'
    import hashlib, pathlib
    for line in pathlib.Path("MANIFEST").read_text().splitlines():
        if line.startswith("sha256 "):
            _, said, name = line.split(" ", 2)
            is_ = hashlib.sha256(pathlib.Path(name).read_bytes()).hexdigest()
            print("ok " if is_ == said else "BAD", name)
    END

2. Every record stands in the tree whose root its stream's checkpoint names (RFC 6962; proofs as in RFC 9162, 2.1.3.2):

    python3 - <<'END'
    import base64, hashlib, json, pathlib
    H = lambda data: hashlib.sha256(data).digest()
    good = bad = 0
    for record, proof in zip(open("records.jsonl", "rb"), open("proofs.jsonl", "rb")):
        proof = json.loads(proof)
        _, size, root = pathlib.Path("checkpoints", proof["stream"]).read_text().splitlines()[:3]
        at, last, out = proof["index"], int(size) - 1, H(b"\\0" + record.rstrip(b"\\n"))
        for sibling in map(base64.b64decode, proof["path"]):
            if at & 1 or at == last:
                out = H(b"\\1" + sibling + out)
                while at and not at & 1:
                    at, last = at >> 1, last >> 1
            else:
                out = H(b"\\1" + out + sibling)
            at, last = at >> 1, last >> 1
        said = json.loads(record)
        fits = last == 0 and out == base64.b64decode(root)
        if fits and (said["chain_id"], said["seq"]) == (proof["stream"], proof["index"]):
            good += 1
        else:
            bad += 1
            print("BAD", proof["stream"], proof["index"])
    print(good, "good", bad, "bad")
    END

3. MANIFEST and each file below checkpoints/ are signed notes (https://c2sp.org/signed-note): the Ed25519 signature in
   the last line covers the text above the empty line. Python has no Ed25519; `openssl pkeyutl -verify -rawin` does, and
   so does every tool that reads C2SP notes. keys.json holds the public keys; a change of key is a note signed by both.

What a bundle shows
-------------------
Each record is exactly what was sealed, at the number that it says, before the checkpoint was signed. A record that is
not here may have been left out by the filter in MANIFEST; that the filter left out nothing else is the word of whoever
signed MANIFEST. To check that nothing is missing, ask for the ledger and a witness's checkpoints.
"""
