"""The words and numbers of the report."""

from __future__ import annotations

import io
import re
import sys
from html import unescape
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
import yaml
from kedro.framework.project import configure_project, pipelines
from PIL import Image
from tests.compute import scenes
from tests.project import ROOT
from tests.test_contract import configuration

from fanogan_pipeline.datasets import FigureDataset
from fanogan_pipeline.detection.picture_maps import Pooling, picture_terms
from fanogan_pipeline.detection.scoring import MAP_MIXES, MIXES, fit_rule
from fanogan_pipeline.detection.statistics import ResidualStatistics
from fanogan_pipeline.figures import (
    encoder_curves,
    figure_text,
    render_report,
    report_notes,
    report_text,
    style,
    summary_table,
)
from fanogan_pipeline.pipelines.reporting.nodes import FIGURES

METRICS = {
    **{"auroc": 0.9, "auroc_ci_low": 0.8, "auroc_ci_high": 0.95, "average_precision": 0.9, "prevalence": 0.5},
    **{"threshold": 1.0, "promised_false_alarm_rate": 0.05, "n_normal": 20, "n_anomalous": 20, "n_calibration": 19},
    **{"false_alarm_rate": 0.05, "recall": 0.8, "three_sigma_threshold": 2.0},
    **{"three_sigma_false_alarm_rate": 0.0, "three_sigma_recall": 0.7},
}
PIXELS = {
    **{"pixel_auroc": 0.9512, "aupro": 0.8123, "dice": 0.4123, "dice_best": 0.6123},
    **{"pixel_threshold": 3.25, "n_regions": 17},
}
NO_PIXELS = {**dict.fromkeys(PIXELS), "pixel_threshold": 3.25, "n_regions": 0}
NAMES = ("pixel AUROC", "AUPRO", "Dice at the calibrated threshold", "best Dice")


RULE = {"weight": {"image_residual": 1.0}, "centre": {"image_residual": 0.0}, "scale": {"image_residual": 1.0}}
FACTS = {
    "normal_classes": ["1"],
    "sets": {"train_set": {"images": 40, "anomalous": 0}},
    "rule": RULE | {"logarithmic": False},
    "search": ("encoder", 0),
    "digests": {"detector": "0" * 64},
}
NO_CLASSES = pd.DataFrame(columns=["label", "is_anomaly", "share"])


def page(metrics: dict) -> str:
    return render_report("title", metrics, NO_CLASSES, {}, {}, FACTS)


def rows(html: str, title: str) -> list[list[str]]:
    """The cells of all tables of a section, row by row."""
    found = html.split(f"{title}</h2>")[1].split("</section>")[0]
    cells = (re.findall("<td.*?>(.*?)</td>", row) for row in re.findall("<tr.*?</tr>", found))
    return [[unescape(cell) for cell in row] for row in cells if row]


def png(width: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("L", (width, 10)).save(buffer, "png")
    return buffer.getvalue()


def section(html: str) -> str:
    return html.split("Where: residual maps against the masks</h2>")[1].split("</section>")[0]


def test_with_masks_the_report_shows_the_pixel_numbers_with_what_they_mean():
    found = section(page(METRICS | PIXELS))
    assert "17 defects" in found
    assert "above 3.25" in found
    for name, value in zip(NAMES, ("0.9512", "0.8123", "0.4123", "0.6123"), strict=True):
        row = next(row for row in found.split("<tr>") if f"<td>{name}</td>" in row)
        assert value in row
        assert len(row) > 150  # words on what it means
    assert "upper bound" in found


def test_without_masks_nothing_is_said_of_pixels():
    html = page(METRICS | NO_PIXELS)
    assert "against the masks" not in html
    assert "Pixel by pixel" not in html
    assert "AUPRO" not in summary_table(METRICS | NO_PIXELS, "report.html", 0.95)


def test_the_table_at_the_end_of_a_run_holds_them_within_its_width():
    lines = summary_table(METRICS | PIXELS, "report.html", 0.95).splitlines()
    assert any("0.9512, 0.8123" in line for line in lines)
    assert any("0.4123 at the calibrated threshold, 0.6123 at best" in line for line in lines)
    assert max(map(len, lines)) <= 80


def test_long_words_in_that_table_go_on_in_the_next_line():
    close = {"auroc": 0.99996, "auroc_ci_low": 0.99995, "auroc_ci_high": 0.99999}
    lines = summary_table(METRICS | NO_PIXELS | close, "report.html", 0.95).splitlines()
    assert max(map(len, lines)) <= 80
    said = " ".join(line.strip("│ ") for line in lines)
    assert "95% interval above 0.9999 to above 0.9999)" in " ".join(said.split())


def test_what_was_not_measured_is_not_talked_of():
    good_only = dict.fromkeys(("auroc", "recall", "three_sigma_recall")) | {"n_anomalous": 0}
    told = " ".join(report_text.verdict(METRICS | NO_PIXELS | good_only, 0.95))
    assert "It really flagged" in told
    assert "not measured of" not in told


def test_where_calibration_images_are_of_groups_chance_explains_nothing_and_the_promise_is_theirs_alone():
    alone = report_text.verdict(METRICS | {"n_calibration_groups": None}, 0.95)[1]
    assert "in keeping with the promise" in alone
    for rate in (0.0, 0.05, 1.0):
        told = report_text.verdict(METRICS | {"n_calibration_groups": 6, "false_alarm_rate": rate}, 0.95)[1]
        assert "19 normal images of 6 groups kept apart" in told
        assert "new normal images of these groups are flagged" in told
        assert "chance" not in told
        assert f"Measured on the 20 normal test images: {report_text.percent(rate)}" in told


def test_with_groups_intervals_are_said_to_be_too_narrow():
    assert "too narrow" not in " ".join(report_text.verdict(METRICS | {"n_calibration_groups": None}, 0.95))
    assert "the intervals are too narrow" in page(METRICS | {"n_calibration_groups": 6})


def test_with_groups_a_p_value_is_said_to_hold_for_images_of_these():
    told = "hold for images of the very groups that the calibration images are of"
    assert told not in page(METRICS)
    assert told in page(METRICS | {"n_calibration_groups": 6})


@pytest.mark.parametrize(
    ("search", "told"),
    [
        (("encoder", 0), "<p>The encoder E finds for an image x the latent vector from which"),
        (
            ("encoder", 12),
            "<p>The encoder E finds, and 12 gradient steps improve, for an image x the latent vector from",
        ),
        (
            ("iterative", 500),
            "<p>For an image x, 500 gradient steps from a random start look for the latent vector from",
        ),
    ],
)
def test_the_report_says_how_z_is_found(search, told):
    assert told in render_report("title", METRICS, NO_CLASSES, {}, {}, FACTS | {"search": search})


@pytest.mark.parametrize(("confidence", "level"), [(0.95, "95"), (0.5, "50"), (0.975, "97.5")])
def test_a_rate_is_compared_with_what_chance_brings_in_so_many_runs_and_proves_nothing(confidence, level):
    many = METRICS | {"n_calibration": 999, "n_normal": 1000}
    low, high = report_text.in_keeping(0.05, 999, 1000, confidence)
    band = f"chance alone brings in {level} of 100 runs ({style.percent(low)} to {style.percent(high)})"
    for rate, words in (
        (high + 0.001, f"more than {band}: the normal test images may differ"),
        (low - 0.001, f"less than {band}: the threshold may be more careful"),
        (low, f"in keeping with the promise: with so many images it is what {band}."),
        (high, f"in keeping with the promise: with so many images it is what {band}."),
    ):
        assert words in report_text.verdict(many | {"false_alarm_rate": rate}, confidence)[1]


def test_shares_that_are_told_are_those_of_so_many_calibration_images():
    assert report_text.beyond_three_sigma(40) == pytest.approx(0.0026, abs=1e-4)
    assert report_text.beyond_three_sigma(10**6) == pytest.approx(0.00135, abs=1e-5)
    assert "of 1,000 normal images, about\n50 have a p-value of 0.0500 or less" in page(METRICS | NO_PIXELS)
    assert "10 have a p-value of 0.00998 or less" in page(METRICS | NO_PIXELS | {"n_calibration": 600})
    assert "7 have a p-value of 0.00662 or less" in page(METRICS | NO_PIXELS | {"n_calibration": 150})


def test_the_rule_of_the_score_stands_with_its_terms_as_it_is():
    plain = rows(page(METRICS), "How to read a score")
    assert plain == [["image_residual", "difference of the image from its restoration", "1.00", "0", "1.00"]]
    assert "v is the term's value." in page(METRICS)
    rule = {"weight": {"a": 0.5, "b": 2.0}, "centre": {"a": -1.0, "b": 3.0}, "scale": {"a": 0.25, "b": 4.0}}
    html = render_report("title", METRICS, NO_CLASSES, {}, {}, FACTS | {"rule": rule | {"logarithmic": True}})
    assert rows(html, "How to read a score") == [
        ["a", "", "0.500", "-1.00", "0.250"],
        ["b", "", "2.00", "3.00", "4.00"],
    ]
    assert "v is the term's logarithm." in html


def test_each_term_that_a_score_may_be_made_of_is_told_in_words():
    selection, restorer, models = scenes.scene(tiled=False)
    statistics = ResidualStatistics.from_checkpoint(models["residual_statistics"])
    pooling = Pooling("mean", 1.0, 1.0)
    terms = picture_terms(selection.images, None, restorer, statistics, 16, pooling, with_map=True)
    rules = [fit_rule(kind, 1.0, terms) for kind in (*MIXES, *MAP_MIXES, "standardised", "article", "image")]
    assert set(report_notes.TERMS) == {name for rule in rules for name in rule.weight}


def test_nothing_is_said_of_missed_images_where_there_are_none():
    assert "(recall); the others it missed." in page(METRICS)
    assert "(recall)." in page(METRICS | {"recall": 1.0})


def test_nothing_is_rounded_to_perfection_nor_a_small_share_to_none():
    close = METRICS | {"auroc": 0.9999996, "prevalence": 2e-5}
    html = page(close)
    numbers = dict(rows(html, "Numbers, parameters and digests"))
    assert (numbers["auroc"], numbers["recall"]) == ("above 0.9999", "0.8")
    assert dict(rows(page(METRICS | {"recall": 1.0}), "Numbers, parameters and digests"))["recall"] == "1"
    assert "guessing would reach below 0.01\N{NO-BREAK SPACE}%" in html
    assert [style.percent(share) for share in (0.99995, 0.99994)] == ["above 99.99 %", "99.99 %"]
    note = {"title": "Choice", "text": "", "table": pd.DataFrame({"mean": [0.99996, 1.0], "lead": [0.0, -0.00123456]})}
    html = render_report("title", METRICS, NO_CLASSES, {}, {}, FACTS, [note])
    assert rows(html, "Choice") == [["above 0.9999", "0.0000"], ["1.0000", "-0.0012"]]


def test_parameters_stand_as_a_file_of_parameters_has_them():
    parameters = {"seed": 20261126, "rate": 0.0001, "on": True, "none": None, "title": "a, b", "classes": ["1", "a, b"]}
    parameters |= {"poses": [[-15.0, 0.0]], "shape": [1024, 1024], "empty": []}
    html = render_report(
        "title", METRICS, NO_CLASSES, {}, {f"group.{name}": value for name, value in parameters.items()}, FACTS
    )
    found = rows(html, "Numbers, parameters and digests")
    shown = {name: value for name, value in found if name.startswith("group.")}
    assert {name.removeprefix("group."): yaml.safe_load(value) for name, value in shown.items()} == parameters


def test_curves_have_their_legend_whatever_the_objective():
    steps = np.arange(1, 201)
    history = pd.DataFrame({"step": steps, "term_izi": np.nan, "term_ziz": 1 / steps, "term_features": np.nan})
    figure = encoder_curves(history.assign(loss_encoder=1 / steps))
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["each logged step", "running mean"]


@pytest.mark.parametrize("name", NAMES)
def test_the_documentation_explains_each(name):
    assert f"| {name} |" in (ROOT / "docs/report.md").read_text()


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_names_the_stored_data_it_is_drawn_from(name):
    configure_project("fanogan_pipeline")
    catalog = configuration("catalog")
    (node,) = [node for node in pipelines["__default__"].nodes if name in node.outputs]
    drawn_from = [entry for entry in node.inputs if not entry.startswith("params:")]
    *_, data = figure_text.FIGURES[name]
    assert list(data) == drawn_from
    assert set(drawn_from) <= set(catalog)
    html = render_report("title", METRICS, NO_CLASSES, {name: png(480)}, {}, FACTS)
    caption = html.split("<figcaption>")[1].split("</figcaption>")[0]
    assert re.findall("<code>(.*?)</code>", caption) == drawn_from


def test_percentages_stay_whole_and_the_chosen_row_is_marked():
    table = pd.DataFrame({"mix": ["a", "b"], "mean": [0.5, 0.687], "chosen": [False, True]})
    note = {"title": "Choice", "text": "", "table": table, "marked": table["chosen"].tolist()}
    html = render_report("title", METRICS, NO_CLASSES, {}, {}, FACTS, [note])
    assert "80.0\N{NO-BREAK SPACE}%" in html
    assert " %" not in re.sub("<style>.*</style>", "", html, flags=re.DOTALL)
    (marked,) = re.findall('<tr class="marked">(.*?)</tr>', html)
    assert re.findall("<td.*?>(.*?)</td>", marked) == ["b", "0.6870", "yes"]


def test_a_figure_is_saved_while_another_thread_imports_pyplot(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", ModuleType("matplotlib.pyplot"))  # as far as it has come
    stored = FigureDataset(filepath=str(tmp_path / "roc_curve.png"))
    stored.save(style.new_figure(6.5, 2, "title"))
    assert stored.exists()


def test_a_figure_is_shown_as_wide_as_it_was_drawn(tmp_path: Path) -> None:
    stored = FigureDataset(filepath=str(tmp_path / "roc_curve.png"))
    stored.save(style.new_figure(6.5, 2, "title"))
    html = render_report("title", METRICS, NO_CLASSES, {"roc_curve": stored.load()}, {}, FACTS)
    assert 'style="width: 6.5in"' in html
