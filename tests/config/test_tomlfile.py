"""Finding the line on which a path of a TOML file begins."""

from __future__ import annotations

import tomllib
from pathlib import Path

import msgspec
import pytest

from sluice import config, tomlfile
from sluice.errors import Misconfigured

TEXT = '''\
top = 1
"quoted.key" = "a = b"
text = """
[[rule]]
not = "a key"
"""
inline = { a = 1 }

[table]
key = [
  "one",   # [ a bracket in a comment
  "t[w]o",
]
after = 2

[[rule]]
id = "first"
when.status = "x"

[rule.unless]
group = "y"

[[rule]]
id = "second"

[[rule.part]]
n = 1

[[rule.part]]
n = 2

[list]
rows = [
  # a comment
  { id = "a" },

  { id = "b", text = "}" },
  { id = "c" } ]
end = true
'''


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("$.top", 1),
        ("$.quoted", None),
        ("$.text", 3),
        ("$.inline.a", 7),
        ("$.table", 9),
        ("$.table.key", 10),
        ("$.table.key[1]", 10),
        ("$.table.after", 14),
        ("$.table.absent", 9),
        ("$.rule[0]", 16),
        ("$.rule[0].id", 17),
        ("$.rule[0].when.status", 18),
        ("$.rule[0].when.absent", 16),
        ("$.rule[0].unless", 20),
        ("$.rule[0].unless.group", 21),
        ("$.rule[1].id", 24),
        ("$.rule[1].part[0].n", 27),
        ("$.rule[1].part[1].n", 30),
        ("$.list.rows[0].id", 35),
        ("$.list.rows[1].text", 37),
        ("$.list.rows[2]", 38),
        ("$.list.rows[3]", 33),
        ("$.list.end", 39),
        ("$.nowhere", None),
    ],
)
def test_line_of_a_path(path: str, line: int | None) -> None:
    """A complaint points at the key, or at the nearest table around it, through strings, lists and sub-tables."""
    tomllib.loads(TEXT)
    assert tomlfile.line_of(TEXT, path) == line


def test_lines_are_the_editors_lines() -> None:
    """Only a line feed ends a line: other separators inside a text do not shift what follows."""
    text = 'a = "x\\u2028y"\nb = "\u2028\u0085"\nc = 1\n'
    assert tomlfile.line_of(text, "$.c") == 3


class Shape(msgspec.Struct, forbid_unknown_fields=True):
    n: int
    list: tuple[int, ...] = ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("n = 1\nmore = 2\n", "f.toml:2: more: unknown key `more`"),
        ('n = "1"\n', "f.toml:1: n: expected `int`, got `str`"),
        ("n = 1\nlist = [1, true]\n", "f.toml:2: list[1]: expected `int`, got `bool`"),
        ("\n", "f.toml: object missing required field `n`"),
    ],
)
def test_what_is_wrong_and_where(text: str, message: str) -> None:
    """A fault of shape names the file, the line, the key and the fault."""
    with pytest.raises(Misconfigured) as caught:
        tomlfile.convert(tomllib.loads(text), Shape, file=Path("f.toml"), text=text)
    assert str(caught.value) == message


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    """A missing file is named, with the system's reason."""
    with pytest.raises(Misconfigured, match=r"absent\.toml: cannot be read: No such file"):
        tomlfile.read(tmp_path / "absent.toml")


@pytest.mark.parametrize("text", ["n = " + "[" * 5000 + "]" * 5000, "n = " + "{a=" * 5000 + "1" + "}" * 5000])
def test_a_file_nested_too_deeply(tmp_path: Path, text: str) -> None:
    """Nesting without end is the file's fault, and named as one."""
    file = tmp_path / "deep.toml"
    file.write_text(text)
    with pytest.raises(Misconfigured, match=r"deep\.toml.*nested too deeply"):
        tomlfile.read(file)


KEYS = {
    "bare": "a" + ".a" * 50_000 + " = 1",
    "quoted": '"a.b"' + ".'a'" * 50_000 + " = 1",
    "spaced": "a" + " \t. a" * 50_000 + " = 1",
    "table": "[" + "a" + ".a" * 50_000 + "]",
    "tables": "[[" + "a" + ".a" * 50_000 + "]]",
    "inside": "x = {" + "a" + ".a" * 50_000 + " = 1}",
    "one too many": "a" + ".a" * tomlfile.MOST_PARTS + " = 1",
}


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
def test_a_key_without_end_never_reaches_the_parser(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    """The parser's time grows with the square of a key's parts: such a file is refused before, with its line."""
    monkeypatch.setattr(tomllib, "loads", None)
    file = tmp_path / "long.toml"
    file.write_text(f"# a comment\n{key}\n")
    with pytest.raises(Misconfigured, match=rf"long\.toml:2: .*more than {tomlfile.MOST_PARTS} dotted parts"):
        tomlfile.read(file)


def test_many_long_keys_never_reach_the_parser(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twenty thousand tables of thirty names each would cost the parser seconds; where the sum is passed is said."""
    file = tmp_path / "many.toml"
    file.write_text("".join(f"[a{i}{'.b' * 30}]\n" for i in range(20_000)))
    monkeypatch.setattr(tomllib, "loads", None)
    with pytest.raises(Misconfigured, match=rf"many\.toml:{tomlfile.MOST_DEEP // 29 + 1}: .*too many keys of many"):
        tomlfile.read(file)


def test_many_numbers_are_no_long_keys(tmp_path: Path) -> None:
    """A list of as many numbers is read."""
    file = tmp_path / "numbers.toml"
    many = tomlfile.MOST_DEEP + 1
    file.write_text(f"n = [{'1.5,' * many}]\n")
    assert tomlfile.read(file)["n"] == [1.5] * many


def test_dots_in_values_are_no_key(tmp_path: Path) -> None:
    """Texts, comments, lists of numbers and a key of as many parts as may be are read as ever."""
    file = tmp_path / "dots.toml"
    dots = "a.b." * 500
    keys = "k" + ".k" * (tomlfile.MOST_PARTS - 1)
    file.write_text(
        f'''x = """{dots}\n{dots}"""\ny = "{dots}\\\\" # {dots}\nz = \'{dots}\'\nw = [{"1.5, " * 99}]\n{keys} = 1\n'''
    )
    read = tomlfile.read(file)
    assert (read["x"], read["y"], read["z"], read["w"]) == (f"{dots}\n{dots}", dots + "\\", dots, [1.5] * 99)


def test_a_file_without_end_is_not_read_whole(tmp_path: Path) -> None:
    """A sparse file of gigabytes in place of a register costs nothing but the answer."""
    file = tmp_path / "large.toml"
    with file.open("wb") as sparse:
        sparse.truncate(1 << 40)
    with pytest.raises(Misconfigured, match=r"large\.toml: is larger than 16 MiB"):
        tomlfile.read(file)


@pytest.mark.parametrize("value", ["[" * 50_000, "{" + "a" + ".a" * 50_000 + " = 1}", "9" * 5000])
def test_a_variable_without_end_is_a_text(value: str) -> None:
    """What no parser should be given is told as a text in the wrong place, not as an error of the program."""
    with pytest.raises(Misconfigured, match="SLUICE_PROXY__WORKERS"):
        config.load(None, environ={"SLUICE_PROXY__WORKERS": value})
