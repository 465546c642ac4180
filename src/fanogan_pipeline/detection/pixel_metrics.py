"""How well residual maps find the anomalous pixels, from histograms: memory does not grow with the pictures.

Every map value is rounded to float16 (11 bits), whose bit patterns ascend with the number: 31,744 bins.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from scipy.ndimage import label

BINS = 0x7C00  # bit patterns of the finite float16 from 0 up
LIMIT = 0.3  # false-positive rate up to which AUPRO integrates (Bergmann et al. 2020)
EIGHT = np.ones((3, 3), int)  # regions are connected through corners as well


class PixelCounts:
    """Counts that grow picture by picture."""

    def __init__(self) -> None:
        self.normal = np.zeros(BINS, np.int64)  # pixels that are normal
        self.anomalous = np.zeros(BINS, np.int64)
        self.regions = np.zeros(BINS)  # anomalous pixels, each as its share of its connected region
        self.n_regions = 0

    def add(self, residual: np.ndarray, mask: np.ndarray) -> None:
        """Count a picture's map float [h, w], at least 0, against its mask bool [h, w]."""
        bins = value_bins(residual)
        self.normal += np.bincount(bins[~mask], minlength=BINS)
        self.anomalous += np.bincount(bins[mask], minlength=BINS)
        numbers, count = label(mask, EIGHT)
        inside = numbers[mask]
        share = 1 / np.bincount(inside, minlength=count + 1)[inside] if count else np.empty(0)
        self.regions += np.bincount(bins[mask], share, minlength=BINS)
        self.n_regions += count


def value_bins(residual: np.ndarray) -> np.ndarray:
    """Bin of each value, int; a larger value never has a smaller bin."""
    top = np.finfo(np.float16).max
    return np.clip(residual, 0, top).astype(np.float16).view(np.uint16).astype(np.int64)


def pixel_metrics(counts: PixelCounts, threshold: float) -> dict[str, float | int | None]:
    """The pixel numbers of `metrics`; null, but for `n_regions`, where there is no anomalous or no normal pixel.

    Args:
        counts: of all pictures.
        threshold: the calibrated one, above which a pixel counts as anomalous.

    Returns:
        `pixel_auroc`; `aupro`, the mean share of a region found, over false-positive rates up to 0.3
        and divided by 0.3 (P. Bergmann et al., "Uninformed Students", CVPR 2020); `dice`, at the
        calibrated threshold; `dice_best`, at the threshold that suits this very test set best, and so an
        upper bound; `n_regions`.
    """
    names = ("pixel_auroc", "aupro", "dice", "dice_best")
    if not counts.anomalous.any() or not counts.normal.any():
        return {**dict.fromkeys(names), "n_regions": counts.n_regions}
    found, false = _from_above(counts.anomalous), _from_above(counts.normal)
    recall, fall_out = found / found[-1], false / false[-1]
    overlap = _from_above(counts.regions) / counts.n_regions
    dice = 2 * found / (found[-1] + found + false)  # 2 TP / (2 TP + FP + FN)
    at = float(dice[BINS - 1 - int(value_bins(np.array([threshold]))[0])])
    values = (_area(fall_out, recall, 1.0), _area(fall_out, overlap, LIMIT) / LIMIT, at, float(dice.max()))
    return {**dict(zip(names, values, strict=True)), "n_regions": counts.n_regions}


def count_pixels(maps: Iterable[np.ndarray], masks: Iterable[np.ndarray], is_anomaly: np.ndarray) -> PixelCounts:
    """Counts over pictures; an anomalous picture without a mask is left out, for nobody knows its pixels.

    Args:
        maps: float [h, w] each.
        masks: bool [h, w] each.
        is_anomaly: bool [N].
    """
    counts = PixelCounts()
    for residual, mask, anomalous in zip(maps, masks, is_anomaly, strict=True):
        if mask.any() or not anomalous:
            counts.add(residual, mask)
    return counts


def _from_above(histogram: np.ndarray) -> np.ndarray:
    """What lies above each bin's lower edge, from none (highest threshold) to all: [BINS + 1]."""
    return np.concatenate([[0], np.cumsum(histogram[::-1])])


def _area(x: np.ndarray, y: np.ndarray, limit: float) -> float:
    """Area under y over x, ascending from 0, up to x = limit."""
    inside = x <= limit
    return float(np.trapezoid(np.append(y[inside], np.interp(limit, x, y)), np.append(x[inside], limit)))
