"""Further sections of a report: a title, a paragraph and a table each."""

from __future__ import annotations

from typing import Any

import pandas as pd

CHOICE = (
    "Which terms are summed was chosen by how well each mix tells synthetic anomalies (boxes moved, blanked, pasted or "
    "turned, images joined or warped) from normal images that were kept apart: an AUROC for each kind, then their mean "
    "and its lead over the first mix, which is kept unless another leads it by more than two standard errors. No label "
    "and no test image had a say."
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
    text = CHOICE if len(choice) > 1 else GIVEN
    return {"title": "What the score is made of", "text": text, "table": table, "marked": choice["chosen"].tolist()}


def search_note(quality: pd.DataFrame) -> dict[str, Any]:
    """What searching for z brought: a row for each way."""
    return {"title": "Searching for a better z", "text": REFINEMENT, "table": quality}
