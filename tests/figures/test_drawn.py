"""Figures show what they were given, at the place that their words say."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.patches import Rectangle
from sklearn.metrics import average_precision_score, roc_auc_score
from tests.by_hand import THRESHOLD, eight_verdicts

from fanogan_pipeline import figures
from fanogan_pipeline.figures import style
from fanogan_pipeline.figures.overlay import overlay

# false-alarm rate and recall as the threshold falls through the eight scores
ROC = [(0, 0), (0.2, 0), (0.2, 1 / 3), (0.2, 2 / 3), (0.4, 2 / 3), (0.4, 1), (0.6, 1), (0.8, 1), (1, 1)]
# recall and precision as it rises
PRECISION = [(1, 3 / 8), (1, 3 / 7), (1, 3 / 6), (1, 3 / 5), (2 / 3, 2 / 4), (2 / 3, 2 / 3), (1 / 3, 1 / 2), (0, 0)]


def line(axis: Axes, label: str) -> np.ndarray:
    """The points of the one line whose label begins so, [N, 2]."""
    (found,) = [found for found in axis.lines if str(found.get_label()).startswith(label)]
    return np.column_stack([np.asarray(found.get_xdata(), float), np.asarray(found.get_ydata(), float)])


def pictures(axis: Axes) -> list[np.ndarray]:
    """Those of an axes from left to right."""
    return [np.asarray(image.get_array()) for image in axis.images]


def grey(values: np.ndarray, height: int = 4, width: int = 6) -> np.ndarray:
    """An image for each value, all its pixels of that value: uint8 [..., 1, height, width]."""
    return np.tile(np.asarray(values, np.uint8)[..., None, None, None], (1, height, width))


def area(axis: Axes) -> float:
    """Below the detector's own curve, along the path that is drawn."""
    (found,) = [found for found in axis.lines if str(found.get_label()).startswith("this detector")]
    vertices = np.asarray(found.get_path().vertices)
    return abs(np.trapezoid(vertices[:, 1], vertices[:, 0]))


def test_the_areas_below_the_curves_are_the_numbers_beside_them_though_scores_are_tied():
    for verdicts in (eight_verdicts(), eight_verdicts().assign(score=[1, 2, 1, 2, 1, 2, 1, 1])):
        truth, score = verdicts["is_anomaly"], verdicts["score"]
        assert area(figures.roc_curve(verdicts).axes[0]) == pytest.approx(roc_auc_score(truth, score))
        (axis,) = figures.precision_recall_curve(verdicts).axes
        assert area(axis) == pytest.approx(average_precision_score(truth, score))


def test_the_roc_curve_goes_through_every_threshold_and_marks_the_detectors_own():
    for axis in figures.roc_curve(eight_verdicts()).axes:
        assert line(axis, "this detector, AUROC 0.7333") == pytest.approx(np.array(ROC))
        assert line(axis, "at the threshold") == pytest.approx(np.array([[2 / 5, 2 / 3]]))
        assert axis.get_xlabel().startswith("false-alarm rate")
        assert axis.get_ylabel().startswith("recall")


def test_without_a_false_alarm_the_detectors_own_threshold_is_at_the_left_edge():
    verdicts = eight_verdicts()
    whole, rare = figures.roc_curve(verdicts.assign(is_flagged=verdicts["score"] == 8)).axes
    assert line(whole, "at the threshold").tolist() == [[0, 1 / 3]]
    assert line(rare, "at the threshold").tolist() == [[rare.get_xlim()[0], 1 / 3]]
    assert "left edge: none" in rare.get_title()


def test_precision_against_recall_goes_through_every_threshold_over_the_prevalence():
    (axis,) = figures.precision_recall_curve(eight_verdicts()).axes
    drawn = line(axis, "this detector, average precision 0.5889")
    assert drawn == pytest.approx(np.array([*PRECISION, (0, 1)]))
    assert line(axis, "at the threshold") == pytest.approx(np.array([[2 / 3, 2 / 4]]))
    assert line(axis, "guessing: prevalence 37.5 %")[:, 1].tolist() == [3 / 8, 3 / 8]
    assert axis.get_xlabel().startswith("recall")
    assert axis.get_ylabel().startswith("precision")


def test_histograms_hold_the_shares_of_each_kind_and_the_threshold():
    verdicts, calibration = eight_verdicts(), pd.DataFrame({"score": [1.5, 2.5]})
    upper, lower = figures.score_histogram(verdicts, calibration, THRESHOLD).axes
    for axis, colour, values in (
        (upper, style.SKY, verdicts.loc[~verdicts["is_anomaly"], "score"]),
        (lower, style.ORANGE, verdicts.loc[verdicts["is_anomaly"], "score"]),
    ):
        bars = [bar for bar in axis.patches if to_hex(bar.get_facecolor()).upper() == colour and bar.get_height()]
        assert [bar.get_height() for bar in bars] == pytest.approx([100 / len(values)] * len(values))
        for bar, value in zip(bars, sorted(values), strict=True):
            assert bar.get_x() <= value <= bar.get_x() + bar.get_width() + 1e-9
        assert line(axis, "threshold 4.50")[:, 0].tolist() == [THRESHOLD, THRESHOLD]


@pytest.mark.parametrize("score", [1.0, -1e9, 1e17])
def test_scores_that_differ_by_rounding_alone_stand_in_one_bar(score):
    verdicts = eight_verdicts().assign(score=[score] * 4 + [np.nextafter(score, np.inf)] * 4)
    figure = figures.score_histogram(verdicts, pd.DataFrame({"score": [score, score]}), score)
    for axis in figure.axes:
        bars = [bar for bar in axis.patches if isinstance(bar, Rectangle) and bar.get_height()]
        assert [bar.get_height() for bar in bars] == [100]
    figure.draw_without_rendering()


def test_boxes_stand_in_order_of_their_medians_with_both_thresholds_and_the_share_flagged():
    verdicts = eight_verdicts().assign(label=["1", "1", "1", "8", "1", "0", "1", "8"])  # the 8s score 4 and 6, the 0 8
    figure = figures.score_boxplot(verdicts, THRESHOLD, 7.5, ["1"])
    axis = figure.axes[0]
    assert [text.get_text() for text in axis.get_yticklabels()] == ["1 (5)", "8 (2)", "0 (1)"]
    assert axis.yaxis_inverted()  # the first stands at the top
    assert line(axis, "threshold 4.50")[:, 0].tolist() == [THRESHOLD, THRESHOLD]
    assert line(axis, "mean + 3 sigma 7.50")[:, 0].tolist() == [7.5, 7.5]
    (flagged,) = axis.child_axes
    assert [text.get_text() for text in flagged.get_yticklabels()] == ["40.0 %", "50.0 %", "100.0 %"]


def test_the_curves_of_phase_1_are_those_of_its_history():
    steps = np.array([25, 50, 75])
    columns = ["term_real", "term_fake", "loss_critic", "loss_generator", "gradient_penalty"]
    history = pd.DataFrame({name: k + 1 + steps / (100 * (k + 1)) for k, name in enumerate(columns)}).assign(step=steps)
    drawn = {axis.get_title(): line(axis, "each logged step") for axis in figures.wgan_curves(history).axes}
    shown = {
        "Term real": history["term_real"],
        "Term fake": history["term_fake"],
        "Loss D (critic)": history["loss_critic"],
        "Loss G (generator)": history["loss_generator"],
        "Gradient penalty": history["gradient_penalty"],
        "Estimated distance of real and generated": history["term_real"] - history["term_fake"],
    }
    assert list(drawn) == list(shown)
    for panel, values in shown.items():
        assert drawn[panel] == pytest.approx(np.column_stack([steps, values])), panel
    unpenalised = figures.wgan_curves(history.drop(columns="gradient_penalty"))
    assert [axis.get_title() for axis in unpenalised.axes if axis.lines] == [
        name for name in shown if name != "Gradient penalty"
    ]


def test_the_curves_of_phase_2_are_those_of_its_history():
    steps = np.array([25, 50])
    columns = {"term_izi": "Term izi", "term_ziz": "Term ziz", "term_features": "Term feat", "loss_encoder": "Loss E"}
    history = pd.DataFrame({name: k + steps for k, name in enumerate(columns)}).assign(step=steps)
    axes = [axis for axis in figures.encoder_curves(history).axes if axis.lines]
    for axis, (name, panel) in zip(axes, columns.items(), strict=True):
        assert axis.get_title().startswith(panel)
        assert line(axis, "each logged step").tolist() == history[["step", name]].to_numpy().tolist()


def test_restorations_stand_below_their_images_and_what_is_brighter_than_restored_is_positive():
    images = grey(np.arange(10, 19))  # nine, of which eight are shown
    restored = images - np.arange(9.0)[:, None, None, None]
    top, middle, bottom = figures.restoration(images, restored, [str(k) for k in range(9)]).axes[:3]
    assert [picture.flat[0] for picture in pictures(top)] == [10 + k for k in range(8)]
    assert [picture.flat[0] for picture in pictures(middle)] == [10] * 8
    assert [picture.flat[0] for picture in pictures(bottom)] == list(range(8))
    assert bottom.images[0].get_clim() == (-7, 7)
    assert [text.get_text() for text in top.texts] == [str(k) for k in range(8)]


def test_a_difference_is_as_strong_as_it_is_beside_the_images_own_contrast():
    images = grey([100, 110])
    images[0, :, 0, 0] = 50
    difference = figures.restoration(images, images - 2.0, ["1", "1"]).axes[2]
    assert difference.images[0].get_clim() == (-60, 60)
    assert figures.restoration(grey([9]), grey([9]), ["1"]).axes[2].images[0].get_clim() == (-1, 1)  # all one shade


def test_maps_that_are_nowhere_above_the_threshold_are_not_as_bright_as_it():
    maps = np.full((1, 4, 6), 0.9)
    figure = figures.heatmap_gallery(grey([10]), grey([10]), maps, None, ["a"], [1.0], 2.5)
    assert figure.axes[2].images[0].get_clim() == (0, 2.5)
    assert not figure.axes[3].collections


@pytest.mark.parametrize(
    ("kept", "flagged", "shown"),
    [
        ([1.0, 9.6556], [9.6592, 20.0], ["1.000", "9.656", "9.659", "20.00"]),
        ([1.0, 9.64], [9.66], ["1.00", "9.64", "9.66"]),
        ([1.0, 1.5], [], ["1.00", "1.50"]),
        ([2.0], [2.0], ["2.0000000", "2.0000000"]),
    ],
)
def test_scores_on_either_side_of_the_threshold_are_told_apart(kept, flagged, shown):
    groups = {
        name: (grey([1] * len(scores)), np.array(scores)) for name, scores in (("in_in", kept), ("out_out", flagged))
    }
    axes = figures.decision_gallery(groups).axes
    texts = [text.get_text() for axis in (axes[0], axes[3]) for text in axis.texts]
    assert [text for text in texts if not text.startswith("No image")] == shown


def test_heat_maps_stand_below_their_images_outlined_where_they_are_above_the_threshold():
    images, restored = grey([10, 20]), grey([30, 40])
    maps, masks = np.zeros((2, 4, 6)), np.zeros((2, 4, 6))
    maps[1, 1:3, 3:6], masks[1, 2, 4] = 5.0, 1
    figure = figures.heatmap_gallery(images, restored, maps, masks, ["a", "b"], [1.0, 2.0], 2.5)
    image, restoration, residual, overlay, truth = figure.axes[:5]
    assert [picture.flat[0] for picture in pictures(image)] == [10, 20]
    assert [text.get_text() for text in image.texts] == ["a\nscore 1.00", "b\nscore 2.00"]
    assert [picture.flat[0] for picture in pictures(restoration)] == [30, 40]
    assert np.array_equal(pictures(residual), maps)
    assert residual.images[0].get_clim() == residual.images[1].get_clim() == (0, 5)
    assert np.array_equal(pictures(truth), masks)
    calm, marked = pictures(overlay)
    assert calm == pytest.approx(np.full((4, 6, 3), 10 / 255))
    assert np.array_equal(np.ptp(marked, axis=2) > 0.1, maps[1] > 0)
    rim, outline = overlay.collections
    assert (to_hex(rim.get_edgecolor()[0]), to_hex(outline.get_edgecolor()[0]).upper()) == ("#ffffff", style.VERMILION)
    assert rim.get_linewidth() > outline.get_linewidth()  # white shows on both sides of it
    left, right, bottom, top = overlay.images[1].get_extent()
    points = np.concatenate([path.vertices for path in outline.get_paths()])
    x, y = (points[:, 0] - left) / (right - left) * 6, (points[:, 1] - top) / (bottom - top) * 4
    assert (x.min(), y.min(), y.max()) == pytest.approx((3, 1, 3))
    assert truth.get_title(loc="left") == "truth (white: anomalous)"


def test_a_picture_that_is_above_the_threshold_everywhere_is_outlined_along_its_border():
    figure = figures.heatmap_gallery(grey([10]), grey([10]), np.full((1, 4, 6), 5.0), None, ["a"], [1.0], 2.5)
    overlay = figure.axes[3]
    _, outline = overlay.collections
    left, right, bottom, top = overlay.images[0].get_extent()
    points = np.concatenate([path.vertices for path in outline.get_paths()])
    assert [*points.min(axis=0), *points.max(axis=0)] == pytest.approx([left, top, right, bottom], abs=0.3)


def test_nothing_is_drawn_around_a_picture_that_is_smaller_than_the_largest():
    images, masks = grey([10, 20]), np.zeros((2, 4, 6))
    sizes = [(4, 6), (2, 3)]
    figure = figures.heatmap_gallery(images, images, np.ones((2, 4, 6)), masks, "ab", [1.0, 2.0], 2.5, sizes)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())[..., :3]
    for axis in figure.axes[:5]:
        left, _, _, _ = axis.images[1].get_extent()
        inside, beside, below = (
            pixels[pixels.shape[0] - 1 - round(y), round(x)]
            for x, y in axis.transData.transform([(left + 1.5, 1), (left + 4.5, 1), (left + 1.5, 3)])
        )
        assert (inside < 255).any()
        assert (beside == 255).all()
        assert (below == 255).all()


@pytest.mark.parametrize(("shape", "size"), [((6000, 4000, 3), (1365, 2048)), ((3000, 2048), (1398, 2048))])
def test_an_overlay_of_a_large_picture_is_as_large_as_a_screen_shows(shape, size):
    residual_map = np.zeros((60, 40))
    residual_map[30:] = 4.0
    tracemalloc.start()
    drawn = overlay(np.full(shape, 100, np.uint8), residual_map, 1.0)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert drawn.size == size
    assert most < np.prod(shape) + 150e6
    pixels = np.asarray(drawn)
    assert (pixels[:900] == 100).all()
    assert np.abs(pixels[-900:] - np.array([184.0, 189, 60])).max() <= 1  # 0.6 of the last colour


def test_truth_that_nobody_knows_is_grey():
    masks = np.stack([np.full((4, 6), np.nan), np.zeros((4, 6))])
    figure = figures.heatmap_gallery(grey([1, 2]), grey([1, 2]), np.zeros((2, 4, 6)), masks, "ab", [1.0, 2.0], 2.5)
    truth = figure.axes[4]
    assert truth.get_title(loc="left") == "truth (white: anomalous; grey: not known)"
    unknown, known = (np.unique(image.to_rgba(image.get_array()).reshape(-1, 4), axis=0) for image in truth.images)
    assert to_hex(unknown[0]).upper() == style.GREY
    assert known.tolist() == [[0, 0, 0, 1]]


def test_a_walk_shows_each_image_at_its_place_in_the_latent_plane():
    images = grey(np.array([[1, 2, 3], [4, 5, 6]]))  # the first row has the highest second coordinate
    (axis,) = figures.latent_walk(images, (-2.0, 2.0, -1.0, 1.0)).axes
    (sheet,) = pictures(axis)
    apart = [[np.pad(images[row, column, 0], (1, 0), constant_values=255) for column in range(3)] for row in (0, 1)]
    assert np.array_equal(sheet[:-1, :-1, 0], np.block(apart))  # white lines between neighbours
    left, right, bottom, top = axis.images[0].get_extent()
    assert axis.images[0].origin == "upper"
    assert np.linspace(left, right, 7)[1::2].tolist() == [-2, 0, 2]  # middles of the columns
    assert np.linspace(bottom, top, 5)[1::2].tolist() == [-1, 1]
    assert (axis.get_xlabel(), axis.get_ylabel()) == ("first latent coordinate", "second latent coordinate")
