"""Parts that many tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.project import copy_project, kedro


@pytest.fixture(scope="session")
def smoke_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project after `kedro run --env smoke`. Shared: read it, and write only what is new.

    While tests are being written, KEPT_SMOKE_PROJECT may name one that was made before.
    """
    if kept := os.environ.get("KEPT_SMOKE_PROJECT"):
        return Path(kept)
    project = copy_project(tmp_path_factory.mktemp("smoke") / "project")
    done = kedro(project, "run", "--env", "smoke")
    (project / "run.log").write_text(done.stdout + done.stderr)
    return project
