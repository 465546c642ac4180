"""Folders of unfinished work: what a living run holds stays, whatever other runs do; what a worker finds in one."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from kedro.io import DataCatalog
from tests.compute import scenes
from tests.compute.scenes import scene
from tests.damage import locks_of_nfs, no_file_above, no_locks
from tests.parts import group

from fanogan_pipeline import own_code
from fanogan_pipeline.compute import new_pictures, shards, terms
from fanogan_pipeline.compute.executors import threads
from fanogan_pipeline.compute.folders import MODELS, held
from fanogan_pipeline.datasets.staging import remove_unless_held
from fanogan_pipeline.detection.picture_maps import Pooling
from fanogan_pipeline.detection.refinement import Refinement
from fanogan_pipeline.detection.statistics import ResidualStatistics
from fanogan_pipeline.errors import InputError
from fanogan_pipeline.hooks import StateHooks
from fanogan_pipeline.parameters import ComputeParameters


def saved_terms(folder) -> pd.DataFrame:
    terms = pd.DataFrame({"image_residual": [0.5]})
    terms.attrs["parts"] = str(folder)
    return terms


def stored_in_order(folder, namespace: str = "") -> Iterator[str]:
    """The results of the pictures whose parts lie in the folder, each after a run has stored it."""
    hooks = StateHooks()
    hooks.before_pipeline_run(DataCatalog())
    results = {
        "new_terms": saved_terms(folder),
        "new_scores": None,
        "new_summary": {},
        "new_verdicts": None,
        "new_heatmaps": {},
    }
    results = {f"{namespace}{name}": data for name, data in results.items()}
    for name, data in results.items():
        hooks.after_dataset_saved(name, data)
        yield name


def test_parts_stay_while_another_run_is_at_the_same_pictures(tmp_path):
    with held(tmp_path, "inference", ["the", "same"]) as folder:
        (folder / "part-000000.parquet").write_bytes(b"finished")
        for name in stored_in_order(folder):
            assert (folder / "part-000000.parquet").exists(), name
    assert [folder.exists() for _ in stored_in_order(folder)] == [True, True, True, True, False]  # all come of them
    folder.mkdir()
    assert [folder.exists() for _ in stored_in_order(folder, "night.")] == [True, True, True, True, False]


def test_a_folder_that_another_run_has_removed_is_gone_and_no_more(tmp_path):
    remove_unless_held(tmp_path / "gone")


def test_a_folder_removed_before_it_is_locked_is_made_again_and_held(tmp_path, monkeypatch):
    lock, removed = fcntl.flock, []

    def overtaken(descriptor: int, how: int) -> None:
        if not removed:
            removed.extend(tmp_path.iterdir())
            shutil.rmtree(removed[0])
        lock(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", overtaken)
    with held(tmp_path, "inference", ["facts"]) as folder:
        assert removed == [folder]
        remove_unless_held(folder)
        assert folder.exists()


def test_a_folder_that_another_machine_is_at_stays(tmp_path, monkeypatch):
    locks_of_nfs(monkeypatch)
    with held(tmp_path, "inference", ["theirs"]) as theirs, held(tmp_path, "inference", ["ours"]) as ours:
        assert theirs.exists()
    remove_unless_held(ours)
    assert not ours.exists()


def test_a_folder_made_again_before_it_is_removed_is_another_runs(tmp_path, monkeypatch):
    flock, again = fcntl.flock, ExitStack()
    with held(tmp_path, "inference", ["facts"]) as folder:
        pass

    def overtaken(descriptor: int, how: int) -> None:
        if how & fcntl.LOCK_EX:
            shutil.rmtree(folder)
            again.enter_context(held(tmp_path, "inference", ["facts"]))
        flock(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", overtaken)
    with again:
        remove_unless_held(folder)
        assert folder.exists()


def test_the_last_folders_of_other_facts_stay_and_the_log_names_what_goes(tmp_path, caplog):
    folders = []
    for second, fact in enumerate("abc"):
        with held(tmp_path, "benchmark", [fact], most=5) as folder:
            folders.append(folder)
        os.utime(folder, (second, second))
    with caplog.at_level("INFO"), held(tmp_path, "benchmark", ["d"], most=2) as folder:
        assert set(tmp_path.iterdir()) == {folder, *folders[1:]}
    assert caplog.messages == [f"{folders[0]}: removed, 2 later ones kept"]


def test_a_folder_of_work_that_is_a_link_stays_and_so_does_what_it_leads_to(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    link = tmp_path / "inference-link"
    link.symlink_to(tmp_path / "elsewhere")
    remove_unless_held(link)
    assert link.is_symlink()
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_work_goes_on_where_the_file_system_knows_no_locks(tmp_path, monkeypatch):
    no_locks(monkeypatch)
    with held(tmp_path, "inference", ["other"]) as other, held(tmp_path, "inference", ["facts"]) as folder:
        assert folder.exists()
        assert other.exists()  # nothing tells whether its run lives


@pytest.mark.parametrize("tiled", [False, True])
def test_a_worker_finds_in_a_folder_all_that_terms_depend_on(tiled, tmp_path):
    some, restorer, models = scene(tiled, image_distance="absolute")
    searching = replace(restorer, refinement=Refinement("encoder", 2, 0.1))
    how = "cpu", 16, Pooling("top_share", 0.1, 2.0), True, searching.refinement
    terms.write(tmp_path, some, models)
    fitted = ResidualStatistics.from_checkpoint(models["residual_statistics"])
    here = terms.Terms(some.images, some.tiles, searching, fitted, terms.Settings(*how))
    elsewhere = terms.terms_from(str(tmp_path), terms.Settings(*how), slice(2, 5))
    pd.testing.assert_frame_equal(elsewhere, here(slice(2, 5)), rtol=1e-6)


def test_images_that_another_run_of_the_same_terms_has_removed_are_not_missed(tmp_path, monkeypatch):
    some, restorer, models = scene(False)
    table_of_parts = shards.table_of_parts

    def overtaken(cuts, compute, folder, executor):
        found = table_of_parts(cuts, compute, folder, executor)
        (folder.parent / "images.npy").unlink()
        return found

    monkeypatch.setattr(shards, "table_of_parts", overtaken)
    monkeypatch.setattr(terms, "cluster_of", lambda compute: threads(1))
    settings = terms.Settings("cpu", 16, Pooling("mean", 1.0, 1.0), False)
    compute = ComputeParameters(engine="dask", scheduler="", workers=1, shard_size=30)
    assert len(terms.measure(some, restorer, models, settings, compute, tmp_path)) == 60


def measured_terms(folder: Path) -> Callable[[], pd.DataFrame]:
    """The terms of a set by way of parts, as on a cluster."""
    some, restorer, models = scene(False)
    settings = terms.Settings("cpu", 16, Pooling("mean", 1.0, 1.0), False)
    compute = ComputeParameters(engine="dask", scheduler="", workers=1, shard_size=30)
    return lambda: terms.measure(some, restorer, models, settings, compute, folder)


def measured_pictures(folder: Path) -> Callable[[], pd.DataFrame]:
    """The terms of new pictures by way of parts."""
    source, detector = scenes.picture_folder(folder / "pictures", count=6, broken=-1), scenes.detector(False)
    settings = group("inference", shard_size=4, workers=1), group("compute", engine="local")
    return lambda: new_pictures.measure(source, *detector, *settings, folder)[0].drop(columns=["image_id", "reason"])


@pytest.mark.parametrize(
    ("work", "measured"), [(terms.Terms, measured_terms), (new_pictures.NewTerms, measured_pictures)]
)
def test_parts_that_other_code_has_left_do_not_count(work, measured, tmp_path, monkeypatch):
    monkeypatch.setattr(terms, "cluster_of", lambda compute: threads(1))
    measure = measured(tmp_path)
    before, compute = measure(), work.__call__

    def edited(self, pictures: slice) -> pd.DataFrame:
        found = compute(self, pictures)
        return found.assign(image_residual=found["image_residual"] + 1)

    monkeypatch.setattr(work, "__call__", edited)
    pd.testing.assert_frame_equal(measure(), before)  # where nothing says so, the parts of before count
    monkeypatch.setattr(own_code, "code_digest", lambda: "edited")
    pd.testing.assert_frame_equal(measure(), before.assign(image_residual=before["image_residual"] + 1))
    kind = "scoring" if work is terms.Terms else "inference"
    assert len(list(tmp_path.glob(f"{kind}-*"))) == 1  # the parts of before are gone


def test_a_part_that_the_disk_does_not_take_is_told_and_the_others_stay(tmp_path):
    rows = np.random.default_rng(0).random(1000)

    def compute(shard: slice) -> pd.DataFrame:
        return pd.DataFrame({"row": rows[shard]})

    said = pytest.raises(InputError, match="finished parts are kept")
    with no_file_above(4096), threads(1) as pool, said as caught:
        shards.table_of_parts([slice(0, 4), slice(4, 1000)], compute, tmp_path, pool)
    assert str(caught.value).startswith(f"{tmp_path}/part-000001.parquet: cannot be written (")
    assert os.strerror(errno.EFBIG) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["part-000000.parquet"]


@pytest.mark.parametrize("left", [0, 0.5, 0.99])
def test_a_damaged_part_is_computed_again_and_the_others_stay(left, tmp_path, caplog):
    rows, asked = np.random.default_rng(0).random(40), []

    def compute(shard: slice) -> pd.DataFrame:
        asked.append(shard)
        return pd.DataFrame({"row": rows[shard]})

    cuts, damaged = shards.cut(40, 10), tmp_path / "part-000002.parquet"
    with threads(1) as pool:
        whole = shards.table_of_parts(cuts, compute, tmp_path, pool)
        content = damaged.read_bytes()
        damaged.write_bytes(content[: int(left * len(content))])
        pd.testing.assert_frame_equal(shards.table_of_parts(cuts, compute, tmp_path, pool), whole)
    assert asked == [*cuts, cuts[2]]
    assert damaged.read_bytes() == content
    assert f"{damaged}: cannot be read (" in caplog.text


def test_a_folder_that_cannot_be_made_is_told_in_one_line(tmp_path):
    (tmp_path / "states").write_text("no folder")
    said = r"states/scoring-\w+: cannot be written \(Not a directory\)"
    with pytest.raises(InputError, match=said), held(tmp_path / "states", "scoring", []):
        pass


class StoppedError(Exception):
    pass


@pytest.fixture
def folder_of(tmp_path, monkeypatch) -> Callable[..., Path]:
    """The folder that `measure` would file parts in, given its arguments."""

    def stop(cuts, compute, folder: Path, *others) -> None:
        raise StoppedError(folder)

    def found(measure: Callable, **work) -> Path:
        with pytest.raises(StoppedError) as caught:
            measure(**work, place=tmp_path)
        return caught.value.args[0]

    monkeypatch.setattr(shards, "table_of_parts", stop)
    monkeypatch.setattr(terms, "cluster_of", lambda compute: threads(1))
    return found


@pytest.fixture(scope="module")
def work_on_a_set() -> dict:
    settings = terms.Settings("cpu", 16, Pooling("mean", 1.0, 1.0), False)
    compute = ComputeParameters(engine="dask", scheduler="", workers=1, shard_size=30)
    return dict(zip(("image_set", "restorer", "models"), scene(False), strict=True), settings=settings, compute=compute)


@pytest.mark.parametrize("change", ["pixel", "settings", "shard_size", "torch", *MODELS])
def test_other_images_settings_or_models_have_a_folder_of_their_own(change, work_on_a_set, folder_of, monkeypatch):
    other, one = dict(work_on_a_set), folder_of(terms.measure, **work_on_a_set)
    if change == "pixel":
        images = other["image_set"].images.copy()
        images[7, 0, 3, 3] += 1
        other["image_set"] = replace(other["image_set"], images=images)
    elif change == "settings":
        other["settings"] = replace(other["settings"], with_map=True)
    elif change == "shard_size":
        other["compute"] = other["compute"].model_copy(update={"shard_size": 31})
    elif change == "torch":
        monkeypatch.setattr(torch, "__version__", "other")
    else:
        model = other["models"][change]
        other["models"] = {**other["models"], change: replace(model, header={**model.header, "note": 1})}
    assert folder_of(terms.measure, **other) != one


@pytest.fixture(scope="module")
def work_on_pictures(tmp_path_factory) -> dict:
    source = scenes.picture_folder(tmp_path_factory.mktemp("new") / "pictures", count=6, broken=-1)
    work = dict(zip(("source", "detector", "models"), (source, *scenes.detector(False)), strict=True))
    return work | {"parameters": group("inference", shard_size=4), "compute": group("compute", engine="local")}


@pytest.mark.parametrize("change", ["name", "stamp", "shard_size", "detector", "torch"])
def test_other_pictures_or_another_detector_have_a_folder_of_their_own(
    change, work_on_pictures, folder_of, monkeypatch
):
    other, one = dict(work_on_pictures), folder_of(new_pictures.measure, **work_on_pictures)
    table = other["source"].table
    if change == "name":
        other["source"] = replace(other["source"], table=table.replace({"image_id": {table["image_id"][2]: "new"}}))
    elif change == "stamp":
        other["source"] = replace(other["source"], table=table.replace({"stamp": {table["stamp"][2]: "new"}}))
    elif change == "shard_size":
        other["parameters"] = group("inference", shard_size=3)
    elif change == "detector":
        judged = replace(other["detector"].detector, pixel_threshold=2.0)
        other["detector"] = replace(other["detector"], detector=judged)
    else:
        monkeypatch.setattr(torch, "__version__", "other")
    assert folder_of(new_pictures.measure, **other) != one


def test_pictures_of_which_nothing_tells_whether_they_have_changed_are_read_again(work_on_pictures, folder_of):
    source = work_on_pictures["source"]
    unstamped = {**work_on_pictures, "source": replace(source, table=source.table.drop(columns="stamp"))}
    assert folder_of(new_pictures.measure, **unstamped) != folder_of(new_pictures.measure, **unstamped)
    assert folder_of(new_pictures.measure, **work_on_pictures) == folder_of(new_pictures.measure, **work_on_pictures)


@pytest.mark.parametrize(("count", "size"), [(9, 4), (8, 4), (4, 4), (1, 4), (5, 1), (0, 4)])
def test_shards_cover_every_row_once_and_none_is_too_large(count, size):
    found = shards.cut(count, size)
    assert [row for shard in found for row in range(count)[shard]] == list(range(count))
    assert max(shard.stop - shard.start for shard in found) <= size
    assert len(found) == max(1, -(-count // size))
