"""Kedro's settings of the project."""

from fanogan_pipeline.hooks import HOOKS as PROJECT_HOOKS

HOOKS = PROJECT_HOOKS
DISABLE_HOOKS_FOR_PLUGINS = ("kedro-telemetry",)  # no usage data is sent to anyone
CONFIG_LOADER_ARGS = {
    "base_env": "base",
    "default_run_env": "local",
    # a nested override of a parameter keeps its siblings; a catalog entry is replaced whole, arguments differ by type
    "merge_strategy": {"parameters": "soft"},
}
