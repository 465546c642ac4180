"""Which image is on which side."""

import hashlib
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from tests.parts import group, mnist

from fanogan_pipeline.detection.scoring import calibrate
from fanogan_pipeline.errors import InputError
from fanogan_pipeline.pipelines.data_prep.nodes import settle_split
from fanogan_pipeline.preprocessing.copies import settle_duplicates
from fanogan_pipeline.preprocessing.geometry import Geometry
from fanogan_pipeline.preprocessing.levelling import Levelling
from fanogan_pipeline.preprocessing.splits import SPLITS, expect_unchanged, split_digest, split_images
from fanogan_pipeline.preprocessing.tiling import Tiling


def source_table(labels: list[str], parts: list[str] | None = None, groups: list[str] | None = None) -> pd.DataFrame:
    count = len(labels)
    columns = {"image_id": [f"p{k}" for k in range(count)], "label": labels, "part": parts or [""] * count}
    return pd.DataFrame({**columns, "group": groups or [""] * count, "has_mask": [False] * count})


def sides(split: pd.DataFrame) -> dict[str, list[int]]:
    return {name: split.index[split["split"] == name].tolist() for name in SPLITS}


def test_the_reference_protocol_takes_images_in_their_order_to_the_letter():
    table = mnist().table
    found = sides(split_images(table, group("data_prep", "reference"), "", seed=0))
    order = np.argsort((table["part"] == "test").to_numpy(), kind="stable")  # train, then test
    is_one = (table["label"] == "1").to_numpy()[order]
    ones, others = order[is_one], order[~is_one]
    assert found["train"] == ones[:1000].tolist()
    assert sorted(found["test"]) == sorted([*ones[1000:2000], *others[:1000]])
    assert found["calibration"] == ones[2000:3000].tolist()
    assert found["selection"] == ones[3000:4000].tolist()


def test_the_reference_protocol_takes_the_training_part_before_the_test_part_that_is_listed_first():
    labels, parts = (["1"] * 25 + ["7"] * 12) * 2, ["test"] * 37 + ["train"] * 37
    found = sides(split_images(source_table(labels, parts), group("data_prep", "reference", reference_count=10), "", 0))
    assert found["train"] == [*range(37, 47)]
    assert found["test"] == [*range(47, 57), *range(62, 72)]
    assert found["calibration"] == [*range(57, 62), *range(5)]
    assert found["selection"] == [*range(5, 15)]


@pytest.mark.parametrize(("normal", "other"), [(39, 10), (40, 9)])
def test_the_reference_protocol_refuses_fewer_images_than_its_count_takes(normal, other):
    parameters = group("data_prep", "reference", reference_count=10)
    split_images(source_table(["1"] * 40 + ["7"] * 10), parameters, "", 0)
    said = f"found 10, but raw_images has {normal} normal and {other} other images, expected at least 40 and 10; lower"
    with pytest.raises(InputError, match=said):
        split_images(source_table(["1"] * normal + ["7"] * other), parameters, "", 0)


def test_pictures_that_come_or_go_while_a_run_reads_them_are_noticed():
    table = source_table(["good"] * 60)
    plan = split_images(table, group("data_prep", normal_classes=["good"]), "", seed=0)
    rows = plan.index.to_numpy()
    expect_unchanged(table, rows, plan["image_id"])
    newer = source_table(["good"] * 61).assign(image_id=["a", *table["image_id"]])  # sorts first: all rows move
    for other in (newer, table[:40]):
        with pytest.raises(InputError, match="raw_images: found other pictures than when this run began"):
            expect_unchanged(other, rows, plan["image_id"])


def test_the_smallest_share_for_testing_is_a_normal_image():
    """Without one nothing could be said of false alarms, nor of ranking."""
    parameters = group("data_prep", normal_classes=["good"], test_fraction=0.01)
    split = split_images(source_table(["good"] * 45 + ["bad"] * 5), parameters, "", seed=0)
    assert split.loc[split["split"] == "test", "is_anomaly"].value_counts().to_dict() == {True: 5, False: 1}


def test_the_official_protocol_tests_on_all_official_test_images():
    table, parameters = mnist().table, group("data_prep")
    split = split_images(table, parameters, "", seed=0)
    found = sides(split)
    assert sorted(found["test"]) == table.index[table["part"] == "test"].tolist()
    learnt = [*found["train"], *found["selection"], *found["calibration"]]
    assert sorted(learnt) == table.index[(table["part"] == "train") & (table["label"] == "1")].tolist()
    for name in ("selection", "calibration"):
        assert abs(len(found[name]) / len(learnt) - getattr(parameters, f"{name}_fraction")) < 0.001
    assert not split.loc[split["split"] != "test", "is_anomaly"].any()
    assert sides(split_images(table, parameters, "", seed=0)) == found
    assert sides(split_images(table, parameters, "", seed=1)) != found


def test_sources_without_a_test_part_keep_some_normal_images_and_all_others_to_test():
    table = source_table(["good"] * 100 + ["hole"] * 7)
    found = sides(split_images(table, group("data_prep", normal_classes=["good"]), "", seed=3))
    assert set(range(100, 107)) <= set(found["test"])
    assert len(found["test"]) == 7 + 20
    assert sorted(row for rows in found.values() for row in rows) == list(range(107))


def test_a_test_part_of_defects_alone_is_given_normal_images():
    table = source_table(["good"] * 100 + ["hole"] * 7, ["train"] * 100 + ["test"] * 7)
    found = sides(split_images(table, group("data_prep"), "good", seed=3))
    assert set(range(100, 107)) <= set(found["test"])
    assert len(found["test"]) == 7 + 20
    assert sorted(row for rows in found.values() for row in rows) == list(range(107))


@pytest.mark.parametrize(("seed", "selection", "digest"), [
    (0, [27, 36, 72, 76, 101, 107, 118, 125, 126, 134, 149, 153, 160, 164, 190, 192], "15467695befcc920"),
    (1, [1, 11, 15, 24, 59, 61, 67, 69, 80, 83, 88, 94, 147, 163, 166, 185], "97d39e0901e5559e"),
])  # fmt: skip
def test_without_groups_a_seed_draws_the_rows_that_it_always_has(seed, selection, digest):
    table = source_table(["good"] * 200 + ["hole"] * 9)
    found = sides(split_images(table, group("data_prep", normal_classes=["good"]), "", seed))
    assert found["selection"] == selection
    assert hashlib.sha256(repr(found).encode()).hexdigest()[:16] == digest


def test_a_group_stays_on_one_side():
    groups = [f"patient {k // 5}" for k in range(200)]
    split = split_images(
        source_table(["good"] * 200, groups=groups), group("data_prep", normal_classes=["good"]), "", 0
    )
    assert (split.groupby("group")["split"].nunique() == 1).all()
    assert set(split["split"]) == set(SPLITS)


def test_the_source_s_own_normal_label_serves_where_no_class_is_named():
    table = source_table(["good"] * 50 + ["hole"] * 5, ["train"] * 40 + ["test"] * 15)
    split = split_images(table, group("data_prep"), "good", 0)
    assert split["is_anomaly"].sum() == 5


@pytest.mark.parametrize(
    ("classes", "normal"),
    [(["1"], {"good"}), (["good"], {"good"}), (["1", "good"], {"1", "good"}), (["2"], {"2"}), (["1", "2"], {"1", "2"})],
)
def test_a_defect_that_has_a_class_s_name_is_no_normal_class_for_that(classes, normal):
    table = source_table(
        ["good"] * 50 + ["2"] * 40 + ["1"] * 5, ["train"] * 40 + ["test"] * 10 + ["train"] * 30 + ["test"] * 15
    )
    split = split_images(table, group("data_prep", normal_classes=classes), "good", 0)
    assert set(split.loc[~split["is_anomaly"], "label"]) == normal


def test_a_class_that_does_not_exist_is_named_with_those_that_do():
    with pytest.raises(InputError, match=r"data_prep\.normal_classes: found 'godo'.*did you mean 'good'"):
        split_images(source_table(["good"] * 20), group("data_prep", normal_classes=["godo"]), "", 0)
    with pytest.raises(InputError, match=r"found '1', .*; write '01' in quotes, for without them it is a number$"):
        split_images(source_table(["01"] * 20 + ["02"] * 20), group("data_prep", normal_classes=[1]), "", 0)


def test_folders_that_may_be_no_classes_are_told_of_the_flat_layout():
    days = source_table(["monday"] * 20 + ["tuesday"] * 20)
    with pytest.raises(
        InputError, match=r"monday, tuesday \(set layout: flat in the catalog's entry if all are good\)"
    ):
        split_images(days, group("data_prep"), "", 0)
    with pytest.raises(InputError, match=r"known are: 2, 3$"):  # a source with parts of its own has no layout
        split_images(source_table(["2", "3"], ["train", "test"]), group("data_prep"), "", 0)


def test_too_few_images_for_a_split_are_refused():
    with pytest.raises(InputError, match=r"the (selection|calibration|train) split would get \d images"):
        split_images(source_table(["good"] * 6), group("data_prep", normal_classes=["good"]), "", 0)
    there = r"there are 0 of 'cat', 1 of 'good' outside the test split; add images, .* the classes that are normal$"
    table = source_table(["good"] * 6 + ["cat"] * 9, ["train"] + ["test"] * 14)
    with pytest.raises(InputError, match=there):
        split_images(table, group("data_prep", normal_classes=["good", "cat"]), "", 0)
    with pytest.raises(InputError, match=r"data_prep\.reference_count: found 1000"):
        split_images(source_table(["1"] * 100), group("data_prep", "reference"), "", 0)


@pytest.mark.parametrize("policy", ["drop", "refuse"])
def test_a_copy_on_another_side_is_dropped_or_refused(policy):
    split = split_of(("a", "train", "1"), ("b", "train", "2"), ("c", "selection", "2"), ("d", "calibration", "3"),
                     ("e", "test", "3"), ("f", "train", "1"))  # fmt: skip
    if policy == "refuse":
        with pytest.raises(InputError, match=r"found 2 images on two sides.*data_prep\.duplicates"):
            settle_duplicates(split, policy)
        return
    kept = settle_duplicates(split, policy)
    assert kept["image_id"].tolist() == ["a", "c", "e", "f"]  # copies on the same side may stay


def split_of(*rows):
    found = pd.DataFrame(rows, columns=["image_id", "split", "sha256"])
    return found.assign(is_anomaly=False, draws_test=False)


def test_of_copies_the_one_furthest_from_training_stays():
    split = split_of(("a", "train", "1"), ("b", "test", "1"), ("c", "calibration", "2"), ("d", "train", "2"),
                     ("e", "train", "3"), ("f", "train", "3"), ("g", "selection", "4"), ("h", "calibration", "4"),
                     )  # fmt: skip
    assert settle_duplicates(split, "drop")["image_id"].tolist() == ["b", "c", "e", "f", "h"]
    with pytest.raises(InputError, match="'a' \\(train\\) and 'b' \\(test\\)"):
        settle_duplicates(split, "refuse")


RECURRING = [f"p{row}" for row in range(0, 400, 20)]  # an empty frame among pictures, twenty times


def settled(seed: int, parts: list[str] | None = None) -> pd.DataFrame:
    """400 good pictures, one in twenty of them the same, and seven holes, two of them the same."""
    table = source_table(["good"] * 400 + ["hole"] * 7, parts)
    parameters = group("data_prep", normal_classes=["good"], calibration_fraction=0.3)
    plan = split_images(table, parameters, "", seed)
    sums = plan["image_id"].where(~plan["image_id"].isin(RECURRING), "frame").replace({"p400": "hole", "p401": "hole"})
    return settle_split(plan, (None, None, sums.tolist()), parameters)


def test_where_chance_draws_the_test_images_one_copy_stays_whatever_its_side():
    stay = [settled(seed) for seed in range(12)]
    frames = pd.concat([found[found["image_id"].isin(RECURRING)] for found in stay])
    assert set(frames["image_id"]) == {"p0"}
    assert len(frames) == 12
    assert frames["split"].nunique() > 2
    for found in stay:
        assert len(found) == 407 - 19
        assert found["is_anomaly"].sum() == 7


def test_a_picture_that_recurs_is_flagged_no_more_often_than_is_promised():
    """It scores higher than all others; where test kept every copy, as it must keep its own, all would be flagged."""
    flagged = []
    for seed in range(12):
        found = settled(seed)
        scores = np.random.default_rng(seed).normal(size=len(found)) + 9 * found["image_id"].isin(RECURRING).to_numpy()
        made = calibrate(scores[found["split"] == "calibration"], 0.02)
        tested = scores[(found["split"] == "test") & ~found["is_anomaly"]]
        flagged.append((tested > made.threshold).mean() - made.promised_false_alarm_rate)
    assert np.mean(flagged) < 0.01


def test_what_is_promised_of_copies_of_a_source_s_own_test_images_is_said(caplog):
    settled(0)
    assert caplog.messages[0] == (
        "data_prep: 19 copies of normal images dropped, one of each stays, such as 'p40' of 'p0'"
    )
    caplog.clear()
    found = settled(0, ["test"] * 100 + ["train"] * 300 + ["test"] * 7)
    assert found.loc[found["image_id"].isin(RECURRING), "split"].tolist() == ["test"] * 5
    assert "15 copies of images on another side of the split dropped; the promised false-alarm rate" in caplog.text


@pytest.mark.parametrize(
    ("count", "alike", "said"),
    [
        (20, ["selection"], "the selection split would get 1 image, expected at least 2; 1 copy of another image was"),
        (40, SPLITS, "image, expected at least 2; 39 copies of other images were dropped"),
    ],
)
def test_what_copies_leave_too_little_of_is_refused_and_they_are_named(count, alike, said):
    parameters = group("data_prep", normal_classes=["good"])
    plan = split_images(source_table(["good"] * count), parameters, "", 0)
    sums = plan["image_id"].where(~plan["split"].isin(alike), "frame")
    with pytest.raises(InputError, match=f"{said}.*add images that differ$"):
        settle_split(plan, (None, None, sums.tolist()), parameters)


def test_a_picture_under_both_labels_is_no_mere_copy_and_both_places_are_named(caplog):
    plan = split_images(source_table(["good"] * 60 + ["hole"] * 3), group("data_prep", normal_classes=["good"]), "", 0)
    sums = plan["image_id"].replace({"p61": "p7", "p62": "p9", "p21": "p20"})
    kept = settle_split(plan, (None, None, sums.tolist()), group("data_prep", normal_classes=["good"]))
    assert len(kept) == len(plan) - 3
    warned = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert warned[0] == (
        "data_prep: found 2 pictures labelled normal in one place and anomalous in another, such as 'p9' and 'p62': "
        "correct one"
    )
    assert warned[1] == ("data_prep: 1 copy of normal images dropped, one of each stays, such as 'p21' of 'p20'")
    assert len(warned) == 2


def test_a_normal_copy_of_an_anomaly_goes_and_the_anomaly_stays():
    split = split_of(("a", "train", "1"), ("b", "test", "1"), ("c", "test", "1")).assign(draws_test=True)
    split["is_anomaly"] = split["image_id"] == "b"
    assert settle_duplicates(split, "drop")["image_id"].tolist() == ["b"]
    assert settle_duplicates(split.assign(draws_test=False), "drop")["image_id"].tolist() == ["b", "c"]


def test_a_split_has_another_name_by_each_of_its_images_in_whatever_order():
    split = split_of(("a", "train", "1"), ("b", "train", "1")).assign(label="good")
    geometry = Geometry((16, 16), 1).to_text()
    others = [
        split.assign(**{name: [split[name][0], value]})
        for name, value in {"image_id": "z", "split": "test", "label": "bad", "is_anomaly": True, "sha256": "2"}.items()
    ]
    assert len({split_digest(each, geometry) for each in [split, *others]}) == 6
    assert split_digest(split[::-1], geometry) == split_digest(split, geometry)


LIGHT, TILING = Levelling(4.0, 40.0), Tiling((8, 8), 64)
GEOMETRY = Geometry((16, 16), 1, "resize", LIGHT, TILING, {"maximum": 255.0})


@pytest.mark.parametrize(
    "change",
    [
        *({"image_size": (16, 17)}, {"channels": 3}, {"fit": "pad"}, {"decoding": {"maximum": 4095.0}}),
        *({"local_contrast": replace(LIGHT, sigma=5.0)}, {"local_contrast": replace(LIGHT, gain=41.0)}),
        *({"tiling": replace(TILING, stride=(8, 9))}, {"tiling": replace(TILING, picture_size=65)}),
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_split_has_another_name_by_its_geometry(change):
    split = split_of(("a", "train", "1"), ("b", "train", "1")).assign(label="good")
    changed = replace(GEOMETRY, **change)
    assert split_digest(split, changed.to_text()) != split_digest(split, GEOMETRY.to_text())


def test_of_too_many_images_some_are_taken_at_random():
    table = source_table(["good"] * 200 + ["hole"] * 50)
    every = sides(split_images(table, group("data_prep", normal_classes=["good"]), "", 0))
    some = sides(split_images(table, group("data_prep", normal_classes=["good"], max_train=30, max_test=40), "", 0))
    for name, most in (("train", 30), ("test", 40)):
        assert len(some[name]) == most
        assert set(some[name]) < set(every[name])
        assert set(some[name]) & set(every[name][-most:])
    assert (some["selection"], some["calibration"]) == (every["selection"], every["calibration"])
