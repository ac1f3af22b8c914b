"""`sluice`: the operator's command line, one file per group of commands.

Rules
1. Exit codes: 0 as hoped; 1 something was found, or is broken; 2 used wrongly or misconfigured; 3 the appliance is not
   running; 70 a fault of ours; 130 interrupted.
2. What went wrong is one line on stderr that says what to do, never a traceback (`SLUICE_TRACEBACK=1` shows it).
3. Data goes to stdout, words about it to stderr. Every command has `--json`, but those whose output is a file of its
   own form (a certificate, a script, SQL). No command prints content of traffic; `scan` and `explain --show-text` show
   what the caller brought.
4. `sluice --help` and completion stay quick: each command imports its room when it runs, not before.
"""

from __future__ import annotations

import importlib
import os
import sys
from typing import override

import click

from sluice.cli.terminal import complain
from sluice.errors import Misconfigured, SluiceError

FOUND, USAGE, NOT_RUNNING, OUR_FAULT, INTERRUPTED = 1, 2, 3, 70, 130

# In the order of `--help`: before traffic, while it runs, afterwards.
_COMMANDS = {
    "check": "sluice.cli.check",
    "doctor": "sluice.cli.doctor",
    "ca": "sluice.cli.ca",
    "clients": "sluice.cli.clients",
    "users": "sluice.cli.users",
    "keys": "sluice.cli.keys",
    "packs": "sluice.cli.packs",
    "suppressions": "sluice.cli.suppressions",
    "edm": "sluice.cli.edm",
    "docs": "sluice.cli.docs",
    "known-secrets": "sluice.cli.known_secrets",
    "scan": "sluice.cli.scan",
    "explain": "sluice.cli.explain",
    "replay": "sluice.cli.replay",
    "policy": "sluice.cli.policy",
    "top": "sluice.cli.top",
    "tail": "sluice.cli.tail",
    "sql": "sluice.cli.sql",
    "inventory": "sluice.cli.inventory",
    "graph": "sluice.cli.graph",
    "register": "sluice.cli.register",
    "report": "sluice.cli.report",
    "findings": "sluice.cli.findings",
    "posture": "sluice.cli.posture",
    "compliance": "sluice.cli.compliance",
    "schema": "sluice.cli.schema",
    "ship": "sluice.cli.ship",
    "forward": "sluice.cli.forward",
    "hold": "sluice.cli.hold",
    "subjects": "sluice.cli.subjects",
    "verify": "sluice.cli.verify",
    "prove": "sluice.cli.prove",
    "evidence": "sluice.cli.evidence",
    "seal": "sluice.cli.seal",
    "completion": "sluice.cli.completion",
    "manual": "sluice.cli.manual",
    "version": "sluice.cli.version",
}


class NotRunning(SluiceError):
    """The appliance that a command needs does not run."""


class _Lazy(click.Group):
    """A group whose commands are imported when they are named."""

    @override
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    @override
    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        command = importlib.import_module(_COMMANDS[cmd_name]).command
        assert isinstance(command, click.Command)
        _whole_sentences(command)
        return command


def _whole_sentences(command: click.Command) -> None:
    """In a list of commands stands the first sentence of each, whole: click cuts it off where it is long."""
    if command.short_help is None and command.help:
        first, end, _ = " ".join(command.help.partition("\n\n")[0].split()).partition(". ")
        command.short_help = first + end.strip()
    if isinstance(command, click.Group):
        for each in command.commands.values():
            _whole_sentences(each)


EXIT_CODES = """Exit codes: 0 as hoped; 1 found, or broken; 2 used wrongly or misconfigured; 3 the appliance does not
run; 70 a fault of ours; 130 interrupted."""


def _version(ctx: click.Context, _: click.Parameter, asked: bool) -> None:
    if asked:
        import importlib.metadata

        click.echo(f"sluice {importlib.metadata.version('sluice')}")
        ctx.exit()


@click.group(
    cls=_Lazy, epilog=EXIT_CODES, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Print the version."
)
def group() -> None:
    """Sluice: what leaves for AI services, inspected, decided and recorded.

    `sluice-proxy` runs the appliance; these commands look at it, and work without it where they can.
    """


def main(arguments: list[str] | None = None) -> None:
    """Run one command and end the process with its exit code."""
    try:
        code = _run(arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read us has gone (`sluice tail | head`). Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    sys.exit(code)


def _run(arguments: list[str] | None) -> int:
    try:
        result = group.main(arguments, prog_name="sluice", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as e:
        click.echo(e.format_message(), err=True)
        return USAGE
    except click.ClickException as e:
        place = e.ctx.command_path if isinstance(e, click.UsageError) and e.ctx else "sluice"
        complain(e.format_message(), f"`{place} --help` shows how it is used")
        return USAGE
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except Misconfigured as e:
        for problem in e.problems:
            complain(str(problem).removeprefix("sluice: "))  # what lies in no file has our own name as its place
        return USAGE
    except NotRunning as e:
        complain(str(e), "`sluice-proxy` (`make run`, `systemctl start sluice`) starts it")
        return NOT_RUNNING
    except SluiceError as e:
        complain(str(e))
        return FOUND
    except SystemExit:
        # click ends the process itself after completion, and when whoever read us has gone (with an exit code of 1,
        # which means "found" here).
        if os.environ.get("_SLUICE_COMPLETE"):
            raise
        return 0
    except BrokenPipeError:
        raise
    except Exception as e:  # the last line of defence: a traceback could print what a file held
        if os.environ.get("SLUICE_TRACEBACK"):
            raise
        if isinstance(e, OSError) and e.filename and e.strerror:  # a path that was given, or another account's file
            others = ("it is another account's: `sudo sluice ...`",) if isinstance(e, PermissionError) else ()
            complain(f"{e.filename}: {e.strerror}", *others)
            return USAGE
        from sluice.logs import frames

        where = (frames(e.__traceback__) or ["?"])[-1]
        complain(f"internal error: {type(e).__name__} at {where}", "SLUICE_TRACEBACK=1 shows the traceback")
        return OUR_FAULT
    return result if isinstance(result, int) else 0
