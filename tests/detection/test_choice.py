"""Synthetic anomalies and the choice that they settle."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score
from tests.parts import ones

from fanogan_pipeline.datasets import validators
from fanogan_pipeline.detection.choice import (
    MOST_IMAGES,
    Measure,
    _contributions,
    _some_of_each,
    choose_mix,
    chosen_mix,
)
from fanogan_pipeline.detection.scoring import LOG_FLOOR, MIXES, fit_mix, fit_rule
from fanogan_pipeline.detection.synthetic_anomalies import LIVELY, MAKERS, _box, synthetic_anomalies
from fanogan_pipeline.detection.training_set import VIEWS
from fanogan_pipeline.errors import InputError


def test_a_family_that_nobody_measures_is_no_part_of_a_mix(monkeypatch):
    terms = pd.DataFrame({"tolerant_residual": [1.0, 2.0], "neighbour_ratio_early": [1.0, 2.0]})
    monkeypatch.setitem(MIXES, "own", {"tolerant_residual": 1.0, "neighbor_ratio": 2.0})
    with pytest.raises(InputError, match=r"own: found the family 'neighbor_ratio'.* expected .*neighbour_ratio_early"):
        fit_mix("own", terms)


@pytest.mark.parametrize(("channels", "size"), [(1, (28, 28)), (3, (17, 40))])
def test_every_kind_changes_images_and_keeps_their_form(channels, size):
    images = np.random.default_rng(0).integers(0, 256, (6, channels, *size)).astype(np.uint8)
    made = synthetic_anomalies(images, seed=3)
    assert set(made) == set(MAKERS)
    for kind, changed in made.items():
        assert changed.dtype == np.uint8
        assert changed.shape == images.shape
        assert (changed != images).any(axis=(1, 2, 3)).mean() > 0.5, kind  # a box may land where it was
    again = synthetic_anomalies(images, seed=3)
    assert all(np.array_equal(again[kind], made[kind]) for kind in made)


def measure_by(seeing: tuple[str, ...]) -> Measure:
    """Terms of which some see a change and the others nothing."""
    rng = np.random.default_rng(1)

    def measure(fitted_on: np.ndarray, sets: list[np.ndarray]) -> list[pd.DataFrame]:
        names = ["tolerant_residual", "neighbour_ratio", "feature_ratio"]
        sees = np.isin(names, seeing).astype(float)
        normal, changed = sets[:2], sets[2:]  # what is fitted on and what is compared, then what was made of the latter
        strengths = [0.0] * len(normal) + [1.5] * len(changed)
        return [
            pd.DataFrame(np.exp(rng.normal(size=(len(images), 3)) + strength * sees), columns=names)
            for images, strength in zip(sets, strengths, strict=True)
        ]

    return measure


@pytest.mark.parametrize(
    ("seeing", "right"),
    [
        (("tolerant_residual",), "restoration"),
        (("neighbour_ratio",), "neighbours"),
        (("neighbour_ratio", "feature_ratio"), "neighbours_and_features"),
        (("tolerant_residual", "neighbour_ratio"), "neighbours_and_restoration"),
        (("tolerant_residual", "neighbour_ratio", "feature_ratio"), "neighbours_features_and_restoration"),
        ((), "neighbours_and_restoration"),  # none is better, so the first
    ],
)
def test_the_choice_falls_on_the_terms_that_see_changes(seeing, right):
    table = choose_mix(ones(400).numpy(), measure_by(seeing), seed=0)
    assert table["mix"].tolist() == list(MIXES)
    assert chosen_mix(table) == right
    assert table[list(MAKERS)].mean(axis=1).to_numpy() == pytest.approx(table["made_up_auroc"])
    assert table["lead"].to_numpy() == pytest.approx(table["made_up_auroc"] - table["made_up_auroc"][0])


def test_a_small_lead_is_no_reason_to_leave_the_first_mix():
    """One more image in a hundred put right by the neighbours alone: ahead, but not clearly."""

    def measure(fitted_on: np.ndarray, sets: list[np.ndarray]) -> list[pd.DataFrame]:
        rng = np.random.default_rng(0)
        return [measured(len(images), 1.0 if place > 1 else 0.0, rng) for place, images in enumerate(sets)]

    def measured(count: int, shift: float, rng: np.random.Generator) -> pd.DataFrame:
        both = rng.normal(size=count)
        noise = rng.normal(size=(count, 2)) * 0.05
        return pd.DataFrame(
            {
                "tolerant_residual": np.exp(both + 0.99 * shift + noise[:, 0]),
                "neighbour_ratio": np.exp(both + shift + noise[:, 1]),
                "feature_ratio": rng.lognormal(size=count),
            }
        )

    table = choose_mix(ones(200).numpy(), measure, seed=0).set_index("mix")
    assert table["made_up_auroc"].idxmax() == "neighbours"
    assert 0 < table.loc["neighbours", "lead"] < 2 * table.loc["neighbours", "standard_error"]
    assert table["chosen"].idxmax() == "neighbours_and_restoration"


def test_contributions_average_to_the_auroc_of_all_draws_and_their_spread_to_its_error():
    rng = np.random.default_rng(0)

    def drawn(images: int) -> tuple[np.ndarray, np.ndarray]:
        """Scores of images and of three things made of each, alike as what is made of one image is."""
        normal = rng.normal(size=images)
        return normal, 1 + 0.5 * normal + 0.5 * rng.normal(size=images) + rng.normal(size=(3, images))

    normal, changed = drawn(400)
    shares = _contributions(normal, changed)
    truth = np.repeat([0, 1, 1, 1], 400)
    assert shares.mean() == pytest.approx(roc_auc_score(truth, np.concatenate([normal, *changed])))
    others = [_contributions(*drawn(400)).mean() for _ in range(200)]
    assert shares.std() / 400**0.5 == pytest.approx(np.std(others), rel=0.2)


def test_the_tiles_of_a_picture_stay_on_one_side_and_count_as_one():
    """Tiles that are told apart by their picture's number, in grey."""
    pictures = np.repeat([f"p{number:02}" for number in range(12)], 40)
    images = np.repeat(np.arange(12), 40)[:, None, None, None] * np.ones((1, 1, 16, 16))
    sides = []

    def measure(fitted_on: np.ndarray, sets: list[np.ndarray]) -> list[pd.DataFrame]:
        sides.append([set(np.unique(part).astype(int)) for part in (fitted_on, sets[1])])
        return measure_by(("neighbour_ratio",))(fitted_on, sets)

    table = choose_mix(images.astype(np.uint8), measure, 0, pictures).set_index("mix")
    for fitted_on, compared in sides:
        assert not fitted_on & compared
        assert len(fitted_on) == len(compared) == 6  # every picture of the half, not its first ones
    alone = choose_mix(images.astype(np.uint8), measure_by(("neighbour_ratio",)), 0).set_index("mix")
    assert table.loc["neighbours", "standard_error"] != alone.loc["neighbours", "standard_error"]
    with pytest.raises(InputError, match="found 3 pictures"):
        choose_mix(images[:120].astype(np.uint8), measure, 0, pictures[:120])


def test_copies_of_a_picture_as_its_tiles_leave_the_choice_and_its_errors_as_they_are():
    values = np.random.default_rng(0).lognormal(size=(2 + 2 * len(MAKERS), 12, 3))  # by set, picture and term

    def measure(fitted_on: np.ndarray, sets: list[np.ndarray]) -> list[pd.DataFrame]:
        names = ["tolerant_residual", "neighbour_ratio", "feature_ratio"]
        of_sets = [sets[0][:, 0, 0, 0], *[sets[1][:, 0, 0, 0]] * (len(sets) - 1)]  # a picture's grey is its number
        return [pd.DataFrame(value[of], columns=names) for value, of in zip(values, of_sets, strict=True)]

    whole = np.arange(12, dtype=np.uint8)[:, None, None, None].repeat(16, 2).repeat(16, 3)
    tables = [choose_mix(whole.repeat(tiles, 0), measure, 0, np.arange(12).repeat(tiles) + 10) for tiles in (1, 4)]
    assert (tables[0]["standard_error"][1:] > 0).all()
    pd.testing.assert_frame_equal(*tables)


@pytest.mark.parametrize("count", [80, 160, 299])
def test_every_picture_is_compared_before_any_is_twice_and_together_they_show_all_places(count):
    pictures = np.arange(count * 4).reshape(count, 4)
    rows, owners = _some_of_each(list(pictures))
    assert len(rows) == len(set(rows.tolist())) == MOST_IMAGES
    assert (rows // 4 == owners).all()
    times = np.bincount(owners, minlength=count)
    assert times.min() == MOST_IMAGES // count
    assert np.ptp(times) == 1
    assert np.bincount(rows % 4).min() > MOST_IMAGES / 4 / 2


@pytest.mark.parametrize("count", [2, 299, 300, 337])
def test_of_pictures_that_are_whole_the_first_ones_are_compared(count):
    order = np.random.default_rng(0).permutation(count)
    rows, owners = _some_of_each(list(order[:, None]))
    assert rows.tolist() == order[:MOST_IMAGES].tolist()
    assert owners.tolist() == list(range(min(count, MOST_IMAGES)))


def test_the_pictures_of_a_group_stay_on_one_side_and_those_without_one_stand_alone():
    sides = []

    def measure(fitted_on: np.ndarray, sets: list[np.ndarray]) -> list[pd.DataFrame]:
        sides.append([set(part[:, 0, 0, 0].tolist()) for part in (fitted_on, sets[1])])
        return measure_by(("neighbour_ratio",))(fitted_on, sets)

    images = np.arange(24, dtype=np.uint8)[:, None, None, None] * np.ones((1, 1, 16, 16), np.uint8)
    group = np.array(["a"] * 8 + ["b"] * 8 + [""] * 8)
    for seed in range(4):
        choose_mix(images, measure, seed, group=group)
    groups = [set(range(8)), set(range(8, 16))]
    assert all(fitted_on >= one or compared >= one for fitted_on, compared in sides for one in groups)
    assert any(len(set(range(16, 24)) & compared) not in (0, 8) for _, compared in sides)


def test_by_few_groups_nothing_is_chosen_and_that_is_said(caplog):
    few, images = np.array(["a", "b", "c"] * 20), ones(60).numpy()
    table = choose_mix(images, lambda fitted, sets: [], 0, group=few)
    assert chosen_mix(table) == next(iter(MIXES))
    validators.score_choice(table)
    assert "found 3 groups in the selection set, expected at least 4" in caplog.text


def test_a_mix_by_hand():
    terms = pd.DataFrame({"tolerant_residual": np.exp([0.0, 2.0]), "neighbour_ratio": np.exp([1.0, 1.5])})
    rule = fit_mix("restoration_and_neighbours", terms)
    # each logarithm standardised: -1/sqrt(2) and 1/sqrt(2), with weights 1 and 0.5
    assert rule.score(terms) == pytest.approx([-1.5 * 0.5**0.5, 1.5 * 0.5**0.5])


@pytest.mark.parametrize("mix", MIXES)
def test_a_family_has_its_share_however_many_terms_it_is_measured_by(mix):
    names = ["tolerant_residual", "feature_ratio", *(f"neighbour_ratio_{view}" for view in VIEWS)]
    terms = pd.DataFrame(np.random.default_rng(0).lognormal(size=(9, len(names))), columns=names)
    weight = fit_mix(mix, terms).weight
    shares = {family: sum(weight[name] for name in weight if name.startswith(family)) for family in MIXES[mix]}
    assert shares == MIXES[mix]


def test_a_new_term_joins_no_family_by_the_beginning_of_its_name():
    terms = pd.DataFrame({name: [1.0, 2.0] for name in ("tolerant_residual", "tolerant_residual_wide")})
    assert fit_mix("restoration", terms).weight == {"tolerant_residual": 1.0}


def test_too_few_images_to_choose_with_are_refused():
    with pytest.raises(InputError, match=r"selection_set: found 3 pictures.*scoring\.score"):
        choose_mix(ones(3).numpy(), lambda fitted, sets: [], seed=0)


def test_boxes_fall_on_what_there_is_to_see():
    image = np.zeros((1, 32, 32), np.uint8)
    image[:, :, 16:] = np.random.default_rng(0).integers(0, 256, (1, 32, 16))
    boxes = [_box(image, np.random.default_rng(seed)) for seed in range(200)]
    assert min(image[:, rows, columns].std() for rows, columns in boxes) >= LIVELY * image.std()


@pytest.mark.parametrize("kind", ["paste", "join"])
def test_a_part_of_another_image_is_of_another_image(kind):
    dark = np.random.default_rng(0).integers(0, 50, (1, 16, 16)).astype(np.uint8)
    made = MAKERS[kind](dark.copy(), dark + 200, np.random.default_rng(0))
    assert 0 < (made >= 200).sum() < made.size


def measured_sets(images: np.ndarray, seed: int) -> list[list[np.ndarray]]:
    """What is measured in each turn: what is fitted on, what is compared, and what each draw makes of that."""
    given = []

    def measure(fitted_on: np.ndarray, sets: list[np.ndarray]) -> list[pd.DataFrame]:
        given.append(sets)
        return measure_by(())(fitted_on, sets)

    choose_mix(images, measure, seed)
    return given


def test_every_image_is_compared_once():
    numbered = np.arange(12, dtype=np.uint8)[:, None, None, None].repeat(16, 2).repeat(16, 3)
    assert sorted(number for sets in measured_sets(numbered, 0) for number in sets[1][:, 0, 0, 0]) == list(range(12))


def test_each_seed_turn_and_draw_makes_something_else_of_images_that_are_all_alike():
    alike, kinds = np.tile(ones(1).numpy(), (8, 1, 1, 1)), len(MAKERS)
    turns = [sets[2:] for seed in range(2) for sets in measured_sets(alike, seed)]
    draws = [np.stack(draw).tobytes() for made in turns for draw in (made[:kinds], made[kinds:])]
    assert len(set(draws)) == len(draws) == 2 * 2 * 2


def test_a_mix_s_moments_are_those_of_the_images_that_are_fitted_on():
    def measure(fitted_on: np.ndarray, sets: list[np.ndarray]) -> list[pd.DataFrame]:
        first, *others = measure_by(())(fitted_on, sets)
        return [first, *(terms * 0 + 1 for terms in others)]  # nothing in these could be standardised by

    assert choose_mix(ones(12).numpy(), measure, 0)["made_up_auroc"].tolist() == [0.5] * len(MIXES)


@pytest.mark.parametrize("value", [1.0, float("nan")])
@pytest.mark.parametrize("kind", ["restoration", "standardised"])
def test_terms_that_tell_no_images_apart_are_refused(kind, value):
    names = ["tolerant_residual", "image_residual", "feature_residual", "latent_residual"]
    terms = pd.DataFrame(np.random.default_rng(0).random((9, 4)), columns=names)
    fit_rule(kind, 1.0, terms)
    with pytest.raises(InputError, match=r"selection_set: .* all above 0; the models do not tell images apart"):
        fit_rule(kind, 1.0, terms.assign(tolerant_residual=value, latent_residual=value))


def test_a_residual_of_nothing_counts_as_the_least_that_is_no_rounding():
    rule = fit_mix("restoration", pd.DataFrame({"tolerant_residual": [0.0, 1.0]}))
    assert rule.centre["tolerant_residual"] == pytest.approx(np.log(LOG_FLOOR) / 2)
    assert rule.score(pd.DataFrame({"tolerant_residual": [0.0, LOG_FLOOR]})) == pytest.approx([-(0.5**0.5)] * 2)
