"""An account of its own for each kind of process, so that whoever takes one over does not have the others' files.

With `[accounts]` every directory below `var` belongs to the one process that writes there, and the supervisor starts
each child under its account; without it all are one user. A supervisor that is root makes the directories itself; one
that has no more than CAP_SETUID, CAP_SETGID and CAP_KILL (the systemd unit's) finds them made by `sluice-proxy
--prepare`, and looks whether they still keep the accounts apart. All processes are in one group, which nobody else may
be in: what several have to read is open to it (0640), what one alone may read is not (0600).

    worker      its ledger streams, the CA, fingerprint keys, names behind pseudonyms, compiled detectors
    sealer      its ledger stream, the checkpoints and the keys that sign them
    shipper     cursors, dead letters, ClickHouse; it reads the ledger and the fingerprint keys, and changes neither
    forwarder   cursors of the receivers
    console     the stream of access records, its password

Segments are deleted by their own account, on the shipper's word and by the sealer's record (`sluice.pruning`).
What root writes into one of these directories belongs to the directory's owner (`sluice.durable`).
"""

from __future__ import annotations

import contextlib
import ctypes
import grp
import os
import pwd
import stat
import sys
from collections.abc import Iterator, Set
from dataclasses import dataclass
from pathlib import Path

from sluice.config import Settings, project_root
from sluice.errors import Misconfigured, Problem

ROOT = 0
_NEEDED = {"CAP_KILL": 5, "CAP_SETGID": 6, "CAP_SETUID": 7}
_AMBIENT, _CLEAR_ALL = 47, 4
"""prctl(2): PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL."""
PRIVATE, SHARED = 0o2700, 0o2750
"""Directories: of one account alone, or read by the group. Set-group-ID: what is made in them is of the group."""
COMMON = 0o3770
"""Several processes write files of their own here; the sticky bit keeps them from each other."""
_STREAMS = {"worker": range(256), "sealer": (1000,), "console": (1002,)}
_PREPARE = "`sluice-proxy --prepare`, as root, mends that"
_REMEDY = "it would undo the separation of accounts"


@dataclass(frozen=True, slots=True)
class Accounts:
    """User ids of the processes, and the id of their group."""

    worker: int
    sealer: int
    shipper: int
    forwarder: int
    console: int
    group: int
    supervisor: int = ROOT

    @property
    def users(self) -> frozenset[int]:
        return frozenset((self.worker, self.sealer, self.shipper, self.forwarder, self.console))

    def of(self, process: str) -> int:
        """The user id for `worker-0`, `sealer` ..."""
        found: int = getattr(self, process.partition("-")[0])
        return found

    @contextlib.contextmanager
    def acting(self, user: int) -> Iterator[None]:
        """What is read and made in this block is read and made as that account. For a process without threads."""
        before = os.geteuid(), os.getegid()
        os.setegid(self.group)
        os.seteuid(user)
        try:
            yield
        finally:
            os.seteuid(before[0])
            os.setegid(before[1])


@dataclass(frozen=True, slots=True)
class Place:
    """A directory, whose it is, its mode, and that of the files in it."""

    path: Path
    owner: int
    mode: int = SHARED

    @property
    def file_mode(self) -> int:
        return 0o640 if self.mode & 0o040 else 0o600


def resolve(settings: Settings) -> Accounts | None:
    """The accounts of the settings as numbers; None where there are none. Raises `Misconfigured`."""
    names = settings.accounts
    if not names.used:
        return None
    problems, found = [], {}
    for key in names.__struct_fields__:
        name = getattr(names, key)
        if (key, name) == ("supervisor", ""):
            continue
        try:
            found[key] = int(name) if name.isdigit() else _by_name(key, name)
        except KeyError:
            kind = "group" if key == "group" else "user"
            what = f"there is no {kind} `{name}` here; systemd-sysusers makes those of deploy/systemd/sluice.sysusers"
            problems.append(Problem(f"accounts.{key}", None, what))
            continue
        if found[key] == ROOT:
            problems.append(Problem(f"accounts.{key}", None, f"is root: {_REMEDY}"))
    users = [found[key] for key in found if key != "group"]
    if len(users) != len(set(users)):
        problems.append(Problem("accounts", None, f"names one user twice: {_REMEDY}"))
    if problems:
        raise Misconfigured(problems)
    return Accounts(**found)


def _by_name(key: str, name: str) -> int:
    return grp.getgrnam(name).gr_gid if key == "group" else pwd.getpwnam(name).pw_uid


def required(settings: Settings) -> Accounts | None:
    """As `resolve`, for who is about to start processes: raises `Misconfigured` where this process could not."""
    accounts = resolve(settings)
    if accounts is None or os.geteuid() == ROOT:
        return accounts
    status = Path("/proc/self/status").read_text("ascii", "replace")
    held = next((int(line.split()[1], 16) for line in status.splitlines() if line.startswith("CapEff:")), 0)
    if lacking := [name for name, bit in _NEEDED.items() if not held >> bit & 1]:
        what = f"is set, and this process lacks {', '.join(lacking)}: start sluice-proxy as root or by the systemd unit"
        raise Misconfigured(Problem("accounts", None, what))
    if os.geteuid() != accounts.supervisor:
        what = f"is user {accounts.supervisor}, and sluice-proxy runs as user {os.geteuid()}"
        raise Misconfigured(Problem("accounts.supervisor", None, what))
    # Else each child would be given what lets the supervisor change accounts.
    ctypes.CDLL(None, use_errno=True).prctl(_AMBIENT, _CLEAR_ALL, 0, 0, 0)
    return accounts


def places(settings: Settings, accounts: Accounts) -> tuple[Place, ...]:
    """Every directory of a deployment, outer ones first."""
    var, run, supervisor = settings.paths.var, settings.run_dir, accounts.supervisor
    return (
        Place(var, supervisor),
        Place(run, supervisor),
        Place(run / "metrics", supervisor, COMMON),
        Place(run / "workers", accounts.worker),
        Place(run / "shipper", accounts.shipper),
        Place(run / "console", accounts.console, PRIVATE),
        Place(settings.ledger_dir, supervisor),
        *(Place(path, owner) for path, owner in _streams(settings, accounts)),
        Place(settings.seal_dir, accounts.sealer),
        Place(settings.seal_keys_dir, accounts.sealer, PRIVATE),
        Place(settings.keys_dir, accounts.worker),
        Place(settings.ca_dir, accounts.worker),
        Place(settings.cache_dir, accounts.worker, PRIVATE),
        Place(var / "identity", accounts.worker, PRIVATE),
        Place(var / "ship", accounts.shipper),
        *(Place(var / "ship" / box, accounts.shipper) for box in ("holds", "prune")),  # root leaves notes here
        Place(var / "ship" / "posture", accounts.shipper, COMMON),  # notes; `ship.notes` looks whose they are
        Place(settings.clickhouse_dir, accounts.shipper, PRIVATE),
        Place(var / "forward", accounts.forwarder, PRIVATE),
        Place(settings.console_password.parent, accounts.console, PRIVATE),
    )


def _streams(settings: Settings, accounts: Accounts) -> Iterator[tuple[Path, int]]:
    """Ledger streams that are there and those that this start needs, each with the account that writes it."""
    count = settings.proxy.workers or len(os.sched_getaffinity(0))
    slots = {settings.ledger_dir / f"{settings.node}-w{slot}" for slot in (*range(count), 1000, 1001, 1002)}
    there = set(settings.ledger_dir.glob("*-w*")) if settings.ledger_dir.is_dir() else set()
    for path in sorted(slots | there):
        slot = path.name.rpartition("-w")[2]
        number = int(slot) if slot.isdigit() else -1
        yield (
            path,
            next((accounts.of(who) for who, slots_ in _STREAMS.items() if number in slots_), accounts.supervisor),
        )  # lookups: who types


def arrange(settings: Settings, accounts: Accounts) -> None:
    """Make every directory, and give each with what is in it to its account; without root's rights, only look whether
    that was done. Raises `Misconfigured`."""
    if problems := outside(settings, accounts):
        raise Misconfigured(problems)
    if os.geteuid() != ROOT:
        missing = [place.path for place in places(settings, accounts) if not place.path.is_dir()]
        problems = [Problem(str(path), None, f"is not there: {_PREPARE}") for path in missing]
        if problems or (problems := undone(settings, accounts)):
            raise Misconfigured(problems)
        return
    everywhere = places(settings, accounts)
    apart = {place.path for place in everywhere}
    shallow = {settings.paths.var, settings.run_dir, settings.ledger_dir}
    for place in everywhere:
        try:
            place.path.mkdir(parents=True, exist_ok=True, mode=0o700)
            _give(place, accounts.group, None if place.path in shallow else apart)
        except OSError as e:
            what = f"cannot be given to user {place.owner}: {e.strerror}"
            raise Misconfigured(Problem(str(e.filename or place.path), None, what)) from e
    for key in settings.keys_dir.glob("fingerprint-k*.key"):
        key.chmod(0o640)  # the shipper reads them; every other file among the keys stays the workers' own
    if problems := undone(settings, accounts):
        raise Misconfigured(problems)


def _give(place: Place, group: int, apart: Set[Path] | None) -> None:
    """Owner, group and mode of a directory and its files, and of the directories below it but those `apart`; None: of
    none. No link is followed, and a file with a second name, which might be somebody else's, is left alone."""
    for top, folders, files, at in os.fwalk(place.path, follow_symlinks=False):
        for name in files if place.mode != COMMON else ():
            found = os.stat(name, dir_fd=at, follow_symlinks=False)
            if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
                continue
            os.chown(name, place.owner, group, dir_fd=at, follow_symlinks=False)
            secret = place.path.name == "keys" or name.endswith(".key")
            if place.mode & 0o040 and not secret and not found.st_mode & 0o040:
                _open_to_group(name, at)
        folders[:] = [] if apart is None else [f for f in folders if Path(top, f) not in apart]
        os.fchown(at, place.owner, group)
        os.fchmod(at, place.mode)


def _open_to_group(name: str, at: int) -> None:
    fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=at)
    try:
        os.fchmod(fd, 0o640)
    finally:
        os.close(fd)


def outside(settings: Settings, accounts: Accounts) -> list[Problem]:
    """Who could change, from outside `var`, what keeps the accounts apart: the program, or the way to `var`."""
    program = (project_root(), project_root() / "sluice", Path(sys.prefix), Path(sys.base_prefix))
    ways = [way for way in settings.paths.var.parents if way.is_dir() and not way.stat().st_mode & stat.S_ISVTX]
    looked = [*((path, "holds the program") for path in program), *((way, "leads to the evidence") for way in ways)]
    return [
        Problem(str(path), None, f"{why}, and {what}: {_REMEDY}")
        for path, why in looked
        if path.is_dir() and (what := _changeable(path, accounts))
    ]


def _changeable(path: Path, accounts: Accounts) -> str:
    status = path.stat()
    if status.st_uid in accounts.users:
        return f"belongs to user {status.st_uid}, an account of the appliance"
    if status.st_mode & 0o002:
        return f"can be changed by everyone (mode {stat.S_IMODE(status.st_mode):04o})"
    if status.st_mode & 0o020 and status.st_gid == accounts.group:
        return "can be changed by the group of the accounts"
    return ""


def undone(settings: Settings, accounts: Accounts) -> list[Problem]:
    """Directories, keys and checkpoints that another account than their own could read or change."""
    found = []
    for place in places(settings, accounts):
        if not os.path.lexists(place.path):
            continue
        status = place.path.lstat()
        mode = stat.S_IMODE(status.st_mode)
        if not stat.S_ISDIR(status.st_mode):
            found.append(Problem(str(place.path), None, f"is no directory of its own: {_REMEDY}"))
        elif (status.st_uid, status.st_gid, mode) != (place.owner, accounts.group, place.mode):
            what = f"is {status.st_uid}:{status.st_gid} {mode:04o} instead of {place.owner}:{accounts.group} "
            found.append(Problem(str(place.path), None, f"{what}{place.mode:04o}: {_PREPARE}"))
    secret = ((settings.seal_keys_dir, accounts.sealer), (settings.ca_dir, accounts.worker))
    looked = ((f, owner) for at, owner in secret if os.access(at, os.R_OK) for f in sorted(at.glob("*.key")))
    for file, owner in looked:
        status = file.lstat()
        if (
            not stat.S_ISREG(status.st_mode)
            or status.st_uid not in (owner, accounts.supervisor)
            or status.st_mode & 0o077
        ):
            what = f"is a key that user {owner} alone may read (chmod 600), and is not: {_REMEDY}"
            found.append(Problem(str(file), None, what))
        elif status.st_nlink > 1:
            found.append(Problem(str(file), None, f"has a second name elsewhere: {_REMEDY}"))
    return found
