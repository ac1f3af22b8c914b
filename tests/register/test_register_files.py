"""Register files: strict, layered, and every mistake with its line."""

from __future__ import annotations

import datetime as dt
import difflib
import re
from collections.abc import Collection
from pathlib import Path

import pytest

from sluice import config, startup
from sluice.errors import Misconfigured
from sluice.register import files
from sluice.register.shapes import KINDS, Model, Provider, Tool


def written(directory: Path, **texts: str) -> Path:
    """A directory with a file for each argument: `models_toml="..."`."""
    directory.mkdir(exist_ok=True)
    for name, text in texts.items():
        (directory / name.replace("_toml", ".toml").replace("_csv", ".csv")).write_text(text)
    return directory


def complaints(shipped: Path, site: Path | None = None) -> list[str]:
    with pytest.raises(Misconfigured) as caught:
        files.load(shipped, site)
    return [f"{Path(p.file).name}:{p.line}: {p.what}" for p in caught.value.problems]


def test_every_mistake_of_every_file_is_told_with_its_line(tmp_path: Path) -> None:
    """Unknown tables and keys, wrong values, rows twice, rows that name nobody: all at once, where they are."""
    text = """
[[provider]]
id = "openai"
country = "us"
reviwed = 2026-01-01

[[provider]]
id = "x"
[[provider.evidence]]
for = ["cuntry"]
url = "https://example.com"
checked = 2026-11-01

[[tier]]
provider = "opnai"
tier = "api_paid"
retention_days = -1

[[agent_tool]]
agent = "nobody"
tool = "t"

[[tool]]
id = "t"
[[tool]]
id = "t"
[[prvider]]
id = "r"
"""
    table = "id,kind,approved,approved_until\nq,function,true,2026-12-31\nr,functio,yes,soon\ns,mcp\n"
    found = complaints(written(tmp_path / "a", all_toml=text, tools_csv=table))
    starts = (
        "all.toml:4: provider: country: expected `str` matching regex",
        "all.toml:5: provider: unknown key `reviwed`; did you mean `reviewed`?",
        "all.toml:7: provider `x`: evidence is for `cuntry`",
        "all.toml:17: tier: retention_days: expected `int` >= 0",
        "all.toml:19: agent_tool `nobody/t`: agent `nobody` is not in the register",
        "all.toml:25: tool: `t` is there twice",
        "all.toml:27: unknown table `prvider`; did you mean `[[provider]]`?",
        "tools.csv:3: tool: kind: invalid enum value",
        "tools.csv:3: tool: approved: expected `bool | null`",
        "tools.csv:3: tool: approved_until: ",
        "tools.csv:4: has 2 columns instead of 4",
    )
    for start in starts:
        assert any(one.startswith(start) for one in found), (start, found)
    assert len(found) == len(starts), found


@pytest.mark.parametrize(
    ("name", "text", "what"),
    [
        ("a.toml", "[[provider]\n", "a.toml:1: not valid TOML"),
        ("a.toml", "provider = 1\n", "a.toml:1: `provider` must be `[[provider]]`"),
        ("a.toml", "[[exception]]\nid = 'e'\n", "a.toml:1: exception: row missing required field `expires`"),
        ("a.toml", "[[tool]]\nid = ''\n", "a.toml:2: tool: id: expected `str` of length >= 1"),
        ("models.csv", "id,provider,evil\nx,y,z\n", "models.csv:1: unknown column evil"),
        ("things.csv", "id\nx\n", "things.csv:None: must be named for what it holds"),
        ("models.csv", 'id,provider\n"x,y\n', "models.csv:2: not valid CSV"),
    ],
)
def test_a_file_that_is_wrong_as_a_whole(tmp_path: Path, name: str, text: str, what: str) -> None:
    """Syntax, shape, a missing end, an empty name, a foreign column: refused, and said where."""
    (tmp_path / name).write_text(text)
    assert complaints(tmp_path)[0].startswith(what)


def test_a_directory_that_is_not_there(tmp_path: Path) -> None:
    """A setting that names nothing is a mistake, never an empty register."""
    assert "is not a directory of registers" in complaints(tmp_path, tmp_path / "none")[0]


def test_a_site_changes_what_it_names_and_nothing_else(tmp_path: Path) -> None:
    """Key by key over the shipped row, new rows beside it; each entry says whose it is."""
    shipped = written(
        tmp_path / "shipped",
        a_toml='[[provider]]\nid = "openai"\nname = "OpenAI"\ncountry = "US"\n[[provider]]\nid = "other"\n',
    )
    site = written(
        tmp_path / "site",
        b_toml='[[provider]]\nid = "openai"\ndpa = "C-17"\nreview_due = 2027-01-31\n[[provider]]\nid = "house"\n',
    )
    found = {entry.key: entry for entry in files.load(shipped, site)}
    assert {key: entry.origin for key, entry in found.items()} == {
        "openai": "both",
        "other": "shipped",
        "house": "site",
    }
    row = found["openai"].row
    assert isinstance(row, Provider)
    assert (row.name, row.country, row.dpa, row.review_due) == ("OpenAI", "US", "C-17", dt.date(2027, 1, 31))
    assert (Path(found["openai"].file).name, found["openai"].line) == ("b.toml", 1)


def test_csv_says_what_toml_says(tmp_path: Path) -> None:
    """Lists, booleans, dates, blanks around cells, comments, a byte order mark: the same rows either way."""
    written(
        tmp_path / "csv",
        models_csv="\ufeff id , provider,modality,approved,shutdown\n"
        "# old\n\n gpt-4 ,openai,text; image,TRUE,2027-01-31\n",
    )
    written(
        tmp_path / "toml",
        a_toml='[[model]]\nid = "gpt-4"\nprovider = "openai"\nmodality = ["text", "image"]\napproved = true\n'
        "shutdown = 2027-01-31\n",
    )
    (one,), (other,) = files.load(tmp_path / "csv"), files.load(tmp_path / "toml")
    assert one.row == other.row
    assert isinstance(one.row, Model)


def test_hostile_text_stays_text(tmp_path: Path) -> None:
    """Markup, quotes and SQL in a register are values like any other; only an endless one is refused."""
    name = "<script>alert('x')</script>'; DROP TABLE events; --"
    (tmp_path / "tools.csv").write_text(f'id,notes\n"{name}",=cmd|x\n')
    (entry,) = files.load(tmp_path)
    assert isinstance(entry.row, Tool)
    assert (entry.row.id, entry.row.notes) == (name, "=cmd|x")
    (tmp_path / "tools.csv").write_text(f"id\n{'x' * 201}\n")
    assert complaints(tmp_path)[0].startswith("tools.csv:2: tool: id: expected `str` of length <= 200")


def test_every_claim_of_the_shipped_register_says_where_it_is_from() -> None:
    """What is shipped about a vendor has an address and a day; nothing is judged for a site."""
    identity = {"id", "provider", "tier", "products", "name", "category", "evidence", "notes", "family"}
    for entry in files.load(config.registers_dir()):
        said = {f for f in entry.row.__struct_fields__ if getattr(entry.row, f) not in (None, ())}
        proven = {name for evidence in entry.row.evidence for name in evidence.of}
        assert said - identity <= proven, (entry.kind, entry.key, said - identity - proven)
        for evidence in entry.row.evidence:
            assert evidence.url.startswith("https://"), entry.key
            assert evidence.checked >= dt.date(2026, 1, 1), entry.key
        judged = {"approved", "contracted", "dpa", "baa", "zdr", "owner", "reviewed", "risk_score", "critical"}
        assert not said & judged, (entry.kind, entry.key)


def test_the_shipped_register_names_what_the_destination_table_knows() -> None:
    """A provider or product that no destination has would be declared and never observed."""
    from sluice import targets

    table = targets.load(config.signatures_dir() / "targets.toml")
    products = {(row.provider, row.product) for row in table.rows}
    for entry in files.load(config.registers_dir()):
        provider = getattr(entry.row, "provider", None) or entry.key
        if entry.kind in ("provider", "tier", "model"):
            assert provider in table.providers, entry.key
        for product in getattr(entry.row, "products", None) or ():
            assert (provider, product) in products, (entry.key, product)


def test_the_example_is_a_register_once_its_lines_are_taken_in(tmp_path: Path) -> None:
    """As shipped it declares nothing; with the `#` before each line removed every kind is in it, and it is sound."""
    text = (config.registers_dir() / "example.toml").read_text("utf-8")
    assert not files.read(config.registers_dir() / "example.toml")
    lines = [line.removeprefix("#") for line in text.splitlines() if re.match(r"#(\[\[|\w+ *= )", line)]
    site = written(tmp_path / "site", site_toml="\n".join(lines))
    found = files.load(config.registers_dir(), site)
    assert {entry.kind for entry in found if entry.origin in ("site", "both")} == set(KINDS)


def test_a_wrong_register_is_told_before_anything_starts(tmp_path: Path) -> None:
    """`sluice check` and the start itself name it, as they do any other file of the site."""
    site = written(tmp_path / "site", site_toml="[[tool]]\nid = 'x'\nsid_effect = 'exec'\n")
    settings = config.Settings(paths=config.Paths(var=tmp_path, registers=site))
    (problem,) = startup.unfit_settings(settings)
    assert (Path(problem.file).name, problem.line) == ("site.toml", 3)


def test_every_kind_has_a_key_that_names_its_rows() -> None:
    """A row that cannot be named could not be changed by a site, nor counted once."""
    for kind, shape in KINDS.items():
        assert set(shape.KEY) <= set(shape.__struct_fields__), kind


def test_a_register_that_is_wrong_all_over_is_told_without_seeking_a_name_for_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thousand rows that name nobody among a thousand names, and rows with a wrong key: every one is told, and only
    the first are compared with all the names that there are, so that the shipper is not kept for hours."""
    asked: list[int] = []
    original = difflib.get_close_matches

    def counting(word: str, among: Collection[str], n: int) -> list[str]:
        asked.append(len(among))
        return original(word, list(among), n)

    monkeypatch.setattr(difflib, "get_close_matches", counting)
    rows = [f'[[agent]]\nid = "agent-{n}"\n[[agent_tool]]\nagent = "agnt-{n}"\ntool = "t"\n' for n in range(1000)]
    told = complaints(written(tmp_path / "names", all_toml="".join(rows)))
    assert (len(told), sum("did you mean" in what for what in told) < 100) == (1000, True)
    assert sum(asked) <= files.MOST_COMPARED
    asked.clear()
    keys = "".join(f'[[agent]]\nid = "agent-{n}"\nwrng = 1\n' for n in range(1000))
    assert len(complaints(written(tmp_path / "keys", all_toml=keys))) == 1000
    assert len(asked) == files.MOST_HINTS


def test_a_number_that_cannot_be_read_is_a_complaint(tmp_path: Path) -> None:
    """More digits than Python reads: a problem of the file, not an error that ends whoever reads it."""
    (told,) = complaints(written(tmp_path / "d", all_toml=f"[[provider]]\nid = {'9' * 5000}\n"))
    assert told.startswith("all.toml:None: not valid TOML")
