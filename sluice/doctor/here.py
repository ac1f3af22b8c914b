"""The machine and the deployment's own files: versions, limits, clock, disk, permissions, CA, rules."""

from __future__ import annotations

import datetime as dt
import errno
import importlib.metadata
import os
import platform
import resource
import shutil
import ssl
import stat
import sys
import time
from collections.abc import Callable
from pathlib import Path

from sluice import accounts, clock, config, instance, startup
from sluice.doctor import Findings, fail, ok, warn
from sluice.errors import Misconfigured
from sluice.model import Rulebook

FILES = 4096
"""Open files below which a busy proxy refuses connections: two for each client, and the ledger's."""
WORKER_MB = 350
"""Memory of one worker with the compiled detectors, the sealer's and the shipper's share included."""
SLOW_FLUSH_MS = 20.0
"""A flush that takes longer is felt by every request: it waits for one."""
FLUSHES = 12
_MEMORY = frozenset({"tmpfs", "ramfs", "overlay"})
_REMOTE = frozenset({"nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs"})


def versions(_: config.Settings) -> Findings:
    """Python, the libraries that decide something, and the processor's abilities."""
    if sys.version_info[:2] != (3, 13):
        yield fail("versions", f"Python {platform.python_version()}", "install Python 3.13, the one that is tested")
    names = ("sluice", "mitmproxy", "hyperscan", "chdb", "cryptography")
    missing = []
    told = [f"Python {platform.python_version()}", ssl.OPENSSL_VERSION]
    for name in names:
        try:
            told.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            missing.append(name)
    if missing:
        yield fail("versions", f"not installed: {', '.join(missing)}", "run `make setup`")
    if platform.machine() in ("x86_64", "AMD64"):
        flags = _cpu_flags()
        if flags and "ssse3" not in flags:
            yield fail("versions", "this processor lacks SSSE3", "use one of after 2008: hyperscan does not run here")
    elif platform.machine() not in ("aarch64", "arm64"):
        yield warn("versions", f"processor {platform.machine()}", "x86-64 is the one that is tested")
    yield ok("versions", ", ".join(told))


def _cpu_flags() -> frozenset[str]:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines()
    except OSError:
        return frozenset()
    return next((frozenset(line.partition(":")[2].split()) for line in lines if line.startswith("flags")), frozenset())


def limits(settings: config.Settings) -> Findings:
    """Open files, memory, swap: what a busy day needs."""
    _, files = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files != resource.RLIM_INFINITY and files < FILES:
        yield fail("limits", f"at most {files} open files", f"raise it to {FILES} or more (LimitNOFILE=, ulimit -n)")
    else:
        yield ok("limits", f"{'any number of' if files == resource.RLIM_INFINITY else files} open files")
    memory = _meminfo()
    if total := memory.get("MemTotal", 0):
        workers = settings.proxy.workers or len(os.sched_getaffinity(0))
        need = workers * WORKER_MB
        if total // 1024 < need:
            fix = f"give it more, or set `proxy.workers` to {max(1, total // 1024 // WORKER_MB)}"
            yield warn("limits", f"{total // 1024} MB of memory for {workers} workers that may use {need} MB", fix)
        else:
            yield ok("limits", f"{total // 1024} MB of memory for {workers} workers")
    if memory.get("SwapTotal", 0):
        fix = "switch swap off or encrypt it, or set MemorySwapMax=0 for the service (the units in deploy/ do)"
        yield warn("limits", "swap is on: prompts in memory could reach a disk", fix)


def _meminfo() -> dict[str, int]:
    """Of /proc/meminfo, kB."""
    try:
        lines = Path("/proc/meminfo").read_text("ascii", "replace").splitlines()
    except OSError:
        return {}
    pairs = (line.split()[:2] for line in lines if len(line.split()) >= 2)
    return {name.rstrip(":"): int(value) for name, value in pairs if value.isdigit()}


def time_of_day(_: config.Settings) -> Findings:
    """The clock: certificates, evidence and retention all go by it."""
    offset, source = clock.read()
    if source == "unsynchronised":
        fix = "run a time service (chrony, systemd-timesyncd); in a container, on its host"
        yield warn("clock", "the kernel says that the clock is not synchronised", fix)
    elif source is None:
        yield warn("clock", "the kernel does not tell whether the clock is right", "compare it with a time service")
    elif offset is not None and abs(offset) > 1000:
        yield warn("clock", f"the clock is off by {offset:.0f} ms", "look at the time service")
    else:
        yield ok("clock", f"synchronised, {abs(offset or 0):.1f} ms off")
    if dt.datetime.now(dt.UTC).year < 2026:
        yield fail("clock", "the clock is years behind", "set it: certificates are not valid yet")


def disk(settings: config.Settings) -> Findings:
    """Where the ledger lies: room, kind of file system, and how long a flush takes."""
    place = _existing(settings.ledger_dir)
    free = shutil.disk_usage(place).free
    low = settings.evidence.disk_low_bytes
    if free < low:
        fix = "make room: nothing is forwarded below `evidence.disk_low_bytes`"
        yield fail("disk", f"{free >> 20} MB free at {place}, {low >> 20} MB are needed", fix)
    elif free < 10 * low:
        yield warn("disk", f"only {free >> 20} MB free at {place}", "make room before it reaches `disk_low_bytes`")
    else:
        yield ok("disk", f"{free >> 20} MB free at {place}")
    files = os.statvfs(place)
    if files.f_files and files.f_favail < 1000:
        yield fail("disk", f"only {files.f_favail} files can still be made at {place}", "make room: it lacks inodes")
    kind = _filesystem(place)
    if kind in _MEMORY:
        fix = "put `paths.var` on a disk: evidence has to survive a power cut"
        yield warn("disk", f"{place} lies on {kind}, which may be gone after a restart", fix)
    elif kind in _REMOTE:
        yield warn("disk", f"{place} lies on {kind}", "use a local disk: every request waits for a flush")
    if settings.ledger_dir.is_dir() and os.access(settings.ledger_dir, os.W_OK):
        yield from _flush(settings.ledger_dir)


def _flush(directory: Path) -> Findings:
    probe = directory / f".doctor-{os.getpid()}"
    took = []
    try:
        fd = os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            for _ in range(FLUSHES):
                began = time.perf_counter()
                os.write(fd, b"\0" * 1024)
                os.fdatasync(fd)
                took.append((time.perf_counter() - began) * 1000)
        finally:
            os.close(fd)
            probe.unlink()
    except OSError as e:
        full = e.errno in (errno.ENOSPC, errno.EDQUOT)
        fix = "make room there" if full else "look at the disk, and at who owns the directory"
        yield fail("disk", f"{directory} cannot be written: {e.strerror}", fix)
        return
    middle = sorted(took)[len(took) // 2]
    if middle > SLOW_FLUSH_MS:
        yield warn("disk", f"a flush takes {middle:.1f} ms", "use a faster disk: every request waits for one")
    else:
        yield ok("disk", f"a flush takes {middle:.2f} ms")


def _existing(place: Path) -> Path:
    while not place.exists() and place != place.parent:
        place = place.parent
    return place


def _filesystem(place: Path) -> str:
    """The kind of file system of a path, by /proc/mounts; empty when that cannot be told."""
    try:
        mounts = [line.split() for line in Path("/proc/mounts").read_text("utf-8", "replace").splitlines()]
    except OSError:
        return ""
    whole = place.resolve()
    fitting = [m for m in mounts if len(m) > 2 and (whole == Path(m[1]) or Path(m[1]) in whole.parents)]
    return max(fitting, key=lambda m: len(m[1]))[2] if fitting else ""


def permissions(settings: config.Settings) -> Findings:
    """Whose the files are, and who else could read keys or change rules."""
    if settings.accounts.used:
        yield from _accounts(settings)
        return
    secret = (settings.paths.var, settings.keys_dir, settings.ca_dir, settings.seal_keys_dir, settings.ledger_dir)
    faults = 0
    owners = set()
    for directory in secret:
        if not directory.is_dir():
            continue
        status = directory.stat()
        owners.add(status.st_uid)
        if status.st_mode & 0o077:
            faults += 1
            mode = stat.S_IMODE(status.st_mode)
            yield fail("permissions", f"{directory} can be entered by others ({mode:04o})", f"chmod 700 {directory}")
    for key in (*settings.keys_dir.glob("*.key"), *settings.ca_dir.glob("*.key"), *settings.seal_keys_dir.glob("*")):
        if key.is_file() and key.stat().st_mode & 0o077:
            faults += 1
            yield fail("permissions", f"{key} can be read by others", f"chmod 600 {key}, and consider it known")
    for fault in _changeable_rules(settings, 0o002, "anyone"):
        faults += 1
        yield fault
    if owners and owners != {os.geteuid()}:
        fix = "run this as the account of the appliance"
        yield warn("permissions", f"{settings.paths.var} belongs to user id {min(owners)}", fix)
    if os.geteuid() == 0:
        yield warn("permissions", "this runs as root", "run the appliance as a user of its own (deploy/systemd)")
    if not faults:
        yield ok("permissions", "keys, evidence and rules are closed to others")


def _changeable_rules(settings: config.Settings, bits: int, who: str) -> Findings:
    rules = (config.locate(), settings.paths.policy, settings.paths.targets, settings.paths.suppressions)
    for file in filter(None, rules):
        if file.is_file() and file.stat().st_mode & bits:
            letters = "o" if bits == 0o002 else "go"
            yield fail("permissions", f"{file} can be changed by {who}", f"chmod {letters}-w {file}")


def _accounts(settings: config.Settings) -> Findings:
    """Processes with accounts of their own: whether those are apart."""
    try:
        separate = accounts.resolve(settings)
    except Misconfigured as e:
        for problem in e.problems:
            yield fail("permissions", str(problem), "see `[accounts]` in the settings")
        return
    if separate is None:
        return
    if os.geteuid() != accounts.ROOT:
        yield warn("permissions", "the directories of other accounts cannot be looked into", "run this as root")
        return
    found = [str(p) for p in (*accounts.outside(settings, separate), *accounts.undone(settings, separate))]
    for what in found:
        yield fail("permissions", what, "restart sluice-proxy as root, which mends directories, or says what it cannot")
    faults = list(_changeable_rules(settings, 0o022, "others than its owner"))
    yield from faults
    if not found and not faults:
        yield ok("permissions", "each process has an account of its own, and keys and evidence are theirs")


def authority(settings: config.Settings) -> Findings:
    """The CA: whether there is one, whether it is usable, and for how long."""
    from sluice import ca, castore

    if not castore.present(settings.ca_dir):
        yield warn("ca", "there is no CA yet", "sluice-proxy makes one at its first start; `sluice ca init` does too")
        return
    try:
        castore.load(settings.ca_dir, time.time, expired_ok=True)
        info = ca.show(settings.ca_dir)
    except Misconfigured as e:
        for problem in e.problems:
            yield fail("ca", str(problem), "see certs/README.md")
        return
    if info.days_left < 1:
        yield fail(
            "ca", f"the CA ended on {info.not_after:%Y-%m-%d}", "`sluice ca rotate --now`, restart, then every client"
        )
    elif info.days_left <= ca.WARN_DAYS and info.staged is None:
        fix = "`sluice ca rotate`, bring it to every client, then `--activate`"
        yield warn("ca", f"the CA ends in {info.days_left} days and has no successor", fix)
    else:
        yield ok("ca", f"{info.subject}, {info.days_left} days left, SHA-256 {info.sha256[:16]}...")


def rules(settings: config.Settings, load: Callable[[], Rulebook]) -> Findings:
    """Settings, policy, destinations, packs: what a start would say. `load` gives the rulebook, or raises
    `Misconfigured`."""
    problems = startup.unfit_settings(settings, config.locate()) + startup.unfit_directories(settings)
    try:
        book = load()
    except Misconfigured as e:
        problems += e.problems
    else:
        yield ok("rules", f"policy {book.policy.id} {book.policy.version}, rulebook {book.digest[:16]}")
    for problem in problems:
        yield fail(
            "rules", str(problem), "mend that: sluice-proxy does not start with it; `sluice check` says when it is"
        )
    if not problems:
        yield ok("rules", f"settings of {config.locate() or 'the defaults'} can be used")


def running(settings: config.Settings) -> Findings:
    """Whether the appliance runs here."""
    pid = instance.running(settings.paths.var)
    if pid is None:
        yield warn(
            "appliance",
            f"no appliance runs on {settings.paths.var}",
            "`sluice-proxy` (`make run`, `systemctl start sluice`) starts it",
        )
    else:
        yield ok("appliance", f"runs as process {pid}")
