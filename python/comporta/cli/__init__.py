"""The command `comporta`: a module for each subcommand, and here what they have in common at the end."""

from __future__ import annotations

import importlib
import io
import os
import sys
import traceback
from itertools import pairwise
from pathlib import Path
from typing import NoReturn, TextIO

import click

from comporta.cli.audit import audit
from comporta.cli.dead import dead
from comporta.cli.display import json_event
from comporta.cli.drain import drain
from comporta.cli.init import init
from comporta.cli.query import query
from comporta.cli.reset import reset
from comporta.cli.rows import rows
from comporta.cli.run import run
from comporta.cli.services import services
from comporta.errors import ComportaError, UsageError
from comporta.kafka_native import is_available

DECODED = "natively" if is_available() else "in Python, slower: it was installed without a native decoder"
VERSION = f"%(prog)s, version %(version)s\nKafka's record batches are decoded {DECODED}"
COMPLETION = """\b
Completion for your shell:
  bash   eval "$(_COMPORTA_COMPLETE=bash_source comporta)"
  zsh    eval "$(_COMPORTA_COMPLETE=zsh_source comporta)"
  fish   _COMPORTA_COMPLETE=fish_source comporta | source
"""


LATER = ("bench", "chaos", "validate")
"""Subcommands that are imported when they are asked for: they bring numpy, and clients of all services."""


class Subcommands(click.Group):
    """All subcommands, those of `LATER` too."""

    def list_commands(self, context: click.Context) -> list[str]:
        return sorted([*super().list_commands(context), *LATER])

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in LATER:
            return super().get_command(context, name)
        command: click.Command = getattr(importlib.import_module(f"comporta.cli.{name}"), name)
        return command


@click.group(
    cls=Subcommands,
    epilog=COMPLETION,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.version_option(package_name="comporta", message=VERSION)
def comporta() -> None:
    """Count logs exactly once, with transforms in Python.

    Every option can also be given as an environment variable, COMPORTA_ and its name; the option wins. The
    exit status is 0 when it is done, 1 when the work failed or a check did not hold, 2 for wrong usage.
    """


for command in (run, drain, query, rows, audit, dead, init, reset, services):
    comporta.add_command(command)


def main() -> NoReturn:
    """Run the command, and exit with its status: no traceback for what is not a bug."""
    sys.stdout, sys.stderr = sys.stdout or _nowhere(), sys.stderr or _nowhere()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # names of files need not be text
    status = 1
    try:
        status = comporta.main(prog_name="comporta", standalone_mode=False) or 0
    except click.ClickException as error:
        status = error.exit_code
        if not _is_json():
            error.show()
        else:
            _fail(error.format_message())
    except UsageError as error:
        status = 2
        _fail(str(error))
    except ComportaError as error:
        _fail(str(error))
    except (KeyboardInterrupt, click.Abort):
        _fail("interrupted")
    except Exception:
        _fail(f"this is a bug in Comporta: please report it with what follows\n{traceback.format_exc()}")
    sys.exit(status)


def _nowhere() -> TextIO:
    """What stands in for a stream that was closed by whoever called."""
    return Path(os.devnull).open("w")


def _fail(text: str) -> None:
    line = json_event("error", text, {}) if _is_json() else f"comporta: error: {text}"
    click.echo(line, err=True)


def _is_json() -> bool:
    """Whether a run is to speak JSON; looked up by hand, for what went wrong may be the words themselves."""
    words = sys.argv[1:]
    given = [right for left, right in pairwise(words) if left == "--log-format"]
    given += [word.partition("=")[2] for word in words if word.startswith("--log-format=")]
    wanted = given[-1] if given else os.environ.get("COMPORTA_LOG_FORMAT")
    return words[:1] == ["run"] and wanted == "json"
