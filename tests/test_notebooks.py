"""The notebooks run from top to bottom, at smoke size, and are stored without outputs."""

from __future__ import annotations

from pathlib import Path

import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient
from PIL import Image
from tests.in_process import copy_of
from tests.project import ROOT, copy_project

from fanogan_pipeline.datasets import IdxImageDataset

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def execute(name: str, project: Path, monkeypatch: pytest.MonkeyPatch) -> dict[int, str]:
    """Cell -> what it showed as text; fails where a cell does."""
    monkeypatch.setenv("KEDRO_ENV", "smoke")
    monkeypatch.setenv("DO_NOT_TRACK", "1")
    monkeypatch.setenv("PYTHONPATH", str(project / "src"))
    notebook = nbformat.read(ROOT / "notebooks" / name, as_version=4)
    place = project / "notebooks"
    place.mkdir()
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(place)}}).execute()
    shown = {}
    for number, cell in enumerate(notebook.cells):
        outputs = [output for output in cell.get("outputs", []) if output["output_type"] == "execute_result"]
        shown[number] = " ".join(str(output["data"]) for output in outputs)
    return shown


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_outputs_are_stripped_and_paths_are_the_catalogs(path: Path) -> None:
    cells = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    assert len(cells) >= 5
    for cell in cells:
        assert cell.outputs == []
        assert cell.execution_count is None
        assert "data/" not in cell.source


def test_first_look(smoke_project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = " ".join(execute("01_first_look.ipynb", copy_of(smoke_project, tmp_path / "project"), monkeypatch).values())
    assert "promised_false_alarm_rate" in shown
    assert "share_flagged" in shown
    assert shown.count("image/png") == 2


def test_your_own_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = copy_project(tmp_path / "project")
    write_pictures(project / "data/01_raw/my_pictures", {"1": 600, "7": 60})
    (project / "conf/smoke/catalog.yml").write_text(
        "raw_images:\n  type: fanogan_pipeline.datasets.ImageFolderDataset\n  filepath: data/01_raw/my_pictures\n"
    )
    shown = " ".join(execute("02_your_own_images.ipynb", project, monkeypatch).values())
    assert shown.count("image/png") == 4
    assert "is_flagged" in shown


def write_pictures(folder: Path, counts: dict[str, int]) -> None:
    """MNIST's ones and sevens as PNG files in a folder for each."""
    source = IdxImageDataset(filepath=str(ROOT / "data/01_raw/mnist")).load()
    for label, count in counts.items():
        (folder / label).mkdir(parents=True)
        for row in np.flatnonzero(source.table["label"] == label)[:count]:
            Image.fromarray(source.read(int(row))).save(folder / label / f"{row}.png")
