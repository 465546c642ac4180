"""`python -m fanogan_pipeline` and the console script of the packaged project."""

import os
import sys
from pathlib import Path
from typing import Any

from kedro.framework.cli.utils import find_run_command
from kedro.framework.project import configure_project

from fanogan_pipeline.log import quieten_the_package


def main(*args: Any, **kwargs: Any) -> Any:
    """`kedro run` of the packaged project."""
    package_name = Path(__file__).parent.name
    configure_project(package_name)
    if "KEDRO_LOGGING_CONFIG" not in os.environ:
        quieten_the_package()
    interactive = hasattr(sys, "ps1")
    kwargs["standalone_mode"] = not interactive
    return find_run_command(package_name)(*args, **kwargs)


if __name__ == "__main__":
    main()
