"""The benchmark's cells over processes or a cluster: the same scores, and nothing done twice."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import sklearn
import torch
from tests.parts import group, mnist

from fanogan_pipeline.benchmark.cells import run_cell
from fanogan_pipeline.benchmark.shared import Settings
from fanogan_pipeline.compute import benchmark, shards
from fanogan_pipeline.compute.executors import threads
from fanogan_pipeline.compute.folders import held
from fanogan_pipeline.errors import InputError
from fanogan_pipeline.preprocessing.prepare import picture_sum

SEEDS = (0, 1)


@pytest.fixture(scope="module")
def pictures() -> tuple[np.ndarray, pd.DataFrame]:
    """Some hundred of MNIST's ones and sevens of either part."""
    table = mnist().table
    of_class = table[table["label"].isin(["1", "7"])].groupby("part").head(300)
    images = np.stack([mnist().read(int(row)) for row in of_class.index])[:, None]
    return images, of_class.reset_index(drop=True).assign(sha256=list(map(picture_sum, images)))


def settings() -> Settings:
    names = ("data_prep", "wgan", "encoder", "scoring", "training")
    groups = {name: group(name, "smoke") for name in names}
    return Settings(
        **groups, benchmark=group("benchmark", methods=["pca", "isolation_forest"]), device="cpu", precision="float32"
    )


def run(pictures, place, seeds=SEEDS, **compute) -> pd.DataFrame:
    cells = [("1", seed) for seed in seeds]
    found = benchmark.run_cells(*pictures, cells, settings(), group("compute", workers=2, **compute), place, "code")
    return found.drop(columns=["fit_seconds", "score_seconds"])


@pytest.fixture(scope="module")
def local(pictures, tmp_path_factory) -> tuple[pd.DataFrame, Path]:
    """The scores that processes of this machine give, and where their parts lie."""
    place = tmp_path_factory.mktemp("local")
    return run(pictures, place, engine="local"), place


def test_scores_are_the_same_whatever_the_engine(pictures, local, tmp_path):
    pytest.importorskip("distributed")
    pd.testing.assert_frame_equal(local[0], run(pictures, tmp_path, engine="dask"))
    assert set(local[0]["seed"]) == set(SEEDS)
    assert set(local[0]["method"]) == {"pca", "isolation_forest"}


def test_only_missing_cells_are_computed_again(pictures, local, tmp_path):
    place = shutil.copytree(local[1], tmp_path / "place")
    folder = next(place.glob("benchmark-*"))
    by_seed = {pd.read_parquet(part)["seed"][0]: part for part in (folder / "parts").glob("*.parquet")}
    spoil(by_seed[SEEDS[0]])
    by_seed[SEEDS[1]].unlink()
    again = run(pictures, place, engine="local")
    assert (again.loc[again["seed"] == SEEDS[0], "score"] == 0).all()
    ours, theirs = (found[found["seed"] == SEEDS[1]].reset_index(drop=True) for found in (local[0], again))
    pd.testing.assert_frame_equal(ours, theirs)


def spoil(part: Path) -> None:
    """Make a finished part one that tells itself from a part computed again."""
    pd.read_parquet(part).assign(score=0.0).to_parquet(part, index=False)


def test_another_seed_adds_to_the_cells_there_are(pictures, local, tmp_path):
    run(pictures, tmp_path, seeds=SEEDS[:1], engine="local")
    (folder,) = tmp_path.glob("benchmark-*")
    (part,) = (folder / "parts").glob("*.parquet")
    assert not list(folder.rglob("images.npy"))  # pictures are not kept twice
    spoil(part)
    both = run(pictures, tmp_path, engine="local")
    assert (both.loc[both["seed"] == SEEDS[0], "score"] == 0).all()
    ours, theirs = (found[found["seed"] == SEEDS[1]].reset_index(drop=True) for found in (local[0], both))
    pd.testing.assert_frame_equal(ours, theirs)


OTHERS = {
    "benchmark": {"classes": ["1"], "seeds": [5], "resamples": 7, "confidence": 0.5},
    "data_prep": {"normal_classes": ["7"], "workers": 1},
    "scoring": {"false_alarm_rate": 0.2, "pooling": "mean", "top_share": 0.5, "map_smoothing": 3.0, "residual_maps": 0},
    "training": {
        **{
            "processes": 2,
            "machines": 2,
            "rendezvous": "here:1",
            "restarts": 0,
            "threads": 3,
            "cuda_graph": False,
            "fresh_start": True,
        },
        **{"save_every_seconds": 0.0, "save_every_steps": 1, "keep_unfinished": 0},
        **{"log_every": 3, "on_failure": "warn"},
    },
}


def test_what_no_score_depends_on_leaves_finished_cells_as_they_are(pictures):
    """Every parameter of `WITHOUT_EFFECT_ON_CELLS`, changed: the same scores to the last bit."""
    assert {name: set(values) for name, values in OTHERS.items()} == benchmark.WITHOUT_EFFECT_ON_CELLS
    alone = {"benchmark": group("benchmark", methods=["f_anogan"]), "scoring": group("scoring", score="article")}
    ours = settings().model_copy(update=alone)
    parts = {name: getattr(ours, name).model_copy(update=values) for name, values in OTHERS.items()}
    theirs = ours.model_copy(update=parts)
    assert benchmark._what_counts(ours) == benchmark._what_counts(theirs)
    one, other = (run_cell(*pictures, "1", 0, each) for each in (ours, theirs))
    pd.testing.assert_series_equal(one["score"], other["score"], rtol=0, atol=0)


@pytest.mark.parametrize("change", ["settings", "code", "groups", "libraries"])
def test_other_settings_code_groups_or_libraries_start_afresh(pictures, local, tmp_path, monkeypatch, change):
    place = shutil.copytree(local[1], tmp_path / "place")
    before = set(place.glob("benchmark-*"))
    ours = with_methods("pca") if change == "settings" else settings()
    ours = ours.model_copy(update={"training": group("training", keep_unfinished=0)})
    code = "other code" if change == "code" else "code"
    monkeypatch.setattr(benchmark, "processes", threads)  # sooner there
    if change == "libraries":
        monkeypatch.setattr(sklearn, "__version__", "another")
    images, table = pictures
    if change == "groups":  # pictures that belong together are split otherwise
        table = table.assign(group=[f"{row // 2}" for row in range(len(table))])
    benchmark.run_cells(images, table, [("1", 0)], ours, group("compute", workers=1), place, code)
    after = set(place.glob("benchmark-*"))
    assert len(after - before) == 1
    assert (before <= after) == (change == "groups")  # other pictures' cells stay, those of other settings go


def with_methods(*methods: str) -> Settings:
    return settings().model_copy(update={"benchmark": group("benchmark", methods=list(methods))})


def test_neither_the_way_back_to_other_settings_nor_the_order_of_methods_costs_a_cell(pictures, tmp_path, monkeypatch):
    monkeypatch.setattr(benchmark, "processes", threads)  # sooner there
    work = group("compute", workers=1)

    def score(*methods: str) -> pd.Series:
        cells = benchmark.run_cells(*pictures, [("1", 0)], with_methods(*methods), work, tmp_path, "code")
        return cells.set_index("method")["score"]

    score("pca", "isolation_forest")
    (folder,) = tmp_path.glob("benchmark-*")
    spoil(next((folder / "parts").glob("*.parquet")))
    assert (score("pca") != 0).any()
    assert (score("isolation_forest", "pca") == 0).all()
    for name in ("one_class_svm", "nearest_neighbours", "relative_neighbours"):
        score(name)
    assert folder.exists()  # as it was used later than that of PCA alone
    assert len(list(tmp_path.glob("benchmark-*"))) == 1 + settings().training.keep_unfinished


@pytest.mark.parametrize(
    ("device", "wanted", "cells", "expected"),
    [("cpu", 0, 90, 8), ("cuda", 0, 90, 4), ("cuda", 6, 90, 6), ("cuda", 0, 3, 3), ("cpu", 0, 0, 1)],
)
def test_cells_are_spread_over_the_cores_and_a_gpu_has_four_processes(device, wanted, cells, expected, monkeypatch):
    monkeypatch.setattr(benchmark.joblib, "cpu_count", lambda: 8)
    monkeypatch.setattr(benchmark, "processes", lambda count: count)
    ours = settings().model_copy(update={"device": device})
    assert benchmark._own_processes(group("compute", workers=wanted), ours, cells) == expected


def test_a_cell_computes_in_full_float32_on_a_gpu_too(pictures, tmp_path, monkeypatch):
    seen = []
    score = lambda *cell: seen.append(torch.backends.cudnn.allow_tf32) or pd.DataFrame({"score": [0.0]})  # noqa: E731
    monkeypatch.setattr(benchmark, "run_cell", score)
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)  # as a new process has it
    benchmark._write(tmp_path, *pictures)
    benchmark.cells_from(str(tmp_path), settings(), [("1", 0)], slice(0, 1))
    assert seen == [False]


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has GPUs")
def test_a_worker_without_the_gpu_that_is_asked_for_says_so(pictures, tmp_path):
    ours = settings().model_copy(update={"device": "cuda"})
    benchmark._write(tmp_path, *pictures)
    with pytest.raises(InputError, match="device: found 'cuda', but PyTorch sees no GPU on"):
        benchmark.cells_from(str(tmp_path), ours, [("1", 0)], slice(0, 1))


class StoppedError(Exception):
    pass


@pytest.fixture
def filed(pictures, tmp_path, monkeypatch):
    """The folder that cells' parts would lie in and the names they would have there, in the cells' order."""

    def stop(cuts, compute, folder, executor, tell, names) -> None:
        raise StoppedError(folder, names)

    def found(table: pd.DataFrame, *cells: tuple[str, int]) -> tuple[Path, list[str]]:
        with pytest.raises(StoppedError) as caught:
            benchmark.run_cells(pictures[0], table, cells, settings(), group("compute", workers=1), tmp_path, "code")
        return caught.value.args

    monkeypatch.setattr(shards, "table_of_parts", stop)
    return found


def test_a_cell_keeps_its_part_whatever_cells_are_before_it(pictures, filed, tmp_path):
    folder, (one,) = filed(pictures[1], ("1", 0))
    assert not list(tmp_path.rglob("images.npy"))  # nor does a run that stopped keep pictures twice
    again, several = filed(pictures[1], ("1", 1), ("7", 0), ("1", 0))
    assert again == folder
    assert several[2] == one
    assert len(set(several)) == 3


def test_pictures_of_a_killed_run_go_with_the_next_run_on_them_and_those_of_a_living_one_stay(
    pictures, filed, tmp_path
):
    folder, _ = filed(pictures[1], ("1", 0))
    killed = folder.parent.with_name(f"{folder.parent.name[:-1]}x") / "pictures-1"
    killed.mkdir(parents=True)
    (killed / "images.npy").touch()
    with held(killed.parent, "pictures", "of a living run") as living:
        filed(pictures[1], ("1", 0))
        assert living.exists()
    assert killed.parent.exists()
    assert not killed.exists()


@pytest.mark.parametrize("column", ["image_id", "label", "part", "group", "sha256"])
def test_cells_of_other_pictures_lie_elsewhere(pictures, filed, column):
    table = pictures[1].copy()
    table.loc[5, column] = "other"
    assert filed(table, ("1", 0))[0] != filed(pictures[1], ("1", 0))[0]
