"""The names behind the pseudonyms, in a store of their own.

Records hold a keyed fingerprint instead of a name. Whoever has to know a name (a data subject's request, an incident)
finds it here: each pseudonym once, with the name sealed under a key of its own (AES-256-GCM, the pseudonym as
associated data, so that no line can be put under another's pseudonym). Files below `var/identity`, one for each worker,
only ever added to, 0600; the key is `subjects.key` among the keys, and destroying it makes every name unknowable.

A lookup is an act that leaves evidence: `reveal` gives no name before the record of who asked, and why, is durable.
Addresses are not kept here: the record itself has them, as far as the site wants them kept.
"""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import re
import secrets
import time
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from sluice import durable, keys
from sluice.config import Settings
from sluice.errors import Misconfigured, Problem
from sluice.ledger.segment import SEALER
from sluice.ledger.writer import Writer, open_stream
from sluice.model import Record, RecordType, Subject

log = logging.getLogger("sluice.subjects")

SLOT = 1001
"""Slot of the ledger stream of lookups, and of other acts at the command line that are put on record; workers have 0
to 255, the sealer 1000."""
MOST_WAITING = 10_000
_NONCE = 12
_PSEUDONYM = re.compile(r"[0-9a-f]{32}")


class Subjects:
    """The store of one worker. `saw` costs a look into a set; `keep` writes what is new, once a second."""

    def __init__(self, settings: Settings, slot: int) -> None:
        self._path = directory(settings) / f"subjects-w{slot}"
        self._cipher = AESGCM(keys.subject_key(settings))
        self._kept = {pseudonym for pseudonym, _ in _lines(self._path)}
        self._news: dict[str, str] = {}

    def saw(self, pseudonym: str | None, subject: Subject) -> None:
        """A record with this pseudonym is being made."""
        if pseudonym is None or pseudonym in self._kept or subject.kind == "address" or len(self._news) >= MOST_WAITING:
            return
        self._kept.add(pseudonym)
        self._news[pseudonym] = subject.id

    def keep(self) -> None:
        """Write what is new. A disk that fails loses no evidence; the name is tried again when it is next seen."""
        if not self._news:
            return
        news, self._news = self._news, {}
        text = "".join(f"{pseudonym}\t{_sealed(self._cipher, pseudonym, name)}\n" for pseudonym, name in news.items())
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            durable.append(self._path, text.encode())
        except OSError as e:
            self._kept -= news.keys()
            log.error("names of subjects could not be kept", extra={"facts": {"why": e.strerror or ""}})


def directory(settings: Settings) -> Path:
    return settings.paths.var / "identity"


def reveal(settings: Settings, pseudonym: str, *, by: str, reason: str, approved_by: str | None = None) -> str | None:
    """The name behind a pseudonym, or None when it is not known; looking is recorded either way, before anything else.

    Raises `Misconfigured` for what is no pseudonym, or a key that does not fit, and `Unavailable` when the record
    cannot be made: then nothing is told.
    """
    if not _PSEUDONYM.fullmatch(pseudonym):
        raise Misconfigured(Problem("PSEUDONYM", None, "is 32 hexadecimal digits, as `subject_id` in the events"))
    found = next((s for path in _files(settings) for p, s in _lines(path) if p == pseudonym), None)
    detail = {"what": "subject", "by": by, "reason": reason, "approved_by": approved_by, "found": found is not None}
    _record(settings, pseudonym, detail)
    if found is None:
        return None
    try:
        raw = base64.b64decode(found, validate=True)
        return AESGCM(keys.subject_key(settings)).decrypt(raw[:_NONCE], raw[_NONCE:], pseudonym.encode()).decode()
    except (ValueError, InvalidTag) as e:
        what = "does not open this name; restore it from the backup of that time"
        raise Misconfigured(Problem(str(settings.keys_dir / keys.SUBJECTS), None, what)) from e


def _record(settings: Settings, pseudonym: str, detail: Mapping[str, object]) -> None:
    """An access record, durable when this returns. Raises `Unavailable`."""
    put_on_record(
        settings,
        Record(
            record_type=RecordType.ACCESS,
            decision_id="",
            ts_received=time.time_ns() // 1000,
            subject_id=pseudonym,
            control_kind="reveal",
            control_detail=json.dumps(detail, ensure_ascii=False, sort_keys=True),
        ),
    )


def put_on_record(settings: Settings, record: Record) -> None:
    """What an operator is about to do, in the stream for that; durable when this returns. Raises `Unavailable`."""
    writer = open_stream(
        settings.ledger_dir,
        node=settings.node,
        slot=SLOT,
        segment_bytes=settings.evidence.segment_bytes,
        disk_low_bytes=settings.evidence.disk_low_bytes,
        facts={"version": metadata.version("sluice"), "role": "access", "slots": [SEALER]},
    )
    try:
        asyncio.run(_committed(writer, record))
    finally:
        writer.close()


async def _committed(writer: Writer, record: Record) -> None:
    await writer.commit(record)


def _files(settings: Settings) -> list[Path]:
    return sorted(directory(settings).glob("subjects-w*"))


def _lines(path: Path) -> Iterator[tuple[str, str]]:
    """Pseudonym and sealed name of each whole line."""
    try:
        text = path.read_text("ascii")
    except FileNotFoundError:
        return
    for line in text.splitlines():
        pseudonym, tab, sealed = line.partition("\t")
        if tab and _PSEUDONYM.fullmatch(pseudonym):
            yield pseudonym, sealed


def _sealed(cipher: AESGCM, pseudonym: str, name: str) -> str:
    nonce = secrets.token_bytes(_NONCE)
    return base64.b64encode(nonce + cipher.encrypt(nonce, name.encode(), pseudonym.encode())).decode()
