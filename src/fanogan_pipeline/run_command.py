"""The command that repeats a run: its options, as words of a command line or as a file for `--config`."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

from kedro.pipeline import Pipeline
from kedro.utils import is_kedro_project
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

# Kedro's names of what narrows a run down, and the options that say it.
_FILTERS = {
    "tags": "tags",
    "node_names": "nodes",
    "from_nodes": "from-nodes",
    "to_nodes": "to-nodes",
    "from_inputs": "from-inputs",
    "to_outputs": "to-outputs",
    "namespaces": "namespaces",
}


def as_called(run_params: dict[str, Any], pipeline: Pipeline) -> dict[str, Any]:
    """What a run was called with; filters given as iterators, which Kedro has used up, as the nodes they left."""
    spent = [name for name in _FILTERS if isinstance(run_params.get(name), Iterator)]
    nodes = {"node_names": [node.name for node in pipeline.nodes]} if spent else {}
    names = sorted(run_params["pipeline_names"] or [])  # which come in another order from every process
    return {**run_params, **dict.fromkeys(spent), **nodes, "pipeline_names": names}


def run_options(
    run_params: dict[str, Any], stated: dict[str, Any], versions: dict[str, str], conf_source: str = ""
) -> dict[str, Any]:
    """What has to be said to `kedro run` to have a run again.

    Args:
        run_params: of Kedro's hooks.
        stated: parameters (dotted name -> value) that the configuration alone does not give.
        versions: dataset -> version that was read.
        conf_source: where the configuration lies; "" where Kedro finds it by itself.
    """
    options: dict[str, Any] = {"conf-source": conf_source, "env": run_params["env"]}
    options["pipelines"] = ",".join(run_params["pipeline_names"] or [])
    options |= {option: ",".join(run_params.get(name) or []) for name, option in _FILTERS.items()}
    runner = re.sub(r"^<?(kedro\.runner\.\w+\.)?| object at .*", "", str(run_params.get("runner")))
    options["runner"] = "" if runner in ("None", "SequentialRunner") else runner  # None: of a run started from Python
    options["params"] = stated
    options["load-versions"] = ",".join(f"{name}:{version}" for name, version in sorted(versions.items()))
    options["only-missing-outputs"] = run_params.get("only_missing_outputs", False)
    return {name: value for name, value in options.items() if value}


def command(options: dict[str, Any], manifest: str, start: Sequence[str] = ("kedro", "run")) -> str:
    """The one line that repeats a run; it names the manifest itself where an option cannot say a value.

    Args:
        options: of `run_options`.
        manifest: path of the manifest, which holds the options too.
        start: the words before the options.
    """
    words = [*start]
    for name, value in options.items():
        if name == "params":
            text = ",".join(f"{key}={_text(one)}" for key, one in value.items())
            if _as_read(text) != nested(value):
                return shlex.join([*start, "--config", manifest])
            value = text
        words += [f"--{name}"] if value is True else [f"--{name}", value]
    return shlex.join(words)


def run_words(project: Path) -> list[str]:
    """The words of a run: away from the source only the package's own command knows it."""
    return ["kedro", "run"] if is_kedro_project(project) else [Path(__file__).parent.name]


def as_config(options: dict[str, Any]) -> dict[str, Any]:
    """The options as `--config` reads them from a file, where they stand under the name of the command."""
    names = {option: name for name, option in _FILTERS.items()}
    names |= {option: option.replace("-", "_") for option in ("conf-source", "load-versions", "only-missing-outputs")}
    config = {names.get(option, option): value for option, value in options.items() if option != "params"}
    return config | ({"params": nested(options["params"])} if options.get("params") else {})


def differences(values: dict[str, Any], base: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Dotted name -> value of every parameter that the base does not have the same."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict) and isinstance(base.get(name), dict):
            found |= differences(value, base[name], f"{prefix}{name}.")
        elif name not in base or base[name] != value:
            found[f"{prefix}{name}"] = value
    return found


def nested(parameters: dict[str, Any]) -> dict[str, Any]:
    """Groups within groups, of parameters by their dotted names."""
    whole: dict[str, Any] = {}
    for name, value in parameters.items():
        *groups, last = name.split(".")
        place = whole
        for group in groups:
            place = place.setdefault(group, {})
        place[last] = value
    return whole


def _text(value: Any) -> str:
    """A value as `--params` reads it (YAML), where that can be said at all."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)


def _as_read(text: str) -> dict[str, Any] | None:
    """What Kedro makes of the text of `--params`: cut at every comma, outer blanks gone, YAML; None where it cannot."""
    try:
        found = OmegaConf.to_container(OmegaConf.from_dotlist([pair.strip() for pair in text.split(",")]))
    except (YAMLError, OmegaConfBaseException):
        return None
    return cast(dict[str, Any], found)
