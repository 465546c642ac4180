"""Comparing methods on the same images."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from fanogan_pipeline.benchmark.auroc import Ranked, holm, paired_difference, resampled_weights


def scores(seed: int, shift: float, n: int = 400) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = rng.random(n) < 0.3
    return rng.normal(size=n) + shift * truth, truth


def test_a_resample_has_the_auroc_of_its_images_written_out():
    values, truth = scores(0, 0.8)
    values = np.round(values, 1)  # ties
    images = np.arange(len(values))[::-1].copy()
    weights = resampled_weights(np.where(truth, "bad", "good")[::-1], 3, seed=1)
    ranked = Ranked.of(values, truth, images)
    for sample in weights:
        times = sample[images]
        written_out = np.repeat(np.arange(len(values)), times)
        assert ranked.auroc(sample) == pytest.approx(roc_auc_score(truth[written_out], values[written_out]))
    assert ranked.auroc(np.ones(len(values), int)) == pytest.approx(roc_auc_score(truth, values))


def test_resamples_keep_the_size_of_every_stratum():
    strata = np.array(["a"] * 7 + ["b"] * 3)
    weights = resampled_weights(strata, 50, seed=0)
    assert (weights[:, :7].sum(1) == 7).all()
    assert (weights[:, 7:].sum(1) == 3).all()
    assert weights.std(0).min() > 0


def test_the_paired_test_keeps_its_level_and_finds_a_difference():
    p_values = []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        base, truth = scores(seed, 1.0, 200)
        one, other = (base + 0.7 * rng.normal(size=len(base)) for _ in range(2))
        p_values.append(paired_difference(one, other, truth)[1])
    assert 0.01 <= np.mean(np.array(p_values) < 0.05) <= 0.10
    base, truth = scores(1, 1.0, 2000)
    difference, p_value = paired_difference(base + 0.5 * truth, base, truth)
    assert difference == pytest.approx(roc_auc_score(truth, base + 0.5 * truth) - roc_auc_score(truth, base))
    assert p_value < 1e-6


def test_the_same_scores_do_not_differ():
    values, truth = scores(3, 1.0)
    assert paired_difference(values, values, truth) == (0.0, 1.0)


def test_holm_by_hand():
    assert holm(np.array([0.04, 0.01, 0.03])).tolist() == pytest.approx([0.06, 0.03, 0.06])
