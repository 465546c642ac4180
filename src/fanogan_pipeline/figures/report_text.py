"""The words of the report on what its numbers say, and on whose they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from scipy import stats

from fanogan_pipeline.errors import plural
from fanogan_pipeline.figures.style import near_one, number, percent, share


def whose(groups: Sequence[str], others: Sequence[str]) -> str:
    """Whose the parameters are.

    Args:
        groups: those that are known from what the report shows.
        others: names in them that the run that made the report was given other values of.
    """
    words = (
        f"Of {', '.join(groups)}: what the split, the models and the detector were made with. Of all else: what the "
        "run that made this report was given."
    )
    return words + (f" That run was given other values of {', '.join(others)}." if others else "")


def how_z_is_found(method: str, steps: int) -> str:
    """What finds an image's latent vector: `scoring.method` and the gradient steps that it takes."""
    if method == "iterative":
        return f"For an image x, {plural(steps, 'gradient step')} from a random start look for the latent vector"
    improved = f", and {plural(steps, 'gradient step')} improve," if steps else ""
    return f"The encoder E finds{improved} for an image x the latent vector"


def rate(metrics: Mapping[str, Any], name: str) -> str:
    """A rate of `metrics` with its interval where there is one."""
    low, high = (metrics.get(f"{name}_ci_{end}") for end in ("low", "high"))
    return share(metrics, name) + ("" if low is None or high is None else f" ({percent(low)} to {percent(high)})")


def auroc(metrics: Mapping[str, Any], confidence: float) -> str:
    """AUROC with its interval, or why there is none."""
    if metrics.get("auroc") is None:
        return "not measured"
    interval = auroc_interval(metrics, confidence)
    return near_one(metrics["auroc"]) + (f" ({interval})" if interval else "")


def auroc_interval(metrics: Mapping[str, Any], confidence: float) -> str:
    """AUROC's interval, or "" where there is none."""
    low, high = metrics.get("auroc_ci_low"), metrics.get("auroc_ci_high")
    return "" if low is None or high is None else f"{100 * confidence:g}% interval {near_one(low)} to {near_one(high)}"


def in_keeping(promised: float, n_calibration: int, n_normal: int, confidence: float) -> tuple[float, float]:
    """Shares of flagged normal test images that chance alone explains where the promise holds.

    The number flagged of n_normal new exchangeable images follows a beta-binomial law (Vovk 2012;
    Bates et al. 2023, section 2): both the calibration and the test images are samples.
    """
    allowed = promised * (n_calibration + 1)
    low, high = stats.betabinom(n_normal, allowed, n_calibration + 1 - allowed).interval(confidence)
    return float(low) / n_normal, float(high) / n_normal


def verdict(metrics: Mapping[str, Any], confidence: float) -> list[str]:
    """What the numbers say, a sentence or two for each matter."""
    n_normal, n_anomalous = metrics["n_normal"], metrics["n_anomalous"]
    words = [_ranking(metrics, confidence, n_normal), _promise(metrics, n_normal, confidence)]
    if metrics.get("recall") is not None:
        words.append(
            f"The detector caught {rate(metrics, 'recall')} of {plural(n_anomalous, 'anomalous test image')} (recall)"
            f"{'; the others it missed' if metrics['recall'] < 1 else ''}."
        )
    words.append(_three_sigma(metrics))
    if metrics.get("n_calibration_groups"):
        words.append(
            "All intervals take images as independent of one another; since those of one group are alike, the "
            "intervals are too narrow."
        )
    if metrics.get("pixel_auroc") is not None:
        words.append(
            f"Pixel by pixel, the residual maps tell anomalous from normal with an AUROC of "
            f"{near_one(metrics['pixel_auroc'])}; what else the masks say stands in a table of its own below."
        )
    return words


def _ranking(metrics: Mapping[str, Any], confidence: float, n_normal: int) -> str:
    if metrics.get("auroc") is None:
        lacking = "normal" if not n_normal else "anomalous"
        return f"AUROC was not measured: the test set holds no {lacking} images."
    return (
        f"AUROC is {auroc(metrics, confidence)}: that is the chance that a random anomalous test image scores "
        f"higher than a random normal one. Average precision is {near_one(metrics['average_precision'])}, where "
        f"guessing would reach {percent(metrics['prevalence'])}, the share of anomalous images in the test set."
    )


def _promise(metrics: Mapping[str, Any], n_normal: int, confidence: float) -> str:
    promised, n_calibration = metrics["promised_false_alarm_rate"], metrics["n_calibration"]
    groups = metrics.get("n_calibration_groups")
    of_groups, of_these = (f" of {groups:,} groups", " of these groups") if groups else ("", "")
    sentence = (
        f"Images that score above {number(metrics['threshold'])} are flagged. That threshold was set on "
        f"{n_calibration:,} normal images{of_groups} kept apart from training and test, and promises that on average "
        f"at most {percent(promised)} of new normal images{of_these} are flagged."
    )
    if groups:
        sentence += " Images of one group are alike: for those of other groups this is no promise."
    measured = metrics.get("false_alarm_rate")
    if measured is None:
        return f"{sentence} The test set holds no normal images to measure it on."
    sentence += f" Measured on the {n_normal:,} normal test images: {rate(metrics, 'false_alarm_rate')}."
    if groups:
        return sentence  # test images are of other groups, for which chance has no known law
    low, high = in_keeping(promised, n_calibration, n_normal, confidence)
    chance = f"chance alone brings in {100 * confidence:g} of 100 runs ({percent(low)} to {percent(high)})"
    if measured > high:
        return (
            f"{sentence} That is more than {chance}: the normal test images may differ from those that the threshold "
            "was set on."
        )
    if measured < low:
        return f"{sentence} That is less than {chance}: the threshold may be more careful than it need be."
    return f"{sentence} That is in keeping with the promise: with so many images it is what {chance}."


def _three_sigma(metrics: Mapping[str, Any]) -> str:
    measured = [
        f"{rate(metrics, f'three_sigma_{name}')} of the {kind} {noun}"
        for name, kind, noun in (("false_alarm_rate", "normal", "test images"), ("recall", "anomalous", "ones"))
        if metrics.get(f"three_sigma_{name}") is not None
    ]
    return (
        f"The customary boundary, mean + 3 standard deviations of the calibration scores "
        f"({number(metrics['three_sigma_threshold'])}), promises nothing unless scores follow a normal law, under "
        f"which it would flag {percent(beyond_three_sigma(metrics['n_calibration']))} of normal images. "
        f"It really flagged {' and '.join(measured) or 'nothing that the test set holds'}."
    )


def beyond_three_sigma(n: int) -> float:
    """Share of a normal law above mean + 3 standard deviations of n draws: Student's law, for both are estimates."""
    return float(stats.t.sf(3 / (1 + 1 / n) ** 0.5, n - 1))
