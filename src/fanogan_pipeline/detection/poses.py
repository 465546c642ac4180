"""A training image as it might have been taken just as well: turned a little, moved a little to the side."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

Pose = tuple[float, float]  # degrees turned, share of the width moved to the side


def posed(x: Tensor, pose: Pose) -> Tensor:
    """x [N, C, H, W] in a pose; what comes in from outside repeats the edge."""
    (degrees, share), (height, width) = pose, x.shape[2:]
    along, across = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    # the grid's sides are 2 long, whatever the image's are: a turn must not shear what is not square
    turn = [[along, -across * height / width, 2 * share], [across * width / height, along, 0.0]]
    grid = functional.affine_grid(torch.tensor([turn], dtype=x.dtype), [1, 1, height, width], align_corners=False)
    grid = grid.to(x.device).expand(len(x), -1, -1, -1)
    return functional.grid_sample(x, grid, padding_mode="border", align_corners=False)
