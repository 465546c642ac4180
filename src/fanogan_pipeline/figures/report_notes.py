"""Further sections of a report: a title, a paragraph and a table each."""

from __future__ import annotations

from typing import Any

import pandas as pd

_AS_LIVELY = "over what a normal image as lively has"
# What each term of a score measures, by the name that it has in detection/residuals.py or picture_maps.py.
TERMS = {
    "image_residual": "difference of the image from its restoration",
    "feature_residual": "the same in the critic's deepest layer",
    "latent_residual": "difference of the latent vector from E of the restoration",
    "tolerant_residual": "difference from the restoration that a shift by a pixel does not explain",
    "neighbour_ratio_early": "distance from the three nearest training images, as the encoder's first stage sees them, "
    f"{_AS_LIVELY}",
    "neighbour_ratio_late": f"the same as the encoder's last stage sees them, {_AS_LIVELY}",
    "feature_ratio": f"how unusual the difference from the restoration is in the critic's deepest layer, {_AS_LIVELY}",
    "map_residual": "the worst places of the residual map",
    "map_contrast": "the same, over the map's median",
}
TITLE = "What the score is made of"
CHOICE = (
    "Which terms are summed was chosen by how well each mix tells synthetic anomalies (boxes moved, blanked, pasted or "
    "turned, images joined, warped or rippled) from normal images that were kept apart: an AUROC for each kind, then "
    "their mean and its lead over the first mix with the lead's standard error. The first is kept unless another leads "
    "it by more than two of these. No label and no test image had a say."
)
GIVEN = (
    "Nothing was left to choose: the parameter scoring.score names the score, or the selection images are of too few "
    "groups to choose by."
)
REFINEMENT = (
    "z is E(x), or is improved from there by gradient steps (encoder), or is searched from a random start as AnoGAN "
    "does (iterative). Each way has residual statistics and a rule of its own, fitted on the same selection images; "
    "all else is the detector's. Times are of this machine."
)


def score_note(choice: pd.DataFrame) -> dict[str, Any]:
    """What the score was chosen from: `choice.choose_mix`'s table, or a row of `choice.as_given`."""
    table = choice.rename(columns={"made_up_auroc": "mean", "standard_error": "error"})
    table["mix"] = table["mix"].str.replace("_", " ")  # long names that a line may end in
    if len(choice) == 1:
        return {"title": TITLE, "text": GIVEN, "table": table[["mix"]]}
    return {"title": TITLE, "text": CHOICE, "table": table, "marked": choice["chosen"].tolist()}


def search_note(quality: pd.DataFrame) -> dict[str, Any]:
    """What searching for z brought: a row for each way."""
    return {"title": "Searching for a better z", "text": REFINEMENT, "table": quality}
