"""`kedro run` that says what is wrong in one line; the traceback goes to the log."""

from __future__ import annotations

import logging
import os
import shlex
import sys
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import click
from kedro.framework.cli.project import run as kedro_run
from kedro.framework.cli.utils import CONTEXT_SETTINGS
from kedro.utils import find_kedro_project

from fanogan_pipeline.log import suit_the_reader
from fanogan_pipeline.parameters import dotted, masked
from fanogan_pipeline.refusals import causes, plain_line

logger = logging.getLogger(__name__)
INTERRUPTED = 130  # the shell's exit status after Ctrl-C


def _say(line: str, colour: str) -> None:
    """A line on standard error, in colour on a terminal unless NO_COLOR (no-color.org) is set."""
    click.secho(line, fg=colour, err=True, color=False if os.environ.get("NO_COLOR") else None)


def _way_on(options: dict[str, Any]) -> str:
    """The command after an interrupt: alone it would make again what the run has stored, trained models too, and with
    `training.fresh_start` forget the state that the interrupt has kept."""
    from fanogan_pipeline.hooks import MANIFEST_HOOKS

    changes = []
    if MANIFEST_HOOKS.has_written and not options["only_missing_outputs"]:
        changes.append("with --only-missing-outputs")
    if MANIFEST_HOOKS.starts_afresh:
        changes.append("without training.fresh_start")
    return f"the same command {' and '.join(changes)}".rstrip()


def _as_this_run(line: str, options: dict[str, Any]) -> str:
    """Commands that a line tells, with the configuration of the run: without it they would train other models."""
    from fanogan_pipeline.run_command import command, run_words

    places, stated = {"conf-source": options["conf_source"], "env": options["env"]}, masked(dotted(options["params"]))
    words = run_words(find_kedro_project(Path.cwd()) or Path.cwd())
    start = shlex.split(command({name: place for name, place in places.items() if place}, "", words))
    # What only a file can say came by one, whose name Kedro does not keep.
    again = command({"params": stated} if stated else {}, "...", start)
    return line.replace("'kedro run", f"'{again}")


run_as_kedro = cast(Callable[..., Any], kedro_run.callback)


@click.group(context_settings=CONTEXT_SETTINGS, name=__file__)
def cli() -> None:
    """Commands of this project."""


@cli.command(name="run", params=kedro_run.params, help=kedro_run.help, short_help="Run the pipeline.")
def run(**options: Any) -> Any:
    suit_the_reader()
    warnings.filterwarnings("ignore", message="Option '--pipeline' is deprecated")  # both forms are this project's
    try:
        return run_as_kedro(**options)
    except (KeyboardInterrupt, Exception) as error:
        # an interrupt may come out as an error of what was cleaned up after it
        if any(isinstance(one, KeyboardInterrupt) for one in causes(error)):
            _say(f"Interrupted; {_way_on(options)} goes on from where it stopped.", "yellow")
            sys.exit(INTERRUPTED)
        line = plain_line(error)
        if line is None:
            raise
        logger.debug("the run stopped\n%s", traceback.format_exc())
        _say(f"Error: {masked(_as_this_run(line, options))}", "red")
        sys.exit(1)
