"""The sum of this package's own code: results are filed under it, and nobody goes on with those of another's."""

from __future__ import annotations

import hashlib
import logging
import platform
from functools import cache
from pathlib import Path

from fanogan_pipeline.errors import InputError

logger = logging.getLogger(__name__)


def code_digest(*packages: str) -> str:
    """SHA-256 (hex) over the modules of these packages within this one, or over all of its modules.

    They count as they were when this process first asked, for it loads each once.
    """
    sha = hashlib.sha256()
    for name, one in _sums_as_loaded().items():
        if not packages or name.split("/")[0] in packages:
            sha.update(f"{one}  {name}\n".encode())
    return sha.hexdigest()


def code_that_ran() -> str | None:
    """`code_digest`, or None and a warning where a module has been edited since: what was loaded later is not of it."""
    if _module_sums() == _sums_as_loaded():
        return code_digest()
    logger.warning("the code has been edited since this process began to load it: no sum tells what made the results")
    return None


def expect_code(digest: str, *packages: str) -> None:
    """Refuse (InputError) to work for a process whose `code_digest` of these packages is another."""
    if digest != code_digest(*packages):
        raise InputError(
            f"a worker on {platform.node()} has other code of fanogan_pipeline than the run that it works for: its "
            "results would count as those of the run's; install the run's code there and start the workers again, or "
            "the run, where the code has been edited since it began"
        )


def _module_sums() -> dict[str, str]:
    """Module -> sum, sorted; what editors and notebooks keep beside them, in hidden files and folders, is none."""
    here = Path(__file__).parent
    paths = {path.relative_to(here).as_posix(): path for path in here.rglob("*.py")}
    modules = sorted(name for name in paths if not any(part.startswith(".") for part in name.split("/")))
    return {name: _sum(paths[name]) for name in modules}


_sums_as_loaded = cache(_module_sums)


def _sum(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:  # just being replaced
        return ""
