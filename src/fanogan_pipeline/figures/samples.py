"""What the generator makes."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.figure import Figure

from fanogan_pipeline.errors import plural
from fanogan_pipeline.figures import style


def in_rows(images: np.ndarray, columns: int) -> np.ndarray:
    """Images uint8 [N, C, H, W] in rows as one picture, RGB uint8 [rows (H + 1) + 1, columns (W + 1) + 1, 3].

    Between them, around them and where there is none it is white.
    """
    count, _, height, width = images.shape
    sheet = np.full((math.ceil(count / columns) * (height + 1) + 1, columns * (width + 1) + 1, 3), 255, np.uint8)
    for k, picture in enumerate(style.channels_last(images)):
        top, left = 1 + k // columns * (height + 1), 1 + k % columns * (width + 1)
        sheet[top : top + height, left : left + width] = picture
    return sheet


def generated_samples(images: np.ndarray, latent_dim: int) -> Figure:
    """A sheet of generated images.

    Args:
        images: uint8 [N, C, H, W], of random z; N at least 1.
        latent_dim: number of dimensions of z, named in the title.
    """
    count, _, height, width = images.shape
    columns = max(1, math.ceil(math.sqrt(count * height / width)))
    rows = math.ceil(count / columns)
    title = f"{plural(count, 'generated image')}, each from a random z of {plural(latent_dim, 'dimension')}"
    figure = style.new_figure(7.5, 7.5 * rows * height / (columns * width) + 0.5, title)
    axis = figure.subplots()
    axis.imshow(in_rows(images, columns))
    axis.set_axis_off()
    return figure


def latent_walk(images: np.ndarray, extent: tuple[float, float, float, float]) -> Figure:
    """A plane through the latent space: at each point the image generated there.

    Args:
        images: uint8 [R, K, C, H, W]; the first row has the highest second coordinate.
        extent: z of the outermost images: first min, first max, second min, second max.
    """
    rows, columns, _, height, width = images.shape
    left, right, bottom, top = extent
    across, down = (right - left) / max(1, columns - 1) or 1.0, (top - bottom) / max(1, rows - 1) or 1.0
    borders = (left - across / 2, right + across / 2, bottom - down / 2, top + down / 2)
    figure = style.new_figure(7.5, 7.5 * rows * height / (columns * width) + 0.6, "A walk through the latent space")
    axis = figure.subplots()
    sheet = in_rows(images.reshape(-1, *images.shape[2:]), columns)
    pixel = (borders[1] - borders[0]) / sheet.shape[1], (borders[3] - borders[2]) / sheet.shape[0]
    axis.imshow(sheet, extent=borders, aspect=pixel[0] / pixel[1])
    axis.set_xlabel("first latent coordinate", fontsize=10)
    axis.set_ylabel("second latent coordinate", fontsize=10)
    return figure
