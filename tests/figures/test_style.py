"""Figures can be read by the colour-blind and in grey print."""

from __future__ import annotations

import io
import itertools

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from tests.by_hand import eight_verdicts
from tests.figures.test_drawn import grey

from fanogan_pipeline import figures
from fanogan_pipeline.errors import InputError
from fanogan_pipeline.figures import refinement_curve, score_boxplot, score_histogram, style

# linear RGB as people without one kind of cone see it (Machado, Oliveira and Fernandes 2009, severity 1)
EYES = {
    "every cone": np.eye(3),
    "no red": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "no green": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "no blue": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
APART = 15  # units of CIELAB; about 2 can just be told apart side by side


def lab(colour: str, eye: str) -> np.ndarray:
    """CIELAB of a colour as an eye sees it."""
    rgb = np.array(to_rgb(colour))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(np.asarray(EYES[eye]) @ linear, 0, 1)
    xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]) @ seen
    f = np.cbrt(np.maximum(xyz / (0.9505, 1, 1.089), 1e-9))
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("eye", EYES)
def test_no_two_colours_look_alike(eye: str) -> None:
    colours = (style.BLUE, style.VERMILION, style.ORANGE, style.SKY, style.BLACK, style.GREY)
    for one, other in itertools.combinations(colours, 2):
        assert np.linalg.norm(lab(one, eye) - lab(other, eye)) > APART, (one, other)


def test_the_measure_finds_red_and_green_alike_where_they_are() -> None:
    red, green = "#D62728", "#7F7F00"
    assert np.linalg.norm(lab(red, "every cone") - lab(green, "every cone")) > 3 * APART
    assert np.linalg.norm(lab(red, "no green") - lab(green, "no green")) < APART


@pytest.fixture
def scores() -> pd.DataFrame:
    score = np.r_[np.random.default_rng(0).normal(size=60), np.random.default_rng(1).normal(4, size=60)]
    truth = np.repeat([False, True], 60)
    return pd.DataFrame(
        {"score": score, "is_anomaly": truth, "is_flagged": score > 2, "label": np.where(truth, "b", "a")}
    )


def hatched(axis: Axes) -> set[str]:
    """The fills of an axes that are hatched."""
    return {to_hex(patch.get_facecolor()).upper() for patch in axis.patches if patch.get_hatch()}


def test_what_is_anomalous_is_hatched(scores: pd.DataFrame) -> None:
    upper, lower = score_histogram(scores, scores[:60], 2.0).axes
    assert hatched(upper) == set()
    assert hatched(lower) == {style.ORANGE}
    boxes = score_boxplot(scores, 2.0, 3.0, ["a"]).axes[0]
    assert style.SKY not in hatched(boxes)
    assert hatched(boxes)


def lines(figure: Figure) -> list[tuple]:
    return [(line.get_linestyle(), line.get_marker()) for line in figure.axes[0].lines if line.get_marker() in "os"]


def test_lines_of_one_axes_differ_in_more_than_colour() -> None:
    rows = [("encoder", 0), ("encoder", 8), ("iterative", 8), ("iterative", 64)]
    table = pd.DataFrame(rows, columns=["method", "steps"]).assign(
        auroc=0.9, ci_low=0.8, ci_high=0.95, seconds=[1.0, 2.0, 2.0, 9.0], images=10
    )
    looks = lines(refinement_curve(table, 0.95))
    assert len(looks) == len(set(looks)) == 2


@pytest.mark.parametrize(("height", "width"), [(28, 28), (96, 32), (256, 16), (32, 96)])
def test_captions_stay_apart_and_figures_of_a_size_whatever_the_shape_of_pictures(height, width):
    images = grey(np.arange(8), height, width)
    names = [f"test/scratched/{k:04}.png" for k in range(8)]
    for figure in (
        figures.restoration(images, images, names),
        figures.heatmap_gallery(images, images, images[:, 0], None, names, np.arange(8), 9.0),
    ):
        assert figure.get_size_inches()[1] < 14
        figure.draw_without_rendering()
        boxes = [text.get_window_extent() for text in figure.axes[0].texts]
        assert all(one.x1 < other.x0 for one, other in itertools.pairwise(boxes))


@pytest.mark.parametrize("name", ["cost_$5_$6", r"a$\foo$"])
def test_dollars_in_names_are_drawn_as_they_are(name):
    images = grey([1, 2])
    verdicts = eight_verdicts().assign(label=name)
    table = pd.DataFrame({"normal_class": [name], "method": "pca", "auroc": 0.9})
    for figure, drawn in (
        (figures.score_boxplot(verdicts, 1.0, 2.0, [name]), f"{name} (8)"),
        (figures.restoration(images, images, [name] * 2), name),
        (figures.heatmap_gallery(images, images, images[:, 0], None, [name] * 2, [1, 2], 9.0), f"{name}\nscore 1.00"),
        (figures.benchmark_aurocs(table), name),
    ):
        buffer = io.StringIO()
        with matplotlib.rc_context({"svg.fonttype": "none"}):
            figure.savefig(buffer, format="svg")
        for line_of_text in drawn.splitlines():
            assert f">{line_of_text}</text>" in buffer.getvalue()


def test_long_names_that_differ_at_one_end_stay_apart():
    names = [
        "a_very_long_class_name_number_one",
        "a_very_long_class_name_number_two",
        "not_a_long_class_name_number_two",
    ]
    cut = [style.short(name) for name in names]
    assert len(set(cut)) == 3
    assert {len(name) for name in cut} == {style.LONGEST_LABEL}


def test_a_way_that_was_measured_with_no_steps_is_not_in_the_legend():
    row = {"method": "encoder", "steps": 5, "auroc": 0.9, "ci_low": 0.8, "ci_high": 0.95, "seconds": 1.0, "images": 10}
    (legend,) = [axis.get_legend() for axis in figures.refinement_curve(pd.DataFrame([row]), 0.95).axes]
    assert [text.get_text() for text in legend.get_texts()] == ["gradient steps from E(x) (f-AnoGAN)"]


@pytest.mark.parametrize(
    ("draw", "name", "mend"),
    [
        (figures.roc_curve, "test_scores", "scoring"),
        (figures.benchmark_aurocs, "benchmark_table", "benchmark"),
        (figures.wgan_curves, "wgan_history", "wgan"),
        (figures.encoder_curves, "encoder_history", "encoder"),
    ],
)
def test_a_table_that_lacks_a_column_is_named_with_what_makes_it_anew(draw, name, mend):
    with pytest.raises(InputError, match=rf"^{name}: found columns \['a'\], expected \w+ .* {mend} pipeline again"):
        draw(pd.DataFrame({"a": [1]}))
