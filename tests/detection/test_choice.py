"""Made-up anomalies and the choice that they settle."""

import numpy as np
import pandas as pd
import pytest
from tests.parts import ones

from fanogan_pipeline.detection.choice import choose_mix, chosen_mix
from fanogan_pipeline.detection.made_up import MAKERS, made_up_anomalies
from fanogan_pipeline.detection.scoring import MIXES, fit_mix
from fanogan_pipeline.errors import InputError


@pytest.mark.parametrize(("channels", "size"), [(1, (28, 28)), (3, (17, 40))])
def test_every_kind_changes_images_and_keeps_their_form(channels, size):
    images = np.random.default_rng(0).integers(0, 256, (6, channels, *size)).astype(np.uint8)
    made = made_up_anomalies(images, seed=3)
    assert set(made) == set(MAKERS)
    for kind, changed in made.items():
        assert changed.dtype == np.uint8
        assert changed.shape == images.shape
        assert (changed != images).any(axis=(1, 2, 3)).mean() > 0.5, kind  # a box may land where it was
    again = made_up_anomalies(images, seed=3)
    assert all(np.array_equal(again[kind], made[kind]) for kind in made)


def terms_of(images: np.ndarray, seeing: str | tuple[str, ...]) -> pd.DataFrame:
    """Terms of which one sees roughness and the others nothing but noise."""
    rng = np.random.default_rng(int(images.astype(np.int64).sum() % 2**32))
    rough = np.abs(np.diff(images[:, 0].astype(float), axis=1)).mean((1, 2)) + 1
    noise = rng.lognormal(size=(len(images), 8))
    names = ["tolerant_residual", "neighbour_ratio", "whitened_image", "whitened_1"]
    table = pd.DataFrame(noise[:, :4], columns=names)
    for name in table:
        if name.startswith(seeing):
            table[name] = rough
    return table


@pytest.mark.parametrize(
    ("seeing", "right"),
    [
        ("tolerant_residual", {"restoration", "restoration_and_neighbours"}),
        ("neighbour_ratio", {"neighbours"}),
        (
            ("tolerant_residual", "neighbour_ratio"),
            {"restoration", "restoration_and_neighbours", "neighbours_and_restoration", "neighbours"},
        ),
        ("whitened", {"whitened_and_neighbours"}),
    ],
)
def test_the_choice_falls_on_the_terms_that_see_changes(seeing, right):
    table = choose_mix(ones(120).numpy(), lambda fitted, sets: [terms_of(images, seeing) for images in sets], seed=0)
    assert table["mix"].tolist() == list(MIXES)
    assert chosen_mix(table) in right
    assert table[list(MAKERS)].mean(axis=1).to_numpy() == pytest.approx(table["made_up_auroc"])


def test_a_mix_by_hand():
    terms = pd.DataFrame({"tolerant_residual": np.exp([0.0, 2.0]), "neighbour_ratio": np.exp([1.0, 1.5])})
    rule = fit_mix("restoration_and_neighbours", terms)
    # each logarithm standardised: -1/sqrt(2) and 1/sqrt(2), with weights 1 and 0.5
    assert rule.score(terms) == pytest.approx([-1.5 * 0.5**0.5, 1.5 * 0.5**0.5])


def test_too_few_images_to_choose_with_are_refused():
    with pytest.raises(InputError, match=r"selection_set: found 3 images.*scoring\.score"):
        choose_mix(ones(3).numpy(), lambda fitted, sets: [], seed=0)
