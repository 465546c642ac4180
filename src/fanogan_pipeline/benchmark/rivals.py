"""What a user would try first: detectors of scikit-learn on raw pixels."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.neighbors import NearestNeighbors
from sklearn.svm import OneClassSVM

from fanogan_pipeline.detection.neighbours import fit_expectation, liveliness
from fanogan_pipeline.parameters import BenchmarkMethod
from fanogan_pipeline.training.data import as_images, to_pixels

COMPONENTS = 32  # of PCA, or fewer where there are fewer images
NEIGHBOURS = 5
UNIT_RANGE = (0.0, 1.0)  # that pixels are scaled to
TREES = 200
NU = 0.1  # share of training images that a one-class SVM may leave outside

Score = Callable[[np.ndarray], np.ndarray]  # images uint8 [N, C, H, W] -> float64 [N], higher is more anomalous
Fit = Callable[[np.ndarray, int], Score]  # normal images uint8 [N, C, H, W], seed -> Score


def pixels(images: np.ndarray) -> np.ndarray:
    """uint8 [N, C, H, W] -> float32 [N, pixels] in [0, 1]."""
    return images.reshape(len(images), -1).astype(np.float32) / 255


def pca(train: np.ndarray, seed: int) -> Score:
    """Squared error of the restoration from the first principal components."""
    fitted = PCA(min(COMPONENTS, len(train) - 1), random_state=seed).fit(pixels(train))

    def score(images: np.ndarray) -> np.ndarray:
        x = pixels(images)
        return np.square(x - fitted.inverse_transform(fitted.transform(x))).mean(1, dtype=np.float64)

    return score


def nearest_neighbours(train: np.ndarray, seed: int) -> Score:
    """Mean distance to the nearest training images."""
    fitted = NearestNeighbors(n_neighbors=min(NEIGHBOURS, len(train))).fit(pixels(train))
    return lambda images: _mean_distance(fitted, images)


def relative_neighbours(train: np.ndarray, seed: int) -> Score:
    """The same over what a normal image as lively has: the part of f-AnoGAN's own score that needs no network."""
    fitted = NearestNeighbors(n_neighbors=min(NEIGHBOURS, len(train) - 1)).fit(pixels(train))
    apart = torch.from_numpy(_mean_distance(fitted, None))
    expectation = fit_expectation(apart, liveliness(to_pixels(as_images(train), UNIT_RANGE)))

    def score(images: np.ndarray) -> np.ndarray:
        expected = expectation.distance(to_pixels(as_images(images), UNIT_RANGE))
        return _mean_distance(fitted, images) / expected.numpy()

    return score


def _mean_distance(fitted: NearestNeighbors, images: np.ndarray | None) -> np.ndarray:
    """From the nearest training images, float64 [N]; without images, of each training image from the others."""
    return fitted.kneighbors(None if images is None else pixels(images))[0].mean(1, dtype=np.float64)


def one_class_svm(train: np.ndarray, seed: int) -> Score:
    """Distance beyond the boundary of a one-class SVM with a Gaussian kernel of scikit-learn's own scale."""
    fitted = OneClassSVM(nu=NU).fit(pixels(train))
    return lambda images: -fitted.decision_function(pixels(images)).astype(np.float64)


def isolation_forest(train: np.ndarray, seed: int) -> Score:
    """How few random cuts isolate an image."""
    fitted = IsolationForest(n_estimators=TREES, random_state=seed).fit(pixels(train))
    return lambda images: -fitted.score_samples(pixels(images)).astype(np.float64)


RIVALS: dict[BenchmarkMethod, Fit] = {
    "pca": pca,
    "nearest_neighbours": nearest_neighbours,
    "relative_neighbours": relative_neighbours,
    "one_class_svm": one_class_svm,
    "isolation_forest": isolation_forest,
}
