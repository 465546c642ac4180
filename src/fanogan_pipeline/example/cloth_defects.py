"""What can be wrong with the cloth: each defect gives a picture and the mask of what it changed."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter

from fanogan_pipeline.example.cloth import PERIOD, Gap, weave
from fanogan_pipeline.example.lines import bent_line
from fanogan_pipeline.example.painting import Painted, Painter


def scratch(size: tuple[int, int], rng: np.random.Generator) -> Painted:
    """A thin, slightly bent bright or dark line."""
    cloth, _ = weave(size, rng)
    cover = bent_line(size, rng, rng.uniform(0.3, 0.6), 7, 0.15, rng.uniform(1.5, 3.0))
    tone = rng.choice([0.05, 0.95])
    return cloth + 0.8 * cover * (tone - cloth), cover > 0.3


def spot(size: tuple[int, int], rng: np.random.Generator) -> Painted:
    """A stain: an uneven ellipse that darkens or bleaches the cloth."""
    cloth, _ = weave(size, rng)
    rows, columns = np.mgrid[: size[0], : size[1]].astype(float)
    centre, radii, turn = rng.uniform(0.2, 0.8, 2) * size, rng.uniform(4, 10, 2), rng.uniform(0, np.pi)
    down, across = rows - centre[0], columns - centre[1]
    along, aside = down * np.cos(turn) + across * np.sin(turn), across * np.cos(turn) - down * np.sin(turn)
    edge = gaussian_filter(rng.normal(size=size), 2.5)
    reach = np.hypot(along / radii[0], aside / radii[1]) + 0.25 * edge / edge.std()
    cover = 1 / (1 + np.exp(8 * (reach - 1)))
    tone = rng.choice([0.08, 0.85])
    return cloth + 0.65 * cover * (tone - cloth), cover > 0.3


def missing_thread(size: tuple[int, int], rng: np.random.Generator) -> Painted:
    """A thread that is not there for a stretch."""
    is_warp = bool(rng.random() < 0.5)
    across, along = (size[1], size[0]) if is_warp else size
    length = int(rng.uniform(0.3, 0.8) * along)
    start = int(rng.integers(0, along - length + 1))
    thread = int(rng.integers(2, int(across / PERIOD) - 2))
    return weave(size, rng, Gap(is_warp, thread, start, start + length))


CLOTH_DEFECTS: dict[str, Painter] = {paint.__name__: paint for paint in (scratch, spot, missing_thread)}
