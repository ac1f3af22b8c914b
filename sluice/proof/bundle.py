"""What an auditor is handed: chosen records, each with its own proof, and everything to check them without us.

    records.jsonl        canonical records, one a line, by stream and number
    proofs.jsonl         for each line: {"index", "path": [base 64], "stream"}, under `checkpoints/<stream>`
    checkpoints/<stream> the signed checkpoint that the proofs lead to
    keys.json            the public keys and their signed rotations
    HOW-TO-VERIFY.txt    for a reader with Python and nothing of ours
    MANIFEST             signed note: deployment, when, which filter, how many, below which record retention took the
                         head of a stream, SHA-256 of every other file

A filter leaves records out, and each of those that are there can still be proved; that none of the filter was left out
is the word of whoever signed the manifest. So nothing is signed over a ledger that `verify` does not find whole. Whole
streams are checked with `sluice verify` on the ledger itself.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tarfile
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from sluice.ledger import merkle, reader, segment
from sluice.ledger.audit import Verdict
from sluice.ledger.note import BadNote, Signer, Verifier, b64, opened, sign, unb64
from sluice.ledger.record import BadRecord, leaf_hash, link
from sluice.ledger.segment import Damaged, Fault
from sluice.ledger.sequence import StreamVerdict
from sluice.model import Record
from sluice.proof import trust
from sluice.proof import verify as check
from sluice.proof.howto import HOW_TO
from sluice.proof.prove import NotSealed, Prover
from sluice.proof.trust import Unchecked
from sluice.seal import keyring
from sluice.seal.keyring import Keyring

MANIFEST, RECORDS, PROOFS, CHECKPOINTS, HOW = (
    "MANIFEST",
    "records.jsonl",
    "proofs.jsonl",
    "checkpoints",
    "HOW-TO-VERIFY.txt",
)
LARGEST_BUNDLE = 64 * 1024**3


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which records: all conditions together; empty means any. Times in Unix microseconds, `until` not included.

    The outcome of a decision that fits comes with it, since it does not repeat subject and policy.
    """

    since: int | None = None
    until: int | None = None
    subject: str | None = None
    policy_version: str | None = None
    provider: str | None = None
    decision: str | None = None

    def text(self) -> str:
        """For the manifest, on one line."""
        return json.dumps(self.asked, sort_keys=True)

    @property
    def asked(self) -> dict[str, int | str]:
        """The conditions that are made."""
        return {k: v for k in self.__slots__ if (v := getattr(self, k)) is not None}

    def met(self, record: Record) -> dict[str, bool]:
        """Of each condition that is made, whether this record meets it; it fits when it meets all."""
        met = {
            "since": self.since is None or record.ts_received >= self.since,
            "until": self.until is None or record.ts_received < self.until,
            "subject": self.subject == record.subject_id,
            "policy_version": self.policy_version == record.policy_version,
            "provider": self.provider == record.provider_id,
            "decision": self.decision == record.decision,
        }
        return {name: met[name] for name in self.asked}


@dataclass(slots=True)
class Written:
    """What went into a bundle, and what could not because no checkpoint covers it yet."""

    records: int = 0
    unsealed: int = 0
    seen: int = 0
    """Records of the ledger, and how many of them meet each condition of the filter."""
    met: Counter[str] = field(default_factory=Counter)
    streams: list[str] = field(default_factory=list)
    pruned: dict[str, int] = field(default_factory=dict)
    """Below which record retention took the head of a stream."""


def write(
    out: Path,
    *,
    ledger: Path,
    seal: Path,
    ring: Keyring,
    signer: Signer,
    wanted: Filter,
    at: int,
    progress: Callable[[int], None] | None = None,
) -> Written:
    """Write a bundle into a new directory, or into a `.tar.gz`. Raises OSError, `Unchecked` for a ledger that is not
    what was sealed, or not all of it: nothing is signed over it. `progress` is told each byte twice: what is checked
    first is then chosen from."""
    if out.name.endswith((".tar.gz", ".tgz")):
        with tempfile.TemporaryDirectory(dir=out.resolve().parent, prefix=".bundle-") as draft:
            inside = Path(draft) / out.name.partition(".")[0]
            written = write(
                inside, ledger=ledger, seal=seal, ring=ring, signer=signer, wanted=wanted, at=at, progress=progress
            )
            packed = Path(draft) / "packed"
            with tarfile.open(packed, "w:gz") as archive:
                archive.add(inside, inside.name)
            packed.replace(out)
        return written
    out.mkdir(mode=0o700, parents=True)
    try:
        return _write(out, ledger, seal, ring, signer, wanted, at, progress)
    except BaseException:
        shutil.rmtree(out, ignore_errors=True)  # half a bundle must not lie about
        raise


def _write(
    out: Path,
    ledger: Path,
    seal: Path,
    ring: Keyring,
    signer: Signer,
    wanted: Filter,
    at: int,
    progress: Callable[[int], None] | None,
) -> Written:
    (out / CHECKPOINTS).mkdir(mode=0o700)
    written = Written()
    _whole(ledger, seal, progress)
    with (out / RECORDS).open("xb") as records, (out / PROOFS).open("xb") as proofs:
        for stream in segment.streams(ledger):
            below = _stream(stream, seal / stream.name, wanted, records.write, proofs.write, written, out, progress)
            if below:
                written.pruned[stream.name] = below
    (out / keyring.FILE).write_bytes(keyring.dump(ring.entries))
    (out / HOW).write_text(HOW_TO.replace("{key}", str(ring.current.verifier)), "utf-8")
    (out / MANIFEST).write_text(sign(_manifest(out, ring.name, at, wanted, written), signer), "utf-8")
    return written


def _stream(
    stream: Path,
    directory: Path,
    wanted: Filter,
    record: Callable[[bytes], object],
    proof: Callable[[bytes], object],
    written: Written,
    out: Path,
    progress: Callable[[int], None] | None,
) -> int:
    """The number of the first record that is there."""
    prover: Prover | None = None
    chosen: set[str] = set()
    below: int | None = None
    try:
        for entry in reader.read(stream):
            if progress:
                progress(len(entry.body))
            below = entry.seq if below is None else below
            said = entry.record
            met = wanted.met(said)
            written.seen += 1
            written.met.update(name for name, meets in met.items() if meets)
            if not (all(met.values()) or (said.decision_id and said.decision_id in chosen)):
                continue
            chosen.add(said.decision_id)
            try:
                prover = prover or Prover(directory)
                path = prover.path(entry.seq, entry.body)
            except NotSealed:
                written.unsealed += 1
                continue
            record(entry.body + b"\n")
            line = {"index": entry.seq, "path": [b64(h) for h in path], "stream": stream.name}
            proof(msgspec.json.encode(line) + b"\n")
            written.records += 1
    except (Damaged, BadRecord) as e:
        raise Unchecked(f"{e}: run `sluice verify`") from e
    if prover:
        (out / CHECKPOINTS / stream.name).write_text(prover.note, "utf-8")
        written.streams.append(stream.name)
    return below or 0


def _whole(ledger: Path, seal: Path, progress: Callable[[int], None] | None) -> None:
    """Raise `Unchecked` for a ledger that is not what was sealed, or not all of it."""
    believed = trust.load(seal)
    if not believed.streams:
        raise Unchecked(f"{seal}: there are no checkpoints here: nothing is sealed, or they were taken away")
    verdict = check.ledger(ledger, believed, progress=progress)
    if verdict.first:
        raise Unchecked(f"{verdict.first}: run `sluice verify`")
    for stream, why in verdict.doubts:
        raise Unchecked(f"{stream}: {why}: run `sluice verify`")


def _manifest(out: Path, name: str, at: int, wanted: Filter, written: Written) -> str:
    moment = datetime.fromtimestamp(at / 1e6, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    lines = [f"{name} evidence bundle", f"at {at} {moment}", f"filter {wanted.text()}", f"records {written.records}"]
    lines += [f"pruned {below} {stream}" for stream, below in written.pruned.items()]
    return "\n".join(lines + [f"sha256 {_digest(out / file)} {file}" for file in _files(out)]) + "\n"


def _files(out: Path) -> list[str]:
    """Every file of a bundle but its manifest, by name."""
    return sorted(p.relative_to(out).as_posix() for p in out.rglob("*") if not p.is_dir() and p != out / MANIFEST)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# -------------------------------------------------------------------------------------------------------------- check


def is_bundle(path: Path) -> bool:
    return (path / MANIFEST).is_file() or path.name.endswith((".tar.gz", ".tgz"))


def verify(path: Path, pinned: list[Verifier], *, progress: Callable[[int], None] | None = None) -> Verdict:
    """Check a bundle with its own keys, one of which has to be a pinned one, if any is pinned.

    Raises OSError, `Unchecked` when keys or manifest cannot be believed.
    """
    if not path.is_dir():
        with tempfile.TemporaryDirectory() as scratch:
            return verify(_unpacked(path, Path(scratch)), pinned, progress=progress)
    try:
        ring = keyring.parse((path / keyring.FILE).read_bytes())
        ring = ring.trusting(pinned) if pinned else ring
    except (BadNote, FileNotFoundError) as e:
        raise Unchecked(f"{path / keyring.FILE}: {e}") from e
    whole = StreamVerdict(MANIFEST)
    taken = _check_manifest(path, ring, whole)
    found = {"": whole}
    for number, stream, index, body, fault in _lines(path, ring, progress):
        verdict = found.setdefault(stream, StreamVerdict(stream, pruned=taken.get(stream, 0)))
        if body:
            verdict.records += 1
            verdict.first_seq = index if verdict.first_seq is None else verdict.first_seq
            verdict.last_seq = index
            verdict.last_hash = leaf_hash(body).hex()
        verdict.sealed = (verdict.sealed or 0) + (not fault)
        if fault:
            verdict.fault(RECORDS, number, index, *fault)
    return Verdict(tuple(v for v in found.values() if v is not whole or v.faults))


def _unpacked(path: Path, scratch: Path) -> Path:
    try:
        with tarfile.open(path, "r:gz") as archive:
            if sum(member.size for member in archive) > LARGEST_BUNDLE:
                raise Unchecked(f"{path}: larger than any bundle of ours")
            archive.extractall(scratch, filter="data")
    except (tarfile.TarError, EOFError) as e:
        raise Unchecked(f"{path}: cannot be unpacked: {e}") from e
    inside = [p for p in scratch.iterdir() if (p / MANIFEST).is_file()]
    if len(inside) != 1:
        raise Unchecked(f"{path}: holds no bundle")
    return inside[0]


def _check_manifest(path: Path, ring: Keyring, whole: StreamVerdict) -> dict[str, int]:
    """Below which record retention took the head of each stream, as it was signed."""
    try:
        text, _ = opened((path / MANIFEST).read_text("utf-8", "replace"), [ring.current.verifier])
    except BadNote as e:
        whole.fault(MANIFEST, 0, -1, Fault.SEAL, str(e))
        return {}
    said = dict(line.split(" ", 2)[:0:-1] for line in text.splitlines() if line.startswith("sha256 "))
    there = _files(path)
    for name in sorted(said.keys() | set(there)):
        if name not in said:
            whole.fault(name, 0, -1, Fault.FOREIGN, "is not in the manifest")
        elif name not in there:
            whole.fault(name, 0, -1, Fault.GAP, "is missing")
        elif _digest(path / name) != said[name]:
            whole.fault(name, 0, -1, Fault.EDIT, "is not the file that the manifest names")
    words = [line.split(" ") for line in text.splitlines()]
    return {name: int(below) for what, below, name in (w for w in words if len(w) == 3) if what == "pruned"}


type Faulty = tuple[Fault, str] | None


def _lines(
    path: Path, ring: Keyring, progress: Callable[[int], None] | None
) -> Iterator[tuple[int, str, int, bytes, Faulty]]:
    """Each record with what is wrong with it, and each proof whose record is not there (with an empty body).

    Records and proofs stand in one order, by stream and number, so that a line taken out of one is told from a line
    that was changed.
    """
    roots: dict[str, tuple[int, bytes]] = {}
    for file in sorted((path / CHECKPOINTS).iterdir()):
        try:
            said = ring.checkpoint(file.read_text("utf-8", "replace"))
        except BadNote:
            continue
        if said.stream == file.name:
            roots[file.name] = (said.size, said.root)
    with (path / RECORDS).open("rb") as records, (path / PROOFS).open("rb") as lines:
        proofs = map(_proof, lines)
        proof = next(proofs, None)
        number, last = 0, ("", -1)
        for number, line in enumerate(records, start=1):
            body = line.rstrip(b"\n")
            if progress:
                progress(len(line))
            try:
                said_place = link(body)
            except BadRecord as e:
                yield number, "?", number, body or b"?", (Fault.EDIT, f"is no record: {e}")
                continue
            place = (said_place.chain_id, said_place.seq)
            while proof is not None and proof[0] < place:
                yield number, *proof[0], b"", (Fault.GAP, "the record is missing")
                proof = next(proofs, None)
            if proof is None or proof[0] != place:
                fault = Fault.REORDER if place <= last else Fault.FOREIGN
                yield number, *place, body, (fault, "has no proof in this place")
                continue
            yield number, *place, body, None if _leads(body, *proof, roots) else (Fault.EDIT, NOT_SEALED)
            proof, last = next(proofs, None), place
        while proof is not None:
            yield number + 1, *proof[0], b"", (Fault.GAP, "the record is missing")
            proof = next(proofs, None)


NOT_SEALED = "is not the record that was sealed, or no checkpoint that is believed covers it"


def _proof(line: bytes) -> tuple[tuple[str, int], list[str]]:
    """The place that a proof is for, and its path; what cannot be read is for no place that a record could have."""
    try:
        said = json.loads(line)
        return (str(said["stream"]), int(said["index"])), [str(h) for h in said["path"]]
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return ("", -1), []


def _leads(body: bytes, place: tuple[str, int], path: list[str], roots: dict[str, tuple[int, bytes]]) -> bool:
    """Whether a proof leads from a record to a root that was signed."""
    stream, index = place
    if stream not in roots:
        return False
    size, root = roots[stream]
    try:
        return merkle.root_from_inclusion(leaf_hash(body), index, size, [unb64(h) for h in path]) == root
    except (ValueError, TypeError, OverflowError):
        return False
