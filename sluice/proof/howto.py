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
   the last line covers the text above the empty line. keys.json holds the public keys; a change of key is a note signed
   by both. Python has no Ed25519; OpenSSL 3 has. Put the key that you were given in the place of the one here:

    python3 - <<'END'
    import base64, hashlib, json, pathlib, subprocess, tempfile
    GIVEN = "{key}"
    keys = json.load(open("keys.json"))
    public = {k["key"]: base64.b64decode(k["key"].split("+", 2)[2])[1:] for k in keys}
    print("ok " if GIVEN in public else "BAD", "the key that was given is in keys.json")
    def signers(note):
        text, signatures = note.rsplit("\\n\\n", 1)
        found = set()
        for line in signatures.splitlines():
            _, name, coded = line.split(" ")
            raw = base64.b64decode(coded)
            for vkey, key in public.items():
                if raw[:4] != hashlib.sha256(name.encode() + b"\\n\\1" + key).digest()[:4]:
                    continue
                with tempfile.TemporaryDirectory() as d:
                    pathlib.Path(d, "k").write_bytes(bytes.fromhex("302a300506032b6570032100") + key)
                    pathlib.Path(d, "s").write_bytes(raw[4:])
                    pathlib.Path(d, "t").write_bytes(text.encode() + b"\\n")
                    check = "openssl pkeyutl -verify -rawin -pubin -keyform DER -inkey k -sigfile s -in t".split()
                    if subprocess.run(check, cwd=d, capture_output=True).returncode == 0:
                        found.add(vkey)
        return found
    newest = keys[-1]["key"]
    print("ok " if newest in signers(pathlib.Path("MANIFEST").read_text()) else "BAD", "MANIFEST")
    for path in sorted(pathlib.Path("checkpoints").iterdir()):
        origin = path.read_text().splitlines()[0]
        fits = origin == newest.split("+")[0] + "/" + path.name and signers(path.read_text())
        print("ok " if fits else "BAD", path)
    for old, new in zip(keys, keys[1:]):
        print("ok " if {old["key"], new["key"]} <= signers(new["rotation"]) else "BAD", "rotation to", new["key"])
    END

What a bundle shows
-------------------
Each record is exactly what was sealed, at the number that it says, before the checkpoint was signed. A record that is
not here may have been left out by the filter in MANIFEST; that the filter left out nothing else is the word of whoever
signed MANIFEST. To check that nothing is missing, ask for the ledger and a witness's checkpoints.
"""
