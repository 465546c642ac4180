"""`kedro run` that says what is wrong in one line; the traceback goes to the log."""

from __future__ import annotations

import logging
import sys
import traceback
import warnings
from typing import Any

import click
from kedro.framework.cli.project import run as kedro_run
from kedro.framework.cli.utils import CONTEXT_SETTINGS

from fanogan_pipeline.refusals import plain_line

logger = logging.getLogger(__name__)
INTERRUPTED = 130  # the shell's exit status after Ctrl-C


@click.group(context_settings=CONTEXT_SETTINGS, name=__file__)
def cli() -> None:
    """Commands of this project."""


@cli.command(name="run", params=kedro_run.params, help=kedro_run.help, short_help="Run the pipeline.")
def run(**options: Any) -> Any:
    warnings.filterwarnings("ignore", message="Option '--pipeline' is deprecated")  # both forms are this project's
    try:
        return kedro_run.callback(**options)
    except KeyboardInterrupt:
        click.secho("Interrupted; the same command goes on from where it stopped.", fg="yellow", err=True)
        sys.exit(INTERRUPTED)
    except Exception as error:
        line = plain_line(error)
        if line is None:
            raise
        logger.debug("the run stopped\n%s", traceback.format_exc())
        click.secho(f"Error: {line}", fg="red", err=True)
        sys.exit(1)
