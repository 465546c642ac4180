"""From every image's score to the table, its summary and the comparison of methods."""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.metrics import average_precision_score, roc_curve

from fanogan_pipeline.benchmark.auroc import Ranked, holm, paired_difference, resampled_weights, two_sided
from fanogan_pipeline.detection.evaluation import auroc_with_interval
from fanogan_pipeline.detection.scoring import conformal_threshold

OURS = "f_anogan"
CELL = ["normal_class", "seed"]
RATES = (0.01, 0.05)  # false-alarm rates that recall is told at


def benchmark_table(scores: pd.DataFrame, confidence: float) -> pd.DataFrame:
    """A row per class, method and seed.

    Args:
        scores: of all cells, see `cells.run_cell`.
        confidence: of the AUROC's interval.

    Returns:
        `normal_class, seed, method, auroc, ci_low, ci_high, average_precision, prevalence`; for each of `RATES`, in
        percent, `recall_at_R` (read off the test images' own ROC curve) and, at the threshold that the calibration
        images give, `promised_R`, `false_alarms_R`, `recall_R`; `n_normal, n_anomalous, n_calibration, fit_seconds,
        score_seconds, detail`.
    """
    keys = [*CELL, "method"]
    rows = [
        dict(zip(keys, key, strict=True)) | _quality(group, confidence)
        for key, group in scores.groupby(keys, sort=False, observed=True)
    ]
    return pd.DataFrame(rows)


def _quality(group: pd.DataFrame, confidence: float) -> dict[str, float | int | str]:
    test, calibration = group[group["part"] == "test"], group.loc[group["part"] == "calibration", "score"].to_numpy()
    values, truth = test["score"].to_numpy(np.float64), test["is_anomaly"].to_numpy(bool)
    auroc, low, high = auroc_with_interval(values, truth, confidence)
    row: dict[str, float | int | str] = {"auroc": auroc, "ci_low": low, "ci_high": high}
    row |= {"average_precision": float(average_precision_score(truth, values)), "prevalence": float(truth.mean())}
    false_alarms, recall, _ = roc_curve(truth, values, drop_intermediate=False)
    for rate in RATES:
        threshold, promised = conformal_threshold(calibration, rate)
        flagged, percent = values > threshold, f"{100 * rate:g}"
        row[f"recall_at_{percent}"] = float(recall[false_alarms <= rate].max())
        row |= {f"promised_{percent}": promised, f"false_alarms_{percent}": float(flagged[~truth].mean())}
        row[f"recall_{percent}"] = float(flagged[truth].mean())
    row |= {"n_normal": int((~truth).sum()), "n_anomalous": int(truth.sum()), "n_calibration": len(calibration)}
    first = group.iloc[0]
    return row | {name: first[name] for name in ("fit_seconds", "score_seconds", "detail")}


def summary(table: pd.DataFrame, scores: pd.DataFrame, resamples: int, seed: int, confidence: float) -> pd.DataFrame:
    """A row per method: means over classes and seeds, with two spreads of the mean AUROC kept apart.

    The test images are shared by all classes, so their sampling error is taken over whole tables at once: images
    are drawn again within their label, the same draw for every class, seed and method. Where each seed tests other
    normal images, a sample may hold none of a cell's; that cell is left out of the sample's mean.

    Args:
        table: of `benchmark_table`.
        scores: what it was made of.
        resamples: bootstrap samples of the test images.
        seed: of the samples.
        confidence: of the interval of `difference`.

    Returns:
        `method, auroc, test_spread` (standard deviation over samples of the test images), `seed_spread` (over
        seeds of the mean over classes; NaN with one seed), the means of the table's other numbers, and against
        `f_anogan`, where it was run: `difference` (its AUROC less the method's), `difference_low`, `difference_high`,
        `p_value` (normal, two-sided) and `p_holm` (corrected over whole other methods; NaN for the rest), all of which
        hold for these trainings and other test images, and `difference_seed_spread` (over seeds); best first.
    """
    samples = resampled_means(scores, resamples, seed)
    means = table.groupby("method", sort=False).mean(numeric_only=True).drop(columns=["seed", "ci_low", "ci_high"])
    by_seed = table.pivot_table("auroc", "seed", "method", observed=True)
    found = means.assign(test_spread=samples.std(ddof=1), seed_spread=by_seed.std(ddof=1))
    if OURS in found.index:
        ahead = by_seed.rsub(by_seed[OURS], axis="index")
        found = found.join(_against(samples, means["auroc"], confidence))
        found["difference_seed_spread"] = ahead.std(ddof=1)
    first = ["auroc", "test_spread", "seed_spread"]
    ordered = found[[*first, *(name for name in found if name not in first)]]
    return ordered.sort_values("auroc", ascending=False).rename_axis("method").reset_index()


def resampled_means(scores: pd.DataFrame, resamples: int, seed: int) -> pd.DataFrame:
    """Mean AUROC over classes and seeds of each method (columns) in each bootstrap sample (rows)."""
    test = scores[scores["part"] == "test"]
    known = test[["image_id", "label"]].drop_duplicates("image_id")
    number = pd.Series(np.arange(len(known)), index=known["image_id"].to_numpy())
    weights = resampled_weights(known["label"].to_numpy(str), resamples, seed)
    cells: dict[str, list[np.ndarray]] = {}
    for (*_, method), group in test.groupby([*CELL, "method"], sort=False, observed=True):
        images = number.loc[group["image_id"].to_numpy()].to_numpy()
        ranked = Ranked.of(group["score"].to_numpy(np.float64), group["is_anomaly"].to_numpy(bool), images)
        cells.setdefault(method, []).append(np.array([ranked.auroc(sample) for sample in weights]))
    return pd.DataFrame({method: pd.DataFrame(found).mean() for method, found in cells.items()})


def _against(samples: pd.DataFrame, auroc: pd.Series, confidence: float) -> pd.DataFrame:
    """f-AnoGAN less each other method, paired on the same samples."""
    tail = (1 - confidence) / 2
    rows = []
    for method in auroc.index:
        differences = samples[OURS] - samples[method]
        spread = differences.std(ddof=1)
        difference = auroc[OURS] - auroc[method]
        low, high = differences.quantile([tail, 1 - tail])
        p_value = two_sided(difference / spread) if spread else float(difference == 0)
        rows.append((method, difference, low, high, p_value))
    names = ["method", "difference", "difference_low", "difference_high", "p_value"]
    found = pd.DataFrame(rows, columns=names).set_index("method")
    others = (found.index != OURS) & ~found.index.str.contains(":")
    found.loc[others, "p_holm"] = holm(found.loc[others, "p_value"].to_numpy())
    return found


def comparisons(scores: pd.DataFrame) -> pd.DataFrame:
    """f-AnoGAN against each other whole method, class by class and seed by seed, on the same test images.

    Returns:
        `normal_class, seed, method, difference` (f-AnoGAN's AUROC less the method's), `p_value` (DeLong, two-sided)
        and `p_holm` (corrected over the whole table); no rows of cells without `f_anogan` or with fewer than two test
        images of a kind.
    """
    test = scores[(scores["part"] == "test") & ~scores["method"].str.contains(":")]
    rows = []
    for (name, seed), cell in test.groupby(CELL, sort=False, observed=True):
        wide = cell.pivot(index="image_id", columns="method", values="score")
        truth = cell.drop_duplicates("image_id").set_index("image_id").loc[wide.index, "is_anomaly"].to_numpy(bool)
        if OURS not in wide or min(truth.sum(), (~truth).sum()) < 2:
            continue
        for method in wide.columns.drop(OURS):
            difference, p_value = paired_difference(wide[OURS].to_numpy(), wide[method].to_numpy(), truth)
            rows.append((name, seed, method, difference, p_value))
    kinds = {"normal_class": str, "seed": int, "method": str, "difference": float, "p_value": float}
    found = pd.DataFrame(rows, columns=list(kinds)).astype(kinds)
    return found.assign(p_holm=holm(found["p_value"].to_numpy()))
