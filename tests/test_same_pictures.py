"""Which changes in a folder of raw pictures count as other pictures, and that none of them kills a run."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from fsspec.implementations.local import LocalFileSystem
from tests.datasets.picture_files import put
from tests.in_process import Outcome, run_here
from tests.project import copy_project, newest

from fanogan_pipeline import own_code, provenance
from fanogan_pipeline.datasets import IdxImageDataset, ImageFolderDataset

ARGUMENTS = ("--env", "smoke", "--pipelines", "data_prep")
FRACTIONS = "data_prep.selection_fraction=0.2,data_prep.calibration_fraction=0.2"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project on a folder of pictures of the classes 1 and 2, before any run."""
    project = copy_project(tmp_path_factory.mktemp("pictures") / "project")
    names = [f"{label}/{number:02}.png" for label in "12" for number in range(16)]
    put(project / "data/01_raw/pictures", *names, size=(28, 28))
    read_with(project)
    return project


def read_with(project: Path, **options: Any) -> None:
    """Have the project read the folder with these options of `ImageFolderDataset`."""
    entry = {"type": "fanogan_pipeline.datasets.ImageFolderDataset", "filepath": "data/01_raw/pictures"}
    (project / "conf/smoke/catalog.yml").write_text(yaml.safe_dump({"raw_images": {**entry, **options}}))


def prepare(project: Path, *arguments: str) -> tuple[Outcome, dict[str, Any]]:
    """The outcome of a run of the data preparation, and the newest manifest."""
    done = run_here(project, *ARGUMENTS, "--params", FRACTIONS, *arguments)
    assert done.status == 0, done.output
    return done, json.loads(newest(project, "run_manifest.json").read_text())


def broken_link(folder: Path) -> Path:
    (folder / ".#notes.txt").symlink_to("user@host.1234:5678")
    return folder / ".#notes.txt"


def pipe(folder: Path) -> Path:
    os.mkfifo(folder / "pipe")
    return folder / "pipe"


def finder(folder: Path) -> Path:
    (folder / ".DS_Store").write_bytes(b"\0\0\0\1Bud1")
    return folder / ".DS_Store"


@pytest.mark.parametrize("add", [broken_link, pipe, finder])
def test_what_is_no_picture_changes_nothing_and_stops_nothing(add: Callable[[Path], Path], project: Path) -> None:
    before = prepare(project)[1]["read"]["raw_images"]
    added = add(project / "data/01_raw/pictures")
    try:
        assert prepare(project)[1]["read"]["raw_images"] == before
        assert prepare(project, "--only-missing-outputs")[1]["written"] == {}
    finally:
        added.unlink()


def test_pictures_that_are_gone_are_others(project: Path) -> None:
    prepare(project)
    folder = project / "data/01_raw/pictures"
    folder.rename(folder.with_name("elsewhere"))
    try:
        done = run_here(project, *ARGUMENTS, "--params", FRACTIONS, "--only-missing-outputs")
    finally:
        folder.with_name("elsewhere").rename(folder)
    assert done.status == 1
    assert "train_set is made again: raw_images is another" in " ".join(done.output.split())
    assert "pictures: found nothing, expected a folder of pictures" in done.line


def act_after_loading(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    load = ImageFolderDataset.load

    def load_and_act(self: ImageFolderDataset) -> Any:
        source = load(self)
        act()
        return source

    monkeypatch.setattr(ImageFolderDataset, "load", load_and_act)


def test_a_picture_that_comes_during_a_run_makes_others_in_the_next(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = project / "data/01_raw/pictures"
    try:
        with monkeypatch.context() as during:
            act_after_loading(during, lambda: put(folder, "2/late.png", size=(28, 28)))
            prepare(project)
        done, manifest = prepare(project, "--only-missing-outputs")
    finally:
        (folder / "2/late.png").unlink()
    assert "train_set is made again: raw_images is another" in " ".join(done.output.split())
    assert "train_set" in manifest["written"]


def test_code_that_is_edited_during_a_run_is_not_said_to_have_run(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = project / "src/fanogan_pipeline"
    monkeypatch.setattr(own_code, "__file__", str(package / "own_code.py"))
    edited = package / "networks/folding.py"
    before = edited.read_text()
    assert prepare(project)[1]["code"] == own_code.code_digest()
    with monkeypatch.context() as during:
        act_after_loading(during, lambda: edited.write_text(f"{before}# and more\n"))
        done, manifest = prepare(project)
    assert "the code has been edited since" in " ".join(done.output.split())
    assert manifest["code"] is None
    edited.write_text(before)  # what has run is not known for that
    assert "train_set is made again: the code has changed" in prepare(project, "--only-missing-outputs")[0].output


def test_pictures_that_a_run_makes_for_itself_are_the_same_in_the_next(project: Path) -> None:
    entry = {"type": "fanogan_pipeline.datasets.ExampleImageDataset", "filepath": "data/01_raw/example"}
    size = {"train": 12, "test": 2, "defective": 1, "sides": [48, 50]}
    (project / "conf/smoke/catalog.yml").write_text(yaml.safe_dump({"raw_images": {**entry, **size}}))
    try:
        assert prepare(project)[1]["read"]["raw_images"]["sha256"]
        assert prepare(project, "--only-missing-outputs")[1]["written"] == {}
    finally:
        read_with(project)


def test_a_sum_reads_several_files_at_a_time_and_is_that_of_one_after_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    names = [f"{number}.png" for number in range(6)]
    dataset = ImageFolderDataset(filepath=str(put(tmp_path, *names)))
    lines = [f"{hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()}  {name}\n" for name in names]
    facts = json.dumps(dataset.contents()[1], sort_keys=True)
    opened, pairs = LocalFileSystem.open, threading.Barrier(2, timeout=5)

    def open_two_at_once(self: LocalFileSystem, *arguments: Any, **more: Any) -> Any:
        pairs.wait()
        return opened(self, *arguments, **more)

    monkeypatch.setattr(LocalFileSystem, "open", open_two_at_once)
    monkeypatch.setattr(provenance, "_BATCH", 4)
    monkeypatch.setattr(provenance, "MANY", 6)
    with caplog.at_level(logging.INFO):
        found = provenance.sha256(dataset, None)
    assert found == hashlib.sha256("".join([*lines, facts]).encode()).hexdigest()
    assert caplog.messages == [f"{tmp_path}: reading 6 files for their sum"]


def test_one_more_picture_or_a_new_name_makes_others(tmp_path: Path) -> None:
    dataset = ImageFolderDataset(filepath=str(put(tmp_path, "a.png")))
    sums = [provenance.sha256(dataset, None)]
    (tmp_path / "a.png").rename(tmp_path / "b.png")
    sums.append(provenance.sha256(dataset, None))
    put(tmp_path, "b.png", "c.png")
    sums.append(provenance.sha256(dataset, None))
    assert len(set(sums)) == 3
    assert None not in sums


@pytest.mark.parametrize(
    "option",
    [
        {"layout": "classes"},
        {"on_error": "skip"},
        {"verify": "full"},
        {"group_by": {"pattern": "(.*).png"}},
        {"animated": "first_frame"},
        {"background": 255},
        {"sixteen_bit_maximum": 4095},
        {"float_maximum": 255.0},
        {"max_pixels": 1000},
    ],
    ids=lambda option: next(iter(option)),
)
def test_pictures_that_are_read_otherwise_are_others(option: dict[str, Any], project: Path) -> None:
    prepare(project)
    read_with(project, **option)
    try:
        done, manifest = prepare(project, "--only-missing-outputs")
    finally:
        read_with(project)
    assert "train_set is made again: raw_images is another" in " ".join(done.output.split())
    assert "train_set" in manifest["written"]


def test_the_number_of_threads_makes_no_others(tmp_path: Path) -> None:
    folder = str(put(tmp_path, "a.png"))
    sums = {provenance.sha256(ImageFolderDataset(filepath=folder, workers=workers), None) for workers in (1, 8)}
    assert len(sums) == 1


def test_a_link_that_is_skipped_makes_others_for_it_is_told_of(tmp_path: Path) -> None:
    dataset = ImageFolderDataset(filepath=str(put(tmp_path, "a.png")), on_error="skip")
    before = provenance.sha256(dataset, None)
    (tmp_path / "b.png").symlink_to("nowhere.png")
    assert provenance.sha256(dataset, None) not in (before, None)


def test_a_picture_that_cannot_be_read_leaves_no_sum(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset, whole = ImageFolderDataset(filepath=str(put(tmp_path, "a.png", "b.png"))), LocalFileSystem._open

    def refuse(self: LocalFileSystem, path: str, *arguments: Any, **more: Any) -> Any:
        if path.endswith("b.png"):
            raise PermissionError(13, "Permission denied", path)
        return whole(self, path, *arguments, **more)

    assert provenance.sha256(dataset, None) is not None
    monkeypatch.setattr(LocalFileSystem, "_open", refuse)
    assert provenance.sha256(dataset, None) is None


@pytest.mark.parametrize("kind", [ImageFolderDataset, IdxImageDataset])
def test_a_folder_that_is_gone_leaves_no_sum(kind: Any, tmp_path: Path) -> None:
    assert provenance.sha256(kind(filepath=str(tmp_path / "nowhere")), None) is None
