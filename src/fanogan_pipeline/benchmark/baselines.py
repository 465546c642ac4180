"""What a user would try first: detectors of scikit-learn on raw pixels, and f-AnoGAN's neighbours without a network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.neighbors import NearestNeighbors
from sklearn.svm import OneClassSVM
from torch import Tensor

from fanogan_pipeline.detection import neighbours as ours
from fanogan_pipeline.detection.expectation import fit_expectation, liveliness
from fanogan_pipeline.detection.poses import Pose, posed
from fanogan_pipeline.networks.pixels import to_pixels
from fanogan_pipeline.parameters import BenchmarkMethod

COMPONENTS = 32  # of PCA, or fewer where there are fewer images
NEIGHBOURS = 5
UNIT_RANGE = (0.0, 1.0)  # that pixels are scaled to
TREES = 200
BATCH = 256  # images measured at once
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
    return lambda images: fitted.kneighbors(pixels(images))[0].mean(1, dtype=np.float64)


def relative_neighbours(
    train: np.ndarray, seed: int, poses: Sequence[Pose] = (), device: torch.device | None = None
) -> Score:
    """f-AnoGAN's neighbours on raw pixels, not on main components of what a network sees: training images in each pose,
    and the distance over what a normal image as lively has."""
    x = _tensor(train, device)
    known = ours.with_lengths(torch.stack([x.flatten(1), *(posed(x, pose).flatten(1) for pose in poses)]))
    distances = partial(_distances, known)
    count = min(ours.NEIGHBOURS, len(train) - 1)
    # each training image is its own nearest, at no distance: of one more the mean is too small by that one
    apart = distances(x, count + 1) * (count + 1) / count
    expectation = fit_expectation(apart, liveliness(x))

    def score(images: np.ndarray) -> np.ndarray:
        seen = _tensor(images, device)
        return (distances(seen, count) / expectation.distance(liveliness(seen))).cpu().numpy()

    return score


def _distances(known: Tensor, x: Tensor, count: int) -> Tensor:
    return torch.cat([ours.mean_distance(some.flatten(1), known, count) for some in x.split(BATCH)])


def _tensor(images: np.ndarray, device: torch.device | None) -> Tensor:
    return to_pixels(torch.from_numpy(images).to(device), UNIT_RANGE)


def one_class_svm(train: np.ndarray, seed: int) -> Score:
    """Distance beyond the boundary of a one-class SVM with a Gaussian kernel of scikit-learn's own scale."""
    fitted = OneClassSVM(nu=NU).fit(pixels(train))
    return lambda images: -fitted.decision_function(pixels(images)).astype(np.float64)


def isolation_forest(train: np.ndarray, seed: int) -> Score:
    """How few random cuts isolate an image."""
    fitted = IsolationForest(n_estimators=TREES, random_state=seed).fit(pixels(train))
    return lambda images: -fitted.score_samples(pixels(images)).astype(np.float64)


def baselines(poses: Sequence[Pose], device: torch.device | None = None) -> dict[BenchmarkMethod, Fit]:
    """The methods by their names, with the poses of `scoring.poses` and the device for the one that uses them."""
    return {
        "pca": pca,
        "nearest_neighbours": nearest_neighbours,
        "relative_neighbours": partial(relative_neighbours, poses=poses, device=device),
        "one_class_svm": one_class_svm,
        "isolation_forest": isolation_forest,
    }
