"""The files of identity: address map with times, people, key owners, users; and what is noticed when they change."""

from __future__ import annotations

import datetime as dt
import os
import time
from pathlib import Path

import pytest

from sluice import config
from sluice.errors import Misconfigured
from sluice.identity import AddressMap, Known, Resolver, read_map
from sluice.identity.owners import read_owners
from sluice.identity.people import read_people
from sluice.identity.users import User, fits, hashed, read_users, write_users
from sluice.identity.watch import Watch
from sluice.model import Assurance, Client, Credential, Exchange, Ownership, Subject

FP, OTHER = "ab" * 16, "cd" * 16
KEY = Credential("header:authorization:bearer", "openai.project", FP, "sk-proj-(51)")
NOBODY = Subject("192.0.2.1", "address", "none", Assurance.NONE)


def at(text: str) -> int:
    return int(dt.datetime.fromisoformat(text).timestamp()) * 1_000_000_000


def exchange(when: int, address: str = "10.0.0.7", **more: object) -> Exchange:
    given = {"id": "i", "at": when, "client": Client(address), "method": "POST", "scheme": "https", "host": "h"}
    return Exchange(**(given | {"port": 443, "path": "/"} | more))  # type: ignore[arg-type]


MAP = """network,subject,groups,valid_from,valid_to
10.0.0.0/8,team:plant,,,
10.0.0.7/32,alice,staff,2026-01-01,2026-02-01
10.0.0.7/32,bob,,2026-02-01T00:00:00+00:00,2026-03-01T12:00+01:00
192.0.2.0/24,carol,,,2026-01-01
"""


@pytest.mark.parametrize(
    ("address", "when", "subject"),
    [
        ("10.0.0.7", "2025-12-31T23:59:59+00:00", "team:plant"),
        ("10.0.0.7", "2026-01-01T00:00:00+00:00", "user:alice"),
        ("10.0.0.7", "2026-01-31T23:59:59+00:00", "user:alice"),
        ("10.0.0.7", "2026-02-01T00:00:00+00:00", "user:bob"),
        ("10.0.0.7", "2026-03-01T10:59:59+00:00", "user:bob"),
        ("10.0.0.7", "2026-03-01T11:00:00+00:00", "team:plant"),
        ("10.0.0.8", "2026-02-01T00:00:00+00:00", "team:plant"),
        ("192.0.2.1", "2025-12-31T23:59:59+00:00", "user:carol"),
        ("192.0.2.1", "2026-01-01T00:00:00+00:00", "192.0.2.1"),
    ],
)
def test_the_row_that_holds_at_the_time_wins(tmp_path: Path, address: str, when: str, subject: str) -> None:
    """Validity is judged at the exchange's own time, to the second, and a wider row stands in for one that is over."""
    file = tmp_path / "map.csv"
    file.write_text(MAP)
    resolver = Resolver((), AddressMap(read_map(file)))
    for _ in range(2):  # the second time out of the memory for addresses
        found = resolver.resolve(exchange(at(when), address))
        assert found.id == subject
    assert found.expired is (subject == address)


@pytest.mark.parametrize(
    "row",
    [
        "10.0.0.7/32,dave,,2026-01-15,2026-01-16",
        "10.0.0.7/32,dave,,,",
        "10.0.0.9/32,dave,,2026-02-01,2026-02-01",
        "10.0.0.9/32,dave,,yesterday,",
        "10.0.0.9/32,dave,,2026-13-01,",
        "10.0.0.9/32,dave,,2026-01-01",
    ],
)
def test_times_that_make_no_sense_are_refused(tmp_path: Path, row: str) -> None:
    """Rows of one network may not overlap, and a time is a time; the complaint names the line."""
    file = tmp_path / "map.csv"
    file.write_text(MAP + row + "\n")
    with pytest.raises(Misconfigured) as e:
        read_map(file)
    assert [p.line for p in e.value.problems] == [6]


def test_people_get_groups_role_and_department(tmp_path: Path) -> None:
    """The register adds groups to those that came along, and says role and department."""
    file = tmp_path / "people.csv"
    file.write_text("subject,groups,role,department\nAlice,Staff;hr,Engineer,R&D\nservice:ci,,,\n")
    resolver = Resolver(people=read_people(file))
    subject = Subject("user:alice", "user", "proxy_basic", Assurance.VERIFIED, ("vpn", "staff"))
    found = resolver.resolve(exchange(1, subject=subject))
    assert (found.groups, found.role, found.department) == (("vpn", "staff", "hr"), "Engineer", "R&D")
    assert resolver.resolve(exchange(1)).role is None
    file.write_text("subject,groups,role,department\nalice,,,\nAlice,,,\nx,y\n,,,\n")
    with pytest.raises(Misconfigured) as e:
        read_people(file)
    assert [p.line for p in e.value.problems] == [3, 4, 5]


OWNERS = f"""
[[key]]
fingerprint = ["{FP}", "{"ef" * 16}"]
owner = "service:ci"
groups = ["build"]
provider = "openai"
expires = 2027-01-01

[[key]]
fingerprint = "{OTHER}"
ownership = "personal"
"""


def test_a_key_names_its_owner_where_nothing_better_does(tmp_path: Path) -> None:
    """`key_map`, mapped: only for who is nobody otherwise, at the row's provider, and until it runs out."""
    file = tmp_path / "keys.toml"
    file.write_text(OWNERS)
    owners = read_owners(file)
    resolver = Resolver(owners=owners)
    ci = Subject("service:ci", "service", "key_map", Assurance.MAPPED, ("build",))
    assert resolver.by_key(NOBODY, KEY, "openai", 1) == ci
    assert resolver.by_key(NOBODY, KEY, "anthropic", 1) == NOBODY
    late = resolver.by_key(NOBODY, KEY, "openai", at("2027-01-01T00:00:00+00:00"))
    assert (late.id, late.assurance, late.expired) == (NOBODY.id, Assurance.NONE, True)
    alice = Subject("user:alice", "user", "ip_map", Assurance.MAPPED)
    assert resolver.by_key(alice, KEY, "openai", 1) is alice
    assert resolver.by_key(NOBODY, None, "openai", 1) is NOBODY
    assert owners.ownership(KEY, "openai", 1) is Ownership.CORPORATE
    assert owners.ownership(Credential("", "", OTHER, ""), "x", 1) is Ownership.PERSONAL
    assert owners.ownership(Credential("", "", "00" * 16, ""), "x", 1) is Ownership.UNKNOWN


@pytest.mark.parametrize(
    "text",
    [
        '[[key]]\nfingerprint = "sk-proj-abcdef"\n',
        "[[key]]\nfingerprint = []\n",
        f'[[key]]\nfingerprint = "{FP}"\nowner = "user:"\n',
        f'[[key]]\nfingerprint = "{FP}"\nownership = "unknown"\n',
        f'[[key]]\nfingerprint = "{FP}"\nownership = "mine"\n',
        f'[[key]]\nfingerprint = "{FP}"\nsecret = "x"\n',
        f'[[key]]\nfingerprint = "{FP}"\nexpires = "2027-01-01"\n',
        f'[[key]]\nfingerprint = "{FP}"\n[[key]]\nfingerprint = "{FP}"\n',
    ],
)
def test_a_register_of_keys_holds_fingerprints_alone(tmp_path: Path, text: str) -> None:
    """A key itself, an unknown column or a doubled row is refused, with its place."""
    file = tmp_path / "keys.toml"
    file.write_text(text)
    with pytest.raises(Misconfigured, match=r"keys\.toml"):
        read_owners(file)


def test_the_user_file_comes_back_as_it_was_written(tmp_path: Path) -> None:
    """Names, kinds and ends survive; the file is its owner's alone; comments stay."""
    file = tmp_path / "users"
    file.write_text("# who may log in\n")
    users = {
        u.name: u for u in (User("a b", hashed("x")), User("ci", hashed("y"), "service", at("2027-01-01T10:30+00:00")))
    }
    write_users(file, users)
    assert read_users(file) == users
    assert file.read_text().startswith("# who may log in\n")
    assert file.stat().st_mode & 0o777 == 0o600
    assert fits(users["ci"].hash, "y")
    assert not fits(users["ci"].hash, "x")


@pytest.mark.parametrize(
    "line",
    [
        "alice",
        "alice:secret",
        "alice:$2y$05$abcdefghijklmnopqrstuu",
        f"alice:{hashed('x').replace('m=19456', 'm=9999999')}",
        f"alice:{hashed('x').replace('argon2id', 'argon2i')}",
        f"alice:{hashed('x')}:kind=robot",
        f"alice:{hashed('x')}:expires=soon",
        f":{hashed('x')}",
        f"bob:{hashed('x')}",
    ],
    ids=range(9),  # the salts differ from run to run
)
def test_a_bad_line_is_refused_and_not_quoted(tmp_path: Path, line: str) -> None:
    """Anything but a name and an argon2id hash of bounded cost stops the file; no hash or password is repeated."""
    file = tmp_path / "users"
    file.write_text(f"bob:{hashed('x')}\n{line}\n")
    with pytest.raises(Misconfigured) as e:
        read_users(file)
    assert [p.line for p in e.value.problems] == [2]
    assert "secret" not in str(e.value)
    assert "$argon2id" not in str(e.value)


def test_a_user_file_that_others_can_change_is_not_used(tmp_path: Path) -> None:
    """Whoever can write it could let himself in."""
    file = tmp_path / "users"
    file.write_text("")
    file.chmod(0o666)
    with pytest.raises(Misconfigured, match="chmod 600"):
        read_users(file)


def test_a_hundred_thousand_users_are_read(tmp_path: Path) -> None:
    """A large company's file is read, and its last user can log in."""
    file = tmp_path / "users"
    one = hashed("x")
    file.write_text("".join(f"user{n}:{one}\n" for n in range(100_000)))
    users = read_users(file)
    assert len(users) == 100_000
    assert fits(users["user99999"].hash, "x")


async def test_changed_files_are_noticed_and_bad_ones_change_nothing(tmp_path: Path) -> None:
    """A whole file is put in force whole; one that cannot be read is told, once, and told well again."""
    file = tmp_path / "map.csv"
    file.write_text("network,subject\n10.0.0.0/8,alice\n")
    settings = config.Settings(identity=config.Identity(address_map=file))
    assert Known.load(settings).resolver.resolve(exchange(1)).id == "user:alice"
    watch = Watch(settings)
    assert await watch.look() is None
    for text, subject in (("network,subject\n10.0.0.0/8,bob\n", "user:bob"), ("rubbish", None), (MAP, "team:plant")):
        file.write_text(text)
        os.utime(file, ns=(time.time_ns(), time.time_ns() + len(text)))
        change = await watch.look()
        assert change is not None
        if subject is None:
            assert change.known is None
        else:
            assert change.known is not None
            assert change.known.resolver.resolve(exchange(1)).id == subject
        assert await watch.look() is None
    file.unlink()
    gone = await watch.look()
    assert gone is not None
    assert gone.known is None
