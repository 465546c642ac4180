"""Listing pipelines and datasets loads none of the heavy libraries."""

from __future__ import annotations

import builtins
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from fanogan_pipeline.lazy import lazily

PROJECT = Path(__file__).resolve().parents[1]
HEAVY = ("torch", "matplotlib", "sklearn", "scipy", "tensorboard", "mlflow", "onnx", "sqlalchemy")

LISTING = f"""
import sys
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project
from kedro.framework.project import pipelines
bootstrap_project({str(PROJECT)!r})
print(sorted(pipelines))
with KedroSession.create({str(PROJECT)!r}) as session:
    print(session.load_context().catalog.describe_datasets())
print("LOADED", [name for name in {HEAVY!r} if name in sys.modules])
"""


def test_listing_pipelines_and_datasets_loads_nothing_heavy() -> None:
    done = subprocess.run([sys.executable, "-c", LISTING], capture_output=True, text=True, cwd=PROJECT, check=True)
    assert "wgan" in done.stdout
    assert "CheckpointDataset" in done.stdout
    assert "LOADED []" in done.stdout


def test_a_module_loads_when_it_is_first_used() -> None:
    name = "fanogan_pipeline.datasets.safetensors_format"
    loaded = sys.modules.pop(name, None)
    try:
        with lazily():
            from fanogan_pipeline.datasets import safetensors_format
        assert name not in sys.modules
        assert safetensors_format.KEY == "header"
        assert name in sys.modules
    finally:
        if loaded:
            sys.modules[name] = loaded


def test_imports_are_themselves_again_after_an_error() -> None:
    with pytest.raises(ZeroDivisionError), lazily():
        raise ZeroDivisionError
    from fanogan_pipeline import errors

    assert type(errors).__name__ == "module"
    assert errors is sys.modules["fanogan_pipeline.errors"]


def test_other_threads_import_as_ever() -> None:
    really_import, is_inside, may_leave = builtins.__import__, threading.Event(), threading.Event()
    found: list[object] = []

    def elsewhere() -> None:
        from fanogan_pipeline import errors

        found.append(errors)
        with lazily():
            is_inside.set()
            may_leave.wait(60)

    thread = threading.Thread(target=elsewhere)
    with lazily():
        thread.start()
        assert not is_inside.wait(0.05)  # one thread at a time
    may_leave.set()
    thread.join()
    assert found == [sys.modules["fanogan_pipeline.errors"]]
    assert builtins.__import__ is really_import


def test_a_name_that_is_not_there_says_so() -> None:
    with lazily():
        from fanogan_pipeline import no_such_module
    with pytest.raises(ImportError):
        no_such_module.anything  # noqa: B018
