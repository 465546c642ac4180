"""The main components of what networks say of many images."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.decomposition import PCA
from torch import Tensor

DIMENSIONS = 64  # components that are kept


def principal(view: Tensor, most: int = DIMENSIONS) -> tuple[Tensor, Tensor, Tensor]:
    """Mean [units], components as columns [units, k] and their variances [k], the largest first, on the view's device.

    Args:
        view: float32 [N, units], N at least 2.
        most: components; fewer where images or units are few.
    """
    with np.errstate(invalid="ignore"):  # of views that do not vary at all it divides nought by nought
        fitted = PCA(min(most, len(view) - 1, view.shape[1]), random_state=0).fit(view.cpu().numpy())
    found = fitted.mean_, fitted.components_.T, fitted.explained_variance_
    mean, components, variances = (torch.from_numpy(part.copy()).float().to(view.device) for part in found)
    return mean, components, variances
