"""Every setting of an appliance: its name, its default, and why. Frozen values; `sluice.config.file` reads them."""

from __future__ import annotations

import re
import socket
from pathlib import Path

import msgspec

from sluice.model import Severity


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A table of the file: frozen, unknown keys refused."""


class Proxy(Section, frozen=True):
    listen: str = "127.0.0.1:8080"
    """Where clients connect. Loopback by default: an egress proxy that anyone can reach is an open proxy."""
    advertise: str = ""
    """`host:port` under which clients reach it, for PAC file and onboarding page; made from `listen` when empty."""
    protocol_from: tuple[str, ...] = ()
    """Networks of load balancers that begin each connection with a PROXY header (version 1 or 2), which says who the
    client is. Theirs is believed and required; nobody else's is looked at."""
    workers: int = 0
    """Worker processes; 0 = one per core."""
    backlog: int = 1024
    """Pending connections of the shared listening socket (asyncio's own default is 100)."""


class Admin(Section, frozen=True):
    listen: str = "127.0.0.1:8081"
    """Metrics, health and CA download. Never reachable through the proxy."""
    names: tuple[str, ...] = ()
    """Host names under which it may be asked, the one for clients first. An address needs none."""


class Console(Section, frozen=True):
    listen: str = "127.0.0.1:8082"
    """Where the console is served; empty = not at all. Its password is in `keys/console.password` below `paths.var`."""
    users: tuple[str, ...] = ()
    """Who of `identity.users` may log in, each with the password there; empty = the one password for everybody."""
    judges: tuple[str, ...] = ()
    """Who of `console.users` may acknowledge, accept and reopen findings; the others read. Empty = whoever logs in."""
    https: bool = False
    """It is reached through a front of yours that speaks HTTPS: cookies are sent over HTTPS alone, and what is posted
    has to come from an `https` page. Its name stands in `admin.names`."""
    idle_minutes: float = 60.0
    """A login ends after so long without a request, and after a day at the latest."""


class Paths(Section, frozen=True):
    var: Path = Path("var")
    """Ledgers, embedded ClickHouse, keys and sockets: everything that this deployment writes."""
    policy: Path | None = None
    """Rules and failure table; the shipped `deploy/policy.toml` when unset."""
    targets: Path | None = None
    """The site's own destinations and statuses, layered over `signatures/targets.toml`."""
    packs: tuple[Path, ...] = ()
    """Directories or files with the site's own detector packs, added to `signatures/packs`."""
    suppressions: Path | None = None
    """Findings that the site has judged to be none, each with scope, owner, reason and end."""
    registers: Path | None = None
    """Directory of the site's registers (contracts, models, agents, tools ...), layered over `deploy/registers`."""


class TenantHeader(Section, frozen=True):
    """`[[upstream.tenant]]`: a header by which a provider binds requests to the organisation's own tenant."""

    provider: str
    """Provider of the destination table."""
    header: str
    """Name of the header, as in `anthropic-allowed-org-ids`."""
    value: str
    """What the provider's page asks for: ids of organisations or workspaces, domains."""
    products: tuple[str, ...] = ()
    """Products of the destination table that get it; empty = all of the provider."""


class Upstream(Section, frozen=True):
    hosts: dict[str, str] = {}
    """Static addresses, host name to `address:port`: private endpoints and laboratories. An entry is the only way to
    reach an address that is loopback, private, link-local or a metadata service."""
    trusted_ca: Path | None = None
    """PEM bundle trusted in addition to the public roots, for the hosts in `hosts` alone."""
    connect_seconds: float = 4.5
    """Time to reach an upstream and finish its TLS handshake."""
    tenant: tuple[TenantHeader, ...] = ()
    """Headers that bind requests to the organisation's own tenant at a provider; a client's own copies are replaced."""


class Limits(Section, frozen=True):
    body_bytes: int = 32 * 1024 * 1024
    """Largest request body on the wire. Coding agents send megabytes; nothing legitimate was seen above 20 MB."""
    decoded_bytes: int = 32 * 1024 * 1024
    """Largest body after its codings are undone: a 300 KB gzip bomb holds gigabytes."""
    decoded_ratio: int = 200
    """Largest expansion, checked above 1 MiB of output. JSON seldom passes 30:1."""
    codings: int = 2
    """Stacked content codings. No client measured sends more than one."""
    decode_seconds: float = 1.0
    """CPU time spent on undoing codings."""
    json_depth: int = 64
    """Nesting of JSON. Tool schemas reach 20."""
    json_nodes: int = 200_000
    """Values in one JSON body."""
    multipart_parts: int = 100
    """Parts of one multipart body."""
    scan_seconds: float = 2.0
    """Hard deadline of inspection (decode, parse, scan, decide)."""
    commit_seconds: float = 1.0
    """Hard deadline of making a record durable."""
    offload_bytes: int = 64 * 1024
    """Bodies above this size are decoded and scanned in a thread, off the event loop."""
    head_bytes: int = 64 * 1024
    """Request head, HTTP/1. mitmproxy itself has no limit."""
    head_fields: int = 200
    """Header fields of one request."""
    target_bytes: int = 16 * 1024
    """Request target (path and query)."""
    head_seconds: float = 10.0
    """Time from a connection's first byte to a complete first request head."""
    body_seconds: float = 120.0
    """Time from a complete request head to the end of its body; a client that drips bytes is disconnected then."""
    inflight_bytes: int = 256 * 1024 * 1024
    """Bodies in inspection at once, per worker; above it requests are refused as overload."""
    inflight_requests: int = 256
    """Requests in inspection at once, per worker."""
    drain_seconds: float = 30.0
    """Time that requests in flight get to finish at shutdown."""


class Tunnels(Section, frozen=True):
    non_tls: str = "refuse"
    """Bytes that are not TLS inside a CONNECT tunnel to a destination that is not AI: `refuse` or `pass`."""
    missing_sni: str = "refuse"
    """TLS without a server name inside such a tunnel: `refuse` or `pass`."""
    ports: tuple[int, ...] = (443, 80)
    """Ports that CONNECT and plain requests may name; static `upstream.hosts` keep the port that the client named."""
    idle_seconds: float = 600.0
    """An opaque tunnel without a byte for this long is closed."""


class Evidence(Section, frozen=True):
    node: str = ""
    """Name of this node in every record; the host name when empty."""
    tenant: str = ""
    """Name of the tenant in every decision and outcome, where one store serves several; empty = none."""
    segment_bytes: int = 64 * 1024 * 1024
    """Size at which a ledger segment is closed and the next one begun."""
    disk_low_bytes: int = 256 * 1024 * 1024
    """Free space below which nothing is forwarded, so that the ledger never meets a full disk."""
    keep_days: float = 7.0
    """Days that a ledger segment is kept after it was closed, and longer until it is sealed and found in ClickHouse."""
    unsealed_minutes: float = 0.0
    """Requests to AI services are refused while a record has waited this long for the sealer; 0 = never."""
    unshipped_minutes: float = 0.0
    """The same for ClickHouse; 0 = never: the ledger goes on until the disk is low."""
    address: str = "full"
    """How a client address is kept: `full`, `truncated` (/24, /48) or `none`."""
    user_agent: bool = True
    """Keep in records which programs the User-Agent names, with their versions (some sites count that as personal)."""
    programs: tuple[str, ...] = ()
    """Names of the site's own programs, as their User-Agents have them before the `/`. Of that header a record holds
    only known programs and these; any other is `other`."""
    phi_classes: tuple[str, ...] = ("health.record-number", "health.insurance-number", "government.health-number")
    """Data classes (patterns) of health information about someone: a record that names one is kept 73 months instead
    of 13. Words of medicine alone are about no one; a site that wants them kept as long says `health.*`."""

    @property
    def bounds_waiting(self) -> bool:
        """Whether the site refuses traffic while evidence waits too long for the sealer or for ClickHouse."""
        return self.unsealed_minutes > 0 or self.unshipped_minutes > 0


class Seal(Section, frozen=True):
    seconds: float = 10.0
    """New records are sealed by a signed checkpoint after this time at the latest: the tail that a thief of the disk
    could cut unseen is never older."""
    records: int = 1000
    """A checkpoint is signed at once when so many records of a stream wait for one."""
    origin: str = ""
    """Name of this deployment in its checkpoints, as in `gates.example.com`; made from the first key when empty."""
    keys: Path | None = None
    """Directory of the private keys, which no worker opens; `var/seal/keys` when unset."""
    witnesses: tuple[str, ...] = ()
    """Where every checkpoint is copied to: a directory, `http(s)://host/path` (PUT), `syslog+udp://host:514`,
    `syslog+tcp://host:601`. Only a copy that this machine cannot change shows a rollback or a second history."""


class ClickHouse(Section, frozen=True):
    dsn: str = ""
    """`clickhouse://user:password@host:port/?secure=true` of a server; empty = the embedded engine under `var`."""
    database: str = "sluice"
    cluster: str = ""
    """Name of the cluster (as in `remote_servers`) whose servers hold the tables; empty = one server."""
    batch_rows: int = 5000
    """Rows of one insert at most."""
    batch_seconds: float = 2.0
    """How long a row that comes alone waits for company. While rows keep coming, inserts are three times that apart."""
    insert_timeout_seconds: float = 30.0
    questions_memory_mb: int = 0
    """Memory that all questions to the embedded engine may use together; inserts are not counted. 0 = a third of what
    the machine or the control group has, at most 4096."""
    http_listen: str = ""
    """Where ClickHouse's HTTP interface is served over the embedded engine; empty = not at all. Loopback only."""


class SelfTest(Section, frozen=True):
    seconds: float = 60.0
    """A made-up secret goes through the listening socket this often, and has to come back blocked and recorded;
    otherwise the appliance is not ready. 0 = never."""


class Identity(Section, frozen=True):
    trusted_proxies: tuple[str, ...] = ()
    """Networks whose identity headers are believed (downstream proxies). From anyone else they are stripped."""
    user_header: str = "x-authenticated-user"
    groups_header: str = "x-authenticated-groups"
    address_map: Path | None = None
    """CSV `network,subject,groups,valid_from,valid_to` (groups split by `;`): who sits behind an address, and when."""
    trusted_in_tunnels: bool = False
    """The trusted proxies open TLS themselves, so that inside a tunnel too the headers are theirs and no client's."""
    users: Path | None = None
    """Who may log in at the proxy (`sluice users add`). A wrong password is always refused."""
    login_failures: int = 10
    """Wrong passwords for one name before it is locked out, per worker; five times as many for one address."""
    login_lock_seconds: float = 300.0
    """How long it stays locked out, and within what time the failures count."""
    login_cache_seconds: float = 3600.0
    """How long a right password is remembered (as an HMAC) before its hash is checked again."""
    people: Path | None = None
    """CSV `subject,groups,role,department`: what the organisation says of a subject."""
    keys: Path | None = None
    """TOML register of API keys by fingerprint: owner, corporate or personal, until when."""
    organisations: tuple[str, ...] = ()
    """Our organisations as the providers name them in answers (`openai-organization` ...): whose keys are corporate."""
    reveal_approved: bool = False
    """`sluice subjects reveal` needs the password of a second person."""
    require: bool = False
    """Refuse whoever cannot be told from an address: 407 where `users` is set, otherwise a block."""


class Accounts(Section, frozen=True):
    """Users and a group, by name or number, for a supervisor that is started as root; all of them or none."""

    worker: str = ""
    """The workers': ledger streams, CA and fingerprint keys."""
    sealer: str = ""
    """The sealer's: it alone reads the keys that sign checkpoints."""
    shipper: str = ""
    """The shipper's: ClickHouse; it reads the ledger."""
    forwarder: str = ""
    """The forwarder's: events outward; it reads the ledger."""
    console: str = ""
    """The console's."""
    supervisor: str = ""
    """Whom sluice-proxy itself runs as, with CAP_SETUID, CAP_SETGID and CAP_KILL; root when empty."""
    group: str = ""
    """The group of all of them, by which each reads what it has to of the others. Nobody else may be in it."""

    @property
    def used(self) -> bool:
        return any(getattr(self, name) for name in self.__struct_fields__)


class Ca(Section, frozen=True):
    organisation: str = "Sluice"
    """Organisation in the CA certificate's subject."""
    years: int = 5
    leaf_days: int = 7
    """Life of a leaf certificate."""


class OwnDictionary(Section, frozen=True, rename={"data_class": "class"}):
    """`[[own.dictionary]]`: a word list of the site, one entry a line (UTF-8; `#` begins a comment line)."""

    file: Path
    name: str
    data_class: str = ""
    """`own.<name>` when empty."""
    severity: Severity = Severity.MEDIUM
    whole_words: bool = True
    """Entries of whole words, up to a million; False: also inside of words, up to 200,000, in the clear in memory."""
    case: bool = False


class OwnIndex(Section, frozen=True, rename={"data_class": "class"}):
    """`[[own.edm]]`: rows of a table, as `sluice edm build` wrote them."""

    file: Path
    name: str
    data_class: str = ""
    severity: Severity = Severity.HIGH


class OwnFile(Section, frozen=True):
    """A file that says the rest itself."""

    file: Path


class Own(Section, frozen=True):
    """Data that only the site has. What stands here is loaded at start or nothing starts."""

    dictionary: tuple[OwnDictionary, ...] = ()
    """Word lists."""
    edm: tuple[OwnIndex, ...] = ()
    """Rows of tables, made by `sluice edm build`."""
    documents: tuple[OwnFile, ...] = ()
    """Documents, made by `sluice docs add`."""
    secrets: tuple[OwnFile, ...] = ()
    """Values of environment files and vaults, made by `sluice known-secrets build`."""
    canaries: tuple[OwnFile, ...] = ()
    """Canary tokens in the clear, one a line, in files that nobody else can read (0600)."""

    @property
    def used(self) -> bool:
        return bool(self.dictionary or self.edm or self.documents or self.secrets or self.canaries)


class ForwardTo(Section, frozen=True):
    """`[[forward.to]]`: a receiver of events."""

    name: str
    """Names it in logs, metrics and `sluice forward`; its place in the ledger goes by it."""
    url: str
    """`syslog+tcp://host:601`, `syslog+tls://host:6514`, `https://host/path` (or `http://`), `file:///path`."""
    format: str = "ocsf"
    """`ocsf`, `json`; for syslog `syslog` (structured data) or `syslog-ocsf`."""
    records: tuple[str, ...] = ("decision", "control", "access")
    """Kinds of record: decision, outcome, bypass, control, access."""
    decisions: tuple[str, ...] = ("allow", "block", "refuse")
    ca: Path | None = None
    """PEM bundle that its certificate has to verify by; the public roots when unset."""
    certificate: Path | None = None
    """PEM file with our own certificate and key, for a receiver that asks for one."""
    token: Path | None = None
    """File (0600) with a bearer token for a webhook."""
    signing: Path | None = None
    """File (0600) with a secret: a webhook's body is signed with it (HMAC-SHA-256, `x-sluice-signature`)."""

    @property
    def shown(self) -> str:
        """What is said of it: path and query of a webhook's URL may be its secret."""
        scheme, _, rest = self.url.partition("://")
        if not scheme.startswith("http"):
            return self.url
        return f"{scheme}://{rest.partition('/')[0].rpartition('@')[2].partition('?')[0]}/..."

    from_start: bool = False
    """A new destination begins with the oldest record of the ledger instead of the next one."""
    file_bytes: int = 64 * 1024 * 1024
    """Size at which a file is rotated."""
    file_keep: int = 8
    """Files before it that are kept."""


class Forward(Section, frozen=True):
    """Events outward. A process of its own sends them, when there is a receiver."""

    to: tuple[ForwardTo, ...] = ()


class Settings(Section, frozen=True):
    """All settings of one appliance. `source` is the file they came from, for error messages."""

    proxy: Proxy = Proxy()
    admin: Admin = Admin()
    console: Console = Console()
    paths: Paths = Paths()
    upstream: Upstream = Upstream()
    limits: Limits = Limits()
    tunnels: Tunnels = Tunnels()
    evidence: Evidence = Evidence()
    seal: Seal = Seal()
    clickhouse: ClickHouse = ClickHouse()
    selftest: SelfTest = SelfTest()
    identity: Identity = Identity()
    accounts: Accounts = Accounts()
    ca: Ca = Ca()
    own: Own = Own()
    forward: Forward = Forward()

    @property
    def node(self) -> str:
        return self.evidence.node or re.sub(r"[^A-Za-z0-9.-]", "-", socket.gethostname()) or "node"

    @property
    def ledger_dir(self) -> Path:
        return self.paths.var / "ledger"

    @property
    def seal_dir(self) -> Path:
        """Signed checkpoints of every stream, and the list of the keys that signed them."""
        return self.paths.var / "seal"

    @property
    def seal_keys_dir(self) -> Path:
        return self.seal.keys or self.seal_dir / "keys"

    @property
    def clickhouse_dir(self) -> Path:
        return self.paths.var / "clickhouse"

    @property
    def ship_dir(self) -> Path:
        """The shipper's cursors, dead letters, and what is left for it."""
        return self.paths.var / "ship"

    @property
    def run_dir(self) -> Path:
        """Sockets and state files that one run needs and the next one may overwrite."""
        return self.paths.var / "run"

    @property
    def cache_dir(self) -> Path:
        """What can be made again at the cost of time: compiled detectors. 0700."""
        return self.paths.var / "cache"

    @property
    def keys_dir(self) -> Path:
        """Keys that are not the CA's: the fingerprint key. 0700."""
        return self.paths.var / "keys"

    @property
    def console_password(self) -> Path:
        """Password of the console, made by its process on the first start. 0600."""
        return (self.paths.var / "console" if self.accounts.used else self.keys_dir) / "console.password"

    @property
    def umask(self) -> int:
        """With accounts of their own the processes read each other's evidence as a group."""
        return 0o027 if self.accounts.used else 0o077

    @property
    def ca_dir(self) -> Path:
        return self.paths.var / "ca"


def project_root() -> Path:
    """Where the shipped data lies: the checkout, or the data directory of an installed wheel."""
    checkout = Path(__file__).resolve().parents[2]
    if (checkout / "signatures").is_dir():
        return checkout
    return Path(__file__).resolve().parents[1] / "_data"


def shipped_policy() -> Path:
    """The policy that ships with Sluice."""
    root = project_root()
    here = root / "deploy" / "policy.toml"
    return here if here.is_file() else root / "policy.toml"


def signatures_dir() -> Path:
    """The shipped destinations, vocabulary and detector packs."""
    return project_root() / "signatures"


def registers_dir() -> Path:
    """The shipped registers."""
    root = project_root()
    here = root / "deploy" / "registers"
    return here if here.is_dir() else root / "registers"


def schema_dir() -> Path:
    """The shipped ClickHouse migrations."""
    root = project_root()
    here = root / "deploy" / "clickhouse"
    return here if here.is_dir() else root / "clickhouse"


def posture_dir() -> Path:
    """The shipped reports, findings and clauses."""
    root = project_root()
    here = root / "deploy" / "posture"
    return here if here.is_dir() else root / "posture"


def endpoint(text: str) -> tuple[str, int]:
    """`host:port`, `[::1]:port` -> (host, port). Raises ValueError."""
    host, _, port = text.rpartition(":")
    host = host.strip("[]")
    if not host or not port.isascii() or not port.isdigit() or not 0 <= int(port) <= 65535:
        raise ValueError(f"`{text}` is not `address:port`")
    return host, int(port)
