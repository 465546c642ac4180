"""Which residual terms a score is made of, chosen per data set by a rule that sees normal images only."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd

from fanogan_pipeline.detection.groups import belonging
from fanogan_pipeline.detection.residuals import residual_terms
from fanogan_pipeline.detection.restorer import Restorer
from fanogan_pipeline.detection.scoring import MIXES, fit_mix
from fanogan_pipeline.detection.statistics import ResidualStatistics, fit_expectations
from fanogan_pipeline.detection.synthetic_anomalies import synthetic_anomalies
from fanogan_pipeline.errors import InputError, plural

logger = logging.getLogger(__name__)

FEWEST = 4  # pictures, or groups: two to fit on and two to compare with
MOST_IMAGES = 300  # normal images of each half that are compared: the choice needs no more
DRAWS = 2  # anomalies of each kind made up from each of them: with more, chance has less of a say in the choice
GOLDEN = (5**0.5 - 1) / 2  # its multiples lie evenly between whole numbers, however many there are
CLEARLY = 2.0  # standard errors by which a mix must lead the first one

# images to fit on, images to measure -> residual terms of the latter
Measure = Callable[[np.ndarray, list[np.ndarray]], list[pd.DataFrame]]


def choose_mix(
    images: np.ndarray,
    measure: Measure,
    seed: int,
    pictures: np.ndarray | None = None,
    group: np.ndarray | None = None,
) -> pd.DataFrame:
    """Score synthetic anomalies against normal images with each mix of terms.

    The selection set is halved: statistics and rules are fitted on one half, and the other half's images are compared
    with anomalies made up from them, `DRAWS` of each kind; then the other way round. No label and no test image is
    seen. Restoration is what this method is about: the first of `MIXES`, which has it, is taken unless the best one
    leads it by more than `CLEARLY` standard errors, for synthetic anomalies are not real ones and small leads say
    little.

    Args:
        images: uint8 [N, C, H, W] of the selection set.
        measure: fits statistics on its first argument and gives the residual terms of the sets in its second.
        seed: of the halves and the synthetic anomalies.
        pictures: str [N], which picture each image is a tile of; None, each is one. A picture's tiles stay together,
            for they overlap and are alike.
        group: str [N], of each image's picture, "" where it stands alone; None, all do. A group stays together too.

    Returns:
        A row a mix: `mix`, an AUROC for each kind of synthetic anomaly, their mean `made_up_auroc`, `lead` over the
        first mix with its `standard_error`, and `chosen`. The first mix alone where pictures are of fewer than four
        groups, by which no lead is clear.

    Raises:
        InputError: fewer than four pictures.
    """
    names = np.arange(len(images)).astype(str) if pictures is None else pictures
    check_count(len(np.unique(names)))
    rows = _rows_of_pictures(len(images), pictures if group is None else belonging(names, group))
    if len(rows) < FEWEST:
        first = next(iter(MIXES))
        logger.warning(
            "scoring.score: found %s in the selection set, expected at least %d for a choice; taking %s",
            *(plural(len(rows), "group"), FEWEST, first),
        )
        return as_given(first)
    order = np.random.default_rng(seed).permutation(len(rows))
    halves = [[rows[picture] for picture in half] for half in np.array_split(order, 2)]
    found = []
    for turn, (others, half) in enumerate((halves, halves[::-1])):
        compared, owners = _some_of_each(half)
        shares = _shares(images[np.concatenate(others)], images[compared], measure, (seed, turn))
        found.append({mix: share.groupby(owners).mean() for mix, share in shares.items()})
    shares = {mix: pd.concat([half[mix] for half in found]) for mix in MIXES}
    means = pd.DataFrame({mix: share.mean(axis=1) for mix, share in shares.items()})
    leads = means.sub(means.iloc[:, 0], axis=0)
    kinds = pd.DataFrame({mix: share.mean() for mix, share in shares.items()}).T
    table = kinds.assign(made_up_auroc=means.mean(), lead=leads.mean(), standard_error=leads.sem())
    best = table["made_up_auroc"].idxmax()
    is_clear = table.loc[best, "lead"] > CLEARLY * table.loc[best, "standard_error"]
    table["chosen"] = table.index == (best if is_clear else table.index[0])
    return table.rename_axis("mix").reset_index()


def check_count(pictures: int) -> None:
    """Refuse a selection set of too few pictures to choose a score with (InputError)."""
    if pictures < FEWEST:
        raise InputError(
            f"selection_set: found {plural(pictures, 'picture')}, expected at least {FEWEST} to choose a score with; "
            "raise data_prep.selection_fraction or set scoring.score: standardised"
        )


def _rows_of_pictures(count: int, pictures: np.ndarray | None) -> list[np.ndarray]:
    """The row numbers of each picture's images."""
    if pictures is None:
        return list(np.arange(count)[:, None])
    _, number = np.unique(pictures, return_inverse=True)
    return np.split(np.argsort(number, kind="stable"), np.cumsum(np.bincount(number))[:-1])


def _some_of_each(rows: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """At most `MOST_IMAGES` of the rows, evenly from every picture, and whose each one is.

    Every picture is there once before any is there twice. One begins where another does not: pictures of which few
    tiles are taken show all places together.
    """
    each, more = divmod(MOST_IMAGES, len(rows))
    some = []
    for number, part in enumerate(rows):
        count = min(len(part), each + (number < more))
        places = (np.arange(count) + number * GOLDEN % 1) * len(part) / max(count, 1)
        some.append(part[places.astype(int)])
    return np.concatenate(some), np.repeat(np.arange(len(rows)), [len(part) for part in some])


def _shares(
    fitted_on: np.ndarray, compared: np.ndarray, measure: Measure, seed: tuple[int, int]
) -> dict[str, pd.DataFrame]:
    """For each mix what every image compared (a row) contributes to the AUROC of each kind of synthetic anomaly."""
    draws = [synthetic_anomalies(compared, (*seed, draw)) for draw in range(DRAWS)]
    synthetic = [images for draw in draws for images in draw.values()]
    fitted, normal, *changed = measure(fitted_on, [fitted_on, compared, *synthetic])
    rules = {mix: fit_mix(mix, fitted) for mix in MIXES}
    shares = {}
    for mix, rule in rules.items():
        scores = np.stack([rule.score(terms) for terms in changed]).reshape(DRAWS, -1, len(compared))
        of_kind = dict(zip(draws[0], scores.swapaxes(0, 1), strict=True))
        shares[mix] = pd.DataFrame({kind: _contributions(rule.score(normal), drawn) for kind, drawn in of_kind.items()})
    return shares


def _contributions(normal: np.ndarray, changed: np.ndarray) -> np.ndarray:
    """Share [N] of the AUROC that each image has, from the scores of the images [N] and of what each draw made of
    them [D, N]: their mean is the AUROC over all draws, their spread its error (the structural components of DeLong
    et al. 1988, added up for each image with what was made of it)."""
    above = ((changed[:, None] > normal[:, None]) + 0.5 * (changed[:, None] == normal[:, None])).mean(0)
    return above.mean(1) + above.mean(0) - above.mean()


def chosen_mix(table: pd.DataFrame) -> str:
    """The kind of score that a table of `choose_mix` or `as_given` names."""
    return str(table.loc[table["chosen"], "mix"].iloc[0])


def measure_with(restorer: Restorer, statistics: ResidualStatistics, batch_size: int) -> Measure:
    """How `choose_mix` measures images with these networks; of the statistics only what is expected is fitted anew, for
    no mix has a term of the map."""

    def measure(fitted_on: np.ndarray, sets: list[np.ndarray]) -> list[pd.DataFrame]:
        remembering = restorer.remembering()
        expected = fit_expectations(fitted_on, remembering, statistics.training_set, batch_size)
        fitted = replace(statistics, expectations=expected).to(restorer.device)
        return [residual_terms(images, remembering, fitted, batch_size) for images in sets]

    return measure


def as_given(score: str) -> pd.DataFrame:
    """The table of `choose_mix` where nothing is left to choose."""
    return pd.DataFrame({"mix": [score], "made_up_auroc": [float("nan")], "chosen": [True]})
