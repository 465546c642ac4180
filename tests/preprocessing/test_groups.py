"""Pictures of one patient, part or lot stay on one side of every split."""

import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from tests.parts import group

from fanogan_pipeline.errors import InputError
from fanogan_pipeline.images import ImageSource
from fanogan_pipeline.parameters import DataPrepParameters
from fanogan_pipeline.pipelines.data_prep import nodes
from fanogan_pipeline.preprocessing.groups import draw_groups, warn_of_share
from fanogan_pipeline.preprocessing.splits import split_images

BASE = Path(__file__).parents[2] / "conf/base/parameters_data_prep.yml"
PARAMETERS = DataPrepParameters(**yaml.safe_load(BASE.read_text())["data_prep"])


def table(part="", n_groups=40, bad=(3, 7)):
    rows = [
        {"image_id": f"{group}/{k}", "label": "bad" if group in bad and k == 0 else "1", "group": f"lot {group}"}
        for group in range(n_groups)
        for k in range(1 + group % 5)
    ]
    return pd.DataFrame(rows).assign(part=part, has_mask=False)


@pytest.mark.parametrize("seed", range(4))
def test_no_group_is_torn_and_that_of_an_anomaly_is_tested_whole(seed):
    split = split_images(table(), PARAMETERS, "", seed)
    assert (split.groupby("group")["split"].nunique() == 1).all()
    assert set(split.loc[split["group"].isin(["lot 3", "lot 7"]), "split"]) == {"test"}
    assert len(split) == len(table())


def test_what_shares_a_group_with_the_source_s_own_test_part_is_not_learnt_from(caplog):
    found = table(part="train")
    found.loc[found["group"].isin(["lot 4", "lot 9"]) & found["image_id"].str.endswith("/1"), "part"] = "test"
    with caplog.at_level(logging.WARNING):
        split = split_images(found, PARAMETERS, "", 0)
    assert (split.groupby("group")["split"].nunique() == 1).all()
    assert split.loc[split["split"] == "test", "image_id"].tolist() == ["4/1", "9/1"]
    assert "8 training images left out" in caplog.text


def test_pictures_without_a_group_stand_alone():
    found = table().assign(group="")
    split = split_images(found, PARAMETERS, "", 0)
    assert len(split) == len(found)
    normal = split[~split["is_anomaly"]]
    assert np.isclose((normal["split"] == "test").mean(), PARAMETERS.test_fraction, atol=0.02)


def of_sizes(*sizes, alone=0):
    groups = [f"lot {k}" for k, size in enumerate(sizes) for _ in range(size)] + [""] * alone
    names = [str(k) for k in range(len(groups))]
    return pd.DataFrame({"image_id": names, "label": "1", "part": "", "group": groups, "has_mask": False})


@pytest.mark.parametrize("seed", range(6))
def test_a_large_group_does_not_fill_a_small_side(seed, caplog):
    with caplog.at_level(logging.WARNING):
        split = split_images(of_sizes(100, alone=100), PARAMETERS, "", seed)
    assert split["split"].value_counts().to_dict() == {"train": 128, "test": 40, "selection": 16, "calibration": 16}
    assert not caplog.records


@pytest.mark.parametrize(("wanted", "expected"), [(0, {0}), (1, {3}), (2, {3}), (4, {3, 5}), (17, {17})])
def test_groups_of_at_most_twice_what_is_missing_are_drawn_or_else_the_smallest(wanted, expected):
    found = of_sizes(5, 9, 3)
    drawn = [found.loc[draw_groups(found, wanted, np.random.default_rng(seed)), "group"] for seed in range(12)]
    assert {len(groups) for groups in drawn} == expected
    assert all(len(groups) == found["group"].isin(groups).sum() for groups in drawn)


@pytest.mark.parametrize(("found", "is_told"), [(4, True), (5, False), (15, False), (16, True)])
def test_half_of_a_share_too_much_or_too_little_is_let_pass(found, is_told, caplog):
    warn_of_share("test", found, 10)
    assert ("for the test split, where its fraction asks for 10" in caplog.text) == is_told


@pytest.mark.parametrize("sizes", [(200,), (150, 50)])
def test_too_few_groups_are_named_where_images_are_not_what_is_missing(sizes):
    found = of_sizes(*sizes, alone=1).assign(part=["train"] * 200 + ["test"])
    said = f"the train split would get 0 images.*of which there are {len(sizes)}, the largest of {sizes[0]}; lower"
    with pytest.raises(InputError, match=said):
        split_images(found, PARAMETERS, "", 0)


def test_a_single_group_of_all_pictures_is_named_as_what_is_in_the_way():
    said = "0 of '1' outside the test split, and groups stay whole, of which there are 1, the largest of 80; .*group_by"
    with pytest.raises(InputError, match=said):
        split_images(of_sizes(80), PARAMETERS, "", 0)


@pytest.mark.parametrize("layout", ["folders", "own test part"])
def test_where_every_group_has_an_anomalous_or_a_test_image_that_is_named_as_what_is_in_the_way(layout):
    found = table(n_groups=30, bad=range(30))
    if layout == "own test part":
        found["part"] = np.where(found["label"] == "bad", "test", "train")
        found.loc[found["image_id"] == "1/1", "part"] = "test"  # a good one, so that none is drawn
    count = ((found["label"] == "1") & (found["part"] != "test")).sum()
    said = rf"0 of '1' outside the test split \({count} more are of groups that have an anomalous or a test image\); "
    with pytest.raises(InputError, match=said + "add groups without such images or correct group_by"):
        split_images(found, PARAMETERS, "", 0)


@pytest.mark.parametrize("seed", range(6))
def test_a_side_far_from_its_share_is_warned_of(seed, caplog):
    with caplog.at_level(logging.WARNING):
        split = split_images(of_sizes(70, 60, 50, 40), PARAMETERS, "", seed)
    assert (split.groupby("group")["split"].nunique() == 1).all()
    assert set(split["split"]) == {"train", "selection", "calibration", "test"}
    assert "images for the calibration split, where its fraction asks for" in caplog.text


def test_the_reference_protocol_refuses_groups_in_words():
    reference = PARAMETERS.model_copy(update={"protocol": "reference", "reference_count": 10})
    lone = table().assign(group="")
    assert len(split_images(lone.assign(label=["bad"] * 20 + ["1"] * (len(lone) - 20)), reference, "", 0)) == 50
    with pytest.raises(InputError, match=r"data_prep\.protocol: found reference, but raw_images has 40 groups"):
        split_images(table(), reference, "", 0)


def sets_of(source, parameters):
    plan = nodes.assign_splits(source, parameters, 0)
    geometry = nodes.fit_geometry(source, plan, parameters, 0)
    fitted = nodes.fit_images(source, plan, geometry, parameters, 0)
    return nodes.build_sets(source, nodes.settle_split(plan, fitted, parameters), fitted, geometry)[:4]


@pytest.mark.parametrize("tiling", [None, {"stride": [16, 16]}])
def test_every_set_carries_the_groups_of_its_pictures(tiling):
    found = table(part="train", n_groups=30)
    found.loc[found["group"].isin(["lot 2", "lot 5"]), "part"] = "test"
    found.loc[found["group"].isin(["lot 1", "lot 6"]), "group"] = ""
    pictures = np.random.default_rng(0).integers(0, 256, (len(found), 16, 40), np.uint8)
    parameters = group("data_prep", image_size=[16, 16], tiling=tiling)
    group_of = found.set_index("image_id")["group"]
    for image_set in sets_of(ImageSource(found, lambda row: pictures[row]), parameters):
        names = image_set.image_id if tiling is None else image_set.tiles.picture_id
        assert image_set.group.tolist() == group_of[names].tolist()
        assert image_set.take(np.array([1])).group.tolist() == [group_of[names[1]]]
    lone = sets_of(ImageSource(found.assign(group=""), lambda row: pictures[row]), parameters)
    assert [image_set.group for image_set in lone] == [None] * 4
