"""Kedro-Viz shows the stages, their order and what a person would look at."""

from __future__ import annotations

import base64
import functools
import http.server
import io
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from tests.browser import Page, find_chromium, open_page
from tests.project import kedro

LAYERS = ["raw", "intermediate", "model_input", "models", "model_output", "reporting"]
STAGES = {"data_prep", "wgan", "encoder", "scoring", "reporting"}
UNSEEN = {"training_states", "tensorboard"}  # folders of other programs' files


@pytest.fixture(scope="module")
def site(smoke_project: Path) -> Path:
    kedro(smoke_project, "viz", "build", "--include-previews")
    return smoke_project / "build"


def read(site: Path, path: str) -> Any:
    return json.loads((site / "api" / path).read_text())


@pytest.fixture(scope="module")
def nodes(site: Path) -> dict[str, dict[str, Any]]:
    """Name -> what the site knows of it, of the whole job."""
    found = [node for node in read(site, "main")["nodes"] if "__default__" in node["pipelines"]]
    known = [node for node in found if node["type"] != "modularPipeline"]
    return {node["name"]: {**read(site, f"nodes/{node['id']}"), **node} for node in known}


def test_layers_run_from_raw_to_reporting(site: Path) -> None:
    assert read(site, "main")["layers"] == LAYERS


def test_every_dataset_has_its_layer(nodes: dict) -> None:
    data = {name: node["layer"] for name, node in nodes.items() if node["type"] == "data"}
    assert [name for name, layer in data.items() if layer not in LAYERS] == []
    assert data["raw_images"] == "raw"
    assert data["test_set"] == "model_input"
    assert data["wgan_model"] == "models"
    assert data["test_scores"] == "model_output"
    assert data["report"] == "reporting"


def test_every_dataset_of_every_pipeline_has_a_layer(site: Path) -> None:
    pages = [json.loads(path.read_text()) for path in (site / "api/pipelines").iterdir()]
    data = {node["name"]: node.get("layer") for page in pages for node in page["nodes"] if node["type"] == "data"}
    assert {"new_images", "new_scores", "benchmark_table", "onnx_detector"} <= set(data)
    assert [name for name, layer in data.items() if layer not in LAYERS] == []


def test_every_stage_is_a_modular_pipeline(site: Path, nodes: dict) -> None:
    assert set(read(site, "main")["modular_pipelines"]) >= STAGES
    assert nodes["train_wgan"]["modular_pipelines"] == ["wgan"]
    assert nodes["write_report"]["modular_pipelines"] == ["reporting"]


def test_every_stored_dataset_has_a_preview(nodes: dict) -> None:
    stored = {
        name: node
        for name, node in nodes.items()
        if node["type"] == "data" and node["dataset_type"] != "io.memory_dataset.MemoryDataset"
    }
    assert {name for name, node in stored.items() if not node["preview"]} == UNSEEN


def test_previews_show_the_data(nodes: dict) -> None:
    for name in ("raw_images", "train_set", "residual_maps", "roc_curve"):
        picture = Image.open(io.BytesIO(base64.b64decode(nodes[name]["preview"])))
        extremes = picture.convert("L").getextrema()
        assert extremes[0] < 64 < 192 < extremes[1], name
    table = nodes["test_scores"]["preview"]
    assert {"image_id", "score", "p_value", "is_flagged"} <= set(table["columns"])
    assert len(table["data"]) == 20
    model = json.loads(nodes["wgan_model"]["preview"])
    assert model["network"]["architecture"]
    assert model["weights"] > 1000
    assert model["parameters"]["steps"] == 12
    assert len(model["digest"]) == 64
    assert list(model)[:3] == ["kind", "network", "parameters"]
    assert model["geometry"]["image_size"] == [28, 28]
    assert 0 <= json.loads(nodes["metrics"]["preview"])["auroc"] <= 1
    assert "<html" in nodes["report"]["preview"]


def test_training_nodes_show_the_networks(nodes: dict) -> None:
    for name, parts in {"train_wgan": ("generator G", "critic D"), "train_encoder": ("encoder E", "kappa")}.items():
        preview = nodes[name]["preview"]
        assert preview["kind"] == "mermaid"
        assert all(part in preview["content"] for part in parts)


def test_a_run_does_not_warn_of_the_diagrams(smoke_project: Path) -> None:
    log = (smoke_project / "run.log").read_text()
    assert "train_wgan" in log
    assert "experimental" not in log
    assert "TracerWarning" not in log


@pytest.fixture
def page(site: Path, tmp_path: Path) -> Iterator[Page]:
    chromium = find_chromium()
    if chromium is None:
        pytest.skip("no Chromium on this machine: install it (apt-get install chromium) to see the site in a browser")
    handler = functools.partial(_Quiet, directory=str(site))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            with open_page(chromium, tmp_path / "profile", f"http://127.0.0.1:{server.server_port}/") as opened:
                yield opened
        finally:
            server.shutdown()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments: Any) -> None:
        pass


def click(page: Page, name: str) -> None:
    here = f"[...document.querySelectorAll('.pipeline-node')].find(node => node.textContent === '{name}')"
    page.wait_for(f"Boolean({here})")
    page.evaluate(f"{here}.dispatchEvent(new MouseEvent('click', {{bubbles: true}}))")


def test_a_click_on_a_dataset_shows_its_preview(page: Page) -> None:
    title = "document.querySelector('.pipeline-metadata__title')?.textContent"
    click(page, "test_scores")
    page.wait_for(f"{title} === 'test_scores'")
    assert "is_flagged" in page.wait_for("document.querySelector('.preview-table')?.textContent")
    click(page, "train_set")
    page.wait_for(f"{title} === 'train_set'")
    image = "document.querySelector('.pipeline-metadata__plot-image')"
    assert page.wait_for(f"{image}?.complete && {image}.naturalWidth") > 100
