"""Which module imports which, at whatever place in it."""

from __future__ import annotations

import ast
from graphlib import TopologicalSorter

import pytest
from tests.project import ROOT

PATHS = {
    ".".join(path.relative_to(ROOT / "src").with_suffix("").parts).removesuffix(".__init__"): path
    for path in (ROOT / "src").rglob("*.py")
}
# what the packages that know no Kedro may import of the project's others, and of the modules beside them
MAY_IMPORT = {
    "networks": {"errors"},
    "training": {"networks", "parameters", "errors", "evenly"},
    "detection": {"networks", "preprocessing", "errors", "images", "evenly"},
    "figures": {"errors"},
    "preprocessing": {"parameters", "errors", "images", "in_order", "lazy"},
    "benchmark": {"training", "detection", "networks", "preprocessing", "parameters", "errors", "images"},
    "compute": {"benchmark", "training", "detection", "networks", "preprocessing", "datasets", "parameters"}
    | {"errors", "images", "log", "own_code"},
}


def imported(text: str) -> set[str]:
    """The modules that a source text imports, those that are only there for type hints too."""
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found |= {one.name for one in node.names}
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{one.name}" for one in node.names]
            found |= {name if name in PATHS else str(node.module) for name in names}
    return found


IMPORTS = {name: imported(path.read_text()) for name, path in PATHS.items()}


def test_no_modules_import_each_other_in_a_circle():
    assert len(IMPORTS) > 100
    TopologicalSorter(IMPORTS).prepare()


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_arrows_run_one_way_and_none_to_kedro(package):
    whole = f"fanogan_pipeline.{package}"
    found = set().union(*(IMPORTS[name] for name in PATHS if f"{name}.".startswith(f"{whole}.")))
    others = {name.split(".")[1] for name in found if name.startswith("fanogan_pipeline.")} - {package}
    assert others <= MAY_IMPORT[package]
    assert not [name for name in found if name.split(".")[0] == "kedro"]
