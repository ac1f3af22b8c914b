"""The CA's directory: who may read it, two first starts at once, crashes, and every file that must stop the start."""

from __future__ import annotations

import datetime as dt
import multiprocessing
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from sluice import ca, castore
from sluice.ca import Authority
from sluice.config import Ca
from sluice.errors import Misconfigured
from tests.tls.lab_pki import Issued, issue


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A CA directory as a first start leaves it."""
    path = tmp_path / "ca"
    Authority.load_or_create(path, Ca(), node="node-1")
    return path


def _private_pem(key: object) -> bytes:
    assert isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey)
    return key.private_bytes(Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_first_start_makes_private_files(tmp_path: Path) -> None:
    """Directory 0700, key 0600, whatever the umask; nothing else lies about."""
    old = os.umask(0)
    try:
        Authority.load_or_create(tmp_path / "deep" / "ca", Ca())
    finally:
        os.umask(old)
    made = tmp_path / "deep" / "ca"
    assert (_mode(made), _mode(made / "ca.key")) == (0o700, 0o600)
    assert sorted(p.name for p in made.iterdir()) == [".lock", "ca.key", "ca.pem"]


def test_a_second_start_uses_the_same_ca(directory: Path) -> None:
    """The CA is made once: clients trust it for years."""
    again = Authority.load_or_create(directory, Ca(organisation="Another"))
    assert again.certificate.public_bytes(Encoding.PEM) == (directory / "ca.pem").read_bytes()


def _start(path: Path, barrier: multiprocessing.synchronize.Barrier, results: multiprocessing.Queue[str]) -> None:  # type: ignore[type-arg]
    barrier.wait()
    results.put(ca.init(path, Ca()).sha256)


def test_two_first_starts_make_one_ca(tmp_path: Path) -> None:
    """Eight processes that start at once agree on one certificate."""
    context = multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(8), context.Queue()
    processes = [context.Process(target=_start, args=(tmp_path / "ca", barrier, results)) for _ in range(8)]
    for process in processes:
        process.start()
    seen = {results.get(timeout=60) for _ in processes}
    for process in processes:
        process.join(30)
    assert len(seen) == 1


def refuses(directory: Path, *words: str) -> None:
    """Neither a start nor the command line goes on, and the message names the file and the remedy."""
    for use in (lambda: Authority.load_or_create(directory, Ca()), lambda: ca.show(directory)):
        with pytest.raises(Misconfigured) as stopped:
            use()
        for word in (str(directory), *words):
            assert word in str(stopped.value)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o666, 0o601])
def test_a_key_open_to_others_is_refused(mode: int, directory: Path) -> None:
    """A key that others may read may be known to others."""
    (directory / "ca.key").chmod(mode)
    refuses(directory, "ca.key", "open to others", "chmod 600")


@pytest.mark.parametrize("mode", [0o750, 0o701, 0o777, 0o755])
def test_a_directory_open_to_others_is_refused(mode: int, directory: Path) -> None:
    """Who may enter the directory may read what a crash left in it."""
    directory.chmod(mode)
    refuses(directory, "open to others", "chmod 700")


def test_a_key_of_another_user_is_refused(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key that another user owns can be changed by them. (Only root may give files away; else we become another.)"""
    if os.geteuid() == 0:
        os.chown(directory / "ca.key", 12345, -1)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: 12345)
    refuses(directory, "belongs to user")


def test_a_pair_that_does_not_fit_is_refused(directory: Path, tmp_path: Path) -> None:
    """A certificate whose key is another's would sign leaves that nobody accepts."""
    other = tmp_path / "other"
    Authority.load_or_create(other, Ca())
    (directory / "ca.pem").write_bytes((other / "ca.pem").read_bytes())
    refuses(directory, "ca.pem", "not the certificate of ca.key")


@pytest.mark.parametrize("name", ["ca.key", "ca.pem"])
def test_half_a_pair_is_refused_and_kept(name: str, directory: Path) -> None:
    """A missing half is for a person to restore: it is not replaced by a CA that no client knows."""
    (directory / name).unlink()
    left = {p.name: p.read_bytes() for p in directory.iterdir()}
    refuses(directory, name, "cannot be read")
    assert {p.name: p.read_bytes() for p in directory.iterdir()} == left


@pytest.mark.parametrize(
    "content", [b"", b"garbage", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
)
def test_an_unreadable_certificate_is_refused(content: bytes, directory: Path) -> None:
    """A damaged certificate file is named, not replaced."""
    (directory / "ca.pem").write_bytes(content)
    refuses(directory, "ca.pem", "no readable PEM certificate")


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (lambda: b"garbage", "no readable"),
        (lambda: _private_pem(ed25519.Ed25519PrivateKey.generate()), "elliptic-curve key, or RSA"),
        (lambda: _private_pem(rsa.generate_private_key(65537, 1024)), "2048 bits"),  # noqa: S505
        (lambda: _encrypted(), "unencrypted"),
    ],
)
def test_an_unfit_key_is_refused(content: Callable[[], bytes], word: str, directory: Path) -> None:
    """A damaged, encrypted, weak or exotic key is named with what it should be."""
    (directory / "ca.key").write_bytes(content())
    refuses(directory, "ca.key", word)


def _encrypted() -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(
        Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"secret")
    )


def _install(directory: Path, *chain: Issued) -> None:
    (directory / "ca.pem").write_bytes(b"".join(c.certificate_pem() for c in chain))
    (directory / "ca.key").write_bytes(_private_pem(chain[0].key))


@pytest.mark.parametrize(
    ("issued", "word"),
    [
        (lambda: issue("leaf"), "not a CA certificate"),
        (lambda: issue("old", ca=True, basic=False), "basicConstraints"),
        (lambda: issue("old", ca=True, usage=None), "keyUsage"),
        (lambda: issue("odd", ca=True, usage=castore.certificate._key_usage(ca=False)), "keyCertSign"),
    ],
)
def test_a_certificate_that_may_not_sign_is_refused(issued: Callable[[], Issued], word: str, directory: Path) -> None:
    """What clients would refuse later is refused at the start."""
    _install(directory, issued())
    refuses(directory, "ca.pem", word)


def test_an_expired_ca_stops_the_start_and_can_be_replaced(directory: Path) -> None:
    """The start says what to do, and that works: `rotate` makes another although the current one has expired."""
    past = dt.datetime.now(dt.UTC) - dt.timedelta(days=2)
    _install(directory, issue("old", ca=True, before=past - dt.timedelta(days=9), after=past))
    with pytest.raises(Misconfigured, match=r"expired on .*`sluice ca rotate --now`"):
        Authority.load_or_create(directory, Ca())
    assert ca.show(directory).days_left < 0
    ca.rotate(directory, Ca())
    Authority.load_or_create(directory, Ca()).leaf(["a.test"])


def test_a_ca_of_the_future_points_at_the_clock(directory: Path) -> None:
    """Not valid yet means that a clock is wrong: this machine's, most likely."""
    soon = dt.datetime.now(dt.UTC) + dt.timedelta(days=2)
    _install(directory, issue("early", ca=True, before=soon))
    with pytest.raises(Misconfigured, match="clock"):
        Authority.load_or_create(directory, Ca())


def test_a_subordinate_ca_sends_its_chain(directory: Path) -> None:
    """A CA that the site's PKI issued signs leaves, sends the intermediates along, and exports the top as anchor."""
    root = issue("Site root", ca=True, key=rsa.generate_private_key(65537, 2048))
    subordinate = issue("Site proxy CA", root, ca=True, path_length=0)
    _install(directory, subordinate, root)
    authority = Authority.load_or_create(directory, Ca())
    leaf = authority.leaf(["a.test"])
    assert leaf.chain == (subordinate.cert, root.cert)
    leaf.cert.verify_directly_issued_by(subordinate.cert)
    assert x509.load_der_x509_certificate(ca.export(directory, "der")) == root.cert


def test_an_rsa_ca_signs_too(directory: Path) -> None:
    """Sites whose PKI has only RSA are served: the CA's key is RSA, the leaf's stays P-256."""
    _install(directory, issue("RSA CA", ca=True, key=rsa.generate_private_key(65537, 2048)))
    authority = Authority.load_or_create(directory, Ca())
    leaf = authority.leaf(["a.test"])
    leaf.cert.verify_directly_issued_by(authority.certificate)
    assert isinstance(leaf.key, ec.EllipticCurvePrivateKey)


@pytest.mark.parametrize("survivors", [(), ("next.key",), ("next.key", "next.pem"), (".next.key.new",)])
def test_a_first_start_that_was_cut_short_is_begun_again(survivors: tuple[str, ...], tmp_path: Path) -> None:
    """Whatever a crash left of a CA that nobody has seen, the next start makes a whole one."""
    path = tmp_path / "ca"
    path.mkdir(mode=0o700)
    for name in survivors:
        (path / name).write_bytes(b"half")
    Authority.load_or_create(path, Ca()).leaf(["a.test"])
    assert sorted(p.name for p in path.glob("ca.*")) == ["ca.key", "ca.pem"]


def test_a_crash_between_the_two_renames_is_finished(directory: Path) -> None:
    """The certificate was renamed and the key not: the next one to come renames the key, in a first start as well."""
    ca.stage(directory, Ca())
    staged = (directory / "next.pem").read_bytes()
    (directory / "next.pem").replace(directory / "ca.pem")
    authority = Authority.load_or_create(directory, Ca())
    assert authority.certificate.public_bytes(Encoding.PEM) == staged
    assert not (directory / "next.key").exists()
    authority.leaf(["a.test"]).cert.verify_directly_issued_by(authority.certificate)


def test_a_crash_in_the_first_start_between_the_renames_is_finished(tmp_path: Path) -> None:
    """The same with no earlier key in place."""
    path = tmp_path / "ca"
    Authority.load_or_create(path, Ca())
    (path / "ca.key").rename(path / "next.key")
    Authority.load_or_create(path, Ca()).leaf(["a.test"])


def test_files_are_flushed_before_they_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each file is on disk before its name appears, and the directory is flushed after."""
    events: list[str] = []
    real_fsync, real_replace = os.fsync, Path.replace
    monkeypatch.setattr(os, "fsync", lambda fd: (events.append(f"fsync {_kind(fd)}"), real_fsync(fd))[1])

    def replace(self: Path, target: Path) -> Path:
        events.append(f"rename {target.name}")
        return real_replace(self, target)

    monkeypatch.setattr(Path, "replace", replace)
    Authority.load_or_create(tmp_path / "ca", Ca())
    assert events == [
        *("fsync file", "rename next.key", "fsync directory"),
        *("fsync file", "rename next.pem", "fsync directory"),
        *("rename ca.pem", "fsync directory"),
        *("rename ca.key", "fsync directory"),
    ]


def _kind(descriptor: int) -> str:
    return "directory" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file"


def test_a_directory_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """A file where the directory should be: an operator's error with its path, not a traceback."""
    (tmp_path / "ca").write_bytes(b"")
    with pytest.raises(Misconfigured) as stopped:
        Authority.load_or_create(tmp_path / "ca", Ca())
    assert str(tmp_path / "ca") in str(stopped.value)


def test_nothing_there_is_said_plainly(tmp_path: Path) -> None:
    """`show` and `export` without a CA say how to get one."""
    for use in (lambda: ca.show(tmp_path / "ca"), lambda: ca.export(tmp_path / "ca", "pem")):
        with pytest.raises(Misconfigured, match="sluice ca init"):
            use()


def test_fingerprints_are_what_openssl_prints(directory: Path) -> None:
    """`show` names the certificate as any other tool does."""
    info = ca.show(directory)
    cert = x509.load_pem_x509_certificate((directory / "ca.pem").read_bytes())
    assert info.sha256 == cert.fingerprint(hashes.SHA256()).hex()
    assert int(info.serial, 16) == cert.serial_number
    assert (info.certificate, info.key) == (directory / "ca.pem", directory / "ca.key")
    assert info.days_left in {365 * 5 - 1, 365 * 5 - 2}
