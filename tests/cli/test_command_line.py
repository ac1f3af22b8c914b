"""The command line itself: exit codes, errors in one line, quick help."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import sluice.cli

ROOT = Path(__file__).parents[2]
COMMANDS = ["check", "ca", "packs", "scan", "explain", "tail", "sql", "verify", "version"]


def sluice_command(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `sluice` as an operator does, in a directory without settings."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("SLUICE_")}
    return subprocess.run(
        [sys.executable, "-m", "sluice.cli", *arguments],
        cwd=cwd,
        env=kept | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_help_names_every_command(tmp_path: Path) -> None:
    """Each command stands in `sluice --help` with a sentence, and has help of its own."""
    shown = sluice_command("--help", cwd=tmp_path).stdout
    for name in COMMANDS:
        assert re.search(rf"^  {name} +\w.{{10,}}", shown, re.M), name
        assert sluice_command(name, "--help", cwd=tmp_path).returncode == 0


def test_version_is_an_option_too(tmp_path: Path) -> None:
    """`sluice --version` is one line, the same version that `sluice version` begins with."""
    told = sluice_command("--version", cwd=tmp_path)
    assert (told.returncode, told.stderr) == (0, "")
    assert re.fullmatch(r"sluice \d\S*\n", told.stdout)
    assert sluice_command("version", cwd=tmp_path).stdout.startswith(told.stdout.strip() + " (")


def test_help_and_version_load_no_engine() -> None:
    """Help and completion stay quick because no room is imported before its command runs."""
    code = (
        "import sys\nimport sluice.cli\n"
        "try: sluice.cli.main(['--help'])\nexcept SystemExit: pass\n"
        "heavy = {'hyperscan', 'ahocorasick', 'chdb', 'clickhouse_connect', 'rich', 'prometheus_client', 'starlette',"
        " 'uvicorn', 'msgspec', 'cryptography', 'mitmproxy', 'asyncio', 'stdnum', 'phonenumbers'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stderr.strip() == "[]"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["verson"], "No such command 'verson'"),
        (["ca", "show", "--nope"], "No such option '--nope'"),
        (["sql"], "Missing argument 'QUERY'"),
        (["scan", "--jsonl", "file"], "goes with neither FILES nor --json"),
        (["sql", "--json", "--format", "CSV", "select 1"], "give one of the two"),
        (["check", "--config", "missing.toml"], "missing.toml: no such settings file"),
        (["ca", "show"], "there is no CA here; `sluice ca init` makes one"),
        (["explain", "missing.json"], "missing.json: cannot be read: No such file or directory"),
    ],
)
def test_wrong_use_is_one_line_and_2(tmp_path: Path, arguments: list[str], said: str) -> None:
    """Used wrongly or misconfigured: exit code 2, one `sluice:` line on stderr, nothing on stdout, no traceback."""
    done = sluice_command(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    errors = [line for line in done.stderr.splitlines() if line.startswith("sluice: ")]
    assert len(errors) == 1
    assert said in errors[0]
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("arguments", [[], ["ca"], ["packs"]])
def test_no_command_shows_help(tmp_path: Path, arguments: list[str]) -> None:
    """Without a command the help is shown, on stderr and with exit code 2: nothing was done."""
    done = sluice_command(*arguments, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("Usage: sluice")


def test_every_problem_of_the_settings_is_told(tmp_path: Path) -> None:
    """Three mistakes in three sections are three lines with file and line."""
    (tmp_path / "s.toml").write_text('[proxy]\nworker = 1\n[limits]\njson_depth = "deep"\n[prox]\n')
    done = sluice_command("check", "--config", "s.toml", cwd=tmp_path)
    assert done.returncode == 2
    lines = [line for line in done.stderr.splitlines() if line.startswith("sluice: ")]
    assert [line.split(": ")[1] for line in lines] == ["s.toml:2", "s.toml:4", "s.toml:5"]


def test_a_fault_of_ours_names_its_place_and_not_its_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An unexpected exception is one line of type and place, exit code 70: its message could hold what a file held."""
    monkeypatch.setattr("importlib.metadata.version", lambda name: {}["canary"])
    with pytest.raises(SystemExit) as ended:
        sluice.cli.main(["version"])
    said = capsys.readouterr().err
    assert ended.value.code == 70
    assert re.match(r"sluice: internal error: KeyError at \S+test_command_line.py:\d+", said)
    assert "canary" not in said
    monkeypatch.setenv("SLUICE_TRACEBACK", "1")
    with pytest.raises(KeyError):
        sluice.cli.main(["version"])


def test_a_file_of_another_account_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Somebody without rights types a command on an appliance with accounts of its own: exit code 2, and the way."""

    def closed(*_: object) -> None:
        raise PermissionError(13, "Permission denied", "/etc/sluice/sluice.toml")

    monkeypatch.setattr("sluice.config.load", closed)
    with pytest.raises(SystemExit) as ended:
        sluice.cli.main(["ca", "show"])
    assert ended.value.code == 2
    assert capsys.readouterr().err.splitlines() == [
        "sluice: /etc/sluice/sluice.toml: Permission denied",
        "  it is another account's: `sudo sluice ...`",
    ]


def test_a_reader_that_left_is_no_error(tmp_path: Path) -> None:
    """`sluice ... | head -0` ends quietly."""
    command = f"{sys.executable} -m sluice.cli version --json | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_completion_is_offered(tmp_path: Path) -> None:
    """The shells' completion is served by the program itself."""
    done = sluice_command(cwd=tmp_path, _SLUICE_COMPLETE="bash_complete", COMP_WORDS="sluice ve", COMP_CWORD="1")
    assert done.stdout.split() == ["plain,verify", "plain,version"]


def test_what_the_site_lets_through_unread_is_said(tmp_path: Path) -> None:
    """A row of the site that tunnels an AI destination is a warning of `sluice check`: it is a blind spot by choice."""
    (tmp_path / "s.toml").write_text('[paths]\ntargets = "sites.toml"\n')
    (tmp_path / "sites.toml").write_text('[[target]]\nhost = "api.openai.com"\nmode = "pass"\n')
    done = sluice_command("check", "--config", "s.toml", cwd=tmp_path)
    assert done.returncode == 0
    assert any("warning" in line and "api.openai.com" in line for line in done.stderr.splitlines())


def test_a_path_that_cannot_be_written_is_no_fault_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file that the system refuses is one line of path and reason, exit code 2."""
    monkeypatch.setenv("SLUICE_PATHS__VAR", str(tmp_path / "var"))
    for arguments in (["ca", "init"], ["ca", "export", "--output", str(tmp_path / "none" / "ca.pem")]):
        with pytest.raises(SystemExit) as ended:
            sluice.cli.main(arguments)
    assert ended.value.code == 2
    assert capsys.readouterr().err.splitlines()[-1] == f"sluice: {tmp_path}/none/ca.pem: No such file or directory"


@pytest.mark.parametrize("command", [["keys", "show"], ["keys", "fingerprint", "--kind", "secret"]])
def test_looking_at_keys_makes_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    """Before the first start there is no key; whoever looks is told so (exit 1) and leaves no file behind."""
    monkeypatch.setenv("SLUICE_PATHS__VAR", str(tmp_path / "var"))
    with pytest.raises(SystemExit) as ended:
        sluice.cli.main(command)
    assert ended.value.code == 1
    assert "there is no key" in capsys.readouterr().err
    assert not (tmp_path / "var").exists()
