"""What a run prints at its end."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from fanogan_pipeline.figures import report_text as text
from fanogan_pipeline.figures.style import near_one, number, percent, share

WIDTH = 80


def summary_table(metrics: Mapping[str, Any], report_path: str | None, confidence: float) -> str:
    """The run's numbers as a table in plain text, at most 80 columns wide, without colour.

    Args:
        metrics: as for the report; values may be None.
        report_path: where the report lies; stands unbroken on the last line. None: there is no such line.
        confidence: of the interval of AUROC.
    """
    n_normal, n_anomalous = metrics["n_normal"], metrics["n_anomalous"]
    rows = [
        ("AUROC", text.auroc(metrics, confidence)),
        ("threshold", number(metrics["threshold"])),
        ("false alarms promised", f"at most {share(metrics, 'promised_false_alarm_rate')}"),
        ("false alarms measured", _of(share(metrics, "false_alarm_rate"), n_normal, "normal")),
        ("recall", _of(share(metrics, "recall"), n_anomalous, "anomalous")),
        (
            "mean + 3 sigma",
            f"{number(metrics['three_sigma_threshold'])}: false alarms "
            f"{share(metrics, 'three_sigma_false_alarm_rate')}, recall {share(metrics, 'three_sigma_recall')}",
        ),
    ]
    if metrics.get("pixel_auroc") is not None:
        rows.append(("pixel AUROC, AUPRO", f"{near_one(metrics['pixel_auroc'])}, {near_one(metrics['aupro'])}"))
        dice = f"{near_one(metrics['dice'])} at the calibrated threshold, {near_one(metrics['dice_best'])} at best"
        rows.append(("Dice of the maps", dice))
    return "\n".join([*_boxed(rows), *([f"report: {report_path}"] if report_path else [])])


def verdict_summary(summary: Mapping[str, Any], paths: Mapping[str, str]) -> str:
    """What was made of new pictures, as a table in plain text.

    Args:
        summary: `pictures`, `flagged`, `skipped`, `promised_false_alarm_rate`, `calibration_groups` (None: there are
            none), `false_discovery_rate`, `drifted`.
        paths: where things lie, by what they are; each stands unbroken on a line of its own.
    """
    pictures, skipped = summary["pictures"], len(summary["skipped"])
    rows = [
        ("pictures judged", f"{pictures:,}"),
        ("judged anomalous", f"{summary['flagged']:,} ({percent(summary['flagged'] / pictures)})"),
        ("false alarms", _promise_of(summary)),
        ("not judged", f"{skipped:,}, with the reason in the list" if skipped else "none"),
    ]
    if summary["drifted"]:
        rows.append(("careful", "these pictures are not like the calibration set's: see the warning above"))
    return "\n".join([*_boxed(rows), *(f"{name}: {path}" for name, path in paths.items())])


def _promise_of(summary: Mapping[str, Any]) -> str:
    of_others = ""
    if groups := summary["calibration_groups"]:
        of_others = f"; no promise for groups other than the {groups:,} of the calibration set"
    if (rate := summary["false_discovery_rate"]) is not None:
        return f"at most {percent(rate)} of those judged anomalous, on average{of_others}"
    return f"at most {percent(summary['promised_false_alarm_rate'])} of normal pictures, on average{of_others}"


def _boxed(rows: Sequence[tuple[str, str]]) -> list[str]:
    """Names and words in a frame of at most `WIDTH` columns, line by line."""
    left = max(len(name) for name, _ in rows)
    right = min(max(len(words) for _, words in rows), WIDTH - left - 7)
    lines = [f"┌{'─' * (left + 2)}┬{'─' * (right + 2)}┐"]
    for name, words in rows:
        for place, line in enumerate(textwrap.wrap(words, right)):
            lines.append(f"│ {name if place == 0 else '':<{left}} │ {line:<{right}} │")
    return [*lines, f"└{'─' * (left + 2)}┴{'─' * (right + 2)}┘"]


def _of(rate: str, count: int, kind: str) -> str:
    return f"{rate} of {count:,} {kind} test images" if count else f"not measured: no {kind} test images"
