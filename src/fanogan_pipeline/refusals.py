"""One line for the user out of a chain of errors, this project's own or Kedro's."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from pathlib import Path

import click
from kedro.config import MissingConfigException
from kedro.framework.project import pipelines, settings
from kedro.io import DatasetError, DatasetNotFoundError
from kedro.utils import find_kedro_project
from kedro.validation.exceptions import DataValidationError
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import MarkedYAMLError, YAMLError

from fanogan_pipeline.errors import PlainError
from fanogan_pipeline.parameters import did_you_mean

# Kedro's errors about what the user has written, whose text alone says enough.
_SPEAKING = (DatasetError, MissingConfigException, OmegaConfBaseException, YAMLError)
_SPEAKING_VALUES = ("Pipeline ", "Duplicate keys found")
# What comes of a file of configuration that holds a list or a single word.
_NO_MAPPING = re.compile("object has no attribute 'items'|Invalid loaded object type|ListConfig does not support")
_NO_PIPELINE = re.compile(r"An error occurred while importing the '\w+\.pipelines\.(.*)' module")
_RUNNERS = ["SequentialRunner", "ThreadRunner"]  # those that foresight.py lets run
# What systems refuse: the others, as of a file that is not there, may be mistakes of this project's.
_FULL, _CLOSED = {errno.ENOSPC, errno.EDQUOT}, {errno.EACCES, errno.EPERM, errno.EROFS}
_MEMORY = re.compile("out of memory|can't allocate memory|not enough memory")


def plain_line(error: BaseException | None) -> str | None:
    """What is wrong, on one line, where it is something that the user can mend; else None.

    A broken promise of a dataset (`validator:`) gets its dataset's name in front.
    """
    chain = list(causes(error))
    plain = next((one for one in chain if isinstance(one, PlainError)), None)
    if plain is not None:
        broken = next((one for one in chain if isinstance(one, DataValidationError)), None)
        text = "; ".join([str(plain), *getattr(plain, "__notes__", [])])
        return _joined(f"{broken.dataset_name} (on {broken.mode}): {text}" if broken else text)
    return next((line for one in chain if (line := _from_kedro(one) or _of_disk(one) or _of_memory(one))), None)


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error, what it came from, and so on back."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _from_kedro(error: BaseException) -> str | None:
    text = str(error)
    if found := _NO_PIPELINE.match(text):
        if error.__cause__:  # it is there and cannot be imported: no mistake of the user's
            return None
        pipelines.set_requested(None)
        return f"--pipelines: found '{found[1]}', no such pipeline; {did_you_mean(found[1], list(pipelines))}"
    if (runner := _runner()) and _is_not_there(runner, error):
        return f"--runner: found '{runner}', no such runner; {did_you_mean(runner, _RUNNERS)}"
    if isinstance(error, DatasetNotFoundError) and (found := re.search(r"'load_versions' keys \[(.*?)\]", text)):
        return f"--load-versions: found '{found[1]}', no such dataset; 'kedro catalog describe-datasets' lists them"
    if isinstance(error, MissingConfigException) and (found := re.search(r"directory: (.+?)(?:\. Error: .*)?$", text)):
        folder = Path(found[1])
        if folder.name == settings.CONFIG_LOADER_ARGS["base_env"]:
            return f"no configuration at {folder.parent}; name its folder with --conf-source"
        known = sorted(path.name for path in folder.parent.glob("*/"))  # none where it lies in an archive
        hint = f"; {did_you_mean(folder.name, known)}" if known else ""
        return f"--env: found '{folder.name}', but {folder} is not there{hint}"
    if (isinstance(error, YAMLError) or _NO_MAPPING.search(text)) and (line := _broken_yaml()):
        return line
    is_speaking = isinstance(error, _SPEAKING) or (type(error) is ValueError and text.startswith(_SPEAKING_VALUES))
    return _joined(text) if is_speaking else None


def _runner() -> str:
    """What `--runner` says; "" without a command."""
    context = click.get_current_context(silent=True)
    return (context.params.get("runner") if context else None) or ""


def _is_not_there(runner: str, error: BaseException) -> bool:
    """Whether it is what importing a runner ended in; one that is there and cannot import others is no such mistake."""
    module, _, name = runner.rpartition(".")
    if isinstance(error, ModuleNotFoundError):
        return f"{module}.".startswith(f"{error.name}.")
    return str(error).startswith(f"module '{module or 'kedro.runner'}' has no attribute '{name}'")


def _of_disk(error: BaseException) -> str | None:
    if isinstance(error, OSError) and (error.errno in _FULL or (error.filename and error.errno in _CLOSED)):
        place = f"{error.filename}: " if error.filename else ""
        return f"{place}{error.strerror}; check the permissions and the space left"
    return None


def _of_memory(error: BaseException) -> str | None:
    if isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and _MEMORY.search(str(error))):
        what = _joined(str(error))[:160] or "no more could be had"
        return (
            f"out of memory ({what}); lower the batch_size of wgan, encoder or scoring, data_prep.image_size, or "
            "data_prep.max_train or tiling.max_train_tiles, for the whole train_set lies on the device that trains; "
            "for new pictures, inference.shard_size; for the benchmark, compute.workers"
        )
    return None


def _broken_yaml() -> str | None:
    """The first configuration file that cannot be read; Kedro does not always name it."""
    project = find_kedro_project(Path.cwd()) or Path.cwd()
    for path in sorted(project.glob("conf/**/*.yml")):
        try:
            is_good = OmegaConf.is_dict(OmegaConf.load(path))
        except MarkedYAMLError as error:
            line = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
            return _joined(f"{path}: {line}not YAML ({error.problem or error}); correct it there or just above")
        except OSError as error:  # of OmegaConf's own, without a number, where a single value stands
            is_good = error.errno is not None
        if not is_good:
            return f"{path}: found a list or a single value, expected names, each with a colon and its value"
    return None


def _joined(text: str) -> str:
    return " ".join(text.split())
