"""What the CA makes: accepted by the strictest verifiers at hand, and as `certs/profile.toml` says."""

from __future__ import annotations

import datetime as dt
import ssl
import subprocess
import threading
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtensionOID, NameOID

from sluice import ca, castore, certificate, metrics
from sluice.ca import Authority
from sluice.config import Ca
from sluice.errors import Misconfigured, Unavailable

HOSTS = (
    "api.openai.com",
    "xn--bcher-kva.example",
    "under_score.example",
    "203.0.113.7",
    "2001:db8::7",
    "a" * 63 + ".x.test",
)
PROFILE = tomllib.loads((Path(__file__).resolve().parents[2] / "certs" / "profile.toml").read_text("utf-8"))


class Clock:
    """Seconds since the epoch, moved by hand."""

    def __init__(self) -> None:
        self.now = dt.datetime.now(dt.UTC).timestamp()

    def __call__(self) -> float:
        return self.now

    def forward(self, **span: float) -> None:
        self.now += dt.timedelta(**span).total_seconds()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def authority(tmp_path: Path, clock: Clock) -> Authority:
    return Authority.load_or_create(tmp_path / "ca", Ca(), clock, node="node-1")


def _extension[T: x509.ExtensionType](cert: x509.Certificate, kind: type[T]) -> tuple[T, bool]:
    found = cert.extensions.get_extension_for_class(kind)
    return found.value, found.critical


@pytest.mark.parametrize("host", HOSTS)
def test_openssl_verifies_strictly(host: str, authority: Authority, tmp_path: Path) -> None:
    """`openssl verify -x509_strict` takes CA and leaf, for its purpose and its name."""
    anchor, leaf = tmp_path / "anchor.pem", tmp_path / "leaf.pem"
    anchor.write_bytes(authority.certificate.public_bytes(Encoding.PEM))
    leaf.write_bytes(authority.leaf([host]).cert.public_bytes(Encoding.PEM))
    name = ["-verify_ip" if host[0] == "2" else "-verify_hostname", host]
    command = ["openssl", "verify", "-x509_strict", "-check_ss_sig", "-purpose", "sslserver", *name]
    done = subprocess.run([*command, "-CAfile", anchor, leaf], capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip().endswith("OK")) == (0, True), done.stderr


@pytest.mark.parametrize("host", HOSTS)
def test_python_verifies_strictly(host: str, authority: Authority, tmp_path: Path) -> None:
    """Python 3.13's default context (VERIFY_X509_STRICT) completes a handshake with a leaf, in memory."""
    leaf = authority.leaf([host])
    pem = tmp_path / "leaf.pem"
    key = leaf.key.private_bytes(
        Encoding.PEM, castore.serialization.PrivateFormat.PKCS8, castore.serialization.NoEncryption()
    )
    pem.write_bytes(leaf.cert.public_bytes(Encoding.PEM) + key)
    server_context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server_context.load_cert_chain(pem)
    client_context = ssl.create_default_context(cadata=authority.certificate.public_bytes(Encoding.DER))
    assert client_context.verify_flags & ssl.VERIFY_X509_STRICT
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = server_context.wrap_bio(to_server, to_client, server_side=True)
    client = client_context.wrap_bio(to_client, to_server, server_hostname=host)
    for _ in range(4):
        for side in (client, server):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    assert client.version() == "TLSv1.3"
    assert client.getpeercert()


def test_the_ca_is_as_the_profile_says(authority: Authority) -> None:
    """Key type, lifetime and every extension of the CA certificate, with its criticality."""
    cert, wanted = authority.certificate, PROFILE["ca"]
    key = cert.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert key.curve.name == wanted["curve"]
    assert cert.signature_hash_algorithm is not None
    assert cert.signature_hash_algorithm.name == wanted["digest"]
    assert (cert.not_valid_after_utc - cert.not_valid_before_utc).days == 365 * wanted["years"]
    assert _facts(cert) == wanted["extensions"]
    assert _extension(cert, x509.BasicConstraints) == (x509.BasicConstraints(ca=True, path_length=0), True)
    assert cert.serial_number.bit_length() <= wanted["serial_bits"]
    assert cert.subject == cert.issuer


def test_a_leaf_is_as_the_profile_says(authority: Authority, clock: Clock) -> None:
    """Key type, lifetime, backdating and every extension of a leaf, with its criticality."""
    leaf, wanted = authority.leaf(["api.openai.com"]), PROFILE["leaf"]
    assert leaf.key.curve.name == wanted["curve"]
    now = dt.datetime.fromtimestamp(int(clock.now), dt.UTC)
    assert now - leaf.cert.not_valid_before_utc == dt.timedelta(seconds=min(wanted["backdate_seconds"], 3600))
    assert leaf.cert.not_valid_after_utc - now == dt.timedelta(days=wanted["days"])
    assert _facts(leaf.cert) == wanted["extensions"]
    assert PROFILE["leaf"]["key_life_seconds"] == ca.LEAF_KEY_SECONDS
    assert PROFILE["leaf"]["refresh_below"] == ca.REFRESH_BELOW


def _facts(cert: x509.Certificate) -> dict[str, str]:
    """Extensions as the profile writes them: name to `critical` or `plain`, with their values where they are fixed."""
    out = {}
    for extension in cert.extensions:
        text = "critical" if extension.critical else "plain"
        value = extension.value
        if isinstance(value, x509.BasicConstraints):
            text += f" CA:{str(value.ca).upper()}" + (f" pathlen:{value.path_length}" if value.ca else "")
        elif isinstance(value, x509.KeyUsage):
            names = (
                "digital_signature",
                "content_commitment",
                "key_encipherment",
                "data_encipherment",
                "key_agreement",
            )
            names += ("key_cert_sign", "crl_sign")
            text += "".join(f" {n}" for n in names if getattr(value, n))
        elif isinstance(value, x509.ExtendedKeyUsage):
            text += "".join(f" {oid._name}" for oid in value)
        out[extension.oid._name] = text
    return out


def test_identifiers_join_leaf_and_ca(authority: Authority) -> None:
    """The leaf's authority key identifier is the CA's subject key identifier, so that chains build without guessing."""
    leaf = authority.leaf(["a.test"]).cert
    assert _extension(leaf, x509.AuthorityKeyIdentifier)[0].key_identifier == (
        _extension(authority.certificate, x509.SubjectKeyIdentifier)[0].digest
    )


def test_serial_numbers_are_random(authority: Authority) -> None:
    """No two serial numbers agree, and they use the 159 bits that a DER integer of 20 octets holds."""
    serials = {authority.leaf([f"h{i}.test"]).cert.serial_number for i in range(64)}
    assert len(serials) == 64
    assert 150 < max(s.bit_length() for s in serials) <= 159


def test_two_deployments_are_told_apart(tmp_path: Path) -> None:
    """Two CAs of one organisation, node and day still have different names, or clients would mix them up."""
    subjects = {Authority.load_or_create(tmp_path / n, Ca(), node="node-1").certificate.subject for n in ("a", "b")}
    assert len(subjects) == 2
    for subject in subjects:
        common = subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value
        assert "node-1" in common
        assert f"{dt.datetime.now(dt.UTC):%Y}" in common
        assert len(common) <= certificate.UPPER_BOUND


def test_long_names_fit(tmp_path: Path) -> None:
    """Organisation and node of any length give a valid certificate (X.520 allows 64 characters)."""
    made = Authority.load_or_create(tmp_path / "ca", Ca(organisation="Ö" * 200), node="n" * 200).certificate
    for attribute in made.subject:
        assert len(attribute.value) <= certificate.UPPER_BOUND


def test_a_name_too_long_for_the_subject_is_in_the_critical_names(authority: Authority) -> None:
    """A host above 64 characters leaves the subject empty, and then RFC 5280 wants the alternative names critical."""
    host = f"{'a' * 63}.{'b' * 20}.test"
    leaf = authority.leaf([host]).cert
    assert list(leaf.subject) == []
    names, critical = _extension(leaf, x509.SubjectAlternativeName)
    assert (names.get_values_for_type(x509.DNSName), critical) == ([host], True)


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "a..b",
        "*.example.com",
        "a b",
        "a\0b",
        "a/b",
        "x" * 64 + ".test",
        "a." * 130 + "a",
        "user@host",
        "a:80",
        "%41.test",
    ],
)
def test_what_is_not_a_host_gets_no_leaf(name: str, authority: Authority) -> None:
    """ValueError, never a certificate: wildcards and broken names included."""
    with pytest.raises(ValueError, match=r"host|address"):
        authority.leaf([name])


def test_no_names_no_leaf(authority: Authority) -> None:
    """A leaf for nobody is refused."""
    with pytest.raises(ValueError, match="at least one name"):
        authority.leaf([])


def test_one_host_has_one_leaf_however_it_is_spelled(authority: Authority) -> None:
    """Case, a trailing dot and an international spelling do not mint again."""
    leaf = authority.leaf(["bücher.example"])
    assert authority.leaf(["XN--BCHER-KVA.EXAMPLE."]) is leaf
    assert authority.leaf(["xn--bcher-kva.example", "bücher.example"]) is leaf


def test_a_leaf_is_replaced_before_it_ends(tmp_path: Path, clock: Clock) -> None:
    """With less than a quarter of its life left a leaf is minted anew; until then it is the same one."""
    authority = Authority.load_or_create(tmp_path / "ca", Ca(leaf_days=1), clock)
    authority._leaf_key_at = clock.now + 10**9  # keep the daily key out of this test
    first = authority.leaf(["a.test"])
    clock.forward(hours=17)
    assert authority.leaf(["a.test"]) is first
    clock.forward(hours=2)
    second = authority.leaf(["a.test"])
    assert second is not first
    assert second.cert.not_valid_after_utc.timestamp() - clock.now > 0.9 * 86_400


def test_the_leaf_key_changes_daily(authority: Authority, clock: Clock) -> None:
    """One key per day: all leaves of a day share it, and none of the next day does."""
    first, same_day = authority.leaf(["a.test"]), authority.leaf(["b.test"])
    assert first.key is same_day.key
    clock.forward(hours=25)
    assert certificate.spki_sha256(authority.leaf(["a.test"]).key.public_key()) != certificate.spki_sha256(
        first.key.public_key()
    )


def test_no_leaf_outlives_the_ca(tmp_path: Path, clock: Clock) -> None:
    """Near the CA's end a leaf ends with it; after it there is none, and a start says what to do."""
    authority = Authority.load_or_create(tmp_path / "ca", Ca(years=1), clock)
    clock.forward(days=363)
    assert authority.leaf(["a.test"]).cert.not_valid_after_utc == authority.certificate.not_valid_after_utc
    clock.forward(days=3)
    with pytest.raises(Unavailable, match="expired"):
        authority.leaf(["a.test"])
    with pytest.raises(Misconfigured, match=r"expired on .*rotate"):
        Authority.load_or_create(tmp_path / "ca", Ca(), clock)


def test_an_end_that_comes_near_is_said(tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """From thirty days before its end each start warns, and the metric lets an alert do so earlier."""
    said: list[object] = []
    monkeypatch.setattr(ca.logger, "warning", lambda _, extra: said.append(extra["facts"]))
    made = Authority.load_or_create(tmp_path / "ca", Ca(years=1), clock)
    assert said == []
    assert metrics.CA_NOT_AFTER._value.get() == made.certificate.not_valid_after_utc.timestamp()
    clock.forward(days=340)
    Authority.load_or_create(tmp_path / "ca", Ca(), clock)
    assert said == [{"days_left": 24}]


def test_the_cache_has_an_end(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients that name a host each do not grow the worker: the least recently used leaf goes."""
    monkeypatch.setattr(ca, "LEAF_CACHE", 8)
    kept = authority.leaf(["kept.test"])
    first = authority.leaf(["h0.test"])
    for i in range(1, 20):
        authority.leaf([f"h{i}.test"])
        assert authority.leaf(["kept.test"]) is kept
    assert len(authority._leaves) == 8
    assert authority.leaf(["h0.test"]) is not first


def test_many_threads_mint_once(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sixteen clients that ask for one host at once cost one signature."""
    minted: list[str] = []
    real = certificate.leaf
    monkeypatch.setattr(certificate, "leaf", lambda *a, **k: (minted.append(a[3][0]), real(*a, **k))[1])
    barrier = threading.Barrier(16)

    def ask(_: int) -> ca.Leaf:
        barrier.wait()
        return authority.leaf(["busy.test"])

    with ThreadPoolExecutor(16) as pool:
        leaves = set(map(id, pool.map(ask, range(16))))
    assert (len(leaves), minted) == (1, ["busy.test"])


def test_keys_stay_out_of_text(authority: Authority) -> None:
    """Printing an authority or a leaf shows no key."""
    assert "PRIVATE" not in repr(authority.leaf(["a.test"])).upper()
    assert "key=" not in repr(authority.leaf(["a.test"]))


def test_the_oids_of_the_profile_exist() -> None:
    """Each extension that the profile names is one that X.509 has, so a typing error there cannot hide a difference."""
    known = {oid._name for oid in vars(ExtensionOID).values() if isinstance(oid, x509.ObjectIdentifier)}
    for part in ("ca", "leaf"):
        assert set(PROFILE[part]["extensions"]) <= known
