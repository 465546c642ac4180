"""The report: figures, numbers and parameters in one HTML file that needs nothing else."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jinja2
import numpy as np
import pandas as pd
from PIL import Image

from fanogan_pipeline.figures import figure_text
from fanogan_pipeline.figures import report_text as text
from fanogan_pipeline.figures.pixel_text import pixel_note
from fanogan_pipeline.figures.report_notes import TERMS
from fanogan_pipeline.figures.report_template import TEMPLATE
from fanogan_pipeline.figures.style import DPI, near_one, number, percent, share


@dataclass(frozen=True)
class Rows:
    """A table as the template takes it: cells of text; numeric columns stand on the right, marked rows are shaded."""

    head: Sequence[str]
    body: Sequence[Sequence[str]]
    numeric: Sequence[bool]
    marked: Sequence[bool] = ()


def render_report(
    title: str,
    metrics: Mapping[str, Any],
    per_class: pd.DataFrame,
    figures: Mapping[str, bytes],
    parameters: Mapping[str, Any],
    facts: Mapping[str, Any],
    notes: Sequence[Mapping[str, Any]] = (),
    whose: str = "",
    confidence: float = 0.95,
) -> str:
    """The report as HTML: self-contained, without scripts or references, everything escaped.

    Args:
        title: heading of the report.
        metrics: the numbers of `detection.evaluation.evaluate`; values may be None.
        per_class: table of `detection.evaluation.per_class`.
        figures: name -> bytes of a PNG; known names come first, each with words on how to read it.
        parameters: all parameters by their dotted names.
        facts: `normal_classes` (list), `sets` (name -> a mapping with `images` and `anomalous`, `train_set`
            among them), `rule` (of the score: `weight`, `centre` and `scale` of each term, and `logarithmic`),
            `search` (how z is found: `scoring.method` and its gradient steps), `digests` (name -> text).
        notes: further sections, each with `title`, `text` (a paragraph) and `table` (DataFrame, or a list
            of mappings), perhaps with `marked` (bool, a row).
        whose: parameters these are, in words.
        confidence: of the intervals in `metrics`.
    """
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, finalize=_unbroken
    )
    smallest_p = 1 / (metrics["n_calibration"] + 1)
    some_p = smallest_p * max(1, int(0.01 / smallest_p + 1e-9))  # p-values are multiples of the smallest one
    return environment.from_string(TEMPLATE).render(
        title=title,
        opening=_opening(facts, metrics),
        cards=_cards(metrics, confidence),
        verdict=text.verdict(metrics, confidence),
        sets=_sets(facts["sets"]),
        rule=_rule(facts["rule"]),
        logarithmic=facts["rule"]["logarithmic"],
        how_z_is_found=text.how_z_is_found(*facts["search"]),
        grouped=bool(metrics.get("n_calibration_groups")),
        smallest_p=number(smallest_p),
        some_p=number(some_p),
        of_a_thousand=round(1000 * some_p),
        classes=_classes(per_class),
        classes_caption=f"Share of each class above the threshold, with its exact {100 * confidence:g}% interval. For "
        "normal classes (shaded) these are false alarms. AUROC: this class against all normal test images.",
        notes=[_note(note) for note in (pixel_note(metrics), *notes) if note],
        figures=_figures(figures),
        metrics=_listed(metrics, "number", _cell),
        whose=whose,
        parameters=_listed(parameters, "parameter", _written),
        digests=_listed(facts["digests"], "digest of", str),
    )


def _unbroken(value: Any) -> Any:
    """Text in which no line ends between a number and its percent sign."""
    return value.replace(" %", "\N{NO-BREAK SPACE}%") if isinstance(value, str) else value


def _opening(facts: Mapping[str, Any], metrics: Mapping[str, Any]) -> str:
    normal = facts["normal_classes"]
    trained = (
        f"{facts['sets']['train_set']['images']:,} normal images of the normal "
        f"{'class' if len(normal) == 1 else 'classes'} {', '.join(map(str, normal))}"
    )
    tested = f"{metrics['n_normal']:,} normal and {metrics['n_anomalous']:,} anomalous images"
    return f"An f-AnoGAN detector trained on {trained}, tested on {tested}."


def _cards(metrics: Mapping[str, Any], confidence: float) -> list[dict[str, str]]:
    auroc = metrics.get("auroc")
    return [
        {
            "name": "AUROC",
            "value": "not measured" if auroc is None else near_one(auroc),
            "remark": text.auroc_interval(metrics, confidence),
        },
        {
            "name": "Anomalous images caught (recall)",
            "value": share(metrics, "recall"),
            "remark": f"of {metrics['n_anomalous']:,}, at threshold {number(metrics['threshold'])}",
        },
        {
            "name": "False alarms among normal images",
            "value": share(metrics, "false_alarm_rate"),
            "remark": f"of {metrics['n_normal']:,}; promised: at most {share(metrics, 'promised_false_alarm_rate')}",
        },
        {
            "name": "False alarms of mean + 3 sigma",
            "value": share(metrics, "three_sigma_false_alarm_rate"),
            "remark": f"with recall {share(metrics, 'three_sigma_recall')}, "
            f"at {number(metrics['three_sigma_threshold'])}",
        },
    ]


def _sets(sets: Mapping[str, Mapping[str, int]]) -> Rows:
    body = [[name.replace("_", " "), _cell(found["images"]), _cell(found["anomalous"])] for name, found in sets.items()]
    return Rows(["set", "images", "of them anomalous"], body, [False, True, True])


def _rule(rule: Mapping[str, Any]) -> Rows:
    parts = ("weight", "centre", "scale")
    body = [[term, TERMS.get(term, ""), *(number(rule[part][term]) for part in parts)] for term in rule["weight"]]
    return Rows(["term", "what it measures", *parts], body, [False, False, True, True, True])


def _classes(per_class: pd.DataFrame) -> Rows:
    head = ["class", "truth", "images", "flagged", "share flagged", "interval", "AUROC against normal"]
    body, normal = [], []
    table = per_class.sort_values(["is_anomaly", "share"], kind="stable") if len(per_class) else per_class
    for row in table.to_dict("records"):
        normal.append(not row["is_anomaly"])
        auroc = row.get("auroc")
        body.append(
            [
                str(row["label"]) or "(no label)",
                "anomalous" if row["is_anomaly"] else "normal",
                f"{row['images']:,}",
                f"{row['flagged']:,}",
                percent(row["share"]),
                f"{percent(row['ci_low'])} to {percent(row['ci_high'])}",
                "" if auroc is None or pd.isna(auroc) else near_one(auroc),
            ]
        )
    return Rows(head, body, [False, False, True, True, True, True, True], normal)


def _note(note: Mapping[str, Any]) -> dict[str, Any]:
    table = pd.DataFrame(note["table"])
    numeric = [pd.api.types.is_numeric_dtype(kind) and not pd.api.types.is_bool_dtype(kind) for kind in table.dtypes]
    columns = [_column(values) for _, values in table.items()]
    rows = Rows(list(table.columns), list(zip(*columns, strict=True)), numeric, note.get("marked", ()))
    return {"title": note["title"], "text": note["text"], "table": rows}


def _column(values: pd.Series) -> list[str]:
    """A column's cells: shares and the like to the same four decimals."""
    shares = pd.api.types.is_float_dtype(values) and values.dropna().abs().le(1).all()
    return [near_one(value) if shares and not pd.isna(value) else _cell(value) for value in values]


def _figures(figures: Mapping[str, bytes]) -> list[dict[str, Any]]:
    known = [name for name in figure_text.FIGURES if name in figures]
    drawn = []
    for name in known + [name for name in figures if name not in figure_text.FIGURES]:
        title, reading, failure, data = figure_text.figure_words(name)
        png = base64.b64encode(figures[name]).decode("ascii")
        words = {"title": title, "reading": reading, "failure": failure, "data": data}
        drawn.append({**words, "png": png, "inches": f"{_width(figures[name]) / DPI:.3g}"})
    return drawn


def _width(png: bytes) -> int:
    """Of a figure, in pixels."""
    with Image.open(io.BytesIO(png), formats=["PNG"]) as image:
        return image.width


def _listed(values: Mapping[str, Any], what: str, told: Callable[[Any], str]) -> Rows:
    return Rows([what, "value"], [[name, told(value)] for name, value in values.items()], [False, False])


def _written(value: Any) -> str:
    """A parameter as a file of parameters would have it."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _cell(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, float | np.floating):
        rounded = "" if np.isnan(value) else f"{value:.6g}"
        return near_one(float(value)) if rounded == "1" and value < 1 else rounded
    if isinstance(value, int | np.integer):
        return f"{value:,}"
    if isinstance(value, list | tuple):
        return ", ".join(_cell(part) for part in value)
    return str(value)
