"""The detectors ready to run for a command: compiled once, then read back from a cache, so that a scan starts at once.

Where this deployment's own cache below `var` can be read it is used; otherwise one of the user's own, in
`$XDG_CACHE_HOME/sluice`, with a key of its own beside it. Both hold compiled patterns, nothing that was scanned.
"""

from __future__ import annotations

import contextlib
import gc
import os
import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sluice.cache import Cache
    from sluice.config import Settings
    from sluice.detect.engine import Engine
    from sluice.detect.own.site import OwnData
    from sluice.model import Detector


def make_engine(settings: Settings, *, detectors: Sequence[Detector] | None = None) -> Engine:
    """The engine with the shipped and the site's packs and the site's own data. Its fingerprint key is for this run
    alone: none are shown.

    Raises `Misconfigured`.
    """
    from sluice.detect.engine import Engine
    from sluice.detect.evidence import Fingerprinter

    with _no_collection():
        chosen = load_detectors(settings) if detectors is None else tuple(detectors)
        own = load_own(settings)
        return Engine(chosen, Fingerprinter(secrets.token_bytes(32), "scan"), store=_Stores(settings), own=own)


def load_detectors(settings: Settings) -> tuple[Detector, ...]:
    """The detectors in force. Raises `Misconfigured`."""
    from sluice import config
    from sluice.detect import packs

    signatures = config.signatures_dir()
    return packs.load([signatures / "packs", *settings.paths.packs], signatures / "vocabulary.toml")


def load_own(settings: Settings) -> OwnData | None:
    """The site's own data, which is bound to the deployment's keys; where there is none, no key is looked for.
    Raises `Misconfigured`."""
    if not settings.own.used:
        return None
    from sluice import keys
    from sluice.detect.own import site

    return site.load(settings.own, keys.secrets_by_name(settings), settings.cache_dir)


class _Stores:
    """Reads the deployment's cache, then the user's; writes the user's alone: `var` belongs to the appliance."""

    def __init__(self, settings: Settings) -> None:
        self._caches = [cache for cache in (_of_deployment(settings), of_user()) if cache is not None]

    def load(self, name: str) -> bytes | None:
        return next((kept for cache in self._caches if (kept := cache.load(name)) is not None), None)

    def save(self, name: str, content: bytes) -> None:
        if own := of_user():
            own.save(name, content)


def _of_deployment(settings: Settings) -> Cache | None:
    from sluice import keys
    from sluice.cache import Cache
    from sluice.errors import Misconfigured

    if not settings.cache_dir.is_dir() or not settings.keys_dir.is_dir():
        return None
    try:
        return Cache(settings.cache_dir, keys.fingerprint_key(settings)[0])
    except (Misconfigured, OSError):
        return None  # the key is another account's: whoever scans may not read it, and need not


def of_user() -> Cache | None:
    """The user's own cache; None where there is no place for one: then the detectors are compiled each time."""
    from sluice.cache import Cache

    try:
        directory = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sluice"
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        return Cache(directory, _key(directory / "cache.key"))
    except (OSError, RuntimeError):
        return None


def _key(file: Path) -> bytes:
    """The key of a user's cache, made when there is none. Raises `OSError` for one that others can read."""
    with contextlib.suppress(FileExistsError):
        draft = file.with_name(f"{file.name}.{secrets.token_hex(8)}")
        fd = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        try:
            os.write(fd, secrets.token_bytes(32))
            os.link(draft, file)  # whole, or not at all: two scans at once must not read half a key
        finally:
            os.close(fd)
            draft.unlink()
    fd = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        found = os.fstat(fd)
        key = os.read(fd, 64)
    finally:
        os.close(fd)
    if found.st_mode & 0o077 or found.st_uid != os.geteuid() or len(key) != 32:
        raise OSError("not a key of this user alone")
    return key


@contextlib.contextmanager
def _no_collection() -> Iterator[None]:
    """Loading makes a million objects and no garbage: looking for it would take a fifth of the time."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()
