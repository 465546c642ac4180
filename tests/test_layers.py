"""Which module imports which, at whatever place in it."""

from __future__ import annotations

import ast
from graphlib import TopologicalSorter

from tests.project import ROOT

PATHS = {
    ".".join(path.relative_to(ROOT / "src").with_suffix("").parts).removesuffix(".__init__"): path
    for path in (ROOT / "src").rglob("*.py")
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
