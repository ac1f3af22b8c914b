"""Own accounts, for real: root starts the appliance; each process runs as a user that cannot have the others' files."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sluice import accounts, config
from sluice.errors import Misconfigured
from sluice.ledger import reader
from sluice.ship import notes
from tests.rig.warm import warm
from tests.supervisor.test_whole_appliance import BIN, CARD, HOST, Running, ask
from tests.upstream import Upstream

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can give processes accounts of their own"),
    pytest.mark.skipif(not all(map(shutil.which, ("unshare", "nsenter", "setpriv"))), reason="util-linux is missing"),
    pytest.mark.timeout(300),
]

ROOT = Path(__file__).parents[2]
GROUP = 61000
USERS = {"worker": 61001, "sealer": 61002, "shipper": 61003, "forwarder": 61004, "console": 61005}
"""Numbers that nobody has here: no account has to be made."""
SUPERVISOR = 61006
TABLE = f'[accounts]\nsupervisor = "{SUPERVISOR}"\ngroup = "{GROUP}"\n'
TABLE += "".join(f'{who} = "{user}"\n' for who, user in USERS.items())


def opened(needed: list[Path]) -> str:
    """Shell lines for a mount namespace of one's own in which other users reach these directories, although one above
    them (root's home, pytest's) is closed: it is laid over by an empty one, with the directories in it again."""
    wanted = sorted({path.resolve() for path in needed})
    wanted = [path for path in wanted if not any(other in path.parents for other in wanted)]
    closed = {}
    for path in wanted:
        shut = [above for above in reversed(path.parents) if not above.stat().st_mode & 0o001]
        if shut:
            closed[path] = shut[0]
    lines = ["set -e", "mount -t tmpfs none /mnt"]
    for number, path in enumerate(closed):
        lines += [f"mkdir /mnt/{number}", f"mount --bind {shlex.quote(str(path))} /mnt/{number}"]
    lines += [f"mount -t tmpfs -o mode=0755 none {shlex.quote(str(shut))}" for shut in sorted(set(closed.values()))]
    for number, path in enumerate(closed):
        lines += [f"mkdir -p {shlex.quote(str(path))}", f"mount --bind /mnt/{number} {shlex.quote(str(path))}"]
    return "\n".join(lines)


class Separate(Running):
    """The appliance with accounts, in a mount namespace where its users reach the program."""

    def __init__(self, directory: Path, upstream: Upstream) -> None:
        self.directory, self.upstream, self.var, self.missing = directory, upstream, directory / "var", ""
        directory.chmod(0o755)
        warm(self.var)
        (directory / "upstream-ca.pem").write_bytes(upstream.ca_pem)
        (directory / "people.csv").write_text("subject,groups,role,department\n")
        (directory / "sluice.toml").write_text(
            '[proxy]\nlisten = "127.0.0.1:0"\nworkers = 1\n[admin]\nlisten = "127.0.0.1:0"\n'
            '[console]\nlisten = "127.0.0.1:0"\n[identity]\npeople = "people.csv"\n'
            "[evidence]\nkeep_days = 0.00001\n[seal]\nseconds = 0.2\n[clickhouse]\nbatch_seconds = 0.2\n"
            f'[limits]\ndrain_seconds = 5.0\n[[forward.to]]\nname = "kept"\nurl = "file://{directory}/out/events.jsonl"\n'
            f'[upstream]\ntrusted_ca = "upstream-ca.pem"\nhosts = {{"{HOST}" = "{upstream.address}"}}\n{TABLE}'
        )
        (out := directory / "out").mkdir()
        os.chown(out, USERS["forwarder"], GROUP)
        for file in ("upstream-ca.pem", "people.csv", "sluice.toml"):
            (directory / file).chmod(0o644)
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith("SLUICE_")}
        self.output = directory / "output"
        self.start()

    def start(self) -> None:
        needed = [Path(sys.base_prefix), Path(sys.prefix), ROOT, self.directory]
        proxy = f"{shlex.quote(str(BIN / 'sluice-proxy'))} --config sluice.toml"
        lines = [opened(needed), f"cd {shlex.quote(str(self.directory))}"]
        lines += [f"{proxy} --prepare", f"exec {self.unit()} {proxy}"]
        with self.output.open("wb") as output, (self.directory / "log").open("wb") as log:
            self.process = subprocess.Popen(
                ["unshare", "--mount", "sh", "-c", "\n".join(lines)],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=log,
            )

    @staticmethod
    def unit() -> str:
        """What deploy/systemd/sluice.service does to the supervisor: a user with three capabilities, and no more."""
        caps = re.findall(r"^AmbientCapabilities=(.+)$", (ROOT / "deploy/systemd/sluice.service").read_text(), re.M)[0]
        given = ",".join("+" + cap.removeprefix("CAP_").lower() for cap in caps.split())
        who = f"--reuid={SUPERVISOR} --regid={GROUP} --clear-groups --no-new-privs"
        return f"setpriv {who} --bounding-set=-all,{given} --inh-caps={given} --ambient-caps={given}"

    def as_user(self, who: str, command: str) -> subprocess.CompletedProcess[str]:
        """What somebody could do who has taken over that process: its user, its group, where it lives."""
        become = ["setpriv", f"--reuid={USERS[who]}", f"--regid={GROUP}", "--clear-groups"]
        return subprocess.run(
            ["nsenter", f"--target={self.process.pid}", "--mount", *become, "sh", "-c", command],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=30,
            check=False,
        )

    def may(self, who: str, command: str) -> bool:
        return self.as_user(who, command).returncode == 0


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with Upstream() as server:
        yield server


@pytest.fixture(scope="module")
def apart(tmp_path_factory: pytest.TempPathFactory, upstream: Upstream) -> Iterator[Separate]:
    made = Separate(tmp_path_factory.mktemp("apart"), upstream)
    try:
        made.until(lambda: made.ready, "not ready")
        yield made
    finally:
        made.stop()


def status(pid: int) -> dict[str, list[str]]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: rest.split() for name, _, rest in (line.partition(":") for line in lines)}


@pytest.mark.parametrize("process", ["worker-0", "sealer", "shipper", "forwarder", "console"])
def test_each_process_runs_as_its_account(apart: Separate, process: str) -> None:
    """Real, effective, saved and file system user are its own, with the one group and no capability."""
    apart.until(lambda: bool(apart.pid(process)), f"no {process}")
    said = status(apart.pid(process))
    assert said["Uid"] == [str(USERS[process.partition("-")[0]])] * 4
    assert said["Gid"] == [str(GROUP)] * 4
    assert set(said["Groups"]) <= {str(GROUP)}
    assert {int(said[name][0], 16) for name in ("CapPrm", "CapEff", "CapAmb")} == {0}


def test_the_supervisor_has_three_capabilities_and_hands_on_none(apart: Separate) -> None:
    """As the systemd unit has it: to change accounts and to stop its children."""
    said = status(apart.process.pid)
    assert said["Uid"] == [str(SUPERVISOR)] * 4
    assert int(said["CapEff"][0], 16) == int(said["CapBnd"][0], 16) == 1 << 5 | 1 << 6 | 1 << 7
    assert int(said["CapAmb"][0], 16) == 0


def test_no_process_has_the_keys_or_the_evidence_of_another(apart: Separate) -> None:
    """The sealer alone reads its key and writes checkpoints; the ledger is written by who records; the CA's key is the
    workers'. Each refusal has its counterpart, so that none is due to a wrong path."""
    apart.until(lambda: any(apart.var.glob("seal/*-w0/checkpoint")), "nothing is sealed")
    stream, sealed = (next(apart.var.glob(f"{room}/*-w0")) for room in ("ledger", "seal"))
    others = {slot: next(apart.var.glob(f"ledger/*-w{slot}")) for slot in (1000, 1002)}
    owners = {
        f"cat {apart.var}/seal/keys/*.key": {"sealer"},
        f"ls {apart.var}/seal/keys": {"sealer"},
        f"for f in {sealed}/*; do [ -w $f ] || exit 1; done": {"sealer"},
        f"touch {sealed}/x && rm {sealed}/x": {"sealer"},
        f"touch {apart.var}/seal/x && rm {apart.var}/seal/x": {"sealer"},
        f"for f in {stream}/*.seg; do [ -w $f ] || exit 1; done": {"worker"},
        f"touch {stream}/x && rm {stream}/x": {"worker"},
        f"touch {others[1000]}/x && rm {others[1000]}/x": {"sealer"},
        f"touch {others[1002]}/x && rm {others[1002]}/x": {"console"},
        f"touch {apart.var}/ledger/x": set(),
        f"touch {apart.var}/run/x": set(),
        f"cat {apart.var}/ca/ca.key": {"worker"},
        f"cat {apart.var}/keys/subjects.key": {"worker"},
        f"ls {apart.var}/clickhouse": {"shipper"},
        f"cat {apart.var}/console/console.password": {"console"},
        f"ls {apart.var}/forward": {"forwarder"},
        f"cat {stream}/*.seg {sealed}/checkpoint {apart.var}/ca/ca.pem": set(USERS),
    }
    assert {c: {who for who in USERS if apart.may(who, c)} for c in owners} == owners


def test_the_store_answers_root_and_the_console_alone(apart: Separate) -> None:
    """A worker that was taken over cannot ask what others have sent, although it reaches the socket."""
    question = "import sys; from pathlib import Path; from sluice.ship import query; "
    question += "print(b''.join(query.asked(Path(sys.argv[1]), 'SELECT 7', 'TSV')))"
    command = f"cd {ROOT} && PYTHONDONTWRITEBYTECODE=1 {sys.executable} -c {shlex.quote(question)} {apart.var}/run"
    assert "7" in apart.as_user("console", command).stdout
    for who in ("worker", "forwarder", "sealer"):
        assert "may not ask" in apart.as_user(who, command).stderr
    assert apart.sql("SELECT 7 AS seven") == [{"seven": 7}]


def test_traffic_is_decided_recorded_sealed_shipped_and_sent_on(apart: Separate) -> None:
    """One request blocked and one allowed: rows, checkpoints that verify, and events in the forwarder's file."""
    with apart.client() as client:
        assert ask(client, f"my card is {CARD}", "apart-blocked").status_code == 400
        assert ask(client, "hello", "apart-allowed").status_code == 200
    counted = "SELECT decision FROM sluice.exchanges WHERE model_requested LIKE 'apart-%' ORDER BY decision"
    apart.until(lambda: [r["decision"] for r in apart.sql(counted)] == ["allow", "block"], "no rows")
    apart.until(lambda: apart.sluice("verify").returncode == 0, "not verified")
    events = apart.directory / "out" / "events.jsonl"
    apart.until(lambda: events.exists() and "apart-blocked" in events.read_text(), "nothing was sent on")


def test_changed_files_come_into_force(apart: Separate) -> None:
    """A worker reads the site's files as its own account: a changed one is in force within seconds, and on record."""
    (apart.directory / "people.csv").write_text("subject,groups,role,department\nada@example.com,staff,engineer,lab\n")

    def loads() -> int:
        entries = (e for stream in reader.streams(apart.var / "ledger") for e in reader.read(stream))
        return sum(e.record.control_kind == "identity_load" for e in entries)

    apart.until(lambda: loads() >= 1, "not loaded")


def test_what_root_types_belongs_to_who_has_to_read_it(apart: Separate) -> None:
    """A new fingerprint key is the workers', a hold reaches the shipper, and a lookup by root is on record."""
    assert apart.sluice("keys", "rotate").returncode == 0
    made = apart.var / "keys" / "fingerprint-k2.key"
    assert (made.stat().st_uid, made.stat().st_gid, made.stat().st_mode & 0o777) == (USERS["worker"], GROUP, 0o640)
    assert apart.sluice("hold", "place", "apart", "--reason", "test").returncode == 0
    apart.until(lambda: not list(apart.var.glob("ship/holds/*.json")), "the hold was not taken")
    apart.sluice("subjects", "reveal", "0" * 32, "--reason", "test")
    counted = "SELECT count() AS n FROM sluice.events WHERE record_type = 'access' AND control_kind = 'reveal'"
    apart.until(lambda: int(apart.sql(counted)[0]["n"]) == 1, "no access record")


def test_only_people_and_the_console_leave_notes_for_the_store(tmp_path: Path) -> None:
    """A note of another account, which may write into the box, is set aside unread; the console's is placed."""

    class Taken:
        def add(self, table: str, rows: bytes, token: str) -> None:
            assert (table, token.startswith("note")) == ("posture_facts", True)

    (left,) = notes.leave(tmp_path, "posture_facts", [{"kind": "dns"}])
    os.chown(left, USERS["worker"], GROUP)
    assert notes.place(Taken(), tmp_path, {0, USERS["console"]}) == 0  # type: ignore[arg-type]
    assert [f.suffix for f in left.parent.iterdir()] == [".bad"]
    (left,) = notes.leave(tmp_path, "posture_facts", [{"kind": "dns"}])
    os.chown(left, USERS["console"], GROUP)
    assert notes.place(Taken(), tmp_path, {0, USERS["console"]}) == 1  # type: ignore[arg-type]


def test_a_worker_that_dies_comes_back_as_itself_and_old_segments_go_by_the_supervisor(apart: Separate) -> None:
    """The shipper's wish is fulfilled as far as seals and age allow, by the supervisor; the evidence still verifies."""
    before = apart.pid("worker-0")
    os.kill(before, signal.SIGKILL)
    apart.until(lambda: apart.pid("worker-0") not in (0, before) and apart.ready, "no new worker")
    assert status(apart.pid("worker-0"))["Uid"][0] == str(USERS["worker"])
    (stream,) = apart.var.glob("ledger/*-w0")
    first, second, *_ = sorted(stream.glob("*.seg"))
    below = int(re.findall(r"\d+", second.name)[1])
    wish = apart.var / "ship" / "prune" / stream.name
    assert not apart.may("worker", f"touch {wish}")
    assert apart.may("shipper", f"echo {below} >{wish}")
    apart.until(lambda: not first.exists(), "not pruned")
    assert second.exists()
    assert (stream / "pruned.json").stat().st_uid == USERS["worker"]


def test_doctor_finds_the_separation(apart: Separate) -> None:
    """`sluice doctor` as root: the accounts are apart; a directory that is not says so, with its fix."""

    def said() -> list[dict[str, str]]:
        found = json.loads(apart.sluice("doctor", "--json", "--offline").stdout)["findings"]
        return [f for f in found if f["area"] == "permissions"]

    assert [f["state"] for f in said()] == ["ok"]
    (apart.var / "seal").chmod(0o2770)
    assert any(f["state"] == "fail" and "2770" in f["what"] for f in said())
    (apart.var / "seal").chmod(0o2750)


def test_it_stops_in_order_and_refuses_to_start_on_what_undoes_it(apart: Separate) -> None:
    """SIGTERM: exit 0, and the evidence is whole. A key with a second name, which somebody else may hold: exit 78 and
    the line that says so."""
    assert apart.stop() == 0
    assert apart.sluice("verify").returncode == 0
    (key,) = apart.var.glob("seal/keys/*.key")
    (apart.directory / "copy").hardlink_to(key)
    apart.start()
    assert apart.process.wait(60) == 78
    assert f"{key}: has a second name elsewhere" in apart.log()


def settings(tmp_path: Path, **names: str) -> config.Settings:
    table = "".join(f'{who} = "{name}"\n' for who, name in names.items())
    (tmp_path / "sluice.toml").write_text(f"[accounts]\n{table}")
    return config.load(tmp_path / "sluice.toml", environ={})


WHOLE = {who: str(user) for who, user in USERS.items()} | {"group": str(GROUP)}


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"shipper": "61001"}, "names one user twice"),
        ({"worker": "0"}, "is root"),
        ({"worker": "root"}, "is root"),
        ({"sealer": "nobody-has-this-name"}, "there is no user `nobody-has-this-name` here"),
        ({"group": "nobody-has-this-name"}, "there is no group `nobody-has-this-name` here"),
        ({"sealer": ""}, "must be a name or a number"),
    ],
)
def test_accounts_that_separate_nothing_are_refused(tmp_path: Path, changed: dict[str, str], what: str) -> None:
    """One user for two processes, root, a name that nobody has, or one that is missing: said before anything starts."""
    with pytest.raises(Misconfigured, match=re.escape(what)):
        accounts.required(settings(tmp_path, **(WHOLE | changed)))


def test_names_are_looked_up(tmp_path: Path) -> None:
    """Names of the system's accounts stand for their numbers."""
    found = accounts.required(settings(tmp_path, **(WHOLE | {"worker": "daemon", "group": "daemon"})))
    assert found is not None
    assert (found.worker, found.group, found.sealer) == (1, 1, 61002)


@pytest.mark.parametrize(("mode", "owner", "group"), [(0o777, 0, 0), (0o775, 0, GROUP), (0o755, 61001, 0)])
def test_a_way_to_the_evidence_that_others_can_change_is_refused(
    tmp_path: Path, mode: int, owner: int, group: int
) -> None:
    """Whoever may rename the directory above `var` could put another in its place."""
    above = tmp_path / "above"
    above.mkdir()
    os.chown(above, owner, group)
    above.chmod(mode)
    (above / "sluice.toml").write_text(TABLE)
    loaded = config.load(above / "sluice.toml", environ={})
    found = accounts.resolve(loaded)
    assert found is not None
    with pytest.raises(Misconfigured, match="leads to the evidence"):
        accounts.arrange(loaded, found)


def test_a_deployment_of_one_user_is_given_to_the_accounts(tmp_path: Path) -> None:
    """What was made before the table was there goes to its account, links and second names left alone."""
    loaded = settings(tmp_path, **WHOLE)
    found = accounts.resolve(loaded)
    assert found is not None
    stream = loaded.ledger_dir / f"{loaded.node}-w0"
    foreign = tmp_path / "foreign"
    foreign.write_text("not ours")
    for file in (stream / "00000001-000000000000.seg", loaded.keys_dir / "subjects.key", loaded.ca_dir / "ca.key"):
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        file.write_text("x")
        file.chmod(0o600)
    (stream / "link").symlink_to(foreign)
    (stream / "second").hardlink_to(foreign)
    accounts.arrange(loaded, found)
    assert foreign.stat().st_uid == 0
    whose = {file: (file.stat().st_uid, file.stat().st_mode & 0o777) for file in tmp_path.glob("var/*/**/*.???")}
    assert whose[stream / "00000001-000000000000.seg"] == (USERS["worker"], 0o640)
    assert whose[loaded.keys_dir / "subjects.key"] == (USERS["worker"], 0o600)
    assert accounts.undone(loaded, found) == []
